"""The projects of a repository, each with the policy that holds in it.

A project is judged as if its folder were the root of a repository: paths are relative to it,
and the policy is that of the root with what the project's own file adds. What the root's own
patterns say of the project's folder from the root goes on to hold in it, written anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.projects import NOTHING, Finder
from fx_hooks.policy.compiled import tables_of
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.milestone_list import load_milestones
from fx_hooks.policy.model import BEST_MODELS_RULE, POLICY_NAME, Policy, with_milestones
from fx_hooks.policy.patterns import split, within
from fx_hooks.util.errors import FatalError

_WILD = frozenset("*?[\\")


class ProjectFile(NamedTuple):
    """A file that counts; ``blob`` is its object id, None where git does not track it."""

    text: bytes
    blob: str | None


class Project(NamedTuple):
    """One project: its own policy file and its milestones, None where there are none.

    ``without_milestones`` is the policy that its tables are compiled from.
    """

    folder: bytes
    policy: Policy
    without_milestones: Policy
    own: ProjectFile | None
    milestones: ProjectFile | None


def named_folders(folders: Iterable[str]) -> list[bytes]:
    """Return those of *folders* that are no globs."""
    return [os.fsencode(folder) for folder in folders if _WILD.isdisjoint(folder)]


def glob_patterns(folders: Iterable[str]) -> list[tuple[str, bool]]:
    """Return the globs among *folders*, as patterns for :func:`compile_tables`."""
    return [(f"/{folder}/{NOTHING}", True) for folder in folders if not _WILD.isdisjoint(folder)]


def _with_listed(project: Project, text: bytes) -> Project:
    """Return *project* with the milestones that *text* lists."""
    base, name = project.without_milestones, os.fsdecode(project.folder)
    try:
        lines = load_milestones(text, base.best_models)
    except FatalError as exc:
        raise FatalError(f"{name}/{exc}") from exc
    source = f"{name}/{base.best_models.milestones_file}"
    return project._replace(policy=with_milestones(base, lines, source))


class Projects:
    """The projects of *policy*, the root's, which *text* in the file *source* says.

    *read* returns the file of that path that counts, a policy file or one of milestones; the
    project's files are read when the first path in it is asked for.
    """

    def __init__(
        self,
        policy: Policy,
        text: bytes | None,
        source: str,
        read: Callable[[bytes], ProjectFile | None],
    ) -> None:
        globs = glob_patterns(policy.folders)
        self.named = named_folders(policy.folders)
        self.globs = compile_tables(globs) if globs else None
        base = tables_of(policy)
        chosen = os.fsencode(policy.best_models.folder)
        self.finder = Finder(self.named, self.globs, base, chosen)
        around = os.fsdecode(self.finder.at(chosen))
        if around:
            raise FatalError(
                f"{source}: best_models.folder: '{policy.best_models.folder}' is in the project"
                f" {around}, which has a folder of its own: write it as from there"
            )
        self.root = policy._replace(projects=None)
        self._text, self._source = text, source
        self._read = read
        self._known: dict[bytes, Project] = {}
        self._policies: dict[tuple[str | None, tuple[tuple[str, ...], ...]], Policy] = {}

    def around(self, path: bytes) -> bytes:
        """Return the folder of the innermost project around *path*, empty for the root."""
        return self.finder.around(path)

    def at(self, folder: bytes) -> Project:
        """Return the project at *folder*; raises :class:`FatalError` where its policy is wrong."""
        if folder not in self._known:
            self._known[folder] = self._load(folder)
        return self._known[folder]

    def _load(self, folder: bytes) -> Project:
        name = os.fsdecode(folder)
        own = self._read(folder + b"/" + POLICY_NAME.encode())
        base = self._policy(name, None if own is None else own.text)
        best_models = base.best_models
        listed = self._read(folder + b"/" + os.fsencode(best_models.milestones_file))
        if listed is None:
            return Project(folder, base, base, own, None)
        return _with_listed(Project(folder, base, base, own, listed), listed.text)

    def list_in(self, folder: bytes, text: bytes) -> None:
        """Take *text* as the milestones' file of the project at *folder*, as it will be."""
        self._known[folder] = _with_listed(self.at(folder), text)

    def _policy(self, folder: str, own: bytes | None) -> Policy:
        """Return the policy of a project, the same object where nothing differs."""
        said = tuple(
            tuple(within(entry.pattern, folder)) for entry in self.root.entries
            if entry.source == self._source and entry.rule != BEST_MODELS_RULE
        )  # fmt: skip
        if own is None and not any(said):
            return self.root
        key = (None if own is None else folder, said)
        if key not in self._policies:
            self._policies[key] = load_policy(self._text, self._source, project=(folder, own))
        return self._policies[key]

    def among(self, paths: Iterable[bytes]) -> list[bytes]:
        """Return the folders of the projects that *paths* are in, in order, but the root."""
        return sorted({self.around(path) for path in paths} - {b""})

    def missing(self, tracked: Collection[bytes], root: bytes | None) -> list[str]:
        """Return what the policy names that is not a folder of those *tracked*, nor on disk.

        Without *root* there is no disk.
        """

        def matched(glob: str, folders: Iterable[bytes]) -> bool:
            places = [folder + os.fsencode("/" + NOTHING) for folder in folders]
            return any(
                n >= 0 for n in Matcher(compile_tables(glob_patterns([glob]))).decide(places)
            )

        named = {os.fsdecode(folder) for folder in self.named}
        missing = [
            folder for folder in self.root.folders
            if not (matched(folder, tracked) if folder not in named
                    else os.fsencode(folder) in tracked
                    or (root and os.path.isdir(os.path.join(root, os.fsencode(folder)))))
        ]  # fmt: skip
        if root is None or named.issuperset(missing):
            return missing
        on_disk = [*self.on_disk(root)]
        return [folder for folder in missing if folder in named or not matched(folder, on_disk)]

    def on_disk(
        self, root: bytes, looked_in: list[bytes] | None = None, apart: list[bytes] | None = None
    ) -> Iterator[bytes]:
        """Yield the folders of projects that are on disk below *root*, through no link.

        Those *looked_in*, and those that are *apart* and left alone, are added to these lists.
        """
        looked_in, apart = ([] if found is None else found for found in (looked_in, apart))
        patterns = [f"/{folder}" for folder in self.root.folders]
        stack = [b""]
        while stack:
            above = stack.pop()
            looked_in.append(above)
            try:
                with os.scandir(os.path.join(root, above)) as entries:
                    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue  # git cannot look into it either
            for name in names:
                folder = above + b"/" + name if above else name
                if name == b".git":
                    continue
                if _is_apart(os.path.join(root, folder)):
                    apart.append(folder)
                    continue
                if self.finder.at(folder) == folder:
                    yield folder
                if any(_leads_to(pattern, folder) for pattern in patterns):
                    stack.append(folder)


def _is_apart(place: bytes) -> bool:
    """Return True for another repository and for a virtual environment."""
    return any(os.path.lexists(os.path.join(place, name)) for name in (b".git", b"pyvenv.cfg"))


def _leads_to(pattern: str, folder: bytes) -> bool:
    """Return True if a folder below *folder* may match *pattern*."""
    name = os.fsdecode(folder)
    return split(pattern).floating or any(rest != "*" for rest in within(pattern, name))
