"""The index as bytes, read without git, and no more of it than a question needs.

Entries are sorted by their path (gitformat-index(5)), so a path has one place where it can be.
In versions 2 and 3 each entry stands there whole, and begins on a multiple of eight bytes: a
look at any place of the file finds the next one. Where entries end is proven: those before
lead right there, and the extensions behind it lead right to the end of the file.

Version 4 shares prefixes, a split index keeps most entries in a second file, a sparse one has
whole folders as single entries: there, and where anything is unclear, this is "not sure".
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    # Mode, size on disk when it was staged (-1: unknown), object id, flags (see STAGE).
    Entry: TypeAlias = tuple[int, int, bytes, int]

STAGE = 0x3000  # of the flags: not 0 for an unmerged path
SUBMODULE = b"\0\0\xe0\0"  # the mode 160000, as the index has it
_EXTENDED = 0x4000
_LENGTH = 0xFFF  # of the flags; of a path that is longer, too
# What git writes: files, links, submodules.
_MODES = frozenset((b"\0\0\x81\xa4", b"\0\0\x81\xed", b"\0\0\xa0\0", SUBMODULE))
_HEAD = 12
_BINARY = getattr(os, "O_BINARY", 0)  # of Windows
_PROBE = 4096  # bytes that a look somewhere reads
_WHOLE = 1 << 19  # an index up to here is read at once
_SMALL, _LARGE = 1 << 11, 1 << 16  # where entries are read one by one, and where seldom
_DENSE = 1 << 7  # bytes of entries for each that is wanted
_MOST = 1 << 20  # of entries so long that a look between them finds none
# Extensions that say nothing about entries; any other one is "not sure".
_PLAIN = frozenset((b"TREE", b"REUC", b"UNTR", b"FSMN", b"EOIE", b"IEOT"))


class NotSureError(Exception):
    """Raised where the index is none that can be read here."""


class Index:
    """The entries of an index of version 2 or 3, read where they are looked for."""

    __slots__ = ("_descriptor", "_end", "_id", "_whole")

    def __init__(self, descriptor: int) -> None:
        """Read the index that is open as *descriptor*. Raises :class:`NotSureError`."""
        self._descriptor = descriptor
        size = os.fstat(descriptor).st_size
        self._whole = b""
        if size <= _WHOLE:
            self._whole = _all_of(descriptor)
            size = len(self._whole)
        head = self._read(0, _PROBE)
        if head[:8] not in (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3"):
            raise NotSureError
        count = int.from_bytes(head[8:_HEAD], "big")
        self._id = self._id_length(head, count) or self._id_length(self._read(0, _MOST), count)
        if not self._id:
            raise NotSureError
        self._end = self._last(size) if count else _HEAD
        self._refuse_others(size)

    def entries(self, paths: "Iterable[bytes]", holding: bytes = b"") -> "dict[bytes, Entry]":
        """Return the entries of those of *paths* that have one.

        Only those that have the bytes *holding* somewhere are found for sure: where the index has
        them nowhere, *paths* are not even made. Raises :class:`NotSureError` where one is unmerged.
        """
        found: dict[bytes, Entry] = {}
        if holding not in (self._whole or holding) or not (ordered := sorted(paths)):
            return found
        for data, wanted, _ in self._windows(ordered, _LARGE if holding else _SMALL):
            if holding not in data:
                continue
            pick = frozenset(wanted)
            for path, at in self._paths(data):
                if path in pick:
                    end = at + 40 + self._id
                    flags = int.from_bytes(data[end : end + 2], "big")
                    if path in found or flags & STAGE:
                        raise NotSureError
                    mode, size = data[at + 24 : at + 28], data[at + 36 : at + 40]
                    found[path] = (
                        int.from_bytes(mode, "big"), int.from_bytes(size, "big"),
                        data[at + 40 : end], flags,
                    )  # fmt: skip
        return found

    def submodules(self) -> "list[bytes]":
        """Return the paths of all submodules."""
        found = []
        for low in range(0, self._end, _LARGE):
            data = self._read(low, low + _LARGE)
            # Entries begin on a multiple of eight bytes behind the head: so does this byte.
            eighths = data[6::8]
            at = eighths.find(SUBMODULE[2])
            while at >= 0:
                if data[8 * at + 4 : 8 * at + 8] == SUBMODULE:
                    found += self._path_at(low + 8 * at - 20)
                at = eighths.find(SUBMODULE[2], at + 1)
        return found

    def _path_at(self, at: int) -> "list[bytes]":
        """Return the path of the entry at *at*, nothing where there is none."""
        for length in (_PROBE, _MOST):
            stop, path = self._step(self._read(at, at + length), 0)
            if stop:
                return [path]
        return []

    def any_below(self, folders: "list[bytes]") -> bool:
        """Return True if a path lies in one of *folders*, each with its slash."""
        if not folders:
            return False
        for data, wanted, after in self._windows(sorted(folders), _SMALL):
            known = tuple(wanted)
            if after.startswith(known):
                return True
            if any(path.startswith(known) for path, _ in self._paths(data)):
                return True
        return False

    def has_in_any_folder(self, directories: "list[bytes]", tail: bytes) -> bool:
        """Return True if a folder right in one of *directories* has *tail*, with its slash."""
        if not directories:
            return False
        folders = frozenset(directories)
        # Where there can be one: below the first part of the directories.
        tops = sorted({folder.partition(b"/")[0] for folder in folders})
        low, _ = self._around(tops[0] + b"/")
        _, high = self._around(tops[-1] + b"0")  # what comes after a slash
        while low < high:
            stop, _ = self._sync(low + _MOST) if high - low > _MOST else (high, b"")
            if not low < stop <= high:
                raise NotSureError
            data = self._read(low, stop)
            if tail + b"\0" in data:
                for path, _ in self._paths(data):
                    if path.endswith(tail):
                        inner = path[: -len(tail)].rpartition(b"/")[0]
                        if inner in folders:
                            return True
            low = stop
        return False

    def _around(self, path: bytes) -> "tuple[int, int]":
        """Return places of entries that *path* would stand between."""
        low, high = _HEAD, self._end
        while high - low > _SMALL:
            place, found = self._sync((low + high) // 2)
            if not low < place < high:
                break
            if found <= path:
                low = place
            else:
                high = place
        return low, high

    def _read(self, start: int, stop: int) -> bytes:
        if self._whole:
            return self._whole[start:stop]
        os.lseek(self._descriptor, start, os.SEEK_SET)
        return os.read(self._descriptor, stop - start)

    def _windows(
        self, wanted: "list[bytes]", size: int
    ) -> "Iterator[tuple[bytes, list[bytes], bytes]]":
        """Yield the parts that the sorted *wanted* can be in, and the first path after each."""
        stack = [(_HEAD, self._end, wanted, b"")]
        while stack:
            low, high, wanted, after = stack.pop()
            if high - low > size:
                place, path = self._sync((low + high) // 2)
                cut = _place(wanted, path)
                # Where nearly every entry is wanted, to look between them only costs more.
                dense = 0 < cut < len(wanted) and high - low < min(len(wanted) * _DENSE, _LARGE)
                if low < place < high and not dense:
                    if cut < len(wanted):
                        stack.append((place, high, wanted[cut:], after))
                    if cut:
                        stack.append((low, place, wanted[:cut], path))
                    continue
                if high - low > _MOST:
                    raise NotSureError
            data = self._read(low, high)
            if len(data) < high - low:
                raise NotSureError  # it is being written
            yield data, wanted, after

    def _paths(self, data: bytes) -> "Iterator[tuple[bytes, int]]":
        """Yield the paths in *data*, which begins and ends with an entry, and their places."""
        at, to_flags = 0, 40 + self._id
        while at < len(data):
            # The same as in `_step`, but for its checks.
            place = at + to_flags
            start = place + (4 if data[place] & 0x40 else 2)
            end = data.find(b"\0", start)
            yield data[start:end], at
            stop = at + ((end - at + 8) & ~7)
            if end < 0 or data[at + 24 : at + 28] not in _MODES:
                raise NotSureError
            at = stop
        if at > len(data):
            raise NotSureError

    def _step(self, data: bytes, at: int) -> "tuple[int, bytes]":
        """Return the end and the path of the entry at *at*; 0 and nothing where there is none."""
        if data[at + 24 : at + 28] not in _MODES:
            return 0, b""
        place = at + 40 + self._id
        flags = int.from_bytes(data[place : place + 2], "big")
        place += 4 if flags & _EXTENDED else 2
        end = data.find(b"\0", place)
        stop = at + ((end - at + 8) & ~7)
        if (
            end <= place
            or stop > len(data)
            or min(end - place, _LENGTH) != flags & _LENGTH
            or data[end:stop].strip(b"\0")
        ):
            return 0, b""
        return stop, data[place:end]

    def _id_length(self, head: bytes, count: int) -> int:
        """Return how long object ids are: *head* can be read in one way alone, or 0."""
        possible = []
        for length in (20, 32):
            self._id = length
            at = _HEAD
            for _ in range(min(count, 3)):
                at, _ = self._step(head, at)
                if not at:
                    break
            else:
                possible.append(length)
        return possible[0] if len(possible) == 1 or not count else 0

    def _sync(self, start: int) -> "tuple[int, bytes]":
        """Return the place and the path of an entry not long after *start*; 0 if none is seen.

        Three entries have to follow each other. The first could be the rest of another one,
        with a path that was made to look like this; but both end in the same place.
        """
        data = self._read(start, start + _PROBE)
        for at in range((_HEAD - start) & 7, len(data) - 64, 8):
            if data[at + 24 : at + 28] in _MODES:
                second, _ = self._step(data, at)
                third, before = self._step(data, second) if second else (0, b"")
                end, path = self._step(data, third) if third else (0, b"")
                if end and path >= before:
                    return start + third, path
        return 0, b""

    def _last(self, size: int) -> int:
        """Return where the entries end: where one that is followed from entry to entry is none."""
        low, high = _HEAD, size
        while high - low > _SMALL:
            middle = (low + high) // 2
            place, _ = self._sync(middle)
            if low < place < high:
                low = place
            else:
                high = middle
        length = _PROBE
        while True:
            data = self._read(low, low + length)
            at = 0
            while end := self._step(data, at)[0]:
                at = end
            low += at
            if not at:
                # An entry may be longer than what was read.
                if length > _MOST or len(data) < length:
                    return low
                length *= 4

    def _refuse_others(self, size: int) -> None:
        """Raise :class:`NotSureError` unless plain extensions lead to the checksum at the end."""
        lengths = (20, 32) if self._end == _HEAD else (self._id,)
        at = self._end
        while size - at not in lengths:
            head = self._read(at, at + 8)
            at += 8 + int.from_bytes(head[4:], "big")
            if head[:4] not in _PLAIN or at > size:
                raise NotSureError


def _place(wanted: "list[bytes]", path: bytes) -> int:
    """Return how many of the sorted *wanted* come before *path*."""
    low, high = 0, len(wanted)
    while low < high:
        middle = (low + high) // 2
        if wanted[middle] < path:
            low = middle + 1
        else:
            high = middle
    return low


def _all_of(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def as_it_was(entry: "Entry | None", tracked: bytes) -> bool:
    """Return True if *entry* is the regular file *tracked*, an object id; None for empty."""
    if not tracked or entry is None:
        return entry is None and not tracked
    return entry[2] == tracked and entry[0] & 0o170000 == 0o100000


def may_hold_submodules(git_directory: str) -> bool:
    """Return True unless the index, of whatever kind, has no submodule for sure."""
    try:
        with open(_place_of_index(git_directory), "rb") as file:
            data = file.read()
    except OSError:
        return True
    # A split one has its entries in another file.
    return SUBMODULE in data or b"link" in data


def _place_of_index(git_directory: str) -> str:
    return os.environ.get("GIT_INDEX_FILE") or os.path.join(git_directory, "index")


def open_index(git_directory: str) -> "Index | None":
    """Return the index that counts; None if it is not there, or not plain."""
    try:
        # Never waiting for a writer; the process that asks ends soon, and closes it.
        path = _place_of_index(git_directory)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        return Index(descriptor)
    except (OSError, NotSureError):
        return None
