"""Directories of runs with all that a file system can hold, and what is to be seen of them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.runs.archive import read_back, writer
from fx_hooks.runs.archive import restore as run_restore
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.writer import Item, Written

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from fx_hooks.runs.archive.restore import Restored
    from fx_hooks.runs.archive.writer import Progress

DAY = 86_400_000_000_000
LONG_AGO = 1_700_000_000_123_456_789


class Seen(NamedTuple):
    """What is to survive of one file, directory or link; ``names`` are its hard links."""

    type: int
    mode: int
    mtime: int
    content: str
    names: frozenset[bytes]
    holes: bool


def seen(folder: str | bytes | os.PathLike[str]) -> dict[bytes, Seen]:
    """All that is below *folder*, by its path."""
    top = os.fsencode(folder)
    found: dict[bytes, Seen] = {}
    statuses: dict[bytes, os.stat_result] = {}
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        for name in os.listdir(os.path.join(top, below)):
            path = os.path.join(below, name)
            statuses[path] = status = os.lstat(os.path.join(top, path))
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
    by_number: dict[int, set[bytes]] = {}
    for path, status in statuses.items():
        by_number.setdefault(status.st_ino, set()).add(path)
    for path, status in statuses.items():
        place = os.path.join(top, path)
        content = ""
        if stat.S_ISLNK(status.st_mode):
            content = f"-> {os.readlink(place)!r}"
        elif stat.S_ISREG(status.st_mode):
            with open(place, "rb") as file:
                content = f"{status.st_size} {hashlib.sha256(file.read()).hexdigest()}"
        found[path] = Seen(
            stat.S_IFMT(status.st_mode),
            stat.S_IMODE(status.st_mode),
            status.st_mtime_ns,
            content,
            frozenset(by_number[status.st_ino]),
            stat.S_ISREG(status.st_mode) and status.st_blocks * 512 < status.st_size - 4096,
        )
    return found


def write(
    path: str | bytes | os.PathLike[str],
    content: str | bytes = b"content",
    *,
    mode: int = 0o644,
    mtime: int = LONG_AGO,
) -> None:
    """A file with all that is to survive of it, and the directories above it."""
    place = os.fsencode(path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    os.chmod(place, mode)
    os.utime(place, ns=(mtime, mtime))


def whole_sync(path: str, time: str) -> str:
    """What ``wandb sync`` logs of a run's log at *path* that the server took all of."""
    lines = (
        {"msg": "runsync: starting to read"},
        {"msg": "filestream: sending request", "complete": True, "exit_code": 0},
        {"msg": "filestream: request sent", "status": "200 OK"},
    )
    return "".join(
        json.dumps({"time": time, "level": "INFO", "sync_path": path, **line}) + "\n"
        for line in lines
    )


def mark_as_synced(
    run: str | bytes | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    mtime: int = LONG_AGO,
) -> None:
    """Leave what a sync at *mtime* of the W&B run leaves that was started at *root*."""
    place = os.fsdecode(run)
    (log,) = (name for name in os.listdir(place) if name.endswith(".wandb"))
    write(os.path.join(place, f"{log}.synced"), b"", mtime=mtime)
    began = datetime.fromtimestamp(mtime / 1e9 + 1, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = os.path.join(root, "wandb", "logs", f"debug-sync.{os.path.basename(place)}.log")
    write(told, whole_sync(os.path.join(place, log), began), mtime=mtime)


def sparse(path: str | os.PathLike[str], size: int, parts: Sequence[tuple[int, bytes]]) -> None:
    """A file of *size* bytes with data at some positions and holes between."""
    with open(path, "wb") as file:
        for position, data in parts:
            file.seek(position)
            file.write(data)
        file.truncate(size)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def read_back_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write and read back in steps so small that runs of a few bytes take several."""
    monkeypatch.setattr(writer, "CHUNK", 1000)
    monkeypatch.setattr(read_back, "_STEP", 1000)
    monkeypatch.setattr(read_back, "_PAGES", 100)


def once(task: str, change: Callable[[], object]) -> Progress:
    """Call *change* when the first of a *task* is done."""
    waiting = [change]

    def progress(what: str, done: int, total: int) -> None:  # noqa: ARG001
        if what == task and waiting:
            waiting.pop()()

    return progress


def at_the_end_of(task: str, change: Callable[[], object]) -> Progress:
    """Call *change* when all of a *task* is done."""

    def progress(what: str, done: int, total: int) -> None:
        if what == task and done == total:
            change()

    return progress


def pack(
    root: str | bytes | os.PathLike[str],
    target: str | bytes | os.PathLike[str],
    *runs: str | bytes,
    force: bool = False,
    progress: Progress | None = None,
) -> Written:
    """An archive of *runs*, which are paths below *root*."""
    items = [Item(os.fsencode(run), {"state": "finished"}) for run in runs]
    return writer.write(
        os.fsencode(root), items, os.fsencode(target), force=force, progress=progress
    )


def restore(
    archive: str | bytes | os.PathLike[str],
    folder: str | bytes | os.PathLike[str],
    *patterns: str,
    force: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """What an archive holds, below *folder*, which is made if need be."""
    os.makedirs(folder, exist_ok=True)
    with Archive(os.fsencode(archive)) as opened:
        runs = run_restore.chosen(opened.manifest.runs, patterns)
        return run_restore.restore(
            opened, os.fsencode(folder), runs, force=force, progress=progress
        )
