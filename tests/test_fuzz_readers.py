"""Every reader of foreign bytes on damaged files, for as long as it is given.

    FX_HOOKS_FUZZ_SECONDS=600 python -m pytest tests/test_fuzz_readers.py

A reader gives its answer or its one exception, within seconds. What it fails on is left in
the folder that is printed, to become a test.
"""

from __future__ import annotations

import io
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.best_models.milestones import load_contract
from fx_hooks.frameworks.wandb.record import read_wandb_log
from fx_hooks.git.repository import lfs_pointer
from fx_hooks.policy.model import BestModels
from fx_hooks.util.errors import FatalError
from fx_hooks.weights.content import inspect
from fx_hooks.weights.convert import NotConvertible, write_safetensors
from fx_hooks.weights.plain_text import is_text
from tests.contract_support import META, entry, listing
from tests.hostile_files import payloads
from tests.support import mostly_slow
from tests.test_content import POINTERS
from tests.test_fuzz_weights import mutated
from tests.weight_files import SHIPPED

SECONDS = float(os.environ.get("FX_HOOKS_FUZZ_SECONDS", "4"))
LONGEST = 5.0
BEST_MODELS = BestModels("best_models", ("*.json",), (), ("*.pt",))


def weights(content: bytes) -> None:
    found = inspect(io.BytesIO(content))
    assert not found.left or found.faults
    assert all(0 <= item.start <= item.start + item.length for item in found.stored)


def convert(content: bytes) -> None:
    target = io.BytesIO()
    with suppress(NotConvertible):
        write_safetensors(io.BytesIO(content), target)
        found = inspect(target)
        assert found.format == "safetensors"
        assert not [x for x in found.faults if "as well" not in x]


def text(content: bytes) -> None:
    is_text(io.BytesIO(content))


def metadata(content: bytes) -> None:
    read_metadata(content, required=("performance",))


def milestones(content: bytes) -> None:
    with suppress(FatalError):
        load_contract(content, BEST_MODELS)


def log(content: bytes) -> None:
    read_wandb_log(io.BytesIO(b":W&B" + content))


def pointer(content: bytes) -> None:
    lfs_pointer(content)


MODELS = [path.read_bytes() for path in SHIPPED]
HOSTILE = [payload.content for payload in payloads().values()]
YAML = listing(entry(b"x", "best_models/m.pt")).encode()
READERS: dict[Callable[[bytes], None], list[bytes]] = {
    weights: MODELS + HOSTILE,
    convert: MODELS,
    text: [*HOSTILE, b"cos\nsystem\n(S'x'\ntR.", b"words and words\n" * 50],
    metadata: [META.encode()],
    milestones: [YAML],
    log: MODELS,
    pointer: [item.encode() for item in POINTERS],
}


@pytest.mark.parametrize("reader", mostly_slow(READERS, 2), ids=lambda reader: str(reader.__name__))
def test_damaged_files(reader: Callable[[bytes], None], tmp_path: Path) -> None:
    seed = random.randrange(1 << 32) if SECONDS > 60 else 1
    choose = random.Random(seed)
    seeds = READERS[reader]
    end = time.monotonic() + SECONDS / len(READERS)
    while time.monotonic() < end:
        content = mutated(choose.choice(seeds), choose)
        kept = tmp_path / "input"
        start = time.process_time()
        try:
            reader(content)
            assert time.process_time() - start < LONGEST
        except BaseException:
            kept.write_bytes(content)
            print(f"seed {seed}: {kept}")
            raise
