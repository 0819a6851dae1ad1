"""``fx-check-range --all``: what artifacts weigh in the whole history, and who brought them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.git.commands import Command
from fx_hooks.git.repository import SUBMODULE_MODE
from fx_hooks.history import ranges
from fx_hooks.history.audit import audit_text, page
from fx_hooks.history.audit.figures import Audit, Brought, Rest, Weight, measure_history
from fx_hooks.history.audit.merged import as_record
from fx_hooks.history.range_findings import findings_of
from fx_hooks.history.range_report import rewrite_history, take_back_stash
from fx_hooks.history.walk import Row, describe
from fx_hooks.reporting.layout import Step, step_lines
from fx_hooks.reporting.progress import Progress
from fx_hooks.reporting.text import Report
from fx_hooks.util.errors import FatalError
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore
    from fx_hooks.history.commit_check import Artifact, RangeClassifier, RangeResult
    from fx_hooks.reporting import output
    from fx_hooks.reporting.finding import Finding

_Weights = Mapping[str, "tuple[int, ...] | None"]


def audit(
    store: ObjectStore,
    classifier: RangeClassifier,
    out: output.Output,
    *,
    command: str,
    rules: Mapping[str, str],
    html: str | None = None,
    verbose: bool = False,
    notes: Sequence[str] = (),
) -> int:
    """Classifier the history of all refs, report, and return the exit code.

    *html* is where the page goes; *notes* are to be said, too.
    Raises :class:`~fx_hooks.util.errors.FatalError`.
    """
    if html is not None:
        page.check_place(html)
    if ranges.shallow_commits(store):
        raise FatalError(
            "the clone is shallow, so most of the history is not in it: git fetch --unshallow"
        )
    refs, others = ranges.everything(store)
    stashes = ranges.stashes(store)
    older = [tip for _, tip in stashes[1:]]
    with Progress(sys.stderr) as progress:
        # Only who looks at a bar wants to know how long it is.
        total = int(store.run("rev-list", "--count", "--all", *older)) if progress.shows else None
        collector = _Collector(progress, total)
        weights: dict[str, tuple[int, ...] | None] = {}

        def weigh() -> dict[str, int | None]:
            weights.update(_weigh(store, collector, progress))
            return _sizes(weights)

        result = classifier.classify("--all", also=older, each=collector.take, sizes=weigh)
        tips = list(dict.fromkeys([*(tip for _, tip in refs), *older]))
        there = _in_tips(store, result.artifacts, tips) if result.artifacts else set()
    figures = _figures(result, collector, weights, there, len(refs))
    numbers = sorted(figures.numbers())
    described = describe(store, (result.commits[number] for number in numbers))
    figures = figures.with_commits(
        {number: described[result.commits[number]] for number in numbers}
    )
    sizes = _sizes({item.blob: weights[item.blob] for item in result.artifacts})
    findings = findings_of(store, result.artifacts, sizes, there)
    steps = _steps(store, findings, refs, stashes, there, command) if findings else []
    if html is not None:
        page.write_page(html, page.page(figures, _name(store), steps))
    exempt = classifier.exempted(result)
    said = [*result.notes, *notes, *([exempt] if exempt else ()), *_passed_over(others)]

    def text(colour: bool) -> list[str]:
        lines = audit_text.audit_report(figures, verbose=verbose, colour=colour)
        lines += step_lines(steps)
        return [*lines, *([""] if said else []), *(f"note: {note}" for note in said)]

    record = as_record(figures, _name(store))
    return out.deliver(Report(command, findings, rules, steps, said, record), text)


def _steps(
    store: ObjectStore,
    findings: Sequence[Finding],
    refs: Sequence[tuple[str, str]],
    stashes: Sequence[tuple[str, str]],
    there: Collection[tuple[bytes, str]],
    command: str,
) -> list[Step]:
    """Return what takes *findings* out: a clone has no stash, and what is unpublished is yours."""
    ids = {finding.commit.id for finding in findings if finding.commit}
    others = [tip for ref, tip in refs if ref != ranges.STASH]
    in_stash = ranges.without(store, ids, others) if stashes else set()
    unpublished = ranges.without(store, ids - in_stash) if store.run("remote") else set()
    commands, mine = _by_branch(store, unpublished, command)
    steps = []
    rest = [one for one in findings if one.commit and one.commit.id not in in_stash | mine]
    if rest:
        here = store.found(store.head() or refs[0][1], {finding.path for finding in rest}).items()
        kept = {path for path, blob in here if (path, blob) not in there}
        steps.append(rewrite_history(rest, kept))
    if mine:
        what = (
            "Some of these commits are on no remote yet. To see how to take the files out of those:"
        )
        steps.append(Step(what, commands))
    guilty = [name for name, tip in stashes if in_stash - ranges.without(store, in_stash, (tip,))]
    if guilty:
        steps.append(take_back_stash(guilty[0], others=len(guilty) - 1))
    return steps


def _by_branch(
    store: ObjectStore, commits: Collection[str], command: str
) -> tuple[list[Command], set[str]]:
    """Return what to run for each branch that has some of the unpublished *commits*, and those."""
    head = store.head()
    known = ranges.default_remote_branch(store)
    commands, mine = [], set()
    tips = {tip: name for name, tip in ranges.branches(store)}
    for tip in dict.fromkeys([*([head] if head else []), *tips] if commits else []):
        reached = set(commits) - ranges.without(store, commits, (tip,))
        mine |= reached
        if reached and tip == head:
            commands.append(Command(command))
        elif reached and known is not None:
            commands.append(Command(command, f"{known}..{tips[tip]}"))
        elif reached:
            options = ("--from-ref", "0" * len(tip), "--to-ref", tips[tip])
            commands.append(Command(command, *options))
    return commands, mine


def _passed_over(refs: Sequence[str]) -> list[str]:
    if not refs:
        return []
    more = f" and {len(refs) - 1:,} more lead" if refs[1:] else " leads"
    return [f"{one_line(refs[0])}{more} to no commit and was not checked"]


class _Collector:
    """Each blob of the history: the number of the commit that had it first, and how often it came.

    ``again`` counts those alone that came more than once: there may be millions of others.
    """

    def __init__(self, progress: Progress, commits: int | None) -> None:
        self._commits = commits
        self.first: dict[str, int] = {}
        self.again: Counter[str] = Counter()
        self.submodules: set[str] = set()
        self._progress = progress

    def take(self, rows: Sequence[Row]) -> None:
        first = self.first
        for commit, _, mode, blob in rows:
            if blob in first:
                self.again[blob] += 1
            # The newest commit comes first, so the last one said is the oldest.
            first[blob] = commit
            if mode == SUBMODULE_MODE:
                self.submodules.add(blob)
        if rows:
            self._progress("commits", rows[-1][0], self._commits)

    def times(self, blob: str) -> int:
        """Return how often commits brought it, at whatever path."""
        return 1 + self.again[blob]


def _weigh(store: ObjectStore, collector: _Collector, progress: Progress) -> _Weights:
    # Of a submodule there is nothing here but the id of its commit.
    weights: dict[str, tuple[int, ...] | None] = dict.fromkeys(collector.submodules, (0, 0))
    blobs = [blob for blob in collector.first if blob not in weights]
    progress("blobs", 0, len(blobs))
    weights.update(store.weigh(blobs))
    return weights


def _sizes(weights: _Weights) -> dict[str, int | None]:
    return {blob: None if weight is None else weight[0] for blob, weight in weights.items()}


def _in_tips(
    store: ObjectStore, artifacts: Sequence[Artifact], tips: Sequence[str]
) -> set[tuple[bytes, str]]:
    """Return the paths and blobs of *artifacts* that one of *tips* has."""
    # A blob may be there at another path, but only one that is there at all.
    listed = store.run(
        "rev-list", "--objects", "--no-object-names", "--missing=print", "--no-walk", "--all"
    )
    objects = {name.removeprefix("?") for name in listed.decode().split()}
    wanted = {(item.path, item.blob) for item in artifacts
              if item.blob in objects or item.mode == SUBMODULE_MODE}  # fmt: skip
    there: set[tuple[bytes, str]] = set()
    for tip in tips:
        if not wanted:
            break
        there |= wanted & set(store.found(tip, {path for path, _ in wanted}).items())
        wanted -= there
    return there


def _figures(
    result: RangeResult,
    collector: _Collector,
    weights: _Weights,
    there: Collection[tuple[bytes, str]],
    refs: int,
) -> Audit:
    artifacts = {item.blob: item for item in result.artifacts}
    stays = {blob for _, blob in there}
    times = Counter(item.blob for item in result.artifacts)
    brought = []
    for blob, item in artifacts.items():
        size, packed = weights[blob] or (None, None)
        shared = collector.times(blob) > times[blob]
        first = collector.first[blob]
        brought.append(
            Brought(item.path, item.rule, item.group, first, size, packed, blob in stays, shared)
        )
    accepted = Weight()
    for blob in {item.blob for item in result.accepted} - artifacts.keys():
        weight = weights[blob]
        accepted = accepted.plus(Weight(1, 0, 0, 1) if weight is None else Weight(1, *weight))
    rest = _rest(artifacts, collector, weights)
    figures = measure_history(result.times, brought, rest, refs=refs)
    return figures._replace(accepted=accepted)


def _rest(
    artifacts: Mapping[str, Artifact], collector: _Collector, weights: _Weights
) -> Iterator[Rest]:
    """Yield all other blobs, by commit: there may be millions of them."""
    sums: dict[int, list[int]] = {}
    others = artifacts.keys() | collector.submodules
    for blob, weight in weights.items():
        if blob not in others:
            commit = collector.first[blob]
            total = sums.get(commit)
            if total is None:
                total = sums[commit] = [0, 0, 0, 0]
            total[0] += 1
            if weight is None:
                total[3] += 1
            else:
                total[1] += weight[0]
                total[2] += weight[1]
    for commit, total in sums.items():
        yield Rest(commit, *total)


def _name(store: ObjectStore) -> str:
    place = store.git_directory.rstrip(os.sep)
    folder = os.path.dirname(place) if os.path.basename(place) == ".git" else place
    return os.path.basename(folder).removesuffix(".git")
