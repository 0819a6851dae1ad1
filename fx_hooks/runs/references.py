"""References to a run elsewhere in the repository, which mean that it is needed there.

Links and configuration that are tracked, or are about to be, and DVC's files next to a run.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, Repository
    from fx_hooks.util.disk import Scan

# W&B's own, in its folder; they are led elsewhere when their run goes.
_WANDB_LINKS = frozenset((b"latest-run", b"debug.log", b"debug-internal.log"))
_LINK_MODE = 0o120000
_CONFIGURATION = (
    b".yaml", b".yml", b".json", b".toml", b".cfg", b".ini", b".conf", b".sh", b".py", b".env",
    b".envrc", b".mk", b".jsonnet", b".dvc", b".lock", b".csv", b".tsv", b".txt", b".sbatch",
    b".slurm", b"Makefile", b"Dockerfile", b"Snakefile",
)  # fmt: skip
_MAX_BYTES = 1_000_000  # of a file that a person wrote
# What a path can have where it is written down, beside its separators.
_END = rb"(?![\w.-])"


class References:
    """References into runs, looked up once for all of them."""

    def __init__(
        self, repository: Repository, index: Sequence[IndexEntry], tree: Scan, runs: Iterable[bytes]
    ) -> None:
        self._root = repository.root
        self._real = os.path.realpath(self._root)
        self._tree = tree
        places = frozenset(runs)
        paths = [entry.path for entry in index]
        paths += [path for path in repository.untracked() if places.isdisjoint(parents(path))]
        self._paths = sorted(dict.fromkeys(paths))
        blobs = {entry.path: entry.blob for entry in index if entry.mode == _LINK_MODE}
        contents = repository.contents(blobs.values()) if blobs else {}
        staged = {path: contents.get(blob, b"") for path, blob in blobs.items()}
        self._links = dict(self._targets(staged))

    def into(self, runs: Sequence[bytes]) -> dict[bytes, str]:
        """By run, what points into it, as a sentence without a subject for its own path."""
        found: dict[bytes, str] = {}
        wanted = set(runs)
        for link, targets in self._links.items():
            for target in targets:
                for place in (*parents(target), target):
                    if place in wanted and not (link + b"/").startswith(place + b"/"):
                        found.setdefault(place, f"{shown(link)} is a link into it")
        for run in runs:
            beside = self._dvc_beside(run)
            if beside is not None:
                found.setdefault(run, f"DVC keeps it: {shown(beside)}")
        waiting = [run for run in runs if run not in found]
        found.update(self._named(waiting))
        return found

    def _targets(self, staged: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, set[bytes]]]:
        """Each link with where it leads to, as it is staged and as it is on disk."""
        for path in self._paths:
            if path.rpartition(b"/")[2] in _WANDB_LINKS and path not in staged:
                continue
            texts = {staged[path]} if path in staged else set()
            place = os.path.join(self._root, path)
            try:
                if stat.S_ISLNK(os.lstat(place).st_mode):
                    texts.add(os.readlink(place))
            except OSError:
                pass  # left out of the work tree, or deleted
            folder = os.path.dirname(os.path.join(self._real, path))
            found = set()
            for text in texts:
                full = os.path.normpath(os.path.join(folder, text))
                # Also where another link on the way leads to.
                for target in (full, os.path.realpath(full)):
                    for base in (self._root, self._real):
                        if target.startswith(base + os.fsencode(os.sep)):
                            below = target[len(base) + 1 :]
                            found.add(below.replace(os.fsencode(os.sep), b"/"))
            if found:
                yield path, found

    def _dvc_beside(self, run: bytes) -> bytes | None:
        """Return the ``NAME.dvc`` next to a run, or to a folder that it lies in."""
        for path in (run, *reversed(parents(run))):
            folder = self._tree.find(os.path.dirname(path))
            name = os.path.basename(path) + b".dvc"
            if folder is not None and name in folder.names():
                return path + b".dvc"
        return None

    def _named(self, runs: Sequence[bytes]) -> dict[bytes, str]:
        """Those of *runs* that a file of configuration names."""
        if not runs:
            return {}
        # Most files name none of the folders that runs are in, and are read but once.
        tops = sorted({b"/".join(run.split(b"/")[:2]) for run in runs})
        hint = re.compile(b"|".join(re.escape(top.split(b"/")[-1]) for top in tops))
        by_end: dict[bytes, list[bytes]] = {}
        for run in runs:
            by_end.setdefault(run.rpartition(b"/")[2], []).append(run)
        found: dict[bytes, str] = {}
        for path in self._paths:
            if not path.endswith(_CONFIGURATION):
                continue
            content = self._read(path)
            if content is None or not hint.search(content):
                continue
            for end, some in by_end.items():
                if end not in content:
                    continue
                for run in some:
                    if (
                        run in content
                        and run not in found
                        and re.search(rb"(?<![\w.-])" + re.escape(run) + _END, content)
                    ):
                        found[run] = f"{shown(path)} names it"
        return found

    def _read(self, path: bytes) -> bytes | None:
        try:
            place = os.path.join(self._root, path)
            with open(place, "rb", opener=files_not_links) as file:
                return file.read(_MAX_BYTES)
        except OSError:
            return None
