"""The files of one run on disk: what is there, and whether it is still the same."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fx_hooks.runs.archive.manifest import Entry, Type, map_of
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import shown

_OPEN = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for somebody to write
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 1 << 20
# On Windows a listing does not say where its entries lie.
_HAS_DEVICES = sys.platform != "win32"
_DATA, _HOLE = getattr(os, "SEEK_DATA", None), getattr(os, "SEEK_HOLE", None)


class Unfit(Exception):
    """A run that cannot be packed whole; the message says why in a few words."""


class Found(NamedTuple):
    """One file, directory or link below a run; ``path`` is empty for the run itself."""

    path: bytes
    status: os.stat_result
    target: bytes = b""

    @property
    def type(self) -> Type | None:
        """Its type in a manifest; None for what cannot be packed."""
        mode = self.status.st_mode
        if stat.S_ISDIR(mode):
            return Type.FOLDER
        if stat.S_ISLNK(mode):
            return Type.LINK
        return Type.FILE if stat.S_ISREG(mode) else None


def scan(place: bytes) -> list[Found]:
    """All that is in the directory *place*, itself first. Raises :class:`Unfit`."""
    try:
        top = os.lstat(place)
        if not stat.S_ISDIR(top.st_mode):
            raise Unfit("it is not a directory")
        return list(_walk(place, Found(b"", top)))
    except FileNotFoundError as exc:
        raise Unfit("it is gone, or something in it is") from exc
    except OSError as exc:
        name = os.path.relpath(os.fsencode(exc.filename or place), place)
        raise Unfit(f"{shown(name)} cannot be read: {exc.strerror}") from exc


def _walk(place: bytes, top: Found) -> Iterator[Found]:
    """*top* and all below it, each directory right before what is in it.

    GNU tar gives a directory its time when the next file lies outside of it.
    """
    waiting = [top]
    device = top.status.st_dev
    while waiting:
        item = waiting.pop()
        yield item
        if item.type is not Type.FOLDER:
            continue
        with os.scandir(os.path.join(place, item.path) if item.path else place) as entries:
            names = sorted(entries, key=lambda entry: entry.name, reverse=True)
        for entry in names:
            path = item.path + b"/" + entry.name if item.path else entry.name
            status = entry.stat(follow_symlinks=False)
            if _HAS_DEVICES and entry.is_dir(follow_symlinks=False) and status.st_dev != device:
                raise Unfit(f"{shown(path)} in it is on another file system")
            target = os.readlink(entry.path) if stat.S_ISLNK(status.st_mode) else b""
            waiting.append(Found(path, status, target))


def difference(place: bytes, entries: Sequence[Entry], left_out: Sequence[bytes]) -> str | None:
    """Return how the directory *place* differs from what was packed; None if in nothing.

    Sizes, times, permissions and targets are compared, contents are not.
    """
    try:
        found = {item.path: item for item in scan(place)}
    except Unfit as exc:
        return str(exc)
    for path in left_out:
        found.pop(path, None)
    for entry in entries:
        item = found.pop(entry.path, None)
        if item is None:
            return f"{shown(entry.path)} is gone"
        status = item.status
        same = (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (entry.mode, entry.mtime)
        if entry.type is Type.FOLDER:
            same = same and item.type is Type.FOLDER
        elif entry.type is Type.LINK:
            same = same and item.target == entry.target
        else:
            same = same and (item.type, status.st_size) == (Type.FILE, entry.size)
        if not same:
            return f"{shown(entry.path) or 'its directory'} has changed"
    return f"{shown(min(found))} is new" if found else None


def not_held(
    place: bytes,
    entries: Sequence[Entry],
    is_known: Callable[[Entry, os.stat_result], bool] = lambda *_: False,
) -> bytes | None:
    """Return the path of what was packed and is not in *place*; None if all of it is.

    Contents are compared, by their digests, but those of files that hold what was packed as is
    known: a file that was only added to still holds it. What cannot be read is taken for missing.
    """
    for entry in entries:
        path = os.path.join(place, entry.path) if entry.path else place
        try:
            if entry.type is Type.FOLDER:
                held = stat.S_ISDIR(os.lstat(path).st_mode)
            elif entry.type is Type.LINK:
                held = os.readlink(path) == entry.target
            else:
                made = _beginning if entry.data is None else _sparse
                status = os.lstat(path)
                held = stat.S_ISREG(status.st_mode) and (
                    is_known(entry, status) or made(path, entry.size) == entry.sha256
                )
        except OSError:
            held = False
        if not held:
            return entry.path
    return None


def _beginning(path: bytes, size: int) -> str | None:
    """Return the SHA-256 of the first *size* bytes of a file; None where it has fewer."""
    digest = hashlib.sha256()
    with open(path, "rb", opener=files_not_links) as file:
        while size and (data := file.read(min(size, _CHUNK))):
            digest.update(data)
            size -= len(data)
    return None if size else digest.hexdigest()


def _sparse(path: bytes, size: int) -> str | None:
    """Return the digest of a file of *size* bytes that is nearly all holes; None if it is not."""
    with open(path, "rb", opener=files_not_links) as file:
        status = os.fstat(file.fileno())
        parts = data_of(file.fileno(), status)
        if status.st_size != size or parts is None:
            return None
        digest = hashlib.sha256(map_of(parts, size))
        for start, length in parts:
            file.seek(start)
            left = length
            while left and (data := file.read(min(left, _CHUNK))):
                digest.update(data)
                left -= len(data)
    return digest.hexdigest()


def only_in(place: bytes, other: bytes) -> str | None:
    """Return a file or link in the directory *place* that is not in *other*; None without any.

    Contents, times and targets are compared. What cannot be read is taken for one.
    """
    try:
        found = scan(place)
        there = {item.path: item for item in scan(other)}
    except Unfit as exc:
        return str(exc)
    for item in found:
        same = there.get(item.path)
        if item.type is Type.FOLDER:
            continue
        if same is None or _identity(item) != _identity(same):
            return shown(item.path)
        if item.type is Type.FILE and not _same_content(place, other, item.path):
            return shown(item.path)
    return None


def _same_content(place: bytes, other: bytes, path: bytes) -> bool:
    try:
        with (
            open(os.path.join(place, path), "rb", opener=files_not_links) as first,
            open(os.path.join(other, path), "rb", opener=files_not_links) as second,
        ):
            while data := first.read(_CHUNK):
                if data != second.read(len(data)):
                    return False
            return not second.read(1)
    except OSError:
        return False


def _identity(item: Found) -> tuple[object, ...]:
    return (item.type, item.status.st_size, item.status.st_mtime_ns, item.target)


@contextlib.contextmanager
def opened(place: bytes, item: Found) -> Iterator[int]:
    """Yield the file *item* below *place*, open for reading.

    Raises :class:`Unfit` where it cannot be read, or is not what it was, before or after.
    """
    name = shown(item.path)
    try:
        descriptor = os.open(os.path.join(place, item.path), _OPEN)
    except FileNotFoundError as exc:
        raise Unfit(f"{name} is gone") from exc
    except OSError as exc:
        raise Unfit(f"{name} cannot be read: {exc.strerror}") from exc
    try:
        _check_same(item, descriptor)
        yield descriptor
        _check_same(item, descriptor)
    except OSError as exc:
        raise Unfit(f"{name} cannot be read: {exc.strerror}") from exc
    finally:
        os.close(descriptor)


def _check_same(item: Found, descriptor: int) -> None:
    now, then = os.fstat(descriptor), item.status
    if (now.st_size, now.st_mtime_ns, now.st_mode) != (
        then.st_size,
        then.st_mtime_ns,
        then.st_mode,
    ):
        raise Unfit(f"{shown(item.path)} is being written")


def data_of(descriptor: int, status: os.stat_result) -> list[tuple[int, int]] | None:
    """Return the data parts of a sparse file, as positions and lengths; None if all is data."""
    size = status.st_size
    if sys.platform == "win32" or _DATA is None or _HOLE is None or status.st_blocks * 512 >= size:
        return None
    parts: list[tuple[int, int]] = []
    end = 0
    try:
        while end < size:
            try:
                start = os.lseek(descriptor, end, _DATA)
            except OSError as exc:
                if exc.errno == errno.ENXIO:  # nothing but a hole follows
                    break
                return None  # a file system that does not know its holes
            end = min(os.lseek(descriptor, start, _HOLE), size)
            if start < size:
                parts.append((start, end - start))
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return None if parts == [(0, size)] else parts
