"""What torch and its users write passes, with the names that weights_only asks for."""

from __future__ import annotations

import hashlib
import io
import json
import pydoc
import struct
from pathlib import Path
from typing import Any

import pytest

from fx_hooks.weights.content import inspect
from fx_hooks.weights.convert import NotConvertible, write_safetensors
from tests.honest_files import Honest, made, programs

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def files(torch: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Honest]:
    return made(torch, tmp_path_factory.mktemp("honest"))


def test_all_of_them_pass(files: dict[str, Honest]) -> None:
    assert len(files) >= 60
    for name, file in files.items():
        found = inspect(io.BytesIO(file.content))
        assert found.format in ("torch", "torch-legacy"), name
        assert found.faults == (), name
        assert found.globals == file.needs, name
        assert found.left == 0


def digests(torch: Any, value: Any) -> dict[str, tuple[list[int], str]] | None:
    """Shape and digest of each tensor of a flat state dict that safetensors can hold."""
    if not isinstance(value, dict) or not all(
        isinstance(item, torch.Tensor) for item in value.values()
    ):
        return None
    found = {}
    for name, tensor in value.items():
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
            return None
        if not isinstance(name, str) or tensor.is_nested:
            return None
        data = tensor.detach().clone(memory_format=torch.contiguous_format)
        raw = data.reshape(-1).view(torch.uint8).numpy().tobytes() if data.numel() else b""
        found[name] = (list(tensor.shape), hashlib.sha256(raw).hexdigest())
    return found


def test_state_dicts_become_safetensors(torch: Any, files: dict[str, Honest]) -> None:
    compared = 0
    refused = {}
    for name, file in files.items():
        expected = digests(torch, file.value)
        target = io.BytesIO()
        try:
            write_safetensors(io.BytesIO(file.content), target)
        except NotConvertible as exc:
            if expected is not None:
                refused[name] = str(exc)
            continue
        found = inspect(target)
        assert (found.format, found.faults) == ("safetensors", ()), name
        if expected is None:
            continue  # the part of a checkpoint that is a state dict
        content = target.getvalue()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        del header["__metadata__"]
        data = content[8 + length :]
        assert {
            key: (item["shape"], hashlib.sha256(data[slice(*item["data_offsets"])]).hexdigest())
            for key, item in header.items()
        } == expected, name
        compared += 1
    assert compared >= 25
    assert all("complex" in why for why in refused.values()), refused


def test_the_library_reads_them(torch: Any, files: dict[str, Honest]) -> None:
    library = pytest.importorskip("safetensors.torch")
    for name in ("state-dict", "half", "bfloat16", "integers", "transposed", "legacy-half"):
        target = io.BytesIO()
        write_safetensors(io.BytesIO(files[name].content), target)
        loaded = library.load(target.getvalue())
        assert loaded.keys() == files[name].value.keys()
        for key, tensor in files[name].value.items():
            assert loaded[key].dtype == tensor.dtype
            assert torch.equal(loaded[key], tensor), (name, key)


def test_programs_pass_where_they_are_named(torch: Any, tmp_path: Path) -> None:
    files = programs(torch, tmp_path)
    assert len(files) >= 11
    for name, content in files.items():
        found = inspect(io.BytesIO(content))
        assert found.format == ("pt2" if name.endswith(".pt2") else "torchscript"), name
        assert (found.globals, found.faults) == ((), ()), name


def test_what_lightning_writes_passes(torch: Any, tmp_path: Path) -> None:
    """A checkpoint of a real trainer, with hyperparameters, optimizer, scheduler and callbacks."""
    lightning = pytest.importorskip("lightning")

    class Model(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self, lr: float = 0.1, note: str = "a") -> None:  # noqa: ARG002
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, _: int) -> Any:
            return self.layer(batch[0]).sum()

        def configure_optimizers(self) -> Any:
            adam = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
            cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 0.1, total_steps=10)
            return {"optimizer": adam, "lr_scheduler": cycle}

        def train_dataloader(self) -> Any:
            data = torch.utils.data.TensorDataset(torch.rand(4, 2))
            return torch.utils.data.DataLoader(data, batch_size=2)

    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False,
        default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Model())
    for weights_only in (False, True):
        place = tmp_path / f"{weights_only}.ckpt"
        trainer.save_checkpoint(place, weights_only=weights_only)
        torch.load(place, weights_only=True)
        with open(place, "rb") as file:
            found = inspect(file)
        assert (found.format, found.globals, found.faults) == ("torch", (), ())


def test_names_that_are_printed_are_all_that_torch_wants(torch: Any, tmp_path: Path) -> None:
    """What accelerate keeps of random numbers loads once all the names are allowed."""
    accelerate = pytest.importorskip("accelerate")
    accelerate.Accelerator(cpu=True).save_state(tmp_path / "state")
    place = tmp_path / "state" / "random_states_0.pkl"
    with open(place, "rb") as file:
        found = inspect(file)
    assert found.faults == ()
    assert found.globals
    allowed = [pydoc.locate(name) for name in found.globals]
    with torch.serialization.safe_globals(allowed):
        torch.load(place, weights_only=True)
