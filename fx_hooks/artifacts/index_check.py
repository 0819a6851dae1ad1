"""The check of paths against the index, its staged changes, and the disk."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from fx_hooks.git.repository import LINK_MODE, SUBMODULE_MODE, Change, IndexEntry, Repository
from fx_hooks.util.paths import parents
from fx_hooks.weights.plain_text import is_text_file, text_blobs

if TYPE_CHECKING:
    from fx_hooks.artifacts.classifier import Classifier, Tree, Verdict


class IndexCheck:
    """The index, its staged changes, and the classifier that they are checked with."""

    def __init__(
        self,
        repository: Repository,
        index: Mapping[bytes, IndexEntry],
        staged: Mapping[bytes, Change],
        classifier: Classifier,
    ) -> None:
        self.repository = repository
        self.index = index
        self.staged = staged
        self.classifier = classifier

    @cached_property
    def tree(self) -> Tree:
        """The runs and packages that the index has."""
        return self.classifier.tree(self.index)

    def verdicts(self, paths: Iterable[bytes], *, ask_disk: bool) -> list[Verdict]:
        """Classify *paths*, in their order.

        The index says which directories are runs and packages; with *ask_disk* also the
        disk, but only for files that ``HEAD`` does not have, so that a commit and CI
        never differ about the others.
        """
        paths = list(paths)
        verdicts = self._classified(paths, self.tree)
        if not ask_disk:
            return verdicts
        fresh = [path for path in paths if self.is_new(path)]
        runs = dict(self.tree.runs)
        for folder in {folder for path in fresh for folder in parents(path)}:
            for mark in self.classifier.marks(folder):
                place = os.path.join(self.repository.root, folder, os.fsencode(mark.path))
                if folder not in self.tree.packages and os.path.lexists(place):
                    runs.setdefault(folder, mark)
        if runs.keys() == self.tree.runs.keys():
            return verdicts
        classified = self._classified(fresh, self.tree._replace(runs=runs))
        again = dict(zip(fresh, classified, strict=True))
        return [again.get(verdict.path, verdict) for verdict in verdicts]

    def _classified(self, paths: list[bytes], tree: Tree) -> list[Verdict]:
        # A submodule is a folder, to patterns that match only those.
        asked = [path + b"/" if self._is_submodule(path) else path for path in paths]
        verdicts = self.classifier.classify(asked, tree)
        doubtful = [verdict.path for verdict in verdicts if verdict.binary_only]
        text = self._text_among(doubtful)
        if text:
            verdicts = self.classifier.classify(asked, tree, text)
        return [verdict._replace(path=path) for path, verdict in zip(paths, verdicts, strict=True)]

    def _is_submodule(self, path: bytes) -> bool:
        entry = self.index.get(path)
        return entry is not None and entry.mode == SUBMODULE_MODE

    def _text_among(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return those of *paths* whose content is text, and no pointer to weights."""
        blobs = {}
        text = set()
        for path in paths:
            entry = self.index.get(path)
            if entry is None:
                if is_text_file(os.path.join(self.repository.root, path)):
                    text.add(path)
            elif entry.mode not in (LINK_MODE, SUBMODULE_MODE):
                blobs[path] = entry.blob
        found = text_blobs(self.repository, set(blobs.values()))
        return text | {path for path, blob in blobs.items() if blob in found}

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
