"""The check of paths against the index, its staged changes, and the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Contents
from fx_hooks.artifacts.small_files import is_pointer_file, may_be_script, pointers, scripts
from fx_hooks.artifacts.unnamed import look_into, refused_files
from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE, Change, IndexEntry, Repository
from fx_hooks.util.paths import parents
from fx_hooks.weights.plain_text import is_text_file, text_blobs

if TYPE_CHECKING:
    from fx_hooks.artifacts.classifier import Classifier, Verdict
    from fx_hooks.artifacts.tree_reader import Found, Tree


class IndexCheck:
    """The index, its staged changes, and the classifier that they are checked with.

    *others* are paths that the index does not have, and that count as if it had them.
    """

    def __init__(
        self,
        repository: Repository,
        index: Mapping[bytes, IndexEntry],
        staged: Mapping[bytes, Change],
        classifier: Classifier,
        others: Collection[bytes] = (),
    ) -> None:
        self.repository = repository
        self.index = index
        self.staged = staged
        self.classifier = classifier
        self.others = others
        # Set once all that is asked for was looked into, and nothing was refused for what it is.
        self.nothing_unnamed = False
        self.unread: Collection[bytes] = ()

    @cached_property
    def tree(self) -> Tree:
        """The runs and packages that the index has."""
        return self.classifier.tree_of(self._found)

    @cached_property
    def _found(self) -> dict[bytes, Found]:
        return self.classifier.look((*self.index, *self.others))

    @cached_property
    def _scripts(self) -> dict[bytes, dict[bytes, str]]:
        """The blobs of what only its first line can tell to be source, by folder."""
        found: dict[bytes, dict[bytes, str]] = {}
        for path, entry in self.index.items():
            folder, _, name = path.rpartition(b"/")
            if may_be_script(name) and entry.mode not in (LINK_MODE, SUBMODULE_MODE):
                found.setdefault(folder, {})[path] = entry.blob
        return found

    def verdicts(
        self, paths: Iterable[bytes], *, ask_disk: bool, open_all: bool = False
    ) -> list[Verdict]:
        """Classify *paths*, in their order.

        The index says which directories are runs and packages; with *ask_disk* also the
        disk, but only for files that ``HEAD`` does not have, so that a commit and CI
        never differ about the others. What no name decides is looked into where it is
        staged, with *open_all* wherever it is.
        """
        paths = list(paths)
        verdicts = self._classified(paths, self.tree)
        if ask_disk:
            verdicts = self._on_disk(paths, verdicts)
        if ask_disk or open_all:
            verdicts = self._looked_into(verdicts, open_all=open_all, ask_disk=ask_disk)
        return verdicts

    def _on_disk(self, paths: list[bytes], verdicts: list[Verdict]) -> list[Verdict]:
        """Return *verdicts*, anew for what ``HEAD`` does not have if the disk says more."""
        fresh = [path for path in paths if self.is_new(path)]
        folders = {folder for path in fresh for folder in (b"", *parents(path))}
        found = self.classifier.look_on_disk(self.repository.root, folders, self._found)
        if found == self._found:
            return verdicts
        classified = self._classified(fresh, self.classifier.tree_of(found))
        again = dict(zip(fresh, classified, strict=True))
        return [again.get(verdict.path, verdict) for verdict in verdicts]

    def _classified(self, paths: list[bytes], tree: Tree) -> list[Verdict]:
        # A submodule is a folder, to patterns that match only those.
        asked = [path + b"/" if self._is_submodule(path) else path for path in paths]
        verdicts = self.classifier.classify(asked, tree)
        contents = Contents(
            self._text_among([verdict.path for verdict in verdicts if verdict.binary_only]),
            self._pointers_among([verdict.path for verdict in verdicts if verdict.may_be_pointer]),
        )
        folders = {self.classifier.folder_of(verdict) for verdict in verdicts} - {None}
        packages = self._with_scripts(folder for folder in folders if folder is not None)
        if packages:
            tree = tree._replace(packages={*tree.packages, *packages})
        if packages or any(contents):
            verdicts = self.classifier.classify(asked, tree, contents)
        return [verdict._replace(path=path) for path, verdict in zip(paths, verdicts, strict=True)]

    def _looked_into(
        self, verdicts: list[Verdict], *, open_all: bool, ask_disk: bool
    ) -> list[Verdict]:
        """Return *verdicts*, anew for weights and stores under any other name."""
        among: Mapping[bytes, Change | IndexEntry] = self.index if open_all else self.staged
        blobs = {}
        on_disk = []
        for verdict in verdicts:
            entry = among.get(verdict.path) if verdict.undecided else None
            if entry is not None and entry.mode not in (LINK_MODE, SUBMODULE_MODE):
                blobs[verdict.path] = entry.blob
            elif open_all and ask_disk and verdict.undecided and entry is None:
                on_disk.append(verdict.path)
        if blobs and not open_all:
            self.ask_sizes()
        unnamed = look_into(self.repository, blobs.items())
        refused = {path: rule for path, blob in blobs.items() if (rule := unnamed.rule(path, blob))}
        self.nothing_unnamed = unnamed.whole and not refused
        self.unread = unnamed.missing
        refused |= refused_files(self.repository.root, on_disk)
        if not refused:
            return verdicts
        contents = Contents(refused=refused)
        again = self.classifier.classify(list(refused), self.tree, contents)
        by_path = {verdict.path: verdict for verdict in again}
        return [by_path.get(verdict.path, verdict) for verdict in verdicts]

    def ask_sizes(self) -> None:
        """Ask for the sizes of all that is staged at once: what comes up first needs the others."""
        self.repository.sizes(
            {change.blob for change in self.staged.values()
             if change.status != "D" and change.mode != SUBMODULE_MODE}
        )  # fmt: skip

    def _with_scripts(self, folders: Iterable[bytes]) -> set[bytes]:
        """Return those of *folders* that hold a script without a suffix directly."""
        blobs = {folder: self._scripts[folder] for folder in folders if folder in self._scripts}
        found = scripts(self.repository, {b for inside in blobs.values() for b in inside.values()})
        return {folder for folder, inside in blobs.items() if not found.isdisjoint(inside.values())}

    def _pointers_among(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return those of *paths* that are pointers of DVC."""
        found, blobs = self._untracked(paths, is_pointer_file)
        return found | pointers(self.repository, blobs)

    def _is_submodule(self, path: bytes) -> bool:
        entry = self.index.get(path)
        return entry is not None and entry.mode == SUBMODULE_MODE

    def _text_among(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return those of *paths* whose content is text, and no pointer to weights."""
        text, blobs = self._untracked(paths, is_text_file)
        found = text_blobs(self.repository, set(blobs.values()))
        return text | {path for path, blob in blobs.items() if blob in found}

    def _untracked(
        self, paths: Iterable[bytes], is_wanted: Callable[[bytes], bool]
    ) -> tuple[set[bytes], dict[bytes, str]]:
        """Return the wanted among *paths* that only the work tree has; the blobs of the others."""
        found, blobs = set(), {}
        for path in paths:
            entry = self.index.get(path)
            if entry is None:
                if is_wanted(os.path.join(self.repository.root, path)):
                    found.add(path)
            elif entry.mode not in (LINK_MODE, SUBMODULE_MODE):
                blobs[path] = entry.blob
        return found, blobs

    def is_new(self, path: bytes) -> bool:
        """Return True if ``HEAD`` does not have *path*: it is being added, or git ignores it."""
        change = self.staged.get(path)
        return change.status == "A" if change is not None else path not in self.index


def rm_needs_force(
    repository: Repository, staged: Mapping[bytes, Change], paths: Collection[bytes]
) -> bool:
    """Return True if ``git rm --cached`` refuses one of *paths*, which all are in the index.

    It does where the staged version is neither that of ``HEAD`` nor the one on disk.
    """
    changed = staged.keys() & set(paths)
    return any(staged[path].mode == SUBMODULE_MODE for path in changed) or bool(
        changed and changed & repository.modified_on_disk()
    )
