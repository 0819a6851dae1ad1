"""Make the weight files of one version of torch: python make_files.py FOLDER

It runs with Python 3.7 and torch 1.4 as well as with today's, and writes into FOLDER/VERSION.
Those of several versions are packed: tar cJf tests/data/torches/files.tar.xz -C FOLDER .
"""

# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import collections
import io
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import torch

nn: Any = torch.nn
optim: Any = torch.optim


def values() -> Iterator[tuple[str, Callable[[], Any]]]:
    """What people save, by name; some of it no version has, and what fails is left out."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net(torch.ones(3, 3)).sum().backward()
    state = net.state_dict()
    adam = optim.Adam(net.parameters(), 0.1)
    adam.step()
    base = torch.arange(12.0)
    yield "state-dict", lambda: state
    yield "data-parallel", lambda: nn.DataParallel(net).state_dict()
    yield "parameter", lambda: nn.Parameter(torch.ones(2))
    yield "tensor", lambda: base
    yield "views", lambda: {"a": base, "b": base[2:5], "t": base.view(3, 4).t()}
    yield "half", lambda: {name: item.half() for name, item in state.items()}
    yield "integers", lambda: [base.long(), base.int(), base.short(), base.byte(), base > 3]
    yield "bfloat16", lambda: base.bfloat16()
    yield "complex", lambda: torch.ones(2, dtype=torch.complex64)
    yield "no-elements", lambda: [torch.zeros(0, 3), torch.tensor(1.5)]
    yield "sparse", lambda: torch.eye(3).to_sparse()
    yield "sparse-csr", lambda: torch.eye(3).to_sparse_csr()
    yield "nested", lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    yield "meta", lambda: torch.empty(3, device="meta")
    yield "quantized", lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    yield (
        "quantized-channels",
        lambda: torch.quantize_per_channel(
            torch.ones(3, 2), torch.ones(3), torch.zeros(3).long(), 0, torch.qint8
        ),
    )
    yield "rng", lambda: torch.get_rng_state()[:16].clone()
    yield "attribute", lambda: with_attribute(base)
    yield "optimizer", lambda: {"model": state, "optimizer": adam.state_dict(), "epoch": 3}
    yield "scheduler", lambda: optim.lr_scheduler.StepLR(adam, 3).state_dict()
    yield "scaler", lambda: torch.cuda.amp.GradScaler(enabled=False).state_dict()
    yield "plain", lambda: {
        "t": (1, (2,)), "n": None, "b": True, "f": 1.5, "u": "\u00e9", "l": [[], {}, ()],
        "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float16,
        "set": {1, 2}, "count": collections.Counter("aab"), "big": 2**70, "raw": b"bytes",
    }  # fmt: skip
    yield "lightning", lambda: {
        "epoch": 3, "global_step": 40, "pytorch-lightning_version": "1.0.0", "state_dict": state,
        "callbacks": {}, "optimizer_states": [adam.state_dict()], "hparams_name": "hparams",
        "hyper_parameters": {"lr": 0.1, "layers": [1, 2]},
    }  # fmt: skip
    yield "defaultdict", lambda: {"seen": collections.defaultdict(int), "m": base}
    yield "numpy", lambda: {"a": numpy.ones(2), "f": numpy.float64(0.5), "i": numpy.int64(1)}
    yield "module", lambda: net


def with_attribute(tensor: Any) -> Any:
    tensor = tensor.clone()
    tensor.label = "mine"
    return tensor


def programs() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """TorchScript and exported programs, by name."""
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval()

    def scripted(module: Any) -> bytes:
        buffer = io.BytesIO()
        torch.jit.save(module, buffer)
        return buffer.getvalue()

    def exported() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            torch.export.save(torch.export.export(net, (torch.ones(1, 3),)), folder + "/m.pt2")
            return Path(folder, "m.pt2").read_bytes()

    yield "scripted.pt", lambda: scripted(torch.jit.script(net))
    yield "traced.pt", lambda: scripted(torch.jit.trace(net, torch.ones(1, 3)))
    yield "exported.pt2", exported


def fsdp(target: str) -> Iterator[tuple[str, Any]]:
    """A model of torch.distributed.fsdp in one process: its whole state, on disk in *target*."""
    import torch.distributed as dist
    from torch.distributed import fsdp

    dist.init_process_group("gloo", init_method=f"file://{target}/store", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        made = fsdp.FullyShardedDataParallel(net, device_id=torch.device("cpu"))
        kinds = fsdp.StateDictType
        for kind in ("FULL_STATE_DICT", "LOCAL_STATE_DICT", "SHARDED_STATE_DICT"):
            with fsdp.FullyShardedDataParallel.state_dict_type(made, getattr(kinds, kind)):
                yield "fsdp-" + kind.partition("_")[0].lower(), made.state_dict()
    finally:
        dist.destroy_process_group()


def main() -> None:
    version = torch.__version__.partition("+")[0]
    folder = Path(sys.argv[1]) / version
    folder.mkdir(parents=True)
    old = version.startswith(("1.4", "1.5"))
    warnings.simplefilter("ignore")

    def add(name: str, make: Callable[[], bytes]) -> None:
        try:
            content = make()
        except Exception as exc:  # it is newer, or older
            print(f"{version} {name}: {type(exc).__name__}: {str(exc)[:100]}")
        else:
            (folder / name).write_bytes(content)

    def saved(value: Any, **options: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        return buffer.getvalue()

    for name, make in values():
        add(f"{name}.pt", lambda make=make: saved(make()))  # type: ignore[misc]
        # The zip files of torch 1.4 and 1.5 no other version reads.
        if name in ("state-dict", "optimizer", "views", "quantized") and not old:
            add(
                f"legacy-{name}.pt",
                lambda make=make: saved(make(), _use_new_zipfile_serialization=False),  # type: ignore[misc]
            )
    for name, program in programs():
        add(name, program)
    with tempfile.TemporaryDirectory() as target:
        try:
            for name, value in fsdp(target):
                add(f"{name}.pt", lambda value=value: saved(value))  # type: ignore[misc]
        except Exception as exc:
            print(f"{version} fsdp: {type(exc).__name__}: {str(exc)[:100]}")


if __name__ == "__main__":
    main()
