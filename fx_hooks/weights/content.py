"""What a file under a weights' name really is, and what loading it would do.

Everything is read off the content; nothing is unpickled. A fault that an unpickler would
only meet after it has imported something hides none of the imports before it.
"""

from __future__ import annotations

import io
import os
import pickletools
import stat
import zipfile
from collections.abc import Collection
from typing import BinaryIO, NamedTuple

from fx_hooks.git.repository import lfs_pointer
from fx_hooks.weights import torch_allows
from fx_hooks.weights.archives import BrokenArchive, open_archive, read_member
from fx_hooks.weights.pickles import BrokenPickle, Budget, Report, read_pickle
from fx_hooks.weights.safetensors import BrokenHeader, count_elements, looks_like_safetensors

TORCH = "torch"
TORCH_LEGACY = "torch-legacy"
TORCHSCRIPT = "torchscript"
EXPORTED = "pt2"
SAFETENSORS = "safetensors"
PICKLE = "pickle"
FORMATS = (TORCH, TORCH_LEGACY, TORCHSCRIPT, EXPORTED, SAFETENSORS, PICKLE)
# weights_only cannot load these: somebody has to say that they are meant.
NAMED_FORMATS = frozenset({TORCHSCRIPT, EXPORTED})

_ZIP_MAGIC = b"PK\x03\x04"
# A pickle of torch.serialization.MAGIC_NUMBER, as torch.save has always written it.
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# Weights themselves are no part of a torch file's pickle.
MAX_PICKLE = 64 << 20
_MAX_NESTING = 4
_NATIVE = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_NATIVE_SUFFIXES = (".so", ".dll", ".dylib", ".pyd")
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt")

# Page templates and Python path files are far smaller; what is larger is not looked at.
TEXT_BYTES = 1 << 16
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r")


def is_text(content: bytes | None) -> bool:
    """Whether the whole *content* is text, and so no weights; None is unknown: no.

    A Git LFS pointer is text and stands for weights; a pickle of protocol 0 is text,
    too. An empty file holds no weights.
    """
    if content is None or len(content) > TEXT_BYTES or lfs_pointer(content) is not None:
        return False
    return content.translate(None, _CONTROL) == content and not _is_pickle(content)


def _is_pickle(content: bytes) -> bool:
    try:
        # The last operation of every pickle is STOP, and nothing else ends the loop.
        for _ in pickletools.genops(content):
            pass
    except (ValueError, IndexError, OverflowError, MemoryError):
        return False
    return True


def read_start(path: bytes) -> bytes | None:
    """The content of a small regular file on disk; None for anything else."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read(TEXT_BYTES + 1)
    except OSError:
        return None


class Inspection(NamedTuple):
    """What a weight file is.

    ``format`` is one of :data:`FORMATS`, None where it is none of them. ``globals`` are
    the names that its pickles import and torch's ``weights_only`` does not accept.
    ``faults`` are sentences about the file, without a subject: what is broken in it or
    cannot be known. ``parameters`` is the number of elements in all its tensors, None
    where the format does not say.
    """

    format: str | None
    globals: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    parameters: int | None = None


def inspect(file: BinaryIO) -> Inspection:
    """What all of *file*, which can seek, is and would import when loaded.

    Time and memory are bounded whatever it holds: at most 64 MiB of it are in memory at
    a time.
    """
    file.seek(0)
    start = file.read(16)
    if start.startswith(_ZIP_MAGIC):
        return _Archive(Budget()).inspect(file)
    if start.startswith(_LEGACY_MAGIC):
        return _legacy(file)
    if looks_like_safetensors(start):
        try:
            return Inspection(SAFETENSORS, parameters=count_elements(file))
        except BrokenHeader as exc:
            return Inspection(SAFETENSORS, faults=(str(exc),))
    return _plain_pickle(file, sure=start[:1] == b"\x80" and start[1:2] <= b"\x05")


def _plain_pickle(file: BinaryIO, *, sure: bool) -> Inspection:
    """One pickle after the other: who unpickles the first may go on."""
    report, budget = Report(), Budget()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    faults = []
    try:
        while not file.tell() or file.tell() < size:
            read_pickle(file, report, budget)
            sure = True
    except BrokenPickle as exc:
        if not sure:
            return Inspection(None)
        faults.append(str(exc))
    return Inspection(PICKLE, _unsafe(report), (*sorted(report.faults), *faults))


def _legacy(file: BinaryIO) -> Inspection:
    """``torch.save`` before 1.6: five pickles, then the storages one after the other."""
    report, budget = Report(), Budget()
    faults = []
    elements = None
    file.seek(0)
    try:
        for _ in range(4):  # magic number, protocol, system, object
            read_pickle(file, report, budget)
        storages = dict(report.storages)
        read_pickle(file, report, budget)
        faults = _cut_storages(file, storages, report.strings)
        elements = sum(count for _, count in storages.values())
    except BrokenPickle as exc:
        faults.append(str(exc))
    return Inspection(TORCH_LEGACY, _unsafe(report), (*_weights_only(report), *faults), elements)


def _cut_storages(
    file: BinaryIO, storages: dict[str, tuple[str, int]], keys: list[str]
) -> list[str]:
    """Whether the storages of *keys* do not stand in *file* from where it is."""
    size = _size(file)
    if set(keys) != set(storages):
        return ["has other storages than its pickle asks for"]
    for key in keys:
        kind, elements = storages[key]
        if kind == "torch.storage.UntypedStorage":
            return ["has an untyped storage, which torch does not load from its legacy format"]
        if int.from_bytes(file.read(8), "little") != elements:
            return ["has a storage of another size than its pickle says"]
        file.seek(_storage_bytes(kind, elements), os.SEEK_CUR)
        if file.tell() > size:
            return ["is cut off in its storages"]
    return []


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def _storage_bytes(kind: str, elements: int) -> int:
    return torch_allows.ELEMENT_BYTES.get(kind.rpartition(".")[2], 1) * elements


def _weights_only(report: Report) -> list[str]:
    """Why ``weights_only`` could not load it, beside its globals."""
    faults = sorted(report.faults)
    foreign = sorted(report.operations - torch_allows.OPERATIONS)
    if foreign:
        faults.append(
            f"uses pickle operations that weights_only does not know ({', '.join(foreign)}):"
            " save it with torch.save as it comes"
        )
    faults += [f"has a persistent id {name!r}" for name in sorted(report.persistent)]
    return faults


def _unsafe(report: Report) -> tuple[str, ...]:
    return tuple(sorted(report.globals - torch_allows.GLOBALS))


class _Archive:
    """A zip archive and those in it."""

    def __init__(self, budget: Budget, depth: int = 0) -> None:
        self._budget = budget
        self._depth = depth
        self._report = Report()
        self._faults: set[str] = set()

    def inspect(self, file: BinaryIO) -> Inspection:
        try:
            with open_archive(file) as archive:
                return self._members(archive)
        except BrokenArchive as exc:
            return Inspection(None, faults=(f"is a zip archive that {exc}",))

    def _members(self, archive: zipfile.ZipFile) -> Inspection:
        names = {member.filename.casefold(): member for member in archive.infolist()}
        stems = {name.partition("/")[0] for name in names}
        stem = stems.pop() if len(stems) == 1 else ""
        kind = _zip_format(names.keys(), stem)
        for name, member in sorted(names.items()):
            if not (kind == TORCH and name.startswith(f"{stem}/data/")):
                self._member(archive, name, member)
        if kind == TORCH:
            self._faults.update(_weights_only(self._report))
            for key, (storage, count) in self._report.storages.items():
                found = names.get(f"{stem}/data/{key}".casefold())
                if found is None or found.file_size < _storage_bytes(storage, count):
                    self._faults.add(f"lacks the storage {key}, or a part of it")
        else:
            self._faults.update(self._report.faults)
        unsafe = _unsafe(self._report)
        if kind == TORCHSCRIPT:
            # Not Python's: TorchScript has names of its own, and C++ looks them up.
            own = ("__torch__.", "torch.jit._pickle.")
            unsafe = tuple(name for name in unsafe if not name.startswith(own))
        elements = None
        if kind in (TORCH, TORCHSCRIPT):
            elements = sum(count for _, count in self._report.storages.values())
        return Inspection(kind, unsafe, tuple(sorted(self._faults)), elements)

    def _member(self, archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> None:
        start = read_member(archive, member, 8)
        if name.endswith(_NATIVE_SUFFIXES) or start.startswith(_NATIVE):
            self._faults.add(f"holds native code: {name}")
        nested = start.startswith(_ZIP_MAGIC)
        named = name.endswith(_PICKLE_SUFFIXES)
        if not nested and not named and not (start[:1] == b"\x80" and start[1:2] <= b"\x05"):
            return
        if member.file_size > MAX_PICKLE:
            self._faults.add(f"has {name} with more than {MAX_PICKLE >> 20} MiB in it")
            return
        content = io.BytesIO(read_member(archive, member, MAX_PICKLE))
        if nested:
            self._nested(content, name)
            return
        try:
            while content.tell() < member.file_size:
                read_pickle(content, self._report, self._budget)
        except BrokenPickle as exc:
            # A tensor that begins like a pickle is none.
            if named:
                self._faults.add(f"has {name}, which {exc}")

    def _nested(self, content: BinaryIO, name: str) -> None:
        if self._depth + 1 >= _MAX_NESTING:
            self._faults.add("nests archives too deeply")
            return
        inner = _Archive(self._budget, self._depth + 1)
        found = inner.inspect(content)
        self._report.globals.update(found.globals)
        self._faults.update(f"holds {name}, which {fault}" for fault in found.faults)


def _zip_format(names: Collection[str], stem: str) -> str | None:
    """The format of an archive, by its members; torch, too, looks for these."""
    if f"{stem}/archive_format" in names:
        return EXPORTED
    if f"{stem}/constants.pkl" in names:
        return TORCHSCRIPT
    if f"{stem}/data.pkl" in names:
        return TORCH
    return None
