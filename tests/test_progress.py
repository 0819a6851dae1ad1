"""The line that says how far a long work has come."""

from __future__ import annotations

import io
import time

import pytest

from fx_hooks.reporting.progress import Progress, progress_line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def screen(text: str) -> str:
    """What the last line of a terminal shows after *text*."""
    shown = ""
    for part in text.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def test_quick_work_flashes_nothing(clock: list[float]) -> None:
    stream = Terminal()
    with Progress(stream) as tell:
        tell("commits", 1, 10)
        clock[0] += 0.4
        tell("commits", 2, 10)
    assert stream.getvalue() == ""


def test_a_line_now_and_then_that_goes_away(clock: list[float]) -> None:
    stream = Terminal()
    with Progress(stream) as tell:
        clock[0] += 0.6
        tell("walking through commits", 1000)
        assert screen(stream.getvalue()) == "walking through commits: 1,000"
        clock[0] += 0.05
        tell("walking through commits", 2000)
        assert screen(stream.getvalue()) == "walking through commits: 1,000"
        clock[0] += 0.1
        tell("sizes", 5, 10)
        assert screen(stream.getvalue()) == "sizes [############............]  50 %  5 of 10"
        assert "\n" not in stream.getvalue()
    assert screen(stream.getvalue()) == ""
    assert stream.getvalue().endswith("\r")


def test_it_goes_away_also_after_an_interrupt(clock: list[float]) -> None:
    stream = Terminal()

    def work() -> None:
        with Progress(stream) as tell:
            clock[0] += 1
            tell("sizes", 5, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert screen(stream.getvalue()) == ""


def test_silent_where_there_is_no_terminal(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress(stream) as tell:
        clock[0] += 5
        tell("sizes", 5, 10)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("done", "total", "line"),
    [
        (0, 8, "x [........................]   0 %  0 of 8"),
        (8, 8, "x [########################] 100 %  8 of 8"),
        (9, 8, "x [########################] 100 %  9 of 8"),
        (1234, None, "x: 1,234"),
        (0, 0, "x: 0"),
    ],
)
def test_lines(done: int, total: int | None, line: str) -> None:
    assert progress_line("x", done, total, 80) == line


@pytest.mark.parametrize("columns", [1, 10, 30])
def test_a_line_never_wraps(columns: int) -> None:
    for total in (None, 10**9):
        assert len(progress_line("walking", 10**8, total, columns)) < columns
