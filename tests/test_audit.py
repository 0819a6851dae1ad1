"""The figures of the audit, and what the terminal says of them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest

from fx_hooks.history.audit.audit_text import audit_report
from fx_hooks.history.audit.figures import (
    FEW_FOLDERS,
    MOST_COMMITS,
    MOST_FOLDERS,
    MOST_POINTS,
    Audit,
    Brought,
    Part,
    Rest,
    Row,
    Weight,
    folder_name,
    growth,
    measure_history,
    percent,
)
from fx_hooks.reporting.finding import Commit
from fx_hooks.util.paths import shown
from tests.audits import (
    DAY,
    JANUARY,
    brought,
    clean,
    described,
    empty,
    single,
    two_years,
    unmeasured,
)


def audit_of(*artifacts: Brought, commits: int = 10, rest: Weight | None = None) -> Audit:
    times = [JANUARY + number * DAY for number in range(commits)]
    rests = [] if rest is None else [Rest(0, *rest)]
    return measure_history(times, artifacts, rests, refs=1)


def names(rows: tuple[Row, ...]) -> list[tuple[str, str, int]]:
    return [(row.rule, folder_name(row, shown), row.weight.packed) for row in rows]


def test_sums_per_rule_and_directory() -> None:
    audit = audit_of(
        brought(b"wandb/run-1/a", "wandb-runs", 1, 100),
        brought(b"wandb/run-1/b", "wandb-runs", 2, 300, there=True),
        brought(b"wandb/run-2/a", "wandb-runs", 2, 50),
        brought(b"x.pt", "weights", 3, 1000),
        rest=Weight(7, 4000, 550, 0),
    )
    assert audit.everything == Weight(11, 6900, 2000, 0)
    assert audit.artifacts == Weight(4, 2900, 1450, 0)
    assert (audit.there, audit.gone) == (Weight(1, 600, 300, 0), Weight(3, 2300, 1150, 0))
    weights, runs = audit.rules
    assert runs._replace(files=()) == Row(
        "wandb-runs", None, 2, Part.ALL, Weight(3, 900, 450), Weight(1, 600, 300), 2, 2
    )
    assert (weights.rule, weights.heaviest, weights.gone) == ("weights", 3, Weight(1, 2000, 1000))
    assert names(audit.folders) == [
        ("weights", "the root", 1000),
        ("wandb-runs", "wandb/run-1/", 400),
        ("wandb-runs", "wandb/run-2/", 50),
    ]
    assert [(row.number, row.weight.packed, row.rules) for row in audit.heaviest] == [
        (3, 1000, ("weights",)),
        (2, 350, ("wandb-runs",)),
        (1, 100, ("wandb-runs",)),
    ]
    assert audit.numbers() == {1, 2, 3}


def test_a_commit_names_the_rule_that_weighs_most_first() -> None:
    audit = audit_of(
        brought(b"a/b/c", "light", 1, 10), brought(b"d/e/f", "heavy", 1, 90), commits=2
    )
    (row,) = audit.heaviest
    assert (row.weight, row.rules) == (Weight(2, 200, 100), ("heavy", "light"))


def test_light_directories_share_a_row() -> None:
    runs = [brought(b"wandb/run-%d/x" % n, "wandb-runs", 0, 1) for n in range(500)]
    heavy = brought(b"wandb/big/x", "wandb-runs", 1, 5000)
    itself = brought(b"wandb/debug.log", "wandb-runs", 2, 4000)
    audit = audit_of(*runs, heavy, itself._replace(group=b"wandb/debug.log"))
    assert names(audit.folders) == [
        ("wandb-runs", "wandb/big/", 5000),
        ("wandb-runs", "wandb/, 501 other directories", 4500),
    ]
    # The row of the others also counts the directory around them, where files lie in it.
    assert sum(row.folders for row in audit.folders) == audit.rules[0].folders == 502


def test_files_right_in_a_directory_with_rows_of_its_own() -> None:
    audit = audit_of(
        brought(b"a/x.pt", "weights", 0, 1000)._replace(group=b"a/x.pt"),
        brought(b"a/b/x.pt", "weights", 0, 2000),
        brought(b"x.pt", "weights", 0, 3000),
    )
    assert names(audit.folders) == [
        ("weights", "the root", 3000),
        ("weights", "a/b/", 2000),
        ("weights", "a/ itself", 1000),
    ]


def test_other_directories_of_the_root() -> None:
    light = [brought(b"d%d/x/y" % n, "weights", 0, 1) for n in range(400)]
    audit = audit_of(brought(b"heavy/x/y", "weights", 0, 90_000), *light)
    assert names(audit.folders) == [
        ("weights", "heavy/x/", 90_000),
        ("weights", "400 other directories", 400),
    ]


def test_only_light_directories() -> None:
    light = [brought(b"d%d/x/y" % n, "weights", 0, 1) for n in range(400)]
    assert names(audit_of(*light).folders) == [("weights", "400 directories", 400)]


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_few_and_leave_nothing_out(seed: int) -> None:
    source = random.Random(seed)
    artifacts = [
        brought(
            b"/".join(b"d%d" % source.randint(0, 9) for _ in range(source.randint(1, 15))),
            source.choice(("one", "two", "three")),
            source.randrange(10),
            source.choice((None, 0, int(source.expovariate(0.0001)))),
            there=source.random() < 0.3,
        )
        for _ in range(3000)
    ]
    artifacts = [
        item._replace(group=item.path.rpartition(b"/")[0] or item.path) for item in artifacts
    ]
    audit = audit_of(*artifacts)
    for rows, most in (
        (audit.rules, 3),
        (audit.folders, MOST_FOLDERS),
        (audit.brief, FEW_FOLDERS),
    ):
        assert len(rows) <= most
        total = Weight()
        for row in rows:
            assert row.weight.blobs
            assert row.commits <= 10
            total = total.plus(row.weight)
        assert total == audit.artifacts
        assert sum(row.there.blobs for row in rows) == audit.there.blobs
    folders = {(item.rule, item.path.rpartition(b"/")[0]) for item in artifacts}
    assert sum(row.folders for row in audit.rules) == len(folders)
    for rows in (audit.folders, audit.brief):
        assert sum(row.folders for row in rows) == len(folders)
        keys = [(row.rule, row.folder, row.part) for row in rows]
        assert len(set(keys)) == len(keys)
    assert len(audit.heaviest) <= MOST_COMMITS


def test_endlessly_deep_directories() -> None:
    deep = brought(b"a/" * 2000 + b"x", "weights", 0)._replace(group=b"a/" * 1999 + b"a")
    (row,) = audit_of(deep).folders
    assert row.folder == b"/".join([b"a"] * 12)


def test_what_could_not_be_measured() -> None:
    audit = audit_of(
        brought(b"a/b/x", "logs", 0, 100),
        brought(b"a/b/y", "logs", 0, None),
        rest=Weight(3, 10, 20, 1),
    )
    assert audit.everything == Weight(5, 210, 120, 2)
    (row,) = audit.rules
    assert row.weight == Weight(2, 200, 100, 1)
    assert row.weight.share_of(audit.everything) is None
    lines = audit_report(described(audit))
    assert lines[1] == "Artifacts: 2 blobs, at least 100 B packed (200 B unpacked)"
    assert (
        "2 blobs of 5 are not in this clone, and were not fetched: their size is unknown, and"
        " all sums are lower bounds."
    ) in lines
    (line,) = [line for line in lines if line.endswith(" a/b/")]
    assert line.split() == ["2", "200", "B+", "100", "B+", "?", "no", "a/b/"]


def test_nothing_could_be_measured() -> None:
    lines = audit_report(unmeasured())
    assert lines[1] == "Artifacts: 10 blobs, size unknown"
    assert lines[2] == "  still in a branch or tag: 1 blob, size unknown"
    (line,) = [line for line in lines if line.endswith(" wandb/r/")]
    assert line.split() == ["9", "?", "?", "?", "no", "wandb/r/"]


@dataclass
class Share:
    packed: int
    whole: int
    says: str


@pytest.mark.parametrize(
    "case",
    [Share(0, 100, "0 %"), Share(1, 1000, "<1 %"), Share(10, 1000, "1 %"), Share(50, 100, "50 %"),
     Share(9999, 10_000, "99 %"), Share(7, 7, "100 %"), Share(0, 0, "?")],
    ids=lambda case: case.says,
)  # fmt: skip
def test_shares(case: Share) -> None:
    part, whole = Weight(1, 0, case.packed), Weight(2, 0, case.whole)
    assert percent(part.share_of(whole)) == case.says


# Growth.


def test_growth_sums_over_time_whatever_the_order() -> None:
    times = [JANUARY + 2 * DAY, JANUARY, JANUARY + DAY]
    found = growth(times, [4, 1, 2], [0, 10, 0], [100, 0, 0], most=3)
    assert found.odd == 0
    assert [tuple(point) for point in found.points] == [
        (JANUARY, 1, 10, 0),
        (JANUARY + DAY, 3, 10, 0),
        (JANUARY + 2 * DAY, 7, 10, 100),
    ]
    assert (found.points[-1].artifacts, found.points[-1].total) == (110, 117)


def test_growth_is_thinned_and_keeps_the_ends() -> None:
    count = 50_000
    times = [JANUARY + number * 1000 for number in range(count)]
    ones, none = [1] * count, [0] * count
    points = growth(times, ones, none, none).points
    assert len(points) == MOST_POINTS
    assert (points[0].time, points[-1].time) == (times[0], times[-1])
    assert (points[0].rest, points[-1].rest) == (1, count)
    for point in points:
        assert point.rest == (point.time - JANUARY) // 1000 + 1


@pytest.mark.parametrize(("commits", "odd"), [(49, 0), (50, 1)])
def test_one_time_of_fifty_may_be_wrong(commits: int, odd: int) -> None:
    times = [0, *(JANUARY + number for number in range(commits - 1))]
    found = growth(times, [1] * commits, [0] * commits, [0] * commits)
    assert found.odd == odd
    assert found.points[0].time == (JANUARY if odd else 0)


def test_work_after_a_long_pause_is_no_wrong_clock() -> None:
    today = int(time.time())
    times = [JANUARY - 20 * 365 * DAY, *(JANUARY + number for number in range(100)), today]
    found = growth(times, [1] * 102, [0] * 102, [0] * 102)
    assert (found.odd, found.points[0].time, found.points[-1].time) == (0, times[0], today)


def test_growth_of_one_moment_and_of_none() -> None:
    assert growth([], [], [], []).points == ()
    assert [tuple(p) for p in growth([5, 5], [1, 2], [0, 0], [3, 0]).points] == [(5, 3, 0, 3)]


def test_wrong_clocks_do_not_squeeze_the_rest() -> None:
    times = [JANUARY + number * DAY for number in range(200)]
    odd = [0, -5, 4_294_967_295, 1 << 62]
    found = growth(times + odd, [1] * 204, [0] * 204, [0] * 204)
    assert found.odd == 4
    assert (found.points[0].time, found.points[-1].time) == (JANUARY, times[-1])
    assert found.points[0].rest >= 2
    assert found.points[-1].rest == 204


def test_dates_that_no_calendar_has() -> None:
    found = growth([-(1 << 40), 1 << 60], [1, 1], [0, 0], [0, 0])
    assert found.points[0].time == 0
    assert found.points[-1].rest == 2
    last = datetime.fromtimestamp(found.points[-1].time, timezone.utc)
    assert last.year == 9999


# The report.


def test_report_of_an_audit() -> None:
    audit = audit_of(
        brought(b"wandb/run-1/a", "wandb-runs", 1, 100),
        brought(b"wandb/run-1/b", "wandb-runs", 2, 300, there=True),
        brought(b"x.pt", "weights", 3, 1000, elsewhere=True),
        rest=Weight(7, 4000, 600, 0),
    )
    audit = audit.with_commits(
        {
            3: Commit("3" * 40, "Add " + "so " * 12 + "many words", "2024-01-04T00:00:00+00:00"),
            2: Commit("2" * 40, "Log\tmore", "2024-01-03T00:00:00+00:00"),
        }
    )
    assert audit_report(audit) == [
        "10 commits, 2024-01-01 to 2024-01-10: 10 blobs, 2.0 KiB packed (6.6 KiB unpacked)",
        "Artifacts: 3 blobs, 1.4 KiB packed (2.7 KiB unpacked), 70 % of what all files weigh",
        "  still in a branch or tag: 1 blob, 300 B packed (600 B unpacked)",
        "  gone, but in the history: 2 blobs, 1.1 KiB packed (2.1 KiB unpacked)",
        "",
        "    blobs    unpacked      packed share  still there      rule",
        "        1     2.0 KiB      1000 B  50 %  no               weights",
        "        2       800 B       400 B  20 %  1 of 2           wandb-runs",
        "",
        "    blobs    unpacked      packed share  still there      directory",
        "        1     2.0 KiB      1000 B  50 %  no               the root",
        "        2       800 B       400 B  20 %  1 of 2           wandb/run-1/",
        "",
        "brought in by",
        "  3333333333 2024-01-04      1000 B  1 blob       Add" + " so" * 11 + " ...",
        "  2222222222 2024-01-03       300 B  1 blob       Log\\tmore",
        "",
        "1 blob, 1000 B packed (2.0 KiB unpacked), also are at a path that belongs in Git:"
        " taking the artifacts out of the history would not free them.",
    ]


def test_report_of_nothing() -> None:
    assert audit_report(empty()) == ["No commits yet."]
    assert audit_report(clean()) == [
        "90 commits, 2024-01-01 to 2024-03-30: 90 blobs, 35.2 KiB packed (79.1 KiB unpacked)",
        "No artifacts in it.",
    ]


def test_report_of_one_commit() -> None:
    lines = audit_report(single())
    assert lines[0].startswith("1 commit, 2024-01-01: 2 blobs, ")
    assert lines[3] == "  gone, but in the history: nothing"


def test_report_fits_a_screen_unless_all_is_asked_for() -> None:
    artifacts = [
        brought(b"d%d/e%d/x" % (n % 100, n), f"rule-{n % 12}", n % 10, 1000 + n) for n in range(900)
    ]
    audit = described(audit_of(*artifacts))
    brief = audit_report(audit)
    assert len(brief) <= 36
    rules, folders = (line for line in brief if line.startswith("and "))
    assert rules.startswith("and 5 more with 375 blobs, ")
    assert folders.startswith("and 3 more with 225 blobs, ")
    assert folders.endswith(" (--verbose names them)")
    long = audit_report(audit, verbose=True)
    assert len(long) > 40
    for number in range(12):
        assert any(line.endswith(f" rule-{number}") for line in long)


def test_report_shows_odd_names_and_colours() -> None:
    text = "\n".join(audit_report(two_years(), verbose=True, colour=True))
    assert "\033[1mArtifacts: " in text
    assert "'logs/new\\nline'" in text
    assert "logs/<script>" in text
    assert "\x1b[31m" not in text
