"""An archive of runs, read: its manifest at once, its content checked piece by piece."""

from __future__ import annotations

import contextlib
import hashlib
import operator
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, BinaryIO, cast

from fx_hooks.runs.archive.manifest import (
    MAX_BYTES,
    MEMBER,
    BadManifest,
    Entry,
    Manifest,
    PackedRun,
    Type,
    as_bytes,
    from_json,
    join,
    map_of,
    nanoseconds,
)
from fx_hooks.runs.archive.sections import CHUNK, BrokenSection, codec_for, read_ahead
from fx_hooks.runs.archive.storage import Reader, Storage, is_address
from fx_hooks.util.disk import files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown

Pieces = Iterator[tuple[int, memoryview]]
_ERRORS = (
    tarfile.TarError, BrokenSection, BadManifest, ValueError, OverflowError, IndexError,
    KeyError, EOFError, RecursionError,
)  # fmt: skip
_ZEROS = bytes(CHUNK)
# What is not content: a header with names as long as names can be, padding, and the end.
_HEADERS = 1 << 15
_TYPES = {
    Type.FILE: tarfile.REGTYPE,
    Type.FOLDER: tarfile.DIRTYPE,
    Type.LINK: tarfile.SYMTYPE,
    Type.HARD_LINK: tarfile.LNKTYPE,
}


# Nothing that packs unpacks to much more than this times its size; what is more are holes.
_MOST_TIMES, _FREE_BYTES = 1 << 10, 1 << 30
# The values of a manifest: a file has eight, in more than a hundred bytes.
_FREE_VALUES, _BYTES_A_VALUE = 100_000, 12
SMALL = 1 << 22


def _manifest_bytes(size: int) -> int:
    """Return how many bytes the manifest of an archive of *size* bytes may have."""
    return (1 << 24) + 2 * size if size < SMALL else MAX_BYTES


class Archive:
    """The archive in the file *path*; *name* is what messages call it.

    Raises :class:`~fx_hooks.util.errors.FatalError` for all that is wrong with it.
    """

    def __init__(self, path: bytes, *, name: bytes | None = None) -> None:
        self.name = shown(path if name is None else name)
        self._codec = codec_for(os.fsdecode(path if name is None else name))
        try:
            if is_address(os.fsdecode(path)):
                self._file: BinaryIO | Reader = Storage(os.fsdecode(path), name=self.name).reader()
            else:
                self._file = open(path, "rb", buffering=0, opener=files_only)  # noqa: SIM115
        except OSError as exc:
            self._codec.close()
            raise FatalError(f"{self.name}: cannot be read: {exc.strerror}") from exc
        except FatalError:
            self._codec.close()
            raise
        try:
            self.text, self.manifest = self._read_manifest()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._codec.close()

    def _read_manifest(self) -> tuple[bytes, Manifest]:
        with reading(self.name):
            start, end = self._codec.last_section(self._file)
            self.size = self._file.seek(0, os.SEEK_END)
            most = _manifest_bytes(end)
            with self._section(start, end, most + _HEADERS) as tar:
                member = tar.next()
                if member is None or (member.name, member.type) != (MEMBER, tarfile.REGTYPE):
                    raise BadManifest("its manifest is missing")
                if member.size > most:
                    raise BadManifest("its manifest is too large")
                text = b"".join(data for _, data in tar.content(member))
                values = text.count(b"[") + text.count(b"{") + text.count(b",")
                if values > _FREE_VALUES + len(text) // _BYTES_A_VALUE:
                    raise BadManifest("its manifest says more than there are files")
                if tar.next() is not None:
                    raise BadManifest("its manifest is not the last file")
            manifest = from_json(text)
            if (manifest.runs[-1].end if manifest.runs else 0) != start:
                raise BadManifest("it has more in it than its manifest lists")
        return text, manifest

    def members(self, run: PackedRun) -> Iterator[tuple[Entry, Pieces]]:
        """Each entry of *run* with its content, as positions and bytes.

        The pieces of a file have to be used up before the next entry; at their end its
        digest has been compared.
        """
        limit = sum(_HEADERS + entry.stored for entry in run.entries)
        if limit > _FREE_BYTES + _MOST_TIMES * (run.end - run.start) + _HEADERS * len(run.entries):
            with reading(self.name):
                raise BadManifest(f"{shown(run.path)} is said to hold more than it can")
        with reading(self.name), self._section(run.start, run.end, limit) as tar:
            yield from members(tar, run.path, run.entries, self.name)

    @contextlib.contextmanager
    def _section(self, start: int, end: int, limit: int) -> Iterator[Section]:
        self._file.seek(start)
        found = self._codec.chunks(self._file, end - start)
        # Of what is read at once nothing is left to read ahead, and runs may be many and small.
        is_small = limit <= CHUNK
        with (
            contextlib.nullcontext(found) if is_small else read_ahead(found) as chunks,
            section(chunks, limit) as tar,
        ):
            yield tar


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what is wrong with an archive into an error that names it."""
    try:
        yield
    except _ERRORS as exc:
        what = str(exc) if isinstance(exc, (BrokenSection, BadManifest)) else "it is damaged"
        raise FatalError(f"{name}: cannot be trusted: {what}") from exc
    except OSError as exc:
        raise FatalError(f"{name}: cannot be read: {exc.strerror}") from exc


def members(
    tar: Section,
    run: bytes,
    entries: Iterable[Entry],
    name: str,
    sha256_of: Callable[[Entry], str] = operator.attrgetter("sha256"),
) -> Iterator[tuple[Entry, Pieces]]:
    """Compare what is in a section with *entries*, as :meth:`Archive.members` does.

    Digests are asked for when all of a file has been read.
    """
    for entry in entries:
        member = tar.next()
        if member is None or not _agrees(join(run, entry.path), entry, member):
            raise BadManifest(f"{_shown(run, entry)} is not what its manifest says")
        yield entry, _pieces(tar, member, run, entry, name, sha256_of)
    if tar.next() is not None:
        raise BadManifest("it has more in it than its manifest lists")


def _pieces(
    tar: Section,
    member: tarfile.TarInfo,
    run: bytes,
    entry: Entry,
    name: str,
    sha256_of: Callable[[Entry], str],
) -> Pieces:
    if entry.type is not Type.FILE:
        return
    with reading(name):
        whole = entry.data is None
        digest = hashlib.sha256(b"" if whole else map_of(_parts(member), entry.size))
        end = 0
        for start, data in tar.content(member):
            if whole:
                _hash_zeros(digest, start - end)
            digest.update(data)
            end = start + len(data)
            yield start, data
        if whole:
            _hash_zeros(digest, entry.size - end)
        if digest.hexdigest() != sha256_of(entry):
            raise BadManifest(
                f"{_shown(run, entry)} does not have the digest that the manifest gives"
            )


@contextlib.contextmanager
def section(chunks: Iterator[bytes], limit: int) -> Iterator[Section]:
    """Read the members of a section, which unpacks to *chunks*, but to no more than *limit*."""
    stream = _Stream(chunks, limit)
    yield Section(stream)
    # The checksum comes last.
    while stream.take(CHUNK):
        pass


class Section:
    """The members of a tar archive, one after the other."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        # tarfile asks its file for no more than this; of what it has, types are not told.
        self._tar: Any = tarfile.TarFile(
            fileobj=cast("IO[bytes]", stream),
            encoding="utf-8",
            errors="surrogateescape",
        )

    def next(self) -> tarfile.TarInfo | None:
        member: tarfile.TarInfo | None = self._tar.next()
        self._tar.members.clear()  # it would keep them all
        return member

    def content(self, member: tarfile.TarInfo) -> Pieces:
        """Yield the bytes of a file with their positions, without the holes of a sparse one."""
        end = 0
        for start, length in _parts(member):
            if start < end or length < 0 or start + length > real_size(member):
                raise BrokenSection("it is damaged")
            end = start + length
            while start < end:
                data = self._stream.take(min(CHUNK, end - start))
                if not data:
                    raise BrokenSection("it is cut off")
                yield start, data
                start += len(data)
        # tarfile itself miscounts sparse files with more than 8 GiB of data.
        self._tar.offset = -(-self._stream.tell() // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _parts(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    parts: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    return [(0, member.size)] if parts is None else parts


def real_size(member: tarfile.TarInfo) -> int:
    """Return the size of a file with its holes."""
    return int(member.pax_headers.get("GNU.sparse.realsize", member.size))


class _Stream:
    """Chunks as a file that is read, and skipped in, from its start to its end."""

    def __init__(self, chunks: Iterator[bytes], limit: int) -> None:
        self._chunks = chunks
        self._limit = limit
        self._left = memoryview(b"")
        self._position = 0

    def take(self, size: int) -> memoryview:
        """Return some of the next bytes, *size* at most; none at the end."""
        if not self._left:
            chunk = next(filter(None, self._chunks), b"")
            self._limit -= len(chunk)
            if self._limit < 0:
                raise BrokenSection("it unpacks to more than its manifest says")
            self._left = memoryview(chunk)
        data, self._left = self._left[:size], self._left[size:]
        self._position += len(data)
        return data

    def read(self, size: int) -> bytes:
        found = bytes(self.take(size))
        while len(found) < size and (more := self.take(size - len(found))):
            found += more
        return found

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        while self._position < position and self.take(position - self._position):
            pass


def _agrees(name: bytes, entry: Entry, member: tarfile.TarInfo) -> bool:
    mtime = member.pax_headers.get("mtime", "")
    return (
        as_bytes(member.name) == name
        and member.type == _TYPES[entry.type]
        and member.mode == entry.mode
        and nanoseconds(mtime) == entry.mtime
        and as_bytes(member.linkname) == entry.target
        and real_size(member) == (entry.size if entry.type is Type.FILE else 0)
    )


def _shown(run: bytes, entry: Entry) -> str:
    return shown(join(run, entry.path))


def _hash_zeros(digest: Any, count: int) -> None:
    while count > 0:
        step = min(count, CHUNK)
        digest.update(memoryview(_ZEROS)[:step])
        count -= step
