"""What is made to cost gets its answer through the real commands, within bounds.

These are the dearest cases, or once were; ``python -m tests.input_costs`` measures all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.input_costs import cases, faults

CASES = cases()
DEAREST = [
    "weights/pickle-tuples", "weights/pickle-doubled-list", "weights/script-bomb",
    "weights/script-getattr", "weights/pt2-long-expressions", "weights/tensors",
    "weights/pickle-many", "metadata/keys", "policy/flow", "milestones/entries", "runner/flow",
    "patterns/check_artifacts-words", "patterns/check_artifacts-stars", "configs/dollars",
    "configs/json-numbers", "index/all-hydra", "ignore/sync-line-breaks",
    "ignore/findings-negations", "python/f-strings", "python/compares",
    "runs/shown-log-small-pieces", "archives/manifest-keys",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DEAREST)
def test_within_bounds(tmp_path: Path, name: str) -> None:
    cost, found = faults(CASES[name], tmp_path / "repository")
    assert found == [], cost
