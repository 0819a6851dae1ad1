"""The weight of artifacts in a history: per rule, per directory, per commit, over time.

Nothing here asks git: the figures come in as a stream of blobs, each of which is read
once and not kept, so that the memory depends on the directories and commits alone.

A blob counts once, where it first was an artifact. What could not be measured (a
partial clone lacks blobs) is counted as unknown, and all sums are then lower bounds.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fx_hooks.reporting.finding import Commit

# Rows of the table of directories, which are the cells of the picture too.
MOST_FOLDERS = 160
FEW_FOLDERS = 10
FEW_FILES = 3
MOST_COMMITS = 20
MOST_POINTS = 200
# Directories deeper than this count where they are at this depth.
_DEPTH = 12
_LAST_SECOND = 253_402_300_799  # of the year 9999
_EARLIEST = 315_532_800  # 1980: no source code is kept with an earlier date than RCS
_DAY = 86_400
_YEAR = 366 * _DAY


class Part(Enum):
    """The part of a directory that a row stands for."""

    ALL = 1
    ITSELF = 2  # the files right in it
    OTHERS = 3  # those directories in it that have no row


class Brought(NamedTuple):
    """An artifact: one blob at the first artifact path that it had.

    ``commit`` is the number of the commit that brought it, ``group`` the run or directory
    that it is shown with (or the path itself). ``size`` and ``packed`` are None where the
    blob is not in this clone. ``there`` says that a branch or tag still has it as an
    artifact, ``elsewhere`` that it also is, or was, at a path that belongs in Git.
    """

    path: bytes
    rule: str
    group: bytes
    commit: int
    size: int | None
    packed: int | None
    there: bool
    elsewhere: bool = False


class Rest(NamedTuple):
    """Blobs that one commit brought and that are no artifacts; *unknown* of them unmeasured."""

    commit: int
    blobs: int
    size: int
    packed: int
    unknown: int = 0


class Weight(NamedTuple):
    """Blobs and their bytes; ``unknown`` blobs have no part in the bytes."""

    blobs: int = 0
    size: int = 0
    packed: int = 0
    unknown: int = 0

    def plus(self, other: Weight) -> Weight:
        return Weight(*(mine + its for mine, its in zip(self, other, strict=True)))

    def minus(self, other: Weight) -> Weight:
        return Weight(*(mine - its for mine, its in zip(self, other, strict=True)))

    def share_of(self, whole: Weight) -> float | None:
        """Return the part of *whole*, packed, from 0 to 1; None where that cannot be said."""
        if not whole.packed or self.unknown or whole.unknown:
            return None
        return self.packed / whole.packed


class Row(NamedTuple):
    """A rule, or one of its directories.

    ``folder`` is None for a rule as a whole. A row stands for ``folders`` directories, those
    of its ``part`` of ``folder``. ``heaviest`` is the number of the commit that brought most
    of it. ``files`` are its files if they are few.
    """

    rule: str
    folder: bytes | None
    folders: int
    part: Part
    weight: Weight
    there: Weight
    commits: int
    heaviest: int
    files: tuple[bytes, ...] = ()

    @property
    def gone(self) -> Weight:
        return self.weight.minus(self.there)


class CommitRow(NamedTuple):
    """The artifacts that one commit brought; ``rules`` with the heaviest first."""

    number: int
    weight: Weight
    there: Weight
    rules: tuple[str, ...]


class Point(NamedTuple):
    """The packed bytes that the history had at one moment."""

    time: int
    rest: int
    there: int
    gone: int

    @property
    def artifacts(self) -> int:
        return self.there + self.gone

    @property
    def total(self) -> int:
        return self.rest + self.there + self.gone


class Growth(NamedTuple):
    """The growth of a history; ``odd`` commits have a date far from all others'."""

    points: tuple[Point, ...]
    odd: int = 0


class Audit(NamedTuple):
    """All figures, the heaviest first.

    ``brief`` says the same as ``folders`` in a few rows. ``shared`` are artifacts that also
    are at a path that belongs in Git, ``accepted`` what the baseline accepts.
    """

    commits: int
    refs: int
    everything: Weight
    artifacts: Weight
    there: Weight
    shared: Weight
    rules: tuple[Row, ...]
    folders: tuple[Row, ...]
    brief: tuple[Row, ...]
    heaviest: tuple[CommitRow, ...]
    growth: Growth
    described: Mapping[int, Commit] = {}
    accepted: Weight = Weight()

    @property
    def gone(self) -> Weight:
        return self.artifacts.minus(self.there)

    def numbers(self) -> set[int]:
        """Return the numbers of the commits that a report names."""
        rows = (*self.rules, *self.folders)
        return {row.heaviest for row in rows} | {row.number for row in self.heaviest}

    def with_commits(self, described: Mapping[int, Commit]) -> Audit:
        return self._replace(described=described)


class Repository(NamedTuple):
    """The figures of one repository among several.

    ``rules`` are their names, with all that they refuse and what is still there of it; ``points``
    how it grew; ``accepted`` what the baseline accepts. ``lately`` are the packed bytes of
    artifacts that its last year brought.
    """

    name: str
    commits: int
    refs: int
    everything: Weight
    artifacts: Weight
    there: Weight
    rules: tuple[tuple[str, Weight, Weight], ...]
    points: tuple[Point, ...]
    accepted: Weight = Weight()

    @property
    def lately(self) -> int:
        if not self.points:
            return 0
        last = self.points[-1]
        before = [p.artifacts for p in self.points if p.time < last.time - _YEAR]
        return last.artifacts - (before[-1] if before else 0)


class _Sum:
    """The running count of one directory or commit."""

    __slots__ = ("all", "commits", "files", "own", "there")

    def __init__(self) -> None:
        # As in Weight: blobs, size, packed, unknown.
        self.all = [0, 0, 0, 0]
        self.there = [0, 0, 0, 0]
        self.commits: dict[int, int] = {}
        self.own = 0
        # One more than are named, so that it is known when they are too many.
        self.files: list[bytes] = []

    def name(self, path: bytes) -> None:
        if len(self.files) <= FEW_FILES and path not in self.files:
            self.files.append(path)

    def take(self, other: _Sum) -> None:
        for mine, its in ((self.all, other.all), (self.there, other.there)):
            for index, value in enumerate(its):
                mine[index] += value
        self.own += other.own
        for path in other.files:
            self.name(path)
        for commit, packed in other.commits.items():
            self.commits[commit] = self.commits.get(commit, 0) + packed

    def row(self, rule: str, folder: bytes | None, part: Part = Part.ALL) -> Row:
        heaviest = max(self.commits, key=lambda number: self.commits[number])
        weights = (Weight(*self.all), Weight(*self.there))
        files = tuple(sorted(self.files)) if len(self.files) <= FEW_FILES else ()
        return Row(rule, folder, self.own, part, *weights, len(self.commits), heaviest, files)


def measure_history(
    times: Sequence[int], brought: Iterable[Brought], rest: Iterable[Rest], *, refs: int
) -> Audit:
    """Return the figures of a history whose commit number n has the date ``times[n]``.

    Dates are seconds since 1970. Each distinct blob comes once, in *brought* or in *rest*;
    both are read once.
    """
    count = len(times)
    stays, went, other = (array("q", bytes(8 * count)) for _ in range(3))
    folders: dict[tuple[str, bytes], _Sum] = {}
    by_commit: dict[int, _Sum] = {}
    shared = [0, 0, 0, 0]
    for path, rule, group, commit, size, packed, there, elsewhere in brought:
        folder = path.rpartition(b"/")[0] if group == path else group
        key = (rule, folder)
        if key not in folders:
            folders[key] = _Sum()
        if commit not in by_commit:
            by_commit[commit] = _Sum()
        known = size is not None and packed is not None
        amounts = (1, size or 0, packed or 0, 0) if known else (1, 0, 0, 1)
        sums = folders[key]
        sums.name(path)
        sums.commits[commit] = sums.commits.get(commit, 0) + amounts[2]
        touched = [sums.all, by_commit[commit].all]
        if there:
            touched += [sums.there, by_commit[commit].there]
            stays[commit] += amounts[2]
        else:
            went[commit] += amounts[2]
        if elsewhere:
            touched.append(shared)
        for kept in touched:
            kept[0] += 1
            kept[1] += amounts[1]
            kept[2] += amounts[2]
            kept[3] += amounts[3]
    blobs = bytes_ = packed_bytes = unknown = 0
    # There may be millions of them: no lists in between.
    for number, count_, size_, packed_, unknown_ in rest:
        other[number] += packed_
        blobs += count_
        bytes_ += size_
        packed_bytes += packed_
        unknown += unknown_
    rules: dict[str, _Sum] = {}
    for (rule, _), sums in folders.items():
        sums.own = 1
        rules.setdefault(rule, _Sum()).take(sums)
    rows = sorted((sums.row(rule, None) for rule, sums in rules.items()), key=_order)
    artifacts = _together(row.weight for row in rows)
    return Audit(
        count,
        refs,
        artifacts.plus(Weight(blobs, bytes_, packed_bytes, unknown)),
        artifacts,
        _together(row.there for row in rows),
        Weight(*shared),
        tuple(rows),
        *_rolled_up(folders, artifacts),
        tuple(_heaviest(by_commit, rules)),
        growth(times, other, stays, went),
    )


def growth(
    times: Sequence[int],
    rest: Sequence[int],
    there: Sequence[int],
    gone: Sequence[int],
    most: int = MOST_POINTS,
) -> Growth:
    """Return sums over time of what each commit added, at up to *most* equidistant moments."""
    if not times:
        return Growth(())
    order = sorted(range(len(times)), key=times.__getitem__)
    start, end = _span([times[number] for number in order])
    odd = sum(not start <= moment <= end for moment in times)
    steps = min(most, max(end - start + 1, 1)) - 1
    points = []
    sums = [0, 0, 0]
    position = 0
    for step in range(steps + 1):
        moment = start + (end - start) * step // steps if steps else end
        # Dates after the end count at the end.
        while position < len(order) and (step == steps or times[order[position]] <= moment):
            number = order[position]
            sums[0] += rest[number]
            sums[1] += there[number]
            sums[2] += gone[number]
            position += 1
        points.append(Point(moment, *sums))
    return Growth(tuple(points), odd)


def _span(times: Sequence[int]) -> tuple[int, int]:
    """Return the first and the last of sorted *times*, without a few that cannot be.

    A clock that was wrong once makes a commit of 1970 or of 2106; two years of work would
    be a single line at the edge. What can be is true, however far off: a repository that was
    taken up again after years.
    """
    few = len(times) // 50
    low, high = times[few], times[-1 - few]
    width = high - low
    tomorrow = time.time() + _DAY
    start = times[min(bisect_left(times, low - width), bisect_left(times, _EARLIEST))]
    end = times[max(bisect_right(times, high + width), bisect_right(times, tomorrow)) - 1]
    return max(min(start, _LAST_SECOND), 0), max(min(end, _LAST_SECOND), 0)


def _heaviest(by_commit: Mapping[int, _Sum], rules: Mapping[str, _Sum]) -> list[CommitRow]:
    def weight(number: int) -> tuple[int, int, int]:
        blobs, _, packed, _ = by_commit[number].all
        return -packed, -blobs, number

    rows = []
    for number in sorted(by_commit, key=weight)[:MOST_COMMITS]:
        names = [rule for rule, sums in rules.items() if number in sums.commits]
        names.sort(key=lambda rule, number=number: (-rules[rule].commits[number], rule))  # type: ignore[misc]
        sums = by_commit[number]
        rows.append(CommitRow(number, Weight(*sums.all), Weight(*sums.there), tuple(names)))
    return rows


def _rolled_up(
    folders: Mapping[tuple[str, bytes], _Sum], artifacts: Weight
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return all *folders* in at most :data:`MOST_FOLDERS` and :data:`FEW_FOLDERS` rows.

    A directory has a row of its own if it is heavy enough; the light ones next to it share
    one with the directory around them. There are more rows only where there are more rules.
    """
    totals: dict[tuple[str, bytes], _Sum] = {}
    inside: dict[tuple[str, bytes], set[bytes]] = {}
    for (rule, folder), sums in folders.items():
        parts = folder.split(b"/")[:_DEPTH] if folder else []
        for depth in range(len(parts) + 1):
            place = (rule, b"/".join(parts[:depth]))
            if place not in totals:
                totals[place] = _Sum()
            totals[place].take(sums)
            if depth:
                above = (rule, b"/".join(parts[: depth - 1]))
                inside.setdefault(above, set()).add(place[1])
    # Where nothing could be measured, the number of blobs says how heavy.
    measure = 2 if artifacts.packed else 0
    # Below a 20,000th part nothing of it could be seen in a picture.
    threshold = max(artifacts[measure] // 20_000, 1)
    found = []
    for most in (MOST_FOLDERS, FEW_FOLDERS):
        rows = _rows_above(folders, totals, inside, measure, threshold)
        while len(rows) > most and threshold <= artifacts[measure]:
            threshold *= 2
            rows = _rows_above(folders, totals, inside, measure, threshold)
        found.append(tuple(sorted(rows, key=_order)))
    return found[0], found[1]


def _rows_above(
    folders: Mapping[tuple[str, bytes], _Sum],
    totals: Mapping[tuple[str, bytes], _Sum],
    inside: Mapping[tuple[str, bytes], set[bytes]],
    measure: int,
    threshold: int,
) -> list[Row]:
    rows = []
    waiting = [place for place in totals if not place[1]]
    while waiting:
        rule, folder = waiting.pop()
        total = totals[rule, folder]
        beneath = [(rule, name) for name in inside.get((rule, folder), ())]
        heavy = {place for place in beneath if totals[place].all[measure] >= threshold}
        # The only directory in another one says more than the other one.
        if len(beneath) == 1 and totals[beneath[0]].all[0] == total.all[0]:
            heavy = {*beneath}
        if not heavy:
            rows.append(total.row(rule, folder))
            continue
        waiting += heavy
        light = [totals[place] for place in beneath if place not in heavy]
        own = [folders[rule, folder]] if (rule, folder) in folders else []
        if light or own:
            left = _Sum()
            for sums in (*own, *light):
                left.take(sums)
            rows.append(left.row(rule, folder, Part.OTHERS if light else Part.ITSELF))
    return rows


def _together(weights: Iterable[Weight]) -> Weight:
    total = Weight()
    for weight in weights:
        total = total.plus(weight)
    return total


def _order(row: Row) -> tuple[int, int, str, bytes]:
    return -row.weight.packed, -row.weight.blobs, row.rule, row.folder or b""


def folder_name(row: Row, show: Callable[[bytes], str]) -> str:
    """Return a name for the directories of *row*; *show* makes a path readable."""
    count = f"{row.folders:,} {'other ' * (row.part is Part.OTHERS)}director"
    count += "y" if row.folders == 1 else "ies"
    if not row.folder:
        return "the root" if row.part is Part.ITSELF or row.folders == 1 else count
    name = show(row.folder) + "/"
    if row.part is Part.ITSELF:
        return f"{name} itself"
    return f"{name}, {count}" if row.part is Part.OTHERS else name


def percent(share: float | None) -> str:
    """Return a share as people read it; ``?`` where it is not known."""
    if share is None:
        return "?"
    hundredths = share * 100
    if 0 < hundredths < 1:
        return "<1 %"
    # All of it is said only where it is all of it.
    return f"{min(round(hundredths), 99 if share < 1 else 100)} %"
