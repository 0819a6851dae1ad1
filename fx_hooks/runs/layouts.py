"""The detection of runs: by what the tools leave in folders, never by name alone."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.configuration import Configuration
from fx_hooks.frameworks.framework import Role, RunDirectory, RunKind, path_pattern
from fx_hooks.frameworks.hydra.runs import HYDRA_JOB, HYDRA_SWEEP, is_dated
from fx_hooks.frameworks.registry import FRAMEWORKS, KINDS
from fx_hooks.frameworks.wandb.runs import WANDB_RUN
from fx_hooks.policy.source_names import SOURCE_NAMES, SOURCE_SUFFIXES

if TYPE_CHECKING:
    from fx_hooks.policy.project_policies import Projects
    from fx_hooks.util.disk import Folder

__all__ = [
    "HYDRA_JOB", "HYDRA_SWEEP", "WANDB_RUN", "FoundRun", "RunPattern", "find_runs", "is_dated",
    "is_repository", "run_directories", "run_patterns",
]  # fmt: skip

_REPOSITORIES = frozenset((b".git", b".hg", b".svn", b".jj", b".bzr", b"_darcs", b".pijul"))
# What tools of ours put aside.
_OURS = b".fx-"


class FoundRun(NamedTuple):
    """A run and where it lies; ``within`` is the innermost run around it.

    ``run_id`` is what the tool calls it, once that has been read.
    """

    path: bytes
    kind: str
    folder: Folder
    within: bytes | None
    run_id: str = ""

    @property
    def about(self) -> RunKind:
        """All that is known of its kind."""
        return KINDS[self.kind]

    @property
    def wandb_id(self) -> str:
        """W&B's ID of the run; empty where it is not W&B's."""
        return self.run_id if self.kind == WANDB_RUN else ""


class RunPattern(NamedTuple):
    """The form of paths of runs of a kind that nothing in them needs to mark."""

    kind: str
    path: re.Pattern[bytes]


def run_directories(
    files: Mapping[str, bytes], projects: Projects | None = None
) -> list[RunDirectory]:
    """Return the folders that *files*, contents by path, name for runs; each folder once.

    A file of a project means folders of the project: that is where its tools are started.
    """
    found: dict[str, RunDirectory] = {}
    for project, configuration in _configurations(files, projects):
        for framework in FRAMEWORKS:
            if framework.output_folders is not None:
                for directory in framework.output_folders(configuration):
                    path = f"{project}/{directory.path}" if project else directory.path
                    found.setdefault(path, directory._replace(path=path))
    return sorted(found.values(), key=lambda directory: directory.tool)


def run_patterns(files: Mapping[str, bytes], projects: Projects | None = None) -> list[RunPattern]:
    """Return what the paths of runs look like after *files*, contents by path."""
    return [
        RunPattern(kind.name, path_pattern((re.escape(project) + "/" if project else "") + text))
        for project, configuration in _configurations(files, projects)
        for kind in KINDS.values()
        for text in kind.patterns(configuration)
    ]


def _configurations(
    files: Mapping[str, bytes], projects: Projects | None
) -> Iterator[tuple[str, Configuration]]:
    """Yield the configuration of each project, the repository's first."""
    groups: dict[str, dict[str, bytes]] = {"": {}}
    for name, content in files.items():
        around = b"" if projects is None else projects.around(os.fsencode(name))
        groups.setdefault(os.fsdecode(around), {})[name] = content
    for project, inside in groups.items():
        yield project, Configuration(inside)


def find_runs(top: Folder, patterns: Sequence[RunPattern] = ()) -> list[FoundRun]:
    """All runs below *top*, by path. The root is never one: with ``hydra.run.dir=.`` it would be.

    *patterns* say what the paths of jobs look like, for those without a mark
    (``hydra.output_subdir=null``): with a log in it, such a folder is a job.

    Nor is a folder that holds source files, unless it is named after a time; what is in a
    closed run is part of it, and a repository within this one keeps its own runs.
    """
    return sorted(_find(top, patterns), key=lambda run: run.path)


def _find(top: Folder, patterns: Sequence[RunPattern], top_path: bytes = b"") -> Iterator[FoundRun]:
    """Yield the runs in *top*, which is none itself."""
    stack: list[tuple[Folder, bytes, FoundRun | None]] = [(top, top_path, None)]
    while stack:
        folder, path, around = stack.pop()
        names = set(folder.names())
        if folder is not top and (_is_repository(folder, names) or b"pyvenv.cfg" in names):
            continue
        kind = _kind(folder, path, names, around, patterns) if folder is not top else None
        run = around
        if kind is not None:
            run = FoundRun(path, kind.name, folder, around.path if around is not None else None)
            yield run
            if kind.closed:
                continue
        for name, inner in folder.folders.items():
            if not name.startswith(_OURS):
                stack.append((inner, path + b"/" + name if path else name, run))


def _kind(
    folder: Folder,
    path: bytes,
    names: set[bytes],
    around: FoundRun | None,
    patterns: Sequence[RunPattern],
) -> RunKind | None:
    in_group = around is not None and around.about.role is Role.GROUP
    ends = {name[name.rfind(b".") :] for name in names}
    has_sources = not (ends.isdisjoint(SOURCE_SUFFIXES) and names.isdisjoint(SOURCE_NAMES))
    among_sources = has_sources and not in_group and not is_dated(path)
    for kind in KINDS.values():
        if (among_sources and not kind.among_sources) or (kind.alone and around is not None):
            continue
        if kind.recognise(folder, path, names) and not (
            kind.alone and any(_find(folder, patterns, path))
        ):
            return kind
    if not among_sources and b".log" in ends:
        for pattern in patterns:
            if pattern.path.fullmatch(path):
                return KINDS[pattern.kind]
    return None


def is_repository(folder: Folder) -> bool:
    """Return True if *folder* is a repository of its own: a work tree of one, or a bare one."""
    return _is_repository(folder, folder.names())


def _is_repository(folder: Folder, names: Collection[bytes]) -> bool:
    if not _REPOSITORIES.isdisjoint(folder.folders):
        return True
    if b"objects" in folder.folders and b"refs" in folder.folders:
        return b"HEAD" in names
    return b".git" in names or b".fslckout" in names
