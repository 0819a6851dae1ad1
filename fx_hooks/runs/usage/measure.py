"""The use of space: every block of a repository goes to one thing, and has a kind.

Runs come first, as they are; what is in no run is sorted by the policy. A file with
several names counts where it is met first, so that all kinds together are what ``du``
says of the whole.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.index_check import rm_needs_force
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.policy.compiled import tables_of
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.runs.layouts import is_repository
from fx_hooks.runs.usage.git_usage import LFS, LOOSE, OTHER, PACKED, SUBMODULES, GitSpace
from fx_hooks.util.disk import Folder, Problem, Scan, Size, size_of
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from fx_hooks.artifacts.classifier import Verdict
    from fx_hooks.artifacts.index_check import IndexCheck
    from fx_hooks.policy.model import Policy
    from fx_hooks.runs.inventory import Run, Survey

    # The path of a file, and the file as the scan has it.
    _File: TypeAlias = tuple[bytes, int, int, float, int]
    _Located: TypeAlias = tuple[bytes, _File]
    # A folder in no run, by its path, and its files as they count.
    _Loose: TypeAlias = tuple[bytes, Folder, list[_File]]

CACHES = "caches"
ENVIRONMENTS = "environments"
GIT = "git"
TRACKED = "tracked artifacts"
LOOSE_ARTIFACTS = "other artifacts"
REST = "everything else"
# What leads out of the work tree.
BEHIND_A_LINK = "behind a link"
MOUNT = "another file system"

_GIT_PARTS = {PACKED: b"objects/pack", LOOSE: b"objects", LFS: b"lfs", SUBMODULES: b"modules"}

_CACHE_RULES = {"python-caches", "caches"}
_WEIGHT_RULES = {
    "weights", "tensorflow-checkpoints", "trainer-checkpoints", "stable-baselines3",
}  # fmt: skip
_MOST_NAMES = 100_000  # that are remembered
_FORMAT = 0o170000  # of a mode
NOTHING = Size(0, 0, 0, 0.0)


class Item(NamedTuple):
    """One thing that takes space.

    ``path`` is relative to the root, or absolute where it lies *outside* the work tree;
    ``target`` is where a link leads. ``weights`` are the checkpoints in it. ``run`` is
    what it is, where it is one, and ``members`` what belongs to it; ``folder`` all that was
    found there, where *is_folder* does not stand for some of it only.
    """

    kind: str
    path: bytes
    size: Size
    weights: Size = NOTHING
    note: str = ""
    outside: bool = False
    target: bytes = b""
    run: Run | None = None
    folder: Folder | None = None
    is_folder: bool = False
    members: tuple[Run, ...] = ()


class Lead(NamedTuple):
    """A link, or a folder on another file system, that the policy calls an artifact."""

    kind: str
    path: bytes


class Space(NamedTuple):
    """All that takes space. ``total`` is that of the work tree with its git directory.

    ``kinds`` add up to it; what lies outside is not in it. With ``problems`` everything
    is a lower bound. ``tracked`` are the files that git has and the policy refuses, and
    ``by_force`` says that git untracks one of them only so; ``leads`` is where the tree
    goes on elsewhere.
    """

    root: bytes
    total: Size
    kinds: dict[str, Size]
    items: list[Item]
    tracked: list[bytes]
    leads: list[Lead]
    problems: list[Problem]
    notes: list[str]
    by_force: bool = False


def measure_history(survey: Survey, git: GitSpace, check: IndexCheck) -> Space:
    """Sort all of the work tree and of its git directory."""
    usage = _Usage(survey, check)
    usage.sort_tree()
    usage.sort_mounts()
    usage.count_git(git)
    total = size_of([survey.scan.top, *([git.scan.top] if git.inside else [])])
    return Space(
        root=survey.root,
        total=plus(total, usage.git_file),
        kinds=usage.kinds,
        items=usage.items,
        tracked=usage.tracked,
        leads=usage.leads,
        problems=[*survey.scan.problems, *usage.problems],
        notes=[*survey.notes, *usage.notes],
        by_force=rm_needs_force(check.repository, check.staged, usage.tracked),
    )


class _Sum:
    """A size that grows."""

    __slots__ = ("bytes", "disk", "files", "newest")

    def __init__(self) -> None:
        self.bytes = self.disk = self.files = 0
        self.newest = 0.0

    def add(self, size: int, disk: int, files: int, newest: float) -> None:
        self.bytes += size
        self.disk += disk
        self.files += files
        self.newest = max(self.newest, newest)

    def size(self) -> Size:
        return Size(self.bytes, self.disk, self.files, self.newest)


class _Usage:
    def __init__(self, survey: Survey, check: IndexCheck) -> None:
        self.items: list[Item] = []
        self.kinds: dict[str, Size] = {}
        self.problems: list[Problem] = []
        self.tracked: list[bytes] = []
        self.notes: list[str] = []
        self.leads: list[Lead] = []
        self.git_file = NOTHING
        self._survey = survey
        self._by_path = {run.path: run for run in survey.runs}
        self._scan: Scan = survey.scan
        self._check = check
        self._runs = {run.path: run for run in survey.runs if run.within is None}
        self._policy: Policy = check.classifier.policy
        self._patterns = Matcher(tables_of(self._policy))
        weights = [entry for entry in self._policy.entries if entry.rule in _WEIGHT_RULES]
        self._weights = Matcher(
            compile_tables([(entry.pattern, entry.blocks) for entry in weights])
        )
        # What these patterns say of the name of a file alone, with the names it was asked of.
        last_parts = {entry.pattern.rpartition("/")[2] for entry in weights if entry.blocks}
        self._last_parts = Matcher(compile_tables([(part or "*", True) for part in last_parts]))
        self._checkpoint_names: set[bytes] = set()
        self._names: set[bytes] = set()
        # Files with several names that were counted already.
        self._seen: set[tuple[int, int]] = set()

    # ---- the work tree

    def sort_tree(self) -> None:
        """Give every folder and every file of the tree to a kind."""
        loose: list[_Loose] = []
        rest: dict[bytes, _Sum] = {}
        found = [(run, self._scan.find(path)) for path, run in self._runs.items()]
        runs = [(run, folder) for run, folder in found if folder is not None]
        checkpoints = self._checkpoints(folder for _, folder in runs)
        for (run, folder), weights in zip(runs, checkpoints, strict=True):
            self._add_run(run, folder, weights)
        stack = [(self._scan.top, b"")]
        while stack:
            folder, path = stack.pop()
            if path in self._runs:
                continue
            kind = self._kind_of(folder, path)
            if kind == REST:
                self._add(rest, path, *self._whole(folder))
            elif kind:
                item = Item(kind, path, folder.size(), folder=folder, is_folder=True)
                self._put(item, Size(*self._whole(folder)))
            else:
                self._add(rest, path, 0, folder.disk, 0, 0.0)
                files = [*self._counted(folder, path)] if folder.links else folder.files
                loose.append((path, folder, files))
                stack += [(inner, _join(path, name)) for name, inner in folder.folders.items()]
        self._sort_files(loose, rest)
        for name, total in rest.items():
            self._put(Item(REST, name, total.size(), is_folder=bool(name)), total.size())

    def _kind_of(self, folder: Folder, path: bytes) -> str:
        """Return what all of *folder* is; empty where each thing in it is asked."""
        if not path:
            return ""
        names = folder.names()
        if b"pyvenv.cfg" in names or b"conda-meta" in folder.folders:
            return ENVIRONMENTS
        if is_repository(folder):
            return REST
        entry = self._check.classifier.decide_folder(path)
        if entry is None or not entry.blocks or entry.only_with:
            return ""
        return CACHES if entry.rule in _CACHE_RULES else ""

    def _add_run(self, run: Run, folder: Folder, weights: Size) -> None:
        item = Item(
            run.kind, run.path, run.size, weights, run.reason, run=run, folder=folder,
            is_folder=True, members=tuple(self._members(run)),
        )  # fmt: skip
        self._put(item, Size(*self._whole(folder)))

    def _members(self, run: Run) -> Iterator[Run]:
        return (self._by_path[path] for path in self._survey.members[run.path])

    def _whole(self, folder: Folder) -> tuple[int, int, int, float]:
        """Return what *folder* adds to what was counted already."""
        size = folder.size()
        again: dict[tuple[int, int], tuple[int, int]] = {}
        for inner in folder.walk():
            for key, _, bytes_, disk in inner.links:
                again[key] = (bytes_, disk)
        known = again.keys() & self._seen
        self._seen |= again.keys()
        return (
            size.bytes - sum(again[key][0] for key in known),
            size.disk - sum(again[key][1] for key in known),
            size.files,
            size.newest,
        )

    def _counted(self, folder: Folder, path: bytes) -> Iterator[_File]:
        """Yield the files of *folder*; one that was counted already has no size."""
        sizes = {(link.bytes, link.disk) for link in folder.links}
        for file in folder.files:
            name, bytes_, disk, mtime, mode = file
            if (bytes_, disk) in sizes:
                key = self._key(_join(path, name))
                if key in self._seen:
                    yield name, 0, 0, mtime, mode
                    continue
                if key is not None:
                    self._seen.add(key)
            yield file

    def _key(self, path: bytes) -> tuple[int, int] | None:
        """Return which file that is, if it has several names."""
        try:
            status = os.lstat(os.path.join(self._scan.root, path))
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status.st_nlink > 1 else None

    def _checkpoints(self, tops: Iterable[Folder]) -> Iterator[Size]:
        """Yield what is checkpoints in each of *tops*; where links lead is looked at later.

        A file is one by its own name or by that of a folder. Runs have the same names by the
        hundred, so folders and names are decided first, and few files are left.
        """
        insides = [[(folder, folder.path + b"/") for folder in top.walk()] for top in tops]
        # All at once: for a few, to begin takes longer than to decide.
        whole = {*self._weights.blocked([path for inside in insides for _, path in inside])}
        located = [
            [
                (path + file[0], file)
                for folder, path in inside
                for file in (folder.files if path in whole else self._likely(folder))
            ]
            for inside in insides
        ]
        blocked = {*self._weights.blocked([path for files in located for path, _ in files])}
        for inside, files in zip(insides, located, strict=True):
            self.leads += [
                Lead(BEHIND_A_LINK, path + file[0])
                for folder, path in inside
                for file in folder.files
                if file[4] & _FORMAT == stat.S_IFLNK
            ]
            total = _Sum()
            for path, (_, size, disk, mtime, mode) in files:
                if path in blocked and not stat.S_ISLNK(mode):
                    total.add(size, disk, 1, mtime)
            yield total.size()

    def _likely(self, folder: Folder) -> list[_File]:
        """Return the files of *folder* whose names checkpoints have."""
        names = {*folder.names()}
        new = names - self._names
        if new:
            self._checkpoint_names.update(self._last_parts.blocked([*new]))
            if len(self._names) > _MOST_NAMES:
                self._names.clear()
            self._names |= new
        likely = names & self._checkpoint_names
        return [file for file in folder.files if file[0] in likely] if likely else []

    def _sort_files(
        self,
        loose: Sequence[_Loose],
        rest: dict[bytes, _Sum],
    ) -> None:
        """Sort what is in no run and no cache, file by file where not all is allowed."""
        index = self._check.index
        refused = {
            verdict.path
            for verdict in self._check.verdicts(index, ask_disk=False)
            if verdict.blocked
        }
        self.tracked = sorted(refused)
        paths = [_join(folder, file[0]) for folder, _, files in loose for file in files]
        suspects = self._suspects(paths, refused)
        judged = self._check.verdicts(suspects, ask_disk=True)
        verdicts = dict(zip(suspects, judged, strict=True))
        groups: dict[tuple[str, bytes], _Sum] = {}
        notes: dict[tuple[str, bytes], Verdict] = {}
        suspicious = {path.rpartition(b"/")[0] for path in suspects}
        left: list[_Located] = []
        for path, folder, files in loose:
            if path in suspicious or folder.links:
                left += [(_join(path, file[0]), file) for file in files]
            else:
                bytes_, disk, mtime = folder.sums
                self._add(rest, path, bytes_, disk, len(files), mtime)
        for path, file in left:
            _, bytes_, disk, mtime, mode = file
            verdict = verdicts.get(path)
            if verdict is None or path in index:
                kind = TRACKED if path in refused else REST
            elif verdict.blocked and verdict.decider is not None:
                kind = CACHES if verdict.decider.rule in _CACHE_RULES else LOOSE_ARTIFACTS
                if stat.S_ISLNK(mode):
                    self.leads.append(Lead(BEHIND_A_LINK, path))
            else:
                kind = REST
            if kind == REST or verdict is None:
                self._add(rest, path, bytes_, disk, 1, mtime)
                continue
            group = (kind, self._check.classifier.group(verdict) if verdict.blocked else path)
            groups.setdefault(group, _Sum()).add(bytes_, disk, 1, mtime)
            notes.setdefault(group, verdict)
        for (kind, path), total in groups.items():
            decider = notes[kind, path].decider
            note = decider.why if decider is not None else ""
            is_folder = self._scan.find(path) is not None
            self._put(Item(kind, path, total.size(), note=note, is_folder=is_folder), total.size())

    def _suspects(self, paths: list[bytes], refused: Collection[bytes]) -> list[bytes]:
        """Those of *paths* that are *refused*, or not allowed at first sight.

        Of a data set nearly all is, and a verdict costs more than a look.
        """
        classifier = self._check.classifier
        marked = {*classifier.tree(paths).runs, *self._check.tree.runs}
        blocks = classifier.decided(paths)
        return [
            path
            for path in paths
            if blocks[path] or path in refused or (marked and not marked.isdisjoint(parents(path)))
        ]

    def _add(
        self, rest: dict[bytes, _Sum], path: bytes, size: int, disk: int, files: int, newest: float
    ) -> None:
        """Count under the topmost folder; a file in the root under the root itself."""
        name, slash, _ = path.partition(b"/")
        if not slash and name and name not in self._scan.top.folders:
            name = b""
        rest.setdefault(name, _Sum()).add(size, disk, files, newest)

    def _put(self, item: Item, counted: Size) -> None:
        """Add *item*, which takes *counted* of what no other one has."""
        self.items.append(item)
        self.kinds[item.kind] = plus(self.kinds.get(item.kind, NOTHING), counted)

    def sort_mounts(self) -> None:
        """Other file systems are looked at where runs are expected on them."""
        for path in self._scan.mounts:
            inside_run = any(path.startswith(run + b"/") for run in self._runs)
            entry = self._check.classifier.decide_folder(path)
            if inside_run or (entry is not None and entry.blocks):
                self.leads.append(Lead(MOUNT, path))
            else:
                self.notes.append(f"{shown(path)}/ is on another file system: it is not counted")

    # ---- git

    def count_git(self, git: GitSpace) -> None:
        """Add what git keeps, part by part."""
        base = b".git" if git.inside else git.path
        self.problems += [
            Problem(_join(base, problem.path), problem.reason) for problem in git.scan.problems
        ]
        left = git.scan.top.size()
        for part, name in _GIT_PARTS.items():
            size = git.size(part)
            if size.files:
                left = _less(left, size)
                place = _join(base, name)
                self.items.append(
                    Item(GIT, place, size, note=part, outside=not git.inside, is_folder=True)
                )
        rest = Item(GIT, base, left, note=OTHER, outside=not git.inside, is_folder=True)
        self.items.append(rest)
        if git.inside:
            self.kinds[GIT] = Size(*self._whole(git.scan.top))
        else:
            self._count_git_file()

    def _count_git_file(self) -> None:
        """``.git`` itself is a file in a linked work tree and in a submodule."""
        try:
            found = os.lstat(os.path.join(self._scan.root, b".git"))
        except OSError:
            return
        disk = getattr(found, "st_blocks", 0) * 512
        self.git_file = Size(found.st_size, disk, 1, found.st_mtime)
        self._put(Item(GIT, b".git", self.git_file, note=OTHER), self.git_file)


def plus(size: Size, other: Size) -> Size:
    """Both together, where they have no file in common."""
    return Size(
        size.bytes + other.bytes,
        size.disk + other.disk,
        size.files + other.files,
        max(size.newest, other.newest),
    )


def _less(size: Size, part: Size) -> Size:
    return Size(
        max(size.bytes - part.bytes, 0),
        max(size.disk - part.disk, 0),
        max(size.files - part.files, 0),
        size.newest,
    )


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
