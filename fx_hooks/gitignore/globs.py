"""Relations of path patterns without a path: overlap, and one within the other.

A pattern is a :data:`Glob` here: its parts from the root down, where None stands for
``**``, any number of parts, also none. Parts are text in which a character is a byte, as
:func:`fx_hooks.policy.patterns.split` leaves them. One part is seen the same way: a
sequence of sets of bytes, where None stands for ``*``. So both are asked with the same
two searches through the places that two sequences can stand at together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

from fx_hooks.policy.patterns import STAR, split, tokens_of

Glob: TypeAlias = tuple[str | None, ...]
_T = TypeVar("_T")

_ANY_BYTE = frozenset(range(256)) - {0, ord("/")}


@lru_cache(maxsize=1 << 16)
def is_literal(part: str | None) -> bool:
    """Return True if *part* matches exactly one name."""
    return part is not None and all(not kind for kind, _ in tokens_of(part))


@lru_cache(maxsize=1 << 16)
def spelled_alike(part: str | None) -> str | None:
    """Return *part* without needless escapes, so that the same name is the same text."""
    if part is None or not is_literal(part):
        return part
    name = "".join(text for _, text in tokens_of(part))
    return re.sub(r"([\\*?\[])", r"\\\1", name)


def is_single(glob: Glob) -> bool:
    """Return True if *glob* matches one path only."""
    return all(is_literal(part) for part in glob)


class Places:
    """Globs by the literal parts that they begin with, so that few need be compared.

    Two have nothing in common, nor what is beneath them, unless these beginnings agree as
    far as the shorter one goes. Answers are numbers in the sequence given, in its order.
    """

    def __init__(self, globs: Sequence[Glob]) -> None:
        self._at: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._below: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, glob in enumerate(globs):
            beginning = _beginning(glob)
            self._at[beginning].append(number)
            for depth in range(len(beginning)):
                self._below[beginning[:depth]].append(number)

    def above(self, glob: Glob, after: int = -1) -> list[int]:
        """Return those after *after* that may match all of *glob*, or a directory above."""
        beginning = _beginning(glob)
        lists = [self._at.get(beginning[:depth], ()) for depth in range(len(beginning) + 1)]
        return sorted(number for found in lists for number in found[bisect_right(found, after) :])

    def near(self, glob: Glob) -> list[int]:
        """Return those that may match something in common with *glob*, or beneath it."""
        return sorted((*self.above(glob), *self._below.get(_beginning(glob), ())))


@lru_cache(maxsize=1 << 16)
def _beginning(glob: Glob) -> tuple[str, ...]:
    """Return the names that *glob* begins with, without escapes."""
    names = []
    for part in glob:
        if part is None or not is_literal(part):
            break
        names.append("".join(text for _, text in tokens_of(part)))
    return tuple(names)


def name_like(names: Iterable[str]) -> list[str]:
    """Few patterns for a name that match whatever *names* match, and little else.

    Most names of files are told by how a suffix begins: ``*.ckpt`` and ``*.log`` by
    ``*.[cl][ko][gp]*``. Short suffixes and those with a vowel first stand apart, or
    together they would match what people ignore everywhere (``*.html``, ``.env``, ``.idea``).
    """
    beginnings: dict[tuple[int, str, bool], list[str]] = defaultdict(list)
    others = set()
    for name in names:
        beginning, rest = _suffix_beginning(name)
        if beginning:
            beginnings[len(beginning), rest, beginning[0] in "aeiou"].append(beginning)
        else:
            others.add(name)
    found = []
    for (_, rest, _), group in sorted(beginnings.items()):
        sets = ("".join(sorted(set(letters))) for letters in zip(*group, strict=True))
        found.append("*." + "".join(f"[{letters}]" for letters in sets) + rest)
    return [*found, *sorted(others)]


def _suffix_beginning(name: str) -> tuple[str, str]:
    """Two or three literal letters and digits behind the first dot that has them, and the rest.

    The third one may be the next dot. The rest is a star, or nothing where the name ends there.
    """
    tokens = tokens_of(name)
    for place, token in enumerate(tokens):
        if token == ("", "."):
            beginning = ""
            for kind, text in tokens[place + 1 : place + 4]:
                is_plain = text.isascii() and (text.isalnum() or (beginning[1:] and text == "."))
                if kind or not is_plain:
                    break
                beginning += text
            if len(beginning) > 1:
                return beginning, "*" * (len(beginning) > 2 or place + 3 < len(tokens))
    return "", ""


@lru_cache(maxsize=1 << 18)
def overlap(one: Glob, other: Glob) -> bool:
    """Return True if some path is matched by both."""
    for first, second in (one[:1] + other[:1], one[-1:] + other[-1:]):
        # Most pairs already differ at one of their ends.
        if first is not None and second is not None and not parts_overlap(first, second):
            return False
    return (len(one), len(other)) in _together(one, other, parts_overlap)


@lru_cache(maxsize=1 << 18)
def covers(wide: Glob, narrow: Glob) -> bool:
    """Return True if *wide* surely matches all that *narrow* matches; False is "not sure"."""
    if len(wide) == 3 and wide[0] is None and wide[2] is None:
        # Most patterns of the policy are a name at any depth, with all that is beneath it.
        name = wide[1]
        return name is None or any(part and _part_covers(name, part) for part in narrow)
    for first, second in (wide[:1] + narrow[:1], wide[-1:] + narrow[-1:]):
        # Most pairs already differ at one of their ends.
        if first is not None and (second is None or not _part_covers(first, second)):
            return False
    return _holds(wide, narrow, _part_covers)


@lru_cache(maxsize=1 << 18)
def rests(above: Glob, glob: Glob) -> frozenset[int]:
    """Return the places in *glob* where a match can stand once *above* matched a directory.

    ``glob[place:]`` then is what a path below that directory has to match; a place
    behind the last part is left out.
    """
    reached = _together(above, glob, parts_overlap)
    return frozenset(j for i, j in reached if i == len(above) and j < len(glob))


@lru_cache(maxsize=1 << 18)
def parts_overlap(one: str, other: str) -> bool:
    """Return True if some name is matched by both parts."""
    if one == other or "*" in (one, other):
        return True
    (start, end), (other_start, other_end) = _ends(one), _ends(other)
    if not (start.startswith(other_start) or other_start.startswith(start)):
        return False
    if not (end.endswith(other_end) or other_end.endswith(end)):
        return False
    first, second = _tokens(one), _tokens(other)
    return (len(first), len(second)) in _together(first, second, _share)


@lru_cache(maxsize=1 << 18)
def _part_covers(wide: str, narrow: str) -> bool:
    if wide in (narrow, "*"):
        return True
    (start, end), (narrow_start, narrow_end) = _ends(wide), _ends(narrow)
    if not narrow_start.startswith(start) or not narrow_end.endswith(end):
        return False
    return _holds(_tokens(wide), _tokens(narrow), frozenset.issuperset)


@lru_cache(maxsize=1 << 16)
def _ends(part: str) -> tuple[str, str]:
    """Return the literal bytes at both ends of *part*: most parts already differ there."""
    runs = [""]
    for kind, text in tokens_of(part):
        if kind:
            runs.append("")
        else:
            runs[-1] += text
    return runs[0], runs[-1]


def example(glob: Glob) -> bytes:
    """Return a shortest path that *glob* matches, with ``x`` for what may be anything."""
    names = []
    for part in glob:
        if part is not None:
            codes = [
                ord("x") if token in (None, _ANY_BYTE) else min(token) for token in _tokens(part)
            ]
            names.append(bytes(codes))
    return b"/".join(names)


def example_of(pattern: str) -> bytes:
    """Return the same for a pattern, which may match only what is beneath it."""
    parts, _, beneath = split(pattern)
    return example((*parts, "*") if beneath or not parts else parts)


def _share(one: frozenset[int], other: frozenset[int]) -> bool:
    return not one.isdisjoint(other)


def _together(
    one: Sequence[_T | None], other: Sequence[_T | None], meet: Callable[[_T, _T], bool]
) -> set[tuple[int, int]]:
    """Return the places (i, j) with something that ``one[:i]`` and ``other[:j]`` both match."""
    seen: set[tuple[int, int]] = set()
    waiting = [(0, 0)]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        i, j = place
        if i < len(one) and one[i] is None:
            waiting.append((i + 1, j))
        if j < len(other) and other[j] is None:
            waiting.append((i, j + 1))
        if i < len(one) and j < len(other):
            first, second = one[i], other[j]
            if first is None or second is None or meet(first, second):
                waiting.append((i + (first is not None), j + (second is not None)))
    return seen


def _holds(
    wide: Sequence[_T | None], narrow: Sequence[_T | None], contains: Callable[[_T, _T], bool]
) -> bool:
    """Return True if *wide* matches all of *narrow*, each item within one item of *wide*."""
    places = _with_stars({0}, wide)
    for item in narrow:
        following = {place for place in places if place < len(wide) and wide[place] is None}
        for place in places - following:
            mine = wide[place] if place < len(wide) else None
            if mine is not None and item is not None and contains(mine, item):
                following.add(place + 1)
        places = _with_stars(following, wide)
    return len(wide) in places


def _with_stars(places: set[int], wide: Sequence[object]) -> set[int]:
    """Return *places*, and those behind the stars that stand there: a star may match nothing."""
    found = set(places)
    for place in sorted(places):
        while place < len(wide) and wide[place] is None:
            place += 1
            found.add(place)
    return found


@lru_cache(maxsize=1 << 16)
def _tokens(part: str) -> tuple[frozenset[int] | None, ...]:
    found: list[frozenset[int] | None] = []
    for kind, text in tokens_of(part):
        if kind == STAR:
            found.append(None)
        elif kind:
            found.append(_members(text) if text else _ANY_BYTE)
        else:
            found.append(frozenset((ord(text),)))
    return tuple(found)


def _members(inside: str) -> frozenset[int]:
    """Return the bytes of a set, such as ``a-f0-9_``."""
    members: set[int] = set()
    position = 0
    while position < len(inside):
        if inside[position + 1 : position + 2] == "-" and position + 2 < len(inside):
            members.update(range(ord(inside[position]), ord(inside[position + 2]) + 1))
            position += 3
        else:
            members.add(ord(inside[position]))
            position += 1
    return frozenset(members)
