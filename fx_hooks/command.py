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
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A name that the terminal cannot show must not end in a traceback.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = work()
        sys.stdout.flush()
        return code
    except FatalError as exc:
        print(f"{name}: error: {one_line(str(exc))}", file=sys.stderr)
        return FATAL
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FATAL


def one_line(text: str) -> str:
    """*text* with everything escaped that a terminal would not show as a character."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def wants_colour(stream: TextIO) -> bool:
    """Whether *stream* is a terminal whose user has not asked for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
