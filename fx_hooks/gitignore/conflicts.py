"""Merge conflicts: what git writes into a file it cannot merge, and what each side has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_OURS, _BASE, _THEIRS, _OVER = b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> "


class Conflict(NamedTuple):
    """The places of its lines: the four that git wrote, where *base* may be that of *theirs*."""

    ours: int
    base: int
    theirs: int
    over: int


def find_conflicts(lines: Sequence[bytes]) -> Iterator[Conflict]:
    """Yield the whole conflicts among *lines*, one after the other."""
    places: dict[bytes, int] = {}
    for place, line in enumerate(map(bare, lines)):
        if line.startswith(_OURS):
            places = {_OURS: place}
        elif line.startswith(_BASE) and _THEIRS not in places:
            places[_BASE] = place
        elif line == _THEIRS:
            places.setdefault(_THEIRS, place)
        elif line.startswith(_OVER):
            if _OURS in places and _THEIRS in places:
                theirs = places[_THEIRS]
                yield Conflict(places[_OURS], places.get(_BASE, theirs), theirs, place)
            places = {}


def is_of_conflict(line: bytes) -> bool:
    """Return True if git wrote *line*."""
    return line == _THEIRS or line.startswith((_OURS, _BASE, _OVER))


def one_side(
    lines: Sequence[bytes], conflicts: Sequence[Conflict], *, ours: bool
) -> tuple[list[bytes], list[int]]:
    """Return *lines* with one side of each of *conflicts*, and the places of those on the other."""
    lost: list[int] = []
    dropped: set[int] = set()
    for ours_at, base, theirs, over in conflicts:
        dropped.update(range(base, theirs + 1), (ours_at, over))
        lost += range(theirs + 1, over) if ours else range(ours_at + 1, base)
    dropped.update(lost)
    return [line for place, line in enumerate(lines) if place not in dropped], lost


def bare(line: bytes) -> bytes:
    """Return *line* without its end."""
    return line.removesuffix(b"\n").removesuffix(b"\r")
