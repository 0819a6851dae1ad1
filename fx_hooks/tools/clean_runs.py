"""``fx-clean-runs``: room without losing a run."""

from __future__ import annotations

import argparse
import math
import os
import posixpath
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fx_hooks import __version__
from fx_hooks.archive import writer
from fx_hooks.archive.about import about
from fx_hooks.archive.byte_progress import shown_progress
from fx_hooks.archive.listing import plural
from fx_hooks.archive.writer import Item
from fx_hooks.command import CLEAN, FOUND, guarded, one_line
from fx_hooks.disk import freed_by
from fx_hooks.errors import FatalError
from fx_hooks.git import Repository
from fx_hooks.paths import human_size, quoted, shown
from fx_hooks.runs import choice
from fx_hooks.runs.clean_log import CleanLog
from fx_hooks.runs.details import run_details
from fx_hooks.runs.processes import find_processes
from fx_hooks.runs.removal import Stays, left_aside, remove_run, settle
from fx_hooks.runs.state import has_empty_log, sync_options
from fx_hooks.runs.survey import UNSYNCED, WANDB_RUN, Run, Survey, kept_because, survey
from fx_hooks.space.text import age, aligned

NAME = "fx-clean-runs"
# A metric with such a word in its name is the better the smaller it is.
_SMALLER = re.compile(r"loss|err|error|perplexity|ppl|mae|mse|rmse|wer|cer|fid|nll", re.IGNORECASE)


class Stay(NamedTuple):
    """A run that was meant and is not deleted, and why; *asked* if an option said so."""

    run: Run
    reason: str
    asked: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: done, or the plan shown; 1: one that was meant is there, or may be; 2: error."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        usage=f"{NAME} [options] [RUN ...]",
        description="Say which of the chosen runs may go, which stay and why, and how much room"
        " that makes; delete them with --yes. A RUN is a path or a glob; a folder stands for the"
        " runs in it. Runs that are live, that W&B does not have, that a milestone came from or"
        " that Git tracks files of are never deleted.",
        epilog="Exit code 0: done, or the plan is shown; 1: a run that was meant is still there,"
        " and no --keep said so, or a folder cannot be read; 2: usage, policy or git error.",
        allow_abbrev=False,
    )
    parser.add_argument("names", nargs="*", metavar="RUN", help=argparse.SUPPRESS)
    choice.add_options(parser)
    parser.add_argument("--keep-last", type=_number, metavar="N", help="keep the N newest of them")
    parser.add_argument(
        "--keep-best",
        metavar="METRIC",
        help="keep the one with the best METRIC; METRIC:min or METRIC:max says which that is",
    )
    parser.add_argument("--archive", metavar="FILE", help="pack them into FILE first")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    parser.add_argument("--yes", action="store_true", help="delete them")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(argv)
    if not choice.is_choice(options, options.names):
        parser.error("say which runs: name them (`.` for all below), or with --older-than 30d")
    if options.force and options.archive is None:
        parser.error("--force goes with --archive")
    words = list(sys.argv[1:] if argv is None else argv)
    return guarded(NAME, lambda: clean_runs(options, " ".join(map(_word, words))))


def clean_runs(options: argparse.Namespace, rule: str) -> int:
    """Show the plan, and with ``--yes`` follow it; return the exit code.

    *rule* is how the command was called, for the log.
    """
    repository = Repository()
    root = repository.root
    if options.yes:
        find_processes(root)  # without psutil nothing is deleted
    tracked = [entry.path for entry in repository.index()]
    found = survey(repository)
    left = left_aside(found.scan.top, tracked)
    if left and options.yes:
        for done in [settle(root, path) for path in left]:
            if done is not None:
                print(f"note: {done}")
        found = survey(repository)
    elif left:
        print(f"note: {_left(left)}")
    goes, stays = plan(found, options)
    for note in (*found.notes, *found.not_looked_into()):
        print(f"note: {one_line(note)}")
    target = None if options.archive is None else os.fsencode(options.archive)
    items = [Item(run.path, about(found, run)) for run in goes]
    if target is not None:
        writer.check_target(root, items, target, force=options.force)
    _show(found, goes, stays, repository.way_to_root())
    left_out = bool(found.unread) or any(not stay.asked for stay in stays)
    if not goes:
        return FOUND if left_out else CLEAN
    if not options.yes:
        print(f"\nNothing was deleted. To do it:\n    {NAME} --yes {rule}")
        return FOUND if found.unread else CLEAN
    log = CleanLog(repository.common_directory(), rule)
    code = _delete(found, goes, items, target, log, force=options.force)
    return FOUND if left_out else code


def _left(left: Sequence[bytes]) -> str:
    if len(left) == 1:
        return f"{shown(left[0])} is left of an interruption: --yes settles that, too"
    return (
        f"{len(left):,} folders are left of an interruption, as {shown(left[0])}: --yes settles"
        " them, too"
    )


def plan(found: Survey, options: argparse.Namespace) -> tuple[list[Run], list[Stay]]:
    """Which of the runs that are meant go, and which stay."""
    chosen = choice.choose(found, options, options.names)
    goes: list[Run] = []
    stays: list[Stay] = []
    for run in chosen:
        reason = kept_because(run)
        if reason is None:
            goes.append(run)
        else:
            stays.append(Stay(run, reason))
    kept: dict[bytes, str] = {}
    if options.keep_last is not None:
        newest = sorted(chosen, key=lambda run: (-run.last_write, run.path))
        kept |= {
            run.path: f"one of the last {options.keep_last}" for run in newest[: options.keep_last]
        }
    if options.keep_best is not None:
        kept |= _best(found, chosen, options.keep_best)
    stays += [Stay(run, f"kept: {kept[run.path]}", True) for run in goes if run.path in kept]
    goes = [run for run in goes if run.path not in kept]
    return goes, sorted(stays)


def _best(found: Survey, chosen: Sequence[Run], wanted: str) -> dict[bytes, str]:
    """The run that is best by a metric, and why it is kept; ties keep all of them."""
    metric, colon, way = wanted.rpartition(":")
    if not colon or way not in ("min", "max"):
        metric = wanted
        way = "min" if _SMALLER.search(posixpath.basename(metric)) else "max"
    values = {run.path: _values(found, run, metric, way) for run in chosen}
    known = {path: value for path, value in values.items() if value is not None}
    if not known:
        raise FatalError(
            f"--keep-best {metric}: none of the {len(chosen):,} runs that are meant has such a"
            " metric: see its name in wandb-summary.json"
        )
    best = (min if way == "min" else max)(known.values())
    size = "smallest" if way == "min" else "largest"
    return {
        path: f"the {size} {metric}, {value:g}" for path, value in known.items() if value == best
    }


def _values(found: Survey, run: Run, metric: str, way: str) -> float | None:
    """The best value of *metric* in a run, or in W&B's runs that belong to it."""
    values = [
        value
        for other in found.belonging(run)
        if (value := _number_at(_metrics(found, other), metric)) is not None
    ]
    return (min if way == "min" else max)(values) if values else None


def _number_at(metrics: Mapping[str, Any], name: str) -> float | None:
    value: Any = metrics.get(name)
    if isinstance(value, Mapping):  # W&B's summaries of a metric: {"min": …, "max": …}
        value = value.get("value")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _show(found: Survey, goes: Sequence[Run], stays: Sequence[Stay], way: str) -> None:
    folders = [folder for run in goes if (folder := found.scan.find(run.path)) is not None]
    if goes:
        freed = human_size(freed_by(folders).disk)
        print(
            f"{plural(len(goes), 'run')} {'goes' if len(goes) == 1 else 'go'}, which frees {freed}:"
        )
        _rows([(run, run.state) for run in goes])
    else:
        print("Nothing goes.")
    if stays:
        print(f"\n{plural(len(stays), 'run')} {'stays' if len(stays) == 1 else 'stay'}:")
    for stay in stays:
        print(f"  {shown(stay.run.path)}: {one_line(stay.reason)}")
    unsynced = {
        path for stay in stays if stay.run.state == UNSYNCED for path in _unsynced(found, stay.run)
    }
    if unsynced:
        print("\nW&B does not have all of them. Sync them, and an hour later they may go:")
        for path in sorted(unsynced):
            word = quoted(posixpath.join(os.fsencode(way), path))
            place = found.scan.find(path)
            option = sync_options(place) if place is not None else ""
            if place is not None and has_empty_log(place):
                print(f"    # {word}: its log is empty: it cannot be synced, only deleted by hand")
            else:
                print(f"    wandb sync{option} {word}")


def _rows(rows: Sequence[tuple[Run, str]]) -> None:
    now = time.time()
    cells = [
        (human_size(run.size.disk), age(now - run.last_write), text, shown(run.path))
        for run, text in rows
    ]
    for line in aligned(cells):
        print(line)


def _unsynced(found: Survey, run: Run) -> list[bytes]:
    """W&B's runs that a run stays for."""
    return [
        other.path
        for other in found.belonging(run)
        if other.kind == WANDB_RUN and other.state == UNSYNCED
    ]


def _metrics(found: Survey, run: Run) -> Mapping[str, Any]:
    return run_details(os.path.join(found.root, run.path), run.kind).metrics


def _delete(
    found: Survey,
    goes: Sequence[Run],
    items: Sequence[Item],
    target: bytes | None,
    log: CleanLog,
    *,
    force: bool,
) -> int:
    """Pack, if that is asked for, and delete; say what was done. Returns the exit code."""
    packed = {}
    failed: list[Stay] = []
    runs = {run.path: run for run in goes}
    if target is not None:
        with shown_progress() as progress:
            written = writer.write(found.root, items, target, force=force, progress=progress)
        packed = {run.path: run for run in written.runs}
        failed += [Stay(runs[path], reason) for path, reason in written.left_out]
        print(f"\n{shown(target)}: {plural(len(packed), 'run')}, read back and whole")
    freed = count = 0
    print()
    for run in goes:
        if target is not None and run.path not in packed:
            continue
        folder = found.scan.find(run.path)
        size = freed_by([folder]).disk if folder is not None else 0
        archive = None if target is None else os.path.abspath(os.fsdecode(target))

        def differs(place: bytes, run: Run = run) -> str | None:
            if target is None:
                return None
            return writer.changed_since(found.root, packed[run.path], place)

        def noted(run: Run = run, archive: str | None = archive) -> None:
            log.add(run, archive)

        try:
            remove_run(found.root, run.path, run.size, differs=differs, log=noted)
        except Stays as exc:
            failed.append(Stay(run, str(exc)))
            continue
        freed += size
        count += 1
        print(f"deleted {shown(run.path)}: {human_size(size)}")
    trouble = log.write()
    print(f"Deleted {plural(count, 'run')}, which freed {human_size(freed)}.")
    if count and trouble is None:
        print(f"The log is {shown(log.path)}")
    if trouble is not None:
        print(f"{NAME}: {shown(log.path)}: cannot be written: {trouble}", file=sys.stderr)
    if failed:
        print(f"\nStill in {'its' if len(failed) == 1 else 'their'} place:")
    for stay in sorted(failed):
        print(f"  {shown(stay.run.path)}: {one_line(stay.reason)}")
    return FOUND if failed or trouble is not None else CLEAN


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs")
    return int(text)


def _word(argument: str) -> str:
    return quoted(os.fsencode(argument))


if __name__ == "__main__":
    raise SystemExit(main())
