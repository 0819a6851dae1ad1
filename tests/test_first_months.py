"""Day 1, week 1 and month 6 of a team, in as many commands as it should take.

    FIRST_MONTHS=1 python -m pytest -m slow tests/test_first_months.py

plays them on two real templates, too, which it clones at fixed commits.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.contract_support import STATE
from tests.support import Repo
from tests.test_examples import published, shell

__all__ = ["published"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the commands are for a POSIX shell"),
]
TEMPLATES = {
    "https://github.com/ashleve/lightning-hydra-template": (
        "bddbc24b82ab6ccfa6243e815a49dc5bfe8d4144"
    ),
    "https://github.com/victoresque/pytorch-template": "41dc06f6f8f3f38c6ed49f01ff7d89cd5688adc4",
}
RUN = "outputs/2025-01-01/12-00-00"


class Team:
    """A user with a shell, who runs what is printed."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.said = ""
        self.commands = 0

    def does(self, command: str, code: int = 0) -> str:
        self.said = shell(self.repo, command, code=code)
        self.commands += 1
        return self.said

    def does_what_is_said(self) -> None:
        """Run the `git add` that was printed."""
        (command,) = re.findall(r"^    (git add .*)$", self.said, re.MULTILINE)
        self.does(command)


@pytest.fixture(params=["imitation", *TEMPLATES])
def template(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    repo = Repo.init(tmp_path / "project")
    if request.param == "imitation":
        repo.stage("train.py", "print('training')\n")
        repo.stage("configs/train.yaml", "lr: 0.1\n")
        repo.stage(".gitignore", "__pycache__/\n*.tmp\n")
    else:
        source = os.environ.get("FIRST_MONTHS")
        if not source:
            pytest.skip("FIRST_MONTHS is not set")
        # A folder of clones, or 1 for the network.
        url = request.param
        if os.path.isdir(source):
            url = f"{source}/{'+'.join(url.split('/')[-2:])}/repo"
        clone = tmp_path / "clone"
        subprocess.run(("git", "clone", "-q", url, clone), check=True)
        repo.git("-C", str(clone), "checkout", "-q", TEMPLATES[request.param])
        for path in clone.iterdir():
            # What it checks itself is not what is looked at here.
            if path.name not in (".git", ".pre-commit-config.yaml"):
                path.rename(repo.root / path.name)
    repo.git("add", "-A")
    repo.git("commit", "-q", "-m", "template")
    return repo


def runs_with(repo: Repo, runner: str) -> None:
    """A configuration that this runner reads, so that fx-init takes it."""
    name = ".pre-commit-config.yml" if runner == "prek" else ".pre-commit-config.yaml"
    repo.stage(name, "repos: []\n")
    repo.git("commit", "-q", "-m", runner)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("runner", ["pre-commit", "prek"])
def test_day_1_and_week_1(template: Repo, runner: str, tmp_path: Path) -> None:
    runs_with(template, runner)
    team = Team(template)
    template.write("wandb/run-20250101_000000-a1b2c3d4/files/config.yaml", "a: 1\n")
    # From nothing to the first commit that is refused.
    team.does("fx-init --yes --install --push")
    team.does_what_is_said()
    team.does("git commit -q -m 'Use fx-hooks'")
    team.does("git add -f . && git commit -q -m run", code=1)
    assert team.commands == 4
    assert "wandb-runs" in team.said
    team.does("git reset -q")
    # The first milestone.
    template.write(f"{RUN}/model.pt", STATE)
    template.write(f"{RUN}/.hydra/config.yaml", "lr: 0.1\n")
    team.commands = 0
    team.does(f"fx-add-milestone {RUN}/model.pt --as base --why best --metric accuracy=0.9")
    team.does_what_is_said()
    team.does("git commit -q -m 'Add the baseline'")
    assert team.commands == 3
    # The first push, next to a tag with an artifact that is not pushed.
    team.does("git checkout -q --detach && git add -f wandb && git commit -q --no-verify -m bad")
    team.does("git tag experiment && git checkout -q main")
    remote = tmp_path / "remote.git"
    team.does(f"git init -q --bare -b main {shlex.quote(str(remote))}")
    team.does(f"git remote add origin {shlex.quote(str(remote))} && git push -q origin main")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("runner", ["pre-commit", "prek"])
def test_month_6(template: Repo, runner: str) -> None:
    """A repository with 2,000 tracked artifacts, and models older than the contract."""
    runs_with(template, runner)
    for number in range(2000):
        template.write(f"outputs/2024-01-{number % 28 + 1:02}/12-00-00/{number}.csv", f"{number}\n")
    template.write("best_models/old.pt", STATE)
    template.write("best_models/old_meta.json", '{"acc": 0.9}\n')
    template.git("add", "-A", "-f")
    template.git("commit", "-q", "-m", "debt")
    before = (template.root / ".gitignore").read_text().count("\n")
    team = Team(template)
    team.does("fx-init --yes --install --baseline")
    team.does_what_is_said()
    team.does("git commit -q -m 'Use fx-hooks'")
    assert team.commands == 3
    team.does("fx-check-artifacts --all-files && fx-check-best-models --all-files")
    team.does("fx-sync-gitignore --check && fx-init --dry-run")
    own = (template.root / ".gitignore").read_text().partition("# <<< fx-hooks <<<")[2]
    policy = template.root / ".fx-hooks.yaml"
    lines = own.count("\n") - before + (policy.read_text().count("\n") if policy.exists() else 0)
    assert lines <= 20
    template.write("outputs/2024-01-01/12-00-00/new.csv", "1\n")
    team.does("git add -f outputs && git commit -q -m new", code=1)
