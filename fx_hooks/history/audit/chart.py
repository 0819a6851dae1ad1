"""The geometry of the picture of growth: what goes where, in pixels, and where the ticks are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.util.paths import human_size

if TYPE_CHECKING:
    from fx_hooks.history.audit.treemap import Box

_DAY = 86_400
# Sums with it are in UTC, and work for every year on every system.
_EPOCH = datetime(1970, 1, 1)


class Tick(NamedTuple):
    """A mark on an axis at *place*, in pixels."""

    place: float
    label: str


class Scale(NamedTuple):
    """Values from *low* to *high* laid out from pixel *start* to pixel *end*."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        width = self.high - self.low
        part = (value - self.low) / width if width else 0.5
        return self.start + (self.end - self.start) * part


def size_scale(highest: int, area: Box) -> tuple[Scale, list[Tick]]:
    """From nothing at the bottom of *area* to a round size that is not below *highest*."""
    most = max(int(area.height // 60), 2)
    step = 1
    while step * most < highest:
        step *= 2
    steps = max(-(-highest // step), 1)
    scale = Scale(0, steps * step, area.y + area.height, area.y)
    ticks = [
        Tick(scale(n * step), human_size(n * step).replace(".0 ", " ")) for n in range(steps + 1)
    ]
    return scale, ticks


def time_scale(first: int, last: int, area: Box) -> tuple[Scale, list[Tick]]:
    """From *first* at the left of *area* to *last* at its right, with ticks on calendar dates."""
    scale = Scale(first, last, area.x, area.x + area.width)
    return scale, [Tick(scale(moment), label) for moment, label in _dates(first, last, area.width)]


def _dates(first: int, last: int, width: float) -> list[tuple[int, str]]:
    """Round dates from *first* to *last* that fit next to each other into *width* pixels.

    Only the first one where there is none.
    """
    days = (last - first) / _DAY
    step = next((step for step in (1, 2, 7, 14) if days / step <= width // 95), None)
    if step is not None:
        start = -(-first // _DAY) * _DAY
        found = [(moment, day(moment)) for moment in range(start, last + 1, step * _DAY)]
    else:
        room = max(width // 65, 2)
        months = next((count for count in (1, 2, 3, 6) if days / 30 / count <= room), 12)
        while days / 30 / months > room:
            months += 12
        found = []
        begin = _EPOCH + timedelta(seconds=first)
        index = -(-(begin.year * 12 + begin.month - 1) // months) * months
        while (moment := _first_of(index)) <= last:
            if moment >= first:
                label = f"{index // 12}" if months >= 12 else day(moment)[:-3]
                found.append((moment, label))
            index += months
    return found or [(first, day(first))]


def _first_of(month: int) -> int:
    """Return the first second of a *month*, counted from the year 0."""
    years = month // 12
    if years > datetime.max.year:
        return 1 << 62
    return int((datetime(years, month % 12 + 1, 1) - _EPOCH).total_seconds())


def band(xs: Sequence[float], bottom: Sequence[float], top: Sequence[float]) -> str:
    """Return the outline of the area between two lines, as the ``d`` of an SVG path."""
    upper = [f"{x:.1f},{y:.1f}" for x, y in zip(xs, top, strict=True)]
    lower = [f"{x:.1f},{y:.1f}" for x, y in zip(xs, bottom, strict=True)]
    return "M" + "L".join((*upper, *reversed(lower))) + "Z"


def line(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Return a line through points, as the ``d`` of an SVG path."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))


def day(moment: int) -> str:
    """Return the date of *moment* in UTC, as 2026-01-31."""
    return f"{_EPOCH + timedelta(seconds=moment):%Y-%m-%d}"
