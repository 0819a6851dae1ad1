"""Compressed files made of sections, each of which can be read without the ones before it.

A section is a gzip member or a zstd frame, so ``gzip -d``, ``zstd -d`` and tar read the
file as one stream. Where the last section starts is written at the very end, in what these
skip: an empty gzip member with an extra field, as eStargz does it
(https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md), or a
skippable frame (RFC 8878, section 3.1.2).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError
from fx_hooks.util.extras import install_command

CHUNK = 1 << 20
GZIP_LEVEL = 6  # that of gzip
ZSTD_LEVEL = 3  # that of zstd
_BLOCK = 1 << 19
_WINDOW = 1 << 15
# What each thread of zstd has in memory several times; 8 MiB is zstd's own choice.
_JOB = 1 << 21
_AHEAD = 3  # blocks that wait to be packed
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_GZIP_FOOTER = struct.Struct("<4s4s2sH2sHQ2sII")
_ZSTD_FOOTER = struct.Struct("<II8sQ")
_ZSTD_SKIPPABLE = 0x184D2A5F
_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_REPEATED, _ZSTD_PACKED = 1, 2  # types of blocks
_ZSTD_BLOCK = 1 << 17
_MOST_PIECES = 1 << 10
_MARK = b"fx-runs\x01"
_TAIL = 256  # more than either footer has


class BrokenSection(Exception):
    """A broken section; the message says why in a few words."""


class SectionWriter(Protocol):
    """One section while it is written; what it is abandoned with is cut off by its owner."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class Readable(Protocol):
    """A file to read sections from."""

    def read(self, size: int = ..., /) -> bytes: ...

    def seek(self, offset: int, whence: int = ..., /) -> int: ...


class Codec(Protocol):
    """The way to write sections and read them back."""

    def writer(self, sink: Callable[[bytes], None]) -> SectionWriter: ...

    def chunks(self, file: Readable, length: int) -> Iterator[bytes]:
        """Unpack the next *length* bytes of *file*, or raise :class:`BrokenSection`."""

    def footer(self, last: int) -> bytes: ...

    def last_section(self, file: Readable) -> tuple[int, int]:
        """Return the bounds of the last section of *file*, or raise :class:`BrokenSection`."""

    def close(self) -> None: ...


def codec_for(name: str, *, is_new: bool = False) -> Codec:
    """Return the codec that the file's *name* asks for, which can change where it *is_new*.

    Raises :class:`FatalError`.
    """
    if name.endswith(".tar.gz"):
        return _Gzip()
    if name.endswith(".tar.zst"):
        return _zstd(name, ", or name it NAME.tar.gz" if is_new else "")
    raise FatalError(f"{name}: an archive is called NAME.tar.gz or NAME.tar.zst")


def is_marked(place: bytes) -> bool:
    """Return True if the file ends with our footer, or cannot be read."""
    try:
        with open(place, "rb", opener=files_not_links) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            return _MARK in file.read()
    except FileNotFoundError:
        return False
    except OSError:
        return True


@contextlib.contextmanager
def read_ahead(chunks: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """*chunks* but the empty ones, made by a thread while the last one is worked on."""
    ready: queue.Queue[bytes | Exception] = queue.Queue(maxsize=4)
    stopped = threading.Event()

    def work() -> None:
        end: bytes | Exception = b""
        try:
            for chunk in chunks:
                if stopped.is_set():
                    return
                if chunk:
                    ready.put(chunk)
        except Exception as exc:  # it is raised again where the chunks are used
            end = exc
        ready.put(end)

    def taken() -> Iterator[bytes]:
        while item := ready.get():
            if isinstance(item, Exception):
                raise item
            yield item
        ready.put(b"")  # whoever asks again is not kept waiting

    thread = threading.Thread(target=work, daemon=True)
    try:
        thread.start()
        yield taken()
    finally:
        stopped.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get(timeout=0.01)


def _workers() -> int:
    return min(os.cpu_count() or 1, 8)


class _Gzip:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_workers())

    def writer(self, sink: Callable[[bytes], None]) -> SectionWriter:
        return _GzipWriter(self._pool, sink)

    def chunks(self, file: Readable, length: int) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(wbits=31)
        left = length
        try:
            while not unpacker.eof:
                data = unpacker.unconsumed_tail
                if not data:
                    data = file.read(min(CHUNK // 4, left))
                    left -= len(data)
                    if not data:
                        raise BrokenSection("it is cut off")
                yield unpacker.decompress(data, CHUNK)
        except zlib.error as exc:
            raise BrokenSection("it is damaged") from exc
        _check_end(unpacker.unused_data, file, left)

    def footer(self, last: int) -> bytes:
        # Header with the extra field, an empty block, and the checksum and length of nothing.
        head = (b"\x1f\x8b\x08\x04", b"\0\0\0\0", b"\0\xff", 12, b"FX", 8)
        return _GZIP_FOOTER.pack(*head, last, b"\x03\0", 0, 0)

    def last_section(self, file: Readable) -> tuple[int, int]:
        return _last_section(file, self.footer, _GZIP_FOOTER, 6)

    def close(self) -> None:
        self._pool.shutdown()


class _GzipWriter:
    """Blocks are deflated side by side, each with the end of the last one as its dictionary."""

    def __init__(self, pool: ThreadPoolExecutor, sink: Callable[[bytes], None]) -> None:
        self._pool = pool
        self._sink = sink
        self._block = bytearray()
        self._before = b""
        self._jobs: deque[Future[bytes]] = deque()
        self._checksum = self._size = 0
        sink(_GZIP_HEADER)

    def write(self, data: bytes) -> None:
        self._block += data
        while len(self._block) >= _BLOCK:
            self._submit(bytes(self._block[:_BLOCK]), zlib.Z_SYNC_FLUSH)
            del self._block[:_BLOCK]

    def _submit(self, block: bytes, flush: int) -> None:
        self._checksum = zlib.crc32(block, self._checksum)
        self._size += len(block)
        self._jobs.append(self._pool.submit(_deflated, block, self._before, flush))
        self._before = block[-_WINDOW:]
        while len(self._jobs) > 2 * _workers():
            self._sink(self._jobs.popleft().result())

    def close(self) -> None:
        self._submit(bytes(self._block), zlib.Z_FINISH)
        while self._jobs:
            self._sink(self._jobs.popleft().result())
        self._sink(struct.pack("<II", self._checksum, self._size & 0xFFFFFFFF))

    def abandon(self) -> None:
        for job in self._jobs:
            job.cancel()


def _deflated(block: bytes, before: bytes, flush: int) -> bytes:
    level, method, bits, memory = GZIP_LEVEL, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL
    packer = zlib.compressobj(level, method, bits, memory, zlib.Z_DEFAULT_STRATEGY, before)
    return packer.compress(block) + packer.flush(flush)


def _zstd(name: str, else_: str) -> Codec:
    for module, codec in (("zstandard", _Zstandard), ("compression.zstd", StandardZstd)):
        with contextlib.suppress(ImportError):
            return codec(importlib.import_module(module))
    raise FatalError(f"{name}: zstd needs the package zstandard: {install_command('tools')}{else_}")


class _Zstd:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def footer(self, last: int) -> bytes:
        return _ZSTD_FOOTER.pack(_ZSTD_SKIPPABLE, 16, _MARK, last)

    def last_section(self, file: Readable) -> tuple[int, int]:
        return _last_section(file, self.footer, _ZSTD_FOOTER, 3)

    def close(self) -> None:
        self._pool.shutdown()


def _zstd_workers() -> int:
    """Return how many threads zstd is to start; with none, one of ours has it do all.

    That takes a third less of processor time, and where there are two processors the other one
    reads back meanwhile. More than two threads would wait for what is read and hashed.
    """
    return 2 if _workers() > 2 else 0


class _Zstandard(_Zstd):
    """By the package zstandard."""

    def __init__(self, zstandard: Any) -> None:
        super().__init__()
        self._error = zstandard.ZstdError
        parameters = zstandard.ZstdCompressionParameters.from_level(
            ZSTD_LEVEL, threads=_zstd_workers(), job_size=_JOB, write_checksum=True
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._decompressor = zstandard.ZstdDecompressor()

    def writer(self, sink: Callable[[bytes], None]) -> SectionWriter:
        return _ZstdWriter(_Chunker(self._compressor), sink, self._pool, self._error)

    def chunks(self, file: Readable, length: int) -> Iterator[bytes]:
        unpacker = self._decompressor.decompressobj()
        part = _Part(file, length)
        try:
            for piece in _pieces(part):
                yield unpacker.decompress(piece)
        except self._error as exc:
            raise BrokenSection("it is damaged") from exc
        if not unpacker.eof:
            raise BrokenSection("it is damaged")
        _check_end(unpacker.unused_data, file, part.left)


class _Chunker:
    """A compressor that packs into large pieces; what zstandard calls one copies small ones."""

    def __init__(self, compressor: Any) -> None:
        self._chunker = compressor.chunker(chunk_size=CHUNK)

    def compress(self, data: bytes) -> bytes:
        return b"".join(self._chunker.compress(data))

    def flush(self) -> bytes:
        return b"".join(self._chunker.finish())


class _Part:
    """The next bytes of a file, which have to be there."""

    def __init__(self, file: Readable, length: int) -> None:
        self._file = file
        self.left = length

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self.left))
        self.left -= len(data)
        if len(data) < size:
            raise BrokenSection("it is cut off")
        return data


def _pieces(file: _Part) -> Iterator[bytes]:
    """Yield a zstd frame in pieces that unpack to a chunk at most (RFC 8878, section 3.1.1).

    zstandard cannot be told how much to unpack at once, and four bytes may be 128 KiB.
    """
    head = file.read(5)
    if head[:4] != _ZSTD_FRAME:
        raise BrokenSection("it is damaged")
    flags = head[4]
    is_single, has_checksum = flags >> 5 & 1, flags >> 2 & 1
    sizes = (1 - is_single, (0, 1, 2, 4)[flags & 3], (is_single, 2, 4, 8)[flags >> 6])
    found, room, is_last = [head, file.read(sum(sizes)), file.read(3)], _ZSTD_BLOCK, 0
    while not is_last:
        value = int.from_bytes(found[-1][-3:], "little")
        is_last, kind, size = value & 1, value >> 1 & 3, value >> 3
        unpacked = min(size, _ZSTD_BLOCK) if kind < _ZSTD_PACKED else _ZSTD_BLOCK
        if unpacked > room or len(found) > _MOST_PIECES:
            yield b"".join(found)
            found, room = [], _ZSTD_BLOCK
        room -= unpacked
        stored = 1 if kind == _ZSTD_REPEATED else size
        # With what the next block begins with.
        found.append(file.read(stored + (4 * has_checksum if is_last else 3)))
    yield b"".join(found)


class StandardZstd(_Zstd):
    """By the standard library, from Python 3.14 on."""

    def __init__(self, zstd: Any) -> None:
        super().__init__()
        self._zstd = zstd

    def writer(self, sink: Callable[[bytes], None]) -> SectionWriter:
        parameter = self._zstd.CompressionParameter
        options = {parameter.compression_level: ZSTD_LEVEL, parameter.checksum_flag: 1}
        # zstd may have been built without threads.
        workers = min(_zstd_workers(), parameter.nb_workers.bounds()[1])
        if workers:
            options |= {parameter.nb_workers: workers, parameter.job_size: _JOB}
        packer = self._zstd.ZstdCompressor(options=options)
        return _ZstdWriter(packer, sink, self._pool, self._zstd.ZstdError)

    def chunks(self, file: Readable, length: int) -> Iterator[bytes]:
        unpacker = self._zstd.ZstdDecompressor()
        left = length
        try:
            while not unpacker.eof:
                data = b""
                if unpacker.needs_input:
                    data = file.read(min(CHUNK // 4, left))
                    left -= len(data)
                    if not data:
                        raise BrokenSection("it is cut off")
                yield unpacker.decompress(data, CHUNK)
        except self._zstd.ZstdError as exc:
            raise BrokenSection("it is damaged") from exc
        _check_end(unpacker.unused_data, file, left)


class _ZstdWriter:
    """A thread packs while more is read; what is small is packed together."""

    def __init__(
        self,
        packer: Any,
        sink: Callable[[bytes], None],
        pool: ThreadPoolExecutor,
        error: type[Exception],
    ) -> None:
        self._packer = packer
        self._sink = sink
        self._pool = pool
        self._error = error
        self._small: list[bytes] = []
        self._size = 0
        self._jobs: deque[Future[bytes]] = deque()

    def write(self, data: bytes) -> None:
        if len(data) >= _BLOCK:
            self._submit_small()
            self._submit(data)
            return
        self._small.append(data)
        self._size += len(data)
        if self._size >= _BLOCK:
            self._submit_small()

    def _submit_small(self) -> None:
        if self._small:
            self._submit(b"".join(self._small))
            self._small.clear()
            self._size = 0

    def _submit(self, data: bytes) -> None:
        self._jobs.append(self._pool.submit(self._packer.compress, data))
        self._take(_AHEAD)

    def _take(self, rest: int) -> None:
        while len(self._jobs) > rest:
            with self._packing():
                packed = self._jobs.popleft().result()
            if packed:
                self._sink(packed)

    def close(self) -> None:
        self._submit_small()
        self._take(0)
        with self._packing():
            packed = self._packer.flush()
        self._sink(packed)

    @contextlib.contextmanager
    def _packing(self) -> Iterator[None]:
        """Turn what zstd raises, where it gets no memory or no threads, into an error of ours."""
        try:
            yield
        except self._error as exc:
            raise FatalError(f"zstd cannot pack: {exc}") from exc

    def abandon(self) -> None:
        """Wait for the thread: the next section starts the same compressor anew."""
        for job in self._jobs:
            job.cancel()
        wait(self._jobs)


def _check_end(rest: bytes, file: Readable, left: int) -> None:
    if rest or (left and file.read(1)):
        raise BrokenSection("it is longer than it says")


def _last_section(
    file: Readable, footer: Callable[[int], bytes], form: struct.Struct, field: int
) -> tuple[int, int]:
    """Return the bounds of the last section, whose start is a *field* of the footer's *form*."""
    end = max(file.seek(0, os.SEEK_END) - form.size, 0)
    file.seek(end)
    found = file.read(form.size)
    last: int = form.unpack(found)[field] if len(found) == form.size else end
    if last >= end or found != footer(last):
        raise BrokenSection("it is cut off, or was not written by fx-archive-runs")
    return last, end
