"""Make the files beside this one with torch 2.13: python tests/data/hostile/make_hostile.py

Each is what torch writes with one thing changed; loading it carelessly touches MARK. Those below
honest/ are changed by ``tests/hostile_files.py``: an exported program with an argument that is
given by name (torch 2.14), and a model of Keras's in HDF5 (h5py 3.16), with a hole for a function.
"""

from __future__ import annotations

import importlib
import io
import json
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
PYTHON = "__import__('os').system('touch MARK')"


class Grown(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, 1)


class Saving(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(1))

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.w, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.w = state[0]  # type: ignore[assignment]
        self.training = state[1]
        torch.save(self.w, "MARK")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.w


class Named(torch.nn.Module):
    def forward(self, x: torch.Tensor, *, k: torch.Tensor) -> torch.Tensor:
        return torch.add(x, k)


def rewritten(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """The archive again, with each member as *change* gives it back."""
    target = tempfile.mkdtemp()
    path = Path(target) / "m.zip"
    writer = torch._C.PyTorchFileWriter(str(path))
    skipped = (".data/serialization_id", "byteorder", "version", ".data/version")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            inner = name.partition("/")[2]
            if inner not in skipped:
                data = change(inner, archive.read(name))
                writer.write_record(inner, data, len(data))
    writer.write_end_of_file()
    data = path.read_bytes()
    shutil.rmtree(target)
    return data


def graphs() -> dict[str, Callable[[dict[str, Any]], None]]:
    """What is changed in the JSON of a graph."""

    def expression(text: str) -> Callable[[dict[str, Any]], None]:
        def change(value: dict[str, Any]) -> None:
            for tensor in value["graph_module"]["graph"]["tensor_values"].values():
                tensor["sizes"][0]["as_expr"]["expr_str"] = text

        return change

    return {
        "import": expression(PYTHON),
        "open": expression("open('MARK', 'w')"),
        "eval": expression(f'eval("{PYTHON}")'),
        "lambda": expression(f"(lambda: {PYTHON})()"),
    }


def honest() -> None:
    """Write what is changed elsewhere."""
    first = torch.export.Dim.AUTO
    named = torch.export.export(
        Named(),
        (torch.ones(3, 4),),
        {"k": torch.ones(3, 4)},
        dynamic_shapes={"x": {0: first}, "k": {0: first}},
    )
    for node in named.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(named, HERE / "honest" / "named.pt2")
    h5py: Any = importlib.import_module("h5py")

    function: dict[str, Any] = {"class_name": "__lambda__", "config": {"code": "@" * 600}}
    function["config"] |= {"defaults": None, "closure": None}
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 1], "name": "i"}},
        {"class_name": "Lambda", "config": {"name": "l", "function": function}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with h5py.File(HERE / "honest" / "lambda.h5", "w", libver="earliest") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"], file.attrs["backend"] = "3.15.1", "torch"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = []
        weights.attrs["keras_version"], weights.attrs["backend"] = "3.15.1", "torch"


def main() -> None:
    warnings.simplefilter("ignore")
    honest()
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Saving()), buffer)
    (HERE / "setstate.pt").write_bytes(buffer.getvalue())

    def renamed(_: str, data: bytes) -> bytes:
        return data.replace(b'torch.save(w, "MARK")', b'ops.aten.save(w, "MARK")')

    (HERE / "ops.pt").write_bytes(rewritten(buffer.getvalue(), renamed))
    shape = {"x": {0: torch.export.Dim("n", min=2, max=100)}}
    program = torch.export.export(Grown(), (torch.ones(3, 4),), dynamic_shapes=shape)
    for name, change in graphs().items():
        with tempfile.NamedTemporaryFile(suffix=".pt2") as file:
            torch.export.save(program, file.name)

            def changed(
                path: str, data: bytes, change: Callable[[dict[str, Any]], None] = change
            ) -> bytes:
                if not path.startswith("models/"):
                    return data
                value = json.loads(data)
                change(value)
                return json.dumps(value).encode()

            content = rewritten(Path(file.name).read_bytes(), changed)
        (HERE / f"{name}.pt2").write_bytes(content)


if __name__ == "__main__":
    main()
