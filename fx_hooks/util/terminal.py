"""What a terminal shows of a text, and if it shows colours."""

from __future__ import annotations

import os
import secrets
from typing import TextIO


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


def on_github() -> bool:
    """Whether GitHub Actions reads what is printed, and obeys what looks like a command."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def without_commands(lines: list[str]) -> list[str]:
    """*lines* so that GitHub takes none for a command, whatever files are called."""
    if not any(line.lstrip().startswith("::") or "##[" in line for line in lines):
        return lines
    token = secrets.token_hex(16)
    return [f"::stop-commands::{token}", *lines, f"::{token}::"]
