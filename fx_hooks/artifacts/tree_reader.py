"""Folders that the files of a tree prove to be runs or packages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.policy.compiled import tables_generated
from fx_hooks.policy.source_names import is_source
from fx_hooks.util.paths import parents

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy, RunMark


class Tree(NamedTuple):
    """The runs and packages among the directories of a tree.

    ``runs`` are those with a file that makes them a run, ``packages`` those that hold
    source files directly. ``with_all`` says which hold all of the files that a rule asks
    for by ``only_with``.
    """

    runs: Mapping[bytes, RunMark]
    packages: Collection[bytes]
    with_all: Mapping[tuple[str, ...], Collection[bytes]] = {}


class Sign(NamedTuple):
    """A file that says something of a folder: its name, and the folder below that it is in.

    ``inside`` is empty for a file right in the folder, and ``*`` for one in any folder there.
    """

    inside: bytes
    name: bytes

    @classmethod
    def of(cls, text: str) -> Sign:
        """Take an item of ``beside`` or ``only_with`` apart."""
        inside, _, name = os.fsencode(text).rpartition(b"/")
        return cls(inside, name)

    @property
    def tail(self) -> bytes:
        """The end of the path of such a file."""
        return b"/" + (self.inside + b"/" if self.inside not in (b"", b"*") else b"") + self.name

    def folder(self, path: bytes) -> bytes | None:
        """Return the folder that the file at *path*, whose name is not a pattern, speaks of."""
        if not path.endswith(self.tail):
            return None
        folder = path[: -len(self.tail)]
        return folder.rpartition(b"/")[0] if self.inside == b"*" else folder


# Folders that runs fill at the root of a project, and what such a root holds.
HOMES = (b"outputs", b"multirun", b"logs")
_ANY = b"*"
_MOST_SILENT = 100_000  # names that are remembered
_PROJECT, _CONFIGS = b"pyproject.toml", (b"config.yaml", b"config.yml")
PROJECT_SIGNS = (b"/" + _PROJECT, *(b"/conf/" + name for name in _CONFIGS))


def homes_above(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the folders above *folder* that may be where runs go, each with its own parent."""
    for home in parents(folder):
        above, _, name = home.rpartition(b"/")
        if above and name in HOMES:
            yield home, above


class Found(NamedTuple):
    """The folders that hold a file of a name, by name; and those that hold source files."""

    holders: dict[bytes, set[bytes]]
    packages: set[bytes]


class TreeReader:
    """A reader of trees for one policy: it looks for what the policy asks for."""

    def __init__(self, policy: Policy) -> None:
        self._marks = policy.run_marks
        self._groups = dict.fromkeys(
            [*(entry.only_with for entry in policy.entries if entry.only_with),
             *(files_of(mark) for mark in policy.run_marks)]
        )  # fmt: skip
        self._signs = {group: tuple(map(Sign.of, group)) for group in self._groups}
        self.deeper = {sign.inside for signs in self._signs.values() for sign in signs}
        self.deeper -= {b"", b"*"}
        self._asked = {group: {sign.name for sign in signs} for group, signs in self._signs.items()}
        names = set().union(*self._asked.values())
        # Any name at all is asked for, too, where a folder only has to hold something.
        self._any = _ANY in names
        wild = sorted(name for name in names if is_wild(name) and name != _ANY)
        self._literal = names.difference(wild, (_ANY,)).union((_PROJECT, *_CONFIGS))
        self._wild = [(name, name[: _first_wild(name)], _behind_wild(name)) for name in wild]
        # What such a name begins with, or else ends with: few names need a closer look.
        self._starts = tuple({name[: _first_wild(name)] for name in wild} - {b""})
        self._ends = tuple({_behind_wild(name) for name in wild if not _first_wild(name)})
        self._policy = policy
        self._silent: set[bytes] = set()

    @cached_property
    def _generated(self) -> Matcher:
        """Matcher of what is refused for its own name: no source, as tools write scripts, too."""
        return Matcher(tables_generated(self._policy))

    def names_in(self, names: Iterable[bytes]) -> set[bytes]:
        """Return those of the names that are asked for which a folder with *names* holds."""
        names = set(names)
        found = names & self._literal
        if names and self._any:
            found.add(_ANY)
        likely = [name for name in names if self._may_be_wild(name)]
        return found.union(*map(self._wild_like, likely))

    def _may_be_wild(self, name: bytes) -> bool:
        """Return True if *name* may be like one of the names with a star, as few are."""
        return name.startswith(self._starts) or name.endswith(self._ends)

    def _wild_like(self, name: bytes) -> list[bytes]:
        """Return those names with a star that *name* is like."""
        return [
            pattern
            for pattern, start, end in self._wild
            if name.startswith(start) and name.endswith(end) and _is_like(pattern, name)
        ]

    def is_package(self, folder: bytes, names: Iterable[bytes]) -> bool:
        """Return True if a *folder* that holds *names* directly is a package."""
        sources = [folder + b"/" + name for name in names if is_source(name)]
        return len(self._generated.blocked(sources)) < len(sources)

    def look_into(self, folder: bytes, entries: Mapping[bytes, object]) -> tuple[set[bytes], bool]:
        """Return the names that are asked for of a *folder* with *entries*, and True for a package.

        A history has the same folder many times: names that said nothing are known by then.
        """
        names = entries.keys() - self._silent
        telling = {
            name
            for name in names
            if name in self._literal or self._may_be_wild(name) or is_source(name)
        }
        if len(self._silent) > _MOST_SILENT:
            self._silent.clear()
        self._silent |= names - telling
        found = self.names_in(telling)
        if entries and self._any:
            found.add(_ANY)
        return found, self.is_package(folder, telling)

    def look(self, paths: Iterable[bytes]) -> Found:
        """Return what the files at *paths* say of the folders that they are in."""
        holders: dict[bytes, set[bytes]] = {}
        packages: set[bytes] = set()
        sources: list[bytes] = []
        literal = self._literal
        folders: set[bytes] = set()
        for path in paths:
            folder, _, name = path.rpartition(b"/")
            folders.add(folder)
            if is_source(name):
                sources.append(path)
            if name in literal:
                holders.setdefault(name, set()).add(folder)
            if self._may_be_wild(name):
                for pattern in self._wild_like(name):
                    holders.setdefault(pattern, set()).add(folder)
        if self._any and folders:
            holders[_ANY] = folders
        generated = set(self._generated.blocked(sources)) if sources else set()
        packages = {path.rpartition(b"/")[0] for path in sources if path not in generated}
        return Found(holders, packages)

    def tree(self, found: Found) -> Tree:
        """Return the tree in which *found* is all that there is.

        The root never is a run: with ``hydra.run.dir=.`` the whole repository would be one.
        Neither is a directory with source files, for the same reason one level deeper.
        """
        with_all = {
            group: self._holding(signs, found)
            for group, signs in self._signs.items()
            if self._asked[group] <= found.holders.keys()
        }
        runs: dict[bytes, RunMark] = {}
        for mark in self._marks:
            for folder in with_all.get(files_of(mark), ()):
                if folder and folder not in found.packages:
                    runs.setdefault(folder, mark)
        # Where runs go in a project, the others are runs as well, be they without a mark.
        for folder, mark in [*runs.items()]:
            for home, above in homes_above(folder):
                if home not in found.packages and _is_project(above, found):
                    runs.setdefault(home, mark)
        return Tree(runs, found.packages, with_all)

    def read(self, paths: Iterable[bytes]) -> Tree:
        """Return the runs and packages of a tree that consists of *paths*."""
        return self.tree(self.look(paths))

    def _holding(self, signs: Collection[Sign], found: Found) -> set[bytes]:
        """Return the folders that have all of *signs*."""
        sets = [_above(sign, found) for sign in signs if sign.inside != b"*"]
        # Behind one star stands one folder.
        inner = [found.holders.get(sign.name, set()) for sign in signs if sign.inside == b"*"]
        if inner:
            sets.append({folder.rpartition(b"/")[0] for folder in set.intersection(*inner)})
        return set.intersection(*sets)

    def on_disk(self, root: bytes, folders: Iterable[bytes]) -> dict[bytes, set[bytes]]:
        """Return what *folders* of the work tree at *root* hold of what is asked for.

        What is in any folder below one is not looked for.
        """
        holders: dict[bytes, set[bytes]] = {}
        for folder in folders:
            try:
                names = os.listdir(os.path.join(root, folder))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:  # what lies in it may be open all the same
                names = [inside.partition(b"/")[0] for inside in self.deeper]
            else:
                for name in self.names_in(names):
                    holders.setdefault(name, set()).add(folder)
            here = set(names)
            for inside in self.deeper:
                if inside.partition(b"/")[0] in here:
                    place = folder + b"/" + inside if folder else inside
                    with suppress(OSError):
                        for name in self.names_in(os.listdir(os.path.join(root, place))):
                            holders.setdefault(name, set()).add(place)
        return holders


def _is_project(folder: bytes, found: Found) -> bool:
    """Return True if *folder* has the files of a project that runs are started in."""
    return folder in found.holders.get(_PROJECT, ()) or any(
        folder + b"/conf" in found.holders.get(name, ()) for name in _CONFIGS
    )


def _above(sign: Sign, found: Found) -> set[bytes]:
    folders = found.holders.get(sign.name, set())
    if not sign.inside:
        return folders
    tail = b"/" + sign.inside
    above = {folder[: -len(tail)] for folder in folders if folder.endswith(tail)}
    return above | {b""} if sign.inside in folders else above  # the root has no name


def files_of(mark: RunMark) -> tuple[str, ...]:
    """Return all files that together make a folder a run."""
    return mark.only_with or (mark.path,)


def is_wild(name: bytes) -> bool:
    """Return True if *name* is a pattern of ``only_with``."""
    return b"*" in name or b"?" in name


def _first_wild(name: bytes) -> int:
    return next(place for place, char in enumerate(name) if char in b"*?")


def _behind_wild(name: bytes) -> bytes:
    return name[max(name.rfind(b"*"), name.rfind(b"?")) + 1 :]


def _is_like(pattern: bytes, name: bytes) -> bool:
    return _like(pattern)(name) is not None


@lru_cache(maxsize=1 << 14)  # more than one policy has
def _like(pattern: bytes) -> Callable[[bytes], object]:
    inner = (b".*" if char == 42 else b"." if char == 63 else re.escape(bytes([char]))
             for char in pattern)  # fmt: skip
    return re.compile(b"".join(inner), re.DOTALL).fullmatch
