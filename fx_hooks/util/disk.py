"""A scan of the disk: one pass over a tree, each entry looked at once.

Links are never followed, and other file systems are not entered. A hard-linked file
counts once in each total. ``Size.disk`` is what ``du`` counts, directories included;
``Size.bytes`` is what files and links hold (``du --apparent-size`` since coreutils 9.2;
before, it also counted what directories themselves have).
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import stat
import sys
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from fx_hooks.util.forked import Forked, can_fork

# What a file system reports blocks in, whatever its own are.
_BLOCK = 512
_HAS_BLOCKS = sys.platform != "win32"
_SKIPPED = frozenset({b".git"})
_FORMAT, _DIRECTORY = 0o170000, 0o040000  # of a mode
_OPEN_FILE = stat.S_IFREG | stat.S_IWOTH  # links are open to all, and mean nothing
_OPEN_MASK = _FORMAT | stat.S_IWOTH
ANYONE = -1
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
# How many entries are read between two words about the progress.
_STEP = 2048
# A second process helps where there are more entries than this, and so many folders are left.
_ALONE = 4096
_MANY = 64


class NoFileError(OSError):
    """Raised for a pipe, a directory or a device in the place of a file."""


def files_only(place: str, flags: int) -> int:
    """Open *place* only if it is a regular file: a pipe without a writer would block."""
    descriptor = os.open(place, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoFileError(errno.EINVAL, "it is not a file", place)
    return descriptor


def files_not_links(place: str, flags: int) -> int:
    """Open *place* only if it is a regular file and not a link to one."""
    return files_only(place, flags | getattr(os, "O_NOFOLLOW", 0))


class File(NamedTuple):
    """An entry other than a directory; ``mode`` tells links and pipes from files."""

    name: bytes
    bytes: int
    disk: int
    mtime: float
    mode: int


class HardLink(NamedTuple):
    """One name of a file that has several; ``key`` is the file's device and inode."""

    key: tuple[int, int]
    names: int
    bytes: int
    disk: int


class Size(NamedTuple):
    """``files`` are names of files and links; ``newest`` is the time of the newest of them."""

    bytes: int
    disk: int
    files: int
    newest: float


class Problem(NamedTuple):
    """A path, relative to the root, that could not be read, and the reason."""

    path: bytes
    reason: str


class Folder:
    """A directory: what is in it, by name."""

    __slots__ = (
        "_size", "disk", "files", "folders", "links", "mtime", "name", "others", "owner", "parent",
        "sums",
    )  # fmt: skip

    def __init__(
        self, name: bytes, parent: Folder | None, disk: int, mtime: float, owner: int
    ) -> None:
        self.name = name
        self.parent = parent
        self.disk = disk
        self.mtime = mtime
        self.owner = owner
        # The owners of files in it that are others than its own, and ANYONE.
        self.others: set[int] | None = None
        self.folders: dict[bytes, Folder] = {}
        # Fields of `File`: plain tuples, for there may be millions.
        self.files: list[tuple[bytes, int, int, float, int]] = []
        # Their bytes, their bytes on disk, and the time of the newest.
        self.sums = (0, 0, 0.0)
        self.links: list[HardLink] = []
        self._size: Size | None = None

    @property
    def path(self) -> bytes:
        """Relative to the root, which is empty."""
        parts = []
        folder: Folder | None = self
        while folder is not None and folder.parent is not None:
            parts.append(folder.name)
            folder = folder.parent
        return b"/".join(reversed(parts))

    def add_other(self, owner: int, mode: int) -> None:
        """Note who owns something in it, and that everybody may write to it."""
        if self.others is None:
            self.others = set()
        self.others.add(owner)
        if mode & stat.S_IWOTH and not stat.S_ISLNK(mode):
            self.others.add(ANYONE)

    def owners(self) -> set[int]:
        """Return the users whom anything in it belongs to; ANYONE if all may write to some."""
        found: set[int] = set()
        for folder in self.walk():
            found.add(folder.owner)
            if folder.others is not None:
                found |= folder.others
        return found

    def names(self) -> list[bytes]:
        """Return the names of all entries other than directories and hard links."""
        return [file[0] for file in self.files]

    def walk(self) -> Iterator[Folder]:
        """Yield this folder and all folders below it."""
        stack = [self]
        while stack:
            folder = stack.pop()
            yield folder
            stack.extend(folder.folders.values())

    def oldest(self) -> float:
        """Return the time of the oldest file in it; of itself if it is empty."""
        times = (file[3] for folder in self.walk() for file in folder.files)
        return min(times, default=self.mtime)

    def size(self) -> Size:
        """Return the size of all of it; counted once, when all of it has been read."""
        if self._size is None:
            self._size = size_of((self,))
        return self._size


class Scan(NamedTuple):
    """A tree as it was found.

    ``mounts`` are folders on another file system, which were not entered; with
    ``problems`` every size is a lower bound. ``met`` has the path and the number of what
    was looked for by its number.
    """

    root: bytes
    top: Folder
    problems: tuple[Problem, ...]
    mounts: tuple[bytes, ...]
    met: tuple[tuple[bytes, int], ...] = ()

    def find(self, path: bytes) -> Folder | None:
        """Return the folder at *path*, relative to the root, or None."""
        folder = self.top
        for part in path.split(b"/") if path else ():
            inner = folder.folders.get(part)
            if inner is None:
                return None
            folder = inner
        return folder


def scan(
    root: bytes,
    *,
    skip: Collection[bytes] = _SKIPPED,
    wanted: Container[int] = frozenset(),
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """Read the tree below *root*, without what *skip* names directly in it.

    What has one of the *wanted* numbers is told, *root* included.
    *progress* is told now and then how many entries were read. Raises :class:`OSError`
    where *root* itself cannot be read; what cannot be read below it is a problem.
    """
    with uncollected():
        return _scan(root, skip, wanted, progress)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no cycles meanwhile, of which folders have some that stay, and files none.

    To look for them among all entries takes a third of the time of a scan. Nor are they looked
    for afterwards among what is there by then, which took a twentieth of the time of a report.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


class _State:
    """The state of a scan: what it looks for, and what it has met besides folders and files."""

    __slots__ = (
        "count", "device", "met", "mounts", "problems", "progress", "skip", "told", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        device: int,
        skip: Collection[bytes],
        wanted: Container[int],
        progress: Callable[[int], None] | None,
    ) -> None:
        self.device = device
        self.skip = skip
        self.wanted = wanted
        self.progress = progress
        self.count = self.told = 0
        self.problems: list[tuple[bytes, str]] = []
        self.mounts: list[bytes] = []
        self.met: list[tuple[bytes, int]] = []

    def say(self, least: int = 0) -> None:
        """Tell the progress, if it was not told for *least* entries."""
        if self.progress is not None and self.count - self.told >= least:
            self.told = self.count
            self.progress(self.count)


def _scan(
    root: bytes,
    skip: Collection[bytes],
    wanted: Container[int],
    progress: Callable[[int], None] | None,
) -> Scan:
    here = os.stat(root)
    top = Folder(b"", None, _disk(here), here.st_mtime, here.st_uid)
    found = _State(here.st_dev, skip, wanted, progress)
    if here.st_ino in wanted:
        found.met.append((b"", here.st_ino))
    left = _walk([(top, root)], found, _ALONE)
    if left:
        _walk_both(left, found)
    found.say()
    problems = tuple(Problem(*problem) for problem in found.problems)
    return Scan(root, top, problems, tuple(found.mounts), tuple(found.met))


_Place = tuple[Folder, bytes]


def _walk(stack: list[_Place], found: _State, enough: int = 0) -> list[_Place]:
    """Read all folders of *stack* and below; return those that are left, the outermost first.

    None are left, unless there are *enough* entries before.
    """
    separator = os.fsencode(os.sep)
    by_descriptor = os.scandir in os.supports_fd
    while stack:
        if enough and found.count >= enough and len(stack) >= _MANY:
            break
        # Before there are enough from outside in, so that what is left is of one kind.
        folder, place = stack.pop(0 if enough else -1)
        descriptor = -1
        try:
            # By its descriptor, which is faster, where that works.
            if sys.platform != "win32" and by_descriptor:
                flags = os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if folder.parent else 0)
                descriptor = os.open(place, flags)
            with os.scandir(place if descriptor < 0 else descriptor) as entries:
                _read(folder, entries, found)
        except OSError as exc:
            if folder.parent is None:
                raise
            found.problems.append((folder.path, exc.strerror or str(exc)))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        for name, inner in folder.folders.items():
            stack.append((inner, place + separator + name))
        found.say(_STEP)
    return stack


def _walk_both(left: list[_Place], found: _State) -> None:
    """Read what is *left*, half of it in a process of its own where that can be."""
    theirs = left[1::2]
    other = None
    if can_fork():
        with contextlib.suppress(OSError):
            other = Forked(lambda: _read_apart(theirs, found))
    if other is None:
        _walk(left, found)
        return
    try:
        _walk(left[::2], found)
        result = other.result()
    finally:
        other.stop()
    if result is None:
        _walk(theirs, found)
        return
    folders, count, problems, mounts, met = result
    _put_back(theirs, folders)
    found.count += count
    found.problems += problems
    found.mounts += mounts
    found.met += met


def _read_apart(places: Sequence[_Place], found: _State) -> tuple[object, ...]:
    """Read *places* as :func:`_walk` does; return what was found, of nothing but plain types."""
    mine = _State(found.device, found.skip, found.wanted, None)
    _walk([*places], mine)
    # Each folder comes before those in it.
    folders = [
        (
            len(folder.folders), folder.name, folder.disk, folder.mtime, folder.owner,
            folder.others, folder.sums, folder.files, [tuple(link) for link in folder.links],
        )
        for top, _ in places
        for folder in top.walk()
    ]  # fmt: skip
    return folders, mine.count, mine.problems, mine.mounts, mine.met


def _put_back(places: Sequence[_Place], folders: Iterable[tuple[Any, ...]]) -> None:
    """Fill the folders of *places* with what :func:`_read_apart` found there."""
    tops = iter(places)
    # Those that lack folders, with how many; `walk` goes through the last one first.
    open_: list[tuple[Folder, int]] = []
    for inside, name, disk, mtime, owner, others, sums, files, links in folders:
        if open_:
            parent, lacking = open_.pop()
            folder = Folder(name, parent, disk, mtime, owner)
            parent.folders[name] = folder
            if lacking > 1:
                open_.append((parent, lacking - 1))
        else:
            folder, _ = next(tops)
        folder.others, folder.sums, folder.files = others, sums, files
        folder.links = [HardLink(*link) for link in links]
        if inside:
            open_.append((folder, inside))


def _read(folder: Folder, entries: Iterable[os.DirEntry[Any]], found: _State) -> None:
    """Put what *entries* say into *folder*."""
    is_top = folder.parent is None
    files, folders, links, owner = folder.files, folder.folders, folder.links, folder.owner
    skip, wanted, device, problems = found.skip, found.wanted, found.device, found.problems
    count = total = on_disk = 0
    newest = 0.0
    for entry in entries:
        name = entry.name
        if name.__class__ is str:
            name = name.encode(_ENCODING, _ERRORS)
        if is_top and name in skip:
            continue
        count += 1
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # it has gone since it was listed
        except OSError as exc:
            problems.append((_below(folder, name), exc.strerror or str(exc)))
            continue
        if status.st_ino in wanted:
            found.met.append((_below(folder, name), status.st_ino))
        mode = status.st_mode
        size = disk = status.st_size
        if sys.platform != "win32":
            disk = status.st_blocks * _BLOCK
        # Junctions of Windows are directories that lead elsewhere.
        if mode & _FORMAT != _DIRECTORY or getattr(status, "st_reparse_tag", False):
            mtime = status.st_mtime
            files.append((name, size, disk, mtime, mode))
            total += size
            on_disk += disk
            if mtime > newest:
                newest = mtime
            if status.st_nlink > 1:
                key = (status.st_dev, status.st_ino)
                links.append(HardLink(key, status.st_nlink, size, disk))
            if status.st_uid != owner or mode & _OPEN_MASK == _OPEN_FILE:
                folder.add_other(status.st_uid, mode)
        elif status.st_dev != device and _HAS_BLOCKS:
            found.mounts.append(_below(folder, name))
        else:
            folders[name] = inner = Folder(name, folder, disk, status.st_mtime, status.st_uid)
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                inner.add_other(status.st_uid, mode)
    folder.sums = total, on_disk, newest
    found.count += count


def size_of(folders: Iterable[Folder]) -> Size:
    """Return the size of all *folders*, none of which is within another."""
    size, disk, files, newest, links = _sums(folders)
    for (_, bytes_, blocks), count in links.values():
        size -= bytes_ * (count - 1)
        disk -= blocks * (count - 1)
    return Size(size, disk, files, newest)


def freed_by(folders: Iterable[Folder]) -> Size:
    """Return the bytes that come free if *folders* go, without files linked from elsewhere."""
    size, disk, files, newest, links = _sums(folders)
    for (names, bytes_, blocks), count in links.values():
        gone = count - 1 if count >= names else count
        size -= bytes_ * gone
        disk -= blocks * gone
    return Size(size, disk, files, newest)


_Links = dict[tuple[int, int], tuple[tuple[int, int, int], int]]


def _sums(folders: Iterable[Folder]) -> tuple[int, int, int, float, _Links]:
    """Return sums over all names, and how often each hard-linked file is in them."""
    size = disk = files = 0
    newest = 0.0
    links: _Links = {}
    for top in folders:
        latest = 0.0
        for folder in top.walk():
            bytes_, blocks, mtime = folder.sums
            size += bytes_
            disk += folder.disk + blocks
            files += len(folder.files)
            latest = max(latest, mtime)
            for key, names, bytes_, blocks in folder.links:
                _, count = links.get(key, (None, 0))
                links[key] = ((names, bytes_, blocks), count + 1)
        # Folders alone have a time, too, where nothing else does.
        newest = max(newest, latest or top.mtime)
    return size, disk, files, newest, links


def _disk(status: os.stat_result) -> int:
    if sys.platform == "win32":
        return 0
    return status.st_blocks * _BLOCK


def _below(folder: Folder, name: bytes) -> bytes:
    path = folder.path
    return path + b"/" + name if path else name
