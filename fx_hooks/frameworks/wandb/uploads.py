"""The state of a run's upload to W&B, by what its clients log: see :data:`TABLE`.

What a client does not say is not known: then the run stays, until it is synced by a version
that says so, or until its owner accepts it as it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.framework import Evidence, Proof
from fx_hooks.frameworks.run_files import read_tail
from fx_hooks.frameworks.wandb.names import SYNCED_MARK
from fx_hooks.frameworks.wandb.sync_logs import (
    ANSWERED,
    ANSWERED_ANY,
    COMPLETE,
    REFUSED,
    REFUSED_PLAIN,
    RETRIED,
    STREAM_ENDED,
    STREAM_ENDS,
    log_lines,
)

if TYPE_CHECKING:
    from fx_hooks.frameworks.wandb.record import WandbEnd
    from fx_hooks.frameworks.wandb.sync_logs import Sync, Syncs
    from fx_hooks.util.disk import Folder

INTERNAL_LOG = b"logs/debug-internal.log"


class Row(NamedTuple):
    """The log lines that count in some versions, for people and for the tests."""

    versions: str
    how: str
    log: str
    proof: str
    refusal: str
    unknown: str


TABLE = (
    Row(
        "0.18 and later", "online", "RUN/logs/debug-internal.log",
        '"complete":true is sent, and "filestream: request sent" with "200 OK" follows',
        'a line of level "ERROR" or "ERROR+4" about an upload, the filestream or an artifact, or a'
        ' run without an end whose last request the server failed ("api: retrying")',
        "neither of them: 0.18 to 0.23 log no such request, and a run that was killed sent none",
    ),
    Row(
        "before 0.18", "online", "RUN/logs/debug-internal.log",
        "none: the summary is written before all is uploaded",
        'ERROR with "dropped chunk" or "Failed to upload", or a file stream that did not finish, or'
        ' a run without an end whose last request the server failed ("retryable exception")',
        "all else: 0.12 to 0.14 do not log that the history was refused",
    ),
    Row(
        "0.28 and later", "wandb sync", "wandb/logs/debug-sync.TIME.log, where it was started",
        'for the path of the run, the same two lines after "runsync: starting to read"',
        "for the path of the run, the same lines of errors",
        "no such log is found (run-ID.wandb.synced alone is left by a refused sync, too), or the"
        " run was written to afterwards",
    ),
    Row(
        "0.19 to 0.27", "wandb sync", "none", "none", "none",
        "all: nothing is logged where the server refuses, either",
    ),
    Row(
        "to 0.18", "wandb sync", "wandb/debug-cli.USER.log, where it was started",
        "none",
        'after "open for scan: RUN", ERROR with "dropped chunk" or "Failed to upload"',
        "all else",
    ),
)  # fmt: skip


class Upload(NamedTuple):
    """The state of an upload: uploaded, not uploaded or unknown, and the reason."""

    proves: Proof
    reason: str
    evidence: tuple[Evidence, ...] = ()


def sync_of(folder: Folder, log: bytes, syncs: Syncs, end: WandbEnd | None) -> Upload | None:
    """Return what the last sync of *log* in *folder* proves; None where none has marked it.

    ``wandb sync`` touches ``run-ID.wandb.syncstate`` before it reads the log, and leaves an
    empty ``run-ID.wandb.synced`` when it is done, also where the server refused something.
    *end* is what the log says of its own end, if that is known.
    """
    times = {file[0]: file[3] for file in folder.files}
    mark = log + SYNCED_MARK
    if mark not in times:
        return None
    written = times[log]
    sync = syncs.last(folder, log)
    # While a sync waits for the server, the run may go on: what counts is when it read.
    marked = times[mark]
    told = (times.get(log + b".syncstate"), sync.began if sync is not None else None)
    # Versions before 0.31 leave the first, if at all, as it was when they sync again.
    began = max((time for time in told if time is not None and time <= marked), default=marked)
    evidence = (_evidence(folder.path + b"/" + mark, "there is one", Proof.NOTHING),)
    if sync is not None and sync.refused:
        said = _evidence(sync.place, "the server refused some of it", Proof.NOT_UPLOADED)
        why = "not all of its files could be uploaded when it was synced"
        return Upload(Proof.NOT_UPLOADED, why, (*evidence, said))
    if began < written:
        return Upload(Proof.NOTHING, "it was written to after it had been synced", evidence)
    if sync is None:
        why = "it is marked as synced, but no log of that sync says that all of it was uploaded"
        return Upload(Proof.NOTHING, why, evidence)
    if not sync.complete:
        said = _evidence(sync.place, "nothing says that all was sent", Proof.NOTHING)
        why = "it is marked as synced, but the log of that sync does not say that all was sent"
        return Upload(Proof.NOTHING, why, (*evidence, said))
    if not _has_read_all(sync, written, end):
        said = _evidence(sync.place, "all was sent before the last word", Proof.NOTHING)
        return Upload(Proof.NOTHING, "it was written to after it had been synced", (said,))
    said = _evidence(sync.place, "the server took all of it, and the last request", Proof.UPLOADED)
    return Upload(Proof.UPLOADED, "it has been synced", (*evidence, said))


def _has_read_all(sync: Sync, written: float, end: WandbEnd | None) -> bool:
    """Return whether *sync* began after the run's last word, by the file's time or its own.

    A copy of a run may have a new time; nothing is added to a log that has its end.
    """
    if sync.began >= written:
        return True
    ended = end.ended_at if end is not None else None
    return ended is not None and ended <= sync.began


def online_upload(folder: Folder, place: bytes, *, has_ended: bool) -> Upload:
    """Return what the run's own log in *folder*, at *place*, proves of its upload.

    A run that has not ended, and whose last request failed, was not sent as a whole.
    """
    logs = folder.folders.get(b"logs")
    path = folder.path + b"/" + INTERNAL_LOG
    if logs is None or b"debug-internal.log" not in logs.names():
        said = _evidence(path, "it is missing", Proof.NOTHING)
        return Upload(Proof.NOTHING, _NOT_SAID, (said,))
    log = os.path.join(place, INTERNAL_LOG)
    tail = read_tail(log)
    if tail is None:
        said = _evidence(path, "it cannot be read", Proof.NOTHING)
        return Upload(Proof.NOTHING, _NOT_SAID, (said,))
    if not has_ended and _failed_last(tail):
        said = _evidence(path, "the server failed when it was asked last", Proof.NOT_UPLOADED)
        why = "online, and it did not come to its end, when the server failed"
        return Upload(Proof.NOT_UPLOADED, why, (said,))
    if b'"msg":' not in tail:
        return _plain_upload(path, log, tail)
    if any(b'"ERROR' in line and REFUSED.search(line) for line in log_lines(log)):
        said = _evidence(path, "the server refused some of it", Proof.NOT_UPLOADED)
        return Upload(Proof.NOT_UPLOADED, _NOT_ALL, (said,))
    ends = [found.end() for found in COMPLETE.finditer(tail)]
    if ends and any(map(ANSWERED.search, tail[ends[-1] :].splitlines())):
        said = _evidence(path, "the server took all of it, and the last request", Proof.UPLOADED)
        return Upload(Proof.UPLOADED, "online, and all of it was uploaded", (said,))
    said = _evidence(path, "nothing says that all was sent and taken", Proof.NOTHING)
    return Upload(Proof.NOTHING, _NOT_SAID, (said,))


def _failed_last(tail: bytes) -> bool:
    """Return True if the server failed, and nothing says that it took anything afterwards."""
    failures = [found.end() for found in RETRIED.finditer(tail)]
    after = tail[failures[-1] :].splitlines() if failures else []
    return bool(failures) and not any(map(ANSWERED_ANY.search, after))


def _plain_upload(path: bytes, log: bytes, tail: bytes) -> Upload:
    if any(REFUSED_PLAIN.search(line) for line in log_lines(log)):
        said = _evidence(path, "the server refused some of it", Proof.NOT_UPLOADED)
        return Upload(Proof.NOT_UPLOADED, _NOT_ALL, (said,))
    if STREAM_ENDS in tail and STREAM_ENDED not in tail[tail.rfind(STREAM_ENDS) :]:
        said = _evidence(path, "it ended before all was sent", Proof.NOT_UPLOADED)
        return Upload(Proof.NOT_UPLOADED, "online, and it ended before all was sent", (said,))
    said = _evidence(path, "this version does not say what was taken", Proof.NOTHING)
    return Upload(Proof.NOTHING, _NOT_SAID, (said,))


_NOT_ALL = "online, and not all of its files could be uploaded"
_NOT_SAID = "online, and nothing says that all of it was uploaded"


def _evidence(read: bytes, says: str, proves: Proof) -> Evidence:
    return Evidence(read=os.fsdecode(read), says=says, proves=proves)
