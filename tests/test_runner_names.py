"""What is judged behind ``--``: what a runner passes, and what none can pass."""

from __future__ import annotations

import json

import pytest

from tests.support import CLEAN, Repo, run_main


def found(*arguments: str) -> set[str]:
    result = run_main(["--format", "json", *arguments])
    return {finding["path"] for finding in json.loads(result.out)["findings"]}


@pytest.fixture
def staged(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    repo.stage("vendor/a.log")
    repo.stage("b.py", "")
    monkeypatch.chdir(repo.root)
    return repo


def test_what_is_excluded_stays_so(staged: Repo) -> None:
    assert run_main(["--"]) == CLEAN
    assert run_main(["--", "b.py"]) == CLEAN
    assert found("--", "vendor/a.log") == {"vendor/a.log"}
    # Without `--` all that is staged is judged.
    assert found() == {"vendor/a.log"}
    assert staged.tracked() >= {b"vendor/a.log"}


def test_a_submodule_without_a_folder(staged: Repo) -> None:
    staged.gitlink("wandb")
    assert found("--") == {"wandb"}
    # Whatever else is in the commit.
    assert found("--", "b.py") == {"wandb"}
    (staged.root / "wandb").mkdir()
    assert found("--") == found("--", "b.py") == set()
    assert found("--", "wandb") == {"wandb"}


INDEXES = {
    "plain": (),
    "v4": ("--index-version", "4"),
    "split": ("--split-index",),
}


@pytest.mark.parametrize("many", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("kind", INDEXES)
def test_the_fast_path_sees_it_in_each_index(staged: Repo, kind: str, many: bool) -> None:
    # Empty files: the object id of each is known, and many need not be there.
    empty = staged.git("hash-object", "-w", "--stdin").strip()
    records = (f"100644 {empty}\tsrc/{n}/{'x' * 50}.py\0" for n in range(6000 if many else 5))
    staged.git("update-index", "-z", "--index-info", stdin="".join(records).encode())
    run_main([])  # compiles the policy
    assert staged.fast_path("--", "b.py")
    staged.gitlink("lib/there")
    (staged.root / "lib/there").mkdir(parents=True)
    if INDEXES[kind]:
        staged.git("update-index", *INDEXES[kind])
    assert staged.fast_path("--", "b.py")
    staged.gitlink("wandb")
    assert not staged.fast_path("--", "b.py")
    assert found("--", "b.py") == {"wandb"}


def test_what_a_merge_brings_in(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage("both.py", "a\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "other")
    repo.stage("wandb/r")
    repo.stage("both.py", "b\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage("both.py", "c\n")
    repo.commit()
    repo.git("merge", "-q", "other", fails=True)
    repo.stage("both.py", "d\n")
    repo.stage("vendor/own.log")
    monkeypatch.chdir(repo.root)
    # What is new in the merge the runner passes, or leaves out.
    assert found("--") == found("--", "both.py") == {"wandb/r"}
    assert found("--", "vendor/own.log") == {"wandb/r", "vendor/own.log"}
    assert found() == {"wandb/r", "vendor/own.log"}
