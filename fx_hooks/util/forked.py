"""Half of some work in a second process, where that is sure to be the same work.

Python runs on one core at a time, threads or not. A fork has all that was read so far, and
sends back what it found in the format of :mod:`marshal`.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import sys
from collections.abc import Callable
from io import BufferedReader
from typing import Any


def can_fork() -> bool:
    """Return True where another process is of use, and forking is safe.

    A fork has only the thread that asked for it, with the locks of all. On macOS system libraries
    end a fork that uses them (the documentation of ``os.fork`` says so).
    """
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return False
    threading = sys.modules.get("threading")
    return threading is None or threading.active_count() == 1


class Forked:
    """A process that does *work*; :meth:`result` is what that returned, if all went well."""

    _process: int
    _stream: BufferedReader

    def __init__(self, work: Callable[[], Any]) -> None:
        """Raise :class:`OSError` where there can be no more processes."""
        if sys.platform == "win32":
            raise OSError("processes cannot fork on Windows")
        reading, writing = os.pipe()
        try:
            self._process = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if not self._process:
            # Nothing of the caller goes on in here: no handler, no buffer, no clean-up.
            try:
                os.close(reading)
                with open(writing, "wb") as file:
                    marshal.dump(work(), file, 2)
            finally:
                os._exit(0)
        os.close(writing)
        self._stream = open(reading, "rb")  # noqa: SIM115 closed by stop()

    def result(self) -> Any:
        """Wait for what the work returned; None where it failed or was killed."""
        data = self._stream.read()
        self._end()
        try:
            return marshal.loads(data)
        except (EOFError, ValueError, TypeError):
            return None

    def stop(self) -> None:
        """End the process, if :meth:`result` has not seen its end."""
        if sys.platform == "win32" or self._stream.closed:
            return
        # Where whoever started us ignores SIGCHLD, the number may be another process's by now;
        # ours then ends when it writes.
        if signal.getsignal(signal.SIGCHLD) != signal.SIG_IGN:
            os.kill(self._process, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        self._stream.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, 0)
