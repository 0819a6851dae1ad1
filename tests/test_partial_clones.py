"""No command that asks a question fetches what a partial clone lacks, with any git."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from fx_hooks.fastpath import fast_git
from fx_hooks.git.repository import ObjectStore
from tests.support import WEIGHTS, Repo, mostly_slow, working_directory

QUESTIONS = (
    ("check_artifacts",),
    ("check_artifacts", "--all-files"),
    ("check_artifacts", "--all-files", "--verbose"),
    ("check_artifacts", "--", "train.py", "data/x.pt"),
    ("check_best_models",),
    ("check_best_models", "--all-files"),
    ("check_range", "HEAD~1..HEAD"),
    ("check_range", "--all"),
    ("sync_gitignore", "--check"),
    ("cli.explain", "data/x.pt"),
    ("cli.init", "--dry-run"),
    ("cli.init", "--report"),
    ("cli.report_space",),
    ("cli.clean_runs", "."),
    ("cli.show_run", "best_models/a_meta.json"),
)


@pytest.mark.parametrize(
    "told", mostly_slow([False, True], 2), ids=["older git", "GIT_NO_LAZY_FETCH"]
)
@pytest.mark.parametrize("kind", ["blob:none", "tree:0", "sparse"])
def test_a_question_fetches_nothing(
    remote: Repo,
    repo: Repo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    told: bool,
) -> None:
    """GIT_NO_LAZY_FETCH says nothing to git before 2.39.4: without it all has to hold, too."""
    for name in ("setup.cfg", "pkg/setup.cfg", ".gitignore", ".gitattributes"):
        repo.stage(name, "")
    repo.stage("data/x.pt", WEIGHTS)
    repo.stage("best_models/a_meta.json", "{}")
    repo.stage("outputs/2024-01-01/00-00-00/.hydra/config.yaml", "lr: 1\n")
    repo.commit()
    repo.git("push", "-q", "origin", "main")
    for name in ("allowFilter", "allowAnySHA1InWant"):
        remote.git("config", f"uploadpack.{name}", "true")
    partial = Repo(tmp_path / "partial")
    place = str(partial.root)
    trees, checkout = ("tree:0", "--sparse") if kind == "sparse" else (kind, "--no-checkout")
    repo.git("clone", "-q", checkout, f"--filter={trees}", remote.root.as_uri(), place)
    if kind == "sparse":
        partial.git("config", "index.sparse", "true")
        partial.git("sparse-checkout", "init", "--cone")
    elif kind == "blob:none":
        entries = partial.git("ls-tree", "-r", "HEAD")
        partial.git("update-index", "--index-info", stdin=entries.encode())
    asked = tmp_path / "asked"
    partial.git("config", "remote.origin.uploadpack", f"echo >> '{asked}'; git-upload-pack")
    if not told:
        monkeypatch.delitem(fast_git.OFFLINE, "GIT_NO_LAZY_FETCH")
        monkeypatch.delitem(fast_git.QUIET, "GIT_NO_LAZY_FETCH")
    wrong = []
    codes = {}
    for command, *arguments in QUESTIONS:
        main = importlib.import_module(f"fx_hooks.{command}").main
        with working_directory(partial.root):
            codes[(command, *arguments)] = main(arguments)
        if asked.exists():
            wrong.append((command, *arguments))
            asked.unlink()
    assert not wrong
    # Where the code that may name a model is not here, the model is refused all the same.
    assert codes["check_artifacts", "--all-files"] == (kind != "tree:0")
    partial.git("cat-file", "-p", "HEAD:data/x.pt")
    assert asked.exists()  # so this is what a fetch leaves


@pytest.mark.parametrize("told", [False, True], ids=["older git", "GIT_NO_LAZY_FETCH"])
def test_what_is_here_is_read_whatever_is_not(
    remote: Repo, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """Some versions of git stop at the first object that is not here: many more may follow."""
    for number in range(8):
        repo.stage(f"far/{number}.txt", f"{number}\n")
    repo.commit()
    repo.git("push", "-q", "origin", "main")
    remote.git("config", "uploadpack.allowFilter", "true")
    partial = Repo(tmp_path / "partial")
    options = ("-q", "--no-checkout", "--filter=blob:none")
    repo.git("clone", *options, remote.root.as_uri(), str(partial.root))
    if not told:
        monkeypatch.delitem(fast_git.OFFLINE, "GIT_NO_LAZY_FETCH")
        monkeypatch.delitem(fast_git.QUIET, "GIT_NO_LAZY_FETCH")
    far = [line.split()[2] for line in partial.git("ls-tree", "HEAD", "far/").splitlines()]
    here = partial.git("hash-object", "-w", "--stdin", stdin=b"here").strip()
    with working_directory(partial.root):
        store = ObjectStore()
        asked = [*far[:6], here, *far[6:]]
        assert {blob: size for blob, size in store.sizes(asked).items() if size} == {here: 4}
        assert store.contents(asked) == {here: b"here"}
        assert store.heads(asked, 2) == {here: b"he"}
