"""The projects of a repository: folders that are judged as if each were one of its own.

Like all of this package, imports next to nothing.
"""

import os

from fx_hooks.fastpath import POLICY, table_cache
from fx_hooks.fastpath.index_bytes import as_it_was
from fx_hooks.fastpath.matcher import Matcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, TypeAlias

    from fx_hooks.fastpath.index_bytes import Index
    from fx_hooks.fastpath.listed_index import ListedIndex
    from fx_hooks.fastpath.matcher import Tables

    # What a project's policy was made from and where its tables are: the object id of its own
    # policy file, the path of its milestones' file and its object id, the number of its tables.
    # Most projects have neither file, and the tables of the root.
    Known: TypeAlias = tuple[bytes, bytes, bytes, int] | tuple[()]
    # The named folders; the tables of the globs; what is known of each project; where those
    # without a policy have their milestones' file; which parts of the following make tables, what
    # differs from those of the root, and marks of runs; these parts, marshalled: a commit needs
    # few of them, and hundreds of projects have most of them in common.
    Content: TypeAlias = tuple[
        tuple[bytes, ...],
        Tables | None,
        dict[bytes, Known],
        bytes,
        tuple[tuple[int, ...], ...],
        tuple[bytes, ...],
    ]

# The name of a file that no folder has: a glob with it behind matches the folder alone, where a
# pattern matches all that is in the folder.
NOTHING = "\0"
_NOTHING = b"/\0"


class Finder:
    """Finds the innermost project around a path.

    *named* folders are projects; one that only a glob matches (*globs* are their tables) is
    none where *base*, the root's policy, refuses it as a whole: ``*`` does not stand for
    ``outputs``. In *chosen*, the folder of chosen models, there are none at all.
    """

    __slots__ = ("_base", "_chosen", "_globs", "_known", "_named")

    def __init__(
        self,
        named: "Collection[bytes]",
        globs: "Tables | None",
        base: "Tables",
        chosen: bytes,
    ) -> None:
        self._named = frozenset(named)
        self._chosen = chosen + b"/"
        self._globs = None if globs is None else Matcher(globs)
        self._base = Matcher(base)
        self._known = {b"": b""}

    def around(self, path: bytes) -> bytes:
        """Return the folder of the project around *path*; empty stands for the repository."""
        folder = path[: max(path.rfind(b"/", 0, -1), 0)]
        known = self._known.get(folder)
        return self.at(folder) if known is None else known

    def at(self, folder: bytes) -> bytes:
        """Return the folder of the project that *folder* is, or that it is in."""
        known = self._known
        missing = []
        while folder not in known:
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        project = known[folder]
        for folder in reversed(missing):
            if self._is_project(folder, project):
                project = folder
            known[folder] = project
        return project

    def _is_project(self, folder: bytes, around: bytes) -> bool:
        below = folder[len(around) + 1 :] if around else folder
        if (below + b"/").startswith(self._chosen):
            return False
        if folder in self._named:
            return True
        if self._globs is None or self._globs.decide((folder + _NOTHING,))[0] < 0:
            return False
        return not self._base.blocks(self._base.decide_directory(below))

    def grouped(self, paths: "Iterable[bytes]") -> "dict[bytes, list[bytes]]":
        """Return *paths* by the project that they are in, relative to it."""
        groups: dict[bytes, list[bytes]] = {}
        for path in paths:
            project = self.around(path)
            below = path[len(project) + 1 :] if project else path
            groups.setdefault(project, []).append(below)
        return groups


def places_of_runs(
    content: "Content",
    tables: "Tables",
    marks: "tuple[bytes, ...]",
    paths: "Iterable[bytes]",
    index: "Index | ListedIndex",
    submodules: "Collection[bytes]",
) -> "list[tuple[tuple[bytes, ...], list[bytes]]] | None":
    """Return where runs may be that *paths* are in: marks, and folders to look for them in.

    None means that the command has to look closely: a path is an artifact, a project is new, or
    its policy has changed. *tables* and *marks* are those of the root; *submodules* are those
    among *paths*.
    """
    named, globs, known, milestones, *_ = content
    finder = Finder(named, globs, tables, milestones.rpartition(b"/")[0])
    groups = finder.grouped(paths)
    facts = _facts(known, milestones, groups, index)
    if facts is None:
        return None
    # A submodule is a folder, to patterns that match only those.
    modules = finder.grouped([path + b"/" for path in submodules])
    found = []
    for project, inside in groups.items():
        number = facts[project][3] if project else 0
        of_project = _unpacked(content, tables, marks, number)
        matcher = Matcher(of_project[0])
        if matcher.blocked(inside) or matcher.blocked(modules.get(project, [])):
            return None
        before = project + b"/" if project else b""
        found.append((of_project[1], [before + name for name in matcher.directories() if name]))
    return found


def may_lack_one(content: "Content") -> bool:
    """Return True unless all named folders are there, and one for each glob."""
    named, globs, known, *_ = content
    if not all(map(os.path.isdir, named)):
        return True
    if globs is None:
        return False
    there = [folder + _NOTHING for folder in known if os.path.isdir(folder)]
    # One byte a glob, and one more; what two match counts for the last of them.
    return len({*Matcher(globs).decide(there)} - {-1}) < len(globs[0]) - 1


def _unpacked(
    content: "Content", tables: "Tables", marks: "tuple[bytes, ...]", number: int
) -> "tuple[Tables, tuple[bytes, ...]]":
    """Return the tables and marks of that *number*; *tables* and *marks* are those of the root."""
    if not number:
        return tables, marks
    *_, kept, pool = content
    parts = [table_cache.unpacked(pool[at]) for at in kept[number - 1]]
    return changed(tables, tuple(parts[:-1])), parts[-1]


class Judge:
    """Decides the paths of a range, each by the policy of its project as the tip has it.

    *has* says whether the tip has a file of an object id at a path, or none if that is empty.
    """

    __slots__ = ("_content", "_finder", "_found", "_has", "_marks", "_tables")

    def __init__(
        self,
        content: "Content",
        tables: "Tables",
        marks: "tuple[bytes, ...]",
        has: "Callable[[bytes, bytes], bool]",
    ) -> None:
        named, globs, _, milestones, *_ = content
        self._content, self._tables, self._marks, self._has = content, tables, marks, has
        self._finder = Finder(named, globs, tables, milestones.rpartition(b"/")[0])
        # By its folder the matcher of a project, its marks, and where it has its milestones' file;
        # None where that is not known.
        self._found: dict[bytes, tuple[Matcher, tuple[bytes, ...], bytes] | None] = {}

    def decide(self, paths: "Iterable[bytes]") -> "list[int]":
        """Return for each of *paths* 0 if it is let in, -1 if nothing decides it, or 1."""
        numbers = {}
        for project, inside in self._finder.grouped(paths).items():
            if project not in self._found:
                self._found[project] = self._loaded(project)
            found = self._found[project]
            before = project + b"/" if project else b""
            matcher = None if found is None else found[0]
            decided = [1] * len(inside) if matcher is None else matcher.decide(inside)
            for path, number in zip(inside, decided, strict=True):
                blocked = matcher is None or matcher.blocks(number)
                numbers[before + path] = 1 if blocked else min(number, 0)
        return [numbers[path] for path in paths]

    def blocks(self, number: int) -> bool:
        """Return True if a path of that *number* is an artifact, or its project is not known."""
        return number > 0

    def _loaded(self, project: bytes) -> "tuple[Matcher, tuple[bytes, ...], bytes] | None":
        _, _, known, milestones, *_ = self._content
        if project and project not in known:
            return None
        own, listing, listed, number = (project and known[project]) or (b"", milestones, b"", 0)
        before = project + b"/"
        if project and not (
            self._has(before + POLICY, own) and self._has(before + listing, listed)
        ):
            return None
        tables, marks = _unpacked(self._content, self._tables, self._marks, number)
        return Matcher(tables), marks, listing

    def places(self) -> "list[tuple[tuple[bytes, ...], list[bytes], bytes]]":
        """Return for each project marks, the folders seen in it, and that of chosen models."""
        found = []
        for project, one in self._found.items():
            if one is not None:
                matcher, marks, listing = one
                before = project + b"/" if project else b""
                # The root of a project never is a run.
                folders = [b"", *[before + name for name in matcher.directories() if name]]
                found.append((marks, folders, before + listing.rpartition(b"/")[0] + b"/"))
        return found


def differences(tables: "Tables", others: "Tables") -> "tuple[Any, ...]":
    """Return what makes *others* of *tables*, which mostly are alike."""
    return tuple(map(_difference, tables, others))


def changed(tables: "Tables", changes: "tuple[Any, ...]") -> "Tables":
    """Return the others that :func:`differences` was given."""
    others: Any = tuple(map(_changed, tables, changes))
    return others  # type: ignore[no-any-return]


def _difference(part: "Any", other: "Any") -> "Any":
    """Return None where both are the same, what is new in a dict or in the middle of a tuple."""
    if part == other:
        return None
    if isinstance(part, dict):
        new = {key: value for key, value in other.items() if part.get(key) != value}
        return new, [key for key in part if key not in other]
    if isinstance(part, tuple):
        shorter = min(len(part), len(other))
        start = end = 0
        while start < shorter and part[start] == other[start]:
            start += 1
        while end < shorter - start and part[-1 - end] == other[-1 - end]:
            end += 1
        return start, end, other[start : len(other) - end]
    return (other,)


def _changed(part: "Any", change: "Any") -> "Any":
    """Return what the other part was that :func:`_difference` has seen."""
    if change is None:
        return part
    if isinstance(part, dict):
        new, gone = change
        both = {**part, **new}
        for key in gone:
            del both[key]
        return both
    if isinstance(part, tuple):
        start, end, middle = change
        return (*part[:start], *middle, *part[len(part) - end :])
    return change[0]


def _facts(
    known: "dict[bytes, Known]",
    milestones: bytes,
    projects: "Collection[bytes]",
    index: "Index | ListedIndex",
) -> "dict[bytes, tuple[bytes, bytes, bytes, int]] | None":
    """Return what is known of *projects* but the root; None where one is new or has changed."""
    facts = {}
    watched = {}
    for project in projects:
        if not project:
            continue
        if project not in known:
            return None
        own, listing, listed, _ = facts[project] = known[project] or (b"", milestones, b"", 0)
        before = project + b"/"
        if not own and os.path.lexists(before + POLICY):
            return None
        watched[before + POLICY] = own
        watched[before + listing] = listed
    entries = index.entries(list(watched))
    if not all(as_it_was(entries.get(path), blob) for path, blob in watched.items()):
        return None
    return facts


def outside_chosen(
    content: "Content",
    tables: "Tables",
    paths: "list[bytes]",
    index: "Index | ListedIndex",
) -> bool:
    """Return True if none of *paths* is in a folder of chosen models, nor where one could be.

    *tables* are those of the root.
    """
    named, globs, known, milestones, *_ = content
    # A file or a link in the place of a project, or of what it is in.
    places = {b""}
    for project in known:
        while project not in places:
            places.add(project)
            project = project.rpartition(b"/")[0]
    if not places.isdisjoint(paths):
        return False
    finder = Finder(named, globs, tables, milestones.rpartition(b"/")[0])
    groups = finder.grouped(paths)
    facts = _facts(known, milestones, groups, index)
    if facts is None:
        return False
    for project, inside in groups.items():
        listing = facts[project][1] if project else milestones
        folder = listing[: listing.rfind(b"/") + 1]
        for path in inside:
            if (path + b"/").startswith(folder) or folder.startswith(path + b"/"):
                return False
    return True
