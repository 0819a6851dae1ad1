"""Archives in object storage and on other machines: at whatever address fsspec can write to.

https://filesystem-spec.readthedocs.io; it, and the library of a protocol (s3fs, gcsfs, adlfs,
paramiko), are imported only where an address is given. They find credentials by themselves.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any

from fx_hooks.util.errors import FatalError
from fx_hooks.util.extras import install_command
from fx_hooks.util.terminal import one_line

# Two letters at least: C:// is a drive.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
_PASSWORD = re.compile(r"[^/@]*:[^/@]*@")
# An object appears when its upload is completed, all at once; to move one is to copy it.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"})
# What a listing calls the time of the last change: s3fs, adlfs, SFTP and others, gcsfs, memory.
_WRITTEN = ("LastModified", "last_modified", "mtime", "updated", "created")
# What is not whole yet: its machine and process; earlier versions did not say.
_NOT_WHOLE = re.compile(r"\.fx-.+?\.(?:([0-9a-f]{8})-(\d{1,10})\.)?part", re.DOTALL)
_DAY = 86_400
# What waits, and three times what is being sent, are in memory.
_PART = 6 << 20
# S3 takes 10,000 parts: 680 GB, as they grow after these.
_MOST_PARTS = 2_000
_AHEAD = 1 << 22
# Seconds between looks at what may become whole just now: gigabytes took a minute.
WAITS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


THERE = "is there already: choose another name, or replace it with --force"


class StartOver(Exception):
    """The archive has to be begun again: what has been sent cannot be taken back."""


def is_address(name: str) -> bool:
    """Return True if *name* is an address (``s3://bucket/name.tar.zst``), and not a path."""
    return _ADDRESS.match(name) is not None


class Storage:
    """The place of one file at an address; *name* is what messages call it.

    Whatever goes wrong there raises :class:`~fx_hooks.util.errors.FatalError`, with what the
    library said.
    """

    def __init__(self, address: str, *, name: str = "") -> None:
        self.name = name or address
        match = _ADDRESS.match(address)
        assert match is not None
        if _PASSWORD.match(match[2]):
            raise FatalError(
                f"{match[1]}://...: leave the password out of the address: the library for"
                f" {match[1]} finds your credentials itself"
            )
        self.address = address
        self.is_object_store = match[1].lower() in _OBJECT_STORES
        with self.asking():
            core: Any = importlib.import_module("fsspec.core")
            self.system, self.path = core.url_to_fs(address)

    def exists(self) -> bool:
        """Return True if there is something at the address."""
        with self.asking():
            self.system.invalidate_cache()
            return bool(self.system.exists(self.path))

    def state(self) -> tuple[int, str, str] | None:
        """Return the size, digest and time of what is there, as far as they are told.

        None if there is nothing.
        """
        with self.asking():
            self.system.invalidate_cache()
            try:
                found = self.system.info(self.path)
            except FileNotFoundError:
                return None
            return int(found.get("size") or 0), str(found.get("ETag")), str(_written(found))

    def listed(self) -> dict[str, tuple[int, Any]]:
        """Return the files in the folder at the address: size, and when they were written.

        The time is as the library gives it, None where it gives none.
        """
        with self.asking():
            self.system.invalidate_cache()
            found = {}
            for each in self.system.ls(self.path, detail=True):
                if each.get("type") != "directory":
                    name = each["name"].rstrip("/").rpartition("/")[2]
                    found[name] = (int(each.get("size") or 0), _written(each))
            return found

    def remove_left_over(self) -> None:
        """Remove what attempts that have ended have left next to this place.

        Whatever is asked of other machines, nothing tells whether a process of theirs lives: what
        nothing was written to for a day is left over.
        """
        if self.is_object_store:
            return
        with contextlib.suppress(Exception):  # it is in nobody's way
            self.system.invalidate_cache()
            folder = self.path.rpartition("/")[0] or "/"
            for found in self.system.ls(folder, detail=True):
                match = _NOT_WHOLE.fullmatch(found["name"].rpartition("/")[2])
                if match is not None and _is_left_over(match[1], match[2], _written(found)):
                    with contextlib.suppress(Exception):
                        self.system.rm_file(found["name"])

    def remove(self) -> None:
        """Remove what is there; that there is nothing is not an error."""
        with self.asking(), contextlib.suppress(FileNotFoundError):
            self.system.rm_file(self.path)

    def reader(self) -> Reader:
        """Open what is there."""
        with self.asking():
            self.system.invalidate_cache()
            file = self.system.open(self.path, "rb", block_size=_AHEAD, cache_type="none")
            return Reader(file)

    @contextlib.contextmanager
    def asking(self, else_: str = "") -> Iterator[None]:
        """Turn what the library raises into an error that names the file, and what is *else_*."""
        try:
            yield
        except FatalError:
            raise
        except ImportError as exc:
            why = f"{_said(exc)}: the extra 'storage' brings what S3 and SFTP need"
            if exc.name == "fsspec":
                why = "needs fsspec"
            raise FatalError(f"{self.name}: {why}: {install_command('storage')}") from exc
        # Each protocol has errors of its own, of any class.
        except Exception as exc:
            raise FatalError(": ".join(filter(None, (self.name, _said(exc), else_)))) from exc


class Reader:
    """A file at an address, read in large blocks; the next one comes while one is worked on.

    What goes wrong raises :class:`OSError`, as on a disk.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._block, self._start, self._position = b"", 0, 0
        self._pool = ThreadPoolExecutor(1)
        self._ahead: Future[bytes] | None = None
        with _as_os_error():
            if hasattr(file, "readv"):
                self._end = int(file.stat().st_size)
            else:
                file.seek(0, os.SEEK_END)
                self._end = int(file.tell())

    def seek(self, offset: int, whence: int = 0) -> int:
        """Return the new position."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer at the end of the file."""
        stop = self._end if size < 0 else min(self._position + size, self._end)
        parts = []
        while self._position < stop:
            if not self._is_here():
                self._fetch()
            parts.append(self._block[self._position - self._start : stop - self._start])
            self._position += len(parts[-1])
        return b"".join(parts)

    def _is_here(self) -> bool:
        return self._start <= self._position < self._start + len(self._block)

    def _fetch(self) -> None:
        """Fetch the block at the position; from the second in a row on, also the one after it."""
        is_next = self._start < self._position == self._start + len(self._block)
        ahead, self._ahead = self._ahead, None
        with _as_os_error():
            block = ahead.result() if ahead is not None else b""
            if ahead is None or not is_next:
                block = self._read(self._position)
        self._block, self._start = block, self._position
        end = self._start + len(block)
        if is_next and end < self._end:
            self._ahead = self._pool.submit(self._read, end)

    def _read(self, start: int) -> bytes:
        wanted = min(_AHEAD, self._end - start)
        if hasattr(self._file, "readv"):
            # SFTP: paramiko waits for the answer to each 32 KiB, unless it is told all at once.
            (block,) = self._file.readv([(start, wanted)])
        else:
            self._file.seek(start)
            block = self._file.read(wanted)
        if len(block) < wanted:
            raise OSError(errno.EIO, "the file has become shorter")
        return bytes(block)

    def close(self) -> None:
        """Close it; what has been read stays read, whatever the library says to that."""
        self._pool.shutdown()
        with contextlib.suppress(Exception):
            self._file.close()


class Upload:
    """A file at an address, written; it appears there when it is whole, and only then.

    Where a file is seen while it is written, it has another name until :meth:`place`. Until
    :meth:`sync`, nothing else may be asked of the server: paramiko would take the answers to what
    was written for those to that, and wait for them for ever.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.is_placed_by_sync = storage.is_object_store
        self.size = 0
        self._is_open, self._is_there = True, False
        self._waiting: list[bytes] = []
        self._sent = 0
        self._sender = ThreadPoolExecutor(1)
        self._sending: Future[Any] | None = None
        self._path, self.temporary = storage.path, storage.address
        self._before = storage.state() if storage.is_object_store else None
        options: dict[str, Any] = {"autocommit": False}
        if not storage.is_object_store:
            self._path, self.temporary = map(_beside, (storage.path, storage.address))
            options = {}
        with storage.asking():
            self._file = storage.system.open(self._path, "wb", block_size=_PART, **options)
            if hasattr(self._file, "set_pipelined"):
                # SFTP: do not wait for the answer to each 32 KiB. What it refuses, the next write
                # or the close raises; and all is read back.
                self._file.set_pipelined(True)

    def write(self, data: bytes) -> None:
        """Send *data*, or keep it until there is enough to send."""
        self._waiting.append(data)
        self.size += len(data)
        if self.size - self._sent >= max(_PART, self.size // _MOST_PARTS):
            with self._storage.asking():
                self._send()

    def _send(self) -> None:
        """Send what waits, once all before it is sent, while more is packed."""
        self._wait()
        part = b"".join(self._waiting)
        self._waiting.clear()
        self._sent = self.size
        # One thread for all parts: each other one would keep memory of its own.
        self._sending = self._sender.submit(self._file.write, part)

    def _wait(self) -> None:
        if self._sending is not None:
            self._sending.result()

    def cut(self, size: int) -> None:
        """Raise :class:`StartOver`: what was sent after the first *size* bytes stays sent."""
        if size < self.size:
            raise StartOver

    def sync(self) -> None:
        """Send all of it, so that it can be read back at ``temporary``."""
        with self._storage.asking():
            self._send()
            self._wait()
            if self._storage.is_object_store:
                self._file.close()
                self._commit()
            else:
                self._is_there = True
                self._file.close()
        self._is_open = False

    def _commit(self) -> None:
        """Complete the upload; an error means nothing where the object is there all the same.

        A server that takes long has completed it when it is asked again, and knows of no such
        upload then.
        """
        try:
            self._file.commit()
            self._is_there = True
        except BaseException as exc:
            is_refused = isinstance(exc, PermissionError) or not isinstance(exc, Exception)
            with contextlib.suppress(FatalError):
                self._is_there = any(map(self._is_here, WAITS[: 1 if is_refused else None]))
            if not (self._is_there and isinstance(exc, Exception)):
                raise

    def _is_here(self, seconds: float) -> bool:
        """Wait, and return True if this very upload is at the address then.

        Another one, of before or of somebody else, is not ours to read, or to remove.
        """
        time.sleep(seconds)
        there = self._storage.state()
        return there is not None and there != self._before and there[0] == self.size

    def place(self, *, replace: bool, else_: str = "") -> None:  # noqa: ARG002
        """Give it its name; that may replace what is there, as no server is asked to look first."""
        storage = self._storage
        with storage.asking(else_):
            if not storage.is_object_store:
                with contextlib.suppress(FileNotFoundError):
                    storage.system.rm_file(storage.path)
                storage.system.mv(self._path, storage.path)
        self._is_there = False

    def close(self) -> None:
        """Take back all that was not placed."""
        # The error that led here is the one to report.
        with contextlib.suppress(Exception):
            self._sender.shutdown()
            if self._is_open:
                self._discard()
        with contextlib.suppress(Exception):
            if self._is_there:
                self._storage.system.rm_file(self._path)

    def _discard(self) -> None:
        if self._storage.is_object_store:
            self._file.discard()
        else:
            self._file.close()
            self._is_there = True
        # Whoever frees the memory would complete the upload.
        self._file.closed = True


def _written(found: Mapping[str, Any]) -> Any:
    return next((found[key] for key in _WRITTEN if found.get(key)), None)


def _beside(place: str) -> str:
    folder, slash, name = place.rpartition("/")
    return f"{folder}{slash}.fx-{name[:200]}.{_machine()}-{os.getpid()}.part"


def _is_left_over(machine: str | None, process: str | None, written: Any) -> bool:
    if machine == _machine():
        return sys.platform == "linux" and not _lives(int(process or 0))
    if isinstance(written, datetime):
        written = written.timestamp()
    return isinstance(written, (int, float)) and time.time() - written > _DAY


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # it is another user's
    return True


@functools.cache
def _machine() -> str:
    """Return what no other machine has, nor a container that sees other processes.

    Where that is not told, as outside of Linux, each process has its own, and knows no leftovers.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            told = file.read() + os.fsencode(os.readlink("/proc/self/ns/pid"))
    except OSError:
        told = os.urandom(16)
    return hashlib.sha256(told + socket.gethostname().encode()).hexdigest()[:8]


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except Exception as exc:  # each protocol has errors of its own
        raise OSError(errno.EIO, _said(exc)) from exc


def _said(exc: BaseException) -> str:
    """Return what a library says, on one line and not too long."""
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
    return one_line(" ".join(text.split()))[:300]
