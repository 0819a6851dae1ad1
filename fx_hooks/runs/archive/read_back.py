"""An archive on disk, read back while it is still being written.

To compare takes about as long as to pack, and both have a processor each. What is read back was
synced before, and comes from the file; all the same it counts only when the whole archive does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import BinaryIO

from fx_hooks.runs.archive.manifest import Entry, PackedRun
from fx_hooks.runs.archive.reader import members, reading, section
from fx_hooks.runs.archive.sections import CHUNK, Codec, codec_for
from fx_hooks.util.disk import files_only
from fx_hooks.util.paths import shown

# Bytes that are synced at once. An archive that has no more is read back when it is whole.
_STEP = 1 << 23
# What is written next has no page of memory in common with what is read back.
_PAGES = CHUNK
_NO_LIMIT = 1 << 62


class _Run:
    """A run that is being packed, and what is told of it: entries, and after a file its digest."""

    def __init__(self, path: bytes, start: int) -> None:
        self.path = path
        self.start = start
        self.packed: PackedRun | None = None
        self.is_dropped = False
        self.told: SimpleQueue[Entry | str | None] = SimpleQueue()

    def entries(self) -> Iterator[Entry]:
        """Wait for each entry, and yield it."""
        while isinstance(entry := self.told.get(), Entry):
            yield entry

    def sha256(self, _: Entry) -> str:
        """Wait for the digest of the file whose entry came last."""
        return str(self.told.get())


class ReadBack:
    """The reader of the file *path*; *sync* brings what was written between two bounds to disk.

    Whoever writes tells what is packed, in its order in the file.
    """

    def __init__(self, path: bytes, name: bytes, sync: Callable[[int, int], None]) -> None:
        self._path = path
        self._name = name
        self._sync = sync
        self._runs: SimpleQueue[_Run | None] = SimpleQueue()
        self._last = _Run(b"", 0)  # of none there is nothing to read back
        self._current: _Run | None = None
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._written = self._readable = 0
        self._cuts = 0
        self._is_stopped = self._is_whole = False
        self._fault: BaseException | None = None
        self._compared: list[PackedRun] = []
        self.done = 0  # bytes of content that were compared

    def begin(self, run: bytes, start: int) -> None:
        """Tell that *run* is packed from byte *start* on."""
        self._last = _Run(run, start)
        self._runs.put(self._last)

    def tell(self, what: Entry | str) -> None:
        """Tell the next entry of the run, or the digest of the file that the last one is of."""
        self._last.told.put(what)

    def end(self, packed: PackedRun) -> None:
        """Tell that all of the run was packed."""
        with self._changed:
            self._last.packed = packed
            self._changed.notify_all()
        self._last.told.put(None)

    def cut(self, size: int) -> None:
        """Forget the run that began where the file is going to end, at *size*, if one did."""
        if self._last.start < size:
            return
        with self._changed:
            self._last.is_dropped = True
            self._changed.notify_all()
        self._last.told.put(None)
        with self._changed:
            # One of before may still wait for what is written next.
            self._changed.wait_for(lambda: self._current is not self._last)
            self._cuts += 1
            self._written = self._last.start
            self._readable = min(self._readable, self._written)

    def grown(self, size: int) -> None:
        """Go on, now that the file has *size* bytes; raise what was found to be wrong with it."""
        if self._fault is not None:
            raise self._fault
        with self._changed:
            self._written = size
            self._changed.notify_all()
        if not self._threads and self._last.path and size >= _STEP:
            for work in (self._keep_synced, self._work):
                self._threads.append(threading.Thread(target=work, daemon=True))
                self._threads[-1].start()

    def finish(self, size: int, progress: Callable[[int], None]) -> list[PackedRun]:
        """Read the rest of the file, which has *size* bytes, and is synced.

        Return the runs that have been compared; raise what is wrong with them.
        """
        if not self._threads:
            return []
        with self._changed:
            self._is_whole = True
            self._written = self._readable = size
            self._changed.notify_all()
        self._runs.put(None)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.1)
                progress(self.done)
        if self._fault is not None:
            raise self._fault
        return self._compared

    def close(self) -> None:
        """Stop, wherever it is."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._last.told.put(None)
        self._runs.put(None)
        for thread in self._threads:
            if thread.is_alive():  # an interruption may come before it is started
                thread.join()

    def _keep_synced(self) -> None:
        """Let the disk write what comes, while what is there is read."""

        def is_ready() -> bool:
            return self._is_stopped or self._is_whole or whole_pages() - self._readable >= _STEP

        def whole_pages() -> int:
            return self._written // _PAGES * _PAGES

        while True:
            with self._changed:
                self._changed.wait_for(is_ready)
                if self._is_stopped or self._is_whole:
                    return
                start, end, cuts = self._readable, whole_pages(), self._cuts
            try:
                self._sync(start, end)
            except BaseException as exc:  # it is raised again where the archive is written
                self._fault = exc
                return
            with self._changed:
                if cuts == self._cuts:
                    self._readable = max(self._readable, end)
                self._changed.notify_all()

    def _work(self) -> None:
        codec = codec_for(os.fsdecode(self._name))
        while (run := self._runs.get()) is not None:
            done = self.done
            with self._changed:
                if self._is_over(run) or self._fault is not None:
                    continue
                self._current = run
            try:
                self._compared.append(self._check(codec, run))
            except BaseException as exc:  # it is raised again where the archive is written
                if not self._is_over(run):
                    self._fault = exc
            with self._changed:
                self._current = None
                if run.is_dropped:
                    self.done = done
                self._changed.notify_all()
        codec.close()

    def _check(self, codec: Codec, run: _Run) -> PackedRun:
        name = shown(self._name)
        with reading(name), open(self._path, "rb", buffering=0, opener=files_only) as file:
            file.seek(run.start)
            chunks = codec.chunks(_Following(file, lambda at: self._available(run, at)), _NO_LIMIT)
            with section(chunks, _NO_LIMIT) as tar:
                for _, pieces in members(tar, run.path, run.entries(), name, run.sha256):
                    for _, data in pieces:
                        self.done += len(data)
        assert run.packed is not None
        return run.packed

    def _is_over(self, run: _Run) -> bool:
        return self._is_stopped or run.is_dropped

    def _available(self, run: _Run, position: int) -> int:
        """Wait, and return how many bytes of *run* can be read at *position*, 0 at its end."""

        def is_at_end() -> bool:
            return self._is_over(run) or (run.packed is not None and run.packed.end <= position)

        with self._changed:
            self._changed.wait_for(lambda: is_at_end() or self._readable > position)
            if is_at_end():
                return 0
            end = self._readable if run.packed is None else min(self._readable, run.packed.end)
            return end - position


class _Following:
    """A file that grows, read as far as that is *available* at a position."""

    def __init__(self, file: BinaryIO, available: Callable[[int], int]) -> None:
        self._file = file
        self._position = file.tell()
        self._available = available

    def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer at the end of the section."""
        found = b""
        while len(found) < size and (ready := self._available(self._position)):
            data = self._file.read(min(size - len(found), ready))
            self._position += len(data)
            found = found + data if found else data
            if not data:
                break
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """Sections are read from their start to their end."""
        raise NotImplementedError
