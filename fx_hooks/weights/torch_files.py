"""Files of ``torch.save``: a zip archive; before torch 1.6, pickles followed by storages.

The members are those of ``torch.serialization._save`` and ``_legacy_save`` (1.6 to 2.13):
the pickle, each storage that it asks for in exactly its size, and a few notes.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, BinaryIO

from fx_hooks.weights import torch_allows
from fx_hooks.weights.inspection import Format, Inspection, Stored
from fx_hooks.weights.pickles import BrokenPickle, Budget, Reader, Report, read_pickle
from fx_hooks.weights.polyglots import foreign_start

if TYPE_CHECKING:
    from fx_hooks.weights.archives import Archive, Member
    from fx_hooks.weights.values import Storage

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
# Weights themselves are no part of a torch file's pickle.
MAX_PICKLE = 64 << 20
_START = 512

# What the notes next to the pickle say.
NOTES = {
    "version": re.compile(rb"[0-9]{1,4}\n?\Z"),
    "byteorder": re.compile(rb"(little|big)\Z"),
    ".format_version": re.compile(rb"[0-9]{1,4}\Z"),
    ".storage_alignment": re.compile(rb"[0-9]{1,8}\Z"),
    ".data/serialization_id": re.compile(rb"[0-9]{1,64}\Z"),
    ".data/version": re.compile(rb"[0-9]{1,4}\n?\Z"),
}


def read_torch(archive: Archive, stem: str, budget: Budget) -> tuple[Inspection, object]:
    """Return what an archive below the folder *stem* is, and what stands for its value."""
    report, faults = Report(), set[str]()
    value: object = None
    members = {name.removeprefix(f"{stem}/"): item for name, item in archive.members.items()}
    pickled = members.pop("data.pkl")
    try:
        value = read_whole(archive, pickled, report, budget, Reader.TORCH)
    except BrokenPickle as exc:
        faults.add(f"has data.pkl, which {exc}")
    for name in members.keys() & NOTES.keys():
        faults |= check_note(archive, name, members.pop(name))
    stored, missing = read_storages(archive, report.storages, "data/", members)
    faults |= missing | {f"has {name!r}, which torch.save does not write" for name in members}
    return (
        Inspection(
            Format.TORCH,
            unsafe(report),
            (*weights_only_faults(report), *sorted(faults)),
            sum(item.elements for item in stored),
            tuple(stored),
        ),
        value,
    )


def read_whole(
    archive: Archive, member: Member, report: Report, budget: Budget, reader: Reader
) -> object:
    """Return the value of a member that is one pickle. Raises BrokenPickle."""
    if member.size > MAX_PICKLE:
        raise BrokenPickle(f"has more than {MAX_PICKLE >> 20} MiB")
    file = io.BytesIO(archive.read(member, MAX_PICKLE + 1))
    value = read_pickle(file, report, budget, reader)
    left = member.size - file.tell()
    if left:
        raise BrokenPickle(f"has {left:,} bytes behind its end")
    return value


def check_note(archive: Archive, name: str, member: Member) -> set[str]:
    """Return True if a small member says what torch writes there."""
    if member.size <= 64 and NOTES[name].match(archive.read(member, 65)):
        return set()
    return {f"has a {name} that torch does not write"}


def read_storages(
    archive: Archive, storages: dict[str, Storage], folder: str, members: dict[str, Member]
) -> tuple[list[Stored], set[str]]:
    """Take the *storages* out of *members*; what they are, and what is wrong with them."""
    stored, faults = [], set()
    for key, storage in storages.items():
        member = members.pop(folder + key, None)
        if member is None or member.size < storage.size:
            faults.add(f"lacks the storage {key!r}, or a part of it")
        elif member.size > storage.size or member.deflated:
            faults.add(f"has a storage {key!r} that is larger than its pickle asks for")
        else:
            what = foreign_start(archive.read(member, _START))
            if what:
                faults.add(f"has a storage {key!r} that is {what}, for other readers")
            stored.append(Stored(key, storage.dtype, storage.elements, member.start, member.size))
    return stored, faults


def read_legacy(file: BinaryIO, budget: Budget) -> tuple[Inspection, object]:
    """``torch.save`` before 1.6: five pickles, then the storages one after the other."""
    report = Report()
    faults: list[str] = []
    stored: list[Stored] = []
    value: object = None
    left = 0
    elements = None
    file.seek(0)
    try:
        head = [read_pickle(file, report, budget, Reader.TORCH_LEGACY) for _ in range(3)]
        if head[:2] != [_MAGIC_NUMBER, _PROTOCOL_VERSION]:
            faults.append("has another magic number or version than torch writes")
        value = read_pickle(file, report, budget, Reader.TORCH_LEGACY)
        keys = read_pickle(file, report, budget, Reader.TORCH_LEGACY)
        stored, wrong = _legacy_storages(file, report.storages, keys)
        faults += wrong
        elements = sum(item.elements for item in stored)
        left = max(_size(file) - file.tell(), 0)
        if left and not faults:
            faults.append(f"has {left:,} bytes behind its end")
    except BrokenPickle as exc:
        faults.append(str(exc))
    faults = [*weights_only_faults(report), *faults]
    found = Inspection(
        Format.TORCH_LEGACY, unsafe(report), tuple(faults), elements, tuple(stored), left
    )
    return found, value


def _legacy_storages(
    file: BinaryIO, storages: dict[str, Storage], keys: object
) -> tuple[list[Stored], list[str]]:
    """Return the storages of *keys*, which stand in *file* from where it is."""
    size = _size(file)
    stored: list[Stored] = []
    if (
        not isinstance(keys, list)
        or not all(type(key) is str for key in keys)
        or len(set(keys)) != len(keys)
        or set(keys) != set(storages)
    ):
        return [], ["has other storages than its pickle asks for"]
    for key in keys:
        storage = storages[key]
        if storage.kind == "torch.storage.UntypedStorage":
            fault = "has an untyped storage, which torch does not load from its legacy format"
            return stored, [fault]
        if int.from_bytes(file.read(8), "little") != storage.elements:
            return stored, ["has a storage of another size than its pickle says"]
        start = file.tell()
        what = foreign_start(file.read(min(_START, storage.size)))
        if what:
            return stored, [f"has a storage {key!r} that is {what}, for other readers"]
        file.seek(start + storage.size)
        if file.tell() > size:
            return stored, ["is cut off in its storages"]
        stored.append(Stored(key, storage.dtype, storage.elements, start, storage.size))
    return stored, []


def _size(file: BinaryIO) -> int:
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def weights_only_faults(report: Report) -> list[str]:
    """Return why ``weights_only`` could not load it, next to its globals."""
    faults = sorted(report.faults)
    foreign = sorted(report.operations - torch_allows.OPERATIONS)
    if foreign:
        faults.append(
            f"uses pickle operations that weights_only does not know ({', '.join(foreign)}):"
            " save it with torch.save as it comes"
        )
    return faults + persistent_faults(report)


def persistent_faults(report: Report) -> list[str]:
    """Return the persistent ids that are no torch storages."""
    return [f"has a persistent id {name!r}" for name in sorted(report.persistent)]


def unsafe(report: Report) -> tuple[str, ...]:
    """Return the globals that ``weights_only`` does not accept."""
    return tuple(sorted(report.globals - torch_allows.GLOBALS - torch_allows.REGISTERED))
