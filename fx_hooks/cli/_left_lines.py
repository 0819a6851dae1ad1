"""The lines of a runner's file that start fx-hooks: which of them go away, and what stays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_STARTS = re.compile(r"\bfx-(check|sync)-")
_OURS = r"fx-(?:check|sync)-[\w-]+"
_ONLY = re.compile(rf"(?:{_OURS})(?: && {_OURS})*(?: \|\| exit(?: \d+)?)?")
_RUN = re.compile(r"[ \t]*(?:- )?(?P<run>run):[ \t]*(?P<what>.*)")
_TOML = re.compile(rf"[\w.-]+\.run = \"{_OURS}\"")
# What a script is without a command: how it is started, and what old versions of husky read.
_NOTHING = re.compile(r"#!.*|\.\s+.*husky\.sh[\"']?|")


def starts_ours(text: str) -> bool:
    """Return True if *text* names a command of ours other than in a comment."""
    return any(_STARTS.search(line) for _, line in _said(text))


def lines_of_ours(name: str, text: str) -> tuple[list[int], bool]:
    """Return the numbers of the lines that start our commands in *text*, the file *name*.

    The second is True if these lines can go as they are, and all works as it did without them.
    """
    lines = text.split("\n")
    found = [number for number, line in _said(text) if _STARTS.search(line)]
    if name.endswith((".yml", ".yaml")):
        taken = _of_yaml(lines)
        whole = taken.issuperset(found)
        return (sorted(taken), True) if whole else (found, False)
    alone = _TOML if name.endswith(".toml") else _ONLY
    before = ["", *lines]
    return found, all(
        alone.fullmatch(lines[number - 1]) and not before[number - 1].endswith(("\\", "&", "|"))
        for number in found
    )


def is_all(text: str) -> bool:
    """Return True if a script does nothing but start our commands."""
    lines = [line.strip() for line in text.split("\n")]
    return all(_ONLY.fullmatch(line) or _NOTHING.fullmatch(line) for line in lines)


def _said(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not _is_empty(line):
            yield number, line


def _of_yaml(lines: Sequence[str]) -> set[int]:
    """Return the numbers of all lines that belong to jobs which only start our commands."""
    taken: set[int] = set()
    for number, line in enumerate(lines, 1):
        run = _RUN.fullmatch(line)
        if run is None:
            continue
        place = 2 * run.start("run")
        inside = [lines[one - 1] for one in _below(lines, number)]
        said = [run["what"].strip("\"'"), *(one.strip() for one in inside if _depth(one) > place)]
        if all(_ONLY.fullmatch(one) for one in said if one not in ("", "|", ">")):
            # The line above that is less far in, or an item of a list.
            job = number
            while _is_empty(lines[job - 1]) or _depth(lines[job - 1]) >= place:
                job -= 1
            taken |= {job, *_below(lines, job)}
    # What has nothing left in it.
    for number in range(len(lines), 0, -1):
        below = [] if _is_empty(lines[number - 1]) else _below(lines, number)
        if below and taken.issuperset(below):
            taken.add(number)
    return taken


def _below(lines: Sequence[str], number: int) -> list[int]:
    """Return the numbers of the lines that the one of that *number* holds."""
    found: list[int] = []
    for other in range(number + 1, len(lines) + 1):
        line = lines[other - 1]
        if _is_empty(line):
            continue
        if _depth(line) <= _depth(lines[number - 1]):
            break
        found.append(other)
    return found


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _depth(line: str) -> int:
    # The items of a list may be as far in as what the list is called.
    text = line.lstrip()
    return 2 * (len(line) - len(text)) + text.startswith("- ")
