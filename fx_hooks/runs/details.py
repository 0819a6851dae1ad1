"""What a run was told and what came out: its configuration and its metrics, for people.

All of it is read from what Hydra and W&B left on disk; what is missing or broken is left
out, for a run is archived and counted whatever is the matter with its files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fx_hooks.frameworks.wandb.record import WandbLog, read_wandb_log, read_wandb_start
from fx_hooks.frameworks.wandb.sync_logs import time_in
from fx_hooks.runs.layouts import HYDRA_JOB, LIGHTNING, WANDB_NAME, WANDB_RUN
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import plain_data

_MAX_TEXT = 1 << 20
_MAX_LOG = 1 << 28  # a history of that length has its summary in a file, too


class Details(NamedTuple):
    """JSON values; empty where nothing is known."""

    config: Any = None
    overrides: Any = None
    metrics: Mapping[str, Any] = MappingProxyType({})
    wandb: Mapping[str, str] = MappingProxyType({})

    def as_json(self) -> dict[str, Any]:
        """Without what is empty."""
        return {key: value for key, value in self._asdict().items() if value}


def run_details(place: bytes, kind: str) -> Details:
    """What the run of that *kind* in the directory *place* says of itself."""
    if kind == WANDB_RUN:
        return _wandb_details(place)
    if kind == HYDRA_JOB:
        hydra = os.path.join(place, b".hydra")
        config = _yaml(os.path.join(hydra, b"config.yaml"))
        return Details(config, _yaml(os.path.join(hydra, b"overrides.yaml")))
    if kind == LIGHTNING:
        return Details(_yaml(os.path.join(place, b"hparams.yaml")))
    return Details(_yaml(os.path.join(place, b"multirun.yaml")))


def wandb_start(place: bytes) -> float | None:
    """When the W&B run in *place* began, as it says itself, in seconds since the epoch."""
    match = WANDB_NAME.fullmatch(os.path.basename(place))
    try:
        path = os.path.join(place, b"run-%s.wandb" % (match["id"] if match else b""))
        with open(path, "rb", opener=files_not_links) as file:
            began = read_wandb_start(file)
    except OSError:
        began = None
    if began is None:
        told = _json(os.path.join(place, b"files", b"wandb-metadata.json")).get("startedAt")
        try:
            began = time_in(told) if isinstance(told, str) else None
        except ValueError:
            return None
    return began


def _wandb_details(place: bytes) -> Details:
    match = WANDB_NAME.fullmatch(os.path.basename(place))
    log = WandbLog("", "", "", "", {}, {})
    try:
        path = os.path.join(place, b"run-%s.wandb" % (match["id"] if match else b""))
        with open(path, "rb", opener=files_not_links) as file:
            log = read_wandb_log(file, limit=_MAX_LOG)
    except OSError:
        pass
    wandb = {"id": log.run_id, "project": log.project, "entity": log.entity}
    metrics = {**log.summary, **_json(os.path.join(place, b"files", b"wandb-summary.json"))}
    return Details(log.config or None, None, metrics, {k: v for k, v in wandb.items() if v})


def _yaml(place: bytes) -> Any:
    content = _read(place)
    try:
        return None if content is None else plain_data(content, os.fsdecode(place))
    except FatalError:
        return None


def _json(place: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_read(place) or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read(place: bytes) -> bytes | None:
    try:
        with open(place, "rb", opener=files_not_links) as file:
            content = file.read(_MAX_TEXT + 1)
    except OSError:
        return None
    return content if len(content) <= _MAX_TEXT else None
