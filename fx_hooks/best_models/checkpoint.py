"""The facts that a checkpoint itself holds: figures, and the configuration of its run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from fx_hooks.frameworks.lightning.checkpoint import CONFIG, FIGURES, WEIGHTS
from fx_hooks.weights.content import read_object
from fx_hooks.weights.convert import count_parameters
from fx_hooks.weights.values import Global, Instance, Mapping

# Deeper than any configuration; a pickle may nest without end.
_DEEPEST = 20
_MOST = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFacts:
    """Facts that the file tells of its model without being loaded.

    ``parameters`` are the elements of the model's tensors, None where nobody can tell them.
    """

    parameters: int | None
    performance: dict[str, float] = field(default_factory=dict)
    config: Any = None


def read_facts(file: BinaryIO) -> CheckpointFacts:
    """Return what the checkpoint *file* says of itself."""
    parameters = count_parameters(file)
    _, value = read_object(file)
    inner = value.by_text() if isinstance(value, Mapping) else {}
    if not isinstance(inner.get(WEIGHTS), Mapping):
        return CheckpointFacts(parameters=parameters)
    figures = {
        name: number
        for name in FIGURES
        if isinstance(number := inner.get(name), (int, float))
        and not isinstance(number, bool)
        and math.isfinite(number)
    }
    config = _plain(inner[CONFIG], [_MOST], 0) if CONFIG in inner else None
    return CheckpointFacts(parameters=parameters, performance=figures, config=config)


def _plain(value: object, left: list[int], depth: int) -> Any:
    """Return *value* as JSON has it; an object of its own is known by its class alone."""
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {name: _plain(item, left, depth + 1) for name, item in value.by_text().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, left, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.name if isinstance(value, (Global, Instance)) else type(value).__name__
