"""The lines that differ between two versions of a text file."""

from __future__ import annotations

import difflib

from fx_hooks.util.terminal import one_line


def changed_lines(before: bytes | None, after: bytes, *, context: int = 0) -> list[str]:
    """Return a unified diff without the two lines that name the files."""
    old, new = ([_shown(line) for line in split(text or b"")] for text in (before, after))
    return list(difflib.unified_diff(old, new, lineterm="", n=context))[2:]


def split(text: bytes) -> list[bytes]:
    """Return the lines of *text* with their ends; as for git, only a newline ends one."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _shown(line: bytes) -> str:
    text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")
    return one_line(text)  # a terminal would go back and write over it
