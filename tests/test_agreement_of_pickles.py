"""What weights_only of the real torch loads, and what it refuses, on generated pickles.

The recorded answers (``tests/data/pickles.tsv``) are compared in every run; with torch,
thousands of new ones are. ``python -m tests.test_agreement_of_pickles`` records again.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from fx_hooks.weights.content import inspect
from tests.generated_pickles import pickles
from tests.weight_files import torch_zip

RECORDED = Path(__file__).parent / "data" / "pickles.tsv"
EXAMPLES = int(os.environ.get("FX_HOOKS_EXAMPLES", "3000"))
# No pickler writes these, and weights_only lets them pass: arguments and states that mean
# nothing. They are refused here, because what they would do has not been looked at.
STRICTER = (
    "with arguments that torch does not write",
    "with arguments that are no tuple",
    "a state",
)


def as_file(pickled: bytes) -> io.BytesIO:
    storage = {"data/0": bytes(48)} if b"FloatStorage" in pickled and b"tQ" in pickled else {}
    return io.BytesIO(torch_zip(pickled, **storage))


def refused(pickled: bytes) -> list[str]:
    """Why a torch file with *pickled* does not pass here, but for an unused storage."""
    found = inspect(as_file(pickled))
    members = ("lacks the storage", "which torch.save does not write")
    return [*found.globals, *(x for x in found.faults if not any(word in x for word in members))]


def loads(torch: Any, pickled: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(as_file(pickled), weights_only=True)
    except Exception:
        return False
    return True


def compare(pickled: bytes, theirs: bool) -> None:
    ours = refused(pickled)
    assert theirs or ours, "passes here, and torch refuses it"
    if theirs:
        rest = [fault for fault in ours if not any(reason in fault for reason in STRICTER)]
        # Of what was refused for such a reason, nothing more is known.
        assert not rest or (rest != ours and all(fault.endswith(" of a value") for fault in rest))


def test_recorded_answers() -> None:
    lines = RECORDED.read_text("ascii").splitlines()
    assert len(lines) >= 400
    loaded = 0
    for line in lines:
        answer, pickled = line.split("\t")
        compare(bytes.fromhex(pickled), answer == "loads")
        loaded += answer == "loads"
    assert loaded >= 100


@pytest.mark.torch
def test_generated_pickles() -> None:
    torch = pytest.importorskip("torch")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(pickles())
    def agree(pickled: bytes) -> None:
        compare(pickled, loads(torch, pickled))

    agree()


def record(count: int = 600) -> None:
    """Write new answers of the torch that is installed."""
    import torch

    found: dict[bytes, bool] = {}

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(pickles())
    def ask(pickled: bytes) -> None:
        if len(pickled) < 400:
            found[pickled] = loads(torch, pickled)

    ask()
    lines = [f"{'loads' if answer else 'refused'}\t{key.hex()}\n" for key, answer in found.items()]
    RECORDED.write_text("".join(sorted(lines)), "ascii")


if __name__ == "__main__":
    record()
