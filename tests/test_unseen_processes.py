"""Where a process may be unseen, a run without a word of its end is live for a week."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.runs import liveness
from fx_hooks.runs.liveness import Processes
from fx_hooks.util.disk import ANYONE, scan

if TYPE_CHECKING:
    from tests.support import Repo

psutil = pytest.importorskip("psutil")
JOB = "outputs/2026-01-05/10-00-00"
HOURS = 3600
ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root on Linux",
)
NOTE = "processes may be unseen, and a run without a word of its end is live for a week"


@pytest.fixture
def job(repo: Repo, home: Path) -> Repo:  # noqa: ARG001
    repo.write(f"{JOB}/.hydra/config.yaml", "a: 1\n")
    repo.write(f"{JOB}/train.log", "[2026-01-05 10:00:00,000][train][INFO] - epoch 1\n")
    return repo


def age(repo: Repo, hours: float) -> None:
    then = time.time() - hours * HOURS
    for folder, folders, files in os.walk(repo.root / "outputs", topdown=False):
        for name in (*files, *folders):
            os.utime(os.path.join(folder, name), (then, then))


def clean(repo: Repo, *before: str) -> tuple[int, str]:
    """Exit code and output of the command, started in a place of its own."""
    command = (*before, sys.executable, "-m", "fx_hooks.cli.clean_runs", "--yes", ".")
    done = subprocess.run(command, cwd=repo.root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@ROOT
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(("unshare", "-p", "-f", "--mount-proc"), id="container"),
        pytest.param(("unshare", "-p", "-f"), id="container without its own /proc"),
        pytest.param(
            ("unshare", "-m", "sh", "-c", 'mount -t tmpfs x /proc && exec "$@"', "sh"),
            id="no /proc",
        ),
    ],
)
def test_where_not_all_processes_are_listed(job: Repo, before: tuple[str, ...]) -> None:
    if subprocess.run((*before, "true"), capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    age(job, 3)
    code, out = clean(job, *before)
    assert "Traceback" not in out
    assert NOTE in out
    assert f"{JOB}: live: it does not say that it has ended" in out
    assert (code, (job.root / JOB).is_dir()) == (1, True)
    age(job, 8 * 24)
    assert clean(job, *before)[0] == 0
    assert not (job.root / JOB).exists()


@ROOT
def test_where_all_processes_are_listed(job: Repo) -> None:
    age(job, 3)
    code, out = clean(job)
    assert NOTE not in out
    assert (code, (job.root / JOB).exists()) == (0, False)


class Process:
    def __init__(self, user: int, name: str, pid: int = 99) -> None:
        self.user, self._name, self.pid = user, name, pid

    def oneshot(self) -> Any:
        return scan_nothing()

    def name(self) -> str:
        return self._name

    def open_files(self) -> list[Any]:
        raise psutil.AccessDenied(self.pid)

    def uids(self) -> Any:
        return SimpleNamespace(real=self.user)


class scan_nothing:  # noqa: N801
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_our_own_processes_that_may_not_be_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that is not dumpable; what guards a login's keys writes to no run."""
    monkeypatch.setattr(liveness, "HAS_PROC", False)

    def unseen(*processes: Process) -> frozenset[int | None]:
        monkeypatch.setattr(psutil, "process_iter", lambda: processes)
        return liveness.find_processes(os.getcwdb()).unseen

    assert unseen(Process(1000, "python")) == {1000}
    assert unseen(Process(1000, "ssh-agent"), Process(1000, "(sd-pam)")) == frozenset()
    assert unseen(Process(0, "init", pid=1)) == frozenset()


def test_whoever_may_write_there_counts() -> None:
    other_users = Processes((), frozenset({0, 4711}))
    assert other_users.sees(1000)
    assert not other_users.sees(4711)
    assert not other_users.sees(ANYONE)
    assert Processes((), frozenset({0})).sees(ANYONE)
    assert not Processes((), frozenset(), hidden="a container").sees(1000)


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_the_owners_of_what_is_in_a_run(tmp_path: Path) -> None:
    (tmp_path / "job" / "data").mkdir(parents=True)
    log = tmp_path / "job" / "train.log"
    log.write_text("x")
    os.symlink("train.log", tmp_path / "job" / "link")  # of mode 777
    me = os.geteuid()

    def owners() -> set[int]:
        return scan(os.fsencode(tmp_path)).top.folders[b"job"].owners()

    assert owners() == {me}
    log.chmod(0o666)
    assert owners() == {me, ANYONE}
    log.chmod(0o644)
    (tmp_path / "job" / "data").chmod(0o777)
    assert owners() == {me, ANYONE}
    (tmp_path / "job" / "data").chmod(0o1777)
    assert owners() == {me}
    if me == 0:
        os.chown(log, 4711, -1)
        assert owners() == {0, 4711}
