"""The manifest of an archive of runs: what is in it, to be read without unpacking it.

What an archive says of itself is believed in nothing: every path, type and number is
checked before anything is done with it.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from fx_hooks.runs.archive.autorun import runs_code
from fx_hooks.util.str_enum import StrEnum
from fx_hooks.util.strict_json import NotStrict, parse_json

FORMAT, VERSION = "fx-runs", 1
START = f'{{"format": "{FORMAT}",'.encode()  # of what to_json writes
# The member of the tar archive, and the end of the name of the copy next to it.
MEMBER = "fx-runs.manifest.json"
SUFFIX = ".manifest.json"
MAX_BYTES = 1 << 28  # more than a million files
_NANO = 1_000_000_000
_MTIME = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,9}))?\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_MODE = re.compile(r"[0-7]{4}\Z")
_LARGEST = 1 << 62


class Type(StrEnum):
    """The type of an entry of a run, as the manifest has it."""

    FILE = "file"
    FOLDER = "directory"
    LINK = "link"
    HARD_LINK = "hard link"


_TYPES = {one.value: one for one in Type}


class BadManifest(Exception):
    """A broken manifest; the message says why in a few words."""


class Entry(NamedTuple):
    """One file, directory or link of a run.

    ``path`` is below the run, empty for the run itself; ``mtime`` is in nanoseconds. A
    hard link has the size and digest of its file, and in ``target`` where that is,
    from the root: it comes before it, maybe in another run.

    ``data`` is None where the digest is that of the content. A file that is nearly all holes
    has a digest of its map and its ``data`` bytes: that of a terabyte of zeros takes an hour.
    """

    path: bytes
    type: Type
    mode: int
    mtime: int
    size: int = 0
    sha256: str = ""
    target: bytes = b""
    data: int | None = None

    @property
    def stored(self) -> int:
        """The bytes of content that an archive has of it, at most, with the map of its holes."""
        return self.size if self.data is None else self.data + self.data // 8


class PackedRun(NamedTuple):
    """A run in an archive: what is known about it, and what it consists of.

    Parents come before their children. ``left_out`` has what cannot be packed: sockets,
    named pipes, devices. ``start`` and ``end`` are where its section lies.
    """

    path: bytes
    about: Mapping[str, Any]
    entries: tuple[Entry, ...]
    left_out: tuple[bytes, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """The bytes of its files and links; what is hard-linked counts once."""
        return sum(entry.size or len(entry.target) for entry in self.entries if counts(entry))

    @property
    def files(self) -> int:
        """The number of files and links in it."""
        return sum(entry.type is not Type.FOLDER for entry in self.entries)


def map_of(parts: Iterable[tuple[int, int]], size: int) -> bytes:
    """Return where a sparse file has its data, as its digest begins."""
    lines = (f"{start} {length}\n" for start, length in parts if length)
    return ("".join(lines) + f"{size}\n").encode()


def counts(entry: Entry) -> bool:
    """Return True if *entry* takes space of its own."""
    return entry.type in (Type.FILE, Type.LINK)


class Manifest(NamedTuple):
    """All runs of an archive, in their order in it."""

    created: str
    by: str
    runs: tuple[PackedRun, ...]


def as_text(path: bytes) -> str:
    """*path* as JSON and tar have it: bytes that are no UTF-8 are surrogate escapes."""
    return path.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the other way round; raises :class:`BadManifest`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as exc:
        raise BadManifest("has a name that no path can have") from exc


def join(run: bytes, path: bytes) -> bytes:
    """Return the path of an entry from the root."""
    return run + b"/" + path if path else run


def decimal(mtime: int) -> str:
    """Nanoseconds as seconds, exactly."""
    sign, (seconds, rest) = ("-" if mtime < 0 else ""), divmod(abs(mtime), _NANO)
    return f"{sign}{seconds}.{rest:09}"


def nanoseconds(text: str) -> int:
    """Return the other way round; raises :class:`BadManifest`."""
    match = _MTIME.match(text)
    if match is None:
        raise BadManifest("has a time that is none")
    value = int(match[2]) * _NANO + int((match[3] or "").ljust(9, "0"))
    return -value if match[1] else value


def to_json(manifest: Manifest) -> bytes:
    """*manifest* as JSON, a line each file."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "created": manifest.created,
        "by": manifest.by,
    }
    runs = ",\n".join(_run_json(run) for run in manifest.runs)
    return f'{json.dumps(head)[:-1]}, "runs": [\n{runs}\n]}}\n'.encode()


def _run_json(run: PackedRun) -> str:
    head = {
        "path": as_text(run.path),
        "about": dict(run.about),
        "size": run.size,
        "section": [run.start, run.end],
        "left_out": [as_text(path) for path in run.left_out],
    }
    lines = ",\n".join(json.dumps(dict(_entry_fields(entry))) for entry in run.entries)
    return f'{json.dumps(head, allow_nan=False)[:-1]}, "files": [\n{lines}\n]}}'


def _entry_fields(entry: Entry) -> Iterator[tuple[str, Any]]:
    yield "path", as_text(entry.path)
    yield "type", entry.type
    yield "mode", f"{entry.mode:04o}"
    yield "mtime", decimal(entry.mtime)
    if entry.type in (Type.FILE, Type.HARD_LINK):
        yield "size", entry.size
        yield "sha256", entry.sha256
    if entry.data is not None:
        yield "data", entry.data
    if entry.type in (Type.LINK, Type.HARD_LINK):
        yield "target", as_text(entry.target)


def from_json(text: bytes) -> Manifest:
    """Return the manifest that *text* is, checked; raises :class:`BadManifest`."""
    try:
        value = parse_json(text)
    except NotStrict as exc:
        raise BadManifest(str(exc)) from exc
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadManifest("is not that of an archive of runs")
    if value.get("version") != VERSION:
        raise BadManifest("is of another version: use a newer fx-hooks")
    runs = tuple(_run(item) for item in _field(value, "runs", list))
    _check_runs(runs)
    return Manifest(_field(value, "created", str), _field(value, "by", str), runs)


def _field(value: Any, key: str, kind: type) -> Any:
    found = value.get(key) if isinstance(value, dict) else None
    if type(found) is not kind:
        raise BadManifest(f"has no {key} where it has to")
    return found


def _number(value: Any, key: str) -> int:
    number: int = _field(value, key, int)
    if not 0 <= number < _LARGEST:
        raise BadManifest(f"has a {key} that is none")
    return number


def _run(value: Any) -> PackedRun:
    section = _field(value, "section", list)
    bounds = {str(number): bound for number, bound in enumerate(section)}
    return PackedRun(
        as_bytes(_field(value, "path", str)),
        MappingProxyType(_field(value, "about", dict)),
        tuple(_entry(item) for item in _field(value, "files", list)),
        tuple(as_bytes(str(path)) for path in _field(value, "left_out", list)),
        _number(bounds, "0"),
        _number(bounds, "1"),
    )


def _entry(value: Any) -> Entry:
    kind, mode = _TYPES.get(_field(value, "type", str)), _field(value, "mode", str)
    if kind is None or not _MODE.match(mode):
        raise BadManifest("has an entry of another type")
    size, sha256, target = 0, "", b""
    if kind in (Type.FILE, Type.HARD_LINK):
        size, sha256 = _number(value, "size"), _field(value, "sha256", str)
        if not _SHA256.match(sha256):
            raise BadManifest("has a digest that is none")
    if kind in (Type.LINK, Type.HARD_LINK):
        target = as_bytes(_field(value, "target", str))
        if not target or b"\0" in target:
            raise BadManifest("has a link without a target")
    data = None
    if kind in (Type.FILE, Type.HARD_LINK) and "data" in value:
        data = _number(value, "data")
        if data > size:
            raise BadManifest("has a file with more data than it is long")
    path, mtime = _field(value, "path", str), _field(value, "mtime", str)
    return Entry(as_bytes(path), kind, int(mode, 8), nanoseconds(mtime), size, sha256, target, data)


def _check_runs(runs: Sequence[PackedRun]) -> None:
    """Nothing lies outside its run, within a link, or twice; sections follow each other."""
    position = 0
    places: set[bytes] = set()
    contents: dict[bytes, Entry] = {}
    for run in runs:
        if not may_be_run(run.path):
            raise BadManifest("has a run at a path that leads elsewhere")
        if run.start != position or run.end <= run.start:
            raise BadManifest("has sections that do not follow each other")
        position = run.end
        places.add(run.path)
        _check_entries(run, contents)
    if len(places) < len(runs) or any(
        parent in places for path in places for parent in above(path)
    ):
        raise BadManifest("has a run within another one")


def _check_entries(run: PackedRun, contents: dict[bytes, Entry]) -> None:
    folders: set[bytes] = set()
    seen: set[bytes] = set()
    for number, entry in enumerate(run.entries):
        path = entry.path
        if (number == 0) != (path == b"") or (number == 0 and entry.type is not Type.FOLDER):
            raise BadManifest("has a run that is not a directory")
        if path and (not is_plain(path) or path.rpartition(b"/")[0] not in folders):
            raise BadManifest("has a file at a path that leads elsewhere")
        if path in seen:
            raise BadManifest("has a file twice")
        seen.add(path)
        if entry.type is Type.FOLDER:
            folders.add(path)
        elif entry.type is Type.FILE:
            contents[join(run.path, path)] = entry
        elif entry.type is Type.HARD_LINK:
            other = contents.get(entry.target)
            if other is None or other[4:6] + other[7:] != entry[4:6] + entry[7:]:
                raise BadManifest("has a hard link to a file that it does not have")
    if not seen:
        raise BadManifest("has a run that is not a directory")


def above(path: bytes) -> Iterator[bytes]:
    """Yield the folders above *path*, the innermost first."""
    while path := path.rpartition(b"/")[0]:
        yield path


def is_plain(path: bytes, *, windows: bool = False) -> bool:
    """Return True if *path* names something below the folder it is taken in, on any system."""
    parts = path.split(b"/")
    if b"\0" in path or not {b"", b".", b".."}.isdisjoint(parts):
        return False
    return not (windows and re.search(rb'[\\:*?"<>|\x00-\x1f]|[. ](?:/|\Z)', path))


def may_be_run(path: bytes) -> bool:
    """Return True if *path* may be written to: not where programs look for commands."""
    return is_plain(path) and not any(map(runs_code, path.split(b"/")))


def mode_of(entry: Entry) -> int:
    """Return the permissions to restore: never those that make a program run as somebody else."""
    return entry.mode & (stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
