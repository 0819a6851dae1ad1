"""What `git subtree` brings in is judged by where it went: another project's root is none here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import CLEAN, Repo
from tests.test_check_range import check, commit, head, paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def other(tmp_path: Path) -> Repo:
    """Another project, with what is refused at the root alone, and everywhere."""
    project = Repo.init(tmp_path / "other")
    commit(project, "first", "outputs/table.csv", "lib.py")
    commit(project, "second", "logs/notes.csv", "wandb/run-20240101_000000-abcdefgh/files/x.json")
    return project


def add(repo: Repo, other: Repo, *options: str) -> None:
    found = repo.git(
        "subtree", "add", "-q", "--prefix=libs/other", *options, str(other.root), "main"
    )
    assert "fatal" not in found


ALWAYS = "wandb/run-20240101_000000-abcdefgh/files/x.json"


@pytest.mark.parametrize("options", [[], ["--squash"]], ids=["whole", "squashed"])
def test_rules_at_the_root_hold_where_the_project_went(
    repo: Repo, other: Repo, options: list[str]
) -> None:
    add(repo, other, *options)
    inside = f"libs/other/{ALWAYS}"
    for arguments in ([], ["--all"], ["HEAD~1..HEAD"]):
        assert paths(repo, *arguments) == {ALWAYS, inside}, arguments
    # Where the policy makes it a project, they hold in it.
    commit(repo, "policy", ".fx-hooks.yaml", content=b"projects: [libs/other]\n")
    assert paths(repo, "HEAD~2..HEAD") >= {ALWAYS, inside, "outputs/table.csv", "logs/notes.csv"}


def test_later_commits_of_it(repo: Repo, other: Repo) -> None:
    add(repo, other)
    start = head(repo)
    commit(other, "third", "outputs/other.csv")
    repo.git("subtree", "pull", "-q", "--prefix=libs/other", str(other.root), "main")
    assert check(repo, f"{start}..HEAD") == CLEAN
    commit(repo, "ours", "outputs/ours.csv")
    assert paths(repo, f"{start}..HEAD") == {"outputs/ours.csv"}


@pytest.mark.parametrize(
    "setting", [("grep.patternType", "fixed"), ("i18n.logOutputEncoding", "UTF-16")]
)
def test_no_setting_hides_where_it_went(repo: Repo, other: Repo, setting: tuple[str, str]) -> None:
    add(repo, other)
    repo.git("config", *setting)
    assert paths(repo) == {ALWAYS, f"libs/other/{ALWAYS}"}


def test_trailers_that_are_not_text(repo: Repo) -> None:
    start = head(repo)
    text = b"x\n\ngit-subtree-dir: x\ngit-subtree-split: \xff\n"
    tree = repo.git("rev-parse", "HEAD^{tree}").strip()
    # A commit without a parent is the first one of another project.
    lonely = repo.git("commit-tree", tree, "-m", "lonely").strip()
    head_of = f"tree {tree}\nparent {start}\nparent {lonely}\nauthor a <b> 1 +0000\n"
    content = head_of.encode() + b"committer a <b> 1 +0000\n\n" + text
    bad = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=content).strip()
    repo.git("reset", "-q", "--hard", bad)
    commit(repo, "runs", "outputs/a.csv")
    assert paths(repo, f"{start}..HEAD") == {"outputs/a.csv"}


def test_who_only_says_so_is_not_believed(repo: Repo) -> None:
    """A root of its own whose files do not lie where the trailers say stays refused."""
    start = head(repo)
    repo.git("checkout", "-q", "--orphan", "lonely")
    repo.git("rm", "-q", "-r", "-f", "--cached", ".")
    commit(repo, "lonely\n\ngit-subtree-dir: x\ngit-subtree-split: 0", "outputs/a.csv")
    lonely = head(repo)
    repo.git("checkout", "-q", "-f", "main")
    text = (
        f"merge\n\ngit-subtree-dir: x\ngit-subtree-mainline: {start}\ngit-subtree-split: {lonely}"
    )
    repo.git("merge", "-q", "-s", "ours", "--allow-unrelated-histories", "-m", text, "lonely")
    assert paths(repo, f"{start}..HEAD") == {"outputs/a.csv"}
