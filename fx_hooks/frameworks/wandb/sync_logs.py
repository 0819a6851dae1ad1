"""W&B's own logs of what it uploaded.

``wandb sync`` of wandb-core writes ``debug-sync.TIME.log`` into ``logs/`` of the W&B folder of
wherever it was started: JSON, a line each, with the path of the run's log. Before, it wrote
plain lines into ``debug-cli.USER.log`` of that folder, a section for each ``open for scan``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.frameworks.run_files import named_time
from fx_hooks.frameworks.wandb.names import FOLDERS
from fx_hooks.util.disk import files_not_links

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan


class _Then(NamedTuple):
    """Two patterns, of which a line has the one and then the other.

    Joined by ``.*``, each place of the first is searched to the end of the line.
    """

    first: re.Pattern[bytes]
    second: re.Pattern[bytes]

    def search(self, line: bytes) -> re.Match[bytes] | None:
        found = self.first.search(line)
        return None if found is None else self.second.search(line, found.end())


# `wandb-core` gives up on a file, or on all of the history ("ERROR+4"), when it has tried often
# enough. What it asks of /graphql may fail without harm: features of the server, the user. So
# may the job artifact, which is made of what was sent as files.
REFUSED = re.compile(
    rb'"level":\s*"ERROR(?:\+\d+)?",\s*"msg":\s*"(?!sender: sendDefer: failed to build job)(?:'
    rb'[^"]*(?:upload|filestream: fatal|file ?transfer|runfiles|artifact)'
    rb'|api: HTTP error"(?!.*/graphql))',
    re.IGNORECASE,
)
# The server failed, and was asked again; before wandb-core, in other words.
RETRIED = re.compile(
    rb'"msg":\s*"(?:api: retrying (?:HTTP )?error|filestream: retr)[^\n]*'
    rb"|requests_with_retry encountered retryable exception"
)
# The last request of a run or of its sync, and the answer that may follow.
COMPLETE = re.compile(rb'"complete":\s*true')
ANSWERED = _Then(re.compile(rb'"filestream: request sent"'), re.compile(rb'"status":\s*"200 OK"'))
ANSWERED_ANY = _Then(ANSWERED.first, re.compile(rb'"status":\s*"200'))
# Before wandb-core: "ERROR   FileStreamThread:... dropped chunk 400", "Failed to upload file: x".
REFUSED_PLAIN = _Then(
    re.compile(rb"\bERROR\b"), re.compile(rb"dropped chunk|upload|artifact|file_stream")
)
STREAM_ENDS, STREAM_ENDED = b"file stream finish called", b"file stream finish is done"

_SYNC_LOG = re.compile(rb"debug-sync\..*\.log", re.DOTALL)
_CLI_LOG = re.compile(rb"debug-cli\..*\.log", re.DOTALL)
_BEGINS = b"runsync: starting to read"
_OPENS = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) INFO open for scan: (.*)")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


class Sync(NamedTuple):
    """One sync of a run: when it began to read, and in which log that stands.

    *refused*: the server did not take something. *complete*: it took the last request, which
    is sent when all else is done.
    """

    began: float
    place: bytes
    refused: bool = False
    complete: bool = False
    asked: bool = False  # the last request is on its way


class Syncs:
    """The last sync of each run, by what the logs in a tree say, and those in ``WANDB_DIR``."""

    def __init__(self, tree: Scan) -> None:
        self._tree = tree
        self._known: dict[bytes, Sync] | None = None

    def last(self, run: Folder, log: bytes) -> Sync | None:
        """Return that of the run in the folder *run* with this *log*; None without any."""
        if self._known is None:
            self._known = {}
            for place in self._logs():
                read = _read_plain if _CLI_LOG.fullmatch(os.path.basename(place)) else _read
                found = read(self._tree.root, place)
                for name, sync in found.items():
                    known = self._known.get(name)
                    if known is None or known.began <= sync.began:
                        self._known[name] = sync
        return self._known.get(run.name + b"/" + log)

    def _logs(self) -> Iterator[bytes]:
        """Yield the logs of syncs that were started anywhere below the root, or for `WANDB_DIR`."""
        for folder in self._tree.top.walk():
            if folder.name in FOLDERS:
                place = folder.path
                logs = folder.folders.get(b"logs")
                yield from _matching(place, folder.names(), _CLI_LOG)
                if logs is not None:
                    yield from _matching(os.path.join(place, b"logs"), logs.names(), _SYNC_LOG)
        elsewhere = os.environ.get("WANDB_DIR")
        for name in FOLDERS if elsewhere else ():
            place = os.path.join(os.fsencode(elsewhere or ""), name)
            yield from _matching(place, _listed(place), _CLI_LOG)
            logs_place = os.path.join(place, b"logs")
            yield from _matching(logs_place, _listed(logs_place), _SYNC_LOG)


def _matching(place: bytes, names: list[bytes], pattern: re.Pattern[bytes]) -> list[bytes]:
    return [os.path.join(place, name) for name in sorted(names) if pattern.fullmatch(name)]


def _listed(place: bytes) -> list[bytes]:
    try:
        return os.listdir(place)
    except OSError:
        return []


def _read(root: bytes, place: bytes) -> dict[bytes, Sync]:
    """Return the last sync of each run that a log of wandb-core tells of."""
    found: dict[bytes, Sync] = {}
    for line in log_lines(os.path.join(root, place)):
        begins = _BEGINS in line
        refused = b'"ERROR' in line and REFUSED.search(line) is not None
        asks = COMPLETE.search(line) is not None
        answered = ANSWERED.search(line) is not None
        if not (begins or refused or asks or answered):
            continue
        try:
            record: Any = json.loads(line)
            name, time = _name(os.fsencode(str(record["sync_path"]))), time_in(record["time"])
        except (ValueError, RecursionError, TypeError, KeyError):
            continue
        known = found.get(name, Sync(time, place))
        if begins:
            # Lines of several syncs may stand in any order.
            found[name] = Sync(time, place) if time >= known.began else known
        elif time < known.began:
            # Two syncs of one second have logs that end in `.log` and `.1.log`: their names do
            # not say which was first. What is older than the last sync is of another one.
            continue
        elif refused:
            found[name] = known._replace(refused=True)
        elif asks:
            found[name] = known._replace(asked=True, complete=False)
        elif known.asked:
            found[name] = known._replace(complete=True)
    return found


def _read_plain(root: bytes, place: bytes) -> dict[bytes, Sync]:
    """Return the last sync of each run that a log of older versions tells of: never all of it."""
    found: dict[bytes, Sync] = {}
    name = b""
    for line in log_lines(os.path.join(root, place)):
        opens = _OPENS.match(line)
        if opens is not None:
            name = _name(opens[2].rstrip(b"\r\n"))
            began = named_time(opens[1], "%Y-%m-%d %H:%M:%S")
            if began is not None or name not in found:
                found[name] = Sync(began or 0.0, place)
        elif name and REFUSED_PLAIN.search(line):
            found[name] = found[name]._replace(refused=True)
    return found


def _name(path: bytes) -> bytes:
    """Return the last two parts of the path of a run's log, by which it is known."""
    return b"/".join(path.replace(b"\\", b"/").rsplit(b"/", 2)[-2:])


def log_lines(place: bytes) -> Iterator[bytes]:
    """Yield the lines of a log; none where it cannot be read."""
    try:
        with open(place, "rb", opener=files_not_links) as file:
            yield from file
    except OSError:
        return


def time_in(text: str) -> float:
    """Return a time as Go writes it, since the epoch; Python 3.10 does not read its nanoseconds."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    zone = match[3].replace("Z", "+00:00")
    return datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)
