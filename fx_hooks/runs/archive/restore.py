"""Runs put back where they were, from an archive, below any directory.

They are unpacked aside and compared with their digests, and only when all of them are
whole do they move into place, one rename each. No link is followed on the way. What is
replaced lies aside until then, and stays, under a name of its own, if it has anything
that the archive does not have.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.registry import KINDS
from fx_hooks.policy.source_names import is_source
from fx_hooks.runs.archive import autorun, tree
from fx_hooks.runs.archive.manifest import (
    BadManifest,
    Entry,
    PackedRun,
    Type,
    above,
    as_bytes,
    as_text,
    is_plain,
    join,
    may_be_run,
    mode_of,
)
from fx_hooks.runs.inventory import HOUR
from fx_hooks.runs.layouts import is_dated
from fx_hooks.runs.liveness import Processes, find_processes
from fx_hooks.util import files
from fx_hooks.util.disk import files_not_links, scan
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import quoted, shown

if TYPE_CHECKING:
    from fx_hooks.runs.archive.reader import Archive, Pieces

Progress = Callable[[str, int, int], None]
WINDOWS = sys.platform == "win32"
_STAGING = b"restore"
_REPLACED = b"replaced.json"
_BINARY = getattr(os, "O_BINARY", 0)
_CREATE = (
    os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
BY_DESCRIPTOR = {os.open, os.mkdir, os.rename, os.stat} <= os.supports_dir_fd
CAN_SET_LINK_TIMES = os.utime in os.supports_follow_symlinks


class Kept(NamedTuple):
    """The replaced content at *path*, its place now, and what there is in it alone."""

    path: bytes
    place: bytes
    own: str


class Restored(NamedTuple):
    """The runs that are in place, and what could not be put back of them."""

    runs: tuple[PackedRun, ...]
    notes: tuple[str, ...]
    kept: tuple[Kept, ...] = ()


def chosen(runs: Sequence[PackedRun], patterns: Sequence[str]) -> list[PackedRun]:
    """Return the runs that *patterns* (paths, folders above, globs) name; all without any.

    Raises :class:`~fx_hooks.util.errors.FatalError` for one that names nothing.
    """
    if not patterns:
        return list(runs)
    found: set[bytes] = set()
    for pattern in patterns:
        name = os.fsencode(pattern).replace(os.fsencode(os.sep), b"/").rstrip(b"/")
        name = name.removeprefix(b"./")
        hits = {
            run.path
            for run in runs
            if any(
                place == name or fnmatch.fnmatchcase(place, name)
                for place in (run.path, *above(run.path))
            )
        }
        if not hits:
            raise FatalError(f"{shown(os.fsencode(pattern))}: names no run of the archive")
        found |= hits
    return [run for run in runs if run.path in found]


def check_places(folder: bytes, runs: Sequence[PackedRun], *, force: bool) -> None:
    """Raise :class:`~fx_hooks.util.errors.FatalError` if one of *runs* cannot go below *folder*."""
    taken = []
    for run in runs:
        if _holds_source(run):
            raise FatalError(
                f"{shown(run.path)}: holds source files, so it is not a run: leave it out"
            )
        if b"" in autorun.left_out(entry.path for entry in run.entries):
            raise FatalError(f"{shown(run.path)}: is a repository, not a run: leave it out")
        if WINDOWS and not all(
            is_plain(join(run.path, entry.path), windows=True) for entry in run.entries
        ):
            raise FatalError(f"{shown(run.path)}: has names that Windows does not have")
        for parent in (*reversed(list(above(run.path))), run.path):
            place = os.path.join(folder, parent)
            if os.path.islink(place):
                raise FatalError(
                    f"{shown(parent)}: is a symbolic link, which is not followed: restore where"
                    " it points to, or somewhere else"
                )
            if parent != run.path and os.path.lexists(place) and not os.path.isdir(place):
                raise FatalError(f"{shown(parent)}: is not a directory: restore somewhere else")
        if os.path.lexists(os.path.join(folder, run.path)):
            taken.append(run.path)
    if taken and not force:
        more = f" (and {len(taken) - 1:,} more)" if len(taken) > 1 else ""
        raise FatalError(
            f"{shown(taken[0])}: is there already{more}: restore somewhere else, or replace it"
            " with --force"
        )
    if taken:
        _check_use(folder, taken)


def _holds_source(run: PackedRun) -> bool:
    """Return True if *run* has source at its top, which no folder has that was packed as a run.

    W&B's may, as may one named after a time, or a job of a sweep, by its number or its
    overrides: it may copy its source there, and nothing imports it by such a name.
    """
    kind = KINDS.get(str(run.about.get("kind")))
    name = run.path.rpartition(b"/")[2]
    if (kind is not None and kind.among_sources) or name.isdigit() or b"=" in name:
        return False
    return not any(map(is_dated, (run.path, *above(run.path)))) and any(
        b"/" not in entry.path
        and (is_source(entry.path) or entry.path.lower().startswith(b"__init__."))
        for entry in run.entries
    )


def _check_use(folder: bytes, paths: Sequence[bytes]) -> None:
    """Raise :class:`~fx_hooks.util.errors.FatalError` if somebody uses what is to be replaced."""
    try:
        processes = find_processes(folder)
    except FatalError:  # without psutil it is judged by its files alone
        processes = Processes((), frozenset())
    for path in paths:
        use = processes.using(path)
        reason = f"{use.process} (process {use.pid}) uses it" if use is not None else ""
        with contextlib.suppress(OSError):
            age = time.time() - scan(os.path.join(folder, path), skip=()).top.size().newest
            if not reason and age < HOUR:
                reason = "it was written to within the last hour"
        if reason:
            raise FatalError(f"{shown(path)}: is not replaced: {reason}: restore somewhere else")


def restore(
    archive: Archive,
    folder: bytes,
    runs: Sequence[PackedRun],
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Put *runs* of *archive* below *folder*.

    Raises :class:`~fx_hooks.util.errors.FatalError`, and then nothing is there that was not
    before, or whole runs.
    """
    homes = _homes(folder, runs)
    notes: list[str] = []
    for home in set(homes.values()):
        left = files.left_beside(os.path.join(home, _STAGING))
        notes += filter(None, (_clear_left_over(staging, folder) for staging in left))
    check_places(folder, runs, force=force)
    with contextlib.ExitStack() as cleanup:
        stagings = _stagings(folder, homes, cleanup)
        _Unpacking(archive, stagings, progress, notes).unpack(runs)
        for run in runs:
            with _writing(run.path):
                stagings[run.path].put(run, force=force)
        for parent in sorted({run.path.rpartition(b"/")[0] for run in runs}):
            with _writing(parent), _parent(folder, parent) as (descriptor, _):
                if descriptor is not None:
                    os.fsync(descriptor)
        kept = []
        for staging in set(stagings.values()):
            with _writing(runs[0].path):
                kept += _put_back(staging.place, folder)
    return Restored(tuple(runs), tuple(notes), tuple(sorted(kept)))


def _homes(folder: bytes, runs: Sequence[PackedRun]) -> dict[bytes, bytes]:
    """Return where to unpack each run: in *folder*, unless its file system is another one."""
    found = {}
    with _writing(folder):
        device = os.stat(folder).st_dev
        for run in runs:
            parents = [os.path.join(folder, parent) for parent in above(run.path)]
            there = next((place for place in parents if os.path.isdir(place)), folder)
            found[run.path] = folder if os.stat(there).st_dev == device else there
    return found


def _clear_left_over(staging: bytes, folder: bytes) -> str:
    """Remove what a restore that was killed has left; what it was replacing goes back first.

    Return what to say of what stays, since nobody knows where it has been.
    """
    try:
        with _locked(staging) as is_ours:
            unknown = _finish(staging, folder) if is_ours else None
    except FileNotFoundError:
        return ""  # another process has just finished it
    except OSError as exc:
        return f"{shown(staging)}: is left of an interrupted restore, and stays: {exc.strerror}"
    if unknown is None:
        return ""
    return (
        f"{shown(unknown)}: is what an interrupted restore was replacing: move it to where it was"
    )


def _finish(staging: bytes, folder: bytes) -> bytes | None:
    """Remove a staging, when what it was replacing is back; return what is not known to be."""
    _put_back(staging, folder)
    known = {_aside(number) for number, _ in enumerate(_replaced(staging))}
    for name in sorted(os.listdir(staging)):
        if name.startswith(b"old-") and name not in known:
            return os.path.join(staging, name)
    files.remove_tree(staging)
    return None


def _aside(number: int) -> bytes:
    """Return the name in a staging of what is replaced."""
    return b"old-%d" % number


@contextlib.contextmanager
def _locked(path: bytes) -> Iterator[bool]:
    descriptor = os.open(path, _FOLDER)
    try:
        yield files.lock(descriptor)
    finally:
        os.close(descriptor)


def _put_back(staging: bytes, folder: bytes) -> list[Kept]:
    """Put what was to be replaced, and was not, back in its place below *folder*.

    Of what was replaced that is kept, next to its place, which has anything of its own.
    """
    kept = []
    for number, (path, mode) in enumerate(_replaced(staging)):
        aside = os.path.join(staging, _aside(number))
        if not os.path.lexists(aside):
            continue
        parent, _, name = path.rpartition(b"/")
        with _parent(folder, parent) as (descriptor, above_it):
            own = None
            if _is_there(os.path.join(above_it, name), descriptor):
                own = tree.only_in(aside, os.path.join(folder, path))
                if own is None:
                    continue
                name = _name_for(name, above_it, descriptor)
            place = os.path.join(above_it, name)
            os.rename(aside, place, dst_dir_fd=descriptor)
            os.chmod(place, mode, dir_fd=descriptor)
            if own is not None:
                kept.append(Kept(path, os.path.join(parent, name), own))
    return kept


def _name_for(name: bytes, above_it: bytes, descriptor: int | None) -> bytes:
    """Return a name for what was replaced, that nothing has yet."""
    base = name[:200] + time.strftime(".replaced-%Y%m%d-%H%M%S").encode()
    found, number = base, 1
    while _is_there(os.path.join(above_it, found), descriptor):
        number += 1
        found = base + b"-%d" % number
    return found


def _replaced(staging: bytes) -> list[tuple[bytes, int]]:
    """Return where what lies aside in *staging* has been, with its permissions.

    What was not written in full says that nothing has been replaced yet, unless it was damaged;
    and somebody may have put it there for us to find.
    """
    found = []
    try:
        with open(os.path.join(staging, _REPLACED), "rb", opener=files_not_links) as file:
            for text, mode in json.load(file):
                path = as_bytes(text)
                if not may_be_run(path):
                    return []
                found.append((path, stat.S_IMODE(mode)))
    except (
        OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, BadManifest
    ):  # fmt: skip
        return []
    return found


@contextlib.contextmanager
def _writing(path: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise FatalError(f"{shown(path)}: cannot be restored: {exc.strerror}") from exc


def _stagings(
    folder: bytes, homes: Mapping[bytes, bytes], cleanup: contextlib.ExitStack
) -> dict[bytes, _Staging]:
    """Return a staging in each of *homes*, by the paths of the runs that are unpacked in it."""
    found = {}
    for home in set(homes.values()):
        paths = [path for path, there in homes.items() if there == home]
        with _writing(paths[0]):
            staging = _Staging(home, folder)
            cleanup.callback(staging.remove)
            staging.note(paths)
        found.update(dict.fromkeys(paths, staging))
    return found


class _Staging:
    """A directory of our own, where runs are unpacked."""

    def __init__(self, home: bytes, folder: bytes) -> None:
        self.place = files.name_beside(os.path.join(home, _STAGING))
        self._folder = folder
        os.mkdir(self.place, stat.S_IRWXU)
        self._lock = None if WINDOWS else os.open(self.place, _FOLDER)
        if self._lock is not None:
            files.lock(self._lock)
        self._numbers: dict[bytes, int] = {}

    def _write(self, name: bytes, content: bytes) -> None:
        descriptor = os.open(os.path.join(self.place, name), _CREATE, 0o600)
        try:
            files.write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def note(self, paths: Sequence[bytes]) -> None:
        """Write down where what makes room has been, for whoever finds us dead."""
        self._numbers = {path: number for number, path in enumerate(paths)}
        # `git add -A` in another terminal leaves it alone.
        self._write(b".gitignore", b"*\n")
        modes = [_mode(os.path.join(self._folder, path)) for path in paths]
        places = [(as_text(path), mode) for path, mode in zip(paths, modes, strict=True)]
        self._write(_REPLACED, json.dumps(places).encode())

    def of(self, run: PackedRun) -> bytes:
        return os.path.join(self.place, b"new-%d" % self._numbers[run.path])

    def put(self, run: PackedRun, *, force: bool) -> None:
        """Move a whole run into its place; with *force* what is there makes room first.

        To bring the directory to disk after each of its runs would take as long as to unpack them.
        """
        aside = os.path.join(self.place, _aside(self._numbers[run.path]))
        parent, _, name = run.path.rpartition(b"/")
        with _parent(self._folder, parent) as (descriptor, path):
            place = os.path.join(path, name)
            if _is_there(place, descriptor):
                if not force:
                    raise FileExistsError(errno.EEXIST, "another process has just put it there")
                _make_movable(place, descriptor)
                os.rename(place, aside, src_dir_fd=descriptor)
            os.rename(self.of(run), place, dst_dir_fd=descriptor)
            # To be moved, it had to be writable.
            top = run.entries[0]
            os.chmod(place, mode_of(top), dir_fd=descriptor)
            _set_time(place, top, descriptor)

    def remove(self) -> None:
        """Remove it; what was to be replaced and was not goes back first."""
        with contextlib.suppress(OSError):
            _put_back(self.place, self._folder)
            files.remove_tree(self.place)
        if self._lock is not None:
            os.close(self._lock)


def _mode(place: bytes) -> int:
    try:
        return stat.S_IMODE(os.lstat(place).st_mode)
    except FileNotFoundError:
        return 0


def _make_movable(place: bytes, descriptor: int | None) -> None:
    """Return a directory that changes its parent has to be writable."""
    status = os.stat(place, dir_fd=descriptor, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(place, stat.S_IMODE(status.st_mode) | stat.S_IRWXU, dir_fd=descriptor)


def _is_there(place: bytes, descriptor: int | None) -> bool:
    try:
        os.stat(place, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _parent(folder: bytes, parent: bytes) -> Iterator[tuple[int | None, bytes]]:
    """Yield the directory *parent* below *folder*, made if need be; no link on the way is followed.

    It comes as a descriptor, to which the second value is relative, where the system has
    such calls.
    """
    if not BY_DESCRIPTOR:
        path = os.path.join(folder, parent)
        os.makedirs(path, exist_ok=True)
        yield None, path
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        for part in parent.split(b"/") if parent else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, b""
    finally:
        os.close(descriptor)


class _Unpacking:
    def __init__(
        self,
        archive: Archive,
        stagings: dict[bytes, _Staging],
        progress: Progress | None,
        notes: list[str],
    ) -> None:
        self._archive = archive
        self._stagings = stagings
        self._progress = progress
        self._notes = notes
        self._done = self._total = 0
        # Where the content of hard-linked files has been unpacked to.
        self._contents: dict[bytes, bytes] = {}

    def unpack(self, runs: Sequence[PackedRun]) -> None:
        """Unpack *runs*, and what their hard links need from others, and sync all of it."""
        wanted = {run.path for run in runs}
        targets = {
            entry.target for run in runs for entry in run.entries if entry.type is Type.HARD_LINK
        }
        needed = [
            run
            for run in self._archive.manifest.runs
            if run.path in wanted
            or any(
                join(run.path, entry.path) in targets
                for entry in run.entries
                if entry.type is Type.FILE
            )
        ]
        self._total = sum(
            entry.size for run in needed for entry in run.entries if entry.type is Type.FILE
        )
        first = self._stagings[runs[0].path].place if runs else b""
        for run in needed:
            if run.path in wanted:
                self._unpack_run(run, targets, first)
            else:
                self._unpack_contents(run, targets, first)
        for run in runs:
            with _writing(run.path):
                self._finish(run)

    def _unpack_contents(self, run: PackedRun, targets: set[bytes], place: bytes) -> None:
        for entry, pieces in self._archive.members(run):
            self._set_aside(run, entry, pieces, targets, place)

    def _set_aside(
        self, run: PackedRun, entry: Entry, pieces: Pieces, targets: set[bytes], place: bytes
    ) -> None:
        """Use up what is not put back; keep it in *place* where a hard link needs it."""
        path = join(run.path, entry.path)
        if entry.type is Type.FILE and path in targets:
            content = os.path.join(place, b"content-%d" % len(self._contents))
            with _writing(path):
                self._write_file(content, entry, pieces)
            self._contents[path] = content
        else:
            for _, data in pieces:
                self._tell(len(data))

    def _refused(self, run: PackedRun) -> frozenset[bytes]:
        """Return the entries of *run* that are not put back, since some program would run them."""
        return frozenset(autorun.left_out(entry.path for entry in run.entries))

    def _unpack_run(self, run: PackedRun, targets: set[bytes], aside: bytes) -> None:
        top = self._stagings[run.path].of(run)
        refused = self._refused(run)
        for path in sorted(refused):
            if path.rpartition(b"/")[0] not in refused:
                self._notes.append(
                    f"{shown(join(run.path, path))}: left out: git, a shell, an editor or Python"
                    " could run what is in it"
                )
        for entry, pieces in self._archive.members(run):
            place = os.path.join(top, entry.path) if entry.path else top
            with _writing(join(run.path, entry.path)):
                if entry.path in refused:
                    self._set_aside(run, entry, pieces, targets, aside)
                elif entry.type is Type.FOLDER:
                    os.mkdir(place, stat.S_IRWXU)
                elif entry.type is Type.LINK:
                    self._make_link(place, entry, run)
                elif entry.type is Type.FILE:
                    self._write_file(place, entry, pieces)
                    self._contents[join(run.path, entry.path)] = place
                else:
                    _link_or_copy(self._contents[entry.target], place)

    def _make_link(self, place: bytes, entry: Entry, run: PackedRun) -> None:
        try:
            os.symlink(entry.target, place)
        except OSError as exc:
            if not WINDOWS:
                raise
            # Windows lets only some users make them.
            path = shown(join(run.path, entry.path))
            self._notes.append(f"{path}: link to {quoted(entry.target)} left out: {exc.strerror}")
        else:
            _set_time(place, entry, None)

    def _write_file(self, place: bytes, entry: Entry, pieces: Pieces) -> None:
        descriptor = os.open(place, _CREATE, 0o600)
        try:
            end = 0
            for start, data in pieces:
                if start != end:
                    os.lseek(descriptor, start, os.SEEK_SET)
                files.write_all(descriptor, data)
                end = start + len(data)
                self._tell(len(data))
            if end != entry.size:
                os.ftruncate(descriptor, entry.size)  # it ends with a hole
        finally:
            os.close(descriptor)

    def _finish(self, run: PackedRun) -> None:
        """Bring it to disk, then set permissions and times, those of directories last.

        To sync a file right after it was written would take much longer.
        """
        top = self._stagings[run.path].of(run)
        refused = self._refused(run)
        entries = [entry for entry in run.entries if entry.path not in refused]
        for entry in entries:
            if entry.type in (Type.FILE, Type.HARD_LINK):
                _sync_file(os.path.join(top, entry.path))
            elif entry.type is Type.FOLDER:
                files.sync_folder(os.path.join(top, entry.path))
        for entry in reversed(entries[1:]):
            if entry.type is not Type.LINK:
                place = os.path.join(top, entry.path)
                os.chmod(place, mode_of(entry))
                _set_time(place, entry, None)

    def _tell(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress("restoring", self._done, self._total)


def _sync_file(place: bytes) -> None:
    descriptor = os.open(place, os.O_RDWR | _BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_time(place: bytes, entry: Entry, descriptor: int | None) -> None:
    times = (entry.mtime, entry.mtime)
    if CAN_SET_LINK_TIMES:
        os.utime(place, ns=times, dir_fd=descriptor, follow_symlinks=False)
    elif entry.type is not Type.LINK:
        os.utime(place, ns=times)


def _link_or_copy(source: bytes, place: bytes) -> None:
    try:
        os.link(source, place)
    except OSError as exc:
        if exc.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        _copy(source, place)


def _copy(source: bytes, place: bytes) -> None:
    with open(source, "rb") as file:
        descriptor = os.open(place, _CREATE, 0o600)
        try:
            while data := file.read(1 << 20):
                files.write_all(descriptor, data)
        finally:
            os.close(descriptor)
