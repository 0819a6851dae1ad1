"""Zip archives, read strictly: what two readers could read differently is refused.

:mod:`zipfile` looks for a directory near the end, takes the last of two members of one
name and cuts names at a NUL; torch's reader does each of these its own way. An archive
that needs none of that means the same to both.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import BinaryIO

MAX_MEMBERS = 50_000
MAX_DIRECTORY = 16 << 20
# torch stores its members as they are; TorchScript compresses its source.
MAX_INFLATED = 64 << 20

_ENCRYPTED = 0x1
_LOCAL_HEADER = 30


class BrokenArchive(Exception):
    """Something that no writer of weights makes."""


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """The archive that all of *file* is. Raises :class:`BrokenArchive`."""
    count, start = _directory(file)
    try:
        archive = zipfile.ZipFile(file)
    except (*_ERRORS, OSError) as exc:
        raise BrokenArchive("has a broken zip directory") from exc
    members = archive.infolist()
    if len(members) != count:
        raise BrokenArchive("has another number of members than its zip directory says")
    if len({member.filename.casefold() for member in members}) != count:
        raise BrokenArchive("has two members of one name")
    end = 0
    inflated = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        name = member.filename
        if name != member.orig_filename or "\\" in name or ".." in name.split("/"):
            raise BrokenArchive("has a member with a name that readers read differently")
        if member.flag_bits & _ENCRYPTED:
            raise BrokenArchive("has an encrypted member")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BrokenArchive("has a member in a compression that torch does not write")
        if member.header_offset < end:
            raise BrokenArchive("has members that overlap")
        end = member.header_offset + _LOCAL_HEADER + member.compress_size
        if member.compress_type == zipfile.ZIP_DEFLATED:
            inflated += member.file_size
        elif member.file_size != member.compress_size:
            raise BrokenArchive("has a member with two sizes")
    if end > start:
        raise BrokenArchive("has members that overlap")
    if inflated > MAX_INFLATED:
        raise BrokenArchive(f"unpacks to more than {MAX_INFLATED >> 20} MiB")
    return archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The first *limit* bytes of *member*. Raises :class:`BrokenArchive`.

    Its checksum is not looked at, because torch does not either.
    """
    member.CRC = None  # type: ignore[assignment]
    try:
        with archive.open(member) as stream:
            data = stream.read(limit)
    except (*_ERRORS, OSError) as exc:
        raise BrokenArchive("has a member that cannot be read") from exc
    if len(data) < min(limit, member.file_size):
        raise BrokenArchive("has a member that is cut off")
    return data


_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, IndexError, KeyError, ValueError,
    NotImplementedError, OverflowError, RuntimeError,
)  # fmt: skip


def _directory(file: BinaryIO) -> tuple[int, int]:
    """How many members the directory at the very end has, and where it starts.

    The layout is that of PKWARE's APPNOTE 6.3.10, sections 4.3.14 to 4.3.16; torch
    always writes the 64-bit records, too.
    """
    size = file.seek(0, os.SEEK_END)
    tail = _at(file, max(size - 42, 0), 42)
    if len(tail) < 22 or tail[-22:-18] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise BrokenArchive("does not end with a zip directory: cut off, or with an addition")
    disk, first_disk, here, count, length, start = struct.unpack("<4H2I", tail[-18:-2])
    end = size - 22
    if tail[:4] == b"PK\x06\x07":
        (end,) = struct.unpack("<Q", tail[8:16])
        record = _at(file, end, 56) if end <= size else b""
        if len(record) < 56 or record[:4] != b"PK\x06\x06" or end + 56 != size - 42:
            raise BrokenArchive("has a broken zip directory")
        wide = struct.unpack("<2I4Q", record[16:56])
        for narrow, full, top in zip(
            (disk, first_disk, here, count, length, start),
            wide,
            (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2,
            strict=True,
        ):
            if narrow not in (full, top):
                raise BrokenArchive("has two zip directories that differ")
        disk, first_disk, here, count, length, start = wide
    if disk or first_disk or here != count or start + length != end:
        raise BrokenArchive("has a broken zip directory")
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise BrokenArchive(f"has more than {MAX_MEMBERS:,} members")
    return count, start


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
