"""Each hook says the same the first time, the second time, and without its fast path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.support import WEIGHTS, Repo

# The command itself, as it is where nothing is proven.
WITHOUT = """
import sys
from fx_hooks.fastpath import artifacts
artifacts.proven_clean = lambda arguments: False
from fx_hooks.cli import {0} as command
sys.exit(command.main(sys.argv[1:]))
"""


def answers(repo: Repo, command: str, *arguments: str) -> list[tuple[int, str]]:
    """Return exit code and output: twice of the hook, and of the command."""
    hook: Sequence[str] = (sys.executable, "-m", f"fx_hooks.{command}", *arguments)
    alone: Sequence[str] = (sys.executable, "-c", WITHOUT.format(command), *arguments)
    said = []
    for words in (hook, hook, alone):
        done = subprocess.run(words, cwd=repo.root, capture_output=True, text=True)
        said.append((done.returncode, done.stdout + done.stderr))
    return said


def same(repo: Repo, command: str, *arguments: str) -> int:
    """Return the exit code that all have."""
    found = answers(repo, command, *arguments)
    assert len(set(found)) == 1, found
    return found[0][0]


@pytest.mark.parametrize("tracked", [False, True])
def test_an_invalid_baseline(repo: Repo, tracked: bool) -> None:
    """It counts where something is refused, and where a commit brings it in."""
    repo.check()
    repo.write(".fx-hooks-baseline", "garbage\n")
    if tracked:
        repo.stage_all()
        assert same(repo, "check_artifacts") == 2
        assert same(repo, "check_best_models") == 2
        repo.commit()
    repo.stage("a.py", "1\n")
    assert same(repo, "check_artifacts") == 0
    assert same(repo, "check_artifacts", "--", "a.py") == 0
    assert same(repo, "check_artifacts", "--all-files") == (2 if tracked else 0)
    assert same(repo, "check_best_models") == 0
    repo.commit()
    assert same(repo, "check_range", "HEAD~1..HEAD") == 0
    repo.stage("b.pt", WEIGHTS)
    assert same(repo, "check_artifacts") == 2
    repo.commit()
    # A range reads the baseline of its tip.
    assert same(repo, "check_range", "HEAD~1..HEAD") == (2 if tracked else 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [(".fx-hooks.yaml", "nonsense: 1\n"), ("best_models/milestones.yaml", "milestones: [\n")],
)
@pytest.mark.parametrize("tracked", [False, True])
def test_a_project_nearby_that_cannot_be_judged(
    repo: Repo, name: str, text: str, tracked: bool
) -> None:
    """Only a commit that touches it is told."""
    repo.stage(".fx-hooks.yaml", "projects: [a, b]\n")
    repo.stage("a/x.py", "1\n")
    repo.stage("b/x.py", "1\n")
    repo.commit()
    repo.write(f"b/{name}", text)
    if tracked:
        repo.stage(f"b/{name}", text)
        assert same(repo, "check_best_models") == 2
        repo.commit()
    repo.stage("a/y.py", "1\n")
    assert same(repo, "check_artifacts", "--", "a/y.py") == 0
    assert same(repo, "check_artifacts") == 0
    assert same(repo, "check_best_models") == 0
    repo.commit()
    assert same(repo, "check_range", "HEAD~1..HEAD") == 0
    repo.stage("b/y.py", "1\n")
    counts = tracked or name == ".fx-hooks.yaml"
    assert same(repo, "check_artifacts", "--", "b/y.py") == (2 if counts else 0)


def test_a_breach_of_before_is_not_that_of_a_commit(repo: Repo) -> None:
    repo.stage("best_models/x.pt", WEIGHTS)
    repo.commit()
    repo.check()
    assert same(repo, "check_best_models") == 1
    repo.stage("b.py", "1\n")
    assert same(repo, "check_best_models") == 0
    assert same(repo, "check_best_models", "--all-files") == 1
    repo.stage("best_models/README.md", "# Models\n")
    assert same(repo, "check_best_models") == 1


def test_a_list_of_milestones_that_another_commit_broke(repo: Repo) -> None:
    repo.stage("best_models/milestones.yaml", "{}\n")
    repo.commit()
    repo.check()
    repo.stage("a.py", "1\n")
    repo.write("best_models/milestones.yaml", "milestones: [\n")
    only = ("--only", "--", "best_models/milestones.yaml")
    repo.git("commit", "-q", "--no-verify", "-m", "broken", *only)
    assert same(repo, "check_best_models") == 2


@pytest.mark.parametrize("how", ["not staged", "changed"])
def test_what_there_is_to_say_is_said_each_time(repo: Repo, how: str) -> None:
    assert repo.git("status", "--porcelain") == ""
    subprocess.run((sys.executable, "-m", "fx_hooks.sync_gitignore"), cwd=repo.root)
    repo.git("add", ".gitignore")
    if how == "changed":
        repo.stage(".fx-hooks.yaml", "{}\n")
        repo.write(".fx-hooks.yaml", "keep: [x]\n")
    else:
        repo.write("best_models/milestones.yaml", "{}\n")
    found = answers(repo, "sync_gitignore")
    assert len(set(found)) == 1
    assert "note:" in found[0][1]
