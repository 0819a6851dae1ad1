"""The command that frees each thing, and how much that is."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.registry import FRAMEWORKS, KINDS
from fx_hooks.frameworks.wandb.upload import can_be_synced, sync_command
from fx_hooks.git.commands import cover, from_folder, untrack
from fx_hooks.runs.inventory import SYNCED, UNSYNCED, Run, Survey, kept_because
from fx_hooks.runs.usage.git_usage import LFS, LOOSE, GitSpace
from fx_hooks.runs.usage.measure import CACHES, GIT, Item, Space
from fx_hooks.util.disk import freed_by
from fx_hooks.util.paths import parents, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

# Names that a command still spells out; more are found by `find`.
_FEW = 10
# Below this nobody runs `git gc` for the space.
_MIN_LOOSE = 1 << 20


class Remedy(NamedTuple):
    """*commands*, in this order, free *frees* bytes of disk; or *at_most* that."""

    what: str
    commands: list[str]
    frees: int
    at_most: bool = False


class _Ways:
    """The way to write paths from the root for a user who is below it."""

    def __init__(self, path_to_root: str) -> None:
        self._way = path_to_root

    def word(self, path: bytes) -> str:
        if self._way and not os.path.isabs(path):
            path = posixpath.join(os.fsencode(self._way), path).rstrip(b"/")
        return quoted(b"./" + path if path.startswith(b"-") else path or b".")

    def commands(self, head: str, paths: Iterable[bytes]) -> list[str]:
        """One command for a few paths, or several."""
        words = [self.word(path) for path in sorted(paths)]
        return [
            " ".join([head, *words[start : start + _FEW]]) for start in range(0, len(words), _FEW)
        ]


def remedies(
    space: Space,
    items: Sequence[Item],
    seen: Survey,
    git: GitSpace,
    index: Collection[bytes],
    *,
    older_than: str = "",
    path_to_root: str = "",
) -> list[Remedy]:
    """Return what frees *items*, the most first; *seen* has the runs that are in others, too."""
    ways = _Ways(path_to_root)
    found = [
        *_of_runs(items, seen, older_than, ways),
        *_of_caches(items, index, ways),
        *_of_git(items, git),
        *_of_outside(items, ways),
    ]
    found.sort(key=lambda remedy: -remedy.frees)
    return [*found, *_of_tracked(space, index, path_to_root)]


def _of_runs(
    items: Sequence[Item],
    seen: Survey,
    older_than: str,
    ways: _Ways,
) -> list[Remedy]:
    runs, find = {run.path: run for run in seen.runs}, seen.scan.find
    free, unsynced = [], []
    waiting = {
        run.path: _outermost(run, runs)
        for run in runs.values()
        if KINDS[run.kind].waits_for_upload and run.state == UNSYNCED
    }
    folders = {path: place for path in waiting if (place := find(path)) is not None}
    hopeless = {path for path, place in folders.items() if not can_be_synced(place)}
    for item in items:
        if item.run is None:
            continue
        reason = kept_because(item.run)
        if reason is None:
            free.append(item)
        elif (
            item.run.state == UNSYNCED
            and kept_because(item.run._replace(state=SYNCED)) is None
            and not hopeless & {item.path, *seen.members[item.path]}
        ):
            unsynced.append(item)
    # All of them are named, or none: a command must not take what the next one names.
    few = max(len(free), len(unsynced)) <= _FEW
    found = []
    if free:
        what = f"{_count(len(free), 'run')} that you can delete"
        found.append(Remedy(what, _clean(free, few, older_than, ways), _freed(free)))
    if unsynced:
        paths = sorted(
            path for path, top in waiting.items() if top in {item.path for item in unsynced}
        )
        count = _count(len(unsynced), "run")
        what = f"{count} that W&B does not have yet: sync, wait an hour, delete"
        # One a command: a log that W&B cannot read ends it, and online runs are passed over
        # in silence without the option.
        commands = [ways.commands(sync_command(folders[path]), [path])[0] for path in paths]
        commands += _clean(unsynced, few, older_than, ways)
        found.append(Remedy(what, commands, _freed(unsynced)))
    return found


def _clean(items: Sequence[Item], few: bool, older_than: str, ways: _Ways) -> list[str]:
    if few:
        return ways.commands("fx-clean-runs", [item.path for item in items])
    if older_than:
        return [f"fx-clean-runs --older-than {older_than}"]
    return ways.commands("fx-clean-runs", [b""])


def _outermost(run: Run, runs: Mapping[bytes, Run]) -> bytes:
    while run.within is not None:
        run = runs[run.within]
    return run.path


def _of_caches(items: Sequence[Item], index: Collection[bytes], ways: _Ways) -> list[Remedy]:
    tracked = {folder for path in index for folder in (path, *parents(path))}
    caches = [item for item in items if item.kind == CACHES and item.path not in tracked]
    # Its content may exist nowhere else; only DVC knows.
    dvc = [item for item in caches if b".dvc" in item.path.split(b"/")]
    others = [item for item in caches if item not in dvc]
    found = []
    if others:
        what = f"{_count(len(others), 'cache')} that the tools make again"
        found.append(
            Remedy(what, ways.commands("rm -r --", [item.path for item in others]), _freed(others))
        )
    if dvc:
        what = "DVC's cache, as far as nothing in the work tree needs it: dvc push first"
        found.append(Remedy(what, ["dvc gc --workspace"], _freed(dvc), at_most=True))
    return found


def _of_git(items: Sequence[Item], git: GitSpace) -> list[Remedy]:
    parts = {item.note: item.size for item in items if item.kind == GIT}
    found = []
    if LOOSE in parts and parts[LOOSE].disk + git.garbage >= _MIN_LOOSE:
        what = "loose objects and garbage, packed or thrown away"
        found.append(Remedy(what, ["git gc"], parts[LOOSE].disk + git.garbage, at_most=True))
    if LFS in parts:
        what = "old files of Git LFS that the remote has"
        found.append(Remedy(what, ["git lfs prune --verify-remote"], parts[LFS].disk, at_most=True))
    return found


def _of_outside(items: Sequence[Item], ways: _Ways) -> list[Remedy]:
    found = []
    frees = {kind: free for each in FRAMEWORKS for kind, free in each.outside_frees.items()}
    for item in items:
        if item.folder is not None and item.kind in frees:
            freed = frees[item.kind](item.folder)
            if freed.command:
                found.append(Remedy(freed.what, [freed.command], freed.disk))
            else:
                commands = ways.commands("rm -r --", [item.path])
                found.append(Remedy(freed.what, commands, _freed([item])))
    return found


def _of_tracked(space: Space, index: Collection[bytes], path_to_root: str) -> list[Remedy]:
    if not space.tracked:
        return []
    paths = cover(space.tracked, index)
    commands = untrack(paths, force=space.by_force, sparse=False, repeatable=False)
    what = (
        f"{_count(len(space.tracked), 'artifact')} taken out of Git; they stay on disk and in the"
        " history"
    )
    return [Remedy(what, from_folder(commands, path_to_root), 0)]


def _freed(items: Sequence[Item]) -> int:
    """Return what comes free on the disk if *items* go."""
    folders = [item.folder for item in items if item.folder is not None]
    single = sum(item.size.disk for item in items if item.folder is None)
    return freed_by(folders).disk + single


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
