"""Make the small weight files that the tests read.

    python tests/data/weights/make_weights.py [DIRECTORY]

The files are committed, so that the tests need no torch. They were made with torch 2.13.0,
lightning 2.6.6 and safetensors 0.8.0 under Python 3.11. Everything is seeded; only the
legacy format differs in a few bytes from run to run, as it names storages by memory address.

Three more files are text, under names that usually mean weights.
"""

# mypy: disable-error-code="import-not-found,import-untyped", allow-subclassing-any

from __future__ import annotations

import argparse
import logging
import sys
import types
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

TEXTS = {
    "page_template.pt": """\
<html xmlns="http://www.w3.org/1999/xhtml"
      xmlns:tal="http://xml.zope.org/namespaces/tal"
      xmlns:metal="http://xml.zope.org/namespaces/metal"
      metal:use-macro="context/main_template/macros/master">
<body>
<div metal:fill-slot="main">
  <h1 tal:content="context/title">Title</h1>
  <ul tal:condition="view/experiments">
    <li tal:repeat="experiment view/experiments">
      <a href="#" tal:attributes="href experiment/url" tal:content="experiment/name">Name</a>
    </li>
  </ul>
</div>
</body>
</html>
""",
    "distutils-precedence.pth": (
        "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') "
        "== 'local'; enabled and __import__('_distutils_hack').add_shim(); \n"
    ),
    "lfs_pointer.pt": """\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 104857600
""",
}


def make_texts(directory: Path) -> None:
    """Write the files that are no weights."""
    for name, text in TEXTS.items():
        (directory / name).write_bytes(text.encode())


def make_torch(directory: Path) -> None:
    """Write what `torch.save`, `torch.jit.save` and safetensors make of one tiny layer."""
    import torch
    from safetensors.torch import save_file

    # TorchScript and the legacy format hold a module's source and where that lies on this machine
    from torch._sources import get_source_lines_and_file

    def source_without_folder(*args: Any) -> tuple[list[str], int, str | None]:
        lines, number, file = get_source_lines_and_file(*args)
        return lines, number, file and Path(file).name

    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    weights = layer.state_dict()
    torch.save(weights, directory / "state_dict.pt")
    torch.save(layer, directory / "module.pt")
    torch.save(weights, directory / "legacy_state_dict.pth", _use_new_zipfile_serialization=False)
    with mock.patch("torch.serialization.get_source_lines_and_file", source_without_folder):
        torch.save(layer, directory / "legacy_module.pth", _use_new_zipfile_serialization=False)
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})

    with (
        mock.patch("torch._sources.get_source_lines_and_file", source_without_folder),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # deprecated, and still in use
        torch.jit.save(torch.jit.script(layer), directory / "scripted.pt")

    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {"epoch": 1, "model": layer.state_dict(), "optimizer": optimizer.state_dict()},
        directory / "checkpoint.pth",
    )


def make_lightning(directory: Path) -> None:
    """Write a checkpoint as Lightning's own Trainer does."""
    import torch
    from lightning import LightningModule, Trainer, seed_everything
    from torch.utils.data import DataLoader, TensorDataset

    class Toy(LightningModule):
        def __init__(self, lr: float = 0.01) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.lr = lr
            self.layer = torch.nn.Linear(3, 1)

        def training_step(  # Lightning calls it with both
            self,
            batch: list[torch.Tensor],
            batch_idx: int,  # noqa: ARG002
        ) -> torch.Tensor:
            return torch.as_tensor(self.layer(batch[0]).square().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed_everything(0)
        trainer = Trainer(
            accelerator="cpu",
            default_root_dir=directory,
            enable_checkpointing=False,  # its state holds the folder that it writes to
            enable_model_summary=False,
            enable_progress_bar=False,
            logger=False,
            max_steps=1,
        )
        trainer.fit(Toy(), DataLoader(TensorDataset(torch.ones(4, 3)), batch_size=2))
        trainer.save_checkpoint(directory / "lightning.ckpt")


def make_many_names(directory: Path) -> None:
    """Write a checkpoint whose hyperparameters are objects of seventeen classes of its own."""
    import torch

    settings = {}
    sys.modules["mine"] = types.ModuleType("mine")
    for number in range(17):
        module = types.ModuleType(f"mine.part{number}")
        kind = type(f"Setting{number}", (), {"__module__": module.__name__})
        setattr(module, kind.__name__, kind)
        sys.modules[module.__name__] = module
        settings[f"k{number}"] = kind()
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save(
        {
            "epoch": 3,
            "global_step": 12,
            "state_dict": layer.state_dict(),
            "optimizer_states": [optimizer.state_dict()],
            "hyper_parameters": {
                **settings,
                "deep": {"lr": 0.1, "layers": [1, None]},
                "bad": float("nan"),
            },
        },
        directory / "many_names.ckpt",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the small weight files for the tests.")
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path(__file__).parent,
        help="where to write (default: the folder of this script)",
    )
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    make_texts(directory)
    make_torch(directory)
    make_lightning(directory)
    make_many_names(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
