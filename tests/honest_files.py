"""Weight files as torch and what is built on it write them: all of them have to pass.

They are made by the torch that is installed; ``made`` gives them with the names that
``weights_only`` wants to be told, if any.
"""

from __future__ import annotations

import collections
import importlib
import io
import pathlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Honest:
    """One file, and the names without which ``weights_only`` does not load it."""

    content: bytes
    needs: tuple[str, ...]
    value: Any


def _values(torch: Any) -> dict[str, Any]:
    """What people save."""
    nn, optim = torch.nn, torch.optim
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    net(torch.ones(3, 4)).sum().backward()
    state = net.state_dict()
    base = torch.arange(24.0)
    values: dict[str, Any] = {
        "state-dict": state,
        "data-parallel": nn.DataParallel(net).state_dict(),
        "parameter": nn.Parameter(torch.ones(2)),
        "frozen": nn.Parameter(torch.ones(2), requires_grad=False),
        "tensor": base,
        "view": base[3:9],
        "transposed": {"w": base.view(4, 6).t()},
        "shared": {"a": base, "b": base, "c": base[2:]},
        "expanded": {"w": torch.ones(1).expand(7)},
        "channels-last": {"w": torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last)},
        "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
        "empty": {},
        "no-elements": {"a": torch.zeros(0, 3), "b": torch.tensor(1.5)},
        "meta": torch.empty(3, device="meta"),
        "coo": torch.eye(3).to_sparse(),
        "csr": torch.eye(3).to_sparse_csr(),
        "csc": torch.eye(4).to_sparse_csc(),
        "bsr": torch.eye(4).to_sparse_bsr((2, 2)),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "jagged": torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "quantized-channels": torch.quantize_per_channel(
            torch.ones(3, 2), torch.ones(3), torch.zeros(3).long(), 0, torch.qint8
        ),
        "rng": torch.get_rng_state(),
        "attributes": _with_attribute(torch),
        "weight-norm": nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)).state_dict(),
        "spectral-norm": nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2)).state_dict(),
        "pruned": _pruned(nn.Linear(4, 4)),
        "averaged": optim.swa_utils.AveragedModel(net).state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "convolutions": nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 3)).state_dict(),
        "lstm": nn.LSTM(3, 4, 2).state_dict(),
        "transformer": nn.TransformerEncoderLayer(8, 2, 16).state_dict(),
        "embedding": nn.Embedding(10, 4).state_dict(),
        "half": {name: item.half() for name, item in state.items()},
        "bfloat16": {name: item.bfloat16() for name, item in state.items()},
        "many": {f"layer.{number}.w": torch.zeros(3) for number in range(300)},
        "large": torch.zeros(300_000),
        "plain": {
            "s": {1, 2}, "t": (1, (2,)), "c": 1 + 2j, "n": None, "big": 2**70, "neg": -5,
            "f": 1.5, "u": "é☃", "l": [[], {}, ()], "size": torch.Size([1, 2]), "b": True,
            "dev": torch.device("cpu"), "dt": torch.float16, "cnt": collections.Counter("aab"),
            "raw": b"bytes", "array": bytearray(b"array"), "layout": torch.strided,
            "long": "x" * 5000, "numbers": list(range(3000)), 7: "seven", (1, 2): "pair",
        },
        "lightning-1": {
            "epoch": 3, "global_step": 40, "pytorch-lightning_version": "1.9.5",
            "state_dict": state,
            "callbacks": {"ModelCheckpoint{'monitor': 'val'}": {"best_score": torch.ones(())}},
            "hparams_name": "hparams", "hyper_parameters": {"lr": 0.1, "layers": [1, 2]},
        },
        "lightning-2": {
            "epoch": 1, "pytorch-lightning_version": "2.5.0", "state_dict": state, "loops": {},
            "optimizer_states": [], "lr_schedulers": [], "MixedPrecision": None,
            "hyper_parameters": {
                "_instantiator": "lightning.pytorch.cli.instantiate_module", "note": "os.system",
            },
        },
        "shard": {f"model.layers.{number}.mlp.weight": torch.zeros(4, 4) for number in range(20)},
        "fsdp": collections.OrderedDict(("_fsdp_wrapped_module." + k, v) for k, v in state.items()),
        "lora": {"base_model.model.q.lora_A.weight": torch.ones(2, 4)},
        "module": net,
        "device": torch.device("cuda:1"),
        "integers": {str(kind): torch.ones(3).to(kind) for kind in (
            torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool,
        )},
        "other-dtypes": {str(kind): torch.zeros(3).to(kind) for kind in (
            torch.float64, torch.complex64, torch.complex128, torch.complex32,
            torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64,
        )},
    }  # fmt: skip
    for kind in ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "NAdam", "Adamax", "Rprop"):
        more = {"momentum": 0.9} if kind == "SGD" else {}
        optimizer = getattr(optim, kind)(net.parameters(), lr=0.1, **more)
        optimizer.step()
        values[f"optimizer-{kind}"] = {"model": state, "optimizer": optimizer.state_dict()}
    sgd = optim.SGD(net.parameters(), 0.1, momentum=0.9)
    schedulers = optim.lr_scheduler
    for name, scheduler in {
        "step": schedulers.StepLR(sgd, 3), "cosine": schedulers.CosineAnnealingLR(sgd, 5),
        "plateau": schedulers.ReduceLROnPlateau(sgd), "one-cycle": schedulers.OneCycleLR(sgd, 1, 9),
        "lambda": schedulers.LambdaLR(sgd, lambda _: 1.0),
        "multistep": schedulers.MultiStepLR(sgd, [2, 4]),
    }.items():  # fmt: skip
        values[f"scheduler-{name}"] = scheduler.state_dict()
    values |= _with_names(state) | _of_other_packages()
    return values


def _pruned(layer: Any) -> Any:
    prune = importlib.import_module("torch.nn.utils.prune")
    return prune.l1_unstructured(layer, "weight", 2).state_dict()


def _with_attribute(torch: Any) -> Any:
    tensor = torch.ones(3)
    tensor.label = "mine"
    return {"w": tensor}


def _with_names(state: Any) -> dict[str, Any]:
    """Values that need names; none without numpy."""
    values: dict[str, Any] = {
        "defaultdict": {"seen": collections.defaultdict(int), "m": state},
        "path": {"p": pathlib.PurePosixPath("a/b"), "m": state},
        "types": {"kind": float, "m": state},
        "frozen-set": {"s": frozenset((1, 2)), "m": state},
        "range": {"r": range(3), "m": state},
    }
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return values
    values["numpy-random"] = {"state": numpy.random.RandomState(0)}
    values["numpy-array"] = {"a": numpy.ones(3), "i": numpy.arange(2), "m": state}
    values["numpy-scalars"] = {"f": numpy.float64(0.3), "i": numpy.int32(3), "b": numpy.bool_(True)}
    values["numpy-half"] = {
        "h": numpy.float16(0.5),
        "u": numpy.array(["é"]),
        "s": numpy.bytes_(b"x"),
    }
    return values


def _of_other_packages() -> dict[str, Any]:
    """Models at random of packages that may be installed."""
    values = {}
    for package, create, names in (
        ("torchvision.models", "{}", ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small")),
        ("timm.models", "create_model", ("mobilenetv3_small_050", "vit_tiny_patch16_224")),
    ):
        try:
            module = importlib.import_module(package)
        except (ImportError, RuntimeError):
            continue
        for name in names:
            if create == "create_model":
                model = module.create_model(name)
            else:
                model = getattr(module, name)(weights=None)
            values[f"{package.partition('.')[0]}-{name}"] = model.state_dict()
    return values


@contextmanager
def _alignment(size: int) -> Iterator[None]:
    config = importlib.import_module("torch.utils.serialization").config.save
    before = config.storage_alignment
    config.storage_alignment = size
    try:
        yield
    finally:
        config.storage_alignment = before


def made(torch: Any, folder: pathlib.Path) -> dict[str, Honest]:
    """All files, by name."""
    files: dict[str, tuple[bytes, Any]] = {}

    def save(name: str, value: Any, **options: Any) -> None:
        buffer = io.BytesIO()
        torch.save(value, buffer, **options)
        files[name] = (buffer.getvalue(), value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = _values(torch)
        state = values["state-dict"]
        for name, value in values.items():
            save(name, value)
        for name in (
            "state-dict", "optimizer-Adam", "plain", "view", "shared", "data-parallel", "coo",
            "lightning-1", "transformer", "parameter", "integers", "half", "defaultdict",
        ):  # fmt: skip
            save(f"legacy-{name}", values[name], _use_new_zipfile_serialization=False)
        save("no-byteorder", state, _disable_byteorder_record=True)
        torch.serialization.set_crc32_options(False)
        try:
            save("no-checksums", state)
        finally:
            torch.serialization.set_crc32_options(True)
        for size in (512, 4096):
            with _alignment(size):
                save(f"aligned-{size}", state)
        for name in ("model.pt", "modèle du soir.pt", "with.dots.v2.pth", "noend"):
            torch.save(state, folder / name)
            files[f"file-{name}"] = ((folder / name).read_bytes(), state)
        files["distributed"] = (_distributed(folder, state), state)
        for name, value in _fsdp(torch, folder).items():
            save(name, value)
        together = (folder / "fsdp.pt").read_bytes()
        files["fsdp-brought-together"] = (together, torch.load(io.BytesIO(together)))
    return {
        name: Honest(content=content, needs=needed(torch, content), value=value)
        for name, (content, value) in files.items()
    }


def _distributed(folder: pathlib.Path, state: Any) -> bytes:
    """A distributed checkpoint, brought together in one file."""
    checkpoint = importlib.import_module("torch.distributed.checkpoint")
    utils = importlib.import_module("torch.distributed.checkpoint.format_utils")
    checkpoint.save(dict(state), checkpoint_id=folder / "dcp", no_dist=True)
    utils.dcp_to_torch_save(folder / "dcp", folder / "dcp.pt")
    return (folder / "dcp.pt").read_bytes()


def _fsdp(torch: Any, folder: pathlib.Path) -> dict[str, Any]:
    """States of models of both versions of FSDP, in one process; fsdp.pt is one of DCP's."""
    dist = importlib.import_module("torch.distributed")
    fsdp = importlib.import_module("torch.distributed.fsdp")
    states = importlib.import_module("torch.distributed.checkpoint.state_dict")
    utils = importlib.import_module("torch.distributed.checkpoint.format_utils")
    whole = states.StateDictOptions(full_state_dict=True)
    found = {}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    try:
        first, second = torch.nn.Sequential(torch.nn.Linear(3, 4)), torch.nn.Linear(3, 4)
        first = fsdp.FullyShardedDataParallel(first, device_id=torch.device("cpu"))
        fsdp.fully_shard(second)
        for name, model in {"fsdp-1": first, "fsdp-2": second}.items():
            adam = torch.optim.AdamW(model.parameters())
            model(torch.ones(1, 3)).sum().backward()
            adam.step()
            found[name] = {"model": model.state_dict(), "optimizer": adam.state_dict()}
            found[f"{name}-whole"] = states.get_state_dict(model, adam, options=whole)
        checkpoint = importlib.import_module("torch.distributed.checkpoint")
        checkpoint.save(second.state_dict(), checkpoint_id=folder / "fsdp")
        utils.dcp_to_torch_save(folder / "fsdp", folder / "fsdp.pt")
    finally:
        dist.destroy_process_group()
    return found


_WANTED = re.compile(
    r"GLOBAL (\S+) was not an allowed|got <class '([\w.]+)'>|function <class '([\w.]+)'>"
    r"|whose module (\S+) is blocked"
)


def needed(torch: Any, content: bytes) -> tuple[str, ...]:
    """The names without which ``weights_only`` does not load *content*, as it asks for them."""
    names: list[str] = []
    for _ in range(40):
        try:
            with torch.serialization.safe_globals([(resolved(name), name) for name in names]):
                torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
            return tuple(sorted(names))
        except Exception as exc:  # noqa: PERF203
            match = _WANTED.search(str(exc))
            if match is None:
                raise
            name = next(filter(None, match.groups()))
            names.append(name if "." in name else f"builtins.{name}")
    raise AssertionError(names)


def resolved(dotted: str) -> Any:
    parts = dotted.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ImportError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise AssertionError(dotted)


def programs(torch: Any, folder: pathlib.Path) -> dict[str, bytes]:
    """Honest TorchScript and exported programs, by name; the suffix says which."""
    nn = torch.nn
    conv = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.BatchNorm2d(2)).eval()
    linear = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.LayerNorm(4)).eval()
    dynamic = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)))
    files = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, scripted in {
            "scripted": torch.jit.script(linear),
            "traced": torch.jit.trace(linear, torch.ones(1, 4)),
            "frozen": torch.jit.freeze(torch.jit.script(conv)),
            "lstm": torch.jit.script(nn.LSTM(3, 4)),
            "dynamic": torch.jit.script(dynamic),
            "attention": torch.jit.script(nn.TransformerEncoderLayer(8, 2, 16)),
        }.items():
            buffer = io.BytesIO()
            torch.jit.save(scripted, buffer, _extra_files={"labels.json": '{"a": 1}'})
            files[f"{name}.pt"] = buffer.getvalue()
        auto = torch.export.Dim.AUTO
        for name, model, example, shapes in (
            ("linear", linear, torch.ones(2, 4), None),
            ("batch", linear, torch.ones(2, 4), {"input": {0: torch.export.Dim("n", max=64)}}),
            ("sizes", conv, torch.ones(2, 1, 9, 9), {"input": {0: auto, 2: auto, 3: auto}}),
            ("lstm", nn.LSTM(3, 4), torch.ones(2, 1, 3), None),
            ("attention", nn.TransformerEncoderLayer(8, 2, 16).eval(), torch.ones(1, 3, 8), None),
        ):
            program = torch.export.export(model, (example,), dynamic_shapes=shapes)
            place = folder / f"{name}.pt2"
            torch.export.save(program, place, extra_files={"notes.txt": "a note"})
            files[place.name] = place.read_bytes()
    return files
