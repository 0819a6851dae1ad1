"""Files in a run that are not a part of it; they keep the run from being deleted.

A folder that Hydra wrote into is a run with everything in it, and W&B's runs are not looked
for in each corner of one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.artifacts.tree_reader import is_source
from fx_hooks.frameworks.framework import Ending, State
from fx_hooks.frameworks.wandb.ending import wandb_ending, was_synced
from fx_hooks.frameworks.wandb.names import FOLDERS, RUN_NAME, log_name
from fx_hooks.frameworks.wandb.sync_logs import Syncs
from fx_hooks.runs.archive.manifest import SUFFIX
from fx_hooks.runs.archive.sections import is_marked
from fx_hooks.runs.layouts import (
    HYDRA_JOB,
    HYDRA_SWEEP,
    WANDB_RUN,
    FoundRun,
    is_dated,
    is_repository,
)
from fx_hooks.util.disk import scan
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

# What was written that long before the job began was there before it. Copying all of it
# anywhere takes less.
_BEFORE = 3600.0
# Hydra's launcher for clusters writes scripts.
_LAUNCHER = b".submitit"
_PACKED = (b".gz", b".tgz", b".zst", b".tzst")
_MANIFEST = os.fsencode(SUFFIX)


def find_obstacles(
    found: Sequence[FoundRun],
    endings: Mapping[bytes, Ending],
    started: Mapping[bytes, float],
    syncs: Syncs,
    root: bytes,
) -> dict[bytes, str]:
    """By run, the first reason to leave it alone that lies in it; most have none."""
    runs = {run.path: run for run in found}
    first: dict[bytes, tuple[bytes, str]] = {}
    for run in found:
        if run.within is None:
            for inner, path, reason in _strange(run, runs, started, syncs, root):
                for around in _with_those_around(inner, runs):
                    first[around] = min(first.get(around, (path, reason)), (path, reason))
    reasons = {path: reason for path, (_, reason) in first.items()}
    for run in found:
        if run.kind == WANDB_RUN and endings[run.path].state in (State.LIVE, State.UNSYNCED):
            for path in _linked(run, runs, root):
                reasons.setdefault(
                    path, f"{shown(run.path)} is not synced yet, and has links to files in it"
                )
    for path, target in _elsewhere(found, runs, root):
        reasons.setdefault(path, f"{shown(target)} is not synced yet, and has links to files in it")
    return reasons


def _elsewhere(
    found: Sequence[FoundRun], runs: Mapping[bytes, FoundRun], root: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the runs that W&B's unsynced runs outside of the repository link into, with those.

    ``WANDB_DIR``, or a link in the place of ``wandb/``, leads to other storage.
    """
    base = os.path.realpath(root)
    folders = {base, *(os.path.join(base, run.path) for run in found)}
    folders |= {os.path.join(base, place) for run in found for place in parents(run.path)}
    if os.environ.get("WANDB_DIR"):
        folders.add(os.path.realpath(os.fsencode(os.environ["WANDB_DIR"])))
    places = set()
    for folder in folders:
        for name in FOLDERS:
            place = os.path.join(folder, name)
            real = os.path.realpath(place)
            outside = not (real + b"/").startswith(base + b"/")
            if outside and os.path.isdir(real):
                places.add(real)
    for place in sorted(places):
        try:
            tree = scan(place, skip=())
        except OSError:
            continue  # what is behind it cannot be seen by anybody
        syncs = Syncs(tree)
        for inner in tree.top.folders.values():
            if RUN_NAME.fullmatch(inner.name) is None:
                continue
            linked = list(_linked(FoundRun(inner.path, WANDB_RUN, inner, None), runs, place, base))
            if linked and wandb_ending(inner, place, syncs).state is State.UNSYNCED:
                for path in linked:
                    yield path, os.path.join(place, inner.path)


def _with_those_around(run: FoundRun, runs: Mapping[bytes, FoundRun]) -> Iterator[bytes]:
    around: FoundRun | None = run
    while around is not None:
        yield around.path
        around = runs[around.within] if around.within is not None else None


def _strange(
    top: FoundRun,
    runs: Mapping[bytes, FoundRun],
    started: Mapping[bytes, float],
    syncs: Syncs,
    root: bytes,
) -> Iterator[tuple[FoundRun, bytes, str]]:
    """Yield what is not a part of the runs in *top*: the run around it, the place, a reason."""
    stack: list[tuple[Folder, bytes, FoundRun, bool]] = [(top.folder, top.path, top, True)]
    while stack:
        folder, path, run, is_own = stack.pop()
        inner = runs.get(path)
        if inner is not None and inner is not run:
            if run.kind == HYDRA_JOB and inner.kind in (HYDRA_JOB, HYDRA_SWEEP):
                yield run, path, f"another job lies in it: {shown(path)}"
            run, is_own = inner, True
        elif folder is not run.folder and is_repository(folder):
            yield run, path, f"{shown(path)} is a repository of its own"
        since = _since(run, started) if is_own else None
        for name, _, _, mtime, mode in folder.files:
            if name.endswith(b".wandb") and not _is_log_of(run, folder, name):
                if not was_synced(folder, name, syncs):
                    place = path + b"/" + name
                    yield run, place, f"{shown(place)} is a log of W&B's that is not synced"
            elif not stat.S_ISREG(mode):
                continue
            elif name.endswith(_PACKED) and _is_archive(folder, name, root):
                place = path + b"/" + name
                yield run, place, f"{shown(place)} is an archive of runs"
            elif is_own and is_source(name):
                yield run, path, f"there is source code in it: {shown(path + b'/' + name)}"
            elif since is not None and mtime < since:
                place = path + b"/" + name
                yield run, place, f"{shown(place)} was there before the job began"
        for name, child in folder.folders.items():
            # W&B has sent what it keeps there, or that is what it waits for.
            copies = run.kind == WANDB_RUN and folder is run.folder and name in (b"files", b"tmp")
            own = is_own and not copies and name != _LAUNCHER
            stack.append((child, path + b"/" + name, run, own))


def _is_log_of(run: FoundRun, folder: Folder, name: bytes) -> bool:
    return folder is run.folder and name == log_name(folder.name, folder.names())


def _is_archive(folder: Folder, name: bytes, root: bytes) -> bool:
    """Return True if our archive of runs lies there, which may be all that is left of them."""
    if name + _MANIFEST in folder.names():
        return True
    return is_marked(os.path.join(root, folder.path, name))


def _since(run: FoundRun, started: Mapping[bytes, float]) -> float | None:
    """Return the time before which nothing of *run* can be; None where it is new as a whole."""
    # Hydra makes those that it names by the time, and those of a sweep, for one job each.
    is_new = is_dated(run.path) or run.within is not None
    if run.kind != HYDRA_JOB or is_new or b".hydra" not in run.folder.folders:
        return None
    return started[run.path] - _BEFORE


def _linked(
    wandb: FoundRun, runs: Mapping[bytes, FoundRun], root: bytes, repository: bytes | None = None
) -> Iterator[bytes]:
    """Yield the runs that links in *wandb*, below *root*, lead into; not those around it."""
    base = os.path.realpath(root if repository is None else repository) + os.fsencode(os.sep)
    for folder in wandb.folder.walk():
        for name, _, _, _, mode in folder.files:
            if stat.S_ISLNK(mode):
                target = os.path.realpath(os.path.join(root, folder.path, name))
                if target.startswith(base):
                    path = target[len(base) :].replace(os.fsencode(os.sep), b"/")
                    for place in (*parents(path), path):
                        if place in runs and (
                            repository or not (wandb.path + b"/").startswith(place + b"/")
                        ):
                            yield place
