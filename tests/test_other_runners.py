"""Real lefthook and real simple-git-hooks: what is said of them is what git does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support import Repo

SCRIPTS = Path(sys.executable).parent
# Where npm has installed them, for who has no `npx` on PATH that finds them.
SIMPLE = shutil.which("simple-git-hooks")
needs_lefthook = pytest.mark.skipif(
    shutil.which("lefthook", path=f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}") is None,
    reason="lefthook is not installed",
)
needs_simple = pytest.mark.skipif(SIMPLE is None, reason="simple-git-hooks is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the hooks are written for a POSIX shell"),
]
COMMANDS = ("fx-check-artifacts", "fx-check-best-models", "fx-sync-gitignore")
STAGES = ("pre-commit", "pre-merge-commit")


class User:
    """Who starts commands in one work tree."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        repo.stage("a.py", "a = 1\n")
        repo.git("commit", "-q", "--no-verify", "-m", "start")

    def does(self, *words: str, code: int | None = 0) -> str:
        done = subprocess.run(
            words,
            cwd=self.repo.root,
            env={**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def stages(self) -> dict[str, bool]:
        """What the report says of each hook."""
        found = json.loads(self.does("fx-init", "--report", "--format", "json"))["hooks"]
        return {stage: found[stage] for stage in STAGES}

    def tries(self) -> dict[str, bool]:
        """What git does when somebody commits a run."""
        said = self.does("fx-init", "--try", code=None)
        return {stage: f"{stage}: a run is refused" in said for stage in STAGES}


def lefthook(*, merge: bool = True, more: str = "", job: str = "") -> str:
    text = ""
    for stage, commands in zip(STAGES, (COMMANDS, COMMANDS[:1] * merge), strict=True):
        text += f"{stage}:\n{more}  commands:\n" * bool(commands)
        text += "".join(f"    {name}:\n      run: {name}\n{job}" for name in commands)
    return text


LEFTHOOKS = {
    "all": (lefthook(), True, True),
    "no-merge": (lefthook(merge=False), True, False),
    "only-push": ("pre-push:\n  commands:\n    a:\n      run: fx-check-artifacts\n", False, False),
    "skipped": (lefthook(more="  skip: true\n"), False, False),
    "glob": (lefthook(job="      glob: '*.py'\n"), False, False),
    "parallel": (lefthook(more="  parallel: true\n"), True, True),
    "piped": (lefthook(more="  piped: true\n"), True, True),
    "swallowed": (lefthook().replace("run: fx-check-artifacts", "run: fx-check-artifacts || true"),
                  False, False),
    "jobs": ("".join(f"{stage}:\n  jobs:\n" + "".join(f"    - run: {c}\n" for c in COMMANDS)
                     for stage in STAGES), True, True),
}  # fmt: skip


@needs_lefthook
@pytest.mark.parametrize("name", LEFTHOOKS)
def test_lefthook(repo: Repo, name: str) -> None:
    text, commit, merge = LEFTHOOKS[name]
    user = User(repo)
    repo.write("lefthook.yml", text)
    # Nothing is installed yet.
    assert not any(user.stages().values())
    user.does("lefthook", "install")
    said, done = user.stages(), user.tries()
    assert said == dict(zip(STAGES, (commit, merge), strict=True))
    # What it calls started is; with a glob it is only by chance.
    assert all(done[stage] for stage in STAGES if said[stage])
    assert done == said or name == "glob"


@needs_lefthook
def test_what_is_said_of_lefthook_leads_to_green(repo: Repo) -> None:
    user = User(repo)
    repo.write("lefthook.yml", "commit-msg:\n  commands:\n    a:\n      run: 'true'\n")
    said = user.does("fx-init", "--yes", "--install", code=1)
    repo.git("add", ".gitignore")
    lines = said.partition("already exists; add to it:\n")[2].splitlines()
    written = [line[4:] for line in lines if line.startswith("    ") and "git add" not in line]
    repo.write("lefthook.yml", (repo.root / "lefthook.yml").read_text() + "\n".join(written) + "\n")
    said = user.does("fx-init", code=1)
    (command,) = re.findall(r"^    (lefthook .*)$", said, re.MULTILINE)
    user.does("bash", "-c", command)
    assert "All is in place." in user.does("fx-init")
    assert all(user.tries().values())


@needs_lefthook
@pytest.mark.parametrize("more", ["", "    lint:\n      run: 'true'\n"])
def test_lefthook_starts_without_the_lines_that_undo_names(repo: Repo, more: str) -> None:
    user = User(repo)
    text = lefthook() + more
    repo.write("lefthook.yml", text)
    user.does("lefthook", "install")
    user.does("fx-init", "--yes", code=None)
    said = user.does("fx-init", "--undo", "--yes")
    assert "Take these lines out:" in said
    numbers = {
        int(number) for number in re.findall(r"^    lefthook.yml:(\d+): ", said, re.MULTILINE)
    }
    lines = text.splitlines(keepends=True)
    left = [line for number, line in enumerate(lines, 1) if number not in numbers]
    assert len(left) == (4 if more else 0)
    repo.write("lefthook.yml", "".join(left))
    assert not any(user.stages().values())
    assert not any(user.tries().values())
    repo.stage("x.log", "")
    repo.git("commit", "-q", "-m", "x")


@needs_lefthook
def test_lefthook_that_something_else_changes(repo: Repo) -> None:
    user = User(repo)
    repo.write("lefthook.yml", lefthook())
    repo.write("lefthook-local.yml", "pre-commit:\n  skip: true\n")
    user.does("lefthook", "install")
    assert not any(user.stages().values())
    assert user.tries() == {"pre-commit": False, "pre-merge-commit": True}


def package(repo: Repo, hooks: object) -> None:
    repo.write("package.json", json.dumps({"name": "x", "simple-git-hooks": hooks}))


@needs_simple
@pytest.mark.parametrize("before", ["", "true"])
@pytest.mark.parametrize("name", ["package.json", ".simple-git-hooks.json"])
def test_simple_git_hooks(repo: Repo, name: str, before: str) -> None:
    user = User(repo)
    hooks = {"pre-commit": before} if before else {"commit-msg": "true"}
    if name == "package.json":
        package(repo, hooks)
    else:
        repo.write(name, json.dumps(hooks))
    user.does(str(SIMPLE))
    assert not any((*user.stages().values(), *user.tries().values()))
    said = user.does("fx-init", "--yes", "--install", code=1)
    repo.git("add", ".gitignore")
    assert "npx simple-git-hooks" in said
    told = "\n".join(re.findall(r'^    (".*),$', said, re.MULTILINE))
    hooks |= json.loads("{" + told.replace("\n", ",") + "}")
    if name == "package.json":
        package(repo, hooks)
    else:
        repo.write(name, json.dumps(hooks))
    # It is told, and git does not know yet.
    assert "It has yet to write git's hooks" in user.does("fx-init", code=1)
    assert not any(user.stages().values())
    user.does(str(SIMPLE))
    assert "All is in place." in user.does("fx-init")
    assert all((*user.stages().values(), *user.tries().values()))
    # What one writes into its hooks by hand, it takes out again.
    (repo.root / ".git/hooks/pre-commit").write_text("#!/bin/sh\n")
    assert user.stages()["pre-commit"] is False


@needs_simple
def test_simple_git_hooks_write_what_is_left_after_undo(repo: Repo) -> None:
    user = User(repo)
    package(repo, {"pre-commit": f"true && {COMMANDS[0]}"})
    user.does(str(SIMPLE))
    user.does("fx-init", "--yes", code=None)
    said = user.does("fx-init", "--undo", "--yes")
    assert "Take fx-hooks out of these lines:\n    package.json:1: " in said
    assert said.endswith("Then let simple-git-hooks write git's hooks:\n    npx simple-git-hooks\n")
    assert ".git/hooks" not in said
    package(repo, {"pre-commit": "true"})
    user.does(str(SIMPLE))
    repo.stage("x.log", "")
    repo.git("commit", "-q", "-m", "x")


@needs_simple
def test_simple_git_hooks_by_a_program(repo: Repo) -> None:
    user = User(repo)
    commands = {"pre-commit": " && ".join(COMMANDS), "pre-merge-commit": COMMANDS[0]}
    repo.write("package.json", '{"name": "x"}')
    repo.write("simple-git-hooks.cjs", "module.exports = {}\n")
    assert '"pre-commit": "... && fx-check-artifacts' in user.does("fx-init", "--yes", code=1)
    repo.write("simple-git-hooks.cjs", f"module.exports = {json.dumps(commands)}\n")
    user.does(str(SIMPLE))
    assert "All is in place." in user.does("fx-init")
    assert all(user.tries().values())
