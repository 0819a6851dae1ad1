"""``fx-check-range --all``: what artifacts weigh in the whole history, and who brought them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.audit import page, report
from fx_hooks.audit.figures import Audit, Brought, Rest, take_stock
from fx_hooks.errors import FatalError
from fx_hooks.finding import Finding
from fx_hooks.git import SUBMODULE_MODE
from fx_hooks.history import ranges
from fx_hooks.history.walk import Introduction, describe
from fx_hooks.progress import Progress
from fx_hooks.reports.text import Report

if TYPE_CHECKING:
    from fx_hooks.git import ObjectStore
    from fx_hooks.history.judge import Artifact, Judged, RangeJudge
    from fx_hooks.reports import output

_STEP = 1000
_SHIFT = 32
_TIMES = (1 << _SHIFT) - 1
_Weights = Mapping[str, "tuple[int, int] | None"]


def audit(
    store: ObjectStore,
    judge: RangeJudge,
    out: output.Output,
    *,
    command: str,
    rules: Mapping[str, str],
    html: str | None = None,
    verbose: bool = False,
) -> int:
    """Judge the history of all refs, report, and return the exit code.

    *html* is where the page goes. Raises :class:`~fx_hooks.errors.FatalError`.
    """
    if html is not None:
        page.check_place(html)
    if ranges.shallow_commits(store):
        raise FatalError(
            "the clone is shallow, so most of the history is not in it: git fetch --unshallow"
        )
    refs = ranges.everything(store)
    with Progress(sys.stderr) as progress:
        collector = _Collector(progress)
        judged = judge.judge("--all", each=collector.take)
        weights = _weigh(store, collector, progress)
        there = _in_tips(store) if judged.artifacts else set()
    figures = _figures(judged, collector, weights, there, len(refs))
    numbers = sorted(figures.numbers())
    described = describe(store, (judged.commits[number] for number in numbers))
    figures = figures.with_commits(
        {number: described[judged.commits[number]] for number in numbers}
    )
    if html is not None:
        page.write_page(html, figures, _name(store))
    findings = _findings(store, judged.artifacts, weights, there)
    return out.deliver(
        Report(command, findings, rules, notes=judged.notes),
        lambda colour: report.audit_report(figures, verbose=verbose, colour=colour),
    )


class _Collector:
    """Each blob of the history: the number of the commit that had it first, and how often it came.

    Both in one number, for there may be millions of them.
    """

    def __init__(self, progress: Progress) -> None:
        self.blobs: dict[str, int] = {}
        self._progress = progress
        self._count = 0

    def take(self, item: Introduction) -> None:
        # The newest commit comes first, so the last one said is the oldest.
        if item.mode != SUBMODULE_MODE:
            before = self.blobs.get(item.blob, 0) & _TIMES
            self.blobs[item.blob] = (item.commit << _SHIFT) | (before + 1 & _TIMES)
        self._count += 1
        if not self._count % _STEP:
            self._progress("commits", item.commit)

    def first(self, blob: str) -> int:
        """The number of the oldest commit that brought *blob*."""
        return self.blobs[blob] >> _SHIFT

    def times(self, blob: str) -> int:
        """How often commits brought it, at whatever path."""
        return self.blobs[blob] & _TIMES


def _weigh(store: ObjectStore, collector: _Collector, progress: Progress) -> _Weights:
    weights = {}
    total = len(collector.blobs)
    for number, (blob, weight) in enumerate(store.weigh(collector.blobs)):
        weights[blob] = weight
        if not number % _STEP:
            progress("blobs", number, total)
    return weights


def _in_tips(store: ObjectStore) -> set[str]:
    """All objects that a branch, a tag or ``HEAD`` has."""
    found = store.run("rev-list", "--objects", "--no-object-names", "--no-walk", "--all")
    return set(found.decode().split())


def _figures(
    judged: Judged, collector: _Collector, weights: _Weights, there: set[str], refs: int
) -> Audit:
    artifacts = {item.blob: item for item in judged.artifacts if item.blob in weights}
    times = Counter(item.blob for item in judged.artifacts)
    brought = []
    for blob, item in artifacts.items():
        size, packed = weights[blob] or (None, None)
        shared = collector.times(blob) > times[blob]
        first = collector.first(blob)
        brought.append(
            Brought(item.path, item.rule, item.group, first, size, packed, blob in there, shared)
        )
    return take_stock(judged.times, brought, _rest(artifacts, collector, weights), refs=refs)


def _rest(
    artifacts: Mapping[str, Artifact], collector: _Collector, weights: _Weights
) -> Iterator[Rest]:
    for blob in collector.blobs:
        if blob not in artifacts:
            size, packed = weights[blob] or (0, 0)
            yield Rest(collector.first(blob), 1, size, packed, int(weights[blob] is None))


def _findings(
    store: ObjectStore, artifacts: Sequence[Artifact], weights: _Weights, there: set[str]
) -> list[Finding]:
    commits = describe(store, (item.commit for item in artifacts))
    times = Counter(item.blob for item in artifacts)
    return [
        Finding(
            item.path,
            item.rule,
            item.why,
            item.advice,
            item.group,
            (weights.get(item.blob) or (None,))[0],
            True,
            commit=commits[item.commit],
            blob=item.blob,
            in_tip=item.blob in there,
            occurrences=times[item.blob],
        )
        for item in artifacts
    ]


def _name(store: ObjectStore) -> str:
    place = store.git_directory.rstrip(os.sep)
    folder = os.path.dirname(place) if os.path.basename(place) == ".git" else place
    return os.path.basename(folder).removesuffix(".git")
