"""The command that brings a run to W&B."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_hooks.frameworks.wandb.record import HEADER_BYTES

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

_LOG = b".wandb"


def can_be_synced(folder: Folder) -> bool:
    """Return True if the W&B run in *folder* has a log with anything in it.

    Without one W&B ends with an error, and does not sync what is named after it.
    """
    return any(file[0].endswith(_LOG) and file[1] > HEADER_BYTES for file in folder.files)


def has_log(folder: Folder) -> bool:
    """Return True if the W&B run in *folder* has a log, be it empty."""
    return any(file[0].endswith(_LOG) for file in folder.files)


def sync_command(folder: Folder) -> str:
    """``wandb sync`` with the options without which it passes the run over in silence."""
    # As W&B tells them apart: an old `dryrun-` is an online one to it.
    is_online = not folder.name.startswith(b"offline-")
    is_marked = any(name.endswith(_LOG + b".synced") for name in folder.names())
    return "wandb sync" + " --include-online" * is_online + " --include-synced" * is_marked
