"""Files that run something in a careless reader pass nowhere here; that they do is proven."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fx_hooks.weights.content import inspect
from fx_hooks.weights.exported import graph_faults
from fx_hooks.weights.plain_text import is_text
from tests.contract_support import META, METADATA, add, approve, check
from tests.hostile_files import DATA, EMPTY, as_zip, legacy, payloads, torch_zip

if TYPE_CHECKING:
    from tests.support import Repo

PAYLOADS = payloads()
ROOT = Path(__file__).parent.parent
PROVEN = DATA / "proven.tsv"


def test_there_are_many() -> None:
    assert len(PAYLOADS) >= 178
    assert len({payload.content for payload in PAYLOADS.values()}) == len(PAYLOADS)


@pytest.mark.parametrize("name", PAYLOADS)
def test_none_passes(name: str) -> None:
    found = inspect(io.BytesIO(PAYLOADS[name].content))
    assert found.format is None or found.globals or found.faults
    assert not is_text(io.BytesIO(PAYLOADS[name].content))


def one_of_each_reader() -> list[str]:
    return list({payload.reader: name for name, payload in PAYLOADS.items()}.values())


@pytest.mark.parametrize("name", one_of_each_reader())
def test_by_no_door(repo: Repo, name: str) -> None:
    payload = PAYLOADS[name]
    path = f"run/m{payload.suffix}"
    repo.write(path, payload.content)
    model = f"best_models/m{payload.suffix}"
    named = () if payload.format is None else ("--format", payload.format)
    refused = add(repo, path, "--why", "x", "--metric", "a=1", *named)
    assert refused.code == 2
    assert not (repo.root / model).exists()
    approve(repo, payload.content, format=payload.format)
    repo.stage(METADATA, META)
    assert check(repo, "--all-files").code == 1


def proven() -> dict[str, str]:
    """Return the versions with which each file has been proven to run in its reader."""
    lines = PROVEN.read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def test_all_are_proven() -> None:
    assert proven().keys() == PAYLOADS.keys()


@pytest.mark.torch
def test_each_runs_in_its_reader(tmp_path: Path) -> None:
    """PROVEN=write records the versions."""
    pytest.importorskip("torch")
    pytest.importorskip("numpy")
    files = {}
    for name, payload in PAYLOADS.items():
        files[f"{payload.reader}--{name}{payload.suffix}"] = name
        path = tmp_path / f"{payload.reader}--{name}{payload.suffix}"
        path.write_bytes(payload.content)
    done = subprocess.run(
        (sys.executable, "-W", "ignore", ROOT / "tests" / "live_readers.py", tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    left = {line.split()[1] for line in lines if line.startswith("missing ")}
    assert sorted(files.keys() - set(lines) - left) == []
    if os.environ.get("PROVEN") == "write":
        versions = proven() | {
            files[line]: _versions(PAYLOADS[files[line]].reader) for line in lines if line in files
        }
        rows = (f"{name}\t{versions[name]}\n" for name in sorted(PAYLOADS.keys() & versions.keys()))
        PROVEN.write_text("# payload, and what it ran in\n" + "".join(rows), "utf-8")
    elif left:
        pytest.skip("\n".join(line for line in lines if line.startswith("missing ")))


def _versions(reader: str) -> str:
    more = {"keras": "keras", "jit-vision": "torchvision", "numpy": "numpy"}.get(reader)
    package = "lightning" if "lightning" in reader else more
    names = [name for name in ("torch", package) if name]
    found = [f"{name} {metadata.version(name).partition('+')[0]}" for name in names]
    return ", ".join([f"Python {sys.version_info[0]}.{sys.version_info[1]}", *found])


# What no reader at hand runs, and what would run in one that is not.
QUIET = {
    "hdf5-behind": EMPTY + b"\x89HDF\r\n\x1a\n".rjust(512 - len(EMPTY) + 8, b"\0") + bytes(64),
    "hdf5-in-legacy": legacy()[:-1].ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n",
    "comment": torch_zip(EMPTY)[:-2] + b"\x01\0x",
    "comment-that-lies": torch_zip(EMPTY)[:-2] + b"\x01\0",
    "prefix": b"\0" * 64 + torch_zip(EMPTY),
    "zip-prefix": torch_zip(EMPTY) * 2,
    "case": torch_zip(EMPTY, {"DATA.pkl": EMPTY}),
    "folder": torch_zip(EMPTY, {"data/": b""}),
    "backslash": torch_zip(EMPTY, {"data\\0": b""}),
    "absolute": as_zip([("/m/data.pkl", EMPTY)]),
    "no-stem": as_zip([("data.pkl", EMPTY), ("version", b"3\n")]),
    "keras": as_zip([("config.json", b"{}"), ("metadata.json", b"{}")]),
    "bom": b"\xef\xbb\xbf" + EMPTY,
    "note": torch_zip(EMPTY, {"x": b""}),
    "odd-note": as_zip([("m/data.pkl", EMPTY), ("m/version", b"import os\n")]),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_has_a_second_meaning_is_refused(name: str) -> None:
    found = inspect(io.BytesIO(QUIET[name]))
    assert found.format is None or found.faults


def test_local_headers_are_compared_with_the_directory() -> None:
    content = torch_zip(EMPTY)
    assert not inspect(io.BytesIO(content)).faults
    places = {
        "name": content.index(b"m/data.pkl"), "method": 8, "flags": 6, "checksum": 14,
        "stored": 18, "size": 22, "extra": content.index(b"FB"),
    }  # fmt: skip
    for what, place in places.items():
        changed = bytearray(content)
        changed[place] ^= 1
        assert inspect(io.BytesIO(changed)).faults, what


GRAPH = {
    "guards_code": ["__import__('os').system('touch MARK')"],
    "forward_arg_names": ["x=__import__('os').system('touch MARK')"],
    "nodes": [{"target": "torch.serialization.os.system", "inputs": []}],
    "inputs": [{"name": "alpha=open('MARK', 'w'), out", "arg": {}, "kind": 2}],
    "tensor_values": {"x": {"sizes": [{"as_expr": {"expr_str": "2 ** 10 ** 10 ** 10"}}]}},
    "in_spec": '[1, {"type": "builtins.dict", "context": "{\\"__enum__\\": 1}"}]',
    "out_spec": '[1, {"type": "collections.defaultdict", "context": {}, "children_spec": []}]',
    "target": "_operator.attrgetter",
}


@pytest.mark.parametrize(
    "name", ["image.write_file", "torchaudio_sox.save_audio_file", "video_reader.read_from_file"]
)
def test_operators_that_touch_files(name: str) -> None:
    assert list(graph_faults({"target": f"torch.ops.{name}.default"}))
    assert not list(graph_faults({"target": "torch.ops.torchvision.nms.default"}))


@pytest.mark.parametrize("key", GRAPH)
def test_what_a_graph_may_not_say(key: str) -> None:
    assert list(graph_faults({key: GRAPH[key]}))


@pytest.mark.parametrize(
    "text",
    [
        "2 ** 10 ** 10 ** 10", "(((2**64)**64)**64)**64", "PowByNatural(2, 9999999999)",
        "LShift(1, 9**64)", "Pow(2, 64*64*64*64*64)", "FloatPow(FloatPow(2, 64), 64)",
        "Pow(2, evaluate=True)", "2**65", "(s0 + 2**64)**2",
    ],
)  # fmt: skip
def test_powers_without_end(text: str) -> None:
    assert list(graph_faults({"expr_str": text}))


@pytest.mark.parametrize(
    "text",
    [
        "PowByNatural(s0, 2)", "LShift(1, s0)", "FloatPow(ToFloat(s0), 0.5)", "128*s0**2 + s1**2",
        "s0", "Symbol('s77', positive=True, integer=True)", "2*s0 + 1", "Eq(s0, 3)", "s0 >= 2",
        "Max(1, s0)", "Mod(s0, 2)", "FloorDiv(s0, 4)", "s0**2", "-s0", "And(s0 < 3, s1 > 2)",
    ],
)  # fmt: skip
def test_expressions_over_sizes(text: str) -> None:
    assert not list(graph_faults({"expr_str": text}))


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("L['x'].size()[0] >= 3", True),
        # torch 2.14
        ("(torch.sym_max(1, 1 + (((-3) + L['x'].size()[2]) // 2))*torch.sym_min(1, 2)) != 1", True),
        ("torch.sym_float(L['x'].size()[0]) < torch._sym_sqrt(4)", True),
        ("math.floor(2.5) < L['x'].size()[0]", True),
        ("torch.load('x')", False),
        ("torch.sym_max.__globals__", False),
        ("torch.serialization.sym_max(1, 2)", False),
        ("L['x'].sym_max(1, 2)", False),
        ("torch.sym_not_known(1)", False),
    ],
)
def test_guards_over_sizes(text: str, passes: bool) -> None:
    assert (not list(graph_faults({"guards_code": [text]}))) is passes


@pytest.mark.parametrize("path", sorted(DATA.glob("*.pt2")), ids=lambda path: path.stem)
def test_a_graph_is_honest_but_for_its_expression(path: Path) -> None:
    (fault,) = inspect(io.BytesIO(path.read_bytes())).faults
    assert "has an expression that is not made of sizes" in fault
