"""Deleting a run so that an interruption leaves all of it or nothing.

A run is renamed aside first, in its own folder, and looked at once more under that name,
which nobody else knows: if anybody has written to it or uses it, it is put back. A second
name says that it is gone, and only then is anything in it deleted. What a killed process
leaves under the first name is whole, and is put back by the next one; what it leaves under
the second is deleted. No link is followed, and no other file system entered.

No run goes without a line in the log, wherever we are killed. It is written before the
second name is given; where the disk is too full for that, before the name itself goes,
for what is deleted makes room. Where it cannot be written at all, the run stays.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from fx_hooks.runs.liveness import find_processes
from fx_hooks.util import files
from fx_hooks.util.attributes import is_fixed
from fx_hooks.util.disk import Folder, Size, scan
from fx_hooks.util.paths import parents, shown

_ASIDE, _GONE = b"aside-", b"gone-"
_LEFT = re.compile(rb"\.fx-(aside|gone)-(.+)\.[0-9a-f]{8}", re.DOTALL)
_LONGEST = 190  # of a name that still fits whole into that of what is put aside
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Looked up now: tests count the calls through functions of their own.
BY_DESCRIPTOR = {os.open, os.unlink, os.rmdir, os.rename, os.stat} <= os.supports_dir_fd and (
    os.scandir in os.supports_fd
)
_LINKS = (b"latest-run", b"debug.log", b"debug-internal.log")


_FULL = (errno.ENOSPC, errno.EDQUOT)


class Stays(Exception):
    """The reason that a run that was to go is still in its place."""


class LeftAside(Exception):
    """The reason that a run, or the rest of it, has another name in its folder, and the name."""


class Gone(Exception):
    """Somebody else has taken away what was to go."""


class Recovery(NamedTuple):
    """The outcome for what was left aside, and whether nothing is left of that."""

    text: str
    done: bool


Protecting = Callable[[bytes], contextlib.AbstractContextManager["str | None"]]


def unprotected(place: bytes) -> contextlib.AbstractContextManager[str | None]:  # noqa: ARG001
    """Nothing is known that could protect what is at *place*."""
    return contextlib.nullcontext()


class Aside(NamedTuple):
    """A run that lies under its first other name, and what holds it there.

    ``aside``, ``gone`` and ``place`` are paths on disk.
    """

    root: bytes
    path: bytes
    size: Size
    aside: bytes
    gone: bytes
    place: bytes
    descriptor: int | None

    def put_back(self) -> None:
        """Give it its own name again. Raises :class:`LeftAside`."""
        try:
            _put_back(self.aside, self.place)
        finally:
            self.close()

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def remove_run(
    root: bytes,
    path: bytes,
    size: Size,
    *,
    differs: Callable[[bytes], str | None],
    log: Callable[[], None],
) -> None:
    """Delete the run at *path* at once: see :func:`put_aside` and :func:`free`."""
    free(put_aside(root, path, size, differs=differs), differs=differs, log=log)


def put_aside(
    root: bytes,
    path: bytes,
    size: Size,
    *,
    differs: Callable[[bytes], str | None],
    protecting: Protecting = unprotected,
) -> Aside:
    """Rename the run at *path*, which was found to have *size*.

    *differs* says of the place that it lies at how it differs from what is known to be
    safe elsewhere. *protecting* says, as long as it is entered, what it must not go for.
    Raises :class:`Stays`, and then all of it is in its place, or :class:`LeftAside` or
    :class:`Gone`.
    """
    folder, name = os.path.split(path)
    if len(name) > _LONGEST:
        raise Stays("its name is too long to be put aside")
    parent = os.path.join(root, folder)
    aside = files.name_beside(os.path.join(parent, _ASIDE + name))
    gone = files.name_beside(os.path.join(parent, _GONE + name))
    place = os.path.join(parent, name)
    _check_way(root, folder)
    with contextlib.ExitStack() as stack:
        try:
            descriptor = _open_folder(place)
        except FileNotFoundError as exc:
            raise _missing(root, path) from exc
        except OSError as exc:
            raise Stays(f"it cannot be opened: {exc.strerror}") from exc
        if descriptor is not None:
            stack.callback(os.close, descriptor)
            if not files.lock(descriptor):
                raise Stays("another process is deleting it")
        _check(place, size, differs)
        with protecting(place) as reason:
            if reason is not None:
                raise Stays(reason)
            try:
                os.rename(place, aside)
            except FileNotFoundError as exc:
                raise _missing(root, path) from exc
            except OSError as exc:
                raise Stays(f"it cannot be renamed: {exc.strerror}") from exc
            except BaseException:  # an interruption is told when the call is done
                if os.path.lexists(aside):
                    _put_back(aside, place)
                raise
        stack.pop_all()
    return Aside(root, path, size, aside, gone, place, descriptor)


def free(
    run: Aside,
    *,
    differs: Callable[[bytes], str | None],
    log: Callable[[], None],
    protecting: Protecting = unprotected,
) -> None:
    """Delete what was put aside, after one more look; *log* is called when it is decided.

    Raises :class:`Stays`, and then all of it is back in its place, or :class:`LeftAside`.
    """
    root, aside, gone = run.root, run.aside, run.gone
    folder, name = os.path.split(run.path)
    with contextlib.closing(run):
        try:
            _check_way(root, folder)
            _check(aside, run.size, differs)
            _check_use(root, os.path.join(folder, os.path.basename(aside)))
            _check_removable(aside)
            with protecting(aside) as reason:
                if reason is not None:
                    raise Stays(reason)
                is_noted = _note(log)
                os.rename(aside, gone)
        except OSError as exc:
            _put_back(aside, run.place)
            raise Stays(f"it cannot be renamed: {exc.strerror}") from exc
        except BaseException:
            if not os.path.lexists(gone):  # an interruption is told when the call is done
                _put_back(aside, run.place)
            raise
        _remove(gone, None if is_noted else log)
    _mend_links(os.path.join(root, folder), name)
    _remove_empty(root, folder)


def places_aside(root: bytes, path: bytes) -> Iterator[bytes]:
    """Yield where the run at *path* lies whole, under its first other name."""
    folder, name = os.path.split(path)
    yield from files.left_beside(os.path.join(root, folder, _ASIDE + name))


def _missing(root: bytes, path: bytes) -> Exception:
    """Return what to say where a run is gone; another process may still put it back."""
    for left in places_aside(root, path):
        return LeftAside(
            f"another process has set it aside; it is now {shown(os.path.basename(left))}"
        )
    return Gone()


def _note(log: Callable[[], None]) -> bool:
    """Return True if the log has a line of the run; False where there is no room for it yet."""
    try:
        log()
    except OSError as exc:
        if exc.errno in _FULL:
            return False
        raise Stays(f"the log cannot be written: {exc.strerror}") from exc
    return True


def _remove(gone: bytes, log: Callable[[], None] | None) -> None:
    """Delete what has its second name; its name goes when *log* has been called.

    Raises :class:`LeftAside`.
    """
    try:
        _empty_tree(gone)
    except OSError as exc:
        raise LeftAside(
            f"only a part of it could be deleted: {exc.strerror}; the rest is"
            f" {shown(os.path.basename(gone))}"
        ) from exc
    try:
        if log is not None:
            log()
    except OSError as exc:
        raise LeftAside(
            f"the log cannot be written: {exc.strerror}; until then its folder is"
            f" {shown(os.path.basename(gone))}"
        ) from exc
    try:
        os.rmdir(gone)
    except OSError as exc:
        raise LeftAside(
            f"its folder could not be deleted: {exc.strerror}; it is"
            f" {shown(os.path.basename(gone))}"
        ) from exc


def _check_way(root: bytes, folder: bytes) -> None:
    """Raise :class:`Stays` if a link, or another file system, is on the way to *folder*."""
    place = os.path.realpath(root)
    device = os.stat(place).st_dev
    for part in folder.split(b"/") if folder else ():
        place = os.path.join(place, part)
        try:
            status = os.lstat(place)
        except FileNotFoundError as exc:
            raise Gone from exc
        except OSError as exc:
            raise Stays(f"the way to it cannot be seen: {exc.strerror}") from exc
        if not stat.S_ISDIR(status.st_mode) or getattr(status, "st_reparse_tag", False):
            raise Stays(f"{shown(part)} is a link by now")
        if status.st_dev != device:
            raise Stays("it is on another file system")


def _open_folder(place: bytes) -> int | None:
    """Return the directory itself, to be locked; None where directories cannot be opened."""
    if sys.platform == "win32":
        return None
    return os.open(place, _FOLDER)


def _check(place: bytes, size: Size, differs: Callable[[bytes], str | None]) -> None:
    """Raise :class:`Stays` unless *place* is what it was found to be."""
    try:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise Stays("it is not a directory any more")
        found = scan(place, skip=())
    except OSError as exc:
        raise Stays(f"it cannot be read: {exc.strerror}") from exc
    if found.problems:
        problem = found.problems[0]
        raise Stays(f"{shown(problem.path)} cannot be read: {problem.reason}")
    if found.mounts:
        raise Stays(f"{shown(found.mounts[0])} in it is on another file system")
    # What it takes on disk changes by itself: the system allocates blocks late.
    if found.top.size()._replace(disk=size.disk) != size:
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
    fixed = next((path for path in _all_in(place) if is_fixed(path)), None)
    if fixed is not None:
        name = shown(os.path.relpath(fixed, place)) if fixed != place else "it"
        raise Stays(f"{name} is immutable or append-only: see lsattr")
    user = os.geteuid()
    folders = [place]
    for folder in folders:  # those in it are added meanwhile
        status = os.lstat(folder)
        is_closed = not os.access(folder, os.W_OK | os.X_OK)
        # In such a one only the owner of a file may delete it.
        is_sticky = status.st_mode & stat.S_ISVTX and user
        if (is_closed or is_sticky) and status.st_uid != user:
            name = shown(os.path.relpath(folder, place)) if folder != place else "it"
            raise Stays(f"{name} belongs to another user: what is in it cannot be deleted")
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            folders += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]


def _all_in(place: bytes) -> Iterator[bytes]:
    """*place* and all that is in it, as far as it can be read."""
    folders = [place]
    yield place
    for folder in folders:  # those in it are added meanwhile
        with contextlib.suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def _put_back(aside: bytes, place: bytes) -> None:
    name = shown(os.path.basename(aside))
    if os.path.lexists(place):
        raise LeftAside(f"there is a new one in its place; the old one is {name}")
    try:
        os.rename(aside, place)
    except OSError as exc:
        raise LeftAside(f"it cannot be put back: {exc.strerror}; it is {name}") from exc


def _empty_tree(place: bytes) -> None:
    """Delete all in a directory, by descriptors where the system has them."""
    if not BY_DESCRIPTOR:
        files.empty_tree(place)
        return
    top = os.open(place, _FOLDER)
    try:
        device = os.fstat(top).st_dev
        waiting = _strip(top, top)
        while waiting:
            name = waiting.pop()
            folder = os.open(name, _FOLDER, dir_fd=top)
            try:
                if os.fstat(folder).st_dev != device:
                    raise OSError(errno.EXDEV, "another file system is mounted in it")
                waiting += _strip(folder, top)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _strip(folder: int, top: int) -> list[str]:
    """Delete the files in *folder*; its folders are moved to *top* and returned.

    However deep they lie: neither descriptors, nor the length of paths, nor our own stack
    run out. What something is mounted on cannot be moved.
    """
    _open_up(folder)
    with os.scandir(folder) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
    folders = []
    for name, is_folder in entries:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
        elif folder == top:
            folders.append(name)
        else:
            folders.append(f".fx-{secrets.token_hex(8)}")
            _move(name, folder, folders[-1], top)
    return folders


def _move(name: str, folder: int, new: str, top: int) -> None:
    try:
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
    except PermissionError:  # what changes its parent has to be writable itself
        inner = os.open(name, _FOLDER, dir_fd=folder)
        try:
            _open_up(inner)
        finally:
            os.close(inner)
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)


def _open_up(descriptor: int) -> None:
    """Let its owner do everything in a directory."""
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):  # it may be somebody else's, and open to us all the same
            os.chmod(descriptor, mode | stat.S_IRWXU)


def left_aside(top: Folder, tracked: Collection[bytes] = ()) -> list[bytes]:
    """Return what interrupted processes have left below *top*; what git tracks is not ours."""
    found = sorted(folder.path for folder in top.walk() if _LEFT.fullmatch(folder.name))
    above = set().union(*map(parents, tracked)) if found else set()
    return [path for path in found if path not in above]


def finish_interrupted(
    root: bytes, path: bytes, *, log: Callable[[bytes], None]
) -> Recovery | None:
    """Put back or delete what was left aside at *path*; what was done, if anything.

    What another process has locked is its own. *log* is called with the path of a run whose
    rest goes.
    """
    folder, name = os.path.split(path)
    match = _LEFT.fullmatch(name)
    if match is None:
        return None
    parent = os.path.join(root, folder)
    left, place = os.path.join(parent, name), os.path.join(parent, match[2])
    run = os.path.join(folder, match[2])
    try:
        _check_way(root, folder)
        descriptor = _open_folder(left)
    except (Stays, Gone, FileNotFoundError):
        return None
    except OSError as exc:
        return Recovery(
            f"{shown(path)} is left from an interruption, and stays: {exc.strerror}", False
        )
    try:
        if descriptor is not None and not files.lock(descriptor):
            return None
        if match[1] == b"aside":
            return _return(left, place, path, run)
        _check_removable(left)
        _remove(left, functools.partial(log, run))
    except (Stays, LeftAside, OSError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        return Recovery(f"{shown(path)} is the rest of a deleted run: {reason}", False)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    _mend_links(parent, match[2])
    _remove_empty(root, folder)
    return Recovery(f"the rest of {shown(run)} is deleted", True)


def undo(root: bytes, path: bytes) -> Recovery | None:
    """Put back what was left aside at *path*; None where another process is at it."""
    folder, name = os.path.split(path)
    match = _LEFT.fullmatch(name)
    if match is None or match[1] == b"aside":
        return finish_interrupted(root, path, log=lambda _: None)
    run = os.path.join(folder, match[2])
    return Recovery(f"{shown(run)} was being deleted: {shown(path)} is what is left of it", False)


def _return(left: bytes, place: bytes, path: bytes, run: bytes) -> Recovery:
    """Put a whole run back."""
    if os.path.lexists(place):
        text = f"{shown(path)} is {shown(run)} as it was: there is a new one in its place"
        return Recovery(text, False)
    try:
        os.rename(left, place)
    except OSError as exc:
        return Recovery(
            f"{shown(path)} is {shown(run)} as it was, and stays: {exc.strerror}", False
        )
    return Recovery(f"{shown(run)} was to be deleted, and is back in its place", True)


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
            target = _within(parent, os.readlink(link))
            if target.split(b"/")[0] != gone:
                continue
            tail = target[len(gone) :]
            last = next((run for run in reversed(runs) if _exists(parent, run + tail)), None)
            if last is None:
                os.unlink(link)
                continue
            new = files.name_beside(link)
            os.symlink(last + tail, new)
            os.replace(new, link)


def _within(parent: bytes, target: bytes) -> bytes:
    """Return the *target* of a link, from the folder *parent* if it leads into that."""
    for base in (parent, os.path.realpath(parent)):
        if target.startswith(base + b"/"):
            return target[len(base) + 1 :]
    return target


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
