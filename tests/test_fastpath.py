"""The fast path agrees with the command, is quick, and never trusts its tables blindly.

``Repo.check`` runs every situation in full (the command) and then asks the fast path, which must
not be sure of anything that the command has something to say about.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fx_hooks.check_artifacts import main
from fx_hooks.fastpath import looked_into, table_cache, work_tree
from fx_hooks.fastpath.artifacts import proven_clean
from fx_hooks.fastpath.work_tree import has_other_attributes
from fx_hooks.git.repository import IndexEntry, Repository
from fx_hooks.policy.compiler import compile_tables
from tests.support import (
    CLEAN,
    IS_ROOT,
    SCRIPT,
    TABLES,
    WEIGHTS,
    Repo,
    git_version,
    working_directory,
)
from tests.trees import content_of

HYDRA = "experiments/2024/first"


# What is imported


@pytest.fixture(scope="session")
def git_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing but the folders of git's own: here each repository starts without tables."""
    path = tmp_path_factory.mktemp("template")
    for name in ("hooks", "info"):
        (path / name).mkdir()
    return path


def imported(*command: str | Path, cwd: Path) -> set[str]:
    """The modules that a Python process imports."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "COV_", "PYTHON"))
    }
    process = subprocess.run(
        (sys.executable, "-X", "importtime", *command),
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert process.stdout == b""
    found = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", process.stderr.decode(), re.M)
    return set(found)


def imported_anyway(script: Path, cwd: Path) -> set[str]:
    """What Python and the few lines of the installed *script* itself import."""
    # The scripts that old versions of pip write import re and sys themselves.
    own = {"re", "sys"} & set(re.findall(r"^import (\w+)$", script.read_text(), re.M))
    bare = imported("-c", f"import {', '.join(sorted(own))}" if own else "pass", cwd=cwd)
    assert "site" in bare
    return bare


ALLOWED = {
    "atexit",
    "binascii",
    "gc",
    "marshal",
    "fx_hooks",
    "fx_hooks.check_artifacts",
    "fx_hooks.fastpath.artifacts",
    "fx_hooks.fastpath",
    "fx_hooks.fastpath.index_bytes",
    "fx_hooks.fastpath.interpreter",
    "fx_hooks.fastpath.work_tree",
    "fx_hooks.fastpath.table_cache",
    "fx_hooks.fastpath.unnamed_weights",
    "fx_hooks.fastpath.matcher",
}


def names_given(arguments: list[str]) -> bool:
    return any(not argument.startswith("-") for argument in arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="staged"),
        pytest.param(["--"], id="staged-behind-dashes"),
        pytest.param(["--all-files"], id="all"),
        pytest.param(["train.py"], id="name"),
        pytest.param(["--", "train.py", "pkg/m.py", "configs/a b.yaml"], id="names"),
    ],
)
@pytest.mark.parametrize("own_policy", [False, True], ids=["built-in", "own-policy"])
def test_imports_of_a_clean_commit(repo: Repo, arguments: list[str], own_policy: bool) -> None:
    if own_policy:
        repo.stage(".fx-hooks.yaml", "keep: [good.pt]\nignore: ['/data/**/cache-?.bin']\n")
    repo.stage("pkg/m.py", "x = 1\n")
    repo.stage("configs/a b.yaml", "x: 1\n")
    imported(SCRIPT, *arguments, cwd=repo.root)  # leaves tables behind
    bare = imported_anyway(SCRIPT, cwd=repo.root)
    found = imported(SCRIPT, *arguments, cwd=repo.root)
    # What a bare interpreter of this installation has loaded already is not news.
    needed = set() if names_given(arguments) else {"fx_hooks.fastpath.fast_git"}
    if arguments == ["--all-files"]:
        needed |= {f"fx_hooks.fastpath.{name}" for name in ("near_miss", "looked_into")}
        # What the standard library computes digests with differs between versions.
        needed |= {n for n in found if n.strip("_").startswith(("hashlib", "sha", "blake2"))}
    assert found - bare == (ALLOWED | needed) - bare


# Some of them look like what a tool writes, as far as a cheap test can tell.
ORDINARY = (
    "src/train.py", "src/pkg/checkpoint.py", "src/x.perf.py", "src/web/app.e2e.ts", "docs/conf.py",
    "docs/one.original.md", "configs/config.example.yaml", "src/pose/run_model.py", "README.md",
    "notebooks/eda.ipynb", ".github/workflows/ci.yml", "tests/test_a.py", "scripts/slurm-job.sh",
    "core/search_space.py", "data/val_1.csv", "src/train/predict.py", "checkpoint-a/b.c",
)  # fmt: skip


def test_ordinary_names_need_no_expressions(repo: Repo) -> None:
    for name in ORDINARY:
        repo.stage(name, "x = 1\n")
    script = (
        "import sys; from fx_hooks.check_artifacts import main; code = main(sys.argv[1:]);"
        "print(code, *{'re', 'fx_hooks.cli'} & {*sys.modules})"
    )
    # Without what an installation may load at every start.
    where = f"import sys; sys.path[:] = {sys.path!r}; "
    command = (sys.executable, "-I", "-S", "-c", where + script, "--", *ORDINARY)
    for _ in range(2):  # the first one fills the cache
        done = subprocess.run(command, cwd=repo.root, capture_output=True, text=True)
    assert done.stdout.split() == ["0"], done.stdout + done.stderr


# When the fast path alone decides


@pytest.mark.parametrize("arguments", [[], ["--"], ["train.py"], ["--", "train.py"]])
def test_fast_path_is_sure_of_a_clean_commit(repo: Repo, arguments: list[str]) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    assert not repo.fast_path(*arguments)  # no tables yet
    assert repo.check(*arguments) == CLEAN
    assert repo.fast_path(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--verbose"], ["--policy", "x"], ["-x"], ["x.py", "-x"], ["--all-files", "x"], ["--help"]],
    ids=" ".join,
)
def test_fast_path_leaves_options_to_the_command(repo: Repo, arguments: list[str]) -> None:
    repo.check()
    assert repo.fast_path()
    assert not repo.fast_path(*arguments)


@pytest.mark.parametrize(
    "name", ["/x.py", "./x.py", "a/../x.py", "a//x.py", "a/./x.py", "a/", "..", ".", "", "pkg"]
)
def test_fast_path_leaves_odd_spellings_to_the_command(repo: Repo, name: str) -> None:
    repo.stage("pkg/m.py")
    repo.check()
    assert not repo.fast_path(name)


def test_fast_path_leaves_subfolders_to_the_command(repo: Repo) -> None:
    repo.stage("pkg/m.py")
    repo.check()
    assert not repo.fast_path("m.py", cwd="pkg")
    assert repo.check("m.py", cwd="pkg") == CLEAN


def test_fast_path_looks_at_what_a_merge_brings_in(repo: Repo) -> None:
    repo.commit()
    repo.git("checkout", "-q", "-b", "theirs")
    repo.stage("theirs.py", "x = 1\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage("ours.py", "x = 1\n")
    repo.commit()
    repo.git("merge", "-q", "--no-commit", "theirs")
    assert repo.check("train.py") == CLEAN
    assert repo.fast_path("train.py")
    repo.stage("brought.pt", WEIGHTS)
    assert repo.check("train.py").code == 1
    assert repo.check_once("train.py").code == 1


@pytest.mark.parametrize(
    "name",
    ["x.pt", "wandb/x.dat", "outputs/a.bin", "logs/x.dat", "a/__pycache__/m.pyc", "wandb"],
)
@pytest.mark.parametrize("staged", [False, True], ids=["not-staged", "staged"])
def test_fast_path_never_lets_an_artifact_through(repo: Repo, name: str, staged: bool) -> None:
    repo.check()
    assert repo.fast_path("train.py")
    if staged:
        repo.stage(name, WEIGHTS)
        assert not repo.fast_path()
        assert not repo.fast_path("--all-files")
    assert not repo.fast_path("train.py", name)
    assert repo.check("--", "train.py", name).code == 1


@pytest.mark.parametrize("where", ["disk", "index", "index-only"])
def test_fast_path_sees_runs(repo: Repo, where: str) -> None:
    repo.stage(f"{HYDRA}/result.csv", "1\n")
    repo.stage("experiments/notes.md", "1\n")
    assert repo.check() == CLEAN
    assert repo.fast_path(f"{HYDRA}/result.csv")
    repo.write(f"{HYDRA}/.hydra/config.yaml", "lr: 1\n")
    if where != "disk":
        repo.git("add", "-f", f"{HYDRA}/.hydra/config.yaml")
    if where == "index-only":
        repo.remove(f"{HYDRA}/.hydra/config.yaml")
    for arguments in ([], [f"{HYDRA}/result.csv"]):
        assert not repo.fast_path(*arguments)
        assert repo.check(*arguments).code == 1
    assert repo.fast_path("--all-files") == (where == "disk")
    assert repo.check("--all-files").code == (where != "disk")
    assert repo.fast_path("experiments/notes.md")
    assert repo.check("experiments/notes.md") == CLEAN


def test_fast_path_sees_runs_by_a_mark_of_ones_own(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n")
    repo.stage("a/b/params.yaml", "x: 1\n")
    repo.stage("a/b/c/result.csv", "x\n")
    repo.stage("a/fine.csv", "x\n")
    assert repo.check("a/fine.csv") == CLEAN
    assert repo.fast_path("a/fine.csv")
    assert repo.check("a/b/c/result.csv").code == 1
    assert repo.mend() == {b"a/b/params.yaml", b"a/b/c/result.csv"}


def test_fast_path_sees_a_run_in_a_very_long_folder(repo: Repo) -> None:
    folder = "/".join(f"{number:0200}" for number in range(25))
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{'1' * 40},{folder}/data.csv")
    repo.git(
        "update-index", "--add", "--cacheinfo", f"100644,{'1' * 40},{folder}/.hydra/config.yaml"
    )
    assert repo.check(f"{folder}/data.csv").code == 1


# Kinds of indexes


@pytest.fixture
def two_kinds(repo: Repo) -> Repo:
    """Something clean and an artifact in ``HEAD``, a policy, and something clean staged."""
    repo.stage(".fx-hooks.yaml", "keep: [good.pt]\n")
    for number in range(20):
        repo.stage(f"pkg/m{number}.py", f"x = {number}\n")
    repo.stage("good.pt", WEIGHTS)
    repo.commit()
    repo.stage("pkg/fine.py", "x = 1\n")
    return repo


def assert_right(repo: Repo) -> None:
    for arguments in ([], ["--all-files"], ["pkg/fine.py", "good.pt"]):
        assert repo.check(*arguments) == CLEAN
    repo.stage("pkg/x.pt", WEIGHTS)
    for arguments in ([], ["--all-files"], ["pkg/x.pt"]):
        assert repo.check(*arguments).code == 1
    assert repo.mend() == {b"pkg/x.pt"}
    repo.write(f"{HYDRA}/.hydra/config.yaml")
    repo.stage(f"{HYDRA}/result.csv")
    assert repo.check().code == 1
    # A policy that is staged counts, whatever stands on disk.
    repo.stage(".fx-hooks.yaml", "keep: [other.pt]\n")
    repo.write(".fx-hooks.yaml", "keep: [good.pt]\n")
    assert repo.check("good.pt").code == 1


@pytest.mark.parametrize("version", [2, 3, 4])
def test_index_versions(two_kinds: Repo, version: int) -> None:
    two_kinds.git("update-index", f"--index-version={version}")
    assert_right(two_kinds)


def test_names_that_an_index_does_not_have_in_full(repo: Repo) -> None:
    """Version 4 says of a name only what differs from the one before."""
    repo.write(".fx-hooks.yaml", "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n")
    for name in ("params.csv", "params.yaml", "result.csv"):
        repo.stage(f"data/run/{name}", "a: 1\n")
    repo.git("update-index", "--index-version=4")
    index = (repo.git_directory / "index").read_bytes()
    assert b"params.csv" in index
    assert b"params.yaml" not in index
    assert repo.check("--all-files").code == 1
    assert not repo.fast_path("--all-files")


def test_index_with_extended_flags(two_kinds: Repo) -> None:
    two_kinds.git("update-index", "--skip-worktree", "pkg/m1.py", "good.pt")
    data = (two_kinds.root / ".git" / "index").read_bytes()
    assert data[4:8] == b"\0\0\0\3"
    assert_right(two_kinds)


def test_split_index(two_kinds: Repo) -> None:
    two_kinds.git("update-index", "--split-index")
    two_kinds.stage("pkg/new.py")
    assert list((two_kinds.root / ".git").glob("sharedindex.*"))
    assert_right(two_kinds)


def test_untracked_cache_and_other_extensions(two_kinds: Repo) -> None:
    two_kinds.git("update-index", "--untracked-cache")
    two_kinds.git("status")
    assert_right(two_kinds)


HAS_SPARSE_INDEX = pytest.mark.skipif(git_version() < (2, 35), reason="needs git 2.35")


@HAS_SPARSE_INDEX
def test_sparse_index(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n")
    repo.stage("pkg/m.py")
    repo.stage("data/run/params.yaml")
    repo.stage("data/run/result.csv")
    repo.commit()
    assert repo.check("--all-files").code == 1
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "pkg")
    assert "data/\n" in repo.git("ls-files", "--sparse")
    repo.stage("pkg/fine.py")
    assert repo.check() == CLEAN
    # The folder stands in the index as a whole; what is in it counts all the same.
    assert repo.check("--all-files").code == 1


@HAS_SPARSE_INDEX
def test_sparse_index_hides_a_run_from_nobody(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n")
    repo.stage("pkg/m.py")
    repo.stage("data/run/params.yaml")
    repo.commit()
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "pkg")
    repo.stage("pkg/fine.py")
    assert repo.check("--all-files").code == 1
    assert repo.check("data/run/result.csv").code == 1


def test_no_index_yet(empty: Repo) -> None:
    empty.write("train.py")
    assert empty.check("train.py") == CLEAN
    assert empty.fast_path("train.py")
    assert empty.check("x.pt").code == 1


@pytest.mark.parametrize("relative", [False, True])
def test_index_file_of_a_partial_commit(
    two_kinds: Repo, relative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_kinds.stage(".fx-hooks.yaml", "keep: [good.pt, x.pt]\n")
    two_kinds.stage("x.pt", WEIGHTS)
    assert two_kinds.check() == CLEAN
    # Another index, in which the policy is that of HEAD.
    other = ".git/next-index" if relative else str(two_kinds.root / ".git" / "next-index")
    monkeypatch.setenv("GIT_INDEX_FILE", other)
    two_kinds.git("read-tree", "HEAD")
    two_kinds.git("add", "-f", "x.pt")
    assert two_kinds.check().code == 1
    assert two_kinds.check("x.pt").code == 1
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert two_kinds.check_once() == CLEAN
    monkeypatch.setenv("GIT_INDEX_FILE", other)
    assert two_kinds.check_once("x.pt").code == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_fast_path_and_command_agree_on_any_tree(repo: Repo, seed: int) -> None:
    chance = random.Random(seed)
    parts = ["wandb", "outputs", "pkg", "experiments", "a b", "é", ".hydra", "x[1]", "logs"]
    names = ["m.py", "x.pt", "a.bin", "config.yaml", "-x", "é.txt", ".gitkeep", "params.yaml"]
    if chance.random() < 0.7:
        repo.write(
            ".fx-hooks.yaml",
            "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n"
            f"keep: [{chance.choice(['outputs/', '*.bin', 'pkg/x.pt'])}]\n",
        )
        if chance.random() < 0.7:
            repo.git("add", ".fx-hooks.yaml")
    paths = set()
    for _ in range(10):
        folders = [chance.choice(parts) for _ in range(chance.randrange(3))]
        path = "/".join([*folders, chance.choice(names)])
        full = repo.root / path
        if full.is_dir() or any(parent.is_file() for parent in full.parents):
            continue
        repo.write(path)
        paths.add(path)
        if chance.random() < 0.6:
            repo.git("add", "-f", "--", path)
        if chance.random() < 0.1:
            repo.commit()
    for _ in range(2):
        some = chance.sample(sorted(paths), chance.randrange(1, len(paths)))
        repo.check("--", *some)
    repo.check()
    repo.check("--all-files")


# The policy file: staged, not staged, not tracked


def test_policy_that_is_not_tracked_counts(repo: Repo) -> None:
    repo.write(".fx-hooks.yaml", "keep: [x.pt]\nignore: [/secret]\n")
    repo.stage("x.pt", WEIGHTS)
    assert repo.check() == CLEAN
    assert repo.fast_path("x.pt")
    assert repo.check("secret").code == 1
    repo.write(".fx-hooks.yaml", "keep: [y.pt]\n")
    assert not repo.fast_path("x.pt")
    assert repo.check_once().code == 1
    repo.remove(".fx-hooks.yaml")
    assert not repo.fast_path("x.pt")
    assert repo.check_once().code == 1


def test_policy_that_is_staged_counts_not_the_one_on_disk(repo: Repo) -> None:
    repo.write("x.pt", WEIGHTS)
    repo.write("secret")
    repo.stage(".fx-hooks.yaml", "ignore: [/secret]\n")
    repo.write(".fx-hooks.yaml", "keep: [x.pt]\n")
    result = repo.check("x.pt")
    assert result.code == 1
    assert "git add .fx-hooks.yaml" in result.out
    assert repo.check("secret").code == 1
    assert not repo.fast_path("train.py")
    repo.git("add", ".fx-hooks.yaml")
    assert repo.check_once("x.pt") == CLEAN
    assert repo.check_once("secret") == CLEAN
    assert repo.fast_path("x.pt")
    repo.write(".fx-hooks.yaml", "ignore: [/secret]\n")
    assert repo.check_once("x.pt") == CLEAN
    assert repo.check_once("secret") == CLEAN


def test_policy_staged_and_deleted_from_disk(repo: Repo) -> None:
    repo.write("x.pt", WEIGHTS)
    repo.stage(".fx-hooks.yaml", "ignore: [/secret]\nkeep: [x.pt]\n")
    repo.remove(".fx-hooks.yaml")
    assert repo.check("x.pt") == CLEAN
    assert repo.check("secret").code == 1


def test_policy_removed_from_the_index_and_left_on_disk(repo: Repo) -> None:
    repo.write("secret")
    repo.stage(".fx-hooks.yaml", "ignore: [/secret]\n")
    repo.commit()
    assert repo.check("secret").code == 1
    repo.git("rm", "-q", "--cached", ".fx-hooks.yaml")
    assert repo.check_once("secret").code == 1
    repo.remove(".fx-hooks.yaml")
    assert repo.check_once("secret") == CLEAN


def test_policy_with_the_old_content_staged_again(repo: Repo) -> None:
    for text in ("keep: [x.pt]\n", "keep: [y.pt]\n", "keep: [x.pt]\n", ""):
        repo.stage(".fx-hooks.yaml", text)
        assert repo.check_once("x.pt").code == ("x.pt" not in text)
        assert repo.check_once("y.pt").code == ("y.pt" not in text)
        assert repo.check_once("train.py") == CLEAN
        assert repo.fast_path("train.py")


def test_policy_touched_but_not_changed(repo: Repo) -> None:
    repo.write("x.pt", WEIGHTS)
    repo.stage(".fx-hooks.yaml", "keep: [x.pt]\n")
    repo.commit()
    os.utime(repo.root / ".fx-hooks.yaml", (1_000_000_000, 1_000_000_000))
    assert repo.check("x.pt") == CLEAN
    assert repo.fast_path("x.pt")
    assert "git add .fx-hooks.yaml" not in repo.check("y.pt").out


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_policy_whose_changes_git_is_told_not_to_see(repo: Repo, flag: str) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [/secret]\n")
    repo.commit()
    repo.git("update-index", flag, ".fx-hooks.yaml")
    repo.write(".fx-hooks.yaml", "keep: [x.pt]\n")
    # What the index has is what everybody else gets.
    assert repo.check("secret").code == 1
    assert repo.check("x.pt").code == 1


@pytest.mark.parametrize("setting", ["autocrlf", "attributes"])
def test_policy_with_other_line_ends_on_disk(repo: Repo, setting: str) -> None:
    if setting == "autocrlf":
        repo.git("config", "core.autocrlf", "true")
    else:
        repo.stage(".gitattributes", "*.yaml text eol=crlf\n")
    repo.stage(".fx-hooks.yaml", "keep:\n- x.pt\nignore:\n- /secret\n")
    repo.commit()
    repo.remove(".fx-hooks.yaml")
    repo.git("checkout", "--", ".fx-hooks.yaml")
    assert (repo.root / ".fx-hooks.yaml").read_bytes().count(b"\r\n") == 4
    repo.write("x.pt", WEIGHTS)
    assert repo.check("x.pt") == CLEAN
    assert repo.fast_path("x.pt")
    assert repo.check("secret").code == 1


def test_policy_in_a_subfolder_is_only_a_file(repo: Repo) -> None:
    repo.stage("pkg/.fx-hooks.yaml", "keep: [x.pt]\n")
    assert repo.check("pkg/x.pt").code == 1
    assert repo.check("pkg/.fx-hooks.yaml") == CLEAN


def test_policy_of_another_branch(repo: Repo) -> None:
    repo.write("x.pt", WEIGHTS)
    repo.git("checkout", "-q", "-b", "side")
    repo.stage(".fx-hooks.yaml", "keep: [x.pt]\n")
    repo.commit()
    assert repo.check_once("x.pt") == CLEAN
    repo.git("checkout", "-q", "main")
    assert repo.check_once("x.pt").code == 1
    assert repo.check_once("train.py") == CLEAN
    repo.git("checkout", "-q", "side")
    assert repo.check_once("x.pt") == CLEAN


def test_milestones_count_as_they_are_staged(repo: Repo) -> None:
    repo.stage("best_models/x.pt", WEIGHTS)
    assert repo.check().code == 1
    line = "milestones: {best_models/x.pt: {why: good}}\n"
    repo.write("best_models/milestones.yaml", line)
    assert "milestones.yaml" in repo.check().out
    repo.git("add", "best_models/milestones.yaml")
    assert repo.check() == CLEAN
    repo.stage("best_models/milestones.yaml", "milestones: {}\n")
    repo.write("best_models/milestones.yaml", line)
    assert repo.check().code == 1


# Where the git directory is


def test_git_directory_that_is_a_link(repo: Repo) -> None:
    (repo.root / ".git").rename(repo.root.parent / "moved.git")
    (repo.root / ".git").symlink_to(repo.root.parent / "moved.git")
    assert repo.check("train.py") == CLEAN
    assert repo.fast_path("train.py")
    assert repo.check("x.pt").code == 1


def test_separate_git_directory(repo: Repo) -> None:
    repo.git("init", "-q", "--separate-git-dir", "../moved.git")
    assert (repo.root / ".git").is_file()
    assert repo.check("train.py") == CLEAN
    assert repo.fast_path("train.py")
    assert repo.check("x.pt").code == 1


def test_git_directory_from_the_environment(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", ".git")
    assert repo.check("train.py") == CLEAN
    assert repo.fast_path("train.py")
    repo.stage("x.pt", WEIGHTS)
    assert repo.check().code == 1


def test_git_directory_from_the_environment_in_a_subfolder(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submodule's git directory names its work tree, so git knows the root."""
    repo.git("config", "core.worktree", str(repo.root))
    repo.stage("wandb/x.dat")
    assert repo.check().code == 1
    monkeypatch.setenv("GIT_DIR", str(repo.root / ".git"))
    assert repo.check("x.dat", cwd="wandb").code == 1
    assert repo.check("../train.py", cwd="wandb") == CLEAN


def test_relative_work_tree_from_the_environment(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage("wandb/x.dat")
    monkeypatch.setenv("GIT_DIR", "../.git")
    monkeypatch.setenv("GIT_WORK_TREE", "..")
    for arguments in ([], ["x.dat"], ["--all-files"]):
        assert repo.check(*arguments, cwd="wandb").code == 1


def test_a_work_tree_around_the_repository(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and the policy are those of the work tree, wherever ``.git`` stands."""
    assert repo.check("train.py") == CLEAN
    assert repo.fast_path("train.py")
    (repo.root.parent / ".fx-hooks.yaml").write_text(
        f"ignore:\n- {{rule: ours, paths: [/{repo.root.name}/train.py], why: a test}}\n"
    )
    monkeypatch.setenv("GIT_WORK_TREE", "..")
    assert not repo.fast_path("train.py")
    assert repo.check_once("train.py").code == 1


def test_a_git_directory_that_is_another_ones(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the index of the given directory says counts, though there is a ``.git`` here."""
    assert repo.check("train.py") == CLEAN
    other = Repo.init(tmp_path / "other")
    other.stage("run/.hydra/config.yaml", "a: 1\n")
    other.stage("run/result.csv", "1\n")
    repo.write("run/result.csv", "1\n")
    assert repo.fast_path("run/result.csv")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    assert not repo.fast_path("run/result.csv")
    assert repo.check_once("run/result.csv").code == 1


def test_work_tree_in_the_settings(repo: Repo) -> None:
    """``.git`` stands here, and the work tree is elsewhere."""
    repo.check()
    (repo.root / "elsewhere").mkdir()
    repo.git("config", "core.worktree", "../elsewhere")
    result = repo.check("train.py")
    assert result.code == 2
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[core]\n    worktree = {}\n", "[core] worktree = {}\n", "[core]\nworktree={}\n",
        "[core]\n\tworkTree = {}\n", "[core]\n\tworktree = {}\n",
        "[core]\n\tworktree = .\n\tworktree = {}\n", "[core]\n\tbare = true\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["config", "config.worktree", "behind a file", "environment"])
def test_a_work_tree_elsewhere_in_any_spelling(
    repo: Repo, tmp_path: Path, text: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage("exp/a.txt", "1\n")
    assert repo.check() == CLEAN
    assert repo.fast_path("exp/a.txt")
    other = Repo(tmp_path / "elsewhere")
    for name in ("train.py", "exp/a.txt", "exp/.hydra/config.yaml"):
        other.write(name, "a: 1\n")
    config = repo.git_directory / "config"
    if where == "config.worktree":
        repo.git("config", "extensions.worktreeConfig", "true")
        config = repo.git_directory / where
    with open(config, "a", encoding="utf-8") as file:
        file.write(text.format(other.root))
    if where == "behind a file":
        (repo.root / ".git").rename(tmp_path / "separate")
        (repo.root / ".git").write_text(f"gitdir: {tmp_path / 'separate'}\n")
    if where == "environment":
        monkeypatch.setenv("GIT_DIR", ".git")
    with working_directory(repo.root):
        assert not proven_clean(["--", "exp/a.txt"])
    assert repo.check_once("exp/a.txt").code != 0


def test_a_submodule_and_a_linked_tree_take_the_fast_path(repo: Repo, tmp_path: Path) -> None:
    outer = Repo.init(tmp_path / "outer")
    outer.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repo.root), "inner"
    )  # fmt: skip
    inner = Repo(outer.root / "inner")
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = Repo(tmp_path / "linked")
    linked.git("config", "extensions.worktreeConfig", "true")
    linked.git("config", "--worktree", "core.sparseCheckout", "false")
    for one in (inner, linked):
        assert one.check_once("train.py") == CLEAN
        assert one.fast_path("train.py")


def test_a_folder_whose_git_is_not_a_repository(repo: Repo) -> None:
    repo.stage("outputs/2024-01-01/note.txt", "1\n")
    (repo.root / "outputs/.git").mkdir()
    (repo.root / "outputs/.git/config").touch()
    repo.tables.mkdir()  # they are kept for all repositories then
    assert repo.check_once("train.py") == CLEAN
    assert repo.check("2024-01-01/note.txt", cwd="outputs").code == 1


def test_what_is_named_and_not_tracked(repo: Repo) -> None:
    repo.write("res/best", content_of("torch.pt"))
    repo.write("res/small", "x")
    assert repo.check("res/best").code == 1
    assert not repo.fast_path("res/best")
    assert repo.check("res/small") == CLEAN
    assert repo.fast_path("res/small")


def test_a_typing_error_among_many_names(repo: Repo) -> None:
    names = [f"f{number}" for number in range(60)]
    for name in names:
        repo.write(name, "x")
    assert repo.check_once(*names) == CLEAN
    assert repo.fast_path(*names)
    assert not repo.fast_path(*names, "typo.txt")
    assert "typo.txt" in repo.check_once(*names, "typo.txt").err


@pytest.mark.parametrize("text", ["\udcff\n", "", "x\n", "0123\n"])
def test_a_merge_that_names_nothing(repo: Repo, text: str) -> None:
    repo.stage("wandb/debug.log")
    (repo.root / ".git/MERGE_HEAD").write_bytes(os.fsencode(text))
    result = repo.check_once("--", "wandb/debug.log")
    assert result.code == 2
    assert "MERGE_HEAD" in result.err


def test_a_repository_within_another(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [/secret]\n")
    assert repo.check("secret").code == 1
    inner = Repo.init(repo.root / "inner")
    inner.write("secret")
    assert inner.check("secret") == CLEAN
    assert inner.check("x.pt").code == 1


# The file with what was looked into


@pytest.fixture
def misled(repo: Repo) -> Repo:
    """It says of weights that they are nothing, and of all that is tracked."""
    repo.stage("res/blob", content_of("torch.pt"))
    repo.commit()
    repo.check()
    repo.git("pack-objects", "-q", str(repo.git_directory / "objects/pack/pack"),
             stdin=repo.git("rev-parse", ":res/blob").encode())  # fmt: skip
    repo.git("prune-packed")
    listing = subprocess.check_output(("git", "ls-files", "-s", "-z"), cwd=repo.root)
    blob = bytes.fromhex(repo.git("rev-parse", ":res/blob").strip())
    tree = looked_into.tree_id(None, listing)
    looked_into.remember(str(repo.git_directory), (frozenset({blob}), {}, (tree,)))
    assert repo.check("--all-files") == CLEAN, "so that the following tests mean something"
    return repo


def test_looks_are_read_from_a_sound_file_alone(
    misled: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = misled.looks.read_bytes()
    damaged = bytearray(good)
    damaged[-1] ^= 1
    for content in (b"", good[:-1], good + b"\0", bytes(damaged), misled.tables.read_bytes()):
        misled.looks.write_bytes(content)
        assert not misled.fast_path("--all-files")
    misled.looks.write_bytes(good)
    assert misled.fast_path("--all-files")
    misled.looks.chmod(0o666)
    assert not misled.fast_path("--all-files")
    misled.looks.chmod(0o600)
    if hasattr(os, "geteuid"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            assert not misled.fast_path("--all-files")
    # Another release, and readers that were changed in place.
    known = looked_into.read(str(misled.git_directory))
    for module, name, value in (
        (table_cache, "__version__", "99.0"),
        (looked_into, "_READERS", ("frameworks/stores.py",)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert not misled.fast_path("--all-files")
            assert looked_into.read(str(misled.git_directory)) != known
    assert misled.fast_path("--all-files")
    # What was remembered counts for its policy alone, and for nothing that was changed since.
    misled.stage(".fx-hooks.yaml", "keep: [/a]\n")
    assert "res/blob" not in misled.check("--all-files").out
    misled.stage("b.py", "x = 1\n")
    misled.forget_looks()
    assert "res/blob" in misled.check("--all-files").out
    assert looked_into.read(str(misled.git_directory))[2] == ()


def test_looks_cannot_be_kept(repo: Repo) -> None:
    repo.looks.mkdir()
    repo.stage("res/blob", content_of("torch.pt"))
    repo.stage("data.bin", b"PK\x03\x04" + bytes(1 << 15))
    repo.commit()
    for _ in range(2):
        found = repo.check("--all-files")
        assert "res/blob" in found.out
        assert "data.bin" not in found.out


def test_looks_are_shared_by_all_work_trees(repo: Repo) -> None:
    repo.stage("data.bin", b"PK\x03\x04" + bytes(1 << 15))
    repo.commit()
    assert repo.check("--all-files") == CLEAN
    repo.git("worktree", "add", "-q", "../linked")
    linked = Repo(repo.root.parent / "linked")
    own = Path(linked.git("rev-parse", "--absolute-git-dir").strip())
    assert looked_into.read(str(own)) == looked_into.read(str(repo.git_directory))
    assert looked_into.read(str(own))[0]
    assert linked.check("--all-files") == CLEAN
    assert not (own / looked_into.NAME).exists()


# The file with the tables


@pytest.fixture
def poisoned(repo: Repo) -> Repo:
    """Its tables are well-formed and call everything clean."""
    repo.stage("x.pt", WEIGHTS)
    repo.forget_tables()
    with working_directory(repo.root):
        key = table_cache.cache_key(None)
        assert table_cache.write(
            [str(repo.tables)],
            key,
            (compile_tables([]), (), b"", b"best_models/milestones.yaml", b"", None, b""),
        )
    assert repo.fast_path("x.pt"), "so that the following tests mean something"
    return repo


def test_tables_with_the_permissions_of_others_are_not_read(poisoned: Repo) -> None:
    for mode in (0o620, 0o602, 0o666, 0o777):
        poisoned.tables.chmod(mode)
        assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1
    # The command has replaced them by its own.
    assert poisoned.tables.stat().st_mode & 0o777 == 0o600
    assert poisoned.fast_path("train.py")
    assert not poisoned.fast_path("x.pt")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_tables_of_somebody_else_are_not_read(
    poisoned: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1


def test_tables_behind_a_link_are_not_read(poisoned: Repo) -> None:
    moved = poisoned.tables.with_name("moved")
    poisoned.tables.rename(moved)
    poisoned.tables.symlink_to(moved)
    content = moved.read_bytes()
    assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1
    # Nor is anything written through the link.
    assert moved.read_bytes() == content


def test_tables_that_are_a_pipe_do_not_stop_anybody(poisoned: Repo) -> None:
    poisoned.tables.unlink()
    os.mkfifo(poisoned.tables)
    assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1


def test_tables_that_are_a_folder(repo: Repo, home: Path) -> None:
    repo.tables.mkdir()
    with working_directory(repo.root):
        assert main(["train.py"]) == 0
        assert main(["x.pt"]) == 1
    # They are then kept in the user's cache directory.
    assert repo.fast_path("train.py")
    assert len(list((home / ".cache" / "fx-hooks").iterdir())) == 1
    assert not list(repo.root.glob(f".git/{TABLES}.*"))


@pytest.mark.parametrize("arguments", [(), ("--", "train.py"), ("--all-files",)])
@pytest.mark.parametrize("bad", [False, True], ids=["clean", "refused"])
def test_what_lacks_its_tables_alone_reads_little_of_the_index(
    repo: Repo, arguments: tuple[str, ...], bad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is in a new clone, and after each change of the policy or of the milestones."""
    ignore = "ignore: [/train.py]\n" if bad else ""
    repo.stage(".fx-hooks.yaml", "best_models: {folder: chosen}\n" + ignore)
    repo.stage("chosen/milestones.yaml", "{}\n")
    repo.stage("train.py", "x = 1\n")
    asked = []
    real = Repository.index

    def index(repository: Repository, *patterns: str) -> list[IndexEntry]:
        found = real(repository, *patterns)
        asked.append(sorted(entry.path for entry in found))
        return found

    monkeypatch.setattr(Repository, "index", index)
    for _ in range(2):
        repo.forget_tables()
        assert repo.check_once(*arguments).code == bad
        assert asked[0] == [b".fx-hooks.yaml", b"chosen/milestones.yaml"]
        assert len(asked) == 1 + bad
        asked.clear()


def test_nowhere_to_keep_tables(repo: Repo, home: Path) -> None:
    repo.tables.mkdir()
    (home / ".cache").write_text("a file")
    for _ in range(2):
        assert repo.check_once("train.py") == CLEAN
        assert repo.check_once("x.pt").code == 1
    assert not repo.fast_path("train.py")
    assert not list(repo.root.glob(f".git/{TABLES}.*"))


@pytest.mark.skipif(IS_ROOT or os.name == "nt", reason="every folder can be written to")
def test_git_directory_that_cannot_be_written(repo: Repo, home: Path) -> None:
    repo.forget_tables()
    (repo.root / ".git").chmod(0o500)
    try:
        assert repo.check_once("train.py") == CLEAN
        assert repo.check_once("x.pt").code == 1
        assert repo.fast_path("train.py")
    finally:
        (repo.root / ".git").chmod(0o700)
    assert list((home / ".cache" / "fx-hooks").iterdir())


def test_disk_is_full(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    repo.forget_tables()
    monkeypatch.setattr(os, "replace", full)
    assert repo.check("train.py") == CLEAN
    assert repo.check("x.pt").code == 1
    assert not list(repo.root.glob(f".git/{TABLES}*"))


@pytest.mark.parametrize("variables", [{}, {"XDG_CACHE_HOME": "relative"}, {"HOME": ""}])
def test_odd_cache_directories(
    repo: Repo, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.tables.mkdir()
    if not variables:
        monkeypatch.delenv("HOME")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert repo.check_once("train.py") == CLEAN
    assert repo.check_once("x.pt").code == 1
    assert not (repo.root / "relative").exists()
    assert not (repo.root / ".cache").exists()


def test_truncated_tables(poisoned: Repo) -> None:
    size = poisoned.tables.stat().st_size
    with working_directory(poisoned.root):
        key = table_cache.cache_key(None)
        for length in range(size - 1, -1, -1):
            os.truncate(poisoned.tables, length)
            assert table_cache.read([str(poisoned.tables)], key) is None, length
    for length in (0, 15, 16, 20, 28, 1000, size - 1):
        poisoned.tables.write_bytes(bytes(length))
        assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1


def test_tables_with_more_behind_them(poisoned: Repo) -> None:
    with open(poisoned.tables, "ab") as file:
        file.write(b"\0")
    assert not poisoned.fast_path("x.pt")


@pytest.mark.parametrize("kind", ["poisoned", "real"])
def test_flipped_bits(poisoned: Repo, kind: str) -> None:
    if kind == "real":
        poisoned.forget_tables()
        poisoned.check_once()
    chance = random.Random(1)
    data = poisoned.tables.read_bytes()
    places = [*range(64 * 8), *(chance.randrange(len(data) * 8) for _ in range(600))]
    places += range((len(data) - 40) * 8, len(data) * 8)
    with working_directory(poisoned.root):
        key = table_cache.cache_key(None)
        with open(poisoned.tables, "r+b", buffering=0) as file:
            for place in places:
                number, bit = divmod(place, 8)
                for byte in (data[number] ^ 1 << bit, data[number]):
                    file.seek(number)
                    file.write(bytes([byte]))
                    if byte != data[number]:
                        assert table_cache.read([str(poisoned.tables)], key) is None, place
    assert poisoned.tables.read_bytes() == data


@pytest.mark.parametrize("place", [0, 17, 30, 1000, -1])
def test_verdict_with_damaged_tables(poisoned: Repo, place: int) -> None:
    data = bytearray(poisoned.tables.read_bytes())
    data[place] ^= 0x10
    poisoned.tables.write_bytes(data)
    assert poisoned.check_once("x.pt").code == 1
    assert poisoned.check_once("train.py") == CLEAN
    # The damage is mended by the way.
    assert poisoned.fast_path("train.py")


def test_tables_of_another_version(poisoned: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_cache, "__version__", "99.0")
    assert not poisoned.fast_path("x.pt")
    assert poisoned.check_once("x.pt").code == 1


@pytest.mark.parametrize("wheel", [False, True], ids=["checkout", "wheel"])
def test_tables_of_another_installation(
    tmp_path: Path, wheel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version may be installed again with other rules: from a branch, say."""
    package = tmp_path / "fx_hooks"
    shutil.copytree(Path(table_cache.__file__).parents[1], package)
    record = tmp_path / "fx_hooks-0.1.0.dist-info" / "RECORD"
    monkeypatch.setattr(table_cache, "_PACKAGE", str(package))
    monkeypatch.setattr(table_cache, "_INSTALLED", str(record))
    changed = [package / "policy" / "builtin.yaml", package / "frameworks" / "hydra" / "rules.yaml"]
    if wheel:
        record.parent.mkdir()
        record.write_text("fx_hooks/__init__.py,,\n")
        changed = [record]
    keys = {table_cache.cache_key(None)}
    for number, file in enumerate(changed, 2):
        file.write_bytes(b"")
        keys.add(table_cache.cache_key(None))
        assert len(keys) == number


def test_tables_of_another_interpreter(poisoned: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.implementation, "cache_tag", "other-99")
    assert not poisoned.fast_path("x.pt")


def test_tables_too_large_to_be_true(poisoned: Repo) -> None:
    os.truncate(poisoned.tables, table_cache.MAX_BYTES + 1)
    assert not poisoned.fast_path("x.pt")


@pytest.mark.slow
def test_many_commits_at_once(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.forget_tables()
    processes = [
        subprocess.Popen(
            (SCRIPT, "--", name), cwd=repo.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in ["train.py", "x.pt"] * 4
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 1] * 4
    assert {error for _, error in outputs} == {b""}
    assert len({output for output, _ in outputs}) == 2
    assert [path.name for path in repo.git_directory.glob(f"{TABLES}*")] == [TABLES]


def test_tables_leave_no_trace_in_the_work_tree(repo: Repo) -> None:
    assert repo.check() == CLEAN
    assert repo.git("status", "--porcelain", "--ignored") == ""


def test_an_index_that_is_no_file(repo: Repo) -> None:
    (repo.root / ".git/index").unlink()
    (repo.root / ".git/index").mkdir()
    with working_directory(repo.root):
        assert not proven_clean(["--", "train.py"])


def test_a_git_file_that_cannot_be_read(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("worktree", "add", "-q", "../linked")
    linked = repo.root.parent / "linked"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with working_directory(linked):
        monkeypatch.setattr("builtins.open", refuse)
        assert not proven_clean(["--", "train.py"])


def test_a_refusal_imports_no_more_than_it_needs(repo: Repo) -> None:
    """Most of the time of a command was once what it imported and did not use."""
    repo.stage("model.pt", WEIGHTS)
    script = (
        "import sys; from fx_hooks.check_artifacts import main; code = main([]);"
        "loaded = {name for name in sys.modules};"
        "print(code, *sorted(loaded & {'argparse', 'yaml', 'json', 'pathspec', 'dataclasses',"
        " 'fx_hooks.best_models.contract', 'fx_hooks.weights.content'}))"
    )
    for _ in range(2):  # the first one fills the cache
        done = subprocess.run(
            (sys.executable, "-c", script), cwd=repo.root, capture_output=True, text=True
        )
    assert done.stdout.splitlines()[-1] == "1", done.stdout + done.stderr


# What files hold


SOURCE = "value = 1\n" * 2_048
HEADER = b'{"w": {"dtype": "F32", "shape": [4096], "data_offsets": [0, 16384]}}'
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(16_384)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("src/large.py", SOURCE.encode()),
        ("notes/one.ipynb", json.dumps({"cells": [0.5] * 9_000}).encode()),
        ("docs/one.png", b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(1 << 17)),
        ("src/model_state", b"x\n"),
        ("src/empty_model", b""),
    ],
)
@pytest.mark.parametrize("form", ["plain", "version 4", "split", "linked"])
def test_a_large_new_file_is_looked_into(
    repo: Repo, tmp_path: Path, name: str, content: bytes, form: str
) -> None:
    if form == "linked":
        repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
        repo = Repo(tmp_path / "linked")
    repo.stage("pkg/m.py", "x = 1\n")
    repo.check()  # leaves tables behind
    repo.stage(name, content)
    if form == "version 4":
        repo.git("update-index", "--index-version", "4")
    elif form == "split":
        repo.git("update-index", "--split-index")
    assert repo.fast_path("--", name)
    assert repo.fast_path()


def test_a_large_file_in_a_pack_is_left_to_the_command(repo: Repo) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.check()
    repo.stage("large.py", SOURCE)
    blob = repo.git("rev-parse", ":large.py").strip()
    repo.git(
        "pack-objects",
        "-q",
        str(repo.git_directory / "objects/pack/pack"),
        stdin=f"{blob}\n".encode(),
    )
    repo.git("prune-packed")
    assert not repo.fast_path("--", "large.py")
    repo.commit()
    assert not repo.fast_path("--", "large.py")  # nothing is staged, so all that is named counts
    assert repo.check("--", "large.py") == CLEAN
    assert repo.fast_path("--", "large.py")  # it was looked into
    repo.forget_looks()
    assert not repo.fast_path("--", "large.py")
    repo.stage("pkg/m.py", "x = 2\n")
    assert repo.fast_path("--", "large.py")  # it was there before


@pytest.mark.parametrize("form", ["plain", "version 4", "split"])
def test_weights_under_any_name_are_left_to_the_command(repo: Repo, form: str) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.check()
    repo.stage("data/part", SAFETENSORS)
    repo.stage("src/large.py", SOURCE)
    if form == "version 4":
        repo.git("update-index", "--index-version", "4")
    elif form == "split":
        repo.git("update-index", "--split-index")
    for arguments in ([], ["--", "src/large.py", "data/part"]):
        assert not repo.fast_path(*arguments)
        assert repo.check(*arguments).code == 1


@pytest.mark.parametrize("place", [".gitattributes", "data/.gitattributes"])
@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("policy", ["", "projects: [data]\n"])
def test_a_filter_that_makes_weights_of_a_small_file(
    repo: Repo, place: str, other: bool, policy: str
) -> None:
    """Where attributes say what is staged, the size on disk says nothing."""
    repo.stage(".fx-hooks.yaml", policy)
    repo.stage("pkg/m.py", "x = 1\n")
    repo.check()
    whole = repo.git_directory / "whole"
    whole.write_bytes(SAFETENSORS)
    repo.git("config", "filter.whole.clean", f"cat '{whole.as_posix()}'")
    if other:
        repo.stage(".gitattributes", "*.md text\n")
    repo.stage(place, "part filter=whole\n")
    repo.commit()
    repo.stage("data/part", "small\n")
    assert not repo.fast_path("--", "data/part")
    assert repo.check("--", "data/part").code == 1


@pytest.mark.parametrize("linked", [False, True])
def test_a_filter_that_no_tracked_file_names(repo: Repo, tmp_path: Path, linked: bool) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.commit()
    whole = repo.git_directory / "whole"
    whole.write_bytes(SAFETENSORS)
    repo.git("config", "filter.whole.clean", f"cat '{whole.as_posix()}'")
    attributes = repo.git_directory / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("part filter=whole\n")
    if linked:
        repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
        repo = Repo(tmp_path / "linked")
    repo.check()
    repo.stage("data/part", "small\n")
    assert not repo.fast_path("--", "data/part")
    assert repo.check("--", "data/part").code == 1


KNOWS_FILES = pytest.mark.skipif(
    git_version() < (2, 32), reason="needs GIT_CONFIG_GLOBAL and GIT_CONFIG_SYSTEM, of git 2.32"
)


@pytest.mark.parametrize(
    ("place", "setting"),
    [
        pytest.param("untracked", "", id="on disk alone"),
        pytest.param("home/.config/git/attributes", "", id="user's"),
        pytest.param("xdg/git/attributes", "", id="user's, by XDG"),
        pytest.param("named", "home/.gitconfig", id="named by the user's configuration"),
        pytest.param("named", "home/.config/git/config", id="named by the user's other one"),
        pytest.param("named", "global", id="named by another one in its place", marks=KNOWS_FILES),
        pytest.param("named", "system", id="named by the system's", marks=KNOWS_FILES),
        pytest.param("named", "config", id="named by the repository"),
        pytest.param("named", "config.worktree", id="named by the work tree"),
        pytest.param("named", "included", id="named by an included one"),
        pytest.param(
            "named",
            "GIT_CONFIG_COUNT",
            id="named by the environment",
            marks=pytest.mark.skipif(git_version() < (2, 31), reason="needs git 2.31"),
        ),
        pytest.param("named", "GIT_CONFIG_PARAMETERS", id="named by git's own option"),
    ],
)
def test_a_filter_by_attributes_of_other_places(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, setting: str
) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.commit()
    repo.check()
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    for name in (
        "XDG_CONFIG_HOME",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
    ):
        monkeypatch.delenv(name, raising=False)
    whole = repo.git_directory / "whole"
    whole.write_bytes(SAFETENSORS)
    repo.git("config", "filter.whole.clean", f"cat '{whole.as_posix()}'")
    attributes = tmp_path / place if place != "untracked" else repo.root / "data/.gitattributes"
    attributes.parent.mkdir(parents=True, exist_ok=True)
    attributes.write_text("part filter=whole\n")
    if place.startswith("xdg"):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    line = f'[core]\n\tattributesFile = "{attributes.as_posix()}"\n'
    if setting == "GIT_CONFIG_COUNT":
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.attributesFile")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", attributes.as_posix())
    elif setting == "GIT_CONFIG_PARAMETERS":
        # As this git writes it.
        repo.git("config", "alias.said", "!echo $GIT_CONFIG_PARAMETERS")
        option = f"core.attributesFile={attributes.as_posix()}"
        monkeypatch.setenv(setting, repo.git("-c", option, "said").strip())
    elif setting:
        if setting == "config.worktree":
            repo.git("config", "extensions.worktreeConfig", "true")
        elif setting == "included":
            repo.git("config", "include.path", "included")
        elif setting in ("global", "system"):
            monkeypatch.setenv(f"GIT_CONFIG_{setting.upper()}", str(tmp_path / setting))
        folder = repo.git_directory if setting.startswith(("config", "inc")) else tmp_path
        (folder / setting).parent.mkdir(parents=True, exist_ok=True)
        with (folder / setting).open("a") as file:
            file.write(line)
    repo.write("data/part", "small\n")
    repo.git("add", "data/part")
    assert repo.git("cat-file", "-s", ":data/part").strip() == str(len(SAFETENSORS))
    assert not repo.fast_path("--", "data/part")
    assert repo.check("--", "data/part").code == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[user]\n\tname = me\n", False),
        ("[core]\n\tattributesFile = x\n", True),
        # Not read to its end, so it may name some.
        ("# much\n" * 10_000, True),
    ],
)
def test_a_configuration_that_may_name_attributes(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, text: str, named: bool
) -> None:
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setattr(work_tree, "_SYSTEM", ())
    assert not has_other_attributes(str(repo.git_directory))
    Path(os.environ["HOME"], ".gitconfig").write_text(text)
    assert has_other_attributes(str(repo.git_directory)) == named


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("'user.name'='me'", False),
        ("'core.attributesFile'='x'", True),
        ("'Include.path'='x'", True),
    ],
)
def test_options_that_may_name_attributes(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, given: str, named: bool
) -> None:
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setattr(work_tree, "_SYSTEM", ())
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", given)
    assert has_other_attributes(str(repo.git_directory)) == named


@pytest.mark.parametrize("variable", ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"])
def test_a_configuration_that_git_reads_before_2_32(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """An older git knows neither variable, and reads the user's file whatever they say."""
    repo.stage("pkg/m.py", "x = 1\n")
    repo.commit()
    repo.check()
    whole = repo.git_directory / "whole"
    whole.write_bytes(SAFETENSORS)
    repo.git("config", "filter.whole.clean", f"cat '{whole.as_posix()}'")
    attributes = tmp_path / "named"
    attributes.write_text("part filter=whole\n")
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    configuration = Path(os.environ["HOME"], ".gitconfig")
    configuration.write_text(f'[core]\n\tattributesFile = "{attributes.as_posix()}"\n')
    repo.stage("data/part", "small\n")
    assert repo.git("cat-file", "-s", ":data/part").strip() == str(len(SAFETENSORS))
    monkeypatch.setenv(variable, os.devnull)
    assert not repo.fast_path("--", "data/part")
    assert repo.check("--", "data/part").code == 1


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize("others", [0, 200])
@pytest.mark.parametrize("mark", ["hparams.yaml", ".hydra/config.yaml"])
def test_what_makes_one_of_many_folders_a_run_is_on_disk(
    repo: Repo, count: int, others: int, mark: str
) -> None:
    names = [f"pkg/part_{number}/m.py" for number in range(count)]
    for name in names:
        repo.stage(name, "x = 1\n")
    repo.check()
    for number in range(others):
        repo.write(f"pkg/part_0/n_{number}.py", "x = 1\n")
    assert repo.fast_path("--", *names)
    repo.write(f"pkg/part_0/{mark}", "lr: 1\n")
    assert not repo.fast_path("--", *names)


def test_a_folder_that_cannot_be_listed_may_have_it(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.check()
    repo.write("pkg/hparams.yaml", "lr: 1\n")

    def refuse(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.scandir", refuse)
    assert not repo.fast_path("--", "pkg/m.py")
