"""The contents of runs, sorted in one walk: the few files that the checks look at again.

Most files in a run are data that no check asks about, and there may be millions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.policy.source_names import SOURCE_NAMES, SOURCE_SUFFIXES
from fx_hooks.runs.layouts import HYDRA_JOB, HYDRA_SWEEP, WANDB_RUN, FoundRun, is_repository

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

_LINK, _FILE = stat.S_IFLNK >> 12, stat.S_IFREG >> 12
# Hydra's folder, and that of its launcher for clusters, which also writes scripts.
_LAUNCHER = b".submitit"
_HYDRA = (b".hydra", _LAUNCHER)
_TRACKER_LOG = b".wandb"
LOGS = (b".log", _TRACKER_LOG, b".out", b".err")
_EVENTS = b"events.out.tfevents."
_RECORDS = frozenset((b"metrics.csv", b"hparams.yaml", b"multirun.yaml", b"trainer_state.json"))
_PACKED = frozenset((b".gz", b".tgz", b".zst", b".tzst"))
_BY_HAND = {
    b".ipynb": "a notebook",
    **dict.fromkeys(
        (
            b".md", b".markdown", b".rst", b".org", b".adoc", b".tex", b".typ", b".bib", b".doc",
            b".docx", b".odt", b".rtf", b".pdf", b".ppt", b".pptx", b".odp", b".xls", b".xlsx",
            b".ods",
        ),
        "a document",
    ),
    **dict.fromkeys(
        (b".db", b".db3", b".sqlite", b".sqlite3", b".mdb", b".duckdb", b".accdb"), "a data base"
    ),
    b".dvc": "a file of DVC's",
}  # fmt: skip
_NAMED_BY_HAND = {
    **dict.fromkeys((b"readme", b"notes", b"todo"), "a document"),
    **dict.fromkeys((b"dvc.yaml", b"dvc.lock"), "a file of DVC's"),
}


def by_hand(name: bytes) -> str:
    """Return what a file is that people write, not programs; empty for all others."""
    name = name.lower()
    return _NAMED_BY_HAND.get(name) or _BY_HAND.get(os.path.splitext(name)[1], "")


_ENDS = frozenset((*_BY_HAND, *_PACKED, *LOGS, *SOURCE_SUFFIXES))
_ASKED_ENDS = _ENDS | {end.upper() for end in _ENDS} | {end.title() for end in _BY_HAND}
_NAMES = frozenset((*_NAMED_BY_HAND, *SOURCE_NAMES, *_RECORDS))
_ASKED_NAMES = _NAMES | {name.upper() for name in _NAMED_BY_HAND}


class Entry(NamedTuple):
    """A file in a run, at *path*."""

    folder: Folder
    path: bytes
    name: bytes
    mtime: float


@dataclass(slots=True)
class Contents:
    """All that lies in one run, and in no run in it.

    ``folders`` come with their paths. ``recorded`` is when the newest log or record in it, or
    in runs in it, was written; 0.0 without any. ``tracked`` are logs of trackers, ``sources``
    source files that are no copies which W&B or a launcher keeps. ``inner_jobs`` are none of
    its own, nor are ``repositories``.
    """

    run: FoundRun
    folders: list[tuple[Folder, bytes]] = field(default_factory=list)
    recorded: float = 0.0
    tracked: list[Entry] = field(default_factory=list)
    packed: list[Entry] = field(default_factory=list)
    sources: list[Entry] = field(default_factory=list)
    by_hand: list[Entry] = field(default_factory=list)
    links: list[bytes] = field(default_factory=list)
    inner_jobs: list[bytes] = field(default_factory=list)
    repositories: list[bytes] = field(default_factory=list)

    def add_folder(self, folder: Folder, path: bytes, *, is_own: bool) -> None:
        """Take what lies in *folder* itself."""
        self.folders.append((folder, path))
        parent = folder.parent
        recorded = folder.name in _HYDRA or (parent is not None and parent.name == _LAUNCHER)
        for name, _, _, mtime, mode in folder.files:
            if mode >> 12 == _LINK:
                self.links.append(path + b"/" + name)
            elif (
                name[name.rfind(b".") :] in _ASKED_ENDS
                or name in _ASKED_NAMES
                or recorded
                or name.startswith(_EVENTS)
            ):
                entry = Entry(folder, path + b"/" + name, name, mtime)
                if mode >> 12 == _FILE:
                    self._sort(entry, is_recorded=recorded, is_own=is_own)
                elif name.endswith(_TRACKER_LOG):
                    self.tracked.append(entry)

    def _sort(self, entry: Entry, *, is_recorded: bool, is_own: bool) -> None:
        name = entry.name
        is_log = name.endswith(LOGS)
        if is_recorded or is_log or name in _RECORDS or name.startswith(_EVENTS):
            self.recorded = max(self.recorded, entry.mtime)
        end = name[name.rfind(b".") :]
        if end == _TRACKER_LOG:
            self.tracked.append(entry)
        elif end in _PACKED:
            self.packed.append(entry)
        elif by_hand(name):
            self.by_hand.append(entry)
        elif is_own and (end in SOURCE_SUFFIXES or name in SOURCE_NAMES):
            self.sources.append(entry)


def contents_of(found: Sequence[FoundRun]) -> dict[bytes, Contents]:
    """Return the contents of each run by its path, from one walk over all of them."""
    runs = {run.path: run for run in found}
    contents = {run.path: Contents(run) for run in found}
    for run in found:
        if run.within is None:
            _walk(run, runs, contents)
    # Inner ones first: what they have recorded counts for those around them, too.
    for path in sorted(contents, reverse=True):
        within = runs[path].within
        if within is not None:
            contents[within].recorded = max(contents[within].recorded, contents[path].recorded)
    return contents


def _walk(
    top: FoundRun, runs: Mapping[bytes, FoundRun], contents: Mapping[bytes, Contents]
) -> None:
    stack: list[tuple[Folder, bytes, FoundRun, bool]] = [(top.folder, top.path, top, True)]
    while stack:
        folder, path, run, is_own = stack.pop()
        inner = runs.get(path)
        if inner is not None and inner is not run:
            if run.kind == HYDRA_JOB and inner.kind in (HYDRA_JOB, HYDRA_SWEEP):
                contents[run.path].inner_jobs.append(path)
            run, is_own = inner, True
        elif folder is not run.folder and is_repository(folder):
            contents[run.path].repositories.append(path)
        contents[run.path].add_folder(folder, path, is_own=is_own)
        for name, child in folder.folders.items():
            # W&B has sent what it keeps there, or that is what it waits for.
            copies = run.kind == WANDB_RUN and folder is run.folder and name in (b"files", b"tmp")
            own = is_own and not copies and name != _LAUNCHER
            stack.append((child, path + b"/" + name, run, own))


def around(path: bytes, runs: Mapping[bytes, FoundRun]) -> Iterator[bytes]:
    """Yield the path of a run, of the run around it, and so on."""
    within: bytes | None = path
    while within is not None:
        yield within
        within = runs[within].within
