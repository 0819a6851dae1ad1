"""The selection of runs: by name, by pattern, by age, by how they ended."""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from fx_hooks.runs.inventory import Run, outermost
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import from_root, parents, shown

if TYPE_CHECKING:
    from fx_hooks.runs.inventory import Survey

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"(\d{1,9})([mhdw])")
_GLOB = re.compile(r"[*?\[]")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Return the options by which runs are chosen; they narrow each other down."""
    chosen = parser.add_argument_group("which runs")
    chosen.add_argument(
        "--older-than",
        type=seconds,
        metavar="AGE",
        help="last written to longer ago than AGE: 90m, 12h, 30d or 8w",
    )
    chosen.add_argument(
        "--before",
        type=timestamp,
        metavar="DATE",
        help="last written to before DATE, such as 2025-06-01",
    )
    chosen.add_argument("--failed", action="store_true", help="only runs that failed")
    chosen.add_argument(
        "--not-milestones", action="store_true", help="no runs that a milestone came from"
    )


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse *argv*: options stand anywhere between the ``names``; after ``--`` are only names.

    argparse alone forgets ``--`` where options stand between names.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    end = words.index("--") if "--" in words else len(words)
    options = parser.parse_intermixed_args(words[:end])
    options.names += words[end + 1 :]
    return options


def is_choice(options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Return True if anything at all was said of which runs are meant."""
    aged = options.older_than is not None or options.before is not None
    return bool(names) or aged or options.failed or options.not_milestones


def choose(
    survey: Survey, options: argparse.Namespace, names: Sequence[str], *, now: float | None = None
) -> list[Run]:
    """Return the runs that *names* and *options* mean, by path, none of them within another.

    A name is a path, or a pattern as in a shell (``*`` also matches slashes), from the
    current directory; a folder stands for the runs in it, also one that a pattern
    matches. Age is that of the newest write inside; a sweep is as old as its youngest
    job, and goes as a whole unless one of its jobs is named. Raises
    :class:`~fx_hooks.util.errors.FatalError` for a name that is not a run and holds none.
    """
    runs = outermost(survey.runs) if not names else named(survey, names)
    now = time.time() if now is None else now
    if options.older_than is not None:
        runs = [run for run in runs if now - run.last_write > options.older_than]
    if options.before is not None:
        runs = [run for run in runs if run.last_write < options.before]
    if options.failed:
        runs = [run for run in runs if run.failed]
    if options.not_milestones:
        runs = [run for run in runs if not run.milestones]
    return runs


def without_failure(survey: Survey, options: argparse.Namespace, names: Sequence[str]) -> str:
    """Return a sentence if ``--failed`` alone leaves none of the runs, else nothing."""
    runs = named(survey, names) if names else survey.runs
    if not options.failed or any(run.failed for run in runs):
        return ""
    return "None of these runs says that it failed. " if names else "No run says that it failed. "


def seconds(text: str) -> float:
    """Return an age such as ``30d``, in seconds. Raises :class:`argparse.ArgumentTypeError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age: write 90m, 12h, 30d or 8w")
    return int(match[1]) * float(_UNITS[match[2]])


def timestamp(text: str) -> float:
    """Return a date or time in ISO 8601, local if it says nothing else, since the epoch."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date: write 2025-06-01, or 2025-06-01T12:30"
        ) from None


def named(survey: Survey, names: Iterable[str]) -> list[Run]:
    """Return the runs that *names* mean, none of them within another.

    Raises :class:`~fx_hooks.util.errors.FatalError` as :func:`choose` does.
    """
    found: dict[bytes, Run] = {}
    for name in names:
        found.update((run.path, run) for run in _meant(survey, name))
    return [run for path, run in sorted(found.items()) if found.keys().isdisjoint(parents(path))]


def _meant(survey: Survey, name: str) -> list[Run]:
    path = from_root(name, survey.root)
    runs = {run.path: run for run in survey.runs}
    if path in runs:
        return [runs[path]]
    below = path + b"/" if path else b""
    inside = [run for run in outermost(survey.runs) if run.path.startswith(below)]
    if not inside and _GLOB.search(name):
        pattern = re.compile(fnmatch.translate(os.fsdecode(path)))
        inside = [
            run
            for run in survey.runs
            if any(pattern.match(os.fsdecode(place)) for place in (run.path, *parents(run.path)))
        ]
    if inside or not path:  # the root stands for all of them, also where there are none
        return inside
    place = os.path.join(survey.root, path)
    if os.path.islink(place):
        target = shown(os.path.relpath(os.path.realpath(place), os.path.realpath(os.getcwdb())))
        raise FatalError(f"{name}: is a symbolic link, and no run: name what it leads to: {target}")
    if os.path.lexists(place):
        raise FatalError(f"{name}: is not a run, and there is none in it: see fx-report-space")
    raise FatalError(f"{name}: there is no such run: see fx-report-space")
