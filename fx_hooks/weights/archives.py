"""Zip archives, read strictly: what two readers could read differently is refused.

:mod:`zipfile` looks for a directory near the end, takes the last of two members of one
name and cuts names at a NUL; torch's reader does each of these its own way. Here an archive
is members one behind the other from the first byte on, then the directory, then the end: no
gap, no second meaning. The layout is that of PKWARE's APPNOTE 6.3.10, the padding that of
torch's ``caffe2/serialize/inline_container.cc``.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

MAX_MEMBERS = 50_000
MAX_DIRECTORY = 16 << 20
# torch stores its members as they are; TorchScript compresses its source.
MAX_INFLATED = 64 << 20

STORED, DEFLATED = 0, 8
# torch.utils.serialization.config.save.storage_alignment may be a page.
_MAX_PADDING = 1 << 14
_WIDE = 0xFFFFFFFF
_DESCRIPTOR, _UTF8 = 0x8, 0x800
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")


class BrokenArchive(Exception):
    """Something that no writer of weights makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member: ``stored`` bytes of the file from ``start`` on, which are ``size`` unpacked."""

    name: str
    start: int
    stored: int
    size: int
    deflated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """The directory's entry of one member."""

    name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    header: int


class Archive:
    """The members of a zip archive that is all of *file*. Raises :class:`BrokenArchive`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        count, start, length = _end(file)
        entries = _directory(_at(file, start, length), count)
        end = 0
        members: dict[str, Member] = {}
        folded = set()
        inflated = 0
        for entry in sorted(entries, key=lambda entry: entry.header):
            if entry.header != end:
                what = "members that overlap" if entry.header < end else "a gap between members"
                raise BrokenArchive(f"has {what}")
            member, end = _member(file, entry)
            if end > start:
                raise BrokenArchive("has members that overlap its directory")
            members[member.name] = member
            folded.add(member.name.casefold())
            inflated += member.size if member.deflated else 0
        if len(folded) != count:
            raise BrokenArchive("has two members of one name")
        if end != start:
            raise BrokenArchive("has a gap before its directory")
        if inflated > MAX_INFLATED:
            raise BrokenArchive(f"unpacks to more than {MAX_INFLATED >> 20} MiB")
        self.members: Mapping[str, Member] = members

    def read(self, member: Member, limit: int) -> bytes:
        """Return the first *limit* bytes of *member*. Raises :class:`BrokenArchive`.

        Its checksum is not looked at, because torch does not either.
        """
        if not member.deflated:
            data = _at(self._file, member.start, min(limit, member.size))
        else:
            packed = _at(self._file, member.start, member.stored)
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = unpacker.decompress(packed, limit)
            except zlib.error as exc:
                raise BrokenArchive("has a member that cannot be unpacked") from exc
            if limit > member.size and (
                len(data) != member.size or not unpacker.eof or unpacker.unused_data
            ):
                raise BrokenArchive("has a member with two sizes")
        if len(data) < min(limit, member.size):
            raise BrokenArchive("has a member that is cut off")
        return data


def _end(file: BinaryIO) -> tuple[int, int, int]:
    """Return how many members the directory at the very end has, where it starts, and its length.

    torch always writes the 64-bit records, too.
    """
    size = file.seek(0, os.SEEK_END)
    tail = _at(file, max(size - 42, 0), 42)
    if len(tail) < 22 or tail[-22:-18] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise BrokenArchive("does not end with a zip directory: cut off, or with an addition")
    disk, first_disk, here, count, length, start = struct.unpack("<4H2I", tail[-18:-2])
    end = size - 22
    if tail[:4] == b"PK\x06\x07":
        disk_of_end, end, disks = struct.unpack("<IQI", tail[4:20])
        record = _at(file, end, 56) if end <= size else b""
        if (
            len(record) < 56
            or record[:12] != b"PK\x06\x06" + struct.pack("<Q", 44)
            or end + 56 != size - 42
            or disk_of_end
            or disks != 1
        ):
            raise BrokenArchive("has a broken zip directory")
        wide = struct.unpack("<2I4Q", record[16:56])
        for narrow, full, top in zip(
            (disk, first_disk, here, count, length, start),
            wide,
            (0xFFFF,) * 4 + (_WIDE,) * 2,
            strict=True,
        ):
            if narrow not in (full, top):
                raise BrokenArchive("has two zip directories that differ")
        disk, first_disk, here, count, length, start = wide
    if disk or first_disk or here != count or start + length != end:
        raise BrokenArchive("has a broken zip directory")
    if count > MAX_MEMBERS or length > MAX_DIRECTORY:
        raise BrokenArchive(f"has more than {MAX_MEMBERS:,} members")
    return count, start, length


def _directory(data: bytes, count: int) -> list[_Entry]:
    entries = []
    position = 0
    for _ in range(count):
        if len(data) < position + _CENTRAL.size:
            raise BrokenArchive("has another number of members than its zip directory says")
        (
            signature, _, _, flags, method, _, _, crc, stored, size, name_length, extra_length,
            comment, disk, _, attributes, header,
        ) = _CENTRAL.unpack_from(data, position)  # fmt: skip
        if signature != b"PK\x01\x02" or comment or disk:
            raise BrokenArchive("has a broken zip directory")
        position += _CENTRAL.size
        name = data[position : position + name_length]
        extra = data[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length
        sizes = [size, stored, header]
        for kind, content in _extras(extra):
            if _is_padding(kind, content):
                continue
            if kind != 1:
                raise BrokenArchive("has a member with notes that torch does not write")
            wanted = [index for index, value in enumerate(sizes) if value == _WIDE]
            if len(content) != 8 * len(wanted):
                raise BrokenArchive("has a broken zip directory")
            for index, value in zip(
                wanted, struct.unpack(f"<{len(wanted)}Q", content), strict=True
            ):
                sizes[index] = value
        size, stored, header = sizes
        if flags & ~(_DESCRIPTOR | _UTF8):
            raise BrokenArchive("has an encrypted member, or one with unknown flags")
        if method not in (STORED, DEFLATED):
            raise BrokenArchive("has a member in a compression that torch does not write")
        if method == STORED and size != stored:
            raise BrokenArchive("has a member with two sizes")
        if attributes & 0x10:
            raise BrokenArchive("has a member that is a folder")
        # Where the upper half is a mode (of Unix), a program that unpacks makes what it says.
        if not stat.S_ISREG(attributes >> 16) and stat.S_IFMT(attributes >> 16):
            raise BrokenArchive("has a member that is not a file")
        entries.append(
            _Entry(
                name=name,
                flags=flags,
                method=method,
                crc=crc,
                stored=stored,
                size=size,
                header=header,
            )
        )
    if position != len(data):
        raise BrokenArchive("has another number of members than its zip directory says")
    return entries


def _member(file: BinaryIO, entry: _Entry) -> tuple[Member, int]:
    """One member, and where the next one begins."""
    head = _at(file, entry.header, _LOCAL.size)
    if len(head) < _LOCAL.size or head[:4] != b"PK\x03\x04":
        raise BrokenArchive("has a member that cannot be read")
    _, _, flags, method, _, _, crc, stored, size, name_length, extra_length = _LOCAL.unpack(head)
    rest = file.read(name_length + extra_length)
    if (rest[:name_length], flags, method) != (entry.name, entry.flags, entry.method):
        raise BrokenArchive("has a member that its directory describes in another way")
    told = [size, stored]
    for kind, content in _extras(rest[name_length:]):
        if kind == 1 and len(content) >= 16:
            told = [
                wide if value == _WIDE else value
                for value, wide in zip(told, struct.unpack("<2Q", content[:16]), strict=True)
            ]
        elif kind != 1 and not _is_padding(kind, content):
            raise BrokenArchive("has a member with notes that torch does not write")
    described = (crc, *told) == (entry.crc, entry.size, entry.stored)
    # What is written while its size is not known says so behind the data.
    later = flags & _DESCRIPTOR and crc == 0 and (size, stored) in ((0, 0), (_WIDE, _WIDE))
    if not described and not later:
        raise BrokenArchive("has a member that its directory describes in another way")
    start = entry.header + _LOCAL.size + name_length + extra_length
    end = start + entry.stored
    if flags & _DESCRIPTOR:
        end += _descriptor(_at(file, end, 24), entry)
    member = Member(
        name=_name(entry.name),
        start=start,
        stored=entry.stored,
        size=entry.size,
        deflated=entry.method == DEFLATED,
    )
    return member, end


def _descriptor(data: bytes, entry: _Entry) -> int:
    """Return the length of the record that repeats checksum and sizes behind a member's data."""
    for form in ("<4s3I", "<4sI2Q"):
        length = struct.calcsize(form)
        if len(data) >= length and struct.unpack(form, data[:length]) == (
            b"PK\x07\x08", entry.crc, entry.stored, entry.size,
        ):  # fmt: skip
            return length
    raise BrokenArchive("has a member that its directory describes in another way")


def _is_padding(kind: int, content: bytes) -> bool:
    """Return True if a note is torch's padding of storages; no reader looks at its bytes."""
    return kind == int.from_bytes(b"FB", "little") and len(content) <= _MAX_PADDING


def _extras(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    position = 0
    while position < len(data):
        if len(data) < position + 4:
            raise BrokenArchive("has a member with notes that torch does not write")
        kind, length = struct.unpack_from("<2H", data, position)
        content = data[position + 4 : position + 4 + length]
        if len(content) < length:
            raise BrokenArchive("has a member with notes that torch does not write")
        found.append((kind, content))
        position += 4 + length
    return found


def _name(name: bytes) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    parts = text.split("/")
    if not text.isprintable() or "\\" in text or {"", ".", ".."} & set(parts):
        raise BrokenArchive("has a member with a name that readers read differently")
    return text


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
