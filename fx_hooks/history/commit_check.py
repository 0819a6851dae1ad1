"""The classifier of a range: the artifacts among all that its commits bring in.

Nearly all commits are clean, so this goes in two steps. The first looks at each path once
and by the patterns alone, while git still walks. Only what they block, and what lies in
a folder that some commit makes a run, is looked at as it stood in its own commit: whether
its folder holds source files there, whether it is text, whether it is the milestone that
was approved.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.classifier import Classifier, Contents, Verdict, Within
from fx_hooks.artifacts.exempted import exempted_note
from fx_hooks.artifacts.small_files import may_be_script, pointers, scripts
from fx_hooks.artifacts.tree_reader import Found, Sign, Tree, homes_above
from fx_hooks.artifacts.unnamed import Unnamed, look_into, missing_note
from fx_hooks.best_models import contract
from fx_hooks.best_models.acceptance import ACCEPTED_RULES, Acceptance
from fx_hooks.best_models.committed_models import CommittedModels
from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE
from fx_hooks.history.subtrees import subtree_folders
from fx_hooks.history.walk import Introduction, Row, Walk
from fx_hooks.policy.baseline import Baseline
from fx_hooks.policy.compiled import tables_loose
from fx_hooks.policy.model import BEST_MODELS_RULE, MILESTONE_RULE, POLICY_NAME, Entry, Policy
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents
from fx_hooks.weights.plain_text import text_blobs

if TYPE_CHECKING:
    from fx_hooks.best_models.milestone import Milestone
    from fx_hooks.git.repository import ObjectStore
    from fx_hooks.reporting.finding import Finding

DIGEST_RULE = "best-models-digest"


class Artifact(NamedTuple):
    """One path that one commit brings in and that does not belong in Git.

    ``commit`` is the full id; ``rule`` says why, and ``advice`` what to do instead.
    ``group`` is the run or directory that it is shown with. ``mend`` is the command that puts
    it right in a new commit, empty if it has to go from the history.
    """

    commit: str
    path: bytes
    mode: int
    blob: str
    rule: str
    why: str
    advice: str
    group: bytes
    mend: str = ""


class _Chosen(NamedTuple):
    """The chosen models of a project, or of the repository: where they are, and what is listed.

    ``watched`` are the files that say how to judge, ``paired`` the places of the metadata of
    what is listed.
    """

    folder: bytes
    watched: frozenset[bytes]
    approved: Mapping[str, Milestone]
    contract: CommittedModels
    paired: frozenset[bytes]


class RangeResult(NamedTuple):
    """The result of a range: its ``commits``, the newest first, and the ``artifacts``.

    ``times`` are when they were committed, in seconds since 1970.

    ``changed`` says which commits changed the policy and the milestones, by file. ``admitted``
    are the paths that some pattern lets in, ``accepted`` the artifacts that the baseline accepts.
    """

    commits: Sequence[str]
    times: Sequence[int]
    artifacts: list[Artifact]
    changed: dict[str, list[str]]
    notes: list[str]
    admitted: Sequence[bytes] = ()
    accepted: Collection[Artifact] = ()


class _Sifted(NamedTuple):
    """A first look at a range.

    ``suspects`` are what the patterns block, ``models`` what may be milestones, ``changed`` the
    commits that changed how to judge, by file, ``folders`` those that may be runs, ``undecided``
    the blobs that no pattern decides, with their paths, ``admitted`` the paths that one lets in.
    """

    suspects: list[Introduction]
    models: list[Introduction]
    changed: dict[str, list[str]]
    folders: set[bytes]
    undecided: dict[str, tuple[bytes, ...]]
    admitted: list[bytes]


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
        baseline: Callable[[], Baseline] = Baseline,
    ) -> None:
        self._acceptance = Acceptance(store, baseline, policy)
        self._store = store
        self.policy = policy
        self._source = source
        self._trust_range = trust_range
        self._classifier = Classifier(policy)
        self._loose: dict[int, Matcher] = {}
        # A folder that is a run by what is in one of its folders, and that one.
        self._inner: dict[bytes, set[bytes]] = {}
        # A folder that may be where the runs of a project go, and those runs.
        self._homes: dict[bytes, set[bytes]] = {}
        self._unnamed = Unnamed({})
        self._unread: set[bytes] = set()
        self._chosen: dict[bytes, _Chosen] = {}
        self._chosen[b""] = self._chosen_of(b"", approved)

    def _around(self, path: bytes) -> bytes:
        projects = self.policy.projects
        return b"" if projects is None else projects.around(path)

    def _chosen_in(self, project: bytes) -> _Chosen:
        if project not in self._chosen:
            approved: Mapping[str, Milestone] = {}
            if self._source is not None:
                approved = milestones_of_commit(self._store, self._source, self.policy, project)
            self._chosen[project] = self._chosen_of(project, approved)
        return self._chosen[project]

    def _chosen_of(self, project: bytes, approved: Mapping[str, Milestone]) -> _Chosen:
        best_models = self.policy.best_models_of(project).below(project)
        policy_file = (project + b"/" if project else b"") + POLICY_NAME.encode()
        return _Chosen(
            os.fsencode(best_models.folder) + b"/",
            frozenset((policy_file, os.fsencode(best_models.milestones_file))),
            approved,
            CommittedModels(self._store, self.policy, project),
            frozenset(os.fsencode(contract.metadata_path(path)) for path in approved),
        )

    def _is_loose(self, folder: bytes) -> bool:
        """Return True if a pattern blocks *folder* unless it holds source files."""
        projects = self.policy.projects
        project = b"" if projects is None else projects.finder.at(folder)
        policy = self._classifier.of_project(project).policy
        if id(policy) not in self._loose:
            self._loose[id(policy)] = Matcher(tables_loose(policy))
        matcher = self._loose[id(policy)]
        below = folder[len(project) + 1 :] if project else folder
        return bool(below) and matcher.blocks(matcher.decide_directory(below))

    def classify(
        self,
        new: str,
        old: Iterable[str] = (),
        *,
        also: Sequence[str] = (),
        each: Callable[[Sequence[Row]], None] | None = None,
        sizes: Callable[[], Mapping[str, int | None]] | None = None,
    ) -> RangeResult:
        """Return all artifacts that the commits of *new* bring in, without those of *old*.

        *new* is a commit, or ``--all``; then there is nothing old, and commits that no ref leads
        to may count *also*. *each* is called with everything that the commits bring in, artifact
        or not, many at a time, and *sizes* then, if the caller knows those of all blobs.
        """
        old = list(old)
        walk = Walk(self._store, [new, *also], old)
        suspects, models, changed, folders, undecided, admitted = self._sift(walk, each)
        unknown = ((path, blob) for blob, paths in undecided.items() for path in paths)
        self._unnamed = look_into(self._store, unknown, None if sizes is None else sizes())
        self._unread = set(self._unnamed.missing)
        more = {path for blob in self._unnamed.refused for path in undecided[blob]}
        if folders or more:
            seen = {(item.commit, item.path) for item in suspects}
            # The same commits in the same order would not do: with paths some are left out.
            numbers = {name: number for number, name in enumerate(walk.commits)}
            again = Walk(self._store, [new, *also], old, sorted(folders | more))
            for item in again:
                item = item._replace(commit=numbers[again.commits[item.commit]])
                if (item.commit, item.path) not in seen:
                    suspects.append(item)
        if suspects:
            suspects = self._without_other_roots(walk.commits, suspects, [new, *also], folders)
        artifacts = self._artifacts(walk.commits, suspects, folders)
        if self._trust_range:
            artifacts = [item for item in artifacts if not self._was_approved(item)]
        found, notes = self._unapproved(walk.commits, models)
        notes += missing_note(self._unread)
        touched = {item.path for item in models} | walk.removed
        every = self._incomplete(new, walk.commits, touched) + artifacts + found
        accepted = {item for item in every if self._is_accepted(item)}
        every = [item for item in every if item not in accepted]
        return RangeResult(walk.commits, walk.times, every, changed, notes, admitted, accepted)

    def _without_other_roots(
        self,
        commits: Sequence[str],
        suspects: list[Introduction],
        new: Sequence[str],
        folders: set[bytes],
    ) -> list[Introduction]:
        """Return *suspects* but for what is refused only because another project's root is ours."""
        blocks = self._classifier.blocks
        within = Within(folders)
        asked = {item: item.path + b"/" * (item.mode == SUBMODULE_MODE) for item in suspects}
        here = self._classifier.decided(dict.fromkeys(asked.values()))
        below = self._classifier.decided(b"-/" + path for path in here)
        # Those that would pass in a folder: mostly none, and then nobody has to be asked.
        doubtful = {
            item
            for item, path in asked.items()
            if here[path] and not below[b"-/" + path] and within.outermost(item.path) is None
        }
        places = subtree_folders(self._store, new) if doubtful else {}

        def counts(item: Introduction) -> bool:
            place = places.get(commits[item.commit])
            if place is None or item not in doubtful:
                return True
            return blocks(place + b"/" + asked[item])

        return [item for item in suspects if counts(item)]

    def exempted(self, result: RangeResult) -> str:
        """Return a sentence on what of *result* passes as test data, or nothing."""
        return exempted_note(self._classifier.classify(result.admitted, Tree({}, ())))

    def _is_accepted(self, item: Artifact) -> bool:
        """Return True if the baseline accepts *item*, which breaks no milestone."""
        if not self._acceptance.baseline:
            return False
        breach = item.rule.startswith("best-models-")
        if breach and item.rule not in ACCEPTED_RULES:
            return False
        rule = BEST_MODELS_RULE if breach else item.rule
        return self._acceptance.accepts(item.path, item.blob, rule)

    def _sift(self, walk: Walk, each: Callable[[Sequence[Row]], None] | None) -> _Sifted:
        """Return what the patterns block, possible milestones, and what else to look at."""
        known: dict[bytes, bool | None] = {}
        undecided: dict[str, tuple[bytes, ...]] = {}
        suspects: list[Introduction] = []
        models: list[Introduction] = []
        changed: dict[str, list[str]] = {}
        chosen: set[bytes] = set()
        watched: set[bytes] = set()
        for rows in walk.batches():
            if each is not None:
                each(rows)
            for path in self._decide(rows, known):
                place = self._chosen_in(self._around(path))
                if path.startswith(place.folder):
                    chosen.add(path)
                if path in place.watched:
                    watched.add(path)
            for row in rows:
                number, path, mode, blob = row
                blocked = known[path if mode != SUBMODULE_MODE else path + b"/"]
                if blocked:
                    suspects.append(Introduction._make(row))
                    continue
                if blocked is None and mode not in _NO_CONTENT:
                    before = undecided.get(blob)
                    if before is None:
                        undecided[blob] = (path,)
                    elif path not in before:
                        undecided[blob] = (*before, path)
                if path in chosen:
                    models.append(Introduction._make(row))
                if path in watched:
                    changed.setdefault(os.fsdecode(path), []).append(walk.commits[number])
        for path in walk.removed:
            if path in self._chosen_in(self._around(path)).watched:
                changed.setdefault(os.fsdecode(path), [])
        marked = self._marked(walk.boundary, known, walk.removed)
        admitted = [path for path, blocked in known.items() if blocked is False]
        return _Sifted(suspects, models, changed, marked, undecided, admitted)

    def _decide(self, rows: Iterable[Row], known: dict[bytes, bool | None]) -> list[bytes]:
        """Put the verdicts on the paths of *rows* into *known*; return those that are new there.

        A submodule is a folder, to patterns that match only those, and has a slash at its end.
        """
        new = {}
        for _, path, mode, _ in rows:
            if mode == SUBMODULE_MODE:
                new[path + b"/"] = path
            elif path not in known:
                new[path] = path
        known.update(self._classifier.decided(asked for asked in new if asked not in known))
        return [*new.values()]

    def _marked(
        self, before: Sequence[str], known: Mapping[bytes, bool | None], removed: Collection[bytes]
    ) -> set[bytes]:
        """Folders that some commit may make a run, though no pattern blocks all of them.

        *before* are the commits that the range stands on.
        """
        signs = self._signs((*known, *removed))
        if not signs:
            return set()
        tails = tuple(sign.tail + end for sign in signs for end in (b"", b"/"))
        marks = {path.rstrip(b"/") for path in (*known, *removed) if path.endswith(tails)}
        if before:
            # What no commit of the range brings in was there before, and none of them may have
            # removed it: a merge took that over.
            blocked = [path for path, blocks in known.items() if blocks]
            surely = {path for path, entry in self._classifier.deciding(blocked).items()
                      if not _may_not_hold(entry)}  # fmt: skip
            folders = {folder for path in known.keys() - surely for folder in parents(path)}
            names = {b"*" + sign.tail if sign.inside == b"*" else sign.tail[1:] for sign in signs}
            # A run without a mark is one where others are.
            homes = {home for folder in folders for home, _ in homes_above(folder + b"/")}
            marks |= self._store.held(before, folders, names, homes)
        found = set()
        for path in marks:
            for sign in signs:
                folder = sign.folder(path)
                if folder is not None:
                    found.add(folder)
                    if sign.inside == b"*":
                        self._inner.setdefault(folder, set()).add(path.rpartition(b"/")[0])
        for folder in found:
            for home, _ in homes_above(folder):
                self._homes.setdefault(home, set()).add(folder)
        return found | self._homes.keys()

    def _signs(self, paths: Iterable[bytes]) -> set[Sign]:
        """Return the files that may make a folder a run, in the projects around *paths*."""
        projects = self.policy.projects
        among = [b""] if projects is None else [b"", *projects.among(paths)]
        policies = [self._classifier.of_project(project).policy for project in among]
        return {Sign.of(mark.path) for policy in policies for mark in policy.run_marks}

    def _artifacts(
        self, commits: Sequence[str], suspects: list[Introduction], folders: set[bytes]
    ) -> list[Artifact]:
        if not suspects:
            return []
        by_commit: dict[int, dict[bytes, Introduction]] = {}
        for item in suspects:
            path = item.path + b"/" if item.mode == SUBMODULE_MODE else item.path
            by_commit.setdefault(item.commit, {})[path] = item
        trees, listed = self._trees(commits, by_commit, folders)
        classified = self._classified(by_commit, trees)
        flagged = [
            (verdict, by_commit[number][verdict.path], number)
            for number, verdicts in classified.items()
            for verdict in verdicts
            if verdict.blocked
        ]
        binary = {(item.path, item.blob) for verdict, item, _ in flagged
                  if verdict.binary_only and item.mode not in _NO_CONTENT}  # fmt: skip
        text = text_blobs(self._store, {blob for _, blob in binary})
        if self._store.is_partial():
            sizes = self._store.sizes(blob for _, blob in binary)
            self._unread |= {path for path, blob in binary if sizes[blob] is None}
        dvc = {item.path: item.blob for verdict, item, _ in flagged
               if verdict.may_be_pointer and item.mode not in _NO_CONTENT}  # fmt: skip
        pointed = {dvc[path] for path in pointers(self._store, dvc)}
        packages = self._with_scripts(commits, flagged, listed)
        artifacts = []
        for number, items in sorted(by_commit.items()):
            contents = Contents(
                {path for path, item in items.items() if item.blob in text},
                {path for path, item in items.items() if path in dvc and item.blob in pointed},
                self._refused(items),
            )
            tree, verdicts = trees[number], classified[number]
            if number in packages:
                tree = tree._replace(packages={*tree.packages, *packages[number]})
            if number in packages or contents.text or contents.pointers:
                verdicts = self._classifier.classify(items, tree, contents)
            artifacts += [
                self._artifact(commits[number], items[verdict.path], verdict)
                for verdict in verdicts
                if verdict.blocked
            ]
        return artifacts

    def _classified(
        self, by_commit: Mapping[int, Mapping[bytes, Introduction]], trees: Mapping[int, Tree]
    ) -> dict[int, list[Verdict]]:
        """Return the verdicts on what each commit brings in, by names, trees and content."""

        def judged() -> dict[int, list[Verdict]]:
            return {
                number: self._classifier.classify(
                    items, trees[number], Contents(refused=self._refused(items))
                )
                for number, items in by_commit.items()
            }

        verdicts = judged()
        # A pattern that asks for other files decides nothing where they are not.
        undecided = [
            (verdict.path, by_commit[number][verdict.path])
            for number, found in verdicts.items()
            for verdict in found
            if verdict.undecided and not verdict.blocked
        ]
        unknown = [(path, item.blob) for path, item in undecided if item.mode not in _NO_CONTENT]
        if unknown:
            more = look_into(self._store, unknown)
            self._unread.update(more.missing)
            if more.refused:
                self._unnamed = Unnamed({**self._unnamed.refused, **more.refused})
                verdicts = judged()
        return verdicts

    def _refused(self, items: Mapping[bytes, Introduction]) -> dict[bytes, tuple[str, str]]:
        """Return which of *items* are refused for their content, if no pattern decides them."""
        return {
            path: rule
            for path, item in items.items()
            if item.mode not in _NO_CONTENT and (rule := self._unnamed.rule(path, item.blob))
        }

    def _with_scripts(
        self,
        commits: Sequence[str],
        flagged: Iterable[tuple[Verdict, Introduction, int]],
        listed: Mapping[tuple[str, bytes], Mapping[bytes, bytes]],
    ) -> dict[int, set[bytes]]:
        """Return the folders that hold a script without a suffix directly, by commit."""
        asked: dict[int, dict[bytes, list[bytes]]] = {}
        for verdict, _, number in flagged:
            folder = self._classifier.folder_of(verdict)
            entries = listed.get((commits[number], folder or b""), {}) if folder else {}
            if folder is not None and folder not in asked.get(number, ()):
                blobs = [blob for name, blob in entries.items() if may_be_script(name)]
                asked.setdefault(number, {})[folder] = blobs
        every = {blob for found in asked.values() for inside in found.values() for blob in inside}
        script_blobs = {*map(bytes.fromhex, scripts(self._store, [*map(bytes.hex, every)]))}
        packages = {
            number: {folder for folder, inside in found.items()
                     if not script_blobs.isdisjoint(inside)}
            for number, found in asked.items()
        }  # fmt: skip
        return {number: found for number, found in packages.items() if found}

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
    ) -> tuple[dict[int, Tree], dict[tuple[str, bytes], dict[bytes, bytes]]]:
        """Return what each commit's tree says of the folders that matter, and what they hold."""
        loose: dict[bytes, bool] = {}
        wanted: dict[int, set[bytes]] = {}
        each_inside: dict[int, set[bytes]] = {}
        for number, items in by_commit.items():
            above = {folder for path in items for folder in parents(path)}
            for folder in above:
                if folder not in loose:
                    loose[folder] = folder in folders or self._is_loose(folder)
            wanted[number] = {folder for folder in above if loose[folder]}
            for path, entry in self._classifier.deciding(items).items():
                if entry is not None and (entry.only_with or entry.unless_source):
                    around = {*parents(path), path.rpartition(b"/")[0]}
                    wanted[number] |= around
                    if any(name.startswith("*/") for name in entry.only_with):
                        each_inside.setdefault(number, set()).update(around)
        judged = {number: chosen.union(*(self._homes.get(folder, ()) for folder in chosen))
                  for number, chosen in wanted.items()}  # fmt: skip
        inside = {
            number: {
                *judged[number],
                *(place for folder in judged[number] for place in self._inner.get(folder, ())),
                *(place for folder in chosen for place in self._seen_for_home(folder)),
                *(
                    place
                    for folder in each_inside.get(number, ())
                    for place in self._store.folders_in(commits[number], folder)
                ),
            }
            for number, chosen in wanted.items()
        }
        listed = self._listed(commits, inside)
        # Of what may be below, little is there: git would look for ten folders in each.
        deeper = {
            number: {
                folder + b"/" + name
                for folder in folders
                if (commits[number], folder) in listed
                for name in self._deeper(folder)
                if name.partition(b"/")[0] in listed[commits[number], folder]
            }
            for number, folders in judged.items()
        }
        listed |= self._listed(commits, deeper)
        trees = {}
        for number, folders in judged.items():
            grouped: dict[bytes, Found] = {}
            for folder in inside[number] | deeper[number]:
                entries = listed.get((commits[number], folder))
                if entries is None:
                    continue
                project = self._project_of(folder)
                reader = self._classifier.of_project(project).trees
                below = folder[len(project) + 1 :] if project else folder
                found = grouped.setdefault(project, Found({}, set()))
                names, is_package = reader.look_into(below, entries)
                for name in names:
                    found.holders.setdefault(name, set()).add(below)
                if is_package and folder in folders:
                    found.packages.add(below)
            trees[number] = self._classifier.tree_of(grouped)
        return trees, listed

    def _listed(
        self, commits: Sequence[str], places: Mapping[int, Collection[bytes]]
    ) -> dict[tuple[str, bytes], dict[bytes, bytes]]:
        """Return what is in folders, by commit and folder, without those that are not there."""
        asked = [(commits[number], place) for number, found in places.items() for place in found]
        return {place: entries for place, entries in self._store.folders(asked) if entries}

    def _seen_for_home(self, folder: bytes) -> Iterator[bytes]:
        """Yield the folders that say whether *folder* is where the runs of a project go."""
        if folder in self._homes:
            above = folder.rpartition(b"/")[0]
            yield from (above, above + b"/conf")

    def _deeper(self, folder: bytes) -> Collection[bytes]:
        """Return the folders below *folder* that files are looked for in."""
        return self._classifier.of_project(self._project_of(folder)).trees.deeper

    def _project_of(self, folder: bytes) -> bytes:
        projects = self.policy.projects
        return b"" if projects is None else projects.finder.at(folder)

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
                found_here = chosen.contract.other(item.mode, item.blob, item.path, chosen.paired)
                artifacts += [self._breach(commit, item, breach) for breach in found_here]
                continue
            if item.mode in _NO_CONTENT:
                why = "is not a file: a milestone is one"
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

    def _incomplete(
        self, tip: str, commits: Sequence[str], touched: Collection[bytes]
    ) -> list[Artifact]:
        """Return the milestones of *tip* that lack their metadata, or have that of another model.

        A later commit may complete them, so it is the tip that counts, and of it what the
        range has *touched*.
        """
        if tip.startswith("--") or not commits:
            return []
        among = {self._around(path) for path in touched}
        places: dict[bytes, bytes] = {}
        pinned: dict[bytes, set[str]] = {}
        for chosen in map(self._chosen_in, among):
            whole = not chosen.watched.isdisjoint(touched)
            for name, milestone in chosen.approved.items():
                path, place = os.fsencode(name), os.fsencode(contract.metadata_path(name))
                if whole or path in touched or place in touched:
                    places[path] = place
                    pinned.setdefault(place, set()).add(milestone.sha256)
        there = self._store.found(tip, (*places, *pinned)) if places else {}
        contents = self._store.contents([there[place] for place in pinned if place in there])
        artifacts = []
        for path, place in places.items():
            if path not in there:
                continue
            content = contents.get(there.get(place, ""))
            if place not in there:
                found = [contract.without_metadata(path)]
            elif content is None:
                continue  # not in this clone
            else:
                value = read_metadata(content, required=None).value
                found = [*contract.check_digest(path, value, pinned[place])]
            artifacts += [
                Artifact(commits[0], path, _FILE, there[path], each.rule, each.why, each.advice,
                         path, each.advice)
                for each in found
            ]  # fmt: skip
        return artifacts

    def _was_approved(self, item: Artifact) -> bool:
        """Return True if *item* was a milestone in its own commit, and is no longer listed."""
        project = self._around(item.path)
        folder = self._chosen_in(project).folder
        if not item.path.startswith(folder) or item.mode in _NO_CONTENT:
            return False
        own = milestones_of_commit(self._store, item.commit, self.policy, project, strict=False)
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
            own = milestones_of_commit(self._store, commit, self.policy, project, strict=False)
            if name in own:
                approved[own[name].sha256] = own[name]
        return approved

    def _digest(self, blob: str) -> str | None:
        """Return the SHA-256 of the model that *blob* is or points to; None if it is not here."""
        content = self._chosen[b""].contract.content(blob)
        return None if content is None else content.sha256


def _may_not_hold(entry: Entry | None) -> bool:
    """Return True if *entry* blocks only by what else is there, or in the file."""
    return entry is None or bool(entry.only_with or entry.unless_source or entry.binary_only)


_NO_CONTENT = (LINK_MODE, SUBMODULE_MODE)
_FILE = 0o100644


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
    if entry is None or not stat.S_ISREG(entry.mode):
        return {}
    content = store.contents((entry.blob,)).get(entry.blob)
    if content is None:
        return {}
    from fx_hooks.best_models.milestones import load_contract  # which reads YAML

    try:
        return load_contract(content, best_models, project)
    except FatalError:
        if strict:
            raise
        return {}
