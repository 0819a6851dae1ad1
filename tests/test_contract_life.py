"""The whole life of a milestone, from a real run through real commits."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.realruns.make import make_runs
from tests.test_runners import SCRIPTS, Git
from tests.test_runners import environment as environment
from tests.test_runners import hooks as hooks

MODEL = "best_models/baseline.pt"
METADATA = "best_models/baseline_meta.json"
LISTING = "best_models/milestones.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with real Hydra and offline W&B runs."""
    target = tmp_path_factory.mktemp("trained") / "project"
    make_runs(target)
    return target


def start(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path, runner: str
) -> Git:
    """A copy of the project, its sources committed, with the hooks installed."""
    root = tmp_path / "project"
    shutil.copytree(trained, root, symlinks=True)
    git = Git(root, environment)
    git("init", "-q", "-b", "main")
    (root / ".gitignore").write_text("/outputs\n/multirun\n/wandb\n/experiments\n__pycache__\n")
    revision = Git(hooks, environment)("rev-parse", "HEAD").strip()
    (root / ".pre-commit-config.yaml").write_text(
        f"repos:\n"
        f"  - repo: {hooks}\n"
        f"    rev: {revision}\n"
        f"    hooks:\n"
        f"      - id: fx-check-artifacts\n"
        f"      - id: fx-check-best-models\n"
    )
    git("add", "-A")
    # They were committed before the first run, as the metadata of its model has to say.
    first = min(model.stat().st_mtime for model in root.glob("*/**/model.pt"))
    before = Git(root, {**environment, "GIT_COMMITTER_DATE": f"{int(first) - 60} +0000"})
    before("commit", "-q", "-m", "sources")
    git.run(runner, "install")
    return git


def approve(git: Git, *arguments: str) -> None:
    """Run fx-add-milestone, then what it says."""
    output = git.run(str(SCRIPTS / "fx-add-milestone"), *arguments)
    (command,) = [line.strip() for line in output.splitlines() if line.startswith("    git ")]
    git.run("bash", "-e", "-c", command)


def change(path: Path) -> None:
    """One byte of a tensor."""
    content = bytearray(path.read_bytes())
    content[content.index(b"/data/0") + 60] ^= 1
    path.write_bytes(content)


def run_of(git: Git) -> Path:
    """The first of the dated runs."""
    return sorted((git.root / "outputs").glob("*/*/model.pt"))[0]


def live(git: Git, *options: str) -> None:
    commit = ("commit", "-m", "a step")
    model = run_of(git)
    approve(git, str(model.relative_to(git.root)), "--as", "baseline", "--why", "first", *options)
    if options:
        assert git("cat-file", "-p", f":{MODEL}").startswith("version https://git-lfs")
    git(*commit)

    change(git.root / MODEL)
    git("add", MODEL)
    assert "was changed after it was approved" in git(*commit, code=1)
    approve(git, "--replace", MODEL)
    git(*commit)

    (git.root / METADATA).write_text("")
    git("add", METADATA)
    assert f"{METADATA}: is not JSON" in git(*commit, code=1)
    git("reset", "-q", "--hard")

    git("rm", "-q", "--cached", LISTING)
    assert f"{MODEL}: is not listed" in git(*commit, code=1)
    git("rm", "-q", "--cached", METADATA)
    git("add", LISTING)
    assert "has no metadata" in git(*commit, code=1)
    git("rm", "-q", "--cached", LISTING, MODEL)
    git(*commit)
    assert "best_models/" not in git("ls-files")


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["pre-commit", "prek"])
def test_a_life(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path, runner: str
) -> None:
    git = start(trained, hooks, environment, tmp_path, runner)
    live(git)


@pytest.mark.slow
def test_a_life_in_git_lfs(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    git = start(trained, hooks, environment, tmp_path, "pre-commit")
    git("lfs", "install", "--local", "--skip-repo")
    live(git, "--lfs")


@pytest.mark.slow
def test_raw_bytes_are_mended_by_the_command_of_the_report(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    git = start(trained, hooks, environment, tmp_path, "pre-commit")
    model = str(run_of(git).relative_to(git.root))
    approve(git, model, "--as", "baseline", "--why", "first")
    (git.root / ".fx-hooks.yaml").write_text("best_models: {lfs: required}\n")
    git("add", ".fx-hooks.yaml")
    output = git("commit", "-m", "raw", code=1)
    assert "best_models.lfs is required" in output
    (command,) = [line.strip() for line in output.splitlines() if line.startswith("    git lfs")]
    git.run("bash", "-e", "-c", command)
    git("commit", "-m", "in Git LFS")
    assert git("cat-file", "-p", f":{MODEL}").startswith("version https://git-lfs")


@pytest.mark.slow
def test_the_metadata_says_what_the_run_knew(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    git = start(trained, hooks, environment, tmp_path, "pre-commit")
    for number, model in enumerate(sorted((git.root / "multirun").glob("*/*/*/model.pt"))):
        name = f"seed{number}"
        approve(git, str(model), "--as", name, "--why", "a sweep", "--metric", "rank=1")
        value = json.loads((git.root / f"best_models/{name}_meta.json").read_text())
        assert value["config"]["seed"] == number + 1
        assert value["hydra"] == {"overrides": [f"seed={number + 1}"]}
        assert value["wandb"]["project"] == "toy"
        assert (value["format"], value["parameters"]) == ("torch", 8)
        assert set(value["performance"]) == {"slope", "loss", "rank"}
        metrics = json.loads((model.parent / "metrics.json").read_text())
        assert value["performance"]["loss"] == metrics[-1]["loss"]
        assert value["git"]["commit"] == git("rev-parse", "HEAD").strip()
    shutil.rmtree(git.root / "multirun")
    git("commit", "-m", "two milestones")


@pytest.mark.slow
def test_the_command_line_of_the_readme(
    trained: Path, hooks: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    git = start(trained, hooks, environment, tmp_path, "pre-commit")
    done = subprocess.run(
        (SCRIPTS / "fx-add-milestone", run_of(git), "--why", "x", "--dry-run"),
        cwd=git.root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "best_models/milestones.yaml:" in done.stdout
    assert not (git.root / "best_models").exists()
    assert git("status", "--porcelain") == ""
