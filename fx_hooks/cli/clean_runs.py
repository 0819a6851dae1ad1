"""``fx-clean-runs``: room without losing a run."""

from __future__ import annotations

import argparse
import contextlib
import os
import posixpath
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.cli._common import command_parser, entry_point
from fx_hooks.frameworks.framework import Outcome
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.frameworks.wandb.upload import can_be_synced, has_log, sync_command
from fx_hooks.git.repository import Repository
from fx_hooks.reporting.layout import plural
from fx_hooks.runs import selection
from fx_hooks.runs.archive import writer
from fx_hooks.runs.archive.about import about
from fx_hooks.runs.archive.byte_progress import shown_progress
from fx_hooks.runs.archive.storage import is_address
from fx_hooks.runs.archive.writer import Item
from fx_hooks.runs.confirmed import ask_for
from fx_hooks.runs.deletion import (
    Aside,
    Gone,
    LeftAside,
    Recovery,
    Stays,
    finish_interrupted,
    free,
    left_aside,
    places_aside,
    put_aside,
    undo,
)
from fx_hooks.runs.deletion_log import CleanLog
from fx_hooks.runs.evidence import explained
from fx_hooks.runs.inventory import (
    LIVE,
    SYNCED,
    UNSYNCED,
    WANDB_RUN,
    Run,
    Survey,
    kept_because,
    survey,
)
from fx_hooks.runs.liveness import find_processes
from fx_hooks.runs.metrics import Best, Way, direction, numbers, value_of
from fx_hooks.runs.protection import Protection
from fx_hooks.runs.references import References
from fx_hooks.runs.usage.usage_text import age, aligned
from fx_hooks.util.disk import freed_by, scan
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.files import most_open_files
from fx_hooks.util.paths import from_root, human_size, parents, quoted, shown
from fx_hooks.util.terminal import one_line
from fx_hooks.util.times import moment

if TYPE_CHECKING:
    from fx_hooks.frameworks.framework import Confirmation
    from fx_hooks.runs.archive.manifest import PackedRun

NAME = "fx-clean-runs"
_NAMED = 8  # metrics, where the one that was meant is none of them; runs that are too young


class Stay(NamedTuple):
    """A run that was meant and is not deleted, and why; *asked* if an option said so."""

    run: Run
    reason: str
    asked: bool = False


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Show which of the chosen runs you can delete, how much space that frees, and why the"
        " others stay. With --yes, delete them. A RUN is a path or a glob; a folder stands for the"
        " runs in it. This never deletes a run that is live, that W&B does not have, that a"
        " milestone came from, or that has files which Git tracks.",
        "0: done, or the plan is shown; 1: with --yes, a run that you chose stayed without a --keep"
        " option, or a folder could not be read; with --verify, W&B did not confirm a run that you"
        " chose",
        usage=f"{NAME} [options] [RUN ...]",
    )
    parser.add_argument("names", nargs="*", metavar="RUN", help=argparse.SUPPRESS)
    selection.add_options(parser)
    parser.add_argument("--keep-last", type=_number, metavar="N", help="keep the N newest runs")
    parser.add_argument(
        "--keep-best",
        type=_best,
        metavar="METRIC",
        help="keep the run with the best METRIC; add :min or :max if its name does not tell which",
    )
    parser.add_argument("--archive", metavar="FILE", help="pack the runs into FILE first")
    parser.add_argument(
        "--include-added",
        metavar="RUN",
        action="append",
        default=[],
        help="delete RUN even if somebody has added files to it",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument(
        "--accept-unproven",
        action="append",
        default=[],
        metavar="RUN",
        help="count RUN as uploaded if nothing proves it, and nothing speaks against it",
    )
    parser.add_argument(
        "--explain", metavar="RUN", help="only show what was read about RUN, and what that proves"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="ask W&B for each of its runs, and keep those that it does not confirm",
    )
    parser.add_argument("--yes", action="store_true", help="delete the runs")
    parser.add_argument(
        "--undo",
        action="store_true",
        help="put back the runs that an interrupted --yes had moved aside",
    )
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0: done, or the plan shown; 1: one that was meant is there, or may be; 2: error."""
    parser = make_parser()
    options = selection.parsed(parser, argv)
    words = list(sys.argv[1:] if argv is None else argv)
    if options.undo:
        if words != ["--undo"]:
            parser.error("--undo goes alone")
        return undo_clean()
    if options.explain is not None:
        if options.yes:
            parser.error("--explain changes nothing: leave out --yes")
        return explain(options)
    if not selection.is_choice(options, options.names):
        options.names = options.accept_unproven
    if not selection.is_choice(options, options.names):
        parser.error("say which runs: name them (`.` for all below), or with --older-than 30d")
    if options.force and options.archive is None:
        parser.error("--force goes with --archive")
    return clean_runs(options, " ".join(map(_word, words)))


def explain(options: argparse.Namespace) -> int:
    """Print what was read of a run, and what that proves; return the exit code."""
    repository = Repository()
    accepted = _accepted(repository, options.accept_unproven)
    found = survey(repository, accepted=accepted)
    if options.verify:
        meant = selection.named(found, [options.explain])
        answers = _asked(repository, found, meant)
        found = survey(repository, accepted=accepted, confirmations=answers)
    for run in selection.named(found, [options.explain]):
        for line in explained(found, run):
            print(line)
    _show_not_accepted(found, accepted)
    return CLEAN


def _asked(
    repository: Repository, found: Survey, meant: Sequence[Run]
) -> Mapping[bytes, Confirmation]:
    """Return what W&B says of the runs that are *meant*, and of those that belong to them.

    What is live stays, whatever W&B has of it so far.
    """
    belonging = (other for run in meant for other in found.belonging(run))
    paths = {other.path for other in belonging if other.state != LIVE}
    return ask_for(found, paths, repository.common_directory())


def _accepted(repository: Repository, names: Sequence[str]) -> list[bytes]:
    return [from_root(name, repository.root) for name in names]


def undo_clean() -> int:
    """Bring back what an interrupted clean has left aside; return the exit code."""
    repository = Repository()
    tracked = [entry.path for entry in repository.index()]
    tree = scan(repository.root)
    left = left_aside(tree.top, tracked)
    done = not tree.problems
    for problem in tree.problems:
        print(f"note: {shown(problem.path)} cannot be looked into: {problem.reason}")
    for path in left:
        recovery = undo(repository.root, path)
        if recovery is None:
            recovery = Recovery(f"{shown(path)}: another {NAME} is at it", False)
        print(recovery.text)
        done = done and recovery.done
    if not left:
        print("Nothing was left aside" + ("." if done else ", as far as that can be seen."))
    return CLEAN if done else FOUND


def clean_runs(options: argparse.Namespace, rule: str) -> int:
    """Show the plan, and with ``--yes`` follow it; return the exit code.

    *rule* is how the command was called, for the log.
    """
    repository = Repository()
    root = repository.root
    if options.yes:
        find_processes(root)  # without psutil nothing is deleted
    index = repository.index()
    tracked = [entry.path for entry in index]
    accepted = _accepted(repository, options.accept_unproven)
    found = survey(repository, accepted=accepted)
    _check_accepted(found, accepted)
    answers: Mapping[bytes, Confirmation] = {}
    if options.verify:
        answers = _asked(repository, found, selection.choose(found, options, options.names))
        found = survey(repository, accepted=accepted, confirmations=answers)
    left = left_aside(found.scan.top, tracked)
    log = CleanLog(repository.common_directory(), rule)
    unfinished = False
    if left and options.yes:
        for path in left:
            recovery = finish_interrupted(root, path, log=log.add_rest)
            if recovery is not None:
                print(f"note: {recovery.text}")
                unfinished = unfinished or not recovery.done
        found = survey(repository, accepted=accepted, confirmations=answers)
    elif left:
        print(f"note: {_left(left)}")
    references = References(repository, index, found)
    goes, stays = plan(found, options, references)
    target = None if options.archive is None else os.fsencode(options.archive)
    items = [Item(run.path, about(found, run)) for run in goes]
    around: list[str] = []
    if target is not None:
        writer.check_target(root, items, target, force=options.force)
        around = writer.place_notes(root, (run.path for run in found.runs), target)
    for note in (*found.notes, *found.not_looked_into(), *references.notes, *around):
        print(f"note: {one_line(note)}")
    if not goes and not stays:
        print(selection.without_failure(found, options, options.names), end="")
    _show(found, goes, stays, repository.path_to_root(), options)
    _show_not_accepted(found, accepted)
    _show_too_young(found, options)
    left_out = unfinished or bool(found.unread) or any(not stay.asked for stay in stays)
    if not options.yes:
        if goes:
            print(
                "\nYou cannot bring back what is deleted: --undo only helps after an interruption."
                f"\nNothing was deleted. To do it:\n    {NAME} --yes {rule}"
            )
        return FOUND if _unconfirmed(found, stays, answers) else CLEAN
    if not goes:
        return FOUND if left_out else CLEAN
    deletion = _Deletion(found, log, target, Protection(repository, found.scan))
    with deletion.telling_interruption(goes):
        if target is not None:
            goes = deletion.pack(items, goes, target, force=options.force)
            print(f"\n{shown(target)}: {plural(len(goes), 'run')}, read back and whole")
        print()
        most = most_open_files() // 2
        for start in range(0, len(goes), most):
            deletion.remove(goes[start : start + most])
        code = deletion.tell()
    return FOUND if left_out else code


def _unconfirmed(
    found: Survey, stays: Sequence[Stay], answers: Mapping[bytes, Confirmation]
) -> bool:
    """Return True if a run stays that W&B was asked for and did not confirm."""
    return any(
        run.path in answers and answers[run.path].outcome is not Outcome.CONFIRMED
        for stay in stays
        for run in found.belonging(stay.run)
    )


def _check_accepted(found: Survey, accepted: Sequence[bytes]) -> None:
    known = {run.path for run in found.runs}
    for path in accepted:
        if path not in known:
            raise FatalError(f"--accept-unproven {shown(path)}: is not a run: see fx-report-space")


def _left(left: Sequence[bytes]) -> str:
    if len(left) == 1:
        return f"{shown(left[0])} is left from an interruption: --yes finishes that, too"
    return (
        f"{len(left):,} folders are left from an interruption, such as {shown(left[0])}: --yes"
        " finishes them, too"
    )


def plan(
    found: Survey, options: argparse.Namespace, references: References
) -> tuple[list[Run], list[Stay]]:
    """Return which of the runs that are meant go, and which stay."""
    chosen = selection.choose(found, options, options.names)
    goes: list[Run] = []
    stays: list[Stay] = []
    judge = _judge(found, options)
    for run in chosen:
        reason = judge(run)
        if reason is None:
            goes.append(run)
        else:
            stays.append(Stay(run, reason))
    pointing = references.into([run.path for run in goes])
    stays += [Stay(run, pointing[run.path]) for run in goes if run.path in pointing]
    goes = [run for run in goes if run.path not in pointing]
    kept: dict[bytes, str] = {}
    if options.keep_last is not None:
        kept |= dict.fromkeys(
            _last(found, chosen, options.keep_last), f"one of the last {options.keep_last}"
        )
    if options.keep_best is not None:
        kept |= _kept_as_best(found, chosen, options.keep_best)
    stays += [Stay(run, f"kept: {kept[run.path]}", True) for run in goes if run.path in kept]
    goes = [run for run in goes if run.path not in kept]
    return goes, sorted(stays)


def _judge(found: Survey, options: argparse.Namespace) -> Callable[[Run], str | None]:
    """Return what says why a run must not be deleted with *options*; None where it may."""
    named = {from_root(name, found.root) for name in options.names}
    added = {from_root(name, found.root) for name in options.include_added}
    archived = options.archive is not None
    return lambda run: kept_because(
        run,
        is_named=run.path in named,
        with_added=archived or run.path in added,
        archived=archived,
    )


def _last(found: Survey, chosen: Sequence[Run], number: int) -> list[bytes]:
    """Return the newest of the runs; a job and the W&B runs that it started count as one."""
    runs = {run.path: run for run in found.runs}
    paths = {run.path for run in chosen}
    groups: dict[bytes, list[Run]] = {}
    for run in chosen:
        first, above = run.path, run.owner
        while above is not None:
            if above in paths:
                first = above
            above = runs[above].within
        groups.setdefault(first, []).append(run)
    newest = sorted(
        groups.items(), key=lambda group: (-max(run.last_write for run in group[1]), group[0])
    )
    return [run.path for _, group in newest[:number] for run in group]


def _kept_as_best(found: Survey, chosen: Sequence[Run], best: Best) -> dict[bytes, str]:
    """Return the run that is best by a metric, and why it is kept; ties keep all of them."""
    of_runs = {
        run.path: [_metrics(found, other) for other in found.belonging(run)] for run in chosen
    }
    choose = min if best.way is Way.MIN else max
    known = {}
    for path, metrics in of_runs.items():
        values = [value for each in metrics if (value := value_of(each, *best)) is not None]
        if values:
            known[path] = choose(values)
    if not known:
        names = sorted(
            {name for all_ in of_runs.values() for each in all_ for name, _ in numbers(each)}
        )
        raise FatalError(
            f"--keep-best {best.metric}: none of the chosen runs has such a metric{_named(names)}"
        )
    size = "smallest" if best.way is Way.MIN else "largest"
    extreme = choose(known.values())
    return {
        path: f"the {size} {best.metric}, {value:g}"
        for path, value in known.items()
        if value == extreme
    }


def _named(names: Sequence[str]) -> str:
    if not names:
        return ", nor any other"
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f": they have {', '.join(names[:_NAMED])}{more}"


def _show(
    found: Survey,
    goes: Sequence[Run],
    stays: Sequence[Stay],
    way: str,
    options: argparse.Namespace,
) -> None:
    """Print what goes, or only would go, and what stays."""
    would = not options.yes
    folders = [folder for run in goes if (folder := found.scan.find(run.path)) is not None]
    if goes:
        freed = human_size(freed_by(folders).disk)
        go = "would go" if would else "goes" if len(goes) == 1 else "go"
        frees = "would free" if would else "frees"
        print(f"{plural(len(goes), 'run')} {go}, which {frees} {freed}:")
        _rows([(run, run.state) for run in goes])
    else:
        print("Nothing would go." if would else "Nothing goes.")
    if stays:
        print(f"\n{plural(len(stays), 'run')} {'stays' if len(stays) == 1 else 'stay'}:")
    for stay in stays:
        print(f"  {shown(stay.run.path)}: {one_line(stay.reason)}")
    _show_syncs(found, stays, way, options)
    _show_unproven(found, stays, way)


def _show_too_young(found: Survey, options: argparse.Namespace) -> None:
    """Say which runs are left out by their age alone."""
    if options.older_than is None and options.before is None:
        return
    of_any_age = argparse.Namespace(**{**vars(options), "older_than": None, "before": None})
    chosen = {run.path for run in selection.choose(found, options, options.names)}
    young = [
        run for run in selection.choose(found, of_any_age, options.names) if run.path not in chosen
    ]
    if young:
        are = "is" if len(young) == 1 else "are"
        print(f"\n{plural(len(young), 'run')} {are} not old enough:")
        for run in young[:_NAMED]:
            print(f"  {shown(run.path)}: {_last_written(run, by_date=options.before is not None)}")
        if len(young) > _NAMED:
            print(f"  and {len(young) - _NAMED:,} more")


def _last_written(run: Run, *, by_date: bool) -> str:
    if by_date:
        last = moment(run.last_write)
        on = "in the future" if last is None else last.strftime("on %Y-%m-%d at %H:%M")
        return f"last written {on}"
    ago = age(time.time() - run.last_write)
    return "written to just now" if ago == "now" else f"written to {ago} ago"


def _show_syncs(
    found: Survey, stays: Sequence[Stay], way: str, options: argparse.Namespace
) -> None:
    """Return how to bring to W&B what it does not have, for runs that wait for that alone."""
    runs = {run.path: run for run in found.runs}
    judge = _judge(found, options)
    waiting, others = set[bytes](), dict[bytes, str]()
    for stay in stays:
        if stay.run.state == UNSYNCED:
            paths = _unsynced(found, stay.run)
            then = judge(stay.run._replace(state=SYNCED))
            if then is None and all(_sync(found, path) for path in paths):
                waiting.update(paths)
            else:
                others |= dict.fromkeys(paths, then or "")
    for title, some in (
        (
            "W&B does not have all of these. Sync them, and an hour later you can delete them:",
            waiting,
        ),
        (
            "W&B does not have all of these yet, and a sync alone does not let them go:",
            others.keys() - waiting,
        ),
    ):
        if some:
            print(f"\n{title}")
        for path in sorted(some):
            word = quoted(posixpath.join(os.fsencode(way), path))
            command = _sync(found, path)
            if command is not None:
                print(f"    {command} {word}")
                if path not in waiting and others[path]:
                    print(f"    # then it stays: {one_line(others[path])}")
            else:
                print(f"    # {word}: {_nothing_to_sync(found, path, runs[path])}")


def _nothing_to_sync(found: Survey, path: bytes, run: Run) -> str:
    """Return why W&B's *run* cannot be synced, and what else there is to do."""
    folder = found.scan.find(path)
    there = folder is not None and has_log(folder)
    why = f"its log is {'empty' if there else 'missing'}, so there is nothing to sync"
    # What can be accepted is told of below.
    return why if run.unproven else f"{why}: only you can delete it, by hand"


def _show_unproven(found: Survey, stays: Sequence[Stay], way: str) -> None:
    """Return how to let go what W&B may have, though nothing proves it."""
    runs = {run.path: run for run in found.runs}
    paths = {path for stay in stays for path in _unsynced(found, stay.run) if runs[path].unproven}
    if paths:
        print("\nNothing proves that these are uploaded. If you have seen them in W&B:")
    for path in sorted(paths):
        word = quoted(posixpath.join(os.fsencode(way), path))
        print(f"    {NAME} --accept-unproven {word}")


def _show_not_accepted(found: Survey, accepted: Sequence[bytes]) -> None:
    """Say for which runs ``--accept-unproven`` changes nothing, and why."""
    lines = []
    is_left = False
    for path in accepted:
        meant = [
            run
            for run in found.runs
            if run.kind == WANDB_RUN and path in (run.path, *parents(run.path))
        ]
        if not meant:
            lines.append(f"{shown(path)}: is not a run of W&B, and there is none in it")
        for run in meant:
            if run.state in (LIVE, UNSYNCED):
                lines.append(f"{shown(run.path)}: {run.state}: {one_line(run.reason)}")
                is_left = is_left or run.state == UNSYNCED
    if lines:
        print("\n--accept-unproven does not count for these. It is for runs that W&B may have:")
        print("\n".join(f"  {line}" for line in lines))
    if is_left:
        print(
            "Sync them first. If you never will, pack them with fx-archive-runs, and delete their"
            " folders by hand."
        )


def _sync(found: Survey, path: bytes) -> str | None:
    """Return the command that brings W&B's run at *path* to it; None where it holds nothing."""
    folder = found.scan.find(path)
    return sync_command(folder) if folder is not None and can_be_synced(folder) else None


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
    return KINDS[run.kind].details(os.path.join(found.root, run.path)).metrics


class _Deletion:
    """Deletes runs one by one, and knows in the end what is to be said of them."""

    def __init__(
        self, found: Survey, log: CleanLog, target: bytes | None, protection: Protection
    ) -> None:
        self._found = found
        self._protection = protection
        self._log = log
        self._archive = None if target is None else _lasting(os.fsdecode(target))
        self._packed: dict[bytes, PackedRun] = {}
        # How many names of a file are gone: it comes free with the last one.
        self._names: Counter[tuple[int, int]] = Counter()
        self._freed = self._count = 0
        self._has_begun = False
        self._in_place: list[Stay] = []
        self._aside: list[Stay] = []
        self._gone: list[Stay] = []

    def pack(
        self, items: Sequence[Item], runs: Sequence[Run], target: bytes, *, force: bool
    ) -> list[Run]:
        """Pack runs into the archive; those of them that are whole in it now."""
        with shown_progress() as progress:
            written = writer.write(self._found.root, items, target, force=force, progress=progress)
        by_path = {run.path: run for run in runs}
        self._packed = {run.path: run for run in written.runs}
        self._in_place += [Stay(by_path[path], reason) for path, reason in written.left_out]
        return [run for run in runs if run.path in self._packed]

    def remove(self, runs: Sequence[Run]) -> None:
        """Put all of *runs* aside, then delete them: until then all of them can come back."""
        waiting: list[tuple[Run, Aside]] = []
        try:
            for run in runs:
                with self._telling(run):
                    waiting.append((run, self._put_aside(run)))
            waiting.reverse()
            while waiting:
                run, aside = waiting.pop()
                self._has_begun = True
                with self._telling(run):
                    free(
                        aside,
                        differs=partial(self._differs, run),
                        log=partial(self._log.add, run, self._archive),
                        protecting=partial(self._protection.of, run),
                    )
                    size = self._free(run)
                    self._freed += size
                    self._count += 1
                    print(f"deleted {shown(run.path)}: {human_size(size)}")
        finally:
            for run, aside in waiting:
                with self._telling(run):
                    aside.put_back()

    @contextlib.contextmanager
    def telling_interruption(self, runs: Sequence[Run]) -> Iterator[None]:
        """Let an interruption say which of *runs* were deleted before it, or are aside."""
        try:
            yield
        except KeyboardInterrupt:
            deleted = "nothing was deleted"
            if self._has_begun:
                were = "was" if self._count == 1 else "were"
                deleted = (
                    f"{plural(self._count, 'run')} {were} deleted; --yes finishes what was begun"
                )
            root = self._found.root
            if any(left for run in runs for left in places_aside(root, run.path)):
                deleted += "; --undo puts back what was moved aside"
            raise KeyboardInterrupt(deleted) from None

    def _put_aside(self, run: Run) -> Aside:
        return put_aside(
            self._found.root,
            run.path,
            run.size,
            differs=partial(self._differs, run),
            protecting=partial(self._protection.of, run),
        )

    @contextlib.contextmanager
    def _telling(self, run: Run) -> Iterator[None]:
        """Keep in mind what becomes of a run that does not go."""
        try:
            yield
        except Stays as exc:
            self._in_place.append(Stay(run, str(exc)))
        except LeftAside as exc:
            self._aside.append(Stay(run, str(exc)))
        except Gone:
            self._gone.append(Stay(run, "it has been removed meanwhile"))

    def _differs(self, run: Run, place: bytes) -> str | None:
        if self._archive is None:
            return None
        return writer.changed_since(self._found.root, self._packed[run.path], place)

    def _free(self, run: Run) -> int:
        """Return what comes free with *run*, after those before it."""
        disk = 0
        top = self._found.scan.find(run.path)
        for folder in () if top is None else top.walk():
            disk += folder.disk + sum(file[2] for file in folder.files)
            for link in folder.links:
                self._names[link.key] += 1
                if self._names[link.key] < link.names:
                    disk -= link.disk
        return disk

    def tell(self) -> int:
        """Say what was done; return the exit code."""
        print(f"Deleted {plural(self._count, 'run')}, which freed {human_size(self._freed)}.")
        if self._count:
            print(f"The log is {shown(self._log.path)}")
        its = "its" if len(self._in_place) == 1 else "their"
        for title, stays in (
            (f"Still in {its} place:", self._in_place),
            (f"Moved aside, and not deleted yet ({NAME} --yes tries again):", self._aside),
            ("Not there any more:", self._gone),
        ):
            if stays:
                print(f"\n{title}")
            for stay in sorted(stays):
                print(f"  {shown(stay.run.path)}: {one_line(stay.reason)}")
        return FOUND if self._in_place or self._aside else CLEAN


def _lasting(target: str) -> str:
    """Return where an archive is, also for who asks from another folder."""
    return target if is_address(target) else os.path.abspath(target)


def _best(text: str) -> Best:
    metric, colon, way = text.rpartition(":")
    if metric and colon and way in [one.value for one in Way]:
        return Best(metric, Way(way))
    known = direction(text)
    if known is None:
        raise argparse.ArgumentTypeError(
            f"the name does not say whether {text!r} is better smaller or larger: write"
            f" {text}:min or {text}:max"
        )
    return Best(text, known)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs")
    return int(text)


def _word(argument: str) -> str:
    return quoted(os.fsencode(argument))


if __name__ == "__main__":
    raise SystemExit(main())
