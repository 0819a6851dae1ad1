"""What a terminal shows of a text, and if it shows colours."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO


def complain(text: str) -> None:
    """Print *text* to standard error; where that takes nothing, no exit code depends on it."""
    with suppress(OSError):
        print(text, file=sys.stderr)


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
