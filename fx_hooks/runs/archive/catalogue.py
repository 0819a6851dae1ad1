"""All archives in a folder or below an address, searched without opening them.

The copies of the manifests next to the archives are the catalogue: each archive brings its own, in
one step, so that machines that archive at once do each other no harm. A copy that is missing,
damaged or older than its archive is not believed: then the archive says itself what is in it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.reporting.layout import plural
from fx_hooks.runs.archive.manifest import (
    MAX_BYTES,
    SUFFIX,
    BadManifest,
    Manifest,
    as_text,
    from_json,
)
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.storage import Storage, is_address
from fx_hooks.runs.metrics import value_of
from fx_hooks.util.disk import files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import encoded, shown
from fx_hooks.util.strict_json import finite
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.runs.query import Query

ENDS = (".tar.gz", ".tar.zst")
_AT_ONCE = 8


class Listed(NamedTuple):
    """An archive and the copy of its manifest, as their folder lists them.

    The times are those of the last change, in whatever form the storage has them, or None.
    """

    name: str
    size: int | None
    written: Any = None
    copy_size: int | None = None
    copy_written: Any = None


class Hit(NamedTuple):
    """A run in an archive that fits a query: what the archive says of it.

    It is the *archived* one, which alone can be restored, or lies in it, or was started by it.
    """

    archive: str
    archived: str
    path: str
    about: Mapping[str, Any]


class Searched(NamedTuple):
    """The runs found, and the archives that could not be searched.

    ``undecided`` counts runs without a metric that the query is about. ``notes`` name archives
    whose copy was not believed, ``unread`` those that cannot be read, and why.
    """

    hits: tuple[Hit, ...]
    archives: int
    runs: int
    undecided: int
    notes: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]


def search(places: Sequence[str], query: Query) -> Searched:
    """Search the archives in *places*: folders, addresses that end so, or archives.

    Raises :class:`~fx_hooks.util.errors.FatalError` if the only one of them cannot be listed.
    """
    listed: dict[str, Listed] = {}
    hits: list[Hit] = []
    notes, unread = [], []
    for place in places:
        archives, fault = _listing(place)
        listed |= {one.name: one for one in archives}
        if fault is not None:
            if len(places) == 1:
                raise fault
            unread.append((place, str(fault).removeprefix(f"{place}: ")))
    runs = undecided = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = zip(listed, pool.map(_manifest, listed.values()), strict=True)
        for name, (manifest, why) in answers:
            if manifest is None:
                unread.append((name, why))
                continue
            if why:
                notes.append(f"{name}: {why}: the archive itself was read")
            for archived, path, about in _runs(manifest):
                runs += 1
                metrics = about.get("metrics")
                fits = query.test(metrics if isinstance(metrics, dict) else {})
                undecided += fits is None
                hits += [Hit(name, archived, path, about)] * (fits is True)
    return Searched(tuple(hits), len(listed), runs, undecided, tuple(notes), tuple(unread))


def _listing(place: str) -> tuple[list[Listed], FatalError | None]:
    try:
        return archives_in(place), None
    except FatalError as exc:
        return [], exc


def _runs(manifest: Manifest) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the runs of an archive, each with the archived path and its own.

    Those in it stand for a job without figures.
    """
    for run in manifest.runs:
        path = as_text(run.path)
        inner = run.about.get("runs")
        told = [each for each in inner if isinstance(each, dict)] if isinstance(inner, list) else []
        if run.about.get("metrics") or not told:
            yield path, path, run.about
        for each in told:
            yield path, str(each.get("path")), each


def archives_in(place: str) -> list[Listed]:
    """Return the archives at *place*, sorted by name."""
    if place.endswith(ENDS):
        folder, slash, name = place.rpartition("/")
        return [
            one for one in archives_in(folder + slash or ".") if one.name.rpartition("/")[2] == name
        ] or [Listed(place, None)]
    sizes = _in_storage(place) if is_address(place) else _on_disk(place)
    return [
        Listed(_joined(place, name), *sizes[name], *sizes.get(name + SUFFIX, (None, None)))
        for name in sorted(sizes)
        # What begins with a dot is not whole yet.
        if name.endswith(ENDS) and not name.startswith(".fx-")
    ]


def _joined(place: str, name: str) -> str:
    return name if place == "." else f"{place.rstrip('/')}/{name}"


def _on_disk(folder: str) -> dict[str, tuple[int | None, Any]]:
    found: dict[str, tuple[int | None, Any]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found[entry.name] = (None, None)
                with contextlib.suppress(OSError):  # a link that leads nowhere
                    status = entry.stat()
                    found[entry.name] = (status.st_size, status.st_mtime)
    except OSError as exc:
        raise FatalError(f"{folder}: cannot be listed: {exc.strerror}") from exc
    return found


def _in_storage(address: str) -> dict[str, tuple[int | None, Any]]:
    return {**Storage(address).listed()}


def _manifest(listed: Listed) -> tuple[Manifest | None, str]:
    """Return what is in an archive, and why its copy was not believed or it cannot be read."""
    try:
        return _copy(listed), ""
    except BadManifest as exc:
        why = str(exc)
    try:
        with Archive(os.fsencode(listed.name)) as archive:
            return archive.manifest, why
    except FatalError as exc:
        return None, str(exc).removeprefix(f"{listed.name}: ")


def _copy(listed: Listed) -> Manifest:
    """Return the copy of the manifest; raises :class:`BadManifest` where it is not believed."""
    if listed.copy_size is None or listed.size is None:
        raise BadManifest("the copy of its manifest is missing")
    try:
        # An archive gets its name before its copy does.
        is_old = listed.copy_written < listed.written
    except TypeError:
        raise BadManifest("it is not known when the copy of its manifest was written") from None
    if is_old:
        raise BadManifest("the copy of its manifest is older")
    try:
        text = _read(listed.name + SUFFIX)
        manifest = from_json(text)
    except (BadManifest, FatalError, OSError) as exc:
        raise BadManifest("the copy of its manifest is damaged, or cannot be read") from exc
    if manifest.runs and manifest.runs[-1].end >= listed.size:
        raise BadManifest("the copy of its manifest is that of another archive")
    return manifest


def _read(name: str) -> bytes:
    if is_address(name):
        reader = Storage(name).reader()
        try:
            return reader.read(MAX_BYTES)
        finally:
            reader.close()
    with open(name, "rb", opener=files_only) as file:
        return file.read(MAX_BYTES)


def folder_of(name: str) -> str:
    """Return the folder or address that an archive lies in."""
    return name.rpartition("/")[0] or "."


def as_json(found: Searched, query: Query) -> str:
    """Return what was found, as JSON."""
    runs = []
    for hit in found.hits:
        # What an archive says of a run does not say where that is.
        own = {"archive": hit.archive, "archived": hit.archived, "path": hit.path}
        runs.append({**own, **hit.about, **own})
    return json.dumps(
        {
            "condition": query.text,
            "archives": found.archives,
            "searched": found.runs,
            "undecided": found.undecided,
            "runs": [finite(run) for run in runs],
            "notes": list(found.notes),
            "unread": [{"archive": name, "why": why} for name, why in found.unread],
        },
        indent=2,
    )


def as_lines(found: Searched, query: Query) -> Iterator[str]:
    """Yield what was found, for people."""
    yield (
        f"{plural(len(found.hits), 'run')} of {found.runs:,} in {plural(found.archives, 'archive')}"
    )
    archive = ""
    for hit in found.hits:
        if hit.archive != archive:
            archive = hit.archive
            yield f"{shown(os.fsencode(archive))}:"
        figures = ", ".join(
            f"{name} {value}" for name in query.names if (value := _value(hit, name))
        )
        places = [hit.archived]
        if hit.path != hit.archived:
            places.append(hit.path.removeprefix(f"{hit.archived}/"))
        where = ": ".join(shown(encoded(place)) for place in places)
        yield f"  {where}: {one_line(figures)}"
    if found.undecided:
        names = " or ".join(query.names)
        yield one_line(f"note: {plural(found.undecided, 'run')} without {names}: not decided")
    yield from (f"note: {one_line(note)}" for note in found.notes)
    for name, why in found.unread:
        yield one_line(f"not searched: {name}: {why}")


def _value(hit: Hit, name: str) -> str:
    metrics = hit.about.get("metrics")
    value = value_of(metrics, name) if isinstance(metrics, dict) else None
    return "" if value is None else f"{value:.6g}"
