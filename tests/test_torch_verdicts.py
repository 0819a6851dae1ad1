"""Our verdict is that of the real torch, or stricter for a reason that stands here."""

from __future__ import annotations

import dataclasses
import importlib
import io
import os
import pickle
import warnings
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from fx_hooks.weights import torch_allows
from fx_hooks.weights.content import Format, Inspection, inspect
from tests.weight_files import (
    EMPTY,
    as_zip,
    malicious,
    safetensors,
    torch_legacy,
    torch_zip,
)

pytestmark = pytest.mark.torch

SHIPPED = Path(__file__).parent / "data" / "weights"

# torch loads these with weights_only, and we refuse them.
STRICTER = {
    "appended": "readers look for the zip directory from the end, each its own way",
    "two-pickles-of-one-name": "readers disagree about which of the two counts",
}


@dataclasses.dataclass
class Settings:
    rate: float = 0.1


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def honest(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the libraries themselves write."""
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    layer(torch.ones(2, 3)).sum().backward()
    state = layer.state_dict()
    base = torch.arange(12.0)
    optimizers = {}
    for kind in ("Adam", "AdamW", "SGD", "RMSprop", "LBFGS"):
        optimizer = getattr(torch.optim, kind)(layer.parameters(), lr=0.1)
        if kind != "LBFGS":
            optimizer.step()
        optimizers[kind] = optimizer.state_dict()
    scheduler = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(layer.parameters(), lr=1), 3)
    values = {
        "state-dict": state,
        **{f"optimizer-{kind}": {"model": state, "optimizer": o} for kind, o in optimizers.items()},
        "scheduler": scheduler.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "views": [base, base[3:6], base.view(3, 4).t()],
        "dtypes": {
            str(kind): torch.ones(3).to(kind)
            for kind in (
                torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.int16,
                torch.int32, torch.int64, torch.bool, torch.complex64, torch.complex128,
            )
        },
        "float8": torch.ones(3).to(torch.float8_e4m3fn),
        "uint16": torch.ones(3).to(torch.uint16),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "sparse": torch.eye(3).to_sparse(),
        "sparse-csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.ones(3, device="meta"),
        "empty-tensor": torch.ones(0),
        "plain-values": {"a": [1, 2.5, None, True, (1, 2), "text", 1 << 40, -3], "s": {1, 2}},
        "bytes": [b"bytes", bytearray(b"array"), complex(1, 2)],
        "torch-values": [torch.Size([1, 2]), torch.device("cpu"), torch.float32, torch.strided],
        "module": layer,
        "custom-class": Settings(),
        "path": Path("x"),
        "function": os.path.join,
        "numpy": {"a": __import__("numpy").ones(3)},
        "generator-state": torch.get_rng_state(),
        "large": torch.zeros(100_000),
    }  # fmt: skip
    files: dict[str, bytes] = {}
    for name, value in values.items():
        for legacy in (False, True):
            buffer = io.BytesIO()
            with suppress(Exception) if legacy else nullcontext():  # it knows fewer types
                torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
            files[f"legacy-{name}" if legacy else name] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save(state, buffer, pickle_protocol=4)
    files["protocol-4"] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, buffer)
    finally:
        torch.serialization.set_crc32_options(True)
    files["without-checksums"] = buffer.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
        files["torchscript"] = buffer.getvalue()
        exported = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
        place = tmp_path_factory.mktemp("exported") / "m.pt2"
        torch.export.save(exported, place)
        files["exported"] = place.read_bytes()
    for path in SHIPPED.iterdir():
        if path.suffix in (".pt", ".pth", ".ckpt"):
            files[path.name] = path.read_bytes()
    whole, legacy_whole = files["state-dict"], files["legacy-state-dict"]
    files["truncated"] = whole[:-100]
    files["truncated-in-the-middle"] = whole[: len(whole) // 2]
    files["appended"] = whole + b"x"
    files["truncated-legacy"] = legacy_whole[:-8]
    files["truncated-legacy-pickle"] = legacy_whole[:200]
    twice = [("m/data.pkl", EMPTY), ("m/data.pkl", EMPTY), ("m/version", b"3")]
    files["two-pickles-of-one-name"] = as_zip(twice)
    files["without-storage"] = torch_zip(
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"
        b"FloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x02\x85K\x01\x85\x89"
        b"ccollections\nOrderedDict\n)RtR."
    )
    files["called-text"] = torch_zip(b"\x80\x02X\x01\x00\x00\x00x)R.")
    files["plain-pickle"] = pickle.dumps({"a": 1}, 2)
    files["empty"] = b""
    files["text"] = b"a text\n"
    files["wrong-keys"] = torch_legacy(EMPTY, pickle.dumps(["0"], 2))
    return files


def loads(torch: Any, content: bytes) -> bool:
    """Whether torch's weights_only loads it, as zip or legacy file. It runs nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(io.BytesIO(content), weights_only=True)
    except Exception:
        return False
    return True


def passes(found: Inspection) -> bool:
    """Whether a milestone without further word would pass."""
    return (
        found.format in (Format.TORCH, Format.TORCH_LEGACY)
        and not found.globals
        and not found.faults
    )


def test_the_lists_are_those_of_torch(torch: Any) -> None:
    unpickler = importlib.import_module("torch._weights_only_unpickler")

    if torch.__version__.split("+")[0] != torch_allows.TORCH_VERSION:
        pytest.skip(f"the lists are those of torch {torch_allows.TORCH_VERSION}")
    assert frozenset(unpickler._get_allowed_globals()) == torch_allows.GLOBALS
    assert frozenset(unpickler._blocklisted_modules) == torch_allows.BLOCKED_MODULES
    for module in ("torch.nested", "torch.distributed.tensor", "torch._dynamo.decorators"):
        importlib.import_module(module)
    registered = {
        f"{item.__module__}.{item.__qualname__}" for item in unpickler._get_safe_globals()
    }
    messages = {name for name in registered if name.startswith(("builtins.", "traceback."))}
    assert registered - messages == torch_allows.REGISTERED
    known = {name for name in vars(pickle) if name.isupper() and hasattr(unpickler, name)} - {
        "NAME_MAPPING",
        "IMPORT_MAPPING",
    }
    assert known == torch_allows.OPERATIONS


def test_the_verdict_is_torchs(torch: Any, honest: dict[str, bytes]) -> None:
    files = {**honest, **malicious()}
    assert len(files) >= 80
    ours = {name for name, content in files.items() if passes(inspect(io.BytesIO(content)))}
    theirs = {name for name, content in files.items() if loads(torch, content)}
    assert ours - theirs == set()
    assert theirs - ours == set(STRICTER)


def test_many_pass(honest: dict[str, bytes]) -> None:
    good = [name for name, content in honest.items() if passes(inspect(io.BytesIO(content)))]
    assert len(good) >= 40


def test_the_globals_are_torchs(torch: Any, honest: dict[str, bytes]) -> None:
    compared = 0
    for name, content in {**honest, **malicious()}.items():
        found = inspect(io.BytesIO(content))
        try:
            unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
        except Exception:  # no torch zip, or pickle operations that it does not know
            continue
        if found.format == Format.TORCH:
            # It prints imports alone, and then asks for the class of a dtype as well.
            more = set(found.globals) - set(unsafe)
            assert set(unsafe) <= set(found.globals), name
            assert all(item.startswith("numpy.dtypes.") for item in more), name
            compared += 1
    assert compared >= 40


def test_no_malicious_file_passes() -> None:
    files = malicious()
    assert len(files) >= 30
    for name, content in files.items():
        found = inspect(io.BytesIO(content))
        assert found.format is None or found.globals or found.faults, name


def test_parameters_are_counted(torch: Any, honest: dict[str, bytes]) -> None:
    for name in ("state-dict", "legacy-state-dict"):
        state = torch.load(io.BytesIO(honest[name]), weights_only=True)
        counted = sum(tensor.numel() for tensor in state.values())
        assert inspect(io.BytesIO(honest[name])).parameters == counted


HEADERS = {
    "empty": (b"{}", b""),
    "one": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "padded": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  ', bytes(8)),
    "notes": (b'{"__metadata__":{"format":"pt"}}', b""),
    "odd-notes": (b'{"__metadata__":{"format":1}}', b""),
    "short": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(7)),
    "long": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(9)),
    "gap": (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)),
    "dtype": (b'{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "size": (b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', bytes(8)),
    "negative": (b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', bytes(8)),
    "list": (b"[]", b""),
    "no-json": (b"{]", b""),
    "twice": (
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        bytes(1),
    ),
}


def test_safetensors_headers_are_judged_like_the_library_does() -> None:
    library = pytest.importorskip("safetensors.torch")
    stricter = set()
    for name, (header, data) in HEADERS.items():
        content = safetensors(header, data)
        found = inspect(io.BytesIO(content))
        ours = found.format == Format.SAFETENSORS and not found.faults
        try:
            library.load(content)
            theirs = True
        except Exception:
            theirs = False
        assert theirs or not ours, name
        if theirs and not ours:
            stricter.add(name)
    # One key twice: readers disagree about which one counts.
    assert stricter <= {"twice"}
