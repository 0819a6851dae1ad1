"""What all commands share: how they end, and how they write."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO

from fx_hooks.errors import FatalError

CLEAN, FOUND, FATAL, INTERRUPTED = 0, 1, 2, 130


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
            print(message, file=sys.stderr)
        sys.stdout.flush()
    except OSError:
        # Nobody can be told; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def one_line(text: str) -> str:
    """*text* with everything escaped that a terminal would not show as a character."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def wants_colour(stream: TextIO) -> bool:
    """Whether *stream* is a terminal whose user has not asked for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
