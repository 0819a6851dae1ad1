"""Processes with files open below a folder, and mounts there, as far as this user may see.

A process may know a file by another path than we do: through a bind mount, or in a container.
So where the system tells, files are also known by their number.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.util.disk import ANYONE
from fx_hooks.util.errors import FatalError
from fx_hooks.util.extras import install_command

if TYPE_CHECKING:
    from fx_hooks.util.disk import Scan

HAS_PROC = sys.platform == "linux"
# A path, device and inode, whether it is open, and `Use.link`.
_Held = tuple[str, "tuple[int, int] | None", bool, str]
# Of /proc: who is not root sees nobody else.
_HIDES = re.compile(r"\bhidepid=(?:2|4|invisible|ptraceable)\b")
# Who reads a tree has each folder open for a moment.
MOMENT = 0.2
# File systems that other machines write to, as well.
_SHARED = (
    "9p", "afs", "beegfs", "ceph", "cifs", "drvfs", "fuse.", "gluster", "gpfs", "lustre", "nfs",
    "panfs", "smb", "virtiofs", "webdav", "wekafs",
)  # fmt: skip


# PROC_PID_INIT_INO of the kernel (include/linux/proc_ns.h): the namespace that has all processes.
_ALL_PROCESSES = "pid:[4026531836]"
# What a login starts for its user and protects: it keeps keys, and writes to no run.
_INIT = 1
_SESSION = {
    "(sd-pam)", "fusermount", "fusermount3", "gnome-keyring-d", "gpg-agent", "pkexec",
    "ssh-agent", "sshd", "sshd-session", "su", "sudo", "systemd",
}  # fmt: skip


class Use(NamedTuple):
    """One process that uses a path: it has it open, or works in it (``path`` is a folder).

    ``link`` is where Linux says so; empty for what does not pass.
    """

    path: bytes
    process: str
    pid: int
    opened: bool
    link: str = ""


class Processes(NamedTuple):
    """The users of files below the root; paths are relative to it.

    ``unseen`` are the users whose processes may not be looked into, by number, and None
    among them where not even the user is known. ``shared`` names the file system if
    processes of other machines may write there, whom nobody sees from here. ``mounts`` are
    the places where something is mounted, also another folder of the same file system.
    ``numbered`` has what they use on the file system of the root by its number (inode).
    ``only`` is the user whose processes alone are listed, where those of others are hidden.
    ``hidden`` says why any process may be unseen from here, if so.
    """

    uses: tuple[Use, ...]
    unseen: frozenset[int | None]
    shared: str = ""
    mounts: tuple[bytes, ...] = ()
    numbered: Mapping[int, Use] = MappingProxyType({})
    only: int | None = None
    hidden: str = ""

    def found_in(self, tree: Scan, below: bytes = b"") -> Processes:
        """With the uses of what has its number in *tree*, which lies at *below*."""
        met = [
            (use._replace(path=b"/".join(filter(None, (below, path)))), number)
            for path, number in tree.met
            if (use := self.numbered.get(number)) is not None
        ]
        if any(use.link for use, _ in met):
            time.sleep(MOMENT)
        uses = [use for use, number in met if not use.link or _is_still(use.link, number)]
        return self._replace(uses=(*self.uses, *uses))

    def using(self, path: bytes) -> Use | None:
        """Return a process that uses *path* or what is below it."""
        below = path + b"/"
        for use in self.uses:
            if use.path == path or use.path.startswith(below):
                return use
        return None

    def mount_at(self, path: bytes) -> bytes | None:
        """Return a mount in *path* or around it, the root's own left out."""
        for mount in self.mounts:
            if mount == path or mount.startswith(path + b"/") or path.startswith(mount + b"/"):
                return mount
        return None

    @property
    def all_seen(self) -> bool:
        """Say that no process at all may be unseen, whoever runs it."""
        return not (self.shared or self.hidden or self.unseen) and self.only is None

    def sees(self, owner: int) -> bool:
        """Return whether all processes of this machine are seen that the user *owner* runs.

        ANYONE stands for all users but root, whose services can write everywhere.
        """
        if self.hidden:
            return False
        if owner == ANYONE:
            return self.only is None and not self.unseen - {0}
        is_listed = self.only is None or owner == self.only
        return is_listed and owner not in self.unseen and None not in self.unseen


def find_processes(root: bytes) -> Processes:
    """Look at all processes but this one.

    Raises :class:`~fx_hooks.util.errors.FatalError` without psutil.
    """
    try:
        import psutil
    except ImportError as exc:
        raise FatalError(
            "psutil is missing, which says what processes have open: " + install_command("tools")
        ) from exc
    own, hidden = _own_number()
    base = os.path.realpath(root)
    device = os.stat(base).st_dev
    uses: dict[tuple[bytes, bool], Use] = {}
    numbered: dict[int, Use] = {}
    unseen: set[int | None] = set()
    for process in psutil.process_iter() if own else ():
        if process.pid == own:
            continue
        name = ""
        try:
            with process.oneshot():
                name = process.name()
                held = _held_on_linux(process.pid) if HAS_PROC else _held(process)
                for place, key, opened, link in held:
                    use = Use(b"", name, process.pid, opened, link)
                    path = _below(os.fsencode(place), base) if place else None
                    if path is not None and not link:
                        uses.setdefault((path, opened), use._replace(path=path))
                    if key is None or key[0] != device:
                        continue
                    if key[1] not in numbered or numbered[key[1]].link:
                        numbered[key[1]] = use  # rather than what may pass
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
        except (psutil.AccessDenied, OSError):
            if name not in _SESSION and process.pid != _INIT:
                unseen.add(_owner(process))
    try:
        found = psutil.disk_partitions(all=True)
    except OSError as exc:  # no /proc: nothing is known of mounts either
        found, hidden = [], hidden or f"{exc.filename or '/proc'}: {exc.strerror}"
    disks = [(disk.mountpoint, disk.fstype) for disk in found]
    points = {_below(os.fsencode(point), base) for point, _ in disks}
    mounts = tuple(sorted(point for point in points if point is not None))
    shared = shared_file_system(os.fsdecode(base), disks)
    only = None
    if sys.platform != "win32" and any(
        disk.mountpoint == "/proc" and _HIDES.search(disk.opts) for disk in found
    ):
        only = os.geteuid() or None
    return Processes(
        tuple(uses.values()), frozenset(unseen), shared, mounts, numbered, only, hidden
    )


def _own_number() -> tuple[int, str]:
    """Return our own number in /proc (0 without one), and why some may be missing there."""
    if not HAS_PROC:
        return os.getpid(), ""
    try:
        own = int(os.readlink("/proc/self"))
        namespace = os.readlink("/proc/self/ns/pid")
    except (OSError, ValueError):
        return 0, "there is no /proc here that lists processes"
    if namespace != _ALL_PROCESSES or own != os.getpid():
        return own, "this is a container, or another place with processes of its own"
    return own, ""


def _held(process: Any) -> Iterator[_Held]:
    for file in process.open_files():
        yield file.path, None, True, ""
    yield process.cwd(), None, False, ""


def _held_on_linux(pid: int) -> Iterator[_Held]:
    """Yield what a process has open, works in, runs, and has mapped into its memory."""
    top = f"/proc/{pid}"
    for name in os.listdir(f"{top}/fd"):
        link = f"{top}/fd/{name}"
        try:
            status = os.stat(link)
            place = os.readlink(link)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            passes = link if stat.S_ISDIR(status.st_mode) else ""
            yield place, (status.st_dev, status.st_ino), True, passes
    for name in ("cwd", "exe"):
        link = f"{top}/{name}"
        try:
            status = os.stat(link)
            place = os.readlink(link)
        except FileNotFoundError:  # the kernel's own have none
            continue
        yield place, (status.st_dev, status.st_ino), name == "exe", ""
    with open(f"{top}/maps", "rb") as maps:
        # Address, rights, position, device, inode, path.
        mapped = {tuple(line.rstrip(b"\n").split(None, 5)[3:]) for line in maps}
    for device, inode, *path in mapped:
        if sys.platform != "win32" and inode != b"0":
            major, minor = (int(part, 16) for part in device.split(b":"))
            place = os.fsdecode(path[0]) if path else ""
            yield place, (os.makedev(major, minor), int(inode)), True, ""


def _is_still(link: str, number: int) -> bool:
    """Return True if a process has the folder open that it had open a moment ago."""
    try:
        return os.stat(link).st_ino == number
    except OSError:
        return False


def shared_file_system(place: str, disks: Iterable[tuple[str, str]]) -> str:
    """Return the type of the file system of *place* if other machines write to it, else nothing.

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
    """Return the user who runs *process*; None where nobody says."""
    import psutil

    try:
        return int(process.uids().real)
    except (psutil.Error, AttributeError, OSError):  # Windows has no such numbers
        return None
