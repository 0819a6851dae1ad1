"""The true format of a file with a weights' name, and the effects of loading it.

Everything is read off the content; nothing is unpickled. A file passes by being wholly what
the one writer of its format makes, and nothing to any other reader. A fault that an unpickler
would only meet after it has imported something hides none of the imports before it.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from fx_hooks.weights.archives import Archive, BrokenArchive
from fx_hooks.weights.exported import read_exported
from fx_hooks.weights.inspection import NAMED_FORMATS, Format, Inspection
from fx_hooks.weights.magic import LEGACY_MAGIC
from fx_hooks.weights.pickles import BrokenPickle, Budget, Report, read_pickle
from fx_hooks.weights.polyglots import find_foreign, imports_as_pickle
from fx_hooks.weights.safetensors import BrokenHeader, looks_like_safetensors, read_header
from fx_hooks.weights.torch_files import (
    persistent_faults,
    read_legacy,
    read_torch,
    unsafe,
)
from fx_hooks.weights.torchscript import read_torchscript

__all__ = ["NAMED_FORMATS", "Format", "Inspection", "inspect", "read_object"]

_MAX_FAULTS = 20
_ZIP_MAGIC = b"PK\x03\x04"


def inspect(file: BinaryIO) -> Inspection:
    """Return what all of *file*, which can seek, is and would import when loaded.

    Time and memory are bounded whatever it holds: at most 64 MiB of it are in memory at
    a time.
    """
    return read_object(file)[0]


def read_object(file: BinaryIO) -> tuple[Inspection, object]:
    """As :func:`inspect`, and what stands for the value of a torch file."""
    file.seek(0)
    start = file.read(16)
    is_zip = start.startswith(_ZIP_MAGIC)
    if is_zip:
        found, value = _archive(file)
    elif start.startswith(LEGACY_MAGIC):
        found, value = read_legacy(file, Budget())
    elif looks_like_safetensors(start):
        found, value = _safetensors(file), None
    else:
        found, value = _plain_pickle(file, sure=start[:1] == b"\x80" and start[1:2] <= b"\x05")
    foreign = [] if found.format is None else find_foreign(file, is_zip=is_zip)
    return found._replace(faults=_few((*foreign, *found.faults))), value


def _few(faults: tuple[str, ...]) -> tuple[str, ...]:
    """*faults* as people can read them: a forged file may have thousands, with endless names."""
    short = tuple(fault if len(fault) <= 300 else fault[:300] + "..." for fault in faults)
    if len(short) <= _MAX_FAULTS:
        return short
    return (*short[:_MAX_FAULTS], f"has {len(short) - _MAX_FAULTS:,} more faults")


def _safetensors(file: BinaryIO) -> Inspection:
    try:
        stored = tuple(read_header(file))
    except BrokenHeader as exc:
        return Inspection(Format.SAFETENSORS, faults=(str(exc),))
    faults: tuple[str, ...] = ()
    if imports_as_pickle(file, Budget()):
        faults = ("is a pickle as well, for other readers",)
    return Inspection(
        Format.SAFETENSORS, (), faults, sum(tensor.elements for tensor in stored), stored
    )


def _plain_pickle(file: BinaryIO, *, sure: bool) -> tuple[Inspection, object]:
    """One pickle: what stands behind it is nothing that its reader would look at."""
    report = Report()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    faults: list[str] = []
    value: object = None
    left = 0
    try:
        value = read_pickle(file, report, Budget())
        sure = True
        left = size - file.tell()
        if left:
            faults.append(f"has {left:,} bytes behind its end")
            # Who unpickles the first may go on.
            budget = Budget()
            while file.tell() < size:
                read_pickle(file, report, budget)
    except BrokenPickle as exc:
        if not sure:
            return Inspection(None), None
        faults.append(str(exc))
    faults = [*sorted(report.faults), *persistent_faults(report), *faults]
    return Inspection(Format.PICKLE, unsafe(report), tuple(faults), left=left), value


def _archive(file: BinaryIO) -> tuple[Inspection, object]:
    try:
        archive = Archive(file)
    except BrokenArchive as exc:
        return Inspection(None, faults=(f"is a zip archive that {exc}",)), None
    stems = {name.partition("/")[0] for name in archive.members}
    stem = next(iter(stems), "")
    if len(stems) != 1:
        return Inspection(None), None
    budget = Budget()
    try:
        # By its members; torch, too, looks for these.
        if f"{stem}/archive_format" in archive.members:
            return read_exported(archive, stem, budget), None
        if f"{stem}/constants.pkl" in archive.members:
            return read_torchscript(archive, stem, budget), None
        if f"{stem}/data.pkl" in archive.members:
            return read_torch(archive, stem, budget)
    except BrokenArchive as exc:
        return Inspection(None, faults=(f"is a zip archive that {exc}",)), None
    return Inspection(None), None
