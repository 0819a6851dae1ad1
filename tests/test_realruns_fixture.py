"""The made runs are what the other tests believe them to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.realruns.make import PROJECT, expected, make_runs

DATED = r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d"
OFFLINE_RUN = r"offline-run-\d{8}_\d{6}-(?P<id>[a-z0-9]{8})"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hydra")
    pytest.importorskip("wandb")
    target = tmp_path_factory.mktemp("realruns") / "work"
    make_runs(target)
    return target


def matches(tree: Path, pattern: str) -> set[str]:
    """Return the artifacts whose whole path matches."""
    artifacts, _ = expected(tree)
    return {path for path in artifacts if re.fullmatch(pattern, path)}


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        pytest.param(rf"wandb/{OFFLINE_RUN}/run-(?P=id)\.wandb", 5, id="wandb run"),
        pytest.param(rf"wandb/{OFFLINE_RUN}/files/output\.log", 5, id="wandb output"),
        pytest.param(rf"wandb/{OFFLINE_RUN}/files/requirements\.txt", 5, id="wandb requirements"),
        pytest.param(rf"wandb/{OFFLINE_RUN}/logs/debug(-core|-internal)?\.log", 15, id="wandb log"),
        pytest.param(r"wandb/(latest-run|debug(-internal)?\.log)", 3, id="wandb links"),
        pytest.param(rf"outputs/{DATED}/\.hydra/(config|hydra|overrides)\.yaml", 6, id="hydra"),
        pytest.param(rf"outputs/{DATED}/train\.log", 3, id="hydra log"),
        pytest.param(rf"outputs/{DATED}/(model\.pt|last\.ckpt)", 6, id="weights"),
        pytest.param(rf"outputs/{DATED}/(config_used\.yaml|metrics\.json)", 6, id="results"),
        pytest.param(rf"outputs/{DATED}/wandb/{OFFLINE_RUN}/run-(?P=id)\.wandb", 1, id="nested"),
        pytest.param(rf"outputs/{DATED}/wandb/latest-run", 1, id="nested link"),
        pytest.param(rf"multirun/{DATED}/multirun\.yaml", 1, id="sweep"),
        pytest.param(rf"multirun/{DATED}/[01]/\.hydra/config\.yaml", 2, id="sweep jobs"),
        pytest.param(rf"multirun/{DATED}/[01]/model\.pt", 2, id="sweep weights"),
        pytest.param(r"experiments/first/config_used\.yaml", 1, id="named run"),
        pytest.param(r"experiments/first/\.hydra/config\.yaml", 1, id="named run's config"),
        pytest.param(r"src/toyproject/(logs/)?__pycache__/\w+\.[\w-]+\.pyc", 5, id="bytecode"),
    ],
)
def test_artifacts(tree: Path, pattern: str, count: int) -> None:
    assert len(matches(tree, pattern)) == count


def test_links(tree: Path) -> None:
    latest = tree / "wandb/latest-run"
    assert latest.is_symlink()
    assert latest.resolve().parent == tree / "wandb"
    assert all((tree / "wandb" / name).is_symlink() for name in ("debug.log", "debug-internal.log"))
    (core,) = latest.glob("logs/debug-core.log")
    assert core.is_symlink()
    assert not core.resolve().is_relative_to(tree)


def test_run_without_hydra_folder(tree: Path) -> None:
    runs = {path.parent for path in tree.glob("outputs/*/*/train.log")}
    assert [len(list(run.iterdir())) for run in runs if not (run / ".hydra").exists()] == [5]


def test_expected_is_the_whole_tree(tree: Path) -> None:
    artifacts, legitimate = expected(tree)
    assert not artifacts & legitimate
    assert all((tree / path).read_bytes() == (PROJECT / path).read_bytes() for path in legitimate)
    assert legitimate == {
        "README.md",
        "config/config.yaml",
        "config/logs/file.yaml",
        "config/model/small.yaml",
        "config/wandb/default.yaml",
        "docs/usage.md",
        "logs/.gitkeep",
        "src/toyproject/__init__.py",
        "src/toyproject/fit.py",
        "src/toyproject/logs/__init__.py",
        "src/toyproject/logs/models.py",
        "src/toyproject/outputs.py",
        "tests/test_toy.py",
        "train.py",
    }
    roots = {path.split("/")[0] for path in artifacts}
    assert roots == {"experiments", "multirun", "outputs", "src", "wandb"}
    assert len(artifacts) == 93
