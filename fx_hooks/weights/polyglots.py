"""Files that another reader would take for another format than ours.

Each check is what that reader itself looks at: ``tarfile`` at a checksum, ``zipfile`` and
torch at the end of the file, HDF5 (Keras) at certain offsets, ``numpy.load`` and ``joblib``
at the first bytes.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from fx_hooks.weights.pickles import BrokenPickle, Budget, EndlessPickle, Report, read_pickle

_BLOCK = 512
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NUMPY = b"\x93NUMPY"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# gzip, bzip2, xz, zstandard, lz4: what joblib and pandas unpack before they unpickle.
_PACKED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_END_RECORD = b"PK\x05\x06"
_END_LENGTH = 22
# An end record may be followed by a comment of 64 KiB, and torch's miniz, which looks at 4,093
# bytes more at a time, looks at all of the last ones.
_TAIL = _END_LENGTH + 0xFFFF + 4096
_PLAUSIBLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+\Z")


def is_tar(block: bytes) -> bool:
    """Return True if *block* is the header of a tar member, as :mod:`tarfile` and others take it.

    The sum of all bytes, the field for it taken as blanks, has to be what that field says:
    bytes with or without a sign, in octal digits or as a binary number.
    """
    if len(block) < _BLOCK:
        return False
    block = block[:_BLOCK]
    field = block[148:156]
    rest = block[:148] + block[156:]
    unsigned = 8 * ord(" ") + sum(rest)
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF) in (unsigned, signed)
    digits = re.match(rb"[\s\0]*([0-7]+)", field)
    if digits is not None and int(digits[1], 8) in (unsigned, signed):
        return True
    try:  # as tarfile.nti does: with a sign, a prefix and underscores
        return int(field.partition(b"\0")[0].decode("ascii").strip(), 8) in (unsigned, signed)
    except ValueError:
        return False


def foreign_start(start: bytes) -> str:
    """Return the format that the first 512 bytes of a file or member belong to, if any."""
    if start.startswith(_NUMPY):
        return "a NumPy array"
    if start.startswith(_HDF5):
        return "an HDF5 file"
    if start.startswith(_ZIP):
        return "a zip archive"
    if start.startswith(b"GGUF"):
        return "a GGUF file"
    if start.startswith(_PACKED):
        return "compressed data"
    return "a tar archive" if is_tar(start) else ""


def find_foreign(file: BinaryIO, *, is_zip: bool = False) -> list[str]:
    """Return what is wrong with *file*: its other format. *is_zip*: it is meant to be a zip."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(_BLOCK)
    found = [foreign_start(start)]
    if is_zip:
        found = ["a tar archive"] if is_tar(start) else []
    position = _BLOCK
    while position < size:
        file.seek(position)
        if file.read(len(_HDF5)) == _HDF5:
            found.append("an HDF5 file")
        position *= 2
    if not is_zip:
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
        if _END_RECORD in tail[: len(tail) - _END_LENGTH + len(_END_RECORD)]:
            found.append("a zip archive")
    return [f"is {what} as well, for other readers" for what in dict.fromkeys(found) if what]


def imports_as_pickle(file: BinaryIO, budget: Budget) -> bool:
    """Return True if an unpickler would import something before it rejects *file*."""
    report = Report()
    file.seek(0)
    try:
        read_pickle(file, report, budget)
    except EndlessPickle:
        return True
    except BrokenPickle:
        pass
    return any(name.isascii() and _PLAUSIBLE.match(name) for name in report.globals) or any(
        "imports" in fault for fault in report.faults
    )
