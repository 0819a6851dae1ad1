"""The files that the Hugging Face Trainer leaves in its ``output_dir``.

Each ``checkpoint-STEP/`` has a ``trainer_state.json`` (transformers/trainer.py,
TRAINER_STATE_NAME); ``Trainer.save_state`` writes one next to them.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any

from fx_hooks.frameworks.framework import Details, Framework, RunKind
from fx_hooks.frameworks.run_files import read_json

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

TRAINER_RUN = "Hugging Face Trainer run"

_CHECKPOINT = re.compile(rb"checkpoint-(\d+)")
_STATE = b"trainer_state.json"


def _is_run(folder: Folder, _path: bytes, _names: set[bytes]) -> bool:
    return any(
        _CHECKPOINT.fullmatch(name) and _STATE in inner.names()
        for name, inner in folder.folders.items()
    )


def _details(place: bytes) -> Details:
    state = _state(place)
    config = {
        key: state[key]
        for key in ("max_steps", "num_train_epochs", "train_batch_size", "best_model_checkpoint")
        if state.get(key) is not None
    }
    history = state.get("log_history")
    metrics = {
        key: value
        for line in (history if isinstance(history, list) else ())
        if isinstance(line, dict)
        for key, value in line.items()
        if _is_number(value)
    }
    return Details(config or None, None, metrics)


def _is_number(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]


def _state(place: bytes) -> dict[str, Any]:
    """Return the state of the run, or of its last checkpoint."""
    state = read_json(os.path.join(place, _STATE))
    if state:
        return state
    try:
        found = [match for name in os.listdir(place) if (match := _CHECKPOINT.fullmatch(name))]
    except OSError:
        return {}
    last = max(found, key=lambda match: int(match[1]), default=None)
    return {} if last is None else read_json(os.path.join(place, last[0], _STATE))


FRAMEWORK = Framework(
    name="Hugging Face",
    kinds=(
        RunKind(
            name=TRAINER_RUN,
            plural="Hugging Face Trainer runs",
            recognise=_is_run,
            details=_details,
            alone=True,
            only_copy=True,
        ),
    ),
)
