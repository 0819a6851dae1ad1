"""The reasons that protect a run, asked again while runs are deleted.

Somebody may stage files, switch branches or choose a model meanwhile. Whoever chooses one
waits for the lock that is held here.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fx_hooks.git.alone import alone
from fx_hooks.runs.milestone_runs import Chosen, find_chosen
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository
    from fx_hooks.runs.inventory import Run
    from fx_hooks.util.disk import Folder, Scan

_REFS = (b"refs", b"worktrees", b"reftable", b"logs/refs/stash")
_FILES = (b"HEAD", b"index", b"packed-refs", b"MERGE_HEAD", b"ORIG_HEAD")


class Protection:
    """Reads the index, the refs and the chosen models again when any of them has changed."""

    def __init__(self, repository: Repository, tree: Scan) -> None:
        self._repository = repository
        self._tree = tree
        self._common = repository.common_directory()
        self._state: object = None
        self._tracked: list[bytes] = []
        self._chosen = Chosen(frozenset(), {}, frozenset())

    @contextlib.contextmanager
    def of(self, run: Run, place: bytes) -> Iterator[str | None]:
        """Return why *run*, now at *place*, must stay; no one can choose it meanwhile."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(alone(self._common))
                reason = self._reason(run, place)
            except FatalError as exc:
                reason = str(exc)
            yield reason

    def _reason(self, run: Run, place: bytes) -> str | None:
        own = os.fsencode(self._repository.git_directory)
        if os.path.lexists(os.path.join(own, b"index.lock")):
            return "index.lock is there: git is changing the index, or was killed while it did"
        state = self._seen()
        if state != self._state:
            index = {entry.path: entry for entry in self._repository.index()}
            self._tracked = sorted(index)
            self._chosen = find_chosen(self._repository, index)
            self._state = state
        if self._chosen.unknown:
            return self._chosen.unknown
        below = run.path + b"/"
        number = bisect_left(self._tracked, below)
        if self._tracked[number : number + 1] and self._tracked[number].startswith(below):
            return f"git tracks {shown(self._tracked[number])} now"
        folder: Folder | None = self._tree.find(run.path)
        if folder is None:
            return None
        models = self._chosen.of_run(run.path, run.run_id, folder, self._repository.root, place)
        return f"{shown(models[0])} came from it" if models else None

    def _seen(self) -> object:
        """Return what changes when any of it does."""
        own = os.fsencode(self._repository.git_directory)
        paths = [os.path.join(folder, name) for folder in (own, self._common) for name in _FILES]
        paths += [os.path.join(self._common, name) for name in _REFS]
        root = self._repository.root
        paths += [os.path.join(root, folder) for folder in sorted(self._chosen.folders)]
        paths.append(os.path.join(root, b".fx-hooks.yaml"))
        found = []
        for path in paths:
            found.append(_status(path))
            for here, folders, names in os.walk(path):
                found += [_status(os.path.join(here, name)) for name in (*folders, *names)]
        return found


def _status(path: bytes) -> tuple[object, ...]:
    try:
        status = os.lstat(path)
    except OSError:
        return (path,)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
