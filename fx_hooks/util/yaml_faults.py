"""Words for what is wrong with a text that is not YAML: plain ones for common mistakes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import yaml

_CONFLICT = re.compile(r"<{7} |={7}$|>{7} ")
_KEY = re.compile(r"""\s*(?:- )*(?P<key>[\w./-]+)(?P<colon>:?)(?P<value>\S*)\s*$""")
_QUOTES = ("'", '"')
_LONGEST = 200  # characters of a line that may be no more than a key


class Fault(NamedTuple):
    """A mistake in plain words, and its place: line and column from 1."""

    line: int
    column: int
    what: str


def fault_of(error: yaml.MarkedYAMLError, text: str, is_open: Sequence[yaml.Mark]) -> Fault:
    """Return what *error* says of *text*, by the parser in C or the one in Python.

    *is_open* is where the brackets begin that it does not close, the outermost first.
    """
    lines = text.split("\n")
    for number, each in enumerate(lines):
        if _CONFLICT.match(each):
            return Fault(number + 1, 1, "this is the mark of a merge conflict: resolve it")
    here, start = _place(error.problem_mark), _place(error.context_mark)
    found = _in_words(
        lines, str(error.problem), str(error.context), here or start, start or here,
        [(mark.line, mark.column) for mark in is_open],
    )  # fmt: skip
    if found is not None:
        return found
    what = error.problem or error.context or "not valid"
    if error.context and what.startswith("but "):
        what = f"{error.context} {what}"
    line, column = here or start or (0, 0)
    return Fault(line + 1, column + 1, what)


def _place(mark: yaml.Mark | None) -> tuple[int, int] | None:
    return None if mark is None else (mark.line, mark.column)


def _in_words(
    lines: list[str],
    problem: str,
    context: str,
    here: tuple[int, int] | None,
    start: tuple[int, int] | None,
    is_open: Sequence[tuple[int, int]],
) -> Fault | None:
    if here is None or start is None:
        return None
    before, after = _around(lines, here)

    def at(place: tuple[int, int], what: str) -> Fault:
        return Fault(place[0] + 1, place[1] + 1, what)

    if "cannot start any token" in problem:
        if after[:1] == "\t":
            return at(here, "a tab stands here: YAML allows only spaces for indentation")
        return at(here, f"a value cannot begin with '{after[:1]}': put it in quotes")
    if "quoted scalar" in context or "-quoted" in context:
        if "escape" in problem:
            return at(
                here,
                "a backslash in double quotes begins an escape: write two of them, or use"
                " single quotes",
            )
        return at(start, "the quote that begins here is never closed")
    if "alias" in problem or "alias" in context:
        place = start if "alias" in context else here
        return at(place, "a value that begins with '*' needs quotes, such as \"*.pt\"")
    if "scanning an anchor" in context:
        return at(start, "a value that begins with '&' needs quotes")
    if "tag" in problem or "tag" in context:
        return at(start, f"{problem}: put a value that begins with '!' in quotes")
    if "occurrence" in problem:
        return at(here, "this anchor is there already: give it another name")
    if "node content" in problem:
        if is_open and not any(map(str.strip, (after, *lines[here[0] + 1 :]))):
            return at(is_open[-1], _never_closed(lines, is_open[-1]))
        return at(here, "a value is missing before this")
    if "another document" in problem:
        return at(here, "a second document begins here: write only one, without '---'")
    if "expected ':'" in problem:
        return at(start, _without_colon(_around(lines, start)[1]))
    if "mapping values are not allowed" in problem:
        return _odd_colon(lines, here)
    if "flow" in context and "or " in problem:
        if here[0] > start[0]:
            return at(start, _never_closed(lines, start))
        if after[:1] in ("]", "}"):
            opened = _around(lines, start)[1][:1]
            return at(here, f"'{after[0]}' does not close the '{opened}' of this line")
        return at(here, "a ',' is missing before this")
    if context.startswith("while parsing a block"):
        if after[:1] in ("]", "}"):
            return at(here, f"nothing opens this '{after[0]}'")
        if before.rstrip().endswith(_QUOTES):
            return at(
                here,
                "the quote before this is closed: write '' for a quote in single quotes",
            )
        if "mapping" in context and re.match(r"-(\s|$)", after):
            return at(here, "this '-' stands among keys: indent it like the list that it is of")
        if "collection" in context and not re.match(r"-(\s|$)", after):
            return at(
                here, f"the list of line {start[0] + 1} goes on without '- ', or is indented unlike"
            )
        return at(here, "this is indented unlike the lines that it goes on from")
    return None


def _never_closed(lines: list[str], place: tuple[int, int]) -> str:
    return f"the '{_around(lines, place)[1][:1]}' that begins here is never closed"


def _around(lines: list[str], place: tuple[int, int]) -> tuple[str, str]:
    """Return what stands in the line before and behind *place*."""
    line = lines[place[0]] if place[0] < len(lines) else ""
    return line[: place[1]], line[place[1] :]


def _without_colon(text: str) -> str:
    """Say what is missing in a line that begins with *text*, which is not a key."""
    if re.match(r"-\S", text):
        return "a blank is missing after '-'"
    match = _key(text)
    if match and match["colon"] and match["value"]:
        return f"a blank is missing after '{match['key']}:'"
    return "a ':' is missing behind this key"


def _key(line: str) -> re.Match[str] | None:
    return _KEY.match(line) if len(line) <= _LONGEST else None


def _odd_colon(lines: list[str], here: tuple[int, int]) -> Fault:
    """Say why there is a colon too many at *here*: often the line above lacks something."""
    number, column = here
    before = lines[number][:column]
    if ": " in before:
        what = "this is the second ':' of the line: put the value in quotes"
        return Fault(number + 1, column + 1, what)
    above = number - 1
    while above > 0 and (not lines[above].strip() or lines[above].lstrip().startswith("#")):
        above -= 1
    match = _key(lines[above]) if above >= 0 else None
    if match is not None and not (match["colon"] and not match["value"]):
        return Fault(above + 1, match.start("key") + 1, _without_colon(lines[above].lstrip("- ")))
    first = len(before) - len(before.lstrip())
    return Fault(number + 1, first + 1, "this is indented further than the keys above it")
