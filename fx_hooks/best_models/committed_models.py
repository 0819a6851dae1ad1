"""The files that commits bring into ``best_models/``, held to the contract from the object store.

Each blob is read once, however many commits bring it in.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import Enum
from typing import TYPE_CHECKING

from fx_hooks.best_models import contract
from fx_hooks.best_models.contract import Content
from fx_hooks.best_models.file_names import Names
from fx_hooks.best_models.metadata import MAX_BYTES, SUFFIX, read_metadata
from fx_hooks.best_models.staged_models import digest, document_fault
from fx_hooks.git.repository import (
    LINK_MODE,
    SUBMODULE_MODE,
    IndexEntry,
    ObjectStore,
    pointer_in,
)

if TYPE_CHECKING:
    from fx_hooks.best_models.milestone import Milestone
    from fx_hooks.policy.model import Policy
    from fx_hooks.reporting.finding import Finding


class _Kind(Enum):
    """A kind of files: ``METADATA`` is that of a model, ``JSON`` any other."""

    METADATA = 1
    JSON = 2
    DOCUMENT = 3


class CommittedModels:
    """The blobs of the folder of chosen models, whatever commits have them.

    It is the folder of a *project*, or of the repository, whose policy is *policy*.
    """

    def __init__(self, store: ObjectStore, policy: Policy, project: bytes = b"") -> None:
        self._store = store
        self._policy = policy
        self._best_models = policy.best_models_of(project).below(project)
        self._names = Names(self._best_models)
        self._contents: dict[str, Content | None] = {}
        self._faults: dict[tuple[str, _Kind], list[tuple[str, str]]] = {}

    def content(self, blob: str) -> Content | None:
        """Return the content of a model's *blob*; None where it is not in this clone.

        A Git LFS pointer stands for its model, which is not looked into. Attributes are taken
        to fit: which of them held, only a work tree says.
        """
        if blob not in self._contents:
            self._contents[blob] = self._read(blob)
        return self._contents[blob]

    def _read(self, blob: str) -> Content | None:
        from fx_hooks.weights.content import inspect  # the readers take long to load

        with self._store.blob_file(blob) as file:
            if file is None:
                return None
            pointer = pointer_in(file)
            if pointer is not None:
                return Content(pointer.size, pointer.oid, True, True, None)
            size = file.seek(0, os.SEEK_END)
            return Content(size, digest(file), False, False, inspect(file))

    def model(self, blob: str, milestone: Milestone) -> list[Finding]:
        """Return what the model *blob* breaks of what *milestone* approves."""
        content = self.content(blob)
        if content is None:
            return []
        return [*contract.check_content(milestone, content, self._best_models)]

    def other(
        self, mode: int, blob: str, path: bytes, paired: Collection[bytes] = ()
    ) -> list[Finding]:
        """Return what an entry at *path* breaks: a link, metadata, a document, no milestone.

        *paired* are the places of the metadata of milestones.
        """
        if path == os.fsencode(self._best_models.milestones_file):
            return []
        if mode in (LINK_MODE, SUBMODULE_MODE):
            index = {path: IndexEntry(mode, blob, 0, path)}
            target = self._store.contents([blob]) if mode == LINK_MODE else {}
            targets = {path: target[blob]} if blob in target else {}
            found = contract.check_structure(self._policy, index, targets, {}, self._best_models)
            if not found and mode == LINK_MODE and path in paired:
                found = [contract.linked_metadata(path)]
            return found
        if self._names.is_metadata(path):
            kind = _Kind.METADATA if path.endswith(SUFFIX.encode()) else _Kind.JSON
        elif self._names.is_document(path):
            kind = _Kind.DOCUMENT
        else:
            return []
        if (blob, kind) not in self._faults:
            self._faults[blob, kind] = self._faults_of(blob, kind)
        return [contract.finding(path, rule, why) for rule, why in self._faults[blob, kind]]

    def _faults_of(self, blob: str, kind: _Kind) -> list[tuple[str, str]]:
        """Return the rules that the blob of a file of this *kind* breaks, and why."""
        if kind is _Kind.DOCUMENT:
            with self._store.blob_file(blob) as file:
                fault = "" if file is None else document_fault(file)
            return [("best-models-foreign", fault)] if fault else []
        size = self._store.sizes([blob])[blob]
        if size is None:
            return []
        if size > MAX_BYTES:
            why = f"has {size:,} bytes: metadata has at most {MAX_BYTES:,}"
            return [("best-models-metadata", why)]
        required = self._best_models.required_keys if kind is _Kind.METADATA else None
        metadata = read_metadata(self._store.contents([blob]).get(blob, b""), required=required)
        return [("best-models-metadata", fault) for fault in metadata.faults]
