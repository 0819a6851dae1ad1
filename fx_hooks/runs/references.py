"""References to a run elsewhere in the repository, which mean that it is needed there.

Links, configuration that is tracked or about to be, DVC's files next to a run, and what the
artifacts of other runs refer to.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Role, State
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.runs.archive.manifest import START
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, Repository
    from fx_hooks.runs.inventory import Survey

# W&B's own, in its folder; they are led elsewhere when their run goes.
_WANDB_LINKS = frozenset((b"latest-run", b"debug.log", b"debug-internal.log"))
_LINK_MODE = 0o120000
_CONFIGURATION = (
    b".yaml", b".yml", b".json", b".toml", b".cfg", b".ini", b".conf", b".sh", b".py", b".env",
    b".envrc", b".mk", b".jsonnet", b".dvc", b".lock", b".csv", b".tsv", b".txt", b".sbatch",
    b".slurm", b"Makefile", b"Dockerfile", b"Snakefile",
)  # fmt: skip
_MAX_BYTES = 1_000_000  # of a file that a person wrote
# What a path can have where it is written down, next to its separators.
_END = rb"(?![\w.-])"


class References:
    """References into runs, looked up once for all of them."""

    def __init__(self, repository: Repository, index: Sequence[IndexEntry], found: Survey) -> None:
        self._root = repository.root
        self._real = os.path.realpath(self._root)
        self._tree = found.scan
        self._runs = {run.path: run for run in found.runs}
        places = self._runs.keys()
        paths = [entry.path for entry in index]
        paths += [path for path in repository.untracked() if places.isdisjoint(parents(path))]
        self._paths = sorted(dict.fromkeys(paths))
        blobs = {entry.path: entry.blob for entry in index if entry.mode == _LINK_MODE}
        contents = repository.contents(blobs.values()) if blobs else {}
        staged = {path: contents.get(blob, b"") for path, blob in blobs.items()}
        self._links = dict(self._targets(self._paths, staged))
        ignored = [path for path in self._links_on_disk() if path not in self._links]
        self._ignored = dict(self._targets(ignored, {}))
        self._needed = list(self._artifacts())
        self.notes: list[str] = []

    def into(self, runs: Sequence[bytes]) -> dict[bytes, str]:
        """By run, what points into it, as a sentence without a subject for its own path.

        What lies in another one of *runs* goes with that, unless something points into it.
        """
        found: dict[bytes, str] = {}
        for run in runs:
            beside = self._dvc_beside(run)
            if beside is not None:
                found[run] = f"DVC keeps it: {shown(beside)}"
        for link, targets in self._links.items():
            for run in self._reached(link, targets, set(runs)):
                found.setdefault(run, f"{shown(link)} is a link into it")
        waiting = [run for run in runs if run not in found]
        found.update(self._named(waiting))
        while True:
            going = set(runs) - found.keys()
            more = self._from_what_stays(going)
            if not more:
                break
            found.update(more)
        self.notes = [
            f"{shown(link)} is a link to {shown(target)}, which goes"
            for link, targets in self._ignored.items()
            for target in targets & going
        ]
        return found

    def _from_what_stays(self, going: set[bytes]) -> dict[bytes, str]:
        """By run that goes, the ignored link or the artifact that needs a file in it."""
        found: dict[bytes, str] = {}
        for link, targets in self._ignored.items():
            if going.isdisjoint(parents(link)):
                # A link to a run as a whole is there to find it, as `outputs/latest`.
                inside = {target for target in targets if target not in self._runs}
                for run in self._reached(link, inside, going):
                    found.setdefault(run, f"{shown(link)} is a link into it")
        for run, target in self._needed:
            for place in (*parents(target), target):
                if place in going:
                    reason = f"an artifact of {shown(run)} refers to {shown(target)}"
                    found.setdefault(place, reason)
        return found

    def _reached(self, link: bytes, targets: set[bytes], wanted: set[bytes]) -> Iterator[bytes]:
        for target in targets:
            for place in (*parents(target), target):
                if place in wanted and not (link + b"/").startswith(place + b"/"):
                    yield place

    def _links_on_disk(self) -> Iterator[bytes]:
        """Yield the links of the work tree, but those in runs of trackers, which are their own."""
        stack = [(self._tree.top, b"")]
        while stack:
            folder, start = stack.pop()
            for name, _, _, _, mode in folder.files:
                if stat.S_ISLNK(mode):
                    yield start + name
            for name, inner in folder.folders.items():
                run = self._runs.get(start + name)
                if run is None or KINDS[run.kind].role is not Role.TRACKER:
                    stack.append((inner, start + name + b"/"))

    def _artifacts(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield each run with the files elsewhere that its artifacts refer to."""
        for run in self._runs.values():
            needs = KINDS[run.kind].needs
            if needs is not None:
                is_sent = run.state not in (State.LIVE, State.UNSYNCED)
                for place in needs(os.path.join(self._root, run.path), is_sent):
                    for target in self._below_root(os.path.normpath(place)):
                        if not target.startswith(run.path + b"/"):
                            yield run.path, target

    def _below_root(self, full: bytes) -> set[bytes]:
        """Return what *full* is relative to the root, also where a link on the way leads to."""
        found = set()
        for target in (full, os.path.realpath(full)):
            for base in (self._root, self._real):
                if target.startswith(base + os.fsencode(os.sep)):
                    found.add(target[len(base) + 1 :].replace(os.fsencode(os.sep), b"/"))
        return found

    def _targets(
        self, paths: Iterable[bytes], staged: Mapping[bytes, bytes]
    ) -> Iterator[tuple[bytes, set[bytes]]]:
        """Each link with where it leads to, as it is staged and as it is on disk."""
        for path in paths:
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
            found = {
                below
                for text in texts
                for below in self._below_root(os.path.normpath(os.path.join(folder, text)))
            }
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
            if content.startswith(START):
                continue  # an archive's list of its runs needs none of them on disk
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
