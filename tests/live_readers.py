"""The careless readers, each in a process of its own that may be changed by what it reads.

    python tests/live_readers.py FOLDER

FOLDER has files called READER--NAME; printed are those that left MARK, one a line.
"""

from __future__ import annotations

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
    "changed": noticed(torch_load),
    "changed-pickle": noticed(plain),
}


def leaves_mark(reader: str, path: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            os.chdir(folder)
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
        if leaves_mark(found.name.partition("--")[0], found):
            print(found.name, flush=True)
