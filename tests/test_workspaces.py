"""prek's workspaces start a hook in each folder with a configuration; what it says fits."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fx_hooks import sync_gitignore
from tests.contract_support import STATE
from tests.support import Repo, run

SCRIPTS = Path(sys.executable).parent
ALWAYS = {"always_run": True, "language": "system"}
CONFIG = json.dumps({"repos": [{"repo": "local", "hooks": [
    {"id": "a", "name": "artifacts", "entry": "fx-check-artifacts", "args": ["--"], "types": [],
     "require_serial": True, **ALWAYS},
    {"id": "b", "name": "best models", "entry": "fx-check-best-models", "pass_filenames": False,
     **ALWAYS},
    {"id": "c", "name": "gitignore", "entry": "fx-sync-gitignore", "pass_filenames": False,
     **ALWAYS},
]}]})  # fmt: skip

pytestmark = pytest.mark.skipif(not (SCRIPTS / "prek").exists(), reason="prek is not installed")


@pytest.fixture
def workspace(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PREK_HOME", str(Path(os.environ["HOME"]) / "prek"))
    repo.stage(".fx-hooks.yaml", "projects: [packages/*]\n")
    for folder in ("", "packages/ml/", "packages/rank/"):
        repo.stage(f"{folder}.pre-commit-config.yaml", CONFIG)
        repo.stage(f"{folder}src/a.py", "")
    run(sync_gitignore.main, cwd=repo.root)
    repo.stage_all()
    repo.commit()
    repo.git("config", "core.hooksPath", ".git/hooks")
    subprocess.run(("prek", "install", "-q"), cwd=repo.root, check=True)
    return repo


def commit(repo: Repo, cwd: str) -> str:
    """What a refused commit says; it has to run from *cwd* as it stands, and to lead to green."""
    said = repo.git("commit", "-q", "-m", "x", cwd=cwd, fails=True)
    for line in said.splitlines():
        if line.strip().startswith(("git ", "(cd ")):
            command = shlex.join(("sh", "-c", line.strip()))
            done = subprocess.run(command, shell=True, cwd=repo.root / cwd, capture_output=True)
            assert done.returncode == 0, (line, done.stderr)
    repo.git("commit", "-q", "--allow-empty", "-m", "x", cwd=cwd)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("cwd", [".", "packages/ml/src", "src"])
def test_what_each_project_says_runs_where_the_user_is(workspace: Repo, cwd: str) -> None:
    for project in ("ml", "rank"):
        workspace.stage(f"packages/{project}/outputs/a.csv", "1\n")
        workspace.stage(f"packages/{project}/best_models/x.npy")
    workspace.stage("outputs/b.csv", "1\n")
    said = commit(workspace, cwd)
    # The workspace has the files of its projects, too.
    assert said.count("packages/ml/outputs/a.csv") >= 2
    left = {path for path in workspace.tracked() if b"outputs" in path or b"x.npy" in path}
    assert left == set()
    assert (workspace.root / "packages/ml/outputs/a.csv").exists()


@pytest.mark.slow
def test_what_one_configuration_leaves_out_is_not_judged_there(workspace: Repo) -> None:
    config = {**json.loads(CONFIG), "exclude": "^vendor/", "orphan": True}
    workspace.stage("packages/ml/.pre-commit-config.yaml", json.dumps(config))
    workspace.stage("packages/ml/vendor/a.log", "1\n")
    workspace.git("commit", "-q", "-m", "excluded", cwd="packages/ml")
    workspace.stage("packages/rank/vendor/a.log", "1\n")
    said = commit(workspace, "packages/rank")
    assert "packages/rank/vendor/a.log" in said


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["prek", "pre-commit"])
def test_started_by_hand_with_one_of_several_configurations(workspace: Repo, runner: str) -> None:
    if shutil.which(runner) is None:
        pytest.skip(f"{runner} is not installed")
    workspace.stage("packages/ml/best_models/m.pt", STATE)
    workspace.stage("packages/ml/b.py", "")
    below = workspace.root / "packages" / "ml"
    done = subprocess.run(
        (runner, "run", "-c", str(below / ".pre-commit-config.yaml"), "--all-files"),
        cwd=below,
        env={**os.environ, "PWD": str(below)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "git -C ../.. reset -q -- packages/ml/best_models" in said
    approve = next(line.strip() for line in said.splitlines() if "fx-add-milestone" in line)
    assert (below / approve.split()[1]).resolve() == below / "best_models" / "m.pt"
