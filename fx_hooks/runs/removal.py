"""Deleting a run so that an interruption leaves all of it or nothing.

A run is renamed aside first, in its own folder, and looked at once more under that name,
which nobody else knows: if anybody has written to it or uses it, it is put back. A second
name says that it is gone, and only then is anything in it deleted. What a killed process
leaves under the first name is whole, and is put back by the next one; what it leaves under
the second is deleted. No link is followed, and no other file system entered.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Collection

from fx_hooks import temporary
from fx_hooks.disk import Folder, Size, scan
from fx_hooks.paths import shown
from fx_hooks.runs.processes import find_processes

_ASIDE, _GONE = b"aside-", b"gone-"
_LEFT = re.compile(rb"\.fx-(aside|gone)-(.+)\.[0-9a-f]{8}", re.DOTALL)
_LONGEST = 190  # of a name that still fits whole into that of what is put aside
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Looked up now: tests count the calls through functions of their own.
_BY_DESCRIPTOR = {os.open, os.unlink, os.rmdir, os.rename, os.stat} <= os.supports_dir_fd and (
    os.scandir in os.supports_fd
)
NAME = "fx-clean-runs"
_LINKS = (b"latest-run", b"debug.log", b"debug-internal.log")


class Stays(Exception):
    """Why a run that was to go is still in its place."""


def remove_run(
    root: bytes,
    path: bytes,
    size: Size,
    *,
    differs: Callable[[bytes], str | None],
    log: Callable[[], None],
) -> None:
    """Delete the run at *path*, which was found to have *size*.

    *differs* says of the place that it lies at how it differs from what is known to be
    safe elsewhere; *log* is called when it is decided. Raises :class:`Stays`; then all of
    it is in its place.
    """
    folder, name = os.path.split(path)
    if len(name) > _LONGEST:
        raise Stays("its name is too long to be put aside")
    parent = os.path.join(root, folder)
    aside = temporary.name_beside(os.path.join(parent, _ASIDE + name))
    gone = temporary.name_beside(os.path.join(parent, _GONE + name))
    place = os.path.join(parent, name)
    _check_way(root, folder)
    with contextlib.ExitStack() as stack:
        try:
            descriptor = _open_folder(place)
        except OSError as exc:
            raise Stays(f"it cannot be opened: {exc.strerror}") from exc
        if descriptor is not None:
            stack.callback(os.close, descriptor)
            if not temporary.lock(descriptor):
                raise Stays("somebody else is deleting it")
        _check(place, size, differs)
        try:
            os.rename(place, aside)
        except OSError as exc:
            raise Stays(f"it cannot be renamed: {exc.strerror}") from exc
        try:
            _check_way(root, folder)
            _check(aside, size, differs)
            _check_use(root, os.path.join(folder, os.path.basename(aside)))
            _check_removable(aside)
            # Before it is gone: no run goes without a line, wherever we are killed.
            log()
            os.rename(aside, gone)
        except OSError as exc:
            _put_back(aside, place)
            raise Stays(f"it cannot be renamed: {exc.strerror}") from exc
        except BaseException:
            _put_back(aside, place)
            raise
        try:
            remove_tree(gone)
        except OSError as exc:
            raise Stays(
                f"only a part of it could be deleted: {exc.strerror}; the rest is"
                f" {shown(os.path.basename(gone))}, for the next {NAME} --yes"
            ) from exc
    _mend_links(parent, name)
    _remove_empty(root, folder)


def _check_way(root: bytes, folder: bytes) -> None:
    """Raise :class:`Stays` if a link, or another file system, is on the way to *folder*."""
    place = os.path.realpath(root)
    device = os.stat(place).st_dev
    for part in folder.split(b"/") if folder else ():
        place = os.path.join(place, part)
        try:
            status = os.lstat(place)
        except OSError as exc:
            raise Stays(f"it has gone: {exc.strerror}") from exc
        if not stat.S_ISDIR(status.st_mode) or getattr(status, "st_reparse_tag", False):
            raise Stays(f"{shown(part)} is a link by now")
        if status.st_dev != device:
            raise Stays("it is on another file system")


def _open_folder(place: bytes) -> int | None:
    """The directory itself, to be locked; None where directories cannot be opened."""
    if sys.platform == "win32":
        return None
    return os.open(place, _FOLDER)


def _check(place: bytes, size: Size, differs: Callable[[bytes], str | None]) -> None:
    """Raise :class:`Stays` unless *place* is what it was found to be."""
    try:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise Stays("it is no directory any more")
        found = scan(place, skip=())
    except OSError as exc:
        raise Stays(f"it cannot be read: {exc.strerror}") from exc
    if found.problems:
        problem = found.problems[0]
        raise Stays(f"{shown(problem.path)} cannot be read: {problem.reason}")
    if found.mounts:
        raise Stays(f"{shown(found.mounts[0])} in it is on another file system")
    if found.top.size() != size:
        raise Stays("it has changed meanwhile")
    difference = differs(place)
    if difference is not None:
        raise Stays(f"it has changed since it was packed: {difference}")


def _check_use(root: bytes, path: bytes) -> None:
    processes = find_processes(root)
    tree = scan(os.path.join(root, path), skip=(), wanted=processes.numbered)
    use = processes.found_in(tree, path).using(path)
    if use is not None:
        raise Stays(f"{use.process} (process {use.pid}) uses it")
    mount = processes.mount_at(path)
    if mount is not None:
        raise Stays(f"something is mounted at {shown(mount)}")


def _check_removable(place: bytes) -> None:
    """Raise :class:`Stays` if a directory in *place* does not let its contents go.

    One that is our own can be opened for that, which is done when the run is gone: what is
    put back has the permissions that it had.
    """
    if sys.platform == "win32":  # a directory's mode says nothing there
        return
    user = os.geteuid()
    for folder, _, _ in os.walk(place):
        status = os.lstat(folder)
        is_closed = not os.access(folder, os.W_OK | os.X_OK)
        # In such a one only the owner of a file may delete it.
        is_sticky = status.st_mode & stat.S_ISVTX and user
        if (is_closed or is_sticky) and status.st_uid != user:
            name = shown(os.path.relpath(folder, place)) if folder != place else "it"
            raise Stays(f"{name} belongs to somebody else: what is in it cannot be deleted")


def _put_back(aside: bytes, place: bytes) -> None:
    if os.path.lexists(place):
        raise Stays(f"somebody has made another one; the old one is {shown(aside)}")
    try:
        os.rename(aside, place)
    except OSError as exc:
        raise Stays(f"it cannot be put back: {exc.strerror}; it is {shown(aside)}") from exc


def remove_tree(place: bytes) -> None:
    """Delete a directory with all in it, by descriptors where the system has them."""
    if not _BY_DESCRIPTOR:
        temporary.remove_tree(place)
        return
    descriptor = os.open(place, _FOLDER)
    try:
        _empty(descriptor, os.fstat(descriptor).st_dev)
    finally:
        os.close(descriptor)
    os.rmdir(place)


def _empty(descriptor: int, device: int) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):  # it may be somebody else's, and open to us all the same
            os.fchmod(descriptor, mode | stat.S_IRWXU)
    with os.scandir(descriptor) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=descriptor)
            continue
        inner = os.open(name, _FOLDER, dir_fd=descriptor)
        try:
            if os.fstat(inner).st_dev != device:
                raise OSError(errno.EXDEV, "another file system is mounted in it")
            _empty(inner, device)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=descriptor)


def left_aside(top: Folder, tracked: Collection[bytes] = ()) -> list[bytes]:
    """What interrupted processes have left below *top*; what git tracks is not ours."""
    found = sorted(folder.path for folder in top.walk() if _LEFT.fullmatch(folder.name))
    return [path for path in found if not any(file.startswith(path + b"/") for file in tracked)]


def settle(root: bytes, path: bytes) -> str | None:
    """Put back or delete what was left aside at *path*; what was done, if anything.

    What another process has locked is its own.
    """
    folder, name = os.path.split(path)
    match = _LEFT.fullmatch(name)
    if match is None:
        return None
    parent = os.path.join(root, folder)
    left, place = os.path.join(parent, name), os.path.join(parent, match[2])
    run = shown(os.path.join(folder, match[2]))
    try:
        _check_way(root, folder)
        descriptor = _open_folder(left)
    except (Stays, OSError):
        return None
    try:
        if descriptor is not None and not temporary.lock(descriptor):
            return None
        if match[1] == b"aside":
            if os.path.lexists(place):
                return f"{shown(path)} is {run} as it was: somebody has made another one"
            os.rename(left, place)
            return f"{run} was to be deleted, and is back in its place"
        _check_removable(left)
        remove_tree(left)
    except Stays as exc:
        return f"{shown(path)} is the rest of a deleted run: {exc}"
    except OSError as exc:
        return f"{shown(path)} is left of an interruption, and stays: {exc.strerror}"
    finally:
        if descriptor is not None:
            os.close(descriptor)
    _mend_links(parent, match[2])
    _remove_empty(root, folder)
    return f"the rest of {run} is deleted"


def _mend_links(parent: bytes, gone: bytes) -> None:
    """Let W&B's links to the run *gone* lead to the newest that is left, or go."""
    try:
        names = os.listdir(parent)
    except OSError:
        return
    runs = sorted(
        (name for name in names if b"run-" in name and not name.startswith(b".")),
        key=lambda name: name[name.find(b"run-") :],
    )
    for name in _LINKS:
        link = os.path.join(parent, name)
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.split(b"/")[0] != gone:
                continue
            tail = target[len(gone) :]
            last = next((run for run in reversed(runs) if _exists(parent, run + tail)), None)
            if last is None:
                os.unlink(link)
                continue
            new = temporary.name_beside(link)
            os.symlink(last + tail, new)
            os.replace(new, link)


def _exists(parent: bytes, name: bytes) -> bool:
    return os.path.exists(os.path.join(parent, name))


def _remove_empty(root: bytes, folder: bytes) -> None:
    """Remove the folders above that are empty now; not those that lie in the root."""
    while b"/" in folder:
        try:
            os.rmdir(os.path.join(root, folder))
        except OSError:
            return
        folder = os.path.dirname(folder)
