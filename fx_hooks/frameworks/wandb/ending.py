"""How a run ended, and whether all of it is in the cloud, from the files it left.

W&B 0.31 writes an exit record at the end of its log, whatever the server says. ``wandb
sync`` touches ``run-ID.wandb.syncstate`` before it reads the log, and leaves an empty
``run-ID.wandb.synced`` when it is done, also where the server refused files: only its own
``debug-sync.TIME.log`` tells. Of an online run only ``logs/debug-internal.log`` tells that
the last request was answered, and every file taken; versions before 0.18 kept no such JSON
log, and wrote the summary when they were done.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Ending, State
from fx_hooks.frameworks.run_files import read_tail
from fx_hooks.frameworks.wandb.names import RUN_NAME, SYNCED_MARK, id_of, log_name
from fx_hooks.frameworks.wandb.record import WandbEnd, read_wandb_end
from fx_hooks.frameworks.wandb.sync_logs import was_refused
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.frameworks.wandb.sync_logs import Syncs
    from fx_hooks.util.disk import Folder

_COMPLETE = re.compile(rb'"complete":\s*true')
_ANSWERED = re.compile(rb'"filestream: request sent".*"status":\s*"200 OK"')
_VERSION = re.compile(rb"\bcli_version:\s*[\"']?(\d+)\.(\d+)")
_FIRST_WITH_LOG = (0, 18)


def wandb_ending(folder: Folder, root: bytes, syncs: Syncs) -> Ending:
    """What the W&B run in *folder* says of itself, and what *syncs* say of it."""
    match = RUN_NAME.fullmatch(folder.name)
    log = log_name(folder.name, folder.names())
    place = os.path.join(root, folder.path)
    end = _wandb_end(os.path.join(place, log)) if log is not None else None
    if log is None or end is None:
        name = shown(log or b"run-%s.wandb" % id_of(folder.name, None))
        return Ending(State.UNSYNCED, f"its log {name} is missing or cannot be read", False)
    ended = end.exit_code is not None
    marked, against = was_synced(folder, log, syncs)
    if against:
        return Ending(State.UNSYNCED, against, ended)
    if marked:
        return _in_the_cloud(end, "it has been synced")
    if match is not None and match["offline"]:
        return Ending(State.UNSYNCED, f"offline, and no {shown(log + SYNCED_MARK)}", ended)
    if not ended:
        return Ending(State.UNSYNCED, "online, and it did not come to its end", False)
    answered = _was_answered(folder, place)
    if answered is None:
        answered = _is_of_old_version(place) and b"wandb-summary.json" in _names(folder, b"files")
    if not answered:
        return Ending(State.UNSYNCED, "online, and nothing says that all of it was uploaded", True)
    if was_refused(os.path.join(place, b"logs", b"debug-internal.log")):
        return Ending(State.UNSYNCED, "online, and not all of its files could be uploaded", True)
    return _in_the_cloud(end, "online, and all of it was uploaded")


def was_synced(folder: Folder, log: bytes, syncs: Syncs) -> tuple[bool, str]:
    """Whether *log* in *folder* is marked as synced, and what there is against it, if so."""
    times = {file[0]: file[3] for file in folder.files}
    if log + SYNCED_MARK not in times:
        return False, ""
    written = times[log]
    sync = syncs.last(folder, log)
    # While a sync waits for the server, the run may go on: what counts is when it read.
    marked = times[log + SYNCED_MARK]
    told = (times.get(log + b".syncstate"), sync.began if sync is not None else None)
    # Versions before 0.31 leave the first, if at all, as it was when they sync again.
    began = max((time for time in told if time is not None and time <= marked), default=marked)
    if began < written:
        return True, "it was written to after it had been synced"
    if sync is not None and sync.refused:
        return True, "not all of its files could be uploaded when it was synced"
    return True, ""


def _in_the_cloud(end: WandbEnd, how: str) -> Ending:
    if end.exit_code:
        return Ending(State.FAILED, f"exit code {end.exit_code}; {how}", True)
    return Ending(State.SYNCED, how, end.exit_code is not None)


def _wandb_end(place: bytes) -> WandbEnd | None:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            return read_wandb_end(file)
    except OSError:
        return None


def _was_answered(folder: Folder, place: bytes) -> bool | None:
    """Whether the server has taken the run's last word; None where no log tells."""
    if b"debug-internal.log" not in _names(folder, b"logs"):
        return None
    tail = read_tail(os.path.join(place, b"logs", b"debug-internal.log"))
    if tail is None or b'"msg":' not in tail:
        return None
    ends = [found.end() for found in _COMPLETE.finditer(tail)]
    return bool(ends) and _ANSWERED.search(tail, ends[-1]) is not None


def _is_of_old_version(place: bytes) -> bool:
    """Whether a version made the run that kept no log of what it uploaded."""
    found = _VERSION.search(read_tail(os.path.join(place, b"files", b"config.yaml")) or b"")
    return found is not None and (int(found[1]), int(found[2])) < _FIRST_WITH_LOG


def _names(folder: Folder, name: bytes) -> list[bytes]:
    """What is in the folder of that name, if there is one."""
    inner = folder.folders.get(name)
    return inner.names() if inner is not None else []
