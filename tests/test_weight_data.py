"""The shipped weights are what the libraries write today."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.weights import make_weights

pytestmark = pytest.mark.torch

SHIPPED = Path(__file__).parent / "data" / "weights"
LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("torch", "lightning", "safetensors"):
        pytest.importorskip(package)
    directory = tmp_path_factory.mktemp("weights")
    # In a process of its own: TorchScript renames a class that was compiled before.
    subprocess.run((sys.executable, make_weights.__file__, directory), check=True)
    return directory


def zip_members(path: Path) -> list[str]:
    assert path.read_bytes().startswith(b"PK\x03\x04")
    with zipfile.ZipFile(path) as archive:
        return sorted(archive.namelist())


def legacy_magic(path: Path) -> bytes:
    magic = path.read_bytes()[: len(LEGACY_MAGIC)]
    assert magic == LEGACY_MAGIC
    return magic


def safetensors_header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header


FORMATS: dict[str, Callable[[Path], object]] = {
    "checkpoint.pth": zip_members,
    "legacy_module.pth": legacy_magic,
    "legacy_state_dict.pth": legacy_magic,
    "lightning.ckpt": zip_members,
    "many_names.ckpt": zip_members,
    "model.safetensors": safetensors_header,
    "module.pt": zip_members,
    "scripted.pt": zip_members,
    "state_dict.pt": zip_members,
    **dict.fromkeys(make_weights.TEXTS, Path.read_bytes),
}


def test_same_names(made: Path) -> None:
    shipped = {path.name for path in SHIPPED.iterdir() if path.is_file()} - {"make_weights.py"}
    assert shipped == set(FORMATS) == {path.name for path in made.iterdir()}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_same_format(made: Path, name: str) -> None:
    read = FORMATS[name]
    assert read(SHIPPED / name) == read(made / name)


def test_small() -> None:
    sizes = {name: (SHIPPED / name).stat().st_size for name in FORMATS}
    assert max(sizes.values()) < 8 * 1024
    assert sum(sizes.values()) < 60 * 1024
