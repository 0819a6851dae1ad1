"""The facts in a W&B run: its id, its beginning, its configuration and metrics."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fx_hooks.frameworks.framework import Details
from fx_hooks.frameworks.run_files import at, read_json
from fx_hooks.frameworks.wandb.names import id_of, log_name
from fx_hooks.frameworks.wandb.record import WandbHead, WandbLog, read_wandb_head, read_wandb_log
from fx_hooks.frameworks.wandb.sync_logs import time_in
from fx_hooks.util.disk import files_not_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fx_hooks.util.disk import Folder

_MAX_LOG = 1 << 28  # a history of that length has its summary in a file, too


def run_id(folder: Folder, root: bytes) -> str:
    """Return the id in the run's first record, or else that of the names."""
    log = log_name(folder.name, folder.names())
    told = _head(os.path.join(root, folder.path), log, folder.size().newest).run_id
    return told or os.fsdecode(id_of(folder.name, log))


def started(folder: Folder, root: bytes) -> float | None:
    """Return when the run began, as it says itself, in seconds since the epoch."""
    place = os.path.join(root, folder.path)
    log = log_name(folder.name, folder.names())
    began = _head(place, log, folder.size().newest).started
    if began is None:
        told = read_json(os.path.join(place, b"files", b"wandb-metadata.json")).get("startedAt")
        try:
            began = time_in(told) if isinstance(told, str) else None
        except ValueError:
            return None
    return began


def run_log(place: bytes) -> WandbLog:
    """Return what the log of the run at *place* says."""
    name = log_at(place)
    if name is not None:
        try:
            with open(os.path.join(place, name), "rb", opener=files_not_links) as file:
                return read_wandb_log(file, limit=_MAX_LOG)
        except OSError:
            pass
    return WandbLog("", "", "", "", {}, {})


def named_id(place: bytes) -> str:
    """Return the id of the run at *place* after its log's name or its own."""
    return os.fsdecode(id_of(os.path.basename(place), log_at(place)))


def log_at(place: bytes) -> bytes | None:
    """Return the name of the log of the run at *place*; None without any."""
    try:
        return log_name(os.path.basename(place), os.listdir(place))
    except OSError:
        return None


def run_details(place: bytes) -> Details:
    """Return configuration and metrics of the run at *place*, and where W&B has it."""
    log = run_log(place)
    wandb = {"id": log.run_id, "project": log.project, "entity": log.entity}
    metrics = {**log.summary, **read_json(os.path.join(place, b"files", b"wandb-summary.json"))}
    known = {key: value for key, value in wandb.items() if value}
    noted = read_json(os.path.join(place, b"files", b"wandb-metadata.json"))
    commit = at(noted, "git", "commit")
    return Details(
        log.config or None,
        None,
        metrics,
        known,
        commit if isinstance(commit, str) and commit else log.commit,
        _command(noted),
    )


def _command(noted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the program and its arguments after ``wandb-metadata.json``.

    ``codePath`` counts from the root of the repository (wandb/sdk/internal/job_builder.py).
    """
    program, arguments = noted.get("codePath"), noted.get("args")
    if not isinstance(program, str) or not isinstance(arguments, list):
        return ()
    return (program, *(word for word in arguments if isinstance(word, str)))


def run_address(known: Mapping[str, str]) -> str:
    """Return the address of a run's page, of whose id, project and entity all are *known*."""
    if not known.keys() >= {"id", "project", "entity"}:
        return ""
    host = os.environ.get("WANDB_BASE_URL") or "https://wandb.ai"
    # The hosted server's API has a host of its own.
    host = host.rstrip("/").replace("//api.wandb.ai", "//wandb.ai")
    return f"{host}/" + "{entity}/{project}/runs/{id}".format_map(known)


@lru_cache(maxsize=1)
def _head(place: bytes, log: bytes | None, _written: float) -> WandbHead:
    """Return what the beginning of a log says, as it was when it was *_written*: asked twice."""
    if log is None:
        return WandbHead("", None)
    try:
        with open(os.path.join(place, log), "rb", opener=files_not_links) as file:
            return read_wandb_head(file)
    except OSError:
        return WandbHead("", None)
