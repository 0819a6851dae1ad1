"""What a command leaves behind when it is killed, or the disk fails, at any step.

The command runs in a fork of the test, in which the calls of :mod:`os` that change a file
system are counted. A step is one such call; nothing that changes a disk may be written
otherwise than through them (the builtin ``open`` counts as a step when it is for writing).
"""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import json
import os
import signal
import stat
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")

WRITES = ("write", "pwrite", "writev", "sendfile", "copy_file_range")
CHANGES = (
    *WRITES,
    *("open", "fsync", "fdatasync", "rename", "renames", "replace", "unlink", "remove", "rmdir"),
    *("mkdir", "link", "symlink", "utime", "chmod", "fchmod", "chown", "truncate", "ftruncate"),
)
_CREATES = os.O_CREAT | os.O_TRUNC
_INTERRUPTION = -1  # no error of the system's


class Outcome(NamedTuple):
    """How the command ended at a fault at *step*, which was a call of *call*.

    ``code`` is None if it was killed. ``step`` is 0 if it ended before: the fault never
    came. ``steps`` has the calls that were made.
    """

    code: int | None
    out: str
    err: str
    step: int
    steps: tuple[str, ...]

    @property
    def call(self) -> str:
        return self.steps[self.step - 1] if self.step else ""


Work = Callable[[], int]


def run(work: Work) -> Outcome:
    """*work* in a fork, with nothing in its way."""
    return _run(work, 0, (), None)


def as_nobody(folder: Path, work: Work) -> Outcome:
    """*work* by a user without rights; only root can become one."""
    if os.geteuid():
        return run(work)
    give_to_nobody(folder)
    return demoted(work)


def give_to_nobody(folder: Path) -> None:
    """Let all in *folder* be that user's, and the way to it be open.

    Only temporary folders are opened: what else is closed to others stays so.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    for place in (folder, *folder.resolve().parents):
        if temporary in place.parents:
            place.chmod(place.stat().st_mode | 0o055)
        elif not place.stat().st_mode & 0o001:
            pytest.skip(f"another user cannot enter {place}")
    for found in folder.rglob("*"):
        os.chown(found, 65534, 65534, follow_symlinks=False)
    os.chown(folder, 65534, 65534)


def demoted(work: Work) -> Outcome:
    """*work* in a fork by that user, who owns nothing but what was given."""

    datetime.strptime("2026", "%Y")  # imports what that user perhaps cannot

    def by_nobody() -> int:
        os.chdir("/")  # the checkout may lie where this user cannot go, nor come back to
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        return work()

    return run(by_nobody)


def killed(work: Work, step: int) -> Outcome:
    """*work*, killed by SIGKILL at its *step*-th change, half-way through it if it is a write."""
    return _run(work, step, CHANGES, None)


def failing(
    work: Work,
    step: int,
    error: int = errno.ENOSPC,
    calls: Collection[str] = WRITES,
    *,
    once: bool = False,
) -> Outcome:
    """*work*, with the *step*-th of *calls* failing.

    A write puts down half of its data before; a disk that is full stays full for all other
    writes, unless that is to be *once*; other errors come once.
    """
    return _run(work, step, calls, error, once=once)


def killed_at_every_step(prepare: Callable[[], Work]) -> Iterator[Outcome]:
    """The outcomes for every step, the last one without a fault.

    *prepare* makes the scene anew each time, and gives the work.
    """
    for step in itertools.count(1):
        outcome = killed(prepare(), step)
        yield outcome
        if not outcome.step:
            return


def interrupted_at_every_step(prepare: Callable[[], Work]) -> Iterator[Outcome]:
    """The same with Ctrl-C, of which Python tells when the call is done."""
    for step in itertools.count(1):
        outcome = _run(prepare(), step, CHANGES, _INTERRUPTION)
        yield outcome
        if not outcome.step:
            return


def failing_at_every_step(
    prepare: Callable[[], Work],
    error: int = errno.ENOSPC,
    calls: Collection[str] = WRITES,
    *,
    once: bool = False,
) -> Iterator[Outcome]:
    """The same with an error in place of SIGKILL."""
    for step in itertools.count(1):
        outcome = failing(prepare(), step, error, calls, once=once)
        yield outcome
        if not outcome.step:
            return


def _run(
    work: Work, step: int, calls: Collection[str], error: int | None, *, once: bool = False
) -> Outcome:
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # The test's other threads hold nothing that the fork needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os.close(reader)
        _in_child(work, _Faults(writer, step, frozenset(calls), error, once=once))
    os.close(writer)
    with open(reader, "rb") as file:
        lines = [json.loads(line) for line in file.read().splitlines()]
    _, status = os.waitpid(child, 0)
    steps = tuple(line["call"] for line in lines if "call" in line)
    end: dict[str, Any] = next((line for line in lines if "code" in line), {})
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, os.WTERMSIG(status)
        return Outcome(None, "", "", step, steps)
    assert "crash" not in end, end.get("crash")
    came = step if any(line.get("fault") for line in lines) else 0
    return Outcome(end["code"], end["out"], end["err"], came, steps)


def _in_child(work: Work, faults: _Faults) -> None:
    end: dict[str, Any]
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            faults.install()
            try:
                code: Any = work()
            except SystemExit as exc:
                code = exc.code
        end = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
    except BaseException:
        end = {"code": -1, "out": "", "err": "", "crash": traceback.format_exc()}
    faults.tell(end)
    os._exit(0)


class _Faults:
    """Counts the calls in this process, and brings the fault when it is due."""

    def __init__(
        self, writer: int, step: int, calls: Collection[str], error: int | None, *, once: bool
    ) -> None:
        self._writer = writer
        self._step = step
        self._calls = calls
        self._error = error
        self._stays_full = error == errno.ENOSPC and not once
        self._count = 0
        self._is_full = self._is_interrupted = False
        self._lock = threading.Lock()
        self._write = os.write

    def tell(self, line: dict[str, Any]) -> None:
        self._write(self._writer, json.dumps(line).encode() + b"\n")

    def install(self) -> None:
        for name in CHANGES:
            if hasattr(os, name):
                setattr(os, name, self._counting(name, getattr(os, name)))
        opened = builtins.open

        def open_counted(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if not isinstance(file, int) and set(mode) & set("wax+"):
                self._due("open")
            return opened(file, mode, *args, **options)

        builtins.open = open_counted

    def _counting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if name == "open" and not args[1] & _CREATES:
                return call(*args, **options)
            if name == "write" and stat.S_ISFIFO(os.fstat(args[0]).st_mode):
                return call(*args, **options)  # a question to git takes no room on a disk
            half = None
            if name == "write" and len(args[1]) > 1:
                half = memoryview(args[1])[: len(args[1]) // 2]
            due = self._due(name, half_of=None if half is None else (args[0], half))
            if due:  # half of it is on disk
                return due
            result = call(*args, **options)
            if self._is_interrupted:
                self._is_interrupted = False
                raise KeyboardInterrupt
            return result

        return counted

    def _due(self, name: str, half_of: tuple[int, memoryview] | None = None) -> int:
        """Count a call; at the fault, end the process or raise, or say how much was written."""
        with self._lock:
            if self._is_full and name in self._calls:
                raise OSError(self._error or 0, os.strerror(self._error or 0))
            if name not in self._calls:
                if not self._calls:
                    self.tell({"call": name})
                return 0
            self._count += 1
            is_due = self._count == self._step
            self.tell({"call": name, "fault": is_due})
            if not is_due:
                return 0
            if self._error == _INTERRUPTION:
                self._is_interrupted = True
                return 0
            written = 0
            if half_of is not None:
                written = self._write(*half_of)
            if self._error is None:
                os.kill(os.getpid(), signal.SIGKILL)
            self._is_full = self._stays_full
            if written and self._is_full:
                return written
            raise OSError(self._error or 0, os.strerror(self._error or 0))
