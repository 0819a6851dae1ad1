"""How a run ended, and whether all of it is in the cloud, from the files it left.

W&B 0.31 writes an exit record at the end of its log, whatever the server says, and
``wandb sync`` leaves an empty ``run-ID.wandb.synced`` beside it. Of an online run only
``logs/debug-internal.log`` tells that the last request was answered; versions before
0.18 kept no such JSON log, and wrote the summary when they were done.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.disk import files_not_links
from fx_hooks.paths import shown
from fx_hooks.runs.finding import WANDB_NAME
from fx_hooks.runs.wandb_log import HEADER_BYTES, WandbEnd, read_wandb_end

if TYPE_CHECKING:
    from fx_hooks.disk import Folder

LIVE, UNSYNCED, SYNCED, FINISHED, FAILED = "live", "unsynced", "synced", "finished", "failed"
_TAIL = 1 << 20
_COMPLETE = re.compile(rb'"complete":\s*true')
_ANSWERED = re.compile(rb'"filestream: request sent".*"status":\s*"200 OK"')
_TRACEBACK = b"Traceback (most recent call last):"
# File systems keep times coarsely, and syncing reads what was just written.
_SAME_TIME = 2.0


class Ending(NamedTuple):
    """A state but for ``live``, the reason, and whether the run says that it has ended."""

    state: str
    reason: str
    ended: bool


def wandb_ending(folder: Folder, root: bytes) -> Ending:
    """What the W&B run in *folder* says of itself."""
    match = WANDB_NAME.fullmatch(folder.name)
    log = b"run-%s.wandb" % (match["id"] if match else b"")
    times = {file[0]: file[3] for file in folder.files}
    place = os.path.join(root, folder.path)
    end = _wandb_end(os.path.join(place, log)) if log in times else None
    if end is None:
        return Ending(UNSYNCED, f"its log {shown(log)} is missing or cannot be read", False)
    ended = end.exit_code is not None
    mark = log + b".synced"
    if mark in times:
        if times[mark] + _SAME_TIME < times[log]:
            return Ending(UNSYNCED, "it was written to after it had been synced", ended)
        return _in_the_cloud(end, "it has been synced")
    if match is not None and match["offline"]:
        return Ending(UNSYNCED, f"offline, and no {shown(mark)}", ended)
    if not ended:
        return Ending(UNSYNCED, "online, and it did not come to its end", False)
    answered = _was_answered(folder, place)
    if answered is None:
        files = folder.folders.get(b"files")
        answered = files is not None and b"wandb-summary.json" in files.names()
    if not answered:
        return Ending(UNSYNCED, "online, and nothing says that all of it was uploaded", True)
    return _in_the_cloud(end, "online, and all of it was uploaded")


def has_empty_log(folder: Folder) -> bool:
    """Whether W&B was killed before it wrote anything: there is nothing that could be synced."""
    return any(file[0].endswith(b".wandb") and file[1] <= HEADER_BYTES for file in folder.files)


def hydra_ending(folder: Folder, root: bytes) -> Ending:
    """What a Hydra job left: its log ends in a traceback, or nothing is known against it."""
    for name in folder.names():
        if name.endswith(b".log"):
            tail = _tail(os.path.join(root, folder.path, name))
            if tail is not None and _ends_in_traceback(tail):
                return Ending(FAILED, f"{shown(name)} ends in a traceback", True)
    return Ending(FINISHED, "nothing writes to it any more", True)


def _in_the_cloud(end: WandbEnd, how: str) -> Ending:
    if end.exit_code:
        return Ending(FAILED, f"exit code {end.exit_code}; {how}", True)
    return Ending(SYNCED, how, end.exit_code is not None)


def _wandb_end(place: bytes) -> WandbEnd | None:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            return read_wandb_end(file)
    except OSError:
        return None


def _was_answered(folder: Folder, place: bytes) -> bool | None:
    """Whether the server has taken the run's last word; None where no log tells."""
    logs = folder.folders.get(b"logs")
    if logs is None or b"debug-internal.log" not in logs.names():
        return None
    tail = _tail(os.path.join(place, b"logs", b"debug-internal.log"))
    if tail is None or b'"msg":' not in tail:
        return None
    ends = [found.end() for found in _COMPLETE.finditer(tail)]
    return bool(ends) and _ANSWERED.search(tail, ends[-1]) is not None


def _ends_in_traceback(tail: bytes) -> bool:
    start = tail.rfind(_TRACEBACK)
    # A line that a logger began means that the program went on.
    return start >= 0 and b"\n[" not in tail[start:]


def _tail(place: bytes) -> bytes | None:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            return file.read()
    except OSError:
        return None
