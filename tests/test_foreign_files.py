"""What lies in a run and is no part of it keeps the run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fx_hooks.git.repository import Repository
from fx_hooks.runs import inventory as runs
from fx_hooks.runs.inventory import kept_because, survey
from fx_hooks.runs.liveness import Processes
from tests.run_trees import LONG_AGO, mark_as_synced, write
from tests.support import Repo, working_directory

JOB = "outputs/2026-01-01/12-00-00"
WANDB = "wandb/offline-run-20260101_120001-abc"
LOG = b":W&B\0\0\0"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "find_processes", lambda _: Processes((), frozenset()))


def job(root: Path, path: str = JOB) -> Path:
    write(root / path / ".hydra" / "config.yaml", "seed: 1\n")
    write(root / path / "model.ckpt")
    return root / path


def wandb(root: Path, path: str = WANDB, *, synced: bool = True) -> Path:
    run_id = path.rpartition("-")[2]
    write(root / path / f"run-{run_id}.wandb", LOG)
    write(root / path / "files" / "output.log")
    if synced:
        mark_as_synced(root / path, root)
    return root / path


def reasons(repo: Repo) -> dict[str, str | None]:
    with working_directory(repo.root):
        found = survey(Repository())
    return {os.fsdecode(run.path): kept_because(run, is_named=True) for run in found.runs}


def test_runs_as_they_are_may_go(repo: Repo) -> None:
    """Copies that W&B and Hydra's launchers make are part of their runs."""
    place = job(repo.root)
    write(place / ".submitit" / "1" / "1_submission.sh")
    run = wandb(place)
    for path in ("files/code/train.py", "tmp/code/train.py"):
        write(run / path)
    job(repo.root, "multirun/a/0")
    write(repo.root / "multirun" / "a" / "multirun.yaml")
    write(repo.root / "multirun" / "a" / "0" / "old.pt", mtime=1)
    found = reasons(repo)
    assert len(found) == 4
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        pytest.param("code/.git", "gitdir: x", "code is a repository", id="worktree"),
        pytest.param("code/.git/HEAD", "ref: x", "code is a repository", id="repository"),
        pytest.param("wandb/best/run-job.wandb", LOG, "wandb/best/run-job.wandb is a log of W&B's",
                     id="renamed run"),
        pytest.param("code/model.py", "", "there is source code in it: J/code/model.py",
                     id="source"),
        pytest.param("train.py", "", "there is source code in it: J/train.py", id="source beside"),
        pytest.param(".fx-aside-x/run-x.wandb", LOG, "run-x.wandb is a log of W&B's", id="aside"),
        pytest.param("inner/.hydra/config.yaml", "", "another job lies in it: J/inner", id="job"),
    ],
)  # fmt: skip
def test_what_lies_in_a_job(repo: Repo, path: str, content: str | bytes, reason: str) -> None:
    place = job(repo.root)
    write(place / path, content)
    kept = reasons(repo)[JOB]
    assert kept is not None
    assert reason.replace("J/", f"{JOB}/") in kept


def test_runs_that_nobody_finds(repo: Repo) -> None:
    """In a clone, in an environment, in the files of another run."""
    place = job(repo.root)
    write(place / "env" / "pyvenv.cfg")
    hidden = wandb(place / "env", synced=False)
    assert "run-abc.wandb is a log of W&B's" in str(reasons(repo)[JOB])
    write(hidden / "run-abc.wandb.synced", b"", mtime=LONG_AGO - 10**6)
    assert "run-abc.wandb is a log of W&B's" in str(reasons(repo)[JOB])
    mark_as_synced(hidden, place)
    assert reasons(repo) == {JOB: None}
    outer = wandb(repo.root)
    wandb(outer / "files", "wandb/offline-run-20260101_120002-inner", synced=False)
    assert "W&B may not have files/wandb/" in str(reasons(repo)[WANDB])


def test_what_was_there_before_the_job(repo: Repo) -> None:
    place = job(repo.root, "results")
    write(place / "data" / "table.csv", mtime=LONG_AGO - 3_000 * 10**9)
    assert reasons(repo) == {"results": None}
    write(place / "data" / "table.csv", mtime=LONG_AGO - 4_000 * 10**9)
    assert reasons(repo) == {"results": "results/data/table.csv was there before the job began"}


def test_a_sweep_stays_for_what_is_in_its_jobs(repo: Repo) -> None:
    for number in (0, 1):
        job(repo.root, f"multirun/a/{number}")
    write(repo.root / "multirun" / "a" / "multirun.yaml")
    write(repo.root / "multirun" / "a" / "1" / "src" / "net.py")
    found = reasons(repo)
    assert found["multirun/a"] == found["multirun/a/1"]
    assert found["multirun/a/1"] == "there is source code in it: multirun/a/1/src/net.py"
    assert found["multirun/a/0"] is None


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_what_an_unsynced_run_saves_by_a_link(repo: Repo) -> None:
    """W&B reads the file when it syncs."""
    version = repo.root / "lightning_logs" / "version_0"
    write(version / "hparams.yaml", "lr: 1\n")
    write(version / "checkpoints" / "last.ckpt")
    run = wandb(repo.root, synced=False)
    (run / "files" / "last.ckpt").symlink_to(version / "checkpoints" / "last.ckpt")
    (run / "files" / "self").symlink_to(run / "files")
    (run / "files" / "outside").symlink_to("/")
    then = time.time() - 86_400
    for link in (run / "files").iterdir():
        os.utime(link, (then, then), follow_symlinks=False)
    found = reasons(repo)
    assert found["lightning_logs/version_0"] == (
        f"{WANDB} is not synced yet, and has links to files in it"
    )
    mark_as_synced(run, repo.root)
    assert set(reasons(repo).values()) == {None}
