"""What tools write is refused, and what people write passes: by hook, range and explanation."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import Result, mostly_slow
from tests.trees import File, build, read_trees

if TYPE_CHECKING:
    from tests.support import Repo

TREES = dict(read_trees())
CONTENTS = dict(read_trees("contents.txt"))


def staged(repo: Repo, files: list[File]) -> Repo:
    build(repo.root, files)
    repo.git("add", "-A", "-f")
    return repo


def tool(root: Path, module: str, *arguments: str, stdin: bytes = b"") -> str:
    """The output of a command, which has not failed."""
    done = subprocess.run(
        (sys.executable, "-m", f"fx_hooks.{module}", *arguments),
        cwd=root, input=stdin, capture_output=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr.decode()
    return done.stdout.decode()


def found(output: str) -> set[bytes]:
    return {
        base64.b64decode(one["path_bytes"]) if one["path_bytes"] else one["path"].encode()
        for one in json.loads(output)["findings"]
    }


def right(files: list[File], refused: set[bytes]) -> None:
    """Assert that what is to be refused is, and nothing else that is judged."""
    names = {verdict: {os.fsencode(path) for is_, path, _ in files if is_ == verdict}
             for verdict in "RP"}  # fmt: skip
    assert names["R"] - refused == set(), "let through"
    assert names["P"] & refused == set(), "refused, and belongs in Git"


@pytest.mark.parametrize("name", TREES)
def test_a_commit(repo: Repo, name: str) -> None:
    files = TREES[name]
    staged(repo, files)
    right(files, found(tool(repo.root, "check_artifacts", "--format", "json")))
    if files[0].path.startswith("best_models/") and {file.verdict for file in files} == {"P"}:
        assert tool(repo.root, "check_best_models") == ""


@pytest.mark.parametrize("name", mostly_slow([*TREES, *CONTENTS], 4))
def test_one_answer(repo: Repo, name: str) -> None:
    """All tracked files, a range of commits, and the explanation of a list say the same."""
    files = {**TREES, **CONTENTS}[name]
    staged(repo, files)
    repo.git("commit", "-q", "-m", "all")
    tracked = found(tool(repo.root, "check_artifacts", "--all-files", "--format", "json"))
    right(files, tracked)
    listed = subprocess.run(("git", "ls-files", "-z"), cwd=repo.root, capture_output=True)
    lines = tool(
        repo.root, "cli.explain", "--stdin", "-z", "--format", "json", stdin=listed.stdout
    ).splitlines()
    records = [json.loads(line) for line in lines]
    assert {os.fsencode(one["path"]) for one in records if one["verdict"] == "blocked"} == tracked
    report = tool(repo.root, "check_range", "--format", "json")
    assert found(report) == tracked


@pytest.mark.parametrize("name", CONTENTS)
def test_a_commit_looks_into_files(repo: Repo, name: str) -> None:
    files = CONTENTS[name]
    staged(repo, files)
    for _ in range(2):  # the second time there are tables
        right(files, found(tool(repo.root, "check_artifacts", "--format", "json")))


def test_the_index_counts(repo: Repo) -> None:
    """What is staged counts, whatever is on disk, and whatever size the index has of it."""
    assert repo.check() == Result(0, "", "")
    build(repo.root, [File("R", "best", "torch.pt")])
    repo.git("add", "best")
    blob = repo.git("rev-parse", ":best").strip()
    repo.write("best", b"")
    assert not repo.fast_path("best")
    assert "best" in repo.check("best").out
    repo.git("rm", "-q", "-f", "--cached", "best")
    repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},kept/anything")
    assert not repo.fast_path()
    assert "kept/anything" in repo.check().out
    repo.stage(".fx-hooks.yaml", "keep: [/kept/]\n")
    assert repo.check().code == 0


def test_a_commit_of_small_files_opens_none(repo: Repo) -> None:
    repo.stage("src/a.py", b"x = 1\n")
    assert repo.check().code == 0
    assert repo.fast_path("src/a.py")
    repo.stage("data/large.csv", b"a,b\n" * 10_000)
    assert repo.fast_path("data/large.csv")
    # It begins like HDF5, and only the command looks into those.
    repo.stage("data/large.dat", b"\x89HDF\r\n\x1a\n" + bytes(1 << 15))
    assert not repo.fast_path("data/large.dat")
    assert repo.check("data/large.dat").code == 0
    repo.git("commit", "-q", "-m", "large")
    # It is not new any more.
    assert repo.fast_path("data/large.dat", "src/a.py")


def test_filters_are_not_trusted(repo: Repo) -> None:
    """A filter may stage more than the file has: what is staged is opened, whatever its size."""
    repo.stage(".gitattributes", b"*.bin filter=blow\n")
    repo.stage("src/a.py", b"x = 1\n")
    repo.check()
    blob = repo.git("rev-parse", ":src/a.py").strip()
    (repo.git_directory / "objects" / blob[:2] / blob[2:]).unlink()
    assert not repo.fast_path("src/a.py")


def test_what_passes_as_test_data_is_counted(repo: Repo) -> None:
    for number in range(5):
        repo.stage(f"tests/exp/{number}.log", b"epoch 1\n")
    repo.stage("tests/test_a.py", b"x = 1\n")
    repo.stage("spec/a.pt")
    repo.commit()
    assert repo.check("--all-files") == Result(0, "", "")
    found = repo.check("--all-files", "--verbose")
    assert found.code == 0
    assert found.out == (
        "note: 6 files pass as test data: tests/exp/ 5, spec/ 1. If these are results of runs, add"
        ' "/tests/exp/" to `ignore` in .fx-hooks.yaml\n'
    )
    repo.stage("a.pt")
    assert "6 files pass as test data" in repo.check("--all-files").out
    repo.stage(".fx-hooks.yaml", 'ignore: ["/tests/exp/"]\n')
    assert "tests/exp/" in repo.check("--all-files").out
    assert "1 file passes as test data: spec/ 1" in repo.check("--all-files").out


def test_the_audit_and_fx_init_count_what_passes_as_test_data(repo: Repo) -> None:
    for number in range(3):
        repo.stage(f"tests/exp/{number}.log", b"epoch 1\n")
    repo.commit()
    repo.git("rm", "-q", "tests/exp/0.log")
    repo.commit()
    note = (
        "{} files pass as test data: tests/exp/ {}. If these are results of runs, add"
        ' "/tests/exp/" to `ignore` in .fx-hooks.yaml\n'
    )
    assert tool(repo.root, "check_range", "--all").endswith(f"note: {note.format(3, 3)}")
    assert note.format(2, 2) in tool(repo.root, "cli.init", "--dry-run")
    repo.stage(".fx-hooks.yaml", 'ignore: ["/tests/exp/"]\n')
    repo.commit()
    assert "test data" not in tool(repo.root, "check_range", "--all")
    assert "test data" not in tool(repo.root, "cli.init", "--dry-run")
