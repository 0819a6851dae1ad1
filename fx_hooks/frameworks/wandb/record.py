"""``run-ID.wandb``: what a W&B run wrote, also where nothing was synced.

An offline run leaves no ``wandb-summary.json``; all it knows is in this log. The file is
LevelDB's log format after a header of seven bytes, and each record a protocol buffer
(``Record`` in wandb 0.31's ``wandb_internal.proto``, whose field numbers stand below).
Only what is needed is decoded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_HEADER = b":W&B"
HEADER_BYTES = 7
BLOCK = 1 << 15
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
# A record is a step of the history; a log with longer ones is cut there.
_MAX_RECORD = 16 << 20

# The last record of a run that ended is that of its exit, and a small one.
_END_BLOCKS = 4

# Fields of Record, RunRecord, HistoryRecord, SummaryRecord, ConfigRecord and their items.
_HISTORY, _SUMMARY, _CONFIG, _RUN, _EXIT, _ENVIRONMENT = 2, 3, 5, 17, 18, 26
_RUN_ID, _ENTITY, _PROJECT, _RUN_CONFIG, _GIT = 1, 2, 3, 4, 21
_FILES, _FILE, _PATH = 6, 1, 1
_ARTIFACT, _MANIFEST, _ENTRIES, _LISTED_IN = 8, 12, 4, 5
_NAME, _DIGEST = 5, 6
_REFERENCE, _LOCAL = 3, 6
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_COMMIT = 2
_RUN_HOST, _HOST = 13, 12
_START, _SECONDS, _NANOSECONDS = 17, 1, 2
_EXIT_CODE, _RUNTIME = 1, 2
# The first record is the run's, with its configuration.
_HEAD = 1 << 20


class WandbLog(NamedTuple):
    """The content of a log; texts and mappings are empty where it says nothing.

    ``summary`` has the last value of each key of the history, and what the run itself
    put into its summary; ``config`` what it was started with.
    """

    run_id: str
    entity: str
    project: str
    commit: str
    config: dict[str, Any]
    summary: dict[str, Any]
    host: str = ""


class WandbHead(NamedTuple):
    """The run's id, and when it began in seconds since the epoch, as far as a log says."""

    run_id: str
    started: float | None


class WandbSent(NamedTuple):
    """The content that the server has to have, as a log says.

    ``steps`` counts the rows of the history, ``summary`` is what the run put there itself, and
    ``artifacts`` are the names of those that it logged, by digest. A log is ``whole`` if it can be
    read to its end, be that in the middle of a record, as where a run was killed.
    """

    run_id: str
    entity: str
    project: str
    steps: int
    summary: dict[str, Any]
    artifacts: dict[str, str]
    whole: bool


class WandbEnd(NamedTuple):
    """The end of a run; ``exit_code`` is None if it is not recorded.

    ``ended_at`` is in seconds since the epoch, where the log says it.
    """

    exit_code: int | None
    ended_at: float | None = None


def read_wandb_end(file: BinaryIO) -> WandbEnd:
    """Return how the run ended, from the last blocks of its log alone."""
    size = file.seek(0, os.SEEK_END)
    last = max(size - 1, 0) // BLOCK
    for block in range(last, max(last - _END_BLOCKS, -1), -1):
        for record in _records(file, block * BLOCK):
            for field, content in _fields(record):
                if field == _EXIT:
                    numbers = _numbers(content)
                    # Left out where it is 0.
                    code = numbers.get(_EXIT_CODE, 0)
                    began = read_wandb_head(file).started
                    ended_at = None if began is None else began + numbers.get(_RUNTIME, 0) + 1
                    return WandbEnd(code - (1 << 64) if code >> 63 else code, ended_at)
    return WandbEnd(None)


def read_wandb_head(file: BinaryIO) -> WandbHead:
    """Return what the run's first record says."""
    for record in _records(file, limit=_HEAD):
        for field, content in _fields(record):
            if field == _RUN:
                found = dict(_fields(content))
                time = found.get(_START)
                run_id = found.get(_RUN_ID, b"").decode("utf-8", "replace")
                return WandbHead(run_id, _seconds(time) if time else None)
    return WandbHead("", None)


def _seconds(time: bytes) -> float:
    """Return what a ``Timestamp`` says."""
    found = _numbers(time)
    return found.get(_SECONDS, 0) + found.get(_NANOSECONDS, 0) / 1e9


def _numbers(message: bytes) -> dict[int, int]:
    """Return the numbers at the beginning of a message, by their fields."""
    found: dict[int, int] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7:
            break
        found[tag >> 3], position = _varint(message, position)
    return found


def read_wandb_log(file: BinaryIO, *, limit: int | None = None) -> WandbLog:
    """Read as much of a log as is whole: a run that was killed leaves half a record.

    With *limit*, only what its first bytes say: the history is what makes a log long.
    """
    texts = {_RUN_ID: "", _ENTITY: "", _PROJECT: ""}
    commit = host = ""
    config: dict[str, Any] = {}
    history: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in _records(file, limit=limit):
        for field, content in _fields(record):
            if field == _HISTORY:
                _update(history, content)
            elif field == _SUMMARY:
                _update(summary, content)
            elif field == _CONFIG:
                _update(config, content)
            elif field == _RUN:
                for part, value in _fields(content):
                    if part in texts:
                        texts[part] = value.decode("utf-8", "replace")
                    elif part == _RUN_CONFIG:
                        _update(config, value)
                    elif part == _GIT:
                        commit = dict(_fields(value)).get(_COMMIT, b"").decode("ascii", "replace")
                    elif part == _RUN_HOST:
                        host = value.decode("utf-8", "replace")
            elif field == _ENVIRONMENT:
                host = dict(_fields(content)).get(_HOST, b"").decode("utf-8", "replace") or host
    return WandbLog(
        texts[_RUN_ID],
        texts[_ENTITY],
        texts[_PROJECT],
        commit,
        config,
        {**history, **summary},
        host,
    )


def read_wandb_files(file: BinaryIO) -> set[str]:
    """Return the paths, in the folder ``files``, of what the run has handed over to be sent."""
    return {
        value.decode("utf-8", "surrogateescape")
        for record in _records(file)
        for field, content in _fields(record)
        if field == _FILES
        for part, item in _fields(content)
        if part == _FILE
        for key, value in _fields(item)
        if key == _PATH
    }


def read_wandb_sent(file: BinaryIO) -> WandbSent:
    """Return what the server has to have of the run, after as much of its log as is whole."""
    names = {_RUN_ID: "", _ENTITY: "", _PROJECT: ""}
    steps = 0
    summary: dict[str, Any] = {}
    artifacts: dict[str, str] = {}
    for record in _records(file):
        for field, content in _fields(record):
            if field == _HISTORY:
                steps += 1
            elif field == _SUMMARY:
                _update(summary, content)
            elif field == _RUN:
                found = dict(_fields(content))
                names.update(
                    (key, found[key].decode("utf-8", "replace")) for key in names.keys() & found
                )
            elif field == _ARTIFACT:
                found = dict(_fields(content))
                digest = found.get(_DIGEST, b"").decode("utf-8", "replace")
                artifacts[digest] = found.get(_NAME, b"").decode("utf-8", "replace")
    # What is behind a record that cannot be read is unknown.
    whole = not file.read(1)
    return WandbSent(
        names[_RUN_ID], names[_ENTITY], names[_PROJECT], steps, summary, artifacts, whole
    )


def read_wandb_entries(file: BinaryIO) -> Iterator[tuple[str, str, str]]:
    """Yield what the artifacts that a run has logged consist of.

    Each is a reference, the place of the file on this machine, and the place of a list of
    more; what there is none of is empty.
    """
    for record in _records(file):
        for field, artifact in _fields(record):
            for part, manifest in _fields(artifact) if field == _ARTIFACT else ():
                for key, value in _fields(manifest) if part == _MANIFEST else ():
                    if key == _LISTED_IN:
                        yield "", "", value.decode("utf-8", "surrogateescape")
                    elif key == _ENTRIES:
                        entry = dict(_fields(value))
                        reference, local = (
                            entry.get(number, b"").decode("utf-8", "surrogateescape")
                            for number in (_REFERENCE, _LOCAL)
                        )
                        yield reference, local, ""


def _update(values: dict[str, Any], record: bytes) -> None:
    """Apply the updates and removals of a record to *values*."""
    for field, item in _fields(record):
        if field not in (_UPDATE, _REMOVE):
            continue
        name: list[str] = []
        text = b"null"
        for part, value in _fields(item):
            if part in (_KEY, _NESTED_KEY):
                name.append(value.decode("utf-8", "replace"))
            elif part == _VALUE:
                text = value
        key = ".".join(filter(None, name))
        # W&B's own: step, runtime, timestamp.
        if not key or key.startswith("_"):
            continue
        if field == _REMOVE:
            values.pop(key, None)
            continue
        try:
            values[key] = json.loads(text)
        except (ValueError, RecursionError):
            continue


def _records(file: BinaryIO, start: int = 0, *, limit: int | None = None) -> Iterator[bytes]:
    """Yield the records of a log, each put together from its pieces; up to the first odd one.

    From *start* on, where a block begins; up to *limit* bytes, about.
    """
    file.seek(0)
    if file.read(HEADER_BYTES)[: len(_HEADER)] != _HEADER:
        return
    position = file.seek(max(start, HEADER_BYTES))
    # To put each piece behind the others at once would copy all of them each time.
    pieces: list[bytes] | None = None
    size = 0
    while limit is None or position < limit:
        left = BLOCK - position % BLOCK
        if left < 7:  # the rest of a block is filled up
            filling = len(file.read(left))
            if filling < left:
                return
            position += left
            continue
        head = file.read(7)
        if len(head) < 7:
            return
        length, kind = int.from_bytes(head[4:6], "little"), head[6]
        piece = file.read(length)
        position += 7 + length
        if len(piece) < length or kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
            return
        if kind in (_FULL, _FIRST):
            pieces, size = [], 0
        elif pieces is None:
            continue  # it began before the block did
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_RECORD:
            return
        if kind in (_FULL, _LAST):
            yield b"".join(pieces)
            pieces = None


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of a protocol buffer that hold texts or messages, in order."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(message, position)
        elif kind == 1:
            position += 8
        elif kind == 2:
            length, position = _varint(message, position)
            yield tag >> 3, message[position : position + length]
            position += length
        elif kind == 5:
            position += 4
        else:
            return


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Return a number and where it ends; a cut one ends with the message."""
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, position
