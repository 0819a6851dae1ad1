"""What W&B says in its own logs of what it uploaded.

``wandb sync`` writes ``debug-sync.TIME.log`` into ``logs/`` of the W&B folder that it was
called for: JSON, a line each, with the path of the run's log.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.util.disk import files_not_links

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan

# `wandb-core` gives up on a file, or on all of the history, when it has tried often enough.
_REFUSED = re.compile(
    rb'"level":\s*"ERROR",\s*"msg":\s*"[^"]*(?:upload|filestream: fatal|failed to save artifact)'
)
_SYNC_LOG = re.compile(rb"debug-sync\..*\.log", re.DOTALL)
_BEGINS = "runsync: starting to read"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Sync(NamedTuple):
    """When a sync began to read a run, and whether the server refused something of it."""

    began: float
    refused: bool


class Syncs:
    """The last sync of each run, by what the logs in a tree say."""

    def __init__(self, tree: Scan) -> None:
        self._tree = tree
        self._known: dict[bytes, dict[str, Sync]] = {}

    def last(self, run: Folder, log: bytes) -> Sync | None:
        """That of the run in the folder *run* with this *log*; None where none is known."""
        name = os.fsdecode(run.name + b"/" + log)
        parent = run.parent.path if run.parent is not None else b""
        found = [
            sync
            for folder in {parent, b"wandb", b".wandb"}
            if (sync := self._in(folder).get(name)) is not None
        ]
        return max(found, default=None)

    def _in(self, wandb: bytes) -> dict[str, Sync]:
        if wandb not in self._known:
            folder = self._tree.find(wandb + b"/logs")
            found: dict[str, Sync] = {}
            for name in sorted(folder.names()) if folder is not None else ():
                if _SYNC_LOG.fullmatch(name):
                    _read(os.path.join(self._tree.root, wandb, b"logs", name), found)
            self._known[wandb] = found
        return self._known[wandb]


def _read(place: bytes, found: dict[str, Sync]) -> None:
    for line in _lines(place):
        is_refusal = b'"ERROR"' in line and _REFUSED.search(line) is not None
        if not is_refusal and _BEGINS.encode() not in line:
            continue
        try:
            record: Any = json.loads(line)
            path, time = str(record["sync_path"]), time_in(record["time"])
        except (ValueError, RecursionError, TypeError, KeyError):
            continue
        name = "/".join(path.replace("\\", "/").rsplit("/", 2)[-2:])
        known = found.get(name)
        # Two syncs of one second have logs that end in `.log` and `.1.log`: their names do not
        # say which was first. A refusal from before the last one began is of another one.
        if known is not None and time < known.began:
            continue
        if is_refusal:
            found[name] = Sync(known.began if known is not None else time, True)
        else:
            found[name] = Sync(time, False)


def was_refused(place: bytes) -> bool:
    """Whether the log of W&B's uploader at *place* says that the server refused something."""
    return any(b'"ERROR"' in line and _REFUSED.search(line) for line in _lines(place))


def _lines(place: bytes) -> Iterator[bytes]:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            yield from file
    except OSError:
        return


def time_in(text: str) -> float:
    """A time as Go writes it, since the epoch; Python 3.10 does not read its nanoseconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    zone = match[3].replace("Z", "+00:00")
    return datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)
