"""The classifier of paths: patterns first, then the tree around a path.

Everything here is a function from paths and a policy to verdicts; git and the disk are
asked elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.tree_reader import Found, Tree, TreeReader
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.frameworks.dvc import POINTER_SUFFIX
from fx_hooks.frameworks.run_folders import RUN_FOLDER
from fx_hooks.policy.compiled import tables_alone, tables_of
from fx_hooks.policy.model import BEST_MODELS_RULE, BUILTIN_SOURCE, Entry, Policy, RunMark
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.fastpath.matcher import Tables
    from fx_hooks.policy.project_policies import Projects


class Verdict(NamedTuple):
    """The verdict on one path.

    ``entry`` is the pattern that matches last. ``mark`` is the file that makes
    ``directory``, in which the path is, a run; it decides where no pattern blocks.
    ``overridden`` is what would block the path but for a keep pattern, a milestone, or
    for what ``released`` says of the content or the tree. ``excepted`` is what would block it
    but for ``entry``, an exception of the same rule. ``undecided`` is what neither a pattern nor
    the tree decides.
    """

    path: bytes
    blocked: bool
    entry: Entry | None = None
    mark: RunMark | None = None
    directory: bytes = b""
    overridden: Entry | RunMark | None = None
    released: str = ""
    excepted: Entry | None = None
    undecided: bool = False

    @property
    def decider(self) -> Entry | RunMark | None:
        """The entry or mark that the verdict rests on; None where no pattern matches the path."""
        if self.blocked and not (self.entry is not None and self.entry.blocks):
            return self.mark
        return self.entry

    @property
    def may_be_pointer(self) -> bool:
        """True if a look at the content could tell that the path belongs to DVC."""
        return self.blocked and self.path.endswith(POINTER_SUFFIX)

    @property
    def binary_only(self) -> bool:
        """True if a look at the content could release the path."""
        return self.blocked and self.entry is not None and self.entry.binary_only


class Contents(NamedTuple):
    """The paths whose content says more than their names: ``text``, and ``pointers`` of DVC.

    ``refused`` says of what no pattern decides which rule refuses it, and as what.
    """

    text: Collection[bytes] = ()
    pointers: Collection[bytes] = ()
    refused: Mapping[bytes, tuple[str, str]] = {}

    def within(self, project: bytes) -> Contents:
        """Return the same of the paths in *project*, relative to it."""
        if not project:
            return self
        start = project + b"/"
        text, pointers = (
            {path[len(start) :] for path in paths if path.startswith(start)}
            for paths in (self.text, self.pointers)
        )
        refused = {path[len(start) :]: found for path, found in self.refused.items()
                   if path.startswith(start)}  # fmt: skip
        return Contents(text, pointers, refused)


_UNKNOWN = Contents()


class _Without(NamedTuple):
    """The entries that are left out to see what decides without them.

    Those that leave text alone (``binary``), those of the rules ``packages`` that leave
    packages alone, those whose other files are ``missing``, those that the tree cannot change
    (``admitted``), and all ``exceptions`` of rules.
    """

    binary: bool = False
    packages: frozenset[str] = frozenset()
    admitted: bool = False
    exceptions: bool = False
    missing: frozenset[int] = frozenset()

    def leaves_out(self, number: int, entry: Entry, policy: Policy) -> bool:
        """Return True if *entry*, the one of that *number*, is left out."""
        return (
            (self.binary and entry.binary_only)
            or (entry.unless_source and entry.rule in self.packages)
            or (self.admitted and number >= policy.admitted_from)
            or (self.exceptions and not entry.blocks and number < policy.admitted_from)
            or number in self.missing
        )


class Classifier:
    """A classifier of paths by one policy, and by those of its projects for what is in them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.trees = TreeReader(policy)
        self._of_project: dict[int, Classifier] = {}
        self._matcher = Matcher(tables_of(policy))
        self._single: dict[str, Matcher] = {}
        self._partial: dict[_Without, tuple[Matcher, list[int]]] = {}

    @cached_property
    def _alone(self) -> Matcher:
        """The patterns that need no other file, compiled for who asks."""
        return Matcher(tables_alone(self.policy))

    def classify(
        self, paths: Iterable[bytes], tree: Tree, contents: Contents = _UNKNOWN
    ) -> list[Verdict]:
        """Return a verdict for each of *paths* in *tree*, given what is known of *contents*."""
        paths = list(paths)
        if self.policy.projects is None:
            return self._classified(paths, tree, contents)
        verdicts: dict[bytes, Verdict] = {}
        trees = _by_project(self.policy.projects, tree)
        for project, below in self.policy.projects.finder.grouped(paths).items():
            classifier = self.of_project(project)
            found = trees.get(project, _NO_TREE)
            inside = contents.within(project)
            for verdict in classifier._classified(below, found, inside, at=project):
                full = _in_project(verdict, project)
                verdicts[full.path] = full
        return [verdicts[path] for path in paths]

    def blocks(self, path: bytes) -> bool:
        """Return True if the patterns alone block *path*."""
        return bool(self.decided((path,))[path])

    def decided(self, paths: Iterable[bytes]) -> dict[bytes, bool | None]:
        """Return True for those of *paths* that the patterns alone block; None if undecided."""
        entries = self.deciding(paths).items()
        return {path: None if entry is None else entry.blocks for path, entry in entries}

    def deciding(self, paths: Iterable[bytes]) -> dict[bytes, Entry | None]:
        """Return the entry that matches each of *paths* last; None where none does.

        All at once take much less time than one by one.
        """
        projects = self.policy.projects
        groups = {b"": [*paths]} if projects is None else projects.finder.grouped(paths)
        found: dict[bytes, Entry | None] = {}
        for project, inside in groups.items():
            classifier = self.of_project(project)
            entries = classifier.policy.entries
            for path, number in zip(inside, classifier._matcher.decide(inside), strict=True):
                found[_joined(project, path)] = entries[number] if number >= 0 else None
        return found

    def decide_folder(self, folder: bytes) -> Entry | None:
        """Return the entry that decides all of *folder* by the patterns alone."""
        projects = self.policy.projects
        project = b"" if projects is None else projects.finder.at(folder)
        classifier = self.of_project(project)
        number = classifier._matcher.decide_directory(_below(folder, project))
        return classifier.policy.entries[number] if number >= 0 else None

    def of_project(self, project: bytes) -> Classifier:
        """Return the classifier of the paths in *project*, which are relative to it."""
        if self.policy.projects is None or not project:
            return self
        policy = self.policy.projects.at(project).policy
        if id(policy) not in self._of_project:
            self._of_project[id(policy)] = Classifier(policy)
        return self._of_project[id(policy)]

    def look(self, paths: Iterable[bytes]) -> dict[bytes, Found]:
        """Return what the files at *paths* say of their folders, by project.

        One whose policy is invalid is left out: whoever asks for a path in it is told.
        """
        projects = self.policy.projects
        if projects is None:
            return {b"": self.trees.look(paths)}
        found = {}
        for project, below in projects.finder.grouped(paths).items():
            with suppress(FatalError):
                found[project] = self.of_project(project).trees.look(below)
        return found

    def look_on_disk(
        self, root: bytes, folders: Iterable[bytes], found: Mapping[bytes, Found]
    ) -> dict[bytes, Found]:
        """Return *found*, and what *folders* of the work tree at *root* hold besides."""
        projects = self.policy.projects
        grouped: dict[bytes, set[bytes]] = {}
        for folder in folders:
            project = b"" if projects is None else projects.finder.at(folder)
            grouped.setdefault(project, set()).add(_below(folder, project))
        both = dict(found)
        for project, below in grouped.items():
            place = os.path.join(root, project) if project else root
            more = self.of_project(project).trees.on_disk(place, below)
            known = both.get(project, Found({}, set()))
            holders = dict(known.holders)
            for name, places in more.items():
                holders[name] = holders.get(name, set()) | places
            both[project] = known._replace(holders=holders)
        return both

    def tree_of(self, found: Mapping[bytes, Found]) -> Tree:
        """Return the tree in which *found* is all that there is."""
        if self.policy.projects is None:
            return self.trees.tree(found.get(b"", Found({}, set())))
        runs: dict[bytes, RunMark] = {}
        packages: set[bytes] = set()
        with_all: dict[tuple[str, ...], set[bytes]] = {}
        for project, inside in found.items():
            tree = self.of_project(project).trees.tree(inside)
            runs |= {_joined(project, folder): mark for folder, mark in tree.runs.items()}
            packages |= {_joined(project, folder) for folder in tree.packages}
            for files, folders in tree.with_all.items():
                with_all.setdefault(files, set()).update(_joined(project, f) for f in folders)
        return Tree(runs, packages, with_all)

    def tree(self, paths: Iterable[bytes]) -> Tree:
        """Return the runs and packages of a tree that consists of *paths*."""
        return self.tree_of(self.look(paths))

    def _classified(
        self, paths: list[bytes], tree: Tree, contents: Contents, at: bytes = b""
    ) -> list[Verdict]:
        within = Within(tree.runs)
        return [
            self._verdict(path, number, tree, within.outermost(path), contents, at)
            for path, number in zip(paths, self._matcher.decide(paths), strict=True)
        ]

    def _verdict(
        self,
        path: bytes,
        number: int,
        tree: Tree,
        run: bytes | None,
        contents: Contents,
        at: bytes,
    ) -> Verdict:
        number = self._holding(path, number, tree)
        entry = self.policy.entries[number] if number >= 0 else None
        mark = None if run is None else tree.runs[run]
        if entry is not None and not entry.blocks and number >= self.policy.admitted_from:
            before = self._entry(path, tree, _Without(admitted=True))
            against = before if before is not None and before.blocks else mark
            return Verdict(path, False, entry, overridden=against)
        final, released = self._released(path, entry, tree, path in contents.text, at)
        if path in contents.pointers:
            against = final if final is not None and final.blocks else mark
            if against is not None and against.source == BUILTIN_SOURCE:
                why = "it is a pointer of DVC"
                return Verdict(path, False, None, overridden=against, released=why)
        if number < 0 and mark is None:
            what = contents.refused.get(path)
            refused = None if what is None else self._by_content(*what)
            return Verdict(path, refused is not None, refused, undecided=True)
        if final is not None and final.blocks:
            return Verdict(path, True, final, mark, run or self._folder(path, final, tree))
        if mark is not None and (final is None or final.rule != BEST_MODELS_RULE):
            return Verdict(path, True, final, mark, run or b"")
        if released:
            return Verdict(path, False, final, overridden=entry, released=released)
        return self._let_through(path, final, tree)

    def _by_content(self, rule: str, what: str) -> Entry | None:
        """Return the entry that refuses what it is, under any name; None if no rule does."""
        found = (entry for entry in self.policy.entries if entry.rule == rule and entry.blocks)
        entry = next(found, None)
        return None if entry is None else entry._replace(pattern=f"(content) {what}")

    def _let_through(self, path: bytes, entry: Entry | None, tree: Tree) -> Verdict:
        """Return the verdict on a path that *entry*, an exception or none, lets through.

        An exception is the reason where a pattern of its own rule matches as well.
        """
        if entry is None:
            return Verdict(path, False)
        against = self._entry(path, tree, _Without(exceptions=True))
        if against is None or not against.blocks:
            return Verdict(path, False)
        own = (
            other
            for other in reversed(self.policy.entries)
            if other.rule == against.rule and not other.blocks and self._one(other).blocked([path])
        )
        return Verdict(path, False, next(own, entry), excepted=against)

    def _folder(self, path: bytes, entry: Entry, tree: Tree) -> bytes:
        """Return the folder that *entry* matches for the files in it, if it needs some."""
        found = self._places(path, entry, tree) if entry.only_with else ()
        return next((folder for folder in found if folder != path.rpartition(b"/")[0]), b"")

    def _holding(self, path: bytes, number: int, tree: Tree) -> int:
        """Return the number of the last entry that holds, from *number* down; -1 where none does.

        One with ``only_with`` holds where its files are: in the folder that it matches, or
        next to the file.
        """
        missing: frozenset[int] = frozenset()
        while number >= 0:
            entry = self.policy.entries[number]
            if not entry.only_with or self._places(path, entry, tree):
                break
            missing |= {number}
            number = self._number(path, _Without(missing=missing))
        return number

    def _places(self, path: bytes, entry: Entry, tree: Tree) -> list[bytes]:
        """Return the folders for which *entry*, which needs other files, matches *path*."""
        holding = tree.with_all.get(entry.only_with, ())
        if not holding:
            return []
        matcher = self._one(entry)
        found = [f for f in parents(path) if f in holding and matcher.decide_directory(f) == 0]
        folder = path.rpartition(b"/")[0]
        if folder in holding and matcher.decide_directory(folder) != 0 and matcher.blocked([path]):
            found.append(folder)
        return found

    def _released(
        self, path: bytes, entry: Entry | None, tree: Tree, is_text: bool, at: bytes
    ) -> tuple[Entry | None, str]:
        """Return the entry that decides *path* given content and tree, and why they matter.

        *at* is the folder of the project that *path* is in.
        """
        reasons: list[str] = []
        without = _Without()
        while entry is not None and entry.blocks:
            folder = self._matched_directory(path, entry) if entry.unless_source else None
            if entry.binary_only and is_text and not without.binary:
                without = without._replace(binary=True)
                reasons.append("it is text")
            elif (
                folder is not None
                and folder in tree.packages
                and entry.rule not in without.packages
            ):
                without = without._replace(packages=without.packages | {entry.rule})
                reasons.append(f"{shown(_joined(at, folder))}/ holds source files")
            else:
                break
            entry = self._entry(path, tree, without)
        return entry, " and ".join(reasons)

    def _matched_directory(self, path: bytes, entry: Entry) -> bytes | None:
        """Return the outermost directory above *path* that the pattern of *entry* matches."""
        matcher = self._one(entry)
        return next((f for f in parents(path) if matcher.decide_directory(f) == 0), None)

    def _one(self, entry: Entry) -> Matcher:
        if entry.pattern not in self._single:
            self._single[entry.pattern] = Matcher(_compiled([(entry.pattern, True)]))
        return self._single[entry.pattern]

    def _entry(self, path: bytes, tree: Tree, without: _Without) -> Entry | None:
        """Return the entry that decides *path* in *tree* if some are left out."""
        number = self._number(path, without)
        while number >= 0:
            entry = self.policy.entries[number]
            if not entry.only_with or self._places(path, entry, tree):
                return entry
            without = without._replace(missing=without.missing | {number})
            number = self._number(path, without)
        return None

    def _number(self, path: bytes, without: _Without) -> int:
        if without not in self._partial:
            kept = [
                number
                for number, entry in enumerate(self.policy.entries)
                if not without.leaves_out(number, entry, self.policy)
            ]
            entries = self.policy.entries
            patterns = [(entries[number].pattern, entries[number].blocks) for number in kept]
            self._partial[without] = (Matcher(_compiled(patterns)), kept)
        matcher, kept = self._partial[without]
        number = matcher.decide([path])[0]
        return kept[number] if number >= 0 else -1

    def folder_of(self, verdict: Verdict) -> bytes | None:
        """Return the folder that would have to be a package to release a blocked path."""
        if not verdict.blocked or verdict.entry is None or not verdict.entry.unless_source:
            return None
        projects = self.policy.projects
        project = b"" if projects is None else projects.around(verdict.path)
        path = _below(verdict.path, project)
        folder = self.of_project(project)._matched_directory(path, verdict.entry)
        return None if folder is None else _joined(project, folder)

    def blocked(self, paths: list[bytes]) -> list[bytes]:
        """Return those of *paths* that the patterns alone block."""
        projects = self.policy.projects
        if projects is None:
            return self._alone.blocked(paths)
        blocked = {
            _joined(project, path)
            for project, below in projects.finder.grouped(paths).items()
            for path in self.of_project(project)._alone.blocked(below)
        }
        return [path for path in paths if path in blocked]

    def group(self, verdict: Verdict) -> bytes:
        """Return the run or directory that a blocked path is shown with, or the path itself."""
        path = verdict.path
        project = b"" if self.policy.projects is None else self.policy.projects.around(path)
        if project:
            classifier = self.of_project(project)
            return _joined(project, classifier.group(_out_of_project(verdict, project)))
        if verdict.directory:
            return verdict.directory
        run = RUN_FOLDER.search(path)
        if run is not None:
            return path[: run.end()]
        for directory in parents(path):
            if self._alone.blocks(self._alone.decide_directory(directory)):
                return directory
        return path


_NO_TREE = Tree({}, ())


def _compiled(patterns: Sequence[tuple[str, bool]]) -> Tables:
    from fx_hooks.policy.compiler import compile_tables  # not for what the tables decide

    return compile_tables(patterns)


def _joined(project: bytes, path: bytes) -> bytes:
    return project + b"/" + path if project and path else project or path


def _by_project(projects: Projects, tree: Tree) -> dict[bytes, Tree]:
    """Return *tree* as seen from each project; its own root is not a run, nor what is above it."""
    at = projects.finder.at
    runs: dict[bytes, dict[bytes, RunMark]] = {}
    packages: dict[bytes, set[bytes]] = {}
    for folder, mark in tree.runs.items():
        project = at(folder)
        if folder != project:
            runs.setdefault(project, {})[_below(folder, project)] = mark
    for folder in tree.packages:
        project = at(folder)
        packages.setdefault(project, set()).add(_below(folder, project))
    with_all: dict[bytes, dict[tuple[str, ...], set[bytes]]] = {}
    for files, folders in tree.with_all.items():
        for folder in folders:
            project = at(folder)
            held = with_all.setdefault(project, {})
            held.setdefault(files, set()).add(_below(folder, project))
    return {
        project: Tree(runs.get(project, {}), packages.get(project, ()), with_all.get(project, {}))
        for project in {*runs, *packages, *with_all}
    }


def _below(path: bytes, project: bytes) -> bytes:
    return path[len(project) + 1 :] if project else path


def _in_project(verdict: Verdict, project: bytes) -> Verdict:
    """Return a *verdict* of *project* with names from the repository's root."""
    if not project:
        return verdict
    return verdict._replace(
        path=_joined(project, verdict.path),
        directory=_joined(project, verdict.directory) if verdict.directory else b"",
    )


def _out_of_project(verdict: Verdict, project: bytes) -> Verdict:
    directory = verdict.directory
    return verdict._replace(
        path=_below(verdict.path, project),
        directory=_below(directory, project) if directory else b"",
    )


class Within:
    """A finder of the outermost run that a path is in; looks each directory up once."""

    def __init__(self, runs: Collection[bytes]) -> None:
        self._runs = runs
        self._known: dict[bytes, bytes | None] = {}

    def outermost(self, path: bytes) -> bytes | None:
        if not self._runs:
            return None
        folder = path.rpartition(b"/")[0]
        if folder not in self._known:
            found = (parent for parent in parents(path) if parent in self._runs)
            self._known[folder] = next(found, None)
        return self._known[folder]
