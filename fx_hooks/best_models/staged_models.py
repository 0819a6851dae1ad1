"""The staged content of ``best_models/``, read and checked by the contract."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from fx_hooks.best_models import contract
from fx_hooks.best_models.contract import Content, metadata_path
from fx_hooks.best_models.file_names import Names
from fx_hooks.best_models.kept_milestones import KeptMilestones
from fx_hooks.best_models.metadata import MAX_BYTES, SUFFIX, read_metadata
from fx_hooks.fastpath.loose_objects import beginning
from fx_hooks.git.repository import (
    LINK_MODE,
    SUBMODULE_MODE,
    IndexEntry,
    LfsPointer,
    Repository,
    pointer_in,
)
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.policy.in_force import staged_text
from fx_hooks.policy.model import POLICY_NAME, Policy
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from fx_hooks.best_models.acceptance import Acceptance
    from fx_hooks.best_models.milestone import Milestone
    from fx_hooks.reporting.finding import Finding
    from fx_hooks.weights.inspection import Inspection

_CHUNK = 1 << 20
# Weights that nobody approved, of which the content is told, too.
_MOST_LOOKS = 20
_LARGEST_LOOK = 1 << 30


class ContractCheck:
    """The folder of chosen models in one index: that of a *project*, or of the repository."""

    def __init__(
        self,
        repository: Repository,
        index: Mapping[bytes, IndexEntry],
        policy: Policy,
        project: bytes = b"",
    ) -> None:
        self._repository = repository
        self._policy = policy
        self._project = project
        self._listed_in = policy.best_models_of(project)
        self._best_models = self._listed_in.below(project)
        self._names = Names(self._best_models)
        folder = os.fsencode(self._best_models.folder)
        self._folder = folder + b"/"
        above = _above(self._folder)
        self._index = {
            path: entry
            for path, entry in index.items()
            if path.startswith(self._folder) or path in above
        }
        self._file = os.fsencode(self._best_models.milestones_file)
        entry = index.get(self._file)
        self._looked_into: dict[bytes, Inspection | None] = {}
        self._kept: KeptMilestones | None = None
        self._faultless: dict[str, tuple[str, bool]] = {}
        # There is one such file, and the root's is read by most commits.
        if entry is not None and entry.mode != LINK_MODE and not project:
            self._kept = KeptMilestones(repository.git_directory, entry.blob, self._best_models)
        kept = None if self._kept is None else self._kept.milestones
        if kept is None:
            kept = self._load(b"" if entry is None else staged_text(repository, entry))
        self.milestones = kept

    def keep(self) -> None:
        """Keep the milestones, and what was found of their models, for the next command."""
        if self._kept is not None:
            self._kept.keep(self.milestones, {**self._kept.faultless, **self._faultless})

    def _load(self, text: bytes) -> dict[str, Milestone]:
        from fx_hooks.best_models.milestones import IncompleteEntry, load_contract

        try:
            return load_contract(text, self._listed_in, self._project)
        except IncompleteEntry as exc:
            raise exc.with_command(self._repository.path_to_root()) from exc

    def findings(self, touched: Collection[bytes] | None) -> list[Finding]:
        """All breaches, by path.

        Structure is judged as a whole; bytes are those of what is *touched* (paths, also
        deleted ones), of the milestones that it belongs to, and of everything for None. There
        are none where nothing that is touched concerns the folder.
        """
        if touched is not None and not _concerns(self._folder, touched):
            return []
        if touched is not None and any(
            path.rpartition(b"/")[2] in (POLICY_NAME.encode(), b".gitattributes")
            for path in touched
        ):
            touched = None
        found = contract.check_structure(
            self._policy, self._index, self._targets(), self.milestones, self._best_models, self
        )
        wanted = self._wanted(touched)
        models = [item for item in self.milestones.values() if item.path in wanted]
        paths = {os.fsencode(path) for path in wanted}
        found += self._contents(models, touched)
        names = self._names
        found += self._metadata([path for path in self._files(names.is_metadata) if path in paths])
        found += self._documents([path for path in self._files(names.is_document) if path in paths])
        return sorted(found, key=lambda item: (item.path, item.rule, item.why))

    def terms(self, path: bytes, acceptance: Acceptance) -> list[str]:
        """Return what the contract says of one path in the folder: approval, role, breaches.

        Of a breach it says, too, that the baseline accepts it.
        """
        said = []
        for milestone in self.milestones.values():
            by = "" if milestone.by is None else f" by {milestone.by}"
            if os.fsencode(milestone.path) == path:
                said.append(f"approved {milestone.approved}{by}: {milestone.why}")
            elif os.fsencode(metadata_path(milestone.path)) == path:
                said.append(f"the metadata of {milestone.path}, approved {milestone.approved}{by}")
        breaches = [found for found in self.findings({path}) if found.path == path]
        left = acceptance.left_of_contract(breaches, self._index)
        said += [
            found.why
            if found in left
            else f"{found.why.partition(': ')[0]}: {BASELINE_NAME} accepts that"
            for found in breaches
        ]
        if not said:
            known = path in self._index
            said = ["nothing against it" if known else "neither tracked nor listed"]
        return said

    # What findings ask for.

    def inspection(self, path: bytes) -> Inspection | None:
        """Return what the staged content of weights is; None where that is not known."""
        if path not in self._looked_into:
            blob = self._index[path].blob
            size = self._repository.sizes([blob])[blob]
            # A report shows no more, and it may come before a commit.
            if len(self._looked_into) >= _MOST_LOOKS or size is None or size > _LARGEST_LOOK:
                return None
            content = self._content(path, wants_lfs=False)
            self._looked_into[path] = None if content is None else content.inspection
        return self._looked_into[path]

    def is_on_disk(self, path: bytes) -> bool:
        """Return True if the work tree has *path*."""
        return os.path.lexists(os.path.join(self._repository.root, path))

    def is_in_head(self, path: bytes, sha256: str | None = None) -> bool:
        """Return True if ``HEAD`` has *path*, as a model with that digest if one is given."""
        blob = self._at_head.get(path)
        if blob is None or sha256 is None:
            return blob is not None
        with self._repository.blob_file(blob) as file:
            if file is None:
                return False
            pointer = pointer_in(file)
            return sha256 == (digest(file) if pointer is None else pointer.oid)

    @cached_property
    def _at_head(self) -> dict[bytes, str]:
        """The blobs of milestones and metadata in ``HEAD``; thousands, asked for at once."""
        head = self._repository.head()
        paths = [os.fsencode(path) for path in self.milestones]
        paths += [os.fsencode(metadata_path(path)) for path in self.milestones]
        return {} if head is None else self._repository.found(head, paths)

    def lines(self, path: bytes) -> str:
        """Return which lines of the list are the entry of *path*, for people."""
        name = os.fsdecode(path)[len(self._project) + 1 if self._project else 0 :]
        if name not in self._lines:
            return "its entry"
        return "its entry, lines {} to {}".format(*self._lines[name])

    @cached_property
    def _lines(self) -> dict[str, tuple[int, int]]:
        from fx_hooks.best_models.milestones import entry_lines

        entry = self._index.get(self._file)
        text = b"" if entry is None else staged_text(self._repository, entry)
        return entry_lines(text.decode("utf-8-sig"), self._listed_in)

    def _wanted(self, touched: Collection[bytes] | None) -> set[str]:
        """Return the paths whose content is to be read: what is touched, made whole triples."""
        everything = {os.fsdecode(path) for path in self._index} | self.milestones.keys()
        if touched is None:
            return everything
        before: Mapping[str, Milestone] = {}
        if self._file in touched:
            try:
                before = self._load(self._repository.at_head(self._file) or b"")
            except FatalError:
                return everything
        names = {os.fsdecode(path) for path in touched}
        for path, milestone in self.milestones.items():
            old = before.get(path)
            same = self._file not in touched or (
                old is not None and old._replace(line=milestone.line) == milestone
            )
            metadata = metadata_path(path)
            if not same or path in names or metadata in names:
                names |= {path, metadata}
        return names

    def _targets(self) -> dict[bytes, bytes]:
        links = {path: e.blob for path, e in self._index.items() if e.mode == LINK_MODE}
        contents = self._repository.contents(links.values())
        return {path: contents[blob] for path, blob in links.items() if blob in contents}

    def _files(self, is_wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Return the regular files in the folder that are wanted, but the list itself."""
        return [
            path
            for path, entry in self._index.items()
            if entry.mode not in (LINK_MODE, SUBMODULE_MODE)
            and path.startswith(self._folder)
            and path != self._file
            and os.fsdecode(path) not in self.milestones
            and is_wanted(path)
        ]

    def _contents(
        self, models: Iterable[Milestone], touched: Collection[bytes] | None
    ) -> Iterable[Finding]:
        """Yield what the content of *models* breaks.

        One that is not *touched* itself is not read again if an earlier command has read it.
        """
        models = [
            item
            for item in models
            if (entry := self._index.get(os.fsencode(item.path))) is not None
            and entry.mode not in (LINK_MODE, SUBMODULE_MODE)
        ]
        paths = [os.fsencode(item.path) for item in models]
        lfs = self._repository.sent_to_lfs(paths)
        known = {} if touched is None or self._kept is None else self._kept.faultless
        for milestone, path in zip(models, paths, strict=True):
            state = blob, _ = (self._index[path].blob, path in lfs)
            read = known.get(milestone.path) == state and path not in (touched or ())
            if read and self._is_here(blob):
                continue
            content = self._content(path, path in lfs)
            if content is None:
                yield _not_here(path, self._index[path])
                continue
            found = [*contract.check_content(milestone, content, self._best_models, self)]
            # What Git LFS has of it is in no index, and may change.
            if not found and not content.pointer:
                self._faultless[milestone.path] = state
            yield from found

    def _is_here(self, blob: str) -> bool:
        found = beginning(self._repository.git_directory, bytes.fromhex(blob))
        return found is not None or self._repository.sizes([blob])[blob] is not None

    def _content(self, path: bytes, wants_lfs: bool) -> Content | None:
        from fx_hooks.weights.content import inspect  # the readers take long to load

        with self._repository.blob_file(self._index[path].blob) as file:
            if file is None:
                return None
            pointer = pointer_in(file)
            if pointer is None:
                size = file.seek(0, os.SEEK_END)
                return Content(size, digest(file), False, wants_lfs, inspect(file))
        inspection = self._inspect_lfs(path, pointer)
        return Content(pointer.size, pointer.oid, True, wants_lfs, inspection)

    def _inspect_lfs(self, path: bytes, pointer: LfsPointer) -> Inspection | None:
        """Return what the pointer stands for, if Git LFS or the work tree has it."""
        oid = os.fsencode(pointer.oid)
        parts = (b"lfs", b"objects", oid[:2], oid[2:4], oid)
        stored = os.path.join(self._repository.common_directory(), *parts)
        return _inspect_if(stored, pointer.oid) or _inspect_if(
            os.path.join(self._repository.root, path), pointer.oid
        )

    def _metadata(self, paths: list[bytes]) -> Iterable[Finding]:
        blobs = [self._index[path].blob for path in paths]
        contents = self._repository.heads(blobs, MAX_BYTES + 1)
        sizes = self._repository.sizes(blobs)
        pinned: dict[bytes, dict[str, bytes]] = {}
        for milestone in self.milestones.values():
            place = os.fsencode(metadata_path(milestone.path))
            pinned.setdefault(place, {})[milestone.sha256] = os.fsencode(milestone.path)
        for path in paths:
            entry = self._index[path]
            size = sizes[entry.blob]
            if size is not None and size > MAX_BYTES:
                fault = f"has {size:,} bytes: metadata has at most {MAX_BYTES:,}"
                yield from contract.metadata_findings(path, (fault,))
            elif entry.blob in contents:
                strict = path.endswith(SUFFIX.encode())
                required = self._best_models.required_keys if strict else None
                metadata = read_metadata(contents[entry.blob], required=required)
                yield from contract.metadata_findings(path, metadata.faults)
                models = pinned.get(path, {})
                for found in contract.check_digest(path, metadata.value, models):
                    # Of two models, one may be the right one.
                    again = [contract.approve_again(model) for model in models.values()]
                    yield found._replace(advice=again[0] if len(again) == 1 else "")
            else:
                yield _not_here(path, entry)

    def _documents(self, paths: list[bytes]) -> Iterable[Finding]:
        for path in paths:
            if self._names.is_metadata(path):
                continue
            with self._repository.blob_file(self._index[path].blob) as file:
                if file is None:
                    yield _not_here(path, self._index[path])
                    continue
                fault = document_fault(file)
                if fault:
                    yield contract.finding(path, "best-models-foreign", fault)


def document_fault(file: BinaryIO) -> str:
    """Return what a document is instead of one: weights, or what holds some; else empty."""
    from fx_hooks.weights.content import inspect
    from fx_hooks.weights.plain_text import is_text
    from fx_hooks.weights.polyglots import find_foreign

    file.seek(0)
    if is_text(file):
        return ""
    found = inspect(file)
    if found.format or found.faults:
        return f"is {found.format or 'a zip archive'} under the name of a document"
    foreign = find_foreign(file)
    return f"{foreign[0].partition(' as well')[0]} under the name of a document" if foreign else ""


def _above(folder: bytes) -> set[bytes]:
    """Return *folder*, which ends in a slash, without it, and all that it is in."""
    return {folder[:end] for end, byte in enumerate(folder) if byte == ord("/")}


def _concerns(folder: bytes, touched: Collection[bytes]) -> bool:
    """Return True if one of *touched* is below *folder*, in its place, or says how to judge it.

    The same as in :mod:`fx_hooks.fastpath.best_models`, which nearly every commit asks.
    """
    above = _above(folder)
    return any(
        path.startswith(folder)
        or path in above
        or path.rpartition(b"/")[2] in (POLICY_NAME.encode(), b".gitattributes")
        or path == BASELINE_NAME.encode()
        for path in touched
    )


def checks(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: Policy,
    touched: Collection[bytes] | None = None,
) -> Iterator[ContractCheck]:
    """Yield the folder of chosen models of the repository, and that of each project in *index*.

    With *touched* paths, those of projects that none of them concerns are left out.
    """
    if policy.projects is None:
        yield ContractCheck(repository, index, policy)
        return
    inside: dict[bytes, dict[bytes, IndexEntry]] = {b"": {}}
    for path, entry in index.items():
        inside.setdefault(policy.projects.around(path), {})[path] = entry
    for project, entries in inside.items():
        if touched is not None and project and not _concerns(project + b"/", touched):
            continue
        yield ContractCheck(repository, entries, policy, project)


def digest(file: BinaryIO) -> str:
    """Return the SHA-256 of all of *file*, as hex digits."""
    import hashlib

    file.seek(0)
    sha256 = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        sha256.update(chunk)
    return sha256.hexdigest()


def _inspect_if(place: bytes, sha256: str) -> Inspection | None:
    """Return what the file at *place* is, if it has that digest."""
    from fx_hooks.weights.content import inspect

    try:
        with open(place, "rb") as file:
            return inspect(file) if digest(file) == sha256 else None
    except OSError:
        return None


def _not_here(path: bytes, entry: IndexEntry) -> Finding:
    return contract.finding(
        path,
        "best-models-missing",
        "is not in this clone, so it cannot be checked",
        f"git cat-file -e {entry.blob}",
    )
