"""What versions of torch since 1.4 wrote passes, with the names that weights_only asks for."""

from __future__ import annotations

import importlib
import io
import tarfile
from pathlib import Path

import pytest

from fx_hooks.weights.content import inspect
from tests.honest_files import needed

RECORDED = Path(__file__).parent / "data" / "torches" / "files.tar.xz"
PROGRAMS = ("scripted.pt", "traced.pt", "exported.pt2")
NEEDS = {
    "defaultdict.pt": ("builtins.int", "collections.defaultdict"),
    "module.pt": (
        "torch.nn.modules.batchnorm.BatchNorm1d",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.linear.Linear",
    ),
    "numpy.pt": (
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "numpy.dtypes.Float64DType",
        "numpy.dtypes.Int64DType",
        "numpy.ndarray",
    ),
}
# Today's torch loads the first two no more; the others are in its format before 2.7.
REFUSED = {
    "1.4.0/module.pt": "has a persistent id 'module'",
    "1.13.1/sparse-csr.pt": "torch._utils._rebuild_sparse_csr_tensor",
    "2.2.2/exported.pt2": None,
    "2.6.0/exported.pt2": None,
}


def recorded() -> dict[str, bytes]:
    found = {}
    with tarfile.open(RECORDED) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                found[member.name.removeprefix("./")] = file.read()
    return found


FILES = recorded()


def test_there_are_many() -> None:
    assert len(FILES) >= 180
    assert len({name.partition("/")[0] for name in FILES}) == 6


@pytest.mark.parametrize("name", FILES)
def test_each_passes_with_its_names(name: str) -> None:
    found = inspect(io.BytesIO(FILES[name]))
    kind = name.partition("/")[2]
    if name in REFUSED:
        why = REFUSED[name]
        assert found.format is None if why is None else why in (*found.globals, *found.faults)
        return
    assert found.faults == ()
    assert found.globals == NEEDS.get(kind, ())
    formats = ("torchscript", "pt2") if kind in PROGRAMS else ("torch", "torch-legacy")
    assert found.format in formats


@pytest.mark.torch
def test_torch_asks_for_the_same() -> None:
    torch = pytest.importorskip("torch")
    importlib.import_module("torch.nested")
    importlib.import_module("torch.distributed.tensor")
    compared = 0
    for name, content in FILES.items():
        kind = name.partition("/")[2]
        if kind in PROGRAMS or name in REFUSED:
            continue
        assert needed(torch, content) == NEEDS.get(kind, ()), name
        compared += 1
    assert compared >= 160
