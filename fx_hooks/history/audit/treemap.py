"""The rectangles of a treemap: areas in proportion, shapes near to squares.

The squarified layout of Bruls, Huizing and van Wijk (Squarified Treemaps, 2000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle; ``x`` and ``y`` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def shrunk(self, left: float, top: float, right: float, bottom: float) -> Box:
        """Return the rectangle within these borders; never less than nothing."""
        width = max(self.width - left - right, 0.0)
        height = max(self.height - top - bottom, 0.0)
        return Box(self.x + min(left, self.width), self.y + min(top, self.height), width, height)


def squarified(amounts: Sequence[int], area: Box) -> list[Box]:
    """One box within *area* for each of *amounts*, in their order.

    No amount is negative. The first lie at the upper left; sort them descending for the
    best shapes.
    """
    total = sum(amounts)
    nothing = Box(area.x, area.y, 0.0, 0.0)
    if not total:
        return [nothing for _ in amounts]
    scale = area.width * area.height / total
    boxes: list[Box] = []
    left = area
    row: list[float] = []
    for amount in amounts:
        if not amount:
            continue
        size = amount * scale
        side = min(left.width, left.height)
        if row and _worst([*row, size], side) > _worst(row, side):
            placed, left = _laid(row, left)
            boxes += placed
            row = []
        row.append(size)
    placed, _ = _laid(row, left)
    found = iter(boxes + placed)
    return [next(found) if amount else nothing for amount in amounts]


def _worst(row: Sequence[float], side: float) -> float:
    """Return the longest of the shapes in a *row* along *side*: 1 is a square."""
    total = sum(row)
    if not side or not min(row):
        return 0.0
    return max(side * side * max(row) / (total * total), total * total / (side * side * min(row)))


def _laid(row: Sequence[float], area: Box) -> tuple[list[Box], Box]:
    """Return the boxes of *row* along the shorter side of *area*, and what is left of it."""
    upright = area.width >= area.height
    side = area.height if upright else area.width
    total = sum(row)
    # Sums of fractions may be a hair too large.
    depth = min(total / side, max(area.width, area.height)) if side else 0.0
    boxes = []
    place = area.y if upright else area.x
    for size in row:
        length = side * size / total if total else 0.0
        if upright:
            boxes.append(Box(area.x, place, depth, length))
        else:
            boxes.append(Box(place, area.y, length, depth))
        place += length
    return boxes, area.shrunk(depth, 0, 0, 0) if upright else area.shrunk(0, depth, 0, 0)
