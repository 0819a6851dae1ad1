"""The records that a run logs."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One step of a run."""

    step: int
    slope: float
    loss: float
