"""The run that made a model, read off what Hydra and W&B left on disk."""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.frameworks.wandb.details import named_id, run_address, run_details
from fx_hooks.frameworks.wandb.names import FOLDERS, RUN_NAME
from fx_hooks.util.errors import FatalError
from fx_hooks.util.times import moment

if TYPE_CHECKING:
    from fx_hooks.frameworks.framework import Details

_HYDRA_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[/_](\d{2}-\d{2}-\d{2})(?:/|\Z)")


class Provenance(NamedTuple):
    """The facts known of a run; None and empty where nothing is known.

    ``directory`` is the run's, for people to read. ``performance`` has W&B's summary,
    its numbers alone; ``wandb`` the run's ``id``, ``project``, ``entity`` and ``url`` as
    far as they are known without asking the server.
    """

    directory: str | None = None
    config: Any = None
    overrides: list[Any] | None = None
    performance: Mapping[str, Any] = MappingProxyType({})
    wandb: Mapping[str, str] = MappingProxyType({})
    commit: str = ""


class _WandbRun(NamedTuple):
    directory: str
    started: datetime
    details: Details


def find_provenance(model: str, root: str) -> Provenance:
    """Return the run whose directory *model* lies in, or that wrote it at its time.

    Nothing above *root* is looked at, unless the model lies outside of it: then nothing
    but the eight folders above it is. Raises :class:`~fx_hooks.util.errors.FatalError` for
    a broken configuration.
    """
    folders = _folders(os.path.abspath(model), root)
    hydra = next((folder for folder in folders if _is_hydra(folder)), None)
    config = overrides = None
    if hydra is not None:
        used = os.path.join(hydra, "config_used.yaml")
        composed = os.path.join(hydra, ".hydra", "config.yaml")
        config = _read_yaml(used if os.path.isfile(used) else composed)
        file = os.path.join(hydra, ".hydra", "overrides.yaml")
        overrides = _read_yaml(file) if os.path.isfile(file) else None
    run = _wandb_run(folders, hydra, model, config)
    if run is None:
        return Provenance(hydra, config, overrides)
    known = {"id": named_id(os.fsencode(run.directory)), **run.details.wandb}
    address = run_address(known)
    if address:
        known["url"] = address
    return Provenance(
        hydra or run.directory,
        config or run.details.config or config,
        overrides,
        figures_of(run.details.metrics),
        known,
        run.details.commit,
    )


def _folders(model: str, root: str) -> list[str]:
    """Return the folders above *model*, the innermost first, as far as a run may reach."""
    folders: list[str] = []
    folder = os.path.dirname(model)
    inside = f"{folder}/".startswith(f"{root}/")
    while folder not in folders and (inside or len(folders) < 8):
        folders.append(folder)
        if folder == root:
            break
        folder = os.path.dirname(folder)
    return folders


def _is_hydra(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, ".hydra", "config.yaml")) or os.path.isfile(
        os.path.join(folder, "config_used.yaml")
    )


def _wandb_run(
    folders: Sequence[str], hydra: str | None, model: str, config: Any
) -> _WandbRun | None:
    """Return the W&B run that made *model*; None where it is not beyond doubt which one."""
    for folder in folders:
        if RUN_NAME.fullmatch(os.fsencode(os.path.basename(folder))):
            return _read_wandb(folder)
    within = hydra and _only(_wandb_runs([hydra]))
    if within:
        return within
    runs = _wandb_runs([*folders, os.environ.get("WANDB_DIR") or folders[-1]])
    parts = set(model.split(os.sep))
    named = _only([run for run in runs if run.details.wandb.get("id") in parts])
    if named or hydra is None:
        return named
    # W&B's own directory is in the working directory, far from Hydra's: the time tells.
    first = _hydra_start(hydra).timestamp() - 1
    last = os.stat(model).st_mtime
    runs = [run for run in runs if first <= run.started.timestamp() <= last]
    return _only(runs) or _only([run for run in runs if fits(run.details.config or {}, config)])


def _only(runs: list[_WandbRun]) -> _WandbRun | None:
    return runs[0] if len(runs) == 1 else None


def _wandb_runs(folders: Sequence[str]) -> list[_WandbRun]:
    found = {}
    for folder in folders:
        for place in map(os.fsdecode, FOLDERS):
            pattern = os.path.join(glob.escape(os.path.join(folder, place)), "*run-*")
            for directory in sorted(glob.glob(pattern)):
                run = _read_wandb(directory)
                if run is not None:
                    found[os.path.realpath(directory)] = run
    return list(found.values())


def _read_wandb(directory: str) -> _WandbRun | None:
    match = RUN_NAME.fullmatch(os.fsencode(os.path.basename(directory)))
    try:
        started = datetime.strptime(match["time"].decode(), "%Y%m%d_%H%M%S") if match else None
    except ValueError:
        started = None
    if started is None:
        return None
    return _WandbRun(directory, started, run_details(os.fsencode(directory)))


def _hydra_start(folder: str) -> datetime:
    """Return when the job began: by the directory's name, else by its first file."""
    matches = list(_HYDRA_TIME.finditer(folder.replace(os.sep, "/")))
    if matches:
        try:
            return datetime.strptime(" ".join(matches[-1].groups()), "%Y-%m-%d %H-%M-%S")
        except ValueError:
            pass
    written = moment(os.stat(os.path.join(folder, ".hydra")).st_mtime)
    return written or datetime.fromtimestamp(0)  # no run began then


def fits(part: Any, whole: Any) -> bool:
    """Return True if all that the mapping *part* says, *whole* says, too."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and fits(value, whole[key]) for key, value in part.items())
    return bool(part == whole)


def figures_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers among *metrics*, without those of W&B itself."""
    return {key: value for key, value in metrics.items() if _is_figure(key, value)}


def _is_figure(key: str, value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and not key.startswith("_")


def _read_yaml(path: str) -> Any:
    from fx_hooks.util.strict_yaml import plain_data  # slow to load

    try:
        with open(path, "rb") as file:
            return plain_data(file.read(), path)
    except OSError as exc:
        raise FatalError(f"{path}: cannot be read: {exc.strerror}") from exc
