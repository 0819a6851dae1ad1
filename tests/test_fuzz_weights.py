"""Damaged weight files and metadata: no traceback, no hang, no hunger."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.frameworks.wandb.record import read_wandb_log
from fx_hooks.weights.content import inspect
from tests.contract_support import META
from tests.support import unmeasured
from tests.weight_files import SHIPPED, as_zip, malicious

pytest.importorskip("resource")

MUTATIONS = 6_000
MEGABYTES = 200
SECONDS = 120


def mutated(data: bytes, choose: random.Random) -> bytes:
    """*data* with a few bytes changed, cut, repeated or moved."""
    changed = bytearray(data)
    for _ in range(choose.randint(1, 4)):
        at = choose.randrange(len(changed) + 1)
        kind = choose.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << choose.randrange(8)
        elif kind == 1:
            changed[at : at + choose.randrange(16)] = b""
        elif kind == 2:
            changed[at:at] = choose.randbytes(choose.randrange(16))
        elif kind == 3:
            changed[at : at + 8] = choose.choice((b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7))
        elif kind == 4:
            changed = changed[: max(at, 1)]
        else:
            start = choose.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + choose.randrange(200)]
    return bytes(changed)


def fuzz(seed: int, count: int) -> float:
    """Inspect *count* mutations; the longest one's seconds."""
    choose = random.Random(seed)
    files = [path.read_bytes() for path in SHIPPED]
    files += malicious().values()
    longest = 0.0
    for _ in range(count):
        start = time.perf_counter()
        content = mutated(choose.choice(files), choose)
        inspect(io.BytesIO(content))
        if choose.random() < 0.2:
            read_metadata(mutated(META.encode(), choose), required=("performance",))
            read_metadata(content, required=None)
            read_wandb_log(io.BytesIO(b":W&B" + content))
        longest = max(longest, time.perf_counter() - start)
    return longest


@pytest.mark.slow
def test_mutations_end_within_bounds() -> None:
    # In a process of its own, whose memory is this test's alone.
    code = (
        "from tests.memory import peak; from tests.test_fuzz_weights import fuzz;"
        f" print(fuzz(1, {MUTATIONS}), peak())"
    )
    done = subprocess.run(
        (sys.executable, "-W", "ignore", "-c", code),
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    longest, most = map(float, done.stdout.split())
    assert longest < 20
    assert most < MEGABYTES


HUNGRY = {
    "many values": "b'\\x80\\x04' + b']\\x94' * 1_500_000",
    "many texts": "b'\\x80\\x04' + (b'\\x8c\\xf0' + b'x' * 240) * 200_000",
    "many tuples": "b'\\x80\\x02' + b')\\x85' * 1_500_000",
    "many numbers": "b'\\x80\\x02' + b'Jabcd' * 1_200_000",
    "many members": "as_zip({f'm/{i}': b'' for i in range(49_000)})",
    "a long header": "safetensors(b'{' + b'\"a\":0,' * 1_300_000 + b'\"b\":0}')",
    "deflated zeros": "as_zip({'m/data.pkl': bytes(63 << 20)}, deflate=True)",
    "archives in archives": "zip_bomb()",
    "huge dimensions": 'safetensors(b\'{"a":{"dtype":"U8","shape":[\''
    " + b'18446744073709551615,' * 100_000 + b'1],\"data_offsets\":[0,0]}}')",
    "a key twice": "safetensors(b'{' + b','.join(b'\"k%d\":0' % n for n in range(300_000))"
    " + b',\"k299999\":0}')",
    "keys of one hash": "torch_zip(b'\\x80\\x02}(' + b''.join(b'\\x8a\\x0a'"
    " + ((2**61 - 1) * (n + 1)).to_bytes(10, 'little') + b'N' for n in range(250_000)) + b'u.')",
    "tuples of themselves as keys": "torch_zip(b'\\x80\\x02}q\\x01)'"
    " + b'q\\x00h\\x00\\x86' * 300"
    " + b'q\\x000' + b'h\\x01h\\x00Ns0' * 300_000 + b'}.')",
    "one list in many calls": "torch_zip(b'\\x80\\x02ctorch\\nSize\\nq\\x00('"
    " + b'K\\x01' * 300_000"
    " + b'tq\\x010' + b'h\\x00h\\x01\\x85R0' * 2000 + b'}.')",
    "many names": "torch_zip(b'\\x80\\x02' + b''.join(b'ca\\nb%d\\n0' % n"
    " for n in range(200_000)))",
    "long expressions": "as_zip({'m/archive_format': b'pt2', 'm/models/m.json': b'{\"a\":['"
    " + b','.join(b'{\"expr_str\":\"%d' % n + b'+s0' * 1000 + b'\"}' for n in range(1000))"
    " + b']}'})",
    "code without end": "as_zip({'m/constants.pkl': b'', 'm/data.pkl': b'',"
    " 'm/code/__torch__.py': b'getattr(a' + b' ' * 3_000_000 + b'ops.' * 200_000})",
}


def zip_bomb() -> bytes:
    """Archives three deep, 90,000 times 60 MiB of zeros."""
    packed = as_zip({"m/data.pkl": bytes(60 << 20)}, deflate=True)
    for _ in range(2):
        members = {"m/data.pkl": b"\x80\x02N."} | {f"m/{n}.zip": packed for n in range(300)}
        packed = as_zip(members, deflate=True)
    return packed


# The issue is what grows faster than the file; machines that are busy take their time.
HUNGRY_SECONDS = 10


@pytest.mark.slow
def test_hungry_files_stay_within_bounds() -> None:
    for name, content in HUNGRY.items():
        code = (
            "import io, time; from fx_hooks.weights.content import inspect;"
            " from tests.memory import peak; from tests.test_fuzz_weights import zip_bomb;"
            " from tests.weight_files import as_zip, safetensors, torch_zip;"
            f" content = {content};"
            " before = peak(); start = time.process_time();"
            " inspect(io.BytesIO(content));"
            " print(peak() - before, time.process_time() - start)"
        )
        done = subprocess.run(
            (sys.executable, "-W", "ignore", "-c", code),
            cwd=Path(__file__).parent.parent,
            env=unmeasured(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (name, done.stderr)
        more, seconds = map(float, done.stdout.split())
        assert more < MEGABYTES, name
        assert seconds < HUNGRY_SECONDS, name
