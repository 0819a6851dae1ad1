"""W&B's runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Confirmation, Ending, Framework, Role, RunKind
from fx_hooks.frameworks.run_files import named_time
from fx_hooks.frameworks.wandb import details, outside
from fx_hooks.frameworks.wandb.artifacts import needed_files
from fx_hooks.frameworks.wandb.ending import wandb_ending
from fx_hooks.frameworks.wandb.names import FOLDERS, RUN_NAME, log_name
from fx_hooks.frameworks.wandb.output import output_folders
from fx_hooks.frameworks.wandb.sync_logs import Syncs

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan

WANDB_RUN = "W&B run"

# W&B's names have seconds of the local time: zones differ by quarters of an hour.
_WITHIN = 0.5
_QUARTER = 900.0
_ZONES = 26 * 3600.0


def _is_run(folder: Folder, _path: bytes, names: set[bytes]) -> bool:
    if RUN_NAME.fullmatch(folder.name) is None:
        return False
    if log_name(folder.name, names) is not None:
        return True
    # Killed at once, or of an old version: then it lies where W&B puts its runs.
    parent = folder.parent
    return parent is not None and parent.name in FOLDERS and b"files" in folder.folders


def _endings(tree: Scan) -> Callable[[Folder], Ending]:
    syncs = Syncs(tree)
    return lambda folder: wandb_ending(folder, tree.root, syncs)


def _named(path: bytes) -> float | None:
    match = RUN_NAME.fullmatch(path.rpartition(b"/")[2])
    return None if match is None else named_time(match["time"], "%Y%m%d_%H%M%S")


def _started(folder: Folder, root: bytes) -> float | None:
    """By what the run says, else by its name."""
    told = details.started(folder, root)
    if told is not None:
        return told
    named = _named(folder.name)
    if named is None:
        return None
    oldest = folder.oldest()
    # The time of some other zone, perhaps: the last such before the first of its files.
    if -_ZONES <= oldest - named <= _ZONES:
        named += (oldest + _WITHIN - named) // _QUARTER * _QUARTER
    return named + _WITHIN


def _confirm(folders: Sequence[Folder], root: bytes) -> Iterator[tuple[int, Confirmation]]:
    # Imports what starts processes, which few commands need.
    from fx_hooks.frameworks.wandb.verification import confirm

    return confirm(folders, root)


FRAMEWORK = Framework(
    name="W&B",
    kinds=(
        RunKind(
            name=WANDB_RUN,
            plural="W&B runs",
            recognise=_is_run,
            endings=_endings,
            details=details.run_details,
            started=_started,
            named=_named,
            identity=details.run_id,
            needs=needed_files,
            role=Role.TRACKER,
            among_sources=True,
            closed=True,
            waits_for_upload=True,
            confirm=_confirm,
        ),
    ),
    usual_places=FOLDERS,
    output_rule="wandb-dir",
    output_folders=output_folders,
    outside=outside.wandb_folders,
    outside_frees={
        outside.WANDB_ARTIFACTS: outside.artifacts_free,
        outside.WANDB_LOGS: outside.logs_free,
    },
)
