"""MLflow's local runs: ``mlruns/EXPERIMENT/RUN/`` (mlflow/store/tracking/file_store.py).

``meta.yaml`` has the run's id, times in milliseconds and its status, a number of
``RunStatus`` (mlflow/entities/run_status.py). A parameter or metric is a file of its name,
below a folder where the name has a slash; a metric's lines are time, value and step.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fx_hooks.frameworks.framework import (
    Details,
    Ending,
    Evidence,
    Framework,
    Proof,
    RunKind,
    State,
)
from fx_hooks.frameworks.run_files import read_tail, read_text, read_yaml

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan

MLFLOW_RUN = "MLflow run"

_NAME = re.compile(rb"[0-9a-f]{32}")
_META = b"meta.yaml"
_PARTS = {b"artifacts", b"metrics", b"params", b"tags"}
_ENDINGS = {
    3: (State.FINISHED, "it finished"),
    4: (State.FAILED, "it failed"),
    5: (State.FAILED, "it was killed"),
}


def _is_run(folder: Folder, _path: bytes, names: set[bytes]) -> bool:
    is_whole = _META in names and len(_PARTS & folder.folders.keys()) > 1
    return is_whole and _NAME.fullmatch(folder.name) is not None


def _endings(tree: Scan) -> Callable[[Folder], Ending]:
    return lambda folder: _ending(folder, tree.root)


def _ending(folder: Folder, root: bytes) -> Ending:
    """Return what MLflow says; a run that was killed goes on in its words."""
    status = _meta(os.path.join(root, folder.path)).get("status")
    known = _ENDINGS.get(status) if isinstance(status, int) else None
    read = os.fsdecode(folder.path + b"/" + _META)
    if known is None:
        evidence = Evidence(read, "it does not say that the run has ended", Proof.NOTHING)
        return Ending(State.FINISHED, "nothing writes to it any more", False, (evidence,))
    state, says = known
    evidence = Evidence(read, f"status {status}: {says}", Proof.ENDED)
    return Ending(state, f"MLflow says that {says}", True, (evidence,))


def _details(place: bytes) -> Details:
    params = {
        name: text.decode("utf-8", "replace")
        for name, path in _values(os.path.join(place, b"params"))
        if (text := read_text(path)) is not None
    }
    metrics = {
        name: value
        for name, path in _values(os.path.join(place, b"metrics"))
        if (value := _last(read_tail(path) or b"")) is not None
    }
    return Details(params or None, None, metrics)


def _values(top: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names of the parameters or metrics, and their files."""
    for folder, _, files in os.walk(top):
        for file in sorted(files):
            path = os.path.join(folder, file)
            yield os.fsdecode(os.path.relpath(path, top)).replace(os.sep, "/"), path


def _last(lines: bytes) -> float | None:
    words = lines.rstrip().rpartition(b"\n")[2].split()
    try:
        value = float(words[1])
    except (IndexError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _started(folder: Folder, root: bytes) -> float | None:
    began = _meta(os.path.join(root, folder.path)).get("start_time")
    return began / 1000 if isinstance(began, int) and 0 < began < 1 << 48 else None


def _identity(folder: Folder, root: bytes) -> str:
    told = _meta(os.path.join(root, folder.path)).get("run_id")
    return told if isinstance(told, str) else os.fsdecode(folder.name)


def _meta(place: bytes) -> dict[str, Any]:
    value = read_yaml(os.path.join(place, _META))
    return value if isinstance(value, dict) else {}


FRAMEWORK = Framework(
    name="MLflow",
    kinds=(
        RunKind(
            name=MLFLOW_RUN,
            plural="MLflow runs",
            recognise=_is_run,
            endings=_endings,
            details=_details,
            started=_started,
            identity=_identity,
            closed=True,
            alone=True,
            only_copy=True,
        ),
    ),
    usual_places=(b"mlruns",),
)
