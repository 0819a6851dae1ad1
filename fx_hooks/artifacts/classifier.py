"""The classifier of paths: patterns first, then the tree around a path.

Everything here is a function from paths and a policy to verdicts; git and the disk are
asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.frameworks.run_folders import RUN_FOLDER
from fx_hooks.policy.compiled import tables_of
from fx_hooks.policy.model import BEST_MODELS_RULE, Entry, Policy, RunMark
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.policy.project_policies import Projects

# A directory that holds one of these directly is a package, whatever its name.
SOURCE_SUFFIXES = frozenset(
    b".bzl .c .cc .cjs .clj .cpp .cs .cu .cuh .cxx .dart .ex .exs .f90 .fs .go .h .hpp .hs .java"
    b" .jl .js .jsx .kt .lua .m .mjs .ml .php .pl .proto .py .pyi .pyx .r .R .rb .rs .scala .sh"
    b" .sol .svelte .swift .tf .ts .tsx .vue .zig".split()
)
SOURCE_NAMES = frozenset(
    b"BUILD BUILD.bazel CMakeLists.txt Cargo.toml Makefile go.mod package.json pom.xml"
    b" pyproject.toml setup.cfg".split()
)


class Tree(NamedTuple):
    """The runs and packages among the directories of a tree.

    ``runs`` are those with a file that makes them a run, ``packages`` those that hold
    source files directly.
    """

    runs: Mapping[bytes, RunMark]
    packages: Collection[bytes]


class Verdict(NamedTuple):
    """The verdict on one path.

    ``entry`` is the pattern that matches last. ``mark`` is the file that makes
    ``directory``, in which the path is, a run; it decides where no pattern blocks.
    ``overridden`` is what would block the path but for a keep pattern, a milestone, or
    for what ``released`` says of the content or the tree.
    """

    path: bytes
    blocked: bool
    entry: Entry | None = None
    mark: RunMark | None = None
    directory: bytes = b""
    overridden: Entry | RunMark | None = None
    released: str = ""

    @property
    def decider(self) -> Entry | RunMark | None:
        """The entry or mark that the verdict rests on; None where no pattern matches the path."""
        if self.blocked and not (self.entry is not None and self.entry.blocks):
            return self.mark
        return self.entry

    @property
    def binary_only(self) -> bool:
        """True if a look at the content could release the path."""
        return self.blocked and self.entry is not None and self.entry.binary_only


class Classifier:
    """A classifier of paths by one policy, and by those of its projects for what is in them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._of_project: dict[int, Classifier] = {}
        self._matcher = Matcher(tables_of(policy))
        self._single: dict[str, Matcher] = {}
        self._partial: dict[tuple[bool, frozenset[str], bool], tuple[Matcher, list[Entry]]] = {}

    def classify(
        self, paths: Iterable[bytes], tree: Tree, text: Collection[bytes] = frozenset()
    ) -> list[Verdict]:
        """Return a verdict for each of *paths* in *tree*; *text* are those known to be text."""
        paths = list(paths)
        if self.policy.projects is None:
            return self._classified(paths, tree, text)
        verdicts: dict[bytes, Verdict] = {}
        trees = _by_project(self.policy.projects, tree)
        for project, below in self.policy.projects.finder.grouped(paths).items():
            classifier = self.of_project(project)
            start = len(project) + 1 if project else 0
            inside = {path[start:] for path in text if path.startswith(project)}
            found = trees.get(project, _NO_TREE)
            for verdict in classifier._classified(below, found, inside, at=project):
                full = _in_project(verdict, project)
                verdicts[full.path] = full
        return [verdicts[path] for path in paths]

    def blocks(self, path: bytes) -> bool:
        """Return True if the patterns alone block *path*."""
        matcher, projects = self._matcher, self.policy.projects
        if projects is not None:
            project = projects.around(path)
            matcher, path = self.of_project(project)._matcher, _below(path, project)
        return matcher.blocks(matcher.decide((path,))[0])

    def of_project(self, project: bytes) -> Classifier:
        """Return the classifier of the paths in *project*, which are relative to it."""
        if self.policy.projects is None or not project:
            return self
        policy = self.policy.projects.at(project).policy
        if id(policy) not in self._of_project:
            self._of_project[id(policy)] = Classifier(policy)
        return self._of_project[id(policy)]

    def tree(self, paths: Iterable[bytes]) -> Tree:
        """Return the runs and packages of a tree that consists of *paths*."""
        projects = self.policy.projects
        if projects is None:
            return read_tree(paths, self.policy.run_marks)
        runs: dict[bytes, RunMark] = {}
        packages: set[bytes] = set()
        for project, below in projects.finder.grouped(paths).items():
            found = read_tree(below, self.of_project(project).policy.run_marks)
            runs |= {_joined(project, folder): mark for folder, mark in found.runs.items()}
            packages |= {_joined(project, folder) for folder in found.packages}
        return Tree(runs, packages)

    def marks(self, folder: bytes) -> Sequence[RunMark]:
        """Return the files that make *folder* a run; the root of a project never is one."""
        projects = self.policy.projects
        if projects is None:
            return self.policy.run_marks
        project = projects.finder.at(folder)
        return () if project == folder else self.of_project(project).policy.run_marks

    def _classified(
        self, paths: list[bytes], tree: Tree, text: Collection[bytes], at: bytes = b""
    ) -> list[Verdict]:
        within = _Within(tree.runs)
        return [
            self._verdict(path, number, tree, within.outermost(path), path in text, at)
            for path, number in zip(paths, self._matcher.decide(paths), strict=True)
        ]

    def _verdict(
        self, path: bytes, number: int, tree: Tree, run: bytes | None, is_text: bool, at: bytes
    ) -> Verdict:
        entry = self.policy.entries[number] if number >= 0 else None
        mark = None if run is None else tree.runs[run]
        if entry is not None and not entry.blocks and number >= self.policy.admitted_from:
            before = self._without(path, admitted=True)
            against = before if before is not None and before.blocks else mark
            return Verdict(path, False, entry, overridden=against)
        final, released = self._released(path, entry, tree, is_text, at)
        if final is not None and final.blocks:
            return Verdict(path, True, final, mark, run or b"")
        if mark is not None and (final is None or final.rule != BEST_MODELS_RULE):
            return Verdict(path, True, final, mark, run or b"")
        return Verdict(
            path, False, final, overridden=entry if released else None, released=released
        )

    def _released(
        self, path: bytes, entry: Entry | None, tree: Tree, is_text: bool, at: bytes
    ) -> tuple[Entry | None, str]:
        """Return the entry that decides *path* given content and tree, and why they matter.

        *at* is the folder of the project that *path* is in.
        """
        reasons: list[str] = []
        binary = False
        packages: frozenset[str] = frozenset()
        while entry is not None and entry.blocks:
            folder = self._matched_directory(path, entry) if entry.unless_source else None
            if entry.binary_only and is_text and not binary:
                binary = True
                reasons.append("it is text")
            elif folder is not None and folder in tree.packages and entry.rule not in packages:
                packages |= {entry.rule}
                reasons.append(f"{shown(_joined(at, folder))}/ holds source files")
            else:
                break
            entry = self._without(path, binary=binary, packages=packages)
        return entry, " and ".join(reasons)

    def _matched_directory(self, path: bytes, entry: Entry) -> bytes | None:
        """Return the outermost directory above *path* that the pattern of *entry* matches."""
        if entry.pattern not in self._single:
            from fx_hooks.policy.compiler import compile_tables

            self._single[entry.pattern] = Matcher(compile_tables([(entry.pattern, True)]))
        matcher = self._single[entry.pattern]
        return next((f for f in parents(path) if matcher.decide_directory(f) == 0), None)

    def _without(
        self,
        path: bytes,
        *,
        binary: bool = False,
        packages: frozenset[str] = frozenset(),
        admitted: bool = False,
    ) -> Entry | None:
        """Return the entry that decides *path* without the named kinds of entries.

        *packages* are the rules whose ``unless_source`` entries have nothing to say.
        """
        key = (binary, packages, admitted)
        if key not in self._partial:
            before = self.policy.admitted_from if admitted else len(self.policy.entries)
            kept = [
                entry
                for entry in self.policy.entries[:before]
                if not (binary and entry.binary_only)
                and not (entry.unless_source and entry.rule in packages)
            ]
            from fx_hooks.policy.compiler import compile_tables

            tables = compile_tables([(entry.pattern, entry.blocks) for entry in kept])
            self._partial[key] = (Matcher(tables), kept)
        matcher, kept = self._partial[key]
        number = matcher.decide([path])[0]
        return kept[number] if number >= 0 else None

    def blocked(self, paths: list[bytes]) -> list[bytes]:
        """Return those of *paths* that the patterns alone block."""
        projects = self.policy.projects
        if projects is None:
            return self._matcher.blocked(paths)
        blocked = {
            _joined(project, path)
            for project, below in projects.finder.grouped(paths).items()
            for path in self.of_project(project)._matcher.blocked(below)
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
            if self._matcher.blocks(self._matcher.decide_directory(directory)):
                return directory
        return path


_NO_TREE = Tree({}, ())


def _joined(project: bytes, path: bytes) -> bytes:
    return project + b"/" + path if project and path else project or path


def _by_project(projects: Projects, tree: Tree) -> dict[bytes, Tree]:
    """Return *tree* as seen from each project; its own root is no run, nor what is above it."""
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
    return {
        project: Tree(runs.get(project, {}), packages.get(project, ()))
        for project in {*runs, *packages}
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


def is_source(name: bytes) -> bool:
    """Return True if a file of that name makes its directory a package."""
    return name[name.rfind(b".") :] in SOURCE_SUFFIXES or name in SOURCE_NAMES


def read_tree(paths: Iterable[bytes], marks: Sequence[RunMark]) -> Tree:
    """Return the runs and packages of a tree that consists of *paths*.

    The root never is a run: with ``hydra.run.dir=.`` the whole repository would be one.
    Neither is a directory with source files, for the same reason one level deeper.
    """
    runs: dict[bytes, RunMark] = {}
    packages: set[bytes] = set()
    tails = [(b"/" + mark.path.encode("utf-8", "surrogateescape"), mark) for mark in marks]
    endings = tuple(tail for tail, _ in tails)
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        if is_source(name):
            packages.add(folder)
        if endings and path.endswith(endings):
            for tail, mark in tails:
                if path.endswith(tail):
                    runs.setdefault(path[: -len(tail)], mark)
    for folder in packages:
        runs.pop(folder, None)
    return Tree(runs, packages)


class _Within:
    """A finder of the outermost run that a path is in; looks each directory up once."""

    def __init__(self, runs: Mapping[bytes, RunMark]) -> None:
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
