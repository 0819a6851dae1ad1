"""The blocks of projects: one in each ``.gitignore``, with which git says what the policy says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fx_hooks.cli.sync_gitignore import main as sync
from fx_hooks.fastpath import gitignore as ignore_state
from fx_hooks.fastpath.gitignore import proven_in_step
from fx_hooks.gitignore import blocks, kept_blocks
from fx_hooks.gitignore.block import block_lines
from tests.project_trees import disagreements, draw_cases
from tests.support import Repo, Result, run
from tests.test_projects import LAYOUTS, put

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy


@pytest.mark.slow
def test_git_says_what_the_policy_says(home: Path, tmp_path: Path) -> None:  # noqa: ARG001
    sums = [0, 0]
    for number, case in enumerate(draw_cases(12, seed=3)):
        root = tmp_path / str(number)
        subprocess.run(("git", "init", "-q", root), check=True)
        paths, blocked, found = disagreements(root, case, number)
        assert found == [], case
        sums = [sums[0] + paths, sums[1] + blocked]
    # Both happen, or this would show nothing.
    assert 1000 < sums[1] < sums[0] - 1000


@pytest.mark.parametrize("name", LAYOUTS)
def test_before_anything_is_tracked(name: str, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, folders, others = LAYOUTS[name]
    refused, passed = put(repo, policy, folders, others)
    # What only the tree can tell no pattern says.
    refused -= {path for path in refused if path.endswith("runs/x/metrics.csv")}
    monkeypatch.chdir(repo.root)
    assert run(sync, cwd=repo.root).code == 1
    z = "\0".join(sorted(refused | passed)) + "\0"
    out = repo.git("check-ignore", "--no-index", "-z", "--stdin", stdin=z.encode())
    assert {path for path in out.split("\0") if path} == refused
    repo.git("add", "-A")
    assert not refused & {path.decode() for path in repo.tracked()}
    assert run(sync, cwd=repo.root / folders[-1]) == Result(0, "", "")


def test_what_a_project_above_opens_and_refuses_file_by_file(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line `/packages/a/**` of the project above matches in the one below, too."""
    repo.write(
        ".fx-hooks.yaml",
        "ignore: [/packages/a]\nkeep: ['**/x/*.json']\nprojects: [packages, 'packages/*']\n",
    )
    for path in ("packages/packages/a/b", "packages/packages/c", "packages/a/b"):
        repo.write(path, "")
    monkeypatch.chdir(repo.root)
    assert run(sync, cwd=repo.root).code == 1
    ignored = repo.git("ls-files", "-o", "-i", "--exclude-standard").split()
    assert ignored == ["packages/a/b"]


def test_a_project_whose_folder_a_pattern_of_another_form_closes(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write(".fx-hooks.yaml", "ignore: ['*[0-9]*/**/*']\nkeep: ['/a']\nprojects: ['*']\n")
    for path in ("a1/a/b", "a1/c"):
        repo.write(path, "")
    monkeypatch.chdir(repo.root)
    assert run(sync, cwd=repo.root).code == 1
    ignored = repo.git("ls-files", "-o", "-i", "--exclude-standard").split()
    assert ignored == ["a1/c"]


def test_a_project_whose_name_no_line_can_hold(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write(".fx-hooks.yaml", "ignore: ['*/*/']\nprojects: [packages, 'packages/*']\n")
    repo.write("packages/a\n/x.py", "")
    repo.write("packages/b/x.py", "")
    monkeypatch.chdir(repo.root)
    assert run(sync, cwd=repo.root).code == 1
    assert all(line[:1] != "/" or line[1:3] != "**" for line in _ignore_lines(repo))
    assert not repo.git("check-ignore", "--no-index", "other", fails=True)
    assert not (repo.root / "packages/a\n/.gitignore").exists()
    repo.stage_all()
    assert run(sync, cwd=repo.root).code == 0


@pytest.mark.slow
def test_each_block_is_made_once(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Policy] = []

    def counted(policy: Policy) -> list[bytes]:
        made.append(policy)
        return block_lines(policy)

    monkeypatch.setattr(blocks, "block_lines", counted)
    repo.stage(".fx-hooks.yaml", "projects: ['*']\n")
    for number in range(6):
        # Two of each, which say the same.
        repo.stage(f"p{number}/.fx-hooks.yaml", f"ignore: ['*.x{number // 2}']\n")

    def synced() -> int:
        made.clear()
        assert run(sync, cwd=repo.root).code in (0, 1)
        return len(made)

    assert synced() == 4
    repo.git("add", "-A")
    texts = [(repo.root / f"p{number}/.gitignore").read_bytes() for number in range(6)]
    assert texts[0] == texts[1] != texts[2]
    assert synced() == 0
    repo.stage("p5/.fx-hooks.yaml", "ignore: ['*.y']\n")
    assert synced() == 1
    # What cannot be trusted is made again, and comes to the same.
    kept = repo.root / ".git" / kept_blocks.NAME
    data = kept.read_bytes()
    for damaged in (b"", data[:-9], data[:-1] + bytes([data[-1] ^ 1])):
        kept.write_bytes(damaged)
        assert synced() == 5
    assert [(repo.root / f"p{number}/.gitignore").read_bytes() for number in range(5)] == texts[:5]
    kept.chmod(0o666)
    assert os.name == "nt" or synced() == 5


def _ignore_lines(repo: Repo) -> list[str]:
    return (repo.root / ".gitignore").read_text("utf-8").splitlines()


@pytest.fixture
def projects(repo: Repo) -> Repo:
    """Two projects, whose blocks are staged."""
    repo.stage(".fx-hooks.yaml", "projects: [ml, 'packages/*']\n")
    for folder in ("ml", "packages/a"):
        repo.stage(f"{folder}/train.py", "x = 1\n")
    assert run(sync, cwd=repo.root).code == 1
    repo.stage_all()
    assert run(sync, cwd=repo.root) == Result(0, "", "")
    repo.commit()
    return repo


def test_each_file_is_rewritten_checked_and_staged(projects: Repo) -> None:
    projects.stage("ml/.fx-hooks.yaml", "ignore: ['*.xyz']\n")
    result = run(sync, "--check", "--format", "json", cwd=projects.root)
    assert [found["path"] for found in json.loads(result.out)["findings"]] == ["ml/.gitignore"]
    result = run(sync, "--diff", cwd=projects.root)
    assert result.code == 1
    assert "+++ ml/.gitignore" in result.out
    assert "+*.xyz" in result.out
    result = run(sync, cwd=projects.root / "packages")
    assert "ml/.gitignore: rewritten, 3 lines added" in result.out
    assert result.commands == ["git -C .. add ml/.gitignore"]
    result = run(sync, "--check", cwd=projects.root)
    assert result.out == (
        "ml/.gitignore: does not follow the policy in the index: git add ml/.gitignore\n"
    )
    projects.git("-C", "packages/..", "add", "ml/.gitignore")
    assert run(sync, cwd=projects.root) == Result(0, "", "")
    assert not proven_in_step([])


CHANGES: dict[str, Callable[[Repo], object]] = {
    "own policy": lambda repo: repo.stage("ml/.fx-hooks.yaml", "ignore: ['*.x']\n"),
    "untracked policy": lambda repo: repo.write("ml/.fx-hooks.yaml", "ignore: ['*.x']\n"),
    "root policy": lambda repo: repo.stage(".fx-hooks.yaml", "projects: [ml]\nignore: [/x]\n"),
    "milestone": lambda repo: repo.stage(
        "ml/best_models/milestones.yaml", "milestones:\n  best_models/m.pt: {size: 1}\n"
    ),
    "ignore file": lambda repo: repo.write("packages/a/.gitignore", "x\n"),
    "staged ignore file": lambda repo: repo.stage("packages/a/.gitignore", "x\n"),
    "untracked ignore file": lambda repo: (
        repo.git("rm", "-q", "--cached", "ml/.gitignore") and None
    ),
    "missing ignore file": lambda repo: repo.remove("ml/.gitignore"),
    "new project": lambda repo: repo.write("packages/new/x.py", ""),
    "tracked in one left alone": lambda repo: repo.stage("packages/left/x.py", ""),
    "unmerged": lambda repo: conflict(repo, "packages/a/.gitignore"),
}


def conflict(repo: Repo, path: str) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x\n").strip()
    info = "".join(f"100644 {blob} {stage}\t{path}\n" for stage in (1, 2, 3))
    repo.git("update-index", "--index-info", stdin=info.encode())


@pytest.fixture
def in_step(projects: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """The same, where the fast path is sure."""
    monkeypatch.setattr(ignore_state, "_SETTLED", 0)
    monkeypatch.chdir(projects.root)
    projects.write("packages/left/x.py", "")
    projects.write("packages/.gitignore", "left\n")
    projects.git("add", "packages/.gitignore")
    assert run(sync, cwd=projects.root) == Result(0, "", "")
    assert proven_in_step([])
    return projects


@pytest.mark.parametrize("name", CHANGES)
def test_the_fast_path_sees_each_change(name: str, in_step: Repo) -> None:
    CHANGES[name](in_step)
    assert not proven_in_step([])
    assert run(sync, cwd=in_step.root).code in (1, 2)
    assert not proven_in_step([])


def test_the_fast_path_stays_sure(in_step: Repo) -> None:
    in_step.stage("ml/new/x.py", "")
    in_step.write("ml/run/y.py", "")
    assert proven_in_step([])
    assert not proven_in_step(["--check"])
    assert run(sync, cwd=in_step.root) == Result(0, "", "")
    # Of what was written just now, a later change may not be seen.
    in_step.write("ml/.gitignore", (in_step.root / "ml/.gitignore").read_bytes())
    assert not proven_in_step([])
    assert run(sync, cwd=in_step.root) == Result(0, "", "")
    assert proven_in_step([])


def test_what_was_written_just_now_is_looked_at_again(
    projects: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(projects.root)
    monkeypatch.setattr(ignore_state, "_SETTLED", 10**12)
    assert run(sync, cwd=projects.root) == Result(0, "", "")
    assert not proven_in_step([])


def test_a_milestone_changes_the_block_of_its_project_alone(projects: Repo) -> None:
    projects.stage("ml/best_models/milestones.yaml", "milestones:\n  best_models/m.pt: {size: 1}\n")
    result = run(sync, cwd=projects.root)
    assert result.commands == ["git add ml/.gitignore"]
    assert "+!/best_models/m.pt" in result.out


def test_lines_of_somebody_around_the_block_stay(projects: Repo) -> None:
    text = (projects.root / "ml/.gitignore").read_text()
    projects.write("ml/.gitignore", text.replace("# <<<", "mine\n# <<<"))
    result = run(sync, cwd=projects.root)
    assert result.code == 2
    assert "ml/.gitignore:" in result.err
    assert "'mine' would be lost" in result.err
    projects.write("ml/.gitignore", text + "\nmine\n")
    projects.git("add", "ml/.gitignore")
    assert run(sync, cwd=projects.root) == Result(0, "", "")


def test_what_is_tracked_by_nobody_holds_no_commit_up(projects: Repo) -> None:
    projects.write("packages/scratch/x.py", "")
    assert "packages/scratch/.gitignore: new" in run(sync, cwd=projects.root).out
    assert run(sync, cwd=projects.root) == Result(0, "", "")
    projects.git("add", "packages/scratch/x.py")
    assert "is not in the index" in run(sync, cwd=projects.root).out


def test_a_project_that_is_a_link_has_no_file(projects: Repo, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    projects.link("packages/link", tmp_path / "there")
    projects.git("add", "packages/link")
    assert run(sync, cwd=projects.root) == Result(0, "", "")
    assert [*(tmp_path / "there").iterdir()] == []


def test_an_unmerged_policy_of_a_project(projects: Repo) -> None:
    blob = projects.git("hash-object", "-w", "--stdin", stdin=b"keep: [a]\n").strip()
    info = "".join(f"100644 {blob} {stage}\tml/.fx-hooks.yaml\n" for stage in (1, 2, 3))
    projects.git("update-index", "--index-info", stdin=info.encode())
    result = run(sync, cwd=projects.root)
    assert result.code == 2
    assert "ml/.fx-hooks.yaml: is unmerged" in result.err


def test_findings_around_the_block_of_a_project(projects: Repo) -> None:
    run(sync, cwd=projects.root)
    own = projects.root / "ml" / ".gitignore"
    lines = own.read_text().count("\n")
    own.write_text(own.read_text() + "!*.pt\n/src/*.py\n")
    projects.stage("ml/src/a.py", "")
    projects.git("add", "-A")
    below = projects.root / "ml" / "src"
    said = run(sync, "--findings", cwd=below)
    assert said.code == 1
    assert f"ml/.gitignore:{lines + 1}: '!*.pt' lets in ml/" in said.out
    assert "  ml/src/a.py  1 file\n" in said.out
    (command,) = said.commands
    assert command == "git -C ../.. rm -r -q --cached -- ml/src"
    subprocess.run(command.split(), cwd=below, check=True)
    own.write_text("".join(own.read_text().splitlines(keepends=True)[:lines]))
    assert run(sync, "--findings", cwd=below) == Result(0, "", "")
