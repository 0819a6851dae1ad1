"""Runs that stay because something elsewhere needs a file in them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from fx_hooks.cli import clean_runs
from tests.realruns.make import environment
from tests.run_trees import DAY, mark_as_synced, write
from tests.support import Repo, working_directory
from tests.wandb_records import ended_with, field, item, log

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
JOB = "outputs/2026-01-05/10-00-00"
OTHER = "outputs/2026-01-06/10-00-00"
RUN = "wandb/offline-run-20260107_100000-abc"


pytestmark = pytest.mark.usefixtures("no_processes")


def ago(days: float) -> int:
    return time.time_ns() - int(days * DAY)


def job(root: Path, path: str = JOB) -> Path:
    write(root / path / ".hydra" / "config.yaml", "lr: 0.1\n", mtime=ago(40))
    write(root / path / "train.log", "epoch 1\n", mtime=ago(40))
    write(root / path / "model.ckpt", os.urandom(2000), mtime=ago(40))
    return root / path


def clean(repo: Repo, *arguments: str) -> int:
    with working_directory(repo.root):
        return clean_runs.main(arguments)


def link_to(target: str, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    os.utime(link, ns=(ago(40), ago(40)), follow_symlinks=False)


def tracker(repo: Repo, *entries: bytes, synced: bool, more: bytes = b"") -> None:
    """A run of W&B's that has logged an artifact with these entries in its manifest."""
    manifest = b"".join(field(4, entry) for entry in entries) + more
    content = log(field(17, field(1, "abc")), field(8, field(12, manifest)), ended_with(0))
    place = repo.root / RUN
    write(place / "run-abc.wandb", content, mtime=ago(30))
    if synced:
        mark_as_synced(place, repo.root, mtime=ago(29))


@pytest.mark.parametrize(
    ("spelling", "synced", "stays"),
    [
        pytest.param("file://{}", False, True, id="a reference"),
        pytest.param("file://{}", True, True, id="a reference that W&B has"),
        pytest.param("{}", False, True, id="a file that is to be sent"),
        pytest.param("{}", True, False, id="a file that was sent"),
        pytest.param("https://host{}", True, False, id="an address elsewhere"),
    ],
)
def test_artifacts_refer_to_files(
    repo: Repo, spelling: str, synced: bool, stays: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = job(repo.root), job(repo.root, OTHER)
    number = 3 if "://" in spelling else 6
    tracker(repo, field(number, spelling.format(first / "model.ckpt")), synced=synced)
    assert clean(repo, "--yes", "outputs") == int(stays)
    assert (first.exists(), second.exists()) == (stays, False)
    assert (f"{JOB}: an artifact of {RUN} refers to {JOB}" in capfd.readouterr().out) is stays


def test_a_reference_over_the_end_of_a_block(repo: Repo) -> None:
    place = job(repo.root)
    target = field(3, f"file://{place}/model.ckpt")
    for size in range(32_650, 32_780, 3):
        tracker(repo, field(1, "x" * size), target, synced=True)
        with working_directory(repo.root):
            assert clean_runs.main(["outputs"]) == 0
        assert clean(repo, "--yes", "outputs") == 1


def test_a_long_manifest_is_in_a_file(repo: Repo, tmp_path: Path) -> None:
    place = job(repo.root)
    listed = tmp_path / "1.0_ab.manifest_contents.jl.gz"
    with gzip.open(listed, "wt") as file:
        file.write(json.dumps({"path": "m", "ref": f"file://{place}/model.ckpt"}) + "\n[]\n")
    tracker(repo, synced=True, more=field(5, str(listed)))
    assert clean(repo, "--yes", "outputs") == 1
    assert place.exists()
    listed.write_bytes(b"\x1f\x8b nothing")
    assert clean(repo, "--yes", "outputs") == 0


@pytest.mark.slow
def test_artifacts_of_the_real_client(repo: Repo, home: Path) -> None:
    first, second, third = (job(repo.root, path) for path in (JOB, OTHER, f"{OTHER[:-1]}1"))
    program = (
        "import sys, wandb\n"
        "run = wandb.init(project='toy', dir='.')\n"
        "one = wandb.Artifact('one', 'model')\n"
        "one.add_reference(f'file://{sys.argv[1]}')\n"
        "run.log_artifact(one)\n"
        "two = wandb.Artifact('two', 'model')\n"
        "two.add_file(sys.argv[2], policy='immutable', skip_cache=True)\n"
        "run.log_artifact(two)\n"
        "run.finish()\n"
    )
    files = [str(place / "model.ckpt") for place in (first, second)]
    command = [sys.executable, "-c", program, *files]
    subprocess.run(command, cwd=repo.root, env=environment(home), check=True)
    assert clean(repo, "--yes", "outputs") == 1
    assert [place.exists() for place in (first, second, third)] == [True, True, False]


@POSIX
@pytest.mark.parametrize(
    ("link", "target", "stays"),
    [
        pytest.param("best.ckpt", f"{JOB}/model.ckpt", True, id="to a file"),
        pytest.param("data/weights", f"../{JOB}/.hydra", True, id="to a folder"),
        pytest.param("outputs/latest", "2026-01-05/10-00-00", False, id="to the run"),
        pytest.param(f"{JOB}/last.ckpt", "model.ckpt", False, id="its own"),
        pytest.param(f"{OTHER}/last.ckpt", f"../../../{JOB}/model.ckpt", False, id="goes, too"),
    ],
)
def test_ignored_links(
    repo: Repo, link: str, target: str, stays: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "*\n")
    place = job(repo.root)
    job(repo.root, OTHER)
    link_to(target, repo.root / link)
    assert clean(repo, "outputs") == 0
    out = capfd.readouterr().out
    assert (f"note: {link} is a link to {JOB}, which goes\n" in out) == (link == "outputs/latest")
    assert clean(repo, "--yes", "outputs") == int(stays)
    assert place.exists() is stays


@POSIX
def test_a_link_in_a_run_that_stays(repo: Repo) -> None:
    first, second = job(repo.root), job(repo.root, OTHER)
    link_to(f"../../../{JOB}/model.ckpt", second / "last.ckpt")
    write(second / "notes.md", "by hand\n", mtime=ago(40))
    assert clean(repo, "--yes", "outputs") == 1
    assert first.exists()


def copied(repo: Repo, *jobs: tuple[str, str], started: str = "20260105_100013") -> Path:
    """Hydra jobs and one W&B run that is not synced, copied without the times of their files."""
    for path, rate in jobs:
        write(repo.root / path / ".hydra/config.yaml", f"lr: {rate}\n", mtime=ago(2))
        write(repo.root / path / "model.ckpt", b"weights", mtime=ago(2))
    run = repo.root / f"wandb/offline-run-{started}-abc"
    began = datetime.strptime(started, "%Y%m%d_%H%M%S").astimezone(timezone.utc)
    told = json.dumps({"startedAt": began.strftime("%Y-%m-%dT%H:%M:%SZ")})
    content = log(field(17, field(1, "abc") + field(4, item("lr", 0.2))), ended_with(0))
    write(run / "run-abc.wandb", content, mtime=ago(2))
    write(run / "files/wandb-metadata.json", told, mtime=ago(2))
    return run


@pytest.mark.parametrize(
    ("path", "started", "stays"),
    [
        (JOB, "20260105_100013", True),
        (JOB, "20260105_093000", False),
        (JOB, "20260106_110000", False),
        ("runs/2026-01-05_10-00-00", "20260105_120000", True),
        ("multirun/2026-01-05/10-00-00/7", "20260105_120000", True),
        ("outputs/2026-02-31/10-00-00", "20260105_120000", False),
    ],
)
def test_a_copy_without_times_tells_by_its_names(
    repo: Repo, path: str, started: str, stays: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    run = copied(repo, (path, "0.1"), started=started)
    assert clean(repo, "--yes", path) == stays
    assert (repo.root / path).exists() == stays
    said = f"{path}: unsynced: wandb/{run.name}: offline, and no run-abc.wandb.synced"
    assert (said in capfd.readouterr().out) == stays


def test_a_copy_of_several_jobs_tells_them_apart(repo: Repo) -> None:
    sweep = "multirun/2026-01-05/10-00-00"
    jobs = [f"{sweep}/{number}" for number in range(3)]
    copied(repo, *zip(jobs, ("0.1", "0.2", "0.3"), strict=True), started="20260105_120000")
    assert clean(repo, "--yes", *jobs) == 1
    assert os.listdir(repo.root / sweep) == ["1"]


def test_names_of_jobs_that_have_their_times_tell_nothing_more(repo: Repo) -> None:
    """They say when they ended, too: what came hours later is not theirs."""
    then = int(time.mktime((2026, 1, 5, 10, 0, 0, 0, 0, -1))) * 1_000_000_000
    for number in range(2):
        path = repo.root / f"multirun/2026-01-05/10-00-00/{number}"
        for name in (".hydra/config.yaml", "model.ckpt"):
            write(path / name, "lr: 0.1\n", mtime=then + number * 1_000_000_000_000)
    run = copied(repo, started="20260105_150000")
    assert clean(repo, "--yes", "multirun/2026-01-05/10-00-00/*") == 0
    assert run.exists()
