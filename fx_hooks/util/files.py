"""Temporary files next to their final place, and what a process that dies leaves of them.

Such a file or directory is locked as long as its process lives, so that the next one can tell
what may go.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator

if sys.platform != "win32":
    import fcntl
    import resource

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0)


def name_beside(place: bytes) -> bytes:
    """Return a temporary name in the folder of *place* that says what it is for."""
    folder, name = os.path.split(place)
    return os.path.join(folder, _prefix(name) + os.urandom(4).hex().encode())


def _prefix(name: bytes) -> bytes:
    # The name may be as long as names can be.
    return b".fx-" + name[:200] + b"."


def left_beside(place: bytes) -> Iterator[bytes]:
    """Yield the existing paths that :func:`name_beside` gave for *place*."""
    folder, name = os.path.split(place)
    prefix = _prefix(name)
    with contextlib.suppress(OSError):
        for found in sorted(os.listdir(folder or b".")):
            if found.startswith(prefix) and len(found) == len(prefix) + 8:
                yield os.path.join(folder, found)


def create(path: bytes, mode: int = 0o666) -> int:
    """Create and lock a file, and return its descriptor, open for reading and writing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    while True:
        descriptor = os.open(path, flags, mode)
        # Until it is locked, another process may take it for a leftover, and remove it.
        if _try_lock(descriptor) and _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(path)


def _is_at(descriptor: int, path: bytes) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process ends; False if another process has.

    Where there are no such locks (Windows), an open file cannot be deleted anyway.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            # Some network file systems have no locks at all: then nothing is ever left over.
            return exc.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOLCK, errno.ENOTSUP)
    return True


@contextlib.contextmanager
def locked(path: bytes, seconds: float = 60.0) -> Iterator[None]:
    """Hold the lock file *path*, which is never removed; wait for whoever holds it.

    Raises :class:`TimeoutError` after *seconds*. Where there are no such locks, do not wait.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _BINARY, 0o666)
    try:
        end = time.monotonic() + seconds
        while not _try_lock(descriptor):
            if time.monotonic() > end:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds it", path)
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            return exc.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def remove_left_over(place: bytes) -> None:
    """Remove the files that dead processes have left next to *place*."""
    for path in left_beside(place):
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.unlink(path)  # it fails while a process has the file open
                continue
            descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
            try:
                if lock(descriptor):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def remove_left_over_in(folder: bytes, ends: tuple[bytes, ...]) -> None:
    """Remove what dead processes have left in *folder* of files whose names end so."""
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder or b".")):
            stem = name[4:-9]
            if name.startswith(b".fx-") and stem.endswith(ends) and name[-9:-8] == b".":
                remove_left_over(os.path.join(folder, stem))


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of *data*: a full disk and a signal can cut a write short."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: str | bytes, data: bytes, mode: int, *, exact: bool = False) -> None:
    """Put *data* at *path* in one step, with *mode* as its permissions.

    Unless they are *exact*, the umask has its say. Raise :class:`OSError`. Whatever ends it,
    nothing is left behind; what a process that was killed has left is removed first.
    """
    place = os.fsencode(path)
    remove_left_over(place)
    temporary = name_beside(place)
    try:
        descriptor = create(temporary, mode)
        try:
            write_all(descriptor, data)
            if exact:
                os.chmod(temporary, mode)
            if sys.platform != "win32":
                os.replace(temporary, place)  # still locked, so that no one takes it for a leftover
        finally:
            os.close(descriptor)
        if sys.platform == "win32":
            os.replace(temporary, place)  # which an open file would not let happen
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # not there if the interruption came when all was done
        raise


def sync_folder(path: bytes) -> None:
    """Make the names in a folder last."""
    if sys.platform != "win32":
        descriptor = os.open(path or b".", os.O_RDONLY | _FOLDER)
        try:
            os.fsync(descriptor)
        except OSError as exc:
            # Some network file systems do not know of this.
            if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def move(source: bytes, place: bytes, *, replace: bool) -> None:
    """Give a file its final name in one step.

    Without *replace* raises :class:`FileExistsError` where something is there already.
    """
    if replace:
        os.replace(source, place)
    elif sys.platform == "win32":
        os.rename(source, place)  # which never replaces there
    else:
        try:
            os.link(source, place, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place) from None
            os.rename(source, place)
        else:
            os.unlink(source)


def remove_tree(path: bytes) -> None:
    """Remove a directory of ours with all that is in it; links are never followed."""
    empty_tree(path)
    os.rmdir(path)


def empty_tree(path: bytes) -> None:
    """Remove all that is in a directory of ours, however deep it lies."""
    folders = [path]
    for folder in folders:  # those in it are added meanwhile
        with contextlib.suppress(OSError):
            os.chmod(folder, stat.S_IRWXU)
        with os.scandir(folder) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                os.unlink(entry.path)
    for folder in reversed(folders[1:]):
        os.rmdir(folder)


def most_open_files() -> int:
    """Return how many files this process may have open, after asking for all that it can get."""
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return 1 << 16 if soft == resource.RLIM_INFINITY else max(soft, 64)
    return 512
