"""What all commands share: how they end, and how they write."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import FATAL, INTERRUPTED
from fx_hooks.util.terminal import on_github, one_line, without_commands


def guarded(name: str, work: Callable[[], int]) -> int:
    """Run *work* and return its exit code; expected failures become one line each."""
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):
            # A name that the terminal cannot show must not end in a traceback.
            output.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
        return code
    except FatalError as exc:
        return _end(FATAL, f"{name}: error: {one_line(str(exc))}")
    except KeyboardInterrupt:
        return _end(INTERRUPTED, f"{name}: interrupted")
    except BrokenPipeError:
        # Whoever read has seen enough.
        return _end(FATAL)
    except OSError as exc:
        return _end(FATAL, f"{name}: error: cannot write: {exc.strerror}")


def _end(code: int, message: str = "") -> int:
    try:
        if message:
            for line in without_commands([message]) if on_github() else [message]:
                print(line, file=sys.stderr)
        sys.stdout.flush()
    except OSError:
        # Nobody can be told; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code
