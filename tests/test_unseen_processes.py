"""Where a process may be unseen, a run that does not say that it has ended is live for a week."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.cli import clean_runs
from fx_hooks.runs import liveness
from fx_hooks.runs.liveness import Processes
from fx_hooks.util.disk import ANYONE, scan
from tests.faults import give_to_nobody, run
from tests.support import Repo, working_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

psutil = pytest.importorskip("psutil")
JOB = "outputs/2026-01-05/10-00-00"
HOURS = 3600
ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root on Linux",
)
NOTE = (
    "some processes cannot be seen, so a run that does not say that it has ended counts as live for"
    " a week"
)


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


# PR_SET_DUMPABLE: a process that changes its user may not be looked into by that user any more.
_DUMPABLE = 4
# The user without rights, and one that is in no list of users.
OWNER, OTHER = 65_534, 54_322


def become(user: int, *, dumpable: bool = True) -> None:
    os.chdir("/")  # the checkout may lie where this user cannot go, nor come back to
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    assert ctypes.CDLL(None).prctl(_DUMPABLE, int(dumpable), 0, 0, 0) == 0


@contextlib.contextmanager
def held(path: Path, user: int, how: str = "open") -> Iterator[None]:
    """While a process of *user* has *path* open, works there, or is hidden and has it open."""
    reader, writer = os.pipe()
    ended, end = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.close(end)
            become(user, dumpable=how != "hidden")
            if how == "cwd":
                os.chdir(path.parent)
            else:
                os.open(path, os.O_WRONLY | os.O_APPEND)
            os.write(writer, b"x")
            os.read(ended, 1)
        os._exit(0)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"x"
        yield
    finally:
        os.close(end)
        os.waitpid(child, 0)
        os.close(ended)
        os.close(reader)


@pytest.fixture
def shared(job: Repo) -> Repo:
    """The repository as OWNER's, where another user may come to it."""
    with working_directory(job.root):
        clean_runs.main(["."])  # loads what another user could not read
    give_to_nobody(job.root)
    return job


def clean_as_owner(repo: Repo) -> tuple[int | None, str]:

    def work() -> int:
        become(OWNER)
        os.chdir(repo.root)
        return clean_runs.main(["--yes", "."])

    outcome = run(work)
    return outcome.code, outcome.out + outcome.err


@ROOT
@pytest.mark.parametrize(
    ("user", "how"),
    [
        pytest.param(OTHER, "open", id="another user's process"),
        pytest.param(OTHER, "cwd", id="another user works there"),
        pytest.param(OWNER, "hidden", id="a process that may not be looked into"),
    ],
)
def test_a_process_that_cannot_be_seen_writes_there(shared: Repo, user: int, how: str) -> None:
    log = shared.root / JOB / "train.log"
    os.chmod(log.parent, 0o777)
    os.chmod(log, 0o666)
    with held(log, user, how):
        age(shared, 3)
        code, out = clean_as_owner(shared)
        assert "Traceback" not in out
        assert (code, log.exists()) == (1, True)
        assert f"{JOB}: live: it does not say that it has ended" in out
        assert "cannot be seen" in out or "may be unseen" in out
        # A folder of its own, for a week: then it goes.
        age(shared, 8 * 24)
        assert clean_as_owner(shared)[0] == 0
    assert not log.exists()


@ROOT
def test_a_process_of_our_own_is_seen(shared: Repo) -> None:
    log = shared.root / JOB / "train.log"
    age(shared, 8 * 24)
    with held(log, OWNER):
        code, out = clean_as_owner(shared)
        assert (code, log.exists()) == (1, True)
        assert f"has {JOB}/train.log open" in out


@ROOT
@pytest.mark.parametrize("user", [OTHER, 0])
def test_what_another_user_owns_in_a_run(shared: Repo, user: int) -> None:
    """One file of another user's is enough: a process of theirs wrote it."""
    log = shared.root / JOB / "other.log"
    log.write_text("x\n")
    os.chown(log, user, user)
    with held(log, user):
        age(shared, 3)
        code, _ = clean_as_owner(shared)
        assert (code, log.exists()) == (1, True)


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
