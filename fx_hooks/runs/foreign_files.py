"""Files in a run that are not a part of it; they keep the run from being deleted.

A folder that Hydra wrote into is a run with everything in it, and W&B's runs are not looked
for in each corner of one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Ending, State
from fx_hooks.frameworks.wandb.ending import wandb_ending, was_synced
from fx_hooks.frameworks.wandb.names import FOLDERS, RUN_NAME, log_name
from fx_hooks.frameworks.wandb.sync_logs import Syncs
from fx_hooks.runs.archive.manifest import SUFFIX
from fx_hooks.runs.contents import Contents, around
from fx_hooks.runs.layouts import HYDRA_JOB, WANDB_RUN, FoundRun, is_dated
from fx_hooks.util.disk import scan
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan

# What was written that long before the job began was there before it. Copying all of it
# anywhere takes less.
_BEFORE = 3600.0
_MANIFEST = os.fsencode(SUFFIX)


def find_foreign_files(
    contents: Mapping[bytes, Contents],
    endings: Mapping[bytes, Ending],
    started: Mapping[bytes, float],
    syncs: Syncs,
    tree: Scan,
) -> dict[bytes, str]:
    """By run, the first reason to leave it alone that lies in it; most have none."""
    runs = {path: each.run for path, each in contents.items()}
    first: dict[bytes, tuple[bytes, str]] = {}
    for each in contents.values():
        for found in _strange(each, started, syncs, tree.root):
            for path in around(each.run.path, runs):
                first[path] = min(first.get(path, found), found, key=itemgetter(0))
    reasons = {path: reason for path, (_, reason) in first.items()}
    for run in runs.values():
        if run.kind == WANDB_RUN and endings[run.path].state in (State.LIVE, State.UNSYNCED):
            for path in _linked(run.path, contents[run.path].links, runs, tree.root):
                reasons.setdefault(
                    path, f"{shown(run.path)} is not synced yet, and has links to files in it"
                )
    for path, target in _elsewhere(contents, tree):
        reasons.setdefault(path, f"{shown(target)} is not synced yet, and has links to files in it")
    return reasons


def _elsewhere(contents: Mapping[bytes, Contents], tree: Scan) -> Iterator[tuple[bytes, bytes]]:
    """Yield the runs that W&B's unsynced runs outside of *tree* link into, with those.

    ``WANDB_DIR``, or a link or another file system in the place of ``wandb/``, leads there.
    """
    runs = {path: each.run for path, each in contents.items()}
    for place in sorted(_outside(contents, tree)):
        try:
            other = scan(place, skip=())
        except OSError:
            continue  # what is behind it cannot be seen by anybody
        syncs = Syncs(other)
        for inner in other.top.folders.values():
            if RUN_NAME.fullmatch(inner.name) is None:
                continue
            links = [
                folder.path + b"/" + name
                for folder in inner.walk()
                for name, _, _, _, mode in folder.files
                if stat.S_ISLNK(mode)
            ]
            linked = list(_linked(inner.path, links, runs, place, tree.root)) if links else []
            if linked and wandb_ending(inner, place, syncs).state is State.UNSYNCED:
                for path in linked:
                    yield path, os.path.join(place, inner.path)


def _outside(contents: Mapping[bytes, Contents], tree: Scan) -> set[bytes]:
    """Return the folders of W&B that *tree* does not have in it but that its runs may be in."""
    base = os.path.realpath(tree.root)
    folders = {b"", *(place for path in contents for place in parents(path))}
    named = {
        os.path.join(base, folder, name) for folder in folders - contents.keys() for name in FOLDERS
    }
    named |= {
        os.path.join(base, link)
        for each in contents.values()
        for link in each.links
        if os.path.basename(link) in FOLDERS
    }
    named |= {os.path.join(base, mount) for mount in tree.mounts}
    named |= {os.path.join(base, mount, name) for mount in tree.mounts for name in FOLDERS}
    if os.environ.get("WANDB_DIR"):
        top = os.fsencode(os.environ["WANDB_DIR"])
        named |= {os.path.join(base, top, name) for name in FOLDERS}
    places = {os.path.realpath(place) for place in named if os.path.isdir(place)}
    mounts = tuple(os.path.join(base, mount) + b"/" for mount in tree.mounts)
    return {
        place
        for place in places
        if not (place + b"/").startswith(base + b"/") or (place + b"/").startswith(mounts)
    }


def _strange(
    contents: Contents, started: Mapping[bytes, float], syncs: Syncs, root: bytes
) -> Iterator[tuple[bytes, str]]:
    """Yield what is not a part of a run that it lies in: the place, a reason."""
    run = contents.run
    for path in contents.inner_jobs:
        yield path, f"another job lies in it: {shown(path)}"
    for path in contents.repositories:
        yield path, f"{shown(path)} is a repository of its own"
    for folder, path, name, _ in contents.tracked:
        if not _is_log_of(run, folder, name) and not was_synced(folder, name, syncs):
            yield path, f"{shown(path)} is a log of W&B's that is not synced"
    for folder, path, name, _ in contents.packed:
        if _is_archive(folder, name, root):
            yield path, f"{shown(path)} is an archive of runs"
    for _, path, _, _ in contents.sources:
        yield path, f"there is source code in it: {shown(path)}"
    since = _since(run, started)
    for folder, path in contents.folders if since is not None else ():
        for name, _, _, mtime, mode in folder.files:
            if since is not None and mtime < since and stat.S_ISREG(mode):
                place = path + b"/" + name
                yield place, f"{shown(place)} was there before the job began"


def _is_log_of(run: FoundRun, folder: Folder, name: bytes) -> bool:
    return folder is run.folder and name == log_name(folder.name, folder.names())


def _is_archive(folder: Folder, name: bytes, root: bytes) -> bool:
    """Return True if our archive of runs lies there, which may be all that is left of them."""
    if name + _MANIFEST in folder.names():
        return True
    from fx_hooks.runs.archive.sections import is_marked  # slow to load, and seldom needed

    return is_marked(os.path.join(root, folder.path, name))


def _since(run: FoundRun, started: Mapping[bytes, float]) -> float | None:
    """Return the time before which nothing of *run* can be; None where it is new as a whole."""
    # Hydra makes those that it names by the time, and those of a sweep, for one job each.
    is_new = is_dated(run.path) or run.within is not None
    if run.kind != HYDRA_JOB or is_new or b".hydra" not in run.folder.folders:
        return None
    return started[run.path] - _BEFORE


def _linked(
    wandb: bytes,
    links: Iterable[bytes],
    runs: Mapping[bytes, FoundRun],
    root: bytes,
    repository: bytes | None = None,
) -> Iterator[bytes]:
    """Yield the runs that *links* of a W&B run, below *root*, lead into; not those around it."""
    base = os.path.realpath(root if repository is None else repository) + os.fsencode(os.sep)
    for link in links:
        target = os.path.realpath(os.path.join(root, link))
        if target.startswith(base):
            path = target[len(base) :].replace(os.fsencode(os.sep), b"/")
            for place in (*parents(path), path):
                if place in runs and (repository or not (wandb + b"/").startswith(place + b"/")):
                    yield place
