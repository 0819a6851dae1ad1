"""One run, wherever it is: on disk, in an archive, at W&B, or in the log of deleted runs."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fx_hooks.best_models.run_identity import identity_of
from fx_hooks.frameworks.framework import Details, Role
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.frameworks.run_files import at
from fx_hooks.frameworks.wandb.details import run_address
from fx_hooks.runs.archive.manifest import SUFFIX, as_text
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.archive.storage import is_address
from fx_hooks.runs.deletion_log import NAME as LOG
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import encoded, parents, shown

if TYPE_CHECKING:
    from fx_hooks.runs.archive.manifest import PackedRun
    from fx_hooks.runs.inventory import Run, Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A run that is looked for: where it lay, its identity, its W&B id."""

    path: bytes = b""
    identity: str = ""
    wandb_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One run. Paths are from the root; ``path`` is where it lies or lay.

    ``deleted`` is the time when it was deleted, ``archives`` the archives that hold it, by
    their place on this machine or their address. ``unread`` are those that cannot be read, and why.
    """

    path: bytes
    kind: str = ""
    state: str = ""
    on_disk: bool = False
    archives: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    deleted: str = ""
    details: Details = field(default_factory=Details)
    runs: tuple[bytes, ...] = ()
    milestones: tuple[bytes, ...] = ()

    @property
    def wandb(self) -> Mapping[str, str]:
        """The run's id, project, entity and address, as far as they are known."""
        known = {key: str(value) for key, value in self.details.wandb.items()}
        address = known.get("url") or run_address(known)
        return {**known, "url": address} if address else known


def look_up(
    found: Survey, named: Named, archives: Sequence[str], log: Sequence[Mapping[str, Any]]
) -> Found | None:
    """Return the run that *named* means; None where it is nowhere.

    *archives* are files to look into; one that cannot be read raises
    :class:`~fx_hooks.util.errors.FatalError`.
    """
    run = _on_disk(found, named)
    entry = _in_log(log, named) if run is None else None
    path = run.path if run is not None else named.path
    named = replace(named, path=path)
    packed = list(_packed(archives, named))
    told = entry.get("archive") if entry is not None else None
    unread = {}
    if isinstance(told, str) and is_address(told) and told not in archives:
        # It may be out of reach, and the log knows something, too.
        try:
            packed += _packed([told], named)
        except FatalError as exc:
            unread[told] = str(exc).removeprefix(f"{told}: ")
    if run is not None:
        result = _living(found, run)
    elif packed:
        result = _from_archive(packed[-1][1], named)
    elif entry is not None:
        result = Found(
            path=encoded(entry["path"]),
            kind=str(entry.get("kind") or ""),
            details=Details(wandb={"id": entry["run_id"]} if entry.get("run_id") else {}),
        )
    else:
        return None
    return replace(
        result,
        archives=(*(name for name, _ in packed), *unread),
        unread=unread,
        deleted=str(entry.get("time") or "") if entry is not None else "",
    )


def _on_disk(found: Survey, named: Named) -> Run | None:
    by_path = {run.path: run for run in found.runs}
    for path in (named.path, *reversed(parents(named.path))):
        run = by_path.get(path)
        # What nothing tells apart from the run that lay there is that run.
        if run is not None and _is_it(found, run, named) is not False:
            return run
    return next((run for run in found.runs if _is_it(found, run, named)), None)


def _is_it(found: Survey, run: Run, named: Named) -> bool | None:
    """Return whether *run* has the identity or the id that is looked for; None where none tells."""
    if named.identity:
        place = os.path.join(os.fsdecode(found.root), os.fsdecode(run.path))
        try:
            return identity_of(place) == named.identity
        except OSError:
            return None
    ids = {other.run_id for other in found.belonging(run)} - {""}
    return named.wandb_id in ids if named.wandb_id and ids else None


def _living(found: Survey, run: Run) -> Found:
    _, *inner = found.belonging(run)
    # The runs of other tools that belong to a job tell what it does not tell itself.
    telling = [run] if KINDS[run.kind].role is Role.GROUP else [run, *inner]
    parts = [KINDS[each.kind].details(os.path.join(found.root, each.path)) for each in telling]
    return Found(
        path=run.path,
        kind=run.kind,
        state=f"{run.state}: {run.reason}",
        on_disk=True,
        details=joined(parts),
        runs=tuple(each.path for each in inner),
        milestones=run.milestones,
    )


def joined(parts: Sequence[Details]) -> Details:
    """Return the first value that is known of each field."""
    known = {
        name: next((value for part in parts if (value := getattr(part, name))), None)
        for name in Details._fields
    }
    return Details(**{name: value for name, value in known.items() if value})


def _packed(archives: Sequence[str], named: Named) -> Iterator[tuple[str, PackedRun]]:
    """Yield the archives that hold the run, the newest last, and what they say of it."""
    hits = []
    for name in dict.fromkeys(archives):
        with Archive(os.fsencode(name)) as archive:
            made = archive.manifest.created
            hits += [(made, name, run) for run in archive.manifest.runs if _holds(run, named)]
    for _, name, run in sorted(hits, key=lambda hit: hit[:2]):
        yield name, run


def _holds(run: PackedRun, named: Named) -> bool:
    if named.path and run.path in (named.path, *parents(named.path)):
        return True
    return bool(named.wandb_id) and named.wandb_id in {
        at(each, "wandb", "id") for each in (run.about, *_inner(run))
    }


def _inner(run: PackedRun) -> list[Mapping[str, Any]]:
    """Return what an archive says of the runs in *run*."""
    inner = run.about.get("runs")
    return [each for each in inner if isinstance(each, dict)] if isinstance(inner, list) else []


def _from_archive(run: PackedRun, named: Named) -> Found:
    """Return what an archive says of *run*, or of the one in it that *named* means."""
    inner = _inner(run)
    path = as_text(named.path)
    own = next((each for each in inner if path and each.get("path") == path), run.about)
    tells = [own, *inner] if own is run.about and len(inner) == 1 else [own]
    return Found(
        path=named.path if own is not run.about else run.path,
        kind=str(own.get("kind") or ""),
        state=f"{own.get('state')}: {own.get('reason')}" if own.get("state") else "",
        details=joined([_told(each) for each in tells]),
        runs=() if own is not run.about else tuple(encoded(str(e.get("path"))) for e in inner),
    )


def _told(about: Mapping[str, Any]) -> Details:
    """Return the details in what an archive says, of which nothing is believed to be there."""
    metrics, wandb, command = about.get("metrics"), about.get("wandb"), about.get("command")
    commit, directory = about.get("commit"), about.get("directory")
    return Details(
        about.get("config"),
        about.get("overrides"),
        metrics if isinstance(metrics, dict) else {},
        {k: v for k, v in wandb.items() if isinstance(v, str)} if isinstance(wandb, dict) else {},
        commit if isinstance(commit, str) else "",
        tuple(word for word in command if isinstance(word, str))
        if isinstance(command, list)
        else (),
        directory if isinstance(directory, str) else "",
    )


def known_archives(found: Survey, log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the archives of runs below the root, and those that runs were deleted after.

    A file is one if its manifest lies next to it.
    """
    suffix = os.fsencode(SUFFIX)
    names = []
    for folder in found.scan.top.walk():
        files = set(folder.names())
        names += [
            os.fsdecode(os.path.join(found.root, folder.path, name.removesuffix(suffix)))
            for name in sorted(files)
            if name.endswith(suffix) and name.removesuffix(suffix) in files
        ]
    told = [entry["archive"] for entry in log if isinstance(entry.get("archive"), str)]
    return [*dict.fromkeys([*names, *(name for name in told if os.path.isfile(name))])]


def read_log(git_directory: bytes) -> list[dict[str, Any]]:
    """Return the entries of the log of deleted runs, the oldest first; a broken line is left out.

    Raises :class:`~fx_hooks.util.errors.FatalError` where it is there and cannot be read.
    """
    place = os.path.join(git_directory, LOG)
    entries = []
    try:
        with open(place, "rb", opener=files_not_links) as file:
            for line in file:
                with contextlib.suppress(ValueError, RecursionError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and isinstance(entry.get("path"), str):
                        entries.append(entry)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise FatalError(f"{shown(place)}: cannot be read: {exc.strerror}") from exc
    return entries


def _in_log(log: Sequence[Mapping[str, Any]], named: Named) -> Mapping[str, Any] | None:
    paths = {as_text(path) for path in (named.path, *parents(named.path)) if path}
    return next(
        (
            entry
            for entry in reversed(log)
            if entry["path"] in paths or (named.wandb_id and entry.get("run_id") == named.wandb_id)
        ),
        None,
    )
