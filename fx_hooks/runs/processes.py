"""Which processes have files open below a folder, and what is mounted there, as far as this
user may see.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from fx_hooks.errors import FatalError

# File systems that other machines write to, as well.
_SHARED = (
    "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "fuse.", "gluster", "gpfs", "lustre", "nfs",
    "panfs", "smb", "virtiofs", "webdav", "wekafs",
)  # fmt: skip


class Use(NamedTuple):
    """One process that uses a path: it has it open, or works in it (``path`` is a folder)."""

    path: bytes
    process: str
    pid: int
    opened: bool


class Processes(NamedTuple):
    """Who uses what below the root; paths are relative to it.

    ``unseen`` are the users whose processes may not be looked into, by number, and None
    among them where not even the user is known. ``shared`` names the file system if
    processes of other machines may write there, whom nobody sees from here. ``mounts`` are
    the places where something is mounted, also another folder of the same file system.
    """

    uses: tuple[Use, ...]
    unseen: frozenset[int | None]
    shared: str = ""
    mounts: tuple[bytes, ...] = ()

    def using(self, path: bytes) -> Use | None:
        """A process that uses *path* or what is below it."""
        below = path + b"/"
        for use in self.uses:
            if use.path == path or use.path.startswith(below):
                return use
        return None

    def mount_at(self, path: bytes) -> bytes | None:
        """A mount in *path* or around it, the root's own left out."""
        for mount in self.mounts:
            if mount == path or mount.startswith(path + b"/") or path.startswith(mount + b"/"):
                return mount
        return None

    def sees(self, owner: int) -> bool:
        """Whether all processes of this machine are seen that the user *owner* runs."""
        return owner not in self.unseen and None not in self.unseen


def find_processes(root: bytes) -> Processes:
    """Look at all processes but this one.

    Raises :class:`~fx_hooks.errors.FatalError` without psutil.
    """
    try:
        import psutil
    except ImportError as exc:
        raise FatalError(
            "psutil is missing, which says what processes have open: install fx-hooks[tools]"
        ) from exc
    base = os.path.realpath(root)
    uses: list[Use] = []
    unseen: set[int | None] = set()
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            with process.oneshot():
                name = process.name()
                places = [(file.path, True) for file in process.open_files()]
                places.append((process.cwd(), False))
        except psutil.NoSuchProcess:
            continue
        except (psutil.AccessDenied, OSError):
            unseen.add(_owner(process))
            continue
        for place, opened in places:
            path = _below(os.fsencode(place), base)
            if path is not None:
                uses.append(Use(path, name, process.pid, opened))
    if hasattr(os, "geteuid"):
        # Our own processes can be looked into, but for agents that guard keys.
        unseen.discard(os.geteuid())
    disks = [(disk.mountpoint, disk.fstype) for disk in psutil.disk_partitions(all=True)]
    points = {_below(os.fsencode(point), base) for point, _ in disks}
    mounts = tuple(sorted(point for point in points if point is not None))
    shared = shared_file_system(os.fsdecode(base), disks)
    return Processes(tuple(uses), frozenset(unseen), shared, mounts)


def shared_file_system(place: str, disks: Iterable[tuple[str, str]]) -> str:
    """The type of the file system of *place* if other machines write to it, else nothing.

    *disks* are mount points with their types.
    """
    above = [
        (point, kind)
        for point, kind in disks
        if f"{place}{os.sep}".startswith(point.rstrip(os.sep) + os.sep)
    ]
    kind = max(above, key=lambda disk: len(disk[0]))[1] if above else ""
    return kind if kind.startswith(_SHARED) else ""


def _below(path: bytes, base: bytes) -> bytes | None:
    """*path* relative to *base*; None where it is not below it."""
    separator = os.fsencode(os.sep)
    if not path.startswith(base.rstrip(separator) + separator):
        return None
    return path[len(base.rstrip(separator)) + 1 :].replace(separator, b"/")


def _owner(process: Any) -> int | None:
    """The user who runs *process*; None where nobody says."""
    import psutil

    try:
        return int(process.uids().real)
    except (psutil.Error, AttributeError, OSError):  # Windows has no such numbers
        return None
