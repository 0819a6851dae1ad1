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
        try:
            data = self._stream.read()
        finally:
            self.stop()
        try:
            return marshal.loads(data)
        except (EOFError, ValueError, TypeError):
            return None

    def stop(self) -> None:
        """End the process, if it has not ended."""
        if self._stream.closed:
            return
        self._stream.close()
        # It may be reaped already, where whoever started us ignores SIGCHLD.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if sys.platform != "win32":
                os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
