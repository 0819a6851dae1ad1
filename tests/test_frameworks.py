"""The tools and their runs: all that is known of one stands in its folder."""

from __future__ import annotations

import ast
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fx_hooks
from fx_hooks.cli import archive_runs, clean_runs, report_space
from fx_hooks.frameworks import NAMES, rules_file
from fx_hooks.frameworks.registry import FRAMEWORKS, KINDS
from fx_hooks.frameworks.run_folders import RUN_FOLDER

if TYPE_CHECKING:
    from tests.support import Repo

ROOT = Path(fx_hooks.__file__).parent
MLFLOW = "mlruns/0/0123456789abcdef0123456789abcdef"
TRAINER = "results/bert"

# Modules outside of frameworks/ that may speak of a tool, and why.
_ARTIFACTS = "a milestone may come from an artifact of W&B, and names its address"
_JOBS = "tells jobs, sweeps and trackers apart by their names"
_OWN = "tells what a run records by itself"
_RECIPE = "metadata has a key of the tool's name"
ALLOWED = {
    "best_models/metadata.py": {"wandb": "its keys are secrets"},
    "best_models/provenance.py": {"wandb": _RECIPE, "hydra": _RECIPE},
    "cli/add_milestone.py": {"wandb": _RECIPE, "hydra": _RECIPE},
    "cli/check_artifacts.py": {"wandb": "its help", "hydra": "its help"},
    "cli/clean_runs.py": {"wandb": "prints `wandb sync`"},
    "cli/report_space.py": {"wandb": "its help"},
    "best_models/run_identity.py": {"hydra": "tells a moved job by what Hydra wrote"},
    "artifacts/found_projects.py": {"wandb": _JOBS, "hydra": _JOBS},
    "best_models/checkpoint.py": {"lightning": _RECIPE},
    "best_models/artifact_source.py": {"wandb": _ARTIFACTS},
    "best_models/confirmed_artifacts.py": {"wandb": _ARTIFACTS},
    "best_models/contract.py": {"wandb": _ARTIFACTS},
    "best_models/milestones.py": {"wandb": _ARTIFACTS},
    "cli/_publish.py": {"wandb": _ARTIFACTS},
    "cli/check_best_models.py": {"wandb": _ARTIFACTS},
    "cli/_trial.py": {"wandb": "tries with a run of it"},
    "cli/init.py": {"wandb": "names its folder"},
    "cli/show_run.py": {"wandb": _RECIPE, "hydra": _RECIPE},
    "policy/policy_file.py": {"hydra": "an example for editors"},
    "runs/lookup.py": {"wandb": _RECIPE},
    "runs/added_files.py": {"wandb": _OWN, "hydra": _OWN},
    "runs/contents.py": {"wandb": _OWN, "hydra": _OWN, "huggingface": _OWN},
    "runs/places.py": {"wandb": _JOBS, "hydra": _JOBS},
    "runs/references.py": {"wandb": "W&B's own links are not references"},
    "runs/foreign_files.py": {"wandb": _JOBS, "hydra": _JOBS},
    "runs/inventory.py": {"wandb": _JOBS, "hydra": _JOBS},
    "runs/layouts.py": {"wandb": _JOBS, "hydra": _JOBS},
    "runs/milestone_runs.py": {"wandb": "metadata names W&B's ids"},
    "weights/pickles.py": {"lightning": "names of classes in checkpoints"},
    "runs/usage/advice.py": {"wandb": "prints `wandb sync`"},
}
WORDS = {
    "wandb": re.compile(r"wandb|w&b", re.IGNORECASE),
    "hydra": re.compile("hydra", re.IGNORECASE),
    "lightning": re.compile("lightning", re.IGNORECASE),
    "mlflow": re.compile("mlflow|mlruns", re.IGNORECASE),
    "huggingface": re.compile("hugging.?face|trainer_state|trainer run", re.IGNORECASE),
}


def texts(path: Path) -> list[str]:
    """The names and texts in a module, but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.alias, ast.FunctionDef, ast.ClassDef)):
            found.append(node.id if isinstance(node, ast.Name) else node.name)
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            found.append(str(node.value))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""  # a docstring, which is met before what is in it
    return found


@pytest.mark.slow
def test_what_is_known_of_a_tool_stands_in_its_folder() -> None:
    met = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("frameworks/"):
            spoken_of = {tool for tool, word in WORDS.items() if any(map(word.search, texts(path)))}
            if spoken_of:
                met[name] = spoken_of
    assert {name: tools - set(ALLOWED.get(name, {})) for name, tools in met.items()} == {
        name: set() for name in met
    }


def test_every_tool_has_its_place() -> None:
    assert all(os.path.isfile(rules_file(name)) for name in NAMES)
    assert {path.parent.name for path in (ROOT / "frameworks").glob("*/runs.py")} == set(WORDS)
    assert len(FRAMEWORKS) == len(WORDS) <= len(NAMES)
    assert len(KINDS) == sum(len(framework.kinds) for framework in FRAMEWORKS)
    assert {"W&B run", "Hydra job", "Hydra sweep", "Lightning version"} < KINDS.keys()


@pytest.mark.parametrize(
    ("path", "run"),
    [
        (b"a/wandb/run-20240131_235959-x_y/files/z", b"a/wandb/run-20240131_235959-x_y"),
        (b"wandb/dryrun-20240131_235959-x/z", b"wandb/dryrun-20240131_235959-x"),
        (b"wandb/sweep-x/config-y.yaml", b"wandb/sweep-x"),
        (b"wandb/sweep-x/other.yaml", None),
        (b"outputs/2024-01-31/23-59-59/a", b"outputs/2024-01-31/23-59-59"),
        (b"runs/2024-01-31_23-59-59/a", b"runs/2024-01-31_23-59-59"),
        (b"logs/version_3/hparams.yaml", b"logs/version_3"),
        (b"results/checkpoint-500/a.bin", b"results/checkpoint-500"),
        (b"results/checkpoint-500", None),
        (b"xrun-20240131_235959-x/z", None),
    ],
)
def test_the_folder_of_a_run_in_a_path(path: bytes, run: bytes | None) -> None:
    found = RUN_FOLDER.search(path)
    assert (None if found is None else path[: found.end()]) == run


@pytest.fixture
def others(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """An MLflow run and one of the Hugging Face Trainer, ten days old."""
    monkeypatch.chdir(repo.root)
    repo.write(
        f"{MLFLOW}/meta.yaml",
        "artifact_uri: file:///x\nrun_id: 0123456789abcdef0123456789abcdef\nrun_name: calm-ant\n"
        "start_time: 1700000000123\nend_time: 1700000009000\nstatus: 4\n",
    )
    repo.write(f"{MLFLOW}/params/lr", "0.1")
    repo.write(f"{MLFLOW}/metrics/val/loss", "1700000001000 0.5 0\n1700000002000 0.25 1\n")
    repo.write(f"{MLFLOW}/tags/mlflow.user", "anna")
    repo.write(f"{MLFLOW}/artifacts/model/model.pkl", b"\x80\x04N.")
    state = {"max_steps": 500, "log_history": [{"loss": 2.0, "step": 1}, {"eval_loss": 0.5}]}
    repo.write(f"{TRAINER}/checkpoint-500/trainer_state.json", json.dumps(state))
    repo.write(f"{TRAINER}/checkpoint-500/model.safetensors", b"\0" * 5000)
    repo.write(f"{TRAINER}/checkpoint-60/trainer_state.json", "{}")
    age(repo)
    return repo


def age(repo: Repo, days: float = 10) -> None:
    when = time.time() - days * 86_400
    for folder, folders, files in os.walk(repo.root, topdown=False):
        if ".git" not in Path(folder).parts:
            for name in (*files, *folders):
                os.utime(os.path.join(folder, name), (when, when), follow_symlinks=False)


def items(capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    capfd.readouterr()
    assert report_space.main(("--format", "json")) == 0
    return {item["path"]: item for item in json.loads(capfd.readouterr().out)["items"]}


def test_other_tools_runs_are_listed(others: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    found = items(capfd)
    assert (found[MLFLOW]["kind"], found[MLFLOW]["state"]) == ("MLflow run", "failed")
    assert (found[TRAINER]["kind"], found[TRAINER]["state"]) == (
        "Hugging Face Trainer run", "finished",
    )  # fmt: skip
    assert KINDS["MLflow run"].details(os.fsencode(others.root / MLFLOW)).as_json() == {
        "config": {"lr": "0.1"}, "metrics": {"val/loss": 0.25},
    }  # fmt: skip
    trainer = KINDS["Hugging Face Trainer run"].details(os.fsencode(others.root / TRAINER))
    assert trainer.as_json() == {
        "config": {"max_steps": 500}, "metrics": {"loss": 2.0, "step": 1, "eval_loss": 0.5},
    }  # fmt: skip


def test_other_tools_runs_go_into_an_archive_only(
    others: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    assert clean_runs.main(("--yes", ".")) == 1
    out = capfd.readouterr().out
    assert "Nothing goes." in out
    for run in (MLFLOW, TRAINER):
        assert f"{run}: it usually exists nowhere else: add --archive FILE" in out
        assert (others.root / run).is_dir()
    assert clean_runs.main(("--yes", "--archive", "kept.tar.gz", ".")) == 0
    assert not (others.root / MLFLOW).exists()
    assert not (others.root / TRAINER).exists()
    capfd.readouterr()
    assert archive_runs.main(("--restore", "kept.tar.gz")) == 0
    assert (others.root / MLFLOW / "params" / "lr").read_text() == "0.1"


def test_a_job_goes_with_such_a_run_in_it(others: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job = "outputs/2024-01-31/23-59-59"
    others.write(f"{job}/.hydra/config.yaml", "a: 1\n")
    (others.root / TRAINER).rename(others.root / job / "bert")
    age(others)
    assert job in items(capfd)
    assert clean_runs.main(("--yes", job)) == 0
    assert not (others.root / job).exists()


def test_jobs_stay_runs_of_their_own_in_the_trainers_folder(
    others: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    job = f"{TRAINER}/2024-01-31/23-59-59"
    others.write(f"{job}/.hydra/config.yaml", "a: 1\n")
    age(others)
    found = items(capfd)
    assert found[job]["kind"] == "Hydra job"
    assert TRAINER not in found
    assert clean_runs.main(("--yes", "--older-than", "2d")) == 1  # MLflow's stays
    assert not (others.root / job).exists()
    assert (others.root / TRAINER / "checkpoint-500").is_dir()
