"""Where things go in the pictures: pure geometry."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fx_hooks.history.audit.chart import band, day, line, size_scale, time_scale
from fx_hooks.history.audit.treemap import Box, squarified
from tests.audits import DAY, JANUARY

AREA = Box(64, 14, 860, 296)
NARROW = Box(64, 14, 300, 256)


def overlap(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


@given(
    st.lists(st.one_of(st.integers(0, 9), st.integers(0, 10**13)), max_size=40),
    st.floats(1, 2000),
    st.floats(1, 2000),
)
@settings(max_examples=150, deadline=None)
def test_a_treemap_fills_its_area_in_proportion(
    amounts: list[int], width: float, height: float
) -> None:
    area = Box(10, 20, width, height)
    amounts = sorted(amounts, reverse=True)
    boxes = squarified(amounts, area)
    assert len(boxes) == len(amounts)
    total = sum(amounts)
    slack = 1e-6 * width * height
    for amount, box in zip(amounts, boxes, strict=True):
        wanted = width * height * amount / total if total else 0
        assert box.width * box.height == pytest.approx(wanted, rel=1e-6, abs=slack)
        assert box.x >= area.x - 1e-6
        assert box.y >= area.y - 1e-6
        assert box.x + box.width <= area.x + width + 1e-6
        assert box.y + box.height <= area.y + height + 1e-6
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            assert overlap(box, other) <= slack


def test_the_example_of_the_paper() -> None:
    # Bruls, Huizing, van Wijk: 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4.
    boxes = squarified([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [tuple(round(value, 2) for value in box) for box in boxes] == [
        (0, 0, 3, 2), (0, 2, 3, 2),
        (3, 0, 1.71, 2.33), (4.71, 0, 1.29, 2.33),
        (3, 2.33, 1.2, 1.67), (4.2, 2.33, 1.2, 1.67), (5.4, 2.33, 0.6, 1.67),
    ]  # fmt: skip


def test_equal_amounts_are_near_to_squares() -> None:
    for box in squarified([1] * 100, Box(0, 0, 960, 500)):
        assert 0.5 < box.width / box.height < 2


@pytest.mark.parametrize(
    ("amounts", "area"),
    [([], AREA), ([0, 0], AREA), ([1, 2], Box(0, 0, 0, 10)), ([1, 2], Box(0, 0, 10, 0))],
    ids=["none", "nothing", "no width", "no height"],
)
def test_a_treemap_of_nothing(amounts: list[int], area: Box) -> None:
    assert [box.width * box.height for box in squarified(amounts, area)] == [0] * len(amounts)


def test_a_box_within_borders_is_never_less_than_nothing() -> None:
    assert Box(1, 2, 10, 20).shrunk(1, 2, 3, 4) == Box(2, 4, 6, 14)
    assert Box(1, 2, 3, 4).shrunk(9, 9, 9, 9) == Box(4, 6, 0, 0)


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["0 B", "1 B"]),
        (1, ["0 B", "1 B"]),
        (1000, ["0 B", "256 B", "512 B", "768 B", "1 KiB"]),
        (39_321_600, ["0 B", "16 MiB", "32 MiB", "48 MiB"]),
        (2 * 1024**3, ["0 B", "512 MiB", "1 GiB", "1.5 GiB", "2 GiB"]),
    ],
)
def test_sizes_have_round_ticks(highest: int, labels: list[str]) -> None:
    scale, ticks = size_scale(highest, AREA)
    assert [tick.label for tick in ticks] == labels
    assert [tick.place for tick in ticks] == sorted((t.place for t in ticks), reverse=True)
    assert ticks[0].place == AREA.y + AREA.height
    assert ticks[-1].place == AREA.y
    assert AREA.y <= scale(highest) <= AREA.y + AREA.height


@pytest.mark.parametrize(
    ("days", "narrow", "labels"),
    [
        (0, False, ["2024-01-01"]),
        (0.5, False, ["2024-01-01"]),
        (3, False, ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
        (30, True, ["2024-01-01", "2024-01-15", "2024-01-29"]),
        (200, False, [f"2024-0{n}" for n in range(1, 8)]),
        (700, True, ["2024-01", "2024-07", "2025-01", "2025-07"]),
        (4000, True, ["2025", "2028", "2031", "2034"]),
    ],
)
def test_dates_have_round_ticks(days: float, narrow: bool, labels: list[str]) -> None:
    area = NARROW if narrow else AREA
    _, ticks = time_scale(JANUARY, JANUARY + int(days * DAY), area)
    assert [tick.label for tick in ticks] == labels


@given(st.integers(0, 253_402_300_799), st.integers(0, 253_402_300_799), st.booleans())
@settings(max_examples=300, deadline=None)
def test_dates_lie_beside_each_other(one: int, other: int, narrow: bool) -> None:
    first, last = sorted((one, other))
    area = NARROW if narrow else AREA
    scale, ticks = time_scale(first, last, area)
    assert ticks
    for tick, following in pairwise(ticks):
        widths = 7 * (len(tick.label) + len(following.label)) / 2
        assert following.place - tick.place > widths
    for tick in ticks:
        assert area.x <= tick.place <= area.x + area.width
    if first < last:
        assert (scale(first), scale(last)) == (area.x, area.x + area.width)


def test_bands_and_lines_are_paths() -> None:
    assert band([0, 10], [5, 6], [1, 2]) == "M0.0,1.0L10.0,2.0L10.0,6.0L0.0,5.0Z"
    assert line([0, 10], [1, 2]) == "M0.0,1.0L10.0,2.0"
    assert re.fullmatch(r"M[\d.,L]+Z", band(range(50), range(50), range(50)))


def test_days_of_all_years() -> None:
    assert day(0) == "1970-01-01"
    assert day(253_402_300_799) == "9999-12-31"
