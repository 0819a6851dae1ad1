"""Real runs, committed through the real pre-commit and the real prek."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import copy_project
from tests.realruns.make import expected, make_runs
from tests.support import git_version

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sys.executable).parent
HOOK_TYPES = ("--hook-type", "pre-commit", "--hook-type", "pre-merge-commit")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with stores of its own for both runners."""
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept.pop("PRE_COMMIT", None)
    return {
        **kept,
        "PATH": f"{SCRIPTS}{os.pathsep}{kept['PATH']}",
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "PREK_HOME": str(home / "prek"),
        # prek installs with uv, which trusts the machine's own certificates only if told to.
        "UV_SYSTEM_CERTS": "1",
        **{f"GIT_{who}_NAME": "somebody" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
    }


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """This project as the repository of hooks that a user would name, as it is on disk."""
    target = tmp_path_factory.mktemp("hooks") / "fx-hooks"
    copy_project(target, beginnings=("fx_hooks/",))
    git = Git(target, environment)
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "hooks")
    return target


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the artifacts of real runs."""
    target = tmp_path_factory.mktemp("runs") / "project"
    make_runs(target)
    return target


class Git:
    """git in one work tree."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        self.environment = environment

    def __call__(self, *arguments: str, code: int = 0) -> str:
        return self.run("git", *arguments, code=code)

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="surrogateescape",
        )
        assert done.returncode == code, done.stdout
        return done.stdout


@pytest.fixture(params=["pre-commit", "prek"])
def runner(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def project(
    runs: Path, hooks: Path, environment: dict[str, str], runner: str, tmp_path: Path
) -> Git:
    """A copy of the project, its sources not committed yet, with the hooks installed."""
    root = tmp_path / "project"
    shutil.copytree(runs, root, symlinks=True)
    git = Git(root, environment)
    git("init", "-q", "-b", "main")
    revision = Git(hooks, environment)("rev-parse", "HEAD").strip()
    write_config(root, hooks, revision)
    git.run(runner, "install", *HOOK_TYPES)
    return git


def write_config(root: Path, hooks: Path, revision: str, arguments: str = "") -> None:
    (root / ".pre-commit-config.yaml").write_text(
        f"repos:\n"
        f"  - repo: {hooks}\n"
        f"    rev: {revision}\n"
        f"    hooks:\n"
        f"      - id: fx-check-artifacts\n{arguments}"
        f"      - id: fx-check-tree\n"
    )


def commands(output: str) -> str:
    """The commands that a report prints, as a script."""
    return "\n".join(re.findall(r"^ {4,6}(git .*)$", output, re.MULTILINE))


def named(output: str) -> set[str]:
    """The runs, directories and files that a report names; prek indents it."""
    return set(re.findall(r"^ {2,4}(\S.*?)/? +[\d,]+ files? ", output, re.MULTILINE))


def within(path: str, rows: set[str]) -> bool:
    return any(f"{path}/".startswith(f"{row}/") for row in rows)


@pytest.mark.slow
def test_real_runs_are_refused_and_nothing_else(project: Git) -> None:
    artifacts, legitimate = expected(project.root)
    artifacts -= {".pre-commit-config.yaml"}
    before = {path: (project.root / path).lstat() for path in artifacts | legitimate}
    project("add", "-A", "-f")
    output = project("commit", "-m", "everything", code=1)

    # Each artifact is in one of the runs and directories that the report names.
    rows = named(output)
    assert {path for path in artifacts if within(path, rows)} == artifacts
    assert not {path for path in legitimate if within(path, rows)}
    assert len(output.splitlines()) <= 90

    project.run("bash", "-e", "-c", commands(output))
    project("commit", "-m", "what belongs in Git")
    tracked = set(project("ls-tree", "-r", "--name-only", "HEAD").splitlines())
    assert tracked == legitimate | {".pre-commit-config.yaml"}
    for path, state in before.items():
        after = (project.root / path).lstat()
        assert (after.st_ino, after.st_size) == (state.st_ino, state.st_size)


@pytest.mark.slow
def test_verbose_names_every_artifact(project: Git, hooks: Path) -> None:
    artifacts, _ = expected(project.root)
    artifacts -= {".pre-commit-config.yaml"}
    revision = Git(hooks, project.environment)("rev-parse", "HEAD").strip()
    write_config(project.root, hooks, revision, "        args: [--verbose, --]\n")
    project("add", "-A", "-f")
    output = project("commit", "-m", "everything", code=1)
    assert named(output) == artifacts


@pytest.mark.slow
def test_only_the_disk_says_that_it_is_a_run(project: Git) -> None:
    (project.root / ".gitignore").write_text(".hydra/\n*.pt\n*.ckpt\n*.log\n")
    project("add", "-f", ".gitignore", "src/toyproject/fit.py")
    project("commit", "-m", "sources")
    project("add", "experiments")
    assert "experiments/first/config_used.yaml" in project("diff", "--cached", "--name-only")
    output = project("commit", "-m", "the rest of a run", code=1)
    # So few files of a run are named one by one.
    assert {path.rpartition("/")[0] for path in named(output)} == {"experiments/first"}


MOSTLY_PREK = [pytest.param("pre-commit", marks=pytest.mark.slow), "prek"]


@pytest.mark.parametrize("runner", MOSTLY_PREK, indirect=True)
def test_the_whole_tree_in_ci(project: Git, runner: str) -> None:
    project("add", "-A", "-f")
    project("commit", "-q", "--no-verify", "-m", "everything")
    run = (runner, "run", "--hook-stage", "manual", "fx-check-tree")
    output = project.run(*run, code=1)
    assert "Stop tracking them" in output
    project.run("bash", "-e", "-c", commands(output))
    project("commit", "-q", "-m", "without the artifacts")
    assert "Passed" in project.run(*run)


@pytest.mark.parametrize("runner", MOSTLY_PREK, indirect=True)
def test_the_recipe_for_pre_commit_ci(project: Git, hooks: Path, runner: str) -> None:
    # It runs the hooks of the stage pre-commit on all tracked files of a fresh clone.
    if runner == "pre-commit" and git_version() < (2, 31):
        pytest.skip("pre-commit needs git 2.31 for --all-files")
    page = (ROOT / "docs" / "ci.md").read_text("utf-8").split("## pre-commit.ci\n")[1]
    recipe = page.split("```yaml\n")[1].split("```")[0]
    revision = Git(hooks, project.environment)("rev-parse", "HEAD").strip()
    recipe = recipe.replace("https://github.com/fx-hooks/fx-hooks", str(hooks))
    config = re.sub(r"rev: .*", f"rev: {revision}", recipe)
    (project.root / ".pre-commit-config.yaml").write_text(config)
    project("add", "-A", "-f")
    project("commit", "-q", "--no-verify", "-m", "everything")
    project("clone", "-q", ".", str(project.root / "clone"))
    clone = Git(project.root / "clone", project.environment)
    output = clone.run(runner, "run", "--all-files", code=1)
    assert "wandb-runs" in output
    clone.run("bash", "-e", "-c", commands(output))
    assert "Passed" in clone.run(runner, "run", "--all-files")


def test_a_conflict_hides_nothing(project: Git) -> None:
    def commit(message: str) -> None:
        project("commit", "-q", "--no-verify", "-m", message)

    project("add", "-f", "README.md", ".pre-commit-config.yaml")
    commit("base")
    project("checkout", "-q", "-b", "side")
    (project.root / "README.md").write_text("side\n")
    project("add", "-f", "README.md", "wandb")
    commit("an artifact and a conflict")
    project("checkout", "-q", "main")
    (project.root / "README.md").write_text("main\n")
    project("add", "-f", "README.md")
    commit("the other half of the conflict")
    project("merge", "side", code=1)
    (project.root / "README.md").write_text("both\n")
    project("add", "README.md")
    output = project("commit", "-m", "merge", code=1)
    assert any(path.partition("/")[0] == "wandb" for path in named(output))
    project.run("bash", "-e", "-c", commands(output))
    project("commit", "-m", "merge")
    assert "wandb" not in project("ls-tree", "--name-only", "HEAD")
    assert (project.root / "wandb" / "latest-run").is_symlink()


def test_a_clean_merge_is_checked(project: Git) -> None:
    project("add", "-f", "README.md", ".pre-commit-config.yaml")
    project("commit", "-q", "-m", "base")
    project("checkout", "-q", "-b", "side")
    project("add", "-f", "outputs")
    project("commit", "-q", "--no-verify", "-m", "an artifact")
    project("checkout", "-q", "main")
    output = project("merge", "--no-ff", "side", code=1)
    assert any(row.startswith("outputs/") for row in named(output))
    # The merge is still under way; a plain commit must not let it in either.
    output = project("commit", "-m", "merge", code=1)
    assert any(row.startswith("outputs/") for row in named(output))


@pytest.mark.slow
def test_gitignore_follows_the_policy(project: Git, hooks: Path) -> None:
    revision = Git(hooks, project.environment)("rev-parse", "HEAD").strip()
    write_config(project.root, hooks, revision, "      - id: fx-sync-gitignore\n")
    project("add", "-f", "README.md", ".pre-commit-config.yaml")
    output = project("commit", "-m", "without a block", code=1)
    assert ".gitignore: new, " in output
    project("add", ".gitignore")
    project("commit", "-m", "with a block")
    _, legitimate = expected(project.root)
    project("add", "-A")
    tracked = set(project("ls-files").splitlines()) - {".gitignore", ".pre-commit-config.yaml"}
    # Only the tree says that this is a run.
    run = {f"experiments/first/{name}" for name in ("config_used.yaml", "metrics.json")}
    assert tracked == legitimate | run
    project("commit", "-q", "--no-verify", "-m", "everything that is not ignored")
    project("rm", "-q", ".gitignore")
    assert ".gitignore: new, " in project("commit", "-m", "no block", code=1)
    project("add", ".gitignore")
    (project.root / ".fx-hooks.yaml").write_text("ignore: [/scratch]\n")
    project("add", ".fx-hooks.yaml")
    assert "+/scratch" in project("commit", "-m", "a policy", code=1)
    project("add", ".gitignore")
    project("commit", "-m", "a policy")


@pytest.mark.slow
def test_a_push_is_checked(project: Git, hooks: Path, runner: str, tmp_path: Path) -> None:
    """Through the runner: a first push, one of several refs, and one that was cleaned up."""
    revision = Git(hooks, project.environment)("rev-parse", "HEAD").strip()
    write_config(project.root, hooks, revision, "      - id: fx-check-range\n")
    project.run(runner, "install", "--hook-type", "pre-push")
    Git(tmp_path, project.environment)("init", "-q", "--bare", "bare.git")
    project("remote", "add", "origin", str(tmp_path / "bare.git"))
    project("add", "-f", "README.md", ".pre-commit-config.yaml", "wandb")
    project("commit", "-q", "--no-verify", "-m", "the first one")
    output = project("push", "origin", "main", code=1)
    assert "wandb-runs" in output
    assert "still there" in output
    project("rm", "-q", "-r", "--cached", "wandb")
    project("commit", "-q", "--no-verify", "--amend", "-m", "the first one")
    project("push", "-q", "origin", "main")
    project("checkout", "-q", "-b", "side")
    project("add", "-f", "outputs")
    project("commit", "-q", "--no-verify", "-m", "outputs")
    project("rm", "-q", "-r", "--cached", "outputs")
    project("commit", "-q", "--no-verify", "-m", "no outputs")
    project("checkout", "-q", "main")
    project("commit", "-q", "--no-verify", "--allow-empty", "-m", "nothing")
    # The runner hands on the first ref alone.
    assert "gone since" in project("push", "origin", "main", "side", code=1)
    project("config", "alias.p", "push")
    for words in (["p", "origin", "main", "side"], ["push", "--all"],
                  ["-c", "push.default=matching", "push", "origin"],
                  ["-c", "push.followTags", "push", "origin", "main"],
                  ["-c", "remote.origin.mirror", "push", "origin"]):  # fmt: skip
        assert "gone since" in project(*words, "-n", code=1)
    # Who pushes one ref is not asked about any other.
    if sys.platform == "linux":
        project("push", "-q", "-n", "origin", "main")
        project("push", "-q", "--set-upstream", "origin", "HEAD:main")
        project("commit", "-q", "--no-verify", "--allow-empty", "-m", "nothing")
        project("push", "-q")
    project("commit", "-q", "--no-verify", "--allow-empty", "-m", "nothing")
    project("branch", "-q", "-D", "side")
    project("push", "-q", "origin", "main")
    run = (runner, "run", "--hook-stage", "manual", "fx-check-range")
    assert "Passed" in project.run(*run, "--from-ref", "HEAD~1", "--to-ref", "HEAD")
