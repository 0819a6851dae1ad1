"""The classifier of a range: the artifacts among all that its commits bring in.

Nearly all commits are clean, so this goes in two steps. The first looks at each path once
and by the patterns alone, while git still walks. Only what they block, and what lies in
a folder that some commit makes a run, is looked at as it stood in its own commit: whether
its folder holds source files there, whether it is text, whether it is the milestone that
was approved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.classifier import Classifier, Tree, Verdict, is_source
from fx_hooks.best_models.committed_models import CommittedModels
from fx_hooks.best_models.milestones import Milestone, load_contract
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE
from fx_hooks.history.walk import Introduction, Walk
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.model import MILESTONE_RULE, POLICY_NAME, Policy, RunMark
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents
from fx_hooks.weights.plain_text import text_blobs

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore
    from fx_hooks.reporting.finding import Finding

DIGEST_RULE = "best-models-digest"


class Artifact(NamedTuple):
    """One path that one commit brings in and that does not belong in Git.

    ``commit`` is the full id; ``rule`` says why, and ``advice`` what to do instead.
    ``group`` is the run or directory that it is shown with.
    """

    commit: str
    path: bytes
    mode: int
    blob: str
    rule: str
    why: str
    advice: str
    group: bytes


class _Chosen(NamedTuple):
    """The chosen models of a project, or of the repository: where they are, and what is listed.

    ``watched`` are the files that say how to judge.
    """

    folder: bytes
    watched: frozenset[bytes]
    approved: Mapping[str, Milestone]
    contract: CommittedModels


class RangeResult(NamedTuple):
    """The result of a range: its ``commits``, the newest first, and the ``artifacts``.

    ``times`` are when they were committed, in seconds since 1970.

    ``changed`` says which commits changed the policy and the milestones, by file.
    """

    commits: Sequence[str]
    times: Sequence[int]
    artifacts: list[Artifact]
    changed: dict[str, list[str]]
    notes: list[str]


class RangeClassifier:
    """A classifier of ranges by one policy; *approved* are the milestones it comes with.

    Those of its projects are read from the commit *source*.
    """

    def __init__(
        self,
        store: ObjectStore,
        policy: Policy,
        approved: Mapping[str, Milestone],
        *,
        trust_range: bool,
        source: str | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._source = source
        self._trust_range = trust_range
        self._classifier = Classifier(policy)
        self._loose: dict[int, Matcher] = {}
        self._chosen: dict[bytes, _Chosen] = {}
        self._chosen[b""] = self._chosen_of(b"", approved)

    def _around(self, path: bytes) -> bytes:
        projects = self._policy.projects
        return b"" if projects is None else projects.around(path)

    def _chosen_in(self, project: bytes) -> _Chosen:
        if project not in self._chosen:
            approved: Mapping[str, Milestone] = {}
            if self._source is not None:
                approved = milestones_of_commit(self._store, self._source, self._policy, project)
            self._chosen[project] = self._chosen_of(project, approved)
        return self._chosen[project]

    def _chosen_of(self, project: bytes, approved: Mapping[str, Milestone]) -> _Chosen:
        best_models = self._policy.best_models_of(project).below(project)
        policy_file = (project + b"/" if project else b"") + POLICY_NAME.encode()
        return _Chosen(
            os.fsencode(best_models.folder) + b"/",
            frozenset((policy_file, os.fsencode(best_models.milestones_file))),
            approved,
            CommittedModels(self._store, self._policy, project),
        )

    def _is_loose(self, folder: bytes) -> bool:
        """Return True if a pattern blocks *folder* unless it holds source files."""
        projects = self._policy.projects
        project = b"" if projects is None else projects.finder.at(folder)
        policy = self._classifier.of_project(project).policy
        if id(policy) not in self._loose:
            loose = [(entry.pattern, True) for entry in policy.entries if entry.unless_source]
            self._loose[id(policy)] = Matcher(compile_tables(loose))
        matcher = self._loose[id(policy)]
        below = folder[len(project) + 1 :] if project else folder
        return bool(below) and matcher.blocks(matcher.decide_directory(below))

    def classify(
        self,
        new: str,
        old: Iterable[str] = (),
        *,
        each: Callable[[Introduction], None] | None = None,
    ) -> RangeResult:
        """Return all artifacts that the commits of *new* bring in, without those of *old*.

        *new* is a commit, or an option such as ``--all``; then there is nothing old. *each*
        is called with everything that the commits bring in, artifact or not.
        """
        old = list(old)
        walk = Walk(self._store, [new], old)
        suspects, models, changed, folders = self._sift(walk, new, each)
        if folders:
            seen = {(item.commit, item.path) for item in suspects}
            # The same commits in the same order would not do: with paths some are left out.
            numbers = {name: number for number, name in enumerate(walk.commits)}
            again = Walk(self._store, [new], old, sorted(folders))
            for item in again:
                item = item._replace(commit=numbers[again.commits[item.commit]])
                if (item.commit, item.path) not in seen:
                    suspects.append(item)
        artifacts = self._artifacts(walk.commits, suspects, folders)
        if self._trust_range:
            artifacts = [item for item in artifacts if not self._was_approved(item)]
        found, notes = self._unapproved(walk.commits, models)
        return RangeResult(walk.commits, walk.times, artifacts + found, changed, notes)

    def _sift(
        self, walk: Walk, new: str, each: Callable[[Introduction], None] | None
    ) -> tuple[list[Introduction], list[Introduction], dict[str, list[str]], set[bytes]]:
        """Return what the patterns block, possible milestones, and folders that may be runs."""
        known: dict[bytes, bool] = {}
        suspects: list[Introduction] = []
        models: list[Introduction] = []
        changed: dict[str, list[str]] = {}
        places: dict[bytes, _Chosen] = {}
        blocks = self._classifier.blocks
        for item in walk:
            if each is not None:
                each(item)
            path = item.path
            # A submodule is a folder, to patterns that match only those.
            asked = path + b"/" if item.mode == SUBMODULE_MODE else path
            blocked = known.get(asked)
            if blocked is None:
                blocked = known[asked] = blocks(asked)
                places[path] = self._chosen_in(self._around(path))
            if blocked:
                suspects.append(item)
                continue
            if path.startswith(places[path].folder):
                models.append(item)
            if path in places[path].watched:
                changed.setdefault(os.fsdecode(path), []).append(walk.commits[item.commit])
        for path in walk.removed:
            if path in self._chosen_in(self._around(path)).watched:
                changed.setdefault(os.fsdecode(path), [])
        return suspects, models, changed, self._marked([new, *walk.boundary], known, walk.removed)

    def _marked(
        self, ends: Sequence[str], known: Mapping[bytes, bool], removed: Collection[bytes]
    ) -> set[bytes]:
        """Folders that some commit may make a run, though no pattern blocks all of them.

        *ends* are the new tip and the commits that the range stands on.
        """
        tails = self._tails((*known, *removed))
        if not tails:
            return set()
        marks = {path for path in (*known, *removed) if path.endswith(tails)}
        if not ends[0].startswith("--"):
            # What no commit of the range brings in was there before. The tip may have it no
            # more, and no commit of the range may have removed it: a merge took that over.
            folders = {folder for path, blocked in known.items() if not blocked
                       for folder in parents(path)}  # fmt: skip
            asked = [folder + tail for folder in folders for tail in tails]
            for end in ends:
                marks |= self._store.found(end, asked).keys()
        return {path[: -len(tail)] for path in marks for tail in tails if path.endswith(tail)}

    def _tails(self, paths: Iterable[bytes]) -> tuple[bytes, ...]:
        """Return how the files end that make a folder a run, in the projects around *paths*."""
        projects = self._policy.projects
        among = [b""] if projects is None else [b"", *projects.among(paths)]
        policies = [self._classifier.of_project(project).policy for project in among]
        marks = dict.fromkeys(mark.path for policy in policies for mark in policy.run_marks)
        return tuple(b"/" + os.fsencode(mark) for mark in marks)

    def _artifacts(
        self, commits: Sequence[str], suspects: list[Introduction], folders: set[bytes]
    ) -> list[Artifact]:
        if not suspects:
            return []
        by_commit: dict[int, dict[bytes, Introduction]] = {}
        for item in suspects:
            path = item.path + b"/" if item.mode == SUBMODULE_MODE else item.path
            by_commit.setdefault(item.commit, {})[path] = item
        trees = self._trees(commits, by_commit, folders)
        classified = {
            number: self._classifier.classify(items, trees[number])
            for number, items in by_commit.items()
        }
        doubtful = {
            by_commit[number][verdict.path].blob
            for number, verdicts in classified.items()
            for verdict in verdicts
            if verdict.binary_only and by_commit[number][verdict.path].mode not in _NO_CONTENT
        }
        text = self._text(doubtful)
        artifacts = []
        for number, items in sorted(by_commit.items()):
            texts = {path for path, item in items.items() if item.blob in text}
            verdicts = classified[number]
            if texts:
                verdicts = self._classifier.classify(items, trees[number], texts)
            artifacts += [
                self._artifact(commits[number], items[verdict.path], verdict)
                for verdict in verdicts
                if verdict.blocked
            ]
        return artifacts

    def _artifact(self, commit: str, item: Introduction, verdict: Verdict) -> Artifact:
        decider = verdict.decider
        assert decider is not None  # it is blocked
        group = self._classifier.group(verdict).rstrip(b"/")
        return Artifact(
            commit, item.path, item.mode, item.blob, decider.rule, decider.why, decider.advice,
            group,
        )  # fmt: skip

    def _trees(
        self,
        commits: Sequence[str],
        by_commit: Mapping[int, Mapping[bytes, Introduction]],
        folders: set[bytes],
    ) -> dict[int, Tree]:
        """Return what each commit's tree says of the folders that matter."""
        loose: dict[bytes, bool] = {}
        wanted: dict[int, set[bytes]] = {}
        for number, items in by_commit.items():
            above = {folder for path in items for folder in parents(path)}
            for folder in above:
                if folder not in loose:
                    loose[folder] = folder in folders or self._is_loose(folder)
            wanted[number] = {folder for folder in above if loose[folder]}
        places = [(commits[number], folder) for number, chosen in wanted.items()
                  for folder in chosen]  # fmt: skip
        sources = {place for place, entries in self._store.folders(places)
                   if any(map(is_source, entries))}  # fmt: skip
        trees = {}
        for number, chosen in wanted.items():
            commit = commits[number]
            packages = {folder for folder in chosen if (commit, folder) in sources}
            runs: dict[bytes, RunMark] = {}
            possible = [folder for folder in chosen if folder in folders and folder not in packages]
            if possible:
                asked = {
                    folder + b"/" + os.fsencode(mark.path): (folder, mark)
                    for folder in possible
                    for mark in reversed(self._classifier.marks(folder))
                }
                marked = self._store.found(commit, [*asked])
                for place, (folder, mark) in asked.items():
                    if place in marked:
                        runs[folder] = mark
            trees[number] = Tree(runs, packages)
        return trees

    def _text(self, blobs: Collection[str]) -> set[str]:
        """Return those of *blobs* whose content is text, and no pointer to weights."""
        return text_blobs(self._store, blobs)

    def _unapproved(
        self, commits: Sequence[str], models: Sequence[Introduction]
    ) -> tuple[list[Artifact], list[str]]:
        """Return listed milestones whose content was not approved when it was committed.

        It has to be the one that is listed now or, if the range is to be trusted, the one
        that was listed in its own commit: a milestone may be approved again.
        """
        artifacts = []
        digests: dict[str, str | None] = {}
        for item in models:
            commit = commits[item.commit]
            chosen = self._chosen_in(self._around(item.path))
            if os.fsdecode(item.path) not in chosen.approved:
                found_here = chosen.contract.other(item.mode, item.blob, item.path)
                artifacts += [self._breach(commit, item, breach) for breach in found_here]
                continue
            if item.mode in _NO_CONTENT:
                why = "is no file: a milestone is one"
            else:
                if item.blob not in digests:
                    digests[item.blob] = self._digest(item.blob)
                found = digests[item.blob]
                approvals = self._approvals(commit, item.path)
                if found is None:
                    continue
                if found in approvals:
                    breaches = chosen.contract.model(item.blob, approvals[found])
                    artifacts += [self._breach(commit, item, breach) for breach in breaches]
                    continue
                why = f"is not what was approved: sha256 {found}"
            advice = "fx-add-milestone approves a model; leave out what was never approved"
            artifacts.append(
                Artifact(commit, item.path, item.mode, item.blob, DIGEST_RULE, why, advice,
                         item.path)
            )  # fmt: skip
        unknown = sum(found is None for found in digests.values())
        if not unknown:
            return artifacts, []
        said = (
            "1 milestone is not in this clone, and was"
            if unknown == 1
            else (f"{unknown:,} milestones are not in this clone, and were")
        )
        return artifacts, [f"{said} not compared"]

    def _was_approved(self, item: Artifact) -> bool:
        """Return True if *item* was a milestone in its own commit, and is no longer listed."""
        project = self._around(item.path)
        folder = self._chosen_in(project).folder
        if not item.path.startswith(folder) or item.mode in _NO_CONTENT:
            return False
        own = milestones_of_commit(self._store, item.commit, self._policy, project, strict=False)
        entry = own.get(os.fsdecode(item.path))
        return entry is not None and self._digest(item.blob) == entry.sha256

    def _breach(self, commit: str, item: Introduction, breach: Finding) -> Artifact:
        return Artifact(commit, item.path, item.mode, item.blob, breach.rule, breach.why,
                        "leave it out, or approve what is safe with fx-add-milestone",
                        item.path)  # fmt: skip

    def _approvals(self, commit: str, path: bytes) -> dict[str, Milestone]:
        """Return what was approved for *path*, by its digest."""
        name, project = os.fsdecode(path), self._around(path)
        listed = self._chosen_in(project).approved[name]
        approved = {listed.sha256: listed}
        if self._trust_range:
            own = milestones_of_commit(self._store, commit, self._policy, project, strict=False)
            if name in own:
                approved[own[name].sha256] = own[name]
        return approved

    def _digest(self, blob: str) -> str | None:
        """Return the SHA-256 of the model that *blob* is or points to; None if it is not here."""
        content = self._chosen[b""].contract.content(blob)
        return None if content is None else content.sha256


_NO_CONTENT = (LINK_MODE, SUBMODULE_MODE)


def milestones_of_commit(
    store: ObjectStore, commit: str, policy: Policy, project: bytes = b"", *, strict: bool = True
) -> dict[str, Milestone]:
    """Return the milestones that *commit* lists; if not *strict*, a broken list has none.

    They are those of a *project*, or of the repository, by path from its root.
    """
    if strict and not project and all(entry.rule != MILESTONE_RULE for entry in policy.entries):
        return {}  # *policy* is that of the commit, and has read the list
    best_models = policy.best_models_of(project)
    entry = store.entry(commit, os.fsencode(best_models.below(project).milestones_file))
    content = None if entry is None else store.contents((entry.blob,)).get(entry.blob)
    if content is None:
        return {}
    try:
        return load_contract(content, best_models, project)
    except FatalError:
        if strict:
            raise
        return {}
