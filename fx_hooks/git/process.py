"""A process of git: what it is given, what it says, and how it ends.

:mod:`subprocess` and what it imports take as long as four calls of git, so on POSIX systems it is
done without.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from fx_hooks.fastpath import fast_git
from fx_hooks.util.temporary import nameless_file

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

_SIGPIPE, _SIGKILL = 13, 9  # signal would have to be imported
_LOST = 255  # an exit code that nobody knows is not a success


class Result(NamedTuple):
    """The exit code of git, and what it said."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Process:
    """A started git; what it says comes through :attr:`stdout`, unless it goes into a file."""

    __slots__ = ("_child", "_code", "_popen", "stdout")

    def __init__(
        self,
        arguments: Sequence[str],
        folder: bytes | None,
        environment: Mapping[str, str],
        *,
        stdin: BinaryIO,
        stderr: BinaryIO,
        stdout: BinaryIO | None = None,
    ) -> None:
        """Start git with *arguments* in *folder*. Raises :class:`OSError`."""
        self._child = 0
        self._code: int | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self.stdout: BinaryIO | None = None
        if sys.platform == "win32" or not hasattr(os, "posix_spawnp"):
            import subprocess

            self._popen = subprocess.Popen(
                ("git", *arguments), cwd=folder, env=environment, stdin=stdin, stderr=stderr,
                stdout=subprocess.PIPE if stdout is None else stdout,
            )  # fmt: skip
            self.stdout = cast("BinaryIO | None", self._popen.stdout)
            return
        _keep_exit_codes()
        there = () if folder is None or folder == os.getcwdb() else ("-C", os.fsdecode(folder))
        reading, writing = os.pipe() if stdout is None else (None, stdout.fileno())
        try:
            self._child = os.posix_spawnp(
                "git",
                ("git", *there, *arguments),
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, stdin.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, writing, 1),
                    (os.POSIX_SPAWN_DUP2, stderr.fileno(), 2),
                ],
                # The interpreter ignores it, and git would go on where nobody reads.
                setsigdef=(_SIGPIPE,),
            )
        except OSError:
            if reading is not None:
                os.close(reading)
            raise
        finally:
            if reading is not None:
                os.close(writing)
        if reading is not None:
            self.stdout = os.fdopen(reading, "rb")

    def wait(self) -> int:
        """Return its exit code once it has ended; below 0 stands for a signal."""
        if self._code is None:
            if self._popen is not None:
                self._code = self._popen.wait()
            else:
                try:
                    self._code = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
                except ChildProcessError:
                    self._code = _LOST
        return self._code

    def stop(self) -> None:
        """End it at once where it has not ended yet: nobody wants more of it."""
        if self.stdout is not None:
            self.stdout.close()
        if self._code is None:
            if self._popen is not None:
                self._popen.kill()
            else:
                with suppress(ProcessLookupError):  # lost, as above
                    os.kill(self._child, _SIGKILL)
            self.wait()


def _keep_exit_codes() -> None:
    """Undo what whoever started us may have set: where SIGCHLD is ignored, no exit code is kept.

    That is said in wait(2). Python's own module for signals needs enum; this is the part in C.
    """
    import _signal  # type: ignore[import-not-found]  # typeshed leaves it out

    with suppress(ValueError):  # in another thread than the first
        if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)


def run(
    arguments: Sequence[str],
    folder: bytes | None,
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    stdout: BinaryIO | None = None,
) -> Result:
    """Let git answer *stdin*, into the file *stdout* if there is one. Raises :class:`OSError`."""
    with holding(stdin) as questions, holding(b"") as errors:
        process = Process(
            arguments, folder, environment, stdin=questions, stdout=stdout, stderr=errors
        )
        try:
            output = b"" if process.stdout is None else process.stdout.read()
            code = process.wait()
        finally:
            process.stop()
        errors.seek(0)
        return Result(code, output, errors.read())


def holding(content: bytes) -> BinaryIO:
    """Return a nameless file with *content*, in memory where the system has such files."""
    descriptor = fast_git.in_memory(content)
    if descriptor is not None:
        return open(descriptor, "r+b")
    file = nameless_file()
    file.write(content)
    file.seek(0)
    return file
