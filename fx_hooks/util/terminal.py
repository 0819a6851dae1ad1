"""Text and colours on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO


def complain(text: str) -> None:
    """Print *text* to standard error; where that takes nothing, no exit code depends on it."""
    lines = text.split("\n")
    # What was said before comes first where both go to one place.
    with suppress(OSError, ValueError):
        if sys.stdout is not None:
            sys.stdout.flush()
    with suppress(OSError):
        print("\n".join(without_commands(lines) if on_github() else lines), file=sys.stderr)


def command_lines(commands: Iterable[object]) -> list[str]:
    """Return *commands* as the lines in which every report shows them."""
    return [f"    {command}" for command in commands]


def one_line(text: str) -> str:
    """Return *text* with everything escaped that a terminal would not show as a character."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def wants_colour(stream: TextIO) -> bool:
    """Return True if *stream* is a terminal whose user has not asked for plain text."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def on_github() -> bool:
    """Return True if GitHub Actions reads what is printed, and obeys what looks like a command."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def is_command(text: str) -> bool:
    """Return True if GitHub takes a line of *text* for a command.

    The runner cuts lines at carriage returns, too; ``##[`` counts wherever it stands
    (github.com/actions/runner, ``ActionCommand.cs``).
    """
    return "##[" in text or any(line.lstrip().startswith("::") for line in text.splitlines())


def without_commands(lines: list[str]) -> list[str]:
    """Return *lines* so that GitHub takes none for a command, whatever files are called."""
    if not any(map(is_command, lines)):
        return lines
    token = os.urandom(16).hex()
    return [f"::stop-commands::{token}", *lines, f"::{token}::"]


def in_json(text: str) -> str:
    """Return JSON *text* with the same values, in which GitHub finds no command."""
    return text.replace("##[", "#\\u0023[")


class Inert:
    """A text stream on which GitHub takes no line for a command."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        self._write("".join(f"{line}\n" for line in lines))
        return len(text)

    def flush(self) -> None:
        if is_command(self._line):
            self._line += "\n"
        self._write(self._line)
        self._line = ""
        self.stream.flush()

    def _write(self, text: str) -> None:
        if is_command(text):
            text = "\n".join((*without_commands(text.splitlines()), ""))
        self.stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)
