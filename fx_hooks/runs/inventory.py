"""The runs of a repository: where they are, what they take, and whether they may go."""

from __future__ import annotations

import os
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import accumulate, chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.best_models.provenance import fits
from fx_hooks.frameworks.configuration import MAX_BYTES, is_configuration
from fx_hooks.frameworks.framework import (
    Confirmation,
    Ending,
    Evidence,
    Outcome,
    Proof,
    Role,
    State,
)
from fx_hooks.frameworks.registry import FRAMEWORKS, KINDS
from fx_hooks.frameworks.wandb.sync_logs import Syncs
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.reporting.layout import plural
from fx_hooks.runs.added_files import find_added
from fx_hooks.runs.contents import contents_of
from fx_hooks.runs.foreign_files import find_foreign_files
from fx_hooks.runs.layouts import (
    HYDRA_JOB,
    HYDRA_SWEEP,
    WANDB_RUN,
    FoundRun,
    find_runs,
    run_patterns,
)
from fx_hooks.runs.liveness import Processes, Use, find_processes
from fx_hooks.runs.milestone_runs import find_chosen, milestones_of_runs
from fx_hooks.runs.places import find_unusual
from fx_hooks.util.disk import Problem, Scan, Size, files_only, scan
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository
    from fx_hooks.util.disk import Folder

__all__ = [
    "FAILED", "FINISHED", "HYDRA_JOB", "HYDRA_SWEEP", "LIVE", "SYNCED", "UNSYNCED", "WANDB_RUN",
    "Run", "Survey", "kept_because", "outermost", "survey",
]  # fmt: skip

LIVE, UNSYNCED, SYNCED = State.LIVE, State.UNSYNCED, State.SYNCED
FINISHED, FAILED = State.FINISHED, State.FAILED
HOUR = 3600.0
# A run that does not say that it has ended, and whose processes nobody sees from here.
_UNSEEN = 7 * 24 * HOUR
# How far the clocks of machines differ.
_CLOCKS = 60.0
# What a job may do before it calls `wandb.init`: load data, wait for a lock.
_BEFORE_INIT = 600.0
_ROUNDED = 0.5
_MOST_BEFORE = _BEFORE_INIT + _ROUNDED  # that a span begins before its job
_PROCESSES = "the processes of this machine"
_SERVER = "the server"
_ACCEPTED = "accepted without a proof that it is uploaded"
_WORST_FIRST = (LIVE, UNSYNCED, FAILED)
# Where scratch storage is linked to.
_USUAL = {b"runs", *(place for each in FRAMEWORKS for place in each.usual_places)}


class Run(NamedTuple):
    """One run on disk; paths are relative to the root, times in seconds since the epoch.

    ``state`` is the worst of its own and of what it holds and ``owns``, and ``reason``
    says why, as part of a sentence. ``within`` is the innermost run around it;
    ``owner`` the job that started this tracker's run, wherever it lies. ``milestones``
    are chosen models that came from it, ``tracked`` what git tracks in it. ``in_the_way``
    says why it could not be deleted, whoever wanted to, and is mostly empty. ``evidence``
    is what was read of this run itself; ``unproven`` says that all that it waits for is a
    proof that it is uploaded. ``added`` is what someone may have put into it, as part of a
    sentence. One that ``is_unusual`` is where runs usually are not, and is meant only by its
    own name. It ``failed`` if it ended, and says that of itself or of what belongs to it, be
    that synced or not.
    """

    path: bytes
    kind: str
    size: Size
    started: float
    last_write: float
    state: State
    reason: str
    within: bytes | None
    owner: bytes | None
    owns: tuple[bytes, ...]
    milestones: tuple[bytes, ...]
    tracked: tuple[bytes, ...]
    run_id: str
    in_the_way: str = ""
    evidence: tuple[Evidence, ...] = ()
    unproven: bool = False
    added: str = ""
    is_unusual: bool = False
    failed: bool = False


class Survey(NamedTuple):
    """All runs by path; ``notes`` say what could not be looked at.

    ``members`` are, by run, those that lie in it and those that it or they have started.
    ``unread`` are folders outside of the runs that nobody could look into for more.
    """

    root: bytes
    scan: Scan
    runs: tuple[Run, ...]
    notes: tuple[str, ...]
    members: Mapping[bytes, Collection[bytes]]
    unread: tuple[Problem, ...] = ()

    def belonging(self, run: Run) -> list[Run]:
        """*run* itself, and all that belongs to it."""
        members = self.members[run.path]
        return [run, *(other for other in self.runs if other.path in members)]

    def not_looked_into(self) -> list[str]:
        """Return what is to be said of ``unread``."""
        return [
            f"{shown(problem.path)} cannot be read, and there may be runs in it: {problem.reason}"
            for problem in self.unread
        ]


def outermost(runs: Iterable[Run]) -> list[Run]:
    """Those that lie in no other run."""
    return [run for run in runs if run.within is None]


def kept_because(
    run: Run, *, is_named: bool = False, with_added: bool = False, archived: bool = False
) -> str | None:
    """Return why *run* must not be deleted; None where it may.

    It may be named itself, not only meant; *with_added* it may go with what someone has put
    into it; *archived*: it is packed before.
    """
    if run.state in (LIVE, UNSYNCED):
        return f"{run.state}: {run.reason}"
    if run.milestones:
        return f"{_some(run.milestones)} came from it"
    if run.tracked:
        return f"git tracks {_some(run.tracked)}"
    if run.in_the_way:
        return run.in_the_way
    if run.is_unusual and not is_named:
        return "chosen models may be here: to delete it, name this folder itself"
    if run.added and not with_added:
        return run.added
    if KINDS[run.kind].only_copy and not archived:
        return "it usually exists nowhere else: add --archive FILE, which packs it first"
    return None


def survey(
    repository: Repository,
    *,
    progress: Callable[[int], None] | None = None,
    now: float | None = None,
    accepted: Collection[bytes] = (),
    confirmations: Mapping[bytes, Confirmation] = MappingProxyType({}),
) -> Survey:
    """Look at all runs below the root of *repository*, as they are *now*.

    Runs at or below *accepted* paths are taken for uploaded where nothing but the proof of
    that is missing; what a server said of them, in *confirmations*, counts more than all else.
    Without psutil, or where it may not look, runs are judged by their files alone, and a note
    says so. Raises :class:`~fx_hooks.util.errors.FatalError` if the root or the policy cannot be
    read.
    """
    root = repository.root
    index = repository.index_by_path()
    found_tree, processes, notes = _scanned(root, progress)
    policy = policy_in_force(repository, index).policy
    patterns = run_patterns(_configuration(root, index), policy.projects)
    found = [
        run._replace(run_id=run.about.identity(run.folder, root))
        for run in find_runs(found_tree.top, patterns)
    ]
    started = {run.path: _started(run, root) for run in found}
    now = time.time() if now is None else now
    known = _Endings(found_tree, processes, now, accepted, confirmations)
    endings = {run.path: known.ending(run) for run in found}
    owners = _owners(found, started, root)
    members = _members(found, owners)
    chosen_models = find_chosen(repository, index)
    milestones = milestones_of_runs(chosen_models, found, root)
    unusual = find_unusual(
        found,
        lambda: policy,
        lambda: _configuration(root, filter(_is_read, index), b""),
        patterns,
    )
    tracked = sorted(index)
    by_path = {run.path: run for run in found}
    around = {run.path: run.within for run in found}
    contents = contents_of(found)
    foreign = find_foreign_files(contents, endings, started, Syncs(found_tree), found_tree)
    added = find_added(contents, root)
    runs = []
    for run in found:
        worst = _worst(run, endings, members)
        size = run.folder.size()
        concerned = (run.path, *members[run.path], *_jobs_of(run, owners, by_path))
        chosen = {model for path in concerned for model in milestones.get(path, ())}
        runs.append(
            Run(
                path=run.path,
                kind=run.kind,
                size=size,
                started=started[run.path],
                last_write=size.newest,
                state=worst.state,
                reason=worst.reason,
                within=run.within,
                owner=owners.get(run.path),
                owns=tuple(
                    path
                    for path in members[run.path]
                    if run.path in (owners.get(path), around[path])
                ),
                milestones=tuple(sorted(chosen)),
                tracked=_below(tracked, run.path),
                run_id=run.run_id,
                evidence=endings[run.path].evidence,
                unproven=endings[run.path].unproven,
                in_the_way=_in_the_way(run.path, found_tree, processes)
                or _chosen(run.path, chosen_models.folders)
                or foreign.get(run.path, "")
                or chosen_models.unknown,
                is_unusual=run.path in unusual,
                added=added.get(run.path, ""),
                failed=worst.state != LIVE
                and any(_failed(endings[path]) for path in (run.path, *members[run.path])),
            )
        )
    told = (*notes, *_unseen(found, processes))
    return Survey(root, found_tree, tuple(runs), told, members, _unread(found_tree, members))


def _scanned(
    root: bytes, progress: Callable[[int], None] | None
) -> tuple[Scan, Processes, list[str]]:
    """Return what lies below *root*, which processes use it, and what could not be looked at."""
    notes = []
    try:
        processes = find_processes(root)
    except FatalError as exc:
        processes = Processes((), frozenset({None}))
        notes.append(f"{exc}; until then only the files of a run say whether it is live")
    try:
        tree = scan(root, wanted=processes.numbered, progress=progress)
    except OSError as exc:
        raise FatalError(f"{shown(root)}: cannot be read: {exc.strerror}") from exc
    return tree, processes.found_in(tree), [*_links(tree.top, root), *notes]


def _unread(tree: Scan, runs: Collection[bytes]) -> tuple[Problem, ...]:
    """Return what could not be read in *tree* and lies in none of *runs*."""
    return tuple(
        problem
        for problem in tree.problems
        if not any(path in runs for path in (*parents(problem.path), problem.path))
    )


class _Endings:
    """The ending of each run, from its files and from the processes that use it."""

    def __init__(
        self,
        tree: Scan,
        processes: Processes,
        now: float,
        accepted: Collection[bytes],
        confirmations: Mapping[bytes, Confirmation],
    ) -> None:
        self._root = tree.root
        self._confirmations = confirmations
        self._accepted = frozenset(accepted)
        self._endings = {kind.name: kind.endings(tree) for kind in KINDS.values()}
        self._processes = processes
        self._now = now

    def ending(self, run: FoundRun) -> Ending:
        """Return what is to be said of *run* itself, with what was read of it."""
        use = self._processes.using(run.path)
        age = self._now - run.folder.size().newest
        if age < -_CLOCKS:
            age = self._now - self._changed(run)
        all_seen = self._processes.all_seen or (
            not self._processes.shared and all(map(self._processes.sees, run.folder.owners()))
        )
        seen = _seen(use, all_seen=all_seen)
        written = Evidence("its newest file", f"{_written(age)}", _proof_of_age(age))
        if use is not None:
            return Ending(State.LIVE, seen.says, False, (seen, written))
        if age < HOUR:
            return Ending(State.LIVE, written.says, False, (seen, written))
        ending = self._endings[run.kind](run.folder)
        ending = ending._replace(evidence=(seen, written, *ending.evidence))
        if not ending.ended and age < _UNSEEN and not all_seen:
            why = "it does not say that it has ended, and a process that cannot be seen may use it"
            return Ending(State.LIVE, why, False, ending.evidence)
        if run.path in self._confirmations:
            ending = _confirmed(ending, self._confirmations[run.path])
        if ending.unproven and not self._accepted.isdisjoint((*parents(run.path), run.path)):
            reason = f"{_ACCEPTED}: {ending.reason}"
            return ending._replace(state=State.SYNCED, reason=reason, unproven=False)
        return ending

    def _changed(self, run: FoundRun) -> float:
        """Return when *run* was written to, some of whose files claim to be from the future.

        What the file system says of these is when they were last changed, at all.
        """
        last = run.folder.mtime
        for folder in run.folder.walk():
            for name, _, _, mtime, _ in folder.files:
                if mtime > self._now + _CLOCKS:
                    try:
                        place = os.path.join(self._root, folder.path, name)
                        mtime = os.lstat(place).st_ctime
                    except OSError:
                        continue  # it has just gone
                last = max(last, mtime)
        return last


def _confirmed(ending: Ending, confirmation: Confirmation) -> Ending:
    """Return *ending* after what the server says of the run."""
    proves, state, reason = {
        Outcome.CONFIRMED: (
            Proof.UPLOADED, FAILED if ending.failed else SYNCED, confirmation.says
        ),
        Outcome.DIFFERENT: (Proof.NOT_UPLOADED, UNSYNCED, confirmation.says),
        Outcome.UNKNOWN: (Proof.NOTHING, UNSYNCED, confirmation.says),
    }[confirmation.outcome]  # fmt: skip
    return ending._replace(
        state=state,
        reason=reason,
        evidence=(*ending.evidence, Evidence(_SERVER, confirmation.says, proves)),
        unproven=confirmation.outcome is Outcome.UNKNOWN,
    )


def _seen(use: Use | None, *, all_seen: bool) -> Evidence:
    if use is not None:
        how = "has" if use.opened else "works in"
        what = f" {shown(use.path)} open" if use.opened else f" {shown(use.path)}"
        says = f"{use.process} (process {use.pid}) {how}{what}"
        return Evidence(_PROCESSES, says, Proof.IN_USE)
    if all_seen:
        return Evidence(_PROCESSES, "none uses it", Proof.NOT_IN_USE)
    return Evidence(_PROCESSES, "none of those that can be seen uses it", Proof.NOTHING)


def _proof_of_age(age: float) -> Proof:
    return Proof.IN_USE if age < HOUR else Proof.NOT_IN_USE


def _written(age: float) -> str:
    if age < -60:
        return "its newest file is from the future"
    if age >= 48 * HOUR:
        return f"written {age / (24 * HOUR):.1f} days ago"
    if age >= 2 * HOUR:
        return f"written {age / HOUR:.0f} hours ago"
    if age < 60:
        return "written less than a minute ago"
    return f"written {plural(int(age // 60), 'minute')} ago"


def _worst(
    run: FoundRun, endings: Mapping[bytes, Ending], members: Mapping[bytes, Iterable[bytes]]
) -> Ending:
    """Return the ending that counts for *run*: the worst of its own and of its members'."""
    found = _worst_of_all(run, endings, members)
    accepted = [path for path in members[run.path] if endings[path].reason.startswith(_ACCEPTED)]
    if not accepted or found.state in (LIVE, UNSYNCED):
        return found
    reason = f"{shown(accepted[0])}: {endings[accepted[0]].reason}"
    if found.state == FAILED:
        reason = f"{found.reason}; {reason}"
    return found._replace(reason=reason)


def _worst_of_all(
    run: FoundRun, endings: Mapping[bytes, Ending], members: Mapping[bytes, Iterable[bytes]]
) -> Ending:
    own = endings[run.path]
    for state in _WORST_FIRST:
        if own.state == state:
            return own
        for path in members[run.path]:
            if endings[path].state == state:
                reason = f"{shown(path)}: {endings[path].reason}"
                return endings[path]._replace(reason=reason)
    states = {endings[path].state for path in members[run.path]}
    if own.state == FINISHED and SYNCED in states:
        return own._replace(state=SYNCED, reason="what it sent to W&B has been synced")
    return own


def _failed(ending: Ending) -> bool:
    return ending.failed or ending.state == FAILED


def _members(
    found: Sequence[FoundRun], owners: Mapping[bytes, bytes]
) -> dict[bytes, dict[bytes, None]]:
    """For each run the runs that lie in it, and those that it or what lies in it owns."""
    around = {run.path: run.within for run in found}
    # As keys: a sweep may have thousands of jobs.
    members: dict[bytes, dict[bytes, None]] = {run.path: {} for run in found}
    for run in found:
        waiting = [run.within, owners.get(run.path)]
        while waiting:
            above = waiting.pop()
            if above is not None and above != run.path and run.path not in members[above]:
                members[above][run.path] = None
                waiting.append(around[above])
    return members


def _owners(
    found: Sequence[FoundRun], started: Mapping[bytes, float], root: bytes
) -> dict[bytes, bytes]:
    """Return the job of each tracker's run: the one around it, or the one whose time it was in.

    A copy may have lost the times of its files; there the names tell.
    """
    jobs = [run for run in found if run.about.role is Role.JOB]
    by_path = {job.path: job for job in jobs}
    timeline = _Timeline([_span(job, started[job.path]) for job in jobs], root)
    by_name = _Timeline(_named_spans(jobs, started), root)
    owners = {}
    for run in found:
        if run.about.role is not Role.TRACKER:
            continue
        above = reversed(parents(run.path))
        around = next((by_path[path] for path in above if path in by_path), None)
        if around is None:
            around = timeline.owner(run, started[run.path])
        if around is None and (named := run.about.named(run.path)) is not None:
            around = by_name.owner(run, named)
        if around is not None:
            owners[run.path] = around.path
    return owners


def _jobs_of(
    run: FoundRun, owners: Mapping[bytes, bytes], by_path: Mapping[bytes, FoundRun]
) -> list[bytes]:
    """Return the jobs that *run* lies in, or that started it: what is said of them is said of it.

    Not so their sweep, which has many.
    """
    jobs = []
    waiting = [owners.get(run.path), run.within]
    while waiting:
        path = waiting.pop()
        if path is not None and by_path[path].about.role is not Role.GROUP:
            jobs.append(path)
            waiting += [owners.get(path), by_path[path].within]
    return jobs


class _Span(NamedTuple):
    """A job began at ``started``; what W&B began from *first* to *last* may be its own."""

    job: FoundRun
    started: float
    first: float
    last: float


def _span(job: FoundRun, started: float) -> _Span:
    first = started - _ROUNDED
    last = max(job.folder.size().newest, first + _BEFORE_INIT)
    if job.about.first_folder not in job.folder.folders:
        first -= _BEFORE_INIT  # nothing in it has the time of its beginning
    return _Span(job, started, first, last + 1)


def _named_spans(jobs: Iterable[FoundRun], started: Mapping[bytes, float]) -> Iterator[_Span]:
    """Yield the days from the time in a name on, of jobs whose files have other times.

    They may be a copy, which says nothing of when they ended.
    """
    named = {job.path: job.about.named(job.path) for job in jobs}
    first: dict[float, float] = {}  # of a sweep, whose time all of its jobs are named after
    for path, told in named.items():
        if told is not None:
            first[told] = min(first.get(told, started[path]), started[path])
    for job in jobs:
        told = named[job.path]
        if told is not None and abs(first[told] - told) > _CLOCKS:
            yield _Span(job, told, told - _ROUNDED, told - _ROUNDED + 24 * HOUR)


class _Timeline:
    """Finds jobs by time, without looking at each of them for each run."""

    def __init__(self, found: Iterable[_Span], root: bytes) -> None:
        spans = list(found)
        self._later = sorted(spans, key=lambda span: (span.started, span.job.path))
        self._earlier = sorted(spans, key=lambda span: (-span.started, span.job.path))
        self._starts = [span.started for span in self._later]
        # The latest end of each and of all that began before it.
        self._ends = list(accumulate((span.last for span in reversed(self._earlier)), max))[::-1]
        self._root = root
        self._configurations: dict[bytes, Any] = {}

    def owner(self, run: FoundRun, started: float) -> FoundRun | None:
        """Return the job that a tracker's *run* most likely belongs to."""
        around = self._around(started)
        nearest, second = next(around, None), next(around, None)
        if nearest is None or second is None:
            return nearest
        # Jobs side by side: what the tracker was told of the configuration tells them apart.
        told = self._configuration(run)
        for job in chain((nearest, second), around) if told else ():
            if fits(told, self._configuration(job)):
                return job
        return nearest

    def _around(self, started: float) -> Iterator[FoundRun]:
        """Yield the jobs that *started* was in, those that began nearest to it first."""
        place = bisect_left(self._starts, started)

        def later() -> Iterator[_Span]:
            for number in range(place, len(self._later)):
                span = self._later[number]
                if span.started > started + _MOST_BEFORE:
                    break
                yield span

        def earlier() -> Iterator[_Span]:
            for number in range(len(self._earlier) - place, len(self._earlier)):
                if self._ends[number] < started:
                    break
                yield self._earlier[number]

        def nearness(span: _Span) -> tuple[float, bytes]:
            return abs(started - span.started), span.job.path

        for span in merge(later(), earlier(), key=nearness):
            if span.first <= started <= span.last:
                yield span.job

    def _configuration(self, run: FoundRun) -> Any:
        if run.path not in self._configurations:
            place = os.path.join(self._root, run.path)
            self._configurations[run.path] = run.about.details(place).config
        return self._configurations[run.path]


def _started(run: FoundRun, root: bytes) -> float:
    """Return when *run* began, as it says itself; else the time of the oldest of its files."""
    told = run.about.started(run.folder, root)
    if told is not None:
        return told
    return run.folder.folders.get(run.about.first_folder, run.folder).oldest()


def _is_read(path: bytes) -> bool:
    return is_configuration(os.fsdecode(path))


def _chosen(path: bytes, folders: Collection[bytes]) -> str:
    """Return why a run is not a run but what somebody chose; empty where it is a run."""
    for folder in sorted(folders):
        if f"{os.fsdecode(path)}/".startswith(f"{os.fsdecode(folder)}/"):
            return f"chosen models are in {shown(folder)}"
        if folder.startswith(path + b"/"):
            return f"chosen models are in it: {shown(folder)}"
    return ""


def _configuration(
    root: bytes, index: Iterable[bytes], ends: bytes | tuple[bytes, ...] = (b".yaml", b".yml")
) -> dict[str, bytes]:
    """Return what the tracked files say on disk that may set the directories of runs."""
    files = {}
    for path in index:
        if path.endswith(ends):
            try:
                with open(os.path.join(root, path), "rb", opener=files_only) as file:
                    content = file.read(MAX_BYTES)
            except OSError:
                continue  # left out of the work tree, or deleted
            if b"dir:" in content or (ends == b"" and b"dir" in content.lower()):
                files[os.fsdecode(path)] = content
    return files


def _below(tracked: Sequence[bytes], path: bytes) -> tuple[bytes, ...]:
    """Those of the sorted paths that are in the folder *path*."""
    first = bisect_left(tracked, path + b"/")
    return tuple(tracked[first : bisect_left(tracked, path + b"0")])


def _links(top: Folder, root: bytes) -> list[str]:
    """Links at the usual places of runs: what is behind them is not looked at."""
    notes = []
    for name, _, _, _, mode in top.files:
        place = os.path.join(root, name)
        if name in _USUAL and stat.S_ISLNK(mode) and os.path.isdir(place):
            target = shown(os.path.realpath(place))
            notes.append(f"{shown(name)} is a link to {target}: runs behind it are not looked at")
    return notes


def _unseen(found: Sequence[FoundRun], processes: Processes) -> list[str]:
    notes = []
    owners = {owner for run in found if run.within is None for owner in run.folder.owners()}
    if processes.hidden:
        notes.append(
            f"{processes.hidden}: some processes cannot be seen, so a run that does not say that it"
            " has ended counts as live for a week"
        )
    elif None not in processes.unseen and not all(map(processes.sees, owners)):
        notes.append(
            "processes of other users cannot be seen: only the files of their runs say whether they"
            " are live"
        )
    if processes.shared:
        notes.append(
            f"this is {processes.shared}: processes of other machines cannot be seen, so only the"
            " files of their runs say whether they are live"
        )
    return notes


def _in_the_way(path: bytes, tree: Scan, processes: Processes) -> str:
    """Return why what is at *path* could not be deleted; empty if it could."""
    below = path + b"/"
    for mount in tree.mounts:
        if mount.startswith(below):
            return f"another file system is mounted in it: {shown(mount)}"
    mount_at = processes.mount_at(path)
    if mount_at is not None:
        where = "around" if path.startswith(mount_at + b"/") else "in"
        return f"another folder is mounted {where} it: {shown(mount_at)}"
    for problem in tree.problems:
        if problem.path.startswith(below):
            return f"{shown(problem.path)} cannot be read: {problem.reason}"
    return ""


def _some(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    return f"{shown(paths[0])}{more}"
