"""Which folders are runs: by what W&B, Hydra and Lightning leave in them, never by name alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.classifier import is_source

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

WANDB_RUN = "W&B run"
HYDRA_JOB = "Hydra job"
HYDRA_SWEEP = "Hydra sweep"
LIGHTNING = "Lightning version"

WANDB_NAME = re.compile(
    rb"(?P<offline>offline-|dry)?run-(?P<time>\d{8}_\d{6})-(?P<id>.+)", re.DOTALL
)
WANDB_FOLDERS = (b"wandb", b".wandb")
_LIGHTNING_NAME = re.compile(rb"version_\d+")
# outputs/2024-01-31/23-59-59, runs/2024-01-31_23-59-59: nobody keeps a package there.
_DATED = re.compile(rb"(?:^|/)\d{4}-\d{2}-\d{2}[/_]\d{2}-\d{2}-\d{2}\Z")
_HYDRA_FILES = {b"config.yaml", b"hydra.yaml", b"overrides.yaml"}
_REPOSITORIES = frozenset((b".git", b".hg", b".svn", b".jj", b".bzr", b"_darcs", b".pijul"))
# What tools of ours put aside.
_OURS = b".fx-"


class FoundRun(NamedTuple):
    """A run and where it lies; ``within`` is the innermost run around it."""

    path: bytes
    kind: str
    folder: Folder
    within: bytes | None

    @property
    def wandb_id(self) -> str:
        """W&B's ID of the run; empty where it is not W&B's."""
        match = WANDB_NAME.fullmatch(self.folder.name) if self.kind == WANDB_RUN else None
        return os.fsdecode(match["id"]) if match is not None else ""


def find_runs(top: Folder, patterns: Sequence[re.Pattern[bytes]] = ()) -> list[FoundRun]:
    """All runs below *top*, by path. The root is never one: with ``hydra.run.dir=.`` it would be.

    *patterns* say what the paths of Hydra's jobs look like, for those without ``.hydra/``
    (``hydra.output_subdir=null``): with a log in it, such a folder is a job.

    Nor is a folder that holds source files, unless Hydra has named it after a time; what is
    in a W&B run is part of it, and a repository within this one keeps its own runs.
    """
    return sorted(_find(top, patterns), key=lambda run: run.path)


def _find(top: Folder, patterns: Sequence[re.Pattern[bytes]]) -> Iterator[FoundRun]:
    stack: list[tuple[Folder, bytes, FoundRun | None]] = [(top, b"", None)]
    while stack:
        folder, path, around = stack.pop()
        kind = _kind(folder, path, around, patterns) if path else None
        run = around
        if kind is not None:
            run = FoundRun(path, kind, folder, around.path if around is not None else None)
            yield run
        if kind == WANDB_RUN:
            continue
        for name, inner in folder.folders.items():
            if name.startswith(_OURS) or is_repository(inner):
                continue
            if b"pyvenv.cfg" in inner.names():
                continue
            stack.append((inner, path + b"/" + name if path else name, run))


def _kind(
    folder: Folder, path: bytes, around: FoundRun | None, patterns: Sequence[re.Pattern[bytes]]
) -> str | None:
    names = set(folder.names())
    if _is_wandb_run(folder, names):
        return WANDB_RUN
    in_sweep = around is not None and around.kind == HYDRA_SWEEP
    if any(map(is_source, names)) and not in_sweep and not is_dated(path):
        return None
    hydra = folder.folders.get(b".hydra")
    if b"multirun.yaml" in names and any(_is_job(inner) for inner in folder.walk()):
        return HYDRA_SWEEP
    if hydra is not None and _HYDRA_FILES & set(hydra.names()):
        return HYDRA_JOB
    if _LIGHTNING_NAME.fullmatch(folder.name) and (
        names & {b"hparams.yaml", b"metrics.csv"}
        or any(name.startswith(b"events.out.tfevents.") for name in names)
    ):
        return LIGHTNING
    if any(pattern.fullmatch(path) for pattern in patterns) and any(
        name.endswith(b".log") for name in names
    ):
        return HYDRA_JOB
    return None


def _is_wandb_run(folder: Folder, names: set[bytes]) -> bool:
    match = WANDB_NAME.fullmatch(folder.name)
    if match is None:
        return False
    if b"run-%s.wandb" % match["id"] in names:
        return True
    # Killed at once, or of an old version: then it lies where W&B puts its runs.
    parent = folder.parent
    return parent is not None and parent.name in WANDB_FOLDERS and b"files" in folder.folders


def _is_job(folder: Folder) -> bool:
    hydra = folder.folders.get(b".hydra")
    return hydra is not None and bool(_HYDRA_FILES & set(hydra.names()))


def is_dated(path: bytes) -> bool:
    """Whether *path* is a time to the second, as Hydra names the folder of a job."""
    return _DATED.search(path) is not None


def is_repository(folder: Folder) -> bool:
    """Whether *folder* is a repository of its own: a work tree of one, or a bare one."""
    if not _REPOSITORIES.isdisjoint(folder.folders):
        return True
    if b"objects" in folder.folders and b"refs" in folder.folders:
        return b"HEAD" in folder.names()
    return b".git" in folder.names() or b".fslckout" in folder.names()
