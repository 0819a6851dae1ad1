"""What a repository is told to stage, neither its policy nor its ``.gitignore`` refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fx_hooks import sync_gitignore
from fx_hooks.cli import explain, init
from tests.contract_support import META, METADATA, STATE, add, check
from tests.support import Repo, Result, run, run_main, working_directory
from tests.test_printed_commands import commands_of

POLICIES = {
    "everything": "ignore: ['*']\nkeep: [src/]\n",
    "all-at-the-root": "ignore: ['/*']\nkeep: [src/]\n",
    "hidden": "ignore: ['.*']\n",
    "by-suffix": "ignore: ['*.yaml', '*.yml']\n",
    "below-projects": "ignore: ['*[0-9]*/**/*']\nkeep: [/src, /.pre*]\nprojects: ['*']\n",
    "projects": "ignore: ['*']\nkeep: ['src/']\nprojects: [a1, 'b/*']\n",
    "a-project": "ignore: [a1]\nprojects: [a1]\n",
}
# Lines of people, and whether they stand behind the block.
IGNORED = {
    "hidden": (".*\n", True),
    "everything": ("*\n", True),
    "in-front": ("/*\n!/src\n", False),
    "config": (".pre-commit-config.yaml\n*.yml\n", True),
    "none": ("", True),
}


def follow(result: Result, folder: Path) -> None:
    for command in commands_of(result):
        if command.startswith("git"):
            subprocess.run(command, shell=True, cwd=folder, check=True)


def is_green(repo: Repo) -> None:
    """What is staged passes each hook, and nothing is left to stage."""
    assert run(sync_gitignore.main, cwd=repo.root) == Result(0, "", "")
    with working_directory(repo.root):
        assert run_main([]) == Result(0, "", "")
        assert run_main(["--all-files"]).code == 0
    repo.commit()


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_lets_in_what_it_needs(name: str, repo: Repo) -> None:
    repo.write(".fx-hooks.yaml", POLICIES[name])
    for path in ("src/x.py", "a1/src/x.py", "b/c/src/x.py"):
        repo.stage(path, "")
    if name == "a-project":
        repo.git("rm", "-q", "--cached", "a1/src/x.py")
    follow(run(init.main, "--yes", cwd=repo.root), repo.root)
    follow(run(sync_gitignore.main, cwd=repo.root), repo.root)
    repo.git("add", ".fx-hooks.yaml")
    is_green(repo)
    assert {b".fx-hooks.yaml", b".gitignore", b".pre-commit-config.yaml"} <= repo.tracked()


@pytest.mark.slow
@pytest.mark.parametrize("name", IGNORED)
def test_a_line_of_somebody_keeps_nothing_of_it_out(name: str, repo: Repo) -> None:
    line, behind = IGNORED[name]
    repo.stage(".fx-hooks.yaml", "projects: [a1]\n")
    for path in ("src/x.py", "a1/x.py"):
        repo.stage(path, "")
    repo.write(".gitignore", line)
    if behind:
        assert run(sync_gitignore.main, cwd=repo.root).code == 1
        text = (repo.root / ".gitignore").read_text("utf-8").removeprefix(line)
        repo.write(".gitignore", text + line)
        (repo.root / "a1/.gitignore").unlink()
    follow(run(init.main, "--yes", cwd=repo.root), repo.root)
    follow(run(sync_gitignore.main, cwd=repo.root), repo.root)
    is_green(repo)
    assert b".pre-commit-config.yaml" in repo.tracked()


def test_the_list_of_milestones_is_named_so_that_git_takes_it(repo: Repo) -> None:
    repo.stage("src/x.py", "")
    repo.write(".gitignore", "best_models\n")
    repo.write("m.pt", STATE)
    repo.write(METADATA, META)
    assert add(repo, "m.pt", "--why", "x").code == 0
    said = run(explain.main, "src/x.py", cwd=repo.root)
    assert "does not count: git add -f" in said.err
    subprocess.run(said.err.rpartition("count: ")[2].strip(), shell=True, cwd=repo.root, check=True)
    assert b"best_models/milestones.yaml" in repo.tracked()


@pytest.mark.parametrize("rule", ["'*.json'", "/best_models", "'*.yaml'", "'best_models/**'"])
def test_a_milestone_that_the_policy_refuses_names_the_line(rule: str, repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", f"ignore: [{rule}]\n")
    repo.write("m.pt", STATE)
    repo.write(METADATA, META)
    said = add(repo, "m.pt", "--why", "x")
    assert said.code == 2
    assert "keep" in said.err
    assert "/best_models" in said.err
    repo.stage(".fx-hooks.yaml", f"ignore: [{rule}]\nkeep: [/best_models]\n")
    said = add(repo, "m.pt", "--why", "x")
    assert said.code == 0, said
    follow(said, repo.root)
    assert check(repo).code == 0
    with working_directory(repo.root):
        assert run_main([]).code == 0


def test_a_project_that_git_ignores_has_no_block(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "projects: ['*', '*/lab', '-x']\n")
    repo.write(".gitignore", "node_modules/\n/scratch/*\n/tracked\n")
    for path in ("src/x.py", "tracked/x.py", "-x/x.py"):
        repo.stage(path, "")
    for path in ("node_modules/lab/x.js", "scratch/lab/x.py", "new/x.py"):
        repo.write(path, "")
    follow(run(sync_gitignore.main, cwd=repo.root), repo.root)
    found = {path.parent.name for path in repo.root.glob("**/.gitignore")} - {repo.root.name}
    assert found == {"src", "tracked", "new", "scratch", "-x"}
    is_green(repo)
