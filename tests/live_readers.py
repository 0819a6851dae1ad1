"""The careless readers, each in a process of its own that may be changed by what it reads.

    python tests/live_readers.py FOLDER

FOLDER has files called READER--NAME; printed are those that left MARK, one a line, and behind
``missing`` those whose reader is not at hand.
"""

from __future__ import annotations

import importlib
import io
import os
import pickle
import sys
import tempfile
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def torch_load(path: Path) -> None:
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)


def torch_file(path: Path) -> None:
    torch.load(path, weights_only=False)


def plain(path: Path) -> None:
    with path.open("rb") as file:
        pickle.load(file)


def consecutive(path: Path) -> None:
    with path.open("rb") as file:
        while True:
            pickle.load(file)


def consecutive_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive, archive.open("m/data.pkl") as file:
        while True:
            pickle.load(file)


def members(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                pickle.loads(archive.read(name))


def nested(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if data.startswith(b"PK"):
                torch.load(io.BytesIO(data), weights_only=False)


def arrays(path: Path) -> None:
    loaded = np.load(path, allow_pickle=True)
    for name in loaded.files:
        _ = loaded[name]


def jit(path: Path) -> None:
    torch.jit.load(str(path))  # type: ignore[no-untyped-call]


def export(path: Path) -> None:
    torch.export.load(path)


def module(path: Path) -> None:
    torch.export.load(path).module()


def run(path: Path) -> None:
    torch.export.load(path).module()(torch.ones(3, 4), k=torch.ones(3, 4))


def jit_with_vision(path: Path) -> None:
    importlib.import_module("torchvision")
    jit(path)


def keras(path: Path) -> None:
    os.environ |= {"KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3"}
    importlib.import_module("keras").models.load_model(path, safe_mode=False)


def lightning(path: Path) -> None:
    """A model whose argument is another, as the CLI of Lightning makes and loads it."""
    package = importlib.import_module("lightning.pytorch")

    class Model(package.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self, net: torch.nn.Module | None = None, **_: object) -> None:
            super().__init__()
            self.net = net

    # Annotations are read when the model is made.
    Model.__init__.__annotations__["net"] = torch.nn.Module
    Model.load_from_checkpoint(path, map_location="cpu")


def old_lightning(path: Path) -> None:
    """It asked nobody about ``_instantiator`` before 2.6.6."""
    lightning(path)


def missing(reader: str) -> str:
    """Return why a reader is not at hand; empty if it is."""
    package = {
        "keras": "keras", "jit-vision": "torchvision", "lightning": "jsonargparse",
        "old-lightning": "jsonargparse",
    }.get(reader, "torch")  # fmt: skip
    try:
        importlib.import_module(package)
        if "lightning" in reader:
            version = importlib.import_module("lightning").__version__
            if reader == "old-lightning" and tuple(map(int, version.split(".")[:3])) >= (2, 6, 6):
                return f"lightning is {version}: 2.6.5 and older obey"
    except ImportError as exc:
        return str(exc)
    return ""


def noticed(read: Callable[[Path], None]) -> Callable[[Path], None]:
    """Leave MARK where reading has changed what the whole process uses."""

    def changed(path: Path) -> None:
        from collections import Counter

        utils = torch._utils
        watched = (
            Counter,
            torch.serialization._get_layout,
            utils._rebuild_parameter,
            utils._rebuild_qtensor,
        )
        with suppress(Exception):
            read(path)
        if any(hasattr(item, "MARK") for item in watched) or (
            torch._utils._rebuild_tensor_v2.__defaults__ != (None,)
        ):
            Path("MARK").touch()

    return changed


READERS: dict[str, Callable[[Path], None]] = {
    "torch": torch_load,
    "torch-file": torch_file,
    "pickle": plain,
    "pickles": consecutive,
    "zip-pickles": consecutive_in_zip,
    "members": members,
    "nested": nested,
    "numpy": arrays,
    "jit": jit,
    "export": export,
    "module": module,
    "run": run,
    "jit-vision": jit_with_vision,
    "keras": keras,
    "lightning": lightning,
    "old-lightning": old_lightning,
    "changed": noticed(torch_load),
    "changed-pickle": noticed(plain),
}


LEAVES_MARK = """
import enum, torch
open("MARK", "w").close()
Net, Kind = torch.nn.Identity, enum.Enum("Kind", "A")
"""


def leaves_mark(reader: str, path: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            os.chdir(folder)
            Path("leaves_mark.py").write_text(LEAVES_MARK)
            sys.path.insert(0, folder)
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 1)
                os.dup2(nothing.fileno(), 2)
            with suppress(BaseException):
                READERS[reader](path)
            # A process that was started may still be on its way.
            with suppress(BaseException):
                while True:
                    os.wait()
            os._exit(0)
        os.waitpid(child, 0)
        return os.path.lexists(os.path.join(folder, "MARK"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for found in sorted(Path(sys.argv[1]).resolve().iterdir()):
        named = found.name.partition("--")[0]
        if why := missing(named):
            print("missing", found.name, why, flush=True)
        elif leaves_mark(named, found):
            print(found.name, flush=True)
