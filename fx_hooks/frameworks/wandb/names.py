"""The names of W&B's folders and files."""

from __future__ import annotations

import re
from collections.abc import Collection

# `wandb`, or `.wandb` if that is there already (wandb/old/core.py).
FOLDERS = (b"wandb", b".wandb")
RUN_NAME = re.compile(rb"(?P<offline>offline-|dry)?run-(?P<time>\d{8}_\d{6})-(?P<id>.+)", re.DOTALL)
_LOG_NAME = re.compile(rb"run-(?P<id>.+)\.wandb", re.DOTALL)
_NUMBERED = re.compile(rb"(?P<id>.+)-[1-9]\d*", re.DOTALL)
SYNCED_MARK = b".synced"


def log_name(folder: bytes, names: Collection[bytes]) -> bytes | None:
    """Return the name of the log of the run in *folder*, in which the files *names* are.

    It has the run's id, and so has the folder's name; where a folder of that name is there
    already, W&B adds ``-1`` and so on to it alone. None where there is no such log.
    """
    match = RUN_NAME.fullmatch(folder)
    if match is None:
        return None
    told = match["id"]
    numbered = _NUMBERED.fullmatch(told)
    for run_id in (told, numbered["id"]) if numbered is not None else (told,):
        if b"run-%s.wandb" % run_id in names:
            return b"run-%s.wandb" % run_id
    return None


def id_of(folder: bytes, log: bytes | None) -> bytes:
    """Return the run's id after the names of its *log* and its *folder*; empty without any."""
    match = (_LOG_NAME.fullmatch(log) if log is not None else None) or RUN_NAME.fullmatch(folder)
    return match["id"] if match is not None else b""
