"""Several audits as one: each repository writes its own as JSON, and one page shows all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fx_hooks.history.audit.audit_text import notes, weighs
from fx_hooks.history.audit.figures import Audit, Growth, Point, Repository, Weight, percent
from fx_hooks.util.errors import FatalError
from fx_hooks.util.terminal import one_line

_MOST_BYTES = 1 << 28
_MOST_POINTS = 200
_LAST_SECOND = 253_402_300_799  # of the year 9999
_LARGEST = 1 << 62


def lines(repositories: Sequence[Repository], audit: Audit) -> list[str]:
    """Return what artifacts weigh in each of *repositories*, and in all, and what to note of it."""
    rows = [(one.name, one.artifacts, one.everything) for one in repositories]
    rows.append(("all of them", audit.artifacts, audit.everything))
    cells = [
        (weighs(weight), percent(weight.share_of(everything)), name)
        for name, weight, everything in rows
    ]
    width = max(len(first) for first, _, _ in cells)
    table = [f"{first:<{width}}  {share:>6}  {name}" for first, share, name in cells]
    return [*table, *notes(audit)]


def as_record(audit: Audit, name: str) -> dict[str, Any]:
    """Return the figures of the repository called *name* as JSON values."""
    return {
        "repository": one_line(name),
        "commits": audit.commits,
        "refs": audit.refs,
        "everything": audit.everything._asdict(),
        "artifacts": audit.artifacts._asdict(),
        "there": audit.there._asdict(),
        "accepted": audit.accepted._asdict(),
        "rules": [
            {"rule": row.rule, "artifacts": row.weight._asdict(), "there": row.there._asdict()}
            for row in audit.rules
        ],
        "growth": [point._asdict() for point in audit.growth.points],
    }


def read_audits(files: Sequence[str]) -> list[Repository]:
    """Return the repositories that *files* are audits of, the heaviest first.

    Raises :class:`~fx_hooks.util.errors.FatalError` for a file that is not an audit.
    """
    return sorted(map(_read, files), key=lambda one: (-one.artifacts.packed, one.name))


def _read(file: str) -> Repository:
    try:
        with open(file, "rb") as opened:
            text = opened.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise FatalError(f"{one_line(file)}: is too large for an audit")
        return _repository(json.loads(text))
    except OSError as exc:
        raise FatalError(f"{one_line(file)}: cannot be read: {exc.strerror}") from exc
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise FatalError(
            f"{one_line(file)}: is not an audit: write one with fx-check-range --all --format json"
        ) from exc


def merged(repositories: Sequence[Repository]) -> Audit:
    """Return the figures of all *repositories* together, without rules and folders."""
    everything = artifacts = there = accepted = Weight()
    for one in repositories:
        everything = everything.plus(one.everything)
        artifacts = artifacts.plus(one.artifacts)
        there = there.plus(one.there)
        accepted = accepted.plus(one.accepted)
    return Audit(
        sum(one.commits for one in repositories),
        sum(one.refs for one in repositories),
        everything, artifacts, there, Weight(), (), (), (), (),
        Growth(tuple(_grown(repositories))), accepted=accepted,
    )  # fmt: skip


def _grown(repositories: Sequence[Repository]) -> Iterator[Point]:
    """Yield the sums at some of the moments at which any of them has grown."""
    times = sorted({point.time for one in repositories for point in one.points})
    step = -(-len(times) // _MOST_POINTS)
    chosen = [time for number, time in enumerate(times[::-1]) if number % step == 0][::-1]
    places = [0] * len(repositories)
    for time in chosen:
        total = [0, 0, 0]
        for number, one in enumerate(repositories):
            while places[number] < len(one.points) and one.points[places[number]].time <= time:
                places[number] += 1
            if places[number]:
                for index, value in enumerate(one.points[places[number] - 1][1:]):
                    total[index] += value
        yield Point(time, *total)


def _repository(document: Mapping[str, Any]) -> Repository:
    record = document["audit"]
    name = record["repository"]
    if document["version"] != 1 or not isinstance(name, str):
        raise ValueError
    points = tuple(
        Point(
            _number(point["time"], _LAST_SECOND), *map(_number, _values(point, Point._fields[1:]))
        )
        for point in record["growth"]
    )
    if list(points) != sorted(points, key=lambda point: point.time):
        raise ValueError
    return Repository(
        name,
        _number(record["commits"]),
        _number(record["refs"]),
        _weight(record["everything"]),
        _weight(record["artifacts"]),
        _weight(record["there"]),
        tuple(
            (_text(row["rule"]), _weight(row["artifacts"]), _weight(row["there"]))
            for row in record["rules"]
        ),
        points,
        # Older audits do not say it.
        _weight(record["accepted"]) if "accepted" in record else Weight(),
    )


def _weight(record: Mapping[str, Any]) -> Weight:
    return Weight(*map(_number, _values(record, Weight._fields)))


def _values(record: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [record[name] for name in names]


def _number(value: Any, most: int = _LARGEST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
