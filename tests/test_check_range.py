"""Ranges of commits, pushed for real: nothing that a commit brings in slips through."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from fx_hooks.cli import check_range
from fx_hooks.fastpath.commit_range import proven_clean
from fx_hooks.git.repository import ObjectStore
from tests.support import CLEAN, Repo, Result, mostly_slow, working_directory
from tests.test_progress import Terminal
from tests.trees import content_of

SCRIPT = Path(sys.executable).with_name("fx-check-range")
RUN = "wandb/run-20240131_235959-abc"
TORCH = content_of("torch.pt")


def check(
    repo: Repo, *arguments: str, stdin: bytes = b"", environ: dict[str, str] | None = None
) -> Result:
    """The command in full, and its fast path asked again with the tables it left.

    So every test also shows that the fast path is never sure of what the command refuses.
    """
    repo.forget_tables()
    done = subprocess.run(
        (sys.executable, "-m", "fx_hooks.check_range", *arguments),
        cwd=repo.root,
        input=stdin,
        capture_output=True,
        env={**os.environ, **(environ or {})},
    )
    result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
    if fast_path(repo, *arguments, environ=environ):
        assert result == CLEAN
    return result


def fast_path(repo: Repo, *arguments: str, environ: dict[str, str] | None = None) -> bool:
    """What the fast path alone says."""
    with working_directory(repo.root), pytest.MonkeyPatch.context() as patch:
        for name, value in (environ or {}).items():
            patch.setenv(name, value)
        return proven_clean(list(arguments))


def commit(repo: Repo, subject: str, *names: str | bytes, content: bytes | None = None) -> str:
    for name in names:
        repo.stage(name, f"\0{subject} {name!r}".encode() if content is None else content)
    repo.git("commit", "-q", "--no-verify", "--allow-empty", "-m", subject)
    return head(repo)


def head(repo: Repo) -> str:
    return repo.git("rev-parse", "HEAD").strip()


def found(result: Result) -> set[str]:
    """The paths of a report in JSON."""
    return {item["path"] for item in json.loads(result.out)["findings"]}


def paths(repo: Repo, *arguments: str) -> set[str]:
    result = check(repo, *arguments, "--format", "json")
    assert result.err == ""
    assert result.code == bool(found(result))
    return found(result)


def hook(repo: Repo, name: str, *arguments: str) -> None:
    """A plain git hook that starts the installed command."""
    folder = Path(os.fsdecode(repo.path(repo.git("rev-parse", "--git-path", "hooks").strip())))
    folder.mkdir(exist_ok=True)
    words = shlex.join((str(SCRIPT), *arguments))
    (folder / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (folder / name).chmod(0o755)


# What is brought in.


def test_added_and_deleted_again(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    commit(repo, "Train", f"{RUN}/output.log", "model.pt", "src/a.py")
    repo.git("rm", "-q", "-r", "wandb", "model.pt")
    commit(repo, "Oops")
    result = check(repo, "origin/main..HEAD")
    train = repo.git("rev-parse", "--short=10", "HEAD~1").strip()
    base = repo.git("rev-parse", "--short=10", "HEAD~2").strip()
    size = len(_content("Train", f"{RUN}/output.log"))
    assert result == Result(
        1,
        f"""\
2 files in 1 of 2 commits do not belong in Git ({size + 17} B):

{train} 2024-01-31 Train
  wandb-runs: a W&B run is synced to the cloud; the local copy is a cache
  - {RUN}/output.log  {size} B, gone since
  weights: model weights are large and temporary
  - model.pt  17 B, gone since

No remote has these commits yet. A rebase would stop, because a later commit changes or deletes\
 such a file. So rewrite them with git-filter-repo (pip install git-filter-repo). First commit\
 everything, and copy the files elsewhere if you need them:
    git diff --stat --exit-code HEAD && git filter-repo --force --refs {base}..main\
 --invert-paths \\
        --path=model.pt \\
        --path={RUN}/output.log
""",
        "",
    )


def _content(subject: str, name: str) -> bytes:
    return f"\0{subject} {name!r}".encode()


def test_a_side_branch_an_octopus_and_an_evil_merge(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    for name in ("x", "y"):
        repo.git("checkout", "-q", "-b", name, "origin/main")
        commit(repo, name, f"{name}.pt")
        repo.git("rm", "-q", f"{name}.pt")
        commit(repo, f"no {name}")
    repo.git("checkout", "-q", "main")
    commit(repo, "main", "src/b.py")
    repo.git("merge", "-q", "--no-verify", "--no-ff", "x", "y", "-m", "octopus")
    assert paths(repo, "origin/main..HEAD") == {"x.pt", "y.pt"}
    repo.git("checkout", "-q", "-b", "z", "origin/main")
    commit(repo, "z", "src/z.py")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "--no-commit", "z")
    commit(repo, "evil", "evil.pt")
    result = check(repo, "origin/main..HEAD", "--format", "json")
    by_path = {
        item["path"]: item["commit"]["subject"] for item in json.loads(result.out)["findings"]
    }
    assert by_path == {"x.pt": "x", "y.pt": "y", "evil.pt": "evil"}


def test_what_a_merge_takes_over_from_the_old_side_is_not_new(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    base = head(repo)
    commit(repo, "old sin", "old.pt")
    repo.git("push", "-q", "--no-verify", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic", base)
    commit(repo, "topic", "src/c.py")
    repo.git("merge", "-q", "--no-verify", "--no-ff", "main", "-m", "take over")
    assert paths(repo, "origin/main..topic") == set()
    assert paths(repo, f"{base}..topic") == {"old.pt"}


def test_a_revert_of_a_deletion_a_rename_in_a_mode_a_link_and_a_submodule(repo: Repo) -> None:
    base = commit(repo, "fine", "notes", content=b"text\n")
    repo.git("mv", "notes", "run.log")
    commit(repo, "rename in")
    repo.git("mv", "run.log", "notes")
    commit(repo, "rename out")
    repo.git("revert", "--no-edit", "HEAD")
    repo.link("wandb/latest-run", "run-1")
    repo.git("add", "-f", "wandb")
    commit(repo, "link")
    repo.gitlink("outputs/sub")
    last = commit(repo, "submodule")
    result = check(repo, f"{base}..{last}", "--format", "json")
    said = {
        (item["path"], item["commit"]["subject"]) for item in json.loads(result.out)["findings"]
    }
    assert said == {
        ("run.log", "rename in"),
        ("run.log", 'Revert "rename out"'),
        ("wandb/latest-run", "link"),
        ("outputs/sub", "submodule"),
    }
    log = [item for item in json.loads(result.out)["findings"] if item["path"] == "run.log"]
    assert [(item["occurrences"], item["in_tip"]) for item in log] == [(2, True), (2, True)]
    repo.git("commit", "-q", "--allow-empty", "-m", "mode")
    repo.git("update-index", "--chmod=+x", "run.log")
    assert paths(repo, f"{last}..{commit(repo, 'mode')}") == {"run.log"}


def test_am_cherry_pick_and_amended_away(remote: Repo, repo: Repo, tmp_path: Path) -> None:  # noqa: ARG001
    commit(repo, "bad", "a.pt")
    repo.git("format-patch", "-q", "--binary", "-1", "-o", str(tmp_path / "patches"))
    bad = head(repo)
    repo.git("reset", "-q", "--hard", "origin/main")
    repo.git("am", "-q", *(str(path) for path in (tmp_path / "patches").iterdir()))
    assert paths(repo) == {"a.pt"}
    repo.git("reset", "-q", "--hard", "origin/main")
    repo.git("cherry-pick", bad)
    assert paths(repo, "origin/main..") == {"a.pt"}
    result = check(repo)
    assert result.commands == [
        "git rm -r -q --cached -f -- a.pt",
        "git commit --amend --no-edit --allow-empty",
    ]
    subprocess.run(("bash", "-e"), cwd=repo.root, check=True, capture_output=True,
                   input="\n".join(result.commands).encode())  # fmt: skip
    assert check(repo) == Result(0, "", "")
    assert Path(os.fsdecode(repo.path("a.pt"))).exists()


def test_content_and_trees_of_their_own_commits(repo: Repo) -> None:
    base = commit(repo, "base", "logs/mypackage.py", "exp/run.txt")
    repo.stage("logs/table.csv", "text\n")
    commit(repo, "within a package", "page.pt", content=b"{{ template }}\n")
    assert paths(repo, f"{base}..HEAD") == set()
    before = head(repo)
    repo.git("rm", "-q", "logs/mypackage.py")
    commit(repo, "no package any more", "logs/other.csv")
    assert paths(repo, f"{before}..HEAD") == {"logs/other.csv"}
    assert "logs/table.csv" not in paths(repo, f"{base}..HEAD")
    before = commit(repo, "a run", "exp/.hydra/config.yaml", "exp/metrics.csv")
    assert {"exp/.hydra/config.yaml", "exp/metrics.csv"} <= paths(repo, f"{base}..HEAD")
    # It was one before the range began, and is one no more at its end.
    commit(repo, "more of it", "exp/more.csv")
    assert paths(repo, f"{before}..HEAD") == {"exp/more.csv"}
    repo.git("rm", "-q", "-r", "exp")
    commit(repo, "gone", "exp.csv")
    assert paths(repo, f"{before}..HEAD") == {"exp/more.csv"}


OLD_RUN = {"x/cfg/overrides.yaml": "a: 1\n", "x/cfg/hydra.yaml": "a: 1\n"}
PROJECT = {"p/pyproject.toml": "", "p/outputs/one/.hydra/config.yaml": "lr: 1\n"}


@pytest.mark.parametrize(
    ("before", "path", "content"),
    [
        pytest.param({}, "res/m.states", TORCH, id="content, where other files are missing"),
        pytest.param(OLD_RUN, "x/figure.txt", "1", id="a mark in any folder of a run"),
        pytest.param(PROJECT, "p/outputs/two/a/x.csv", "1", id="where others are runs"),
        pytest.param(
            {"x/.hydra/config.yaml": "lr: 1\n"}, "x/page.pt", "<p>text\n", id="text in a run"
        ),
        pytest.param({"x/f/1a/output.pkl": b"\0"}, "x/f/func_code.py", "1", id="any folder beside"),
        pytest.param(
            {"checkpoint-5/trainer_state.json": "{}", "checkpoint-5/catboost_info/m.py": "1\n"},
            "checkpoint-5/catboost_info/x.txt", "1", id="a folder around a package",
        ),
    ],
)  # fmt: skip
def test_a_range_says_of_a_commit_what_is_said_of_its_tree(
    repo: Repo, before: dict[str, str | bytes], path: str, content: str | bytes
) -> None:
    for name, text in before.items():
        repo.stage(name, text)
    repo.commit()
    repo.stage(path, content)
    repo.commit()
    assert path in found(repo.check("--all-files", "--format", "json"))
    assert paths(repo, "HEAD~1..HEAD") == {path}
    assert paths(repo, "HEAD~1..HEAD", "--policy-ref", "HEAD~2") == {path}
    assert path in paths(repo, "--all")


@pytest.mark.parametrize(
    "lines",
    mostly_slow(
        [
            b"committer a <b> today",
            b"committer a <b> -5 +0000",
            b"committer a <b> 99999999999999999999999 +0000",
            b"committer",
            b"",
            b"committer a <b> 1 +0000\nencoding UTF-16",
        ],
        5,
    ),
)
def test_a_commit_whose_head_git_cannot_read(repo: Repo, lines: bytes) -> None:
    start = head(repo)
    commit(repo, "weights", "a.pt")
    tree = repo.git("rev-parse", "HEAD^{tree}").strip().encode()
    text = b"tree %b\nparent %b\nauthor a <b> 1 +0000\n%b\n\na \xff\n"
    options = ("-t", "commit", "-w", "--stdin", "--literally")
    bad = repo.git("hash-object", *options, stdin=text % (tree, start.encode(), lines)).strip()
    repo.git("reset", "-q", "--hard", bad)
    assert paths(repo, f"{start}..HEAD") == {"a.pt"}
    assert paths(repo, "--all") == {"a.pt"}
    assert check(repo, f"{start}..HEAD").code == 1


def test_a_line_break_in_a_folder_seen_from_another_one(repo: Repo) -> None:
    repo.stage("src/a.py", "1\n")
    repo.stage("x\ny/trainer_state.json", "{}\n")
    repo.stage("x\ny/all_results.json", "{}\n")
    repo.commit()
    for folder in (".", "src"):
        below = Repo(repo.root / folder)
        assert paths(below, "HEAD~1..HEAD") == {
            "x\ny/trainer_state.json", "x\ny/all_results.json"
        }  # fmt: skip


def test_odd_names(repo: Repo) -> None:
    base = head(repo)
    names = ["a\nb.pt", 'q"\\.pt', "modèle.pt", "-x.pt", "logs\n/x.log"]
    commit(repo, "odd", *names)
    repo.git("rm", "-q", "-r", "--", *names[:3])
    commit(repo, "fewer")
    assert paths(repo, f"{base}..HEAD") == set(names)
    result = check(repo, f"{base}..HEAD")
    assert "'a\\nb.pt'" in result.out


# Which policy judges.


def test_the_policy_of_the_new_tip(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    commit(repo, "bad", "a.pt")
    repo.stage(".fx-hooks.yaml", "keep: [/a.pt]\n")
    commit(repo, "allow it")
    result = check(repo)
    note = f"the range changes .fx-hooks.yaml ({head(repo)[:10]})"
    assert result == Result(0, f"note: {note}: what it says at the end counts\n", "")
    result = check(repo, "--policy-ref", "origin/main")
    assert result.code == 1
    assert f"note: {note}: that of origin/main counts" in result.out
    repo.git("push", "-q", "--no-verify", "origin", "main")
    commit(repo, "again", "a.pt")
    assert check(repo, "--policy-ref", "origin/main") == Result(0, "", "")


def test_an_invalid_policy_is_an_error(repo: Repo) -> None:
    base = head(repo)
    repo.stage(".fx-hooks.yaml", "keep: ['!a']\n")
    commit(repo, "broken")
    result = check(repo, f"{base}..HEAD")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("fx-check-range: error: HEAD:.fx-hooks.yaml:1: keep[0]:")
    repo.remove(".fx-hooks.yaml")
    repo.link(".fx-hooks.yaml", "elsewhere")
    repo.git("add", ".fx-hooks.yaml")
    commit(repo, "link")
    assert "is a symbolic link" in check(repo, f"{base}..HEAD").err


@pytest.mark.parametrize("name", [".fx-hooks.yaml", "best_models/milestones.yaml"])
@pytest.mark.parametrize("kind", ["a folder", "a submodule"])
def test_what_judges_is_a_file(repo: Repo, name: str, kind: str) -> None:
    """Neither that of before counts then, nor what the object has that is not a file."""
    commit(repo, "fine", "src/a.py")
    assert check(repo, "HEAD~1..HEAD") == CLEAN
    place = f"160000,{head(repo)},{name}"
    if kind == "a folder":
        place = f"100644,{repo.git('rev-parse', 'HEAD:src/a.py').strip()},{name}/a"
    repo.git("update-index", "--add", "--cacheinfo", place)
    repo.commit()
    commit(repo, "more", "src/b.py")
    for _ in range(2):
        assert not fast_path(repo, "HEAD~1..HEAD")
        result = check(repo, "HEAD~1..HEAD")
        assert result.code == 2
        assert f"HEAD:{name}: is {kind}: commit a regular file" in result.err


DATA = Path(__file__).parent / "data" / "weights"
MODELS = [
    (DATA / name).read_bytes()
    for name in ("state_dict.pt", "checkpoint.pth", "lightning.ckpt", "legacy_state_dict.pth")
]


def approve(repo: Repo, content: bytes) -> None:
    import hashlib

    repo.stage("best_models/a.pt", content)
    repo.stage("best_models/a_meta.json", '{"performance": {}, "config": {}}')
    repo.stage(
        "best_models/milestones.yaml",
        f"milestones:\n  best_models/a.pt:\n    sha256: {hashlib.sha256(content).hexdigest()}\n"
        f"    size: {len(content)}\n    why: it is good\n    approved: 2024-01-31\n",
    )


def test_milestones(repo: Repo) -> None:
    base = head(repo)
    approve(repo, MODELS[0])
    first = commit(repo, "approve")
    result = check(repo, f"{base}..HEAD")
    assert result.code == 0
    assert "the range changes best_models/milestones.yaml" in result.out
    approve(repo, MODELS[1])
    commit(repo, "approve again")
    assert paths(repo, f"{base}..HEAD") == set()
    # What nobody approved when it was committed.
    repo.stage("best_models/a.pt", MODELS[2])
    bad = commit(repo, "try something")
    approve(repo, MODELS[3])
    commit(repo, "approve something else")
    result = check(repo, f"{base}..HEAD", "--format", "json")
    (item,) = json.loads(result.out)["findings"]
    assert (item["path"], item["rule"], item["commit"]["id"]) == (
        "best_models/a.pt", "best-models-digest", bad,
    )  # fmt: skip
    # Nobody approves his own.
    assert paths(repo, f"{base}..{first}", "--policy-ref", base) == {"best_models/a.pt"}
    assert paths(repo, f"{first}..HEAD~2", "--policy-ref", first) == {"best_models/a.pt"}


def test_a_milestone_is_looked_into(repo: Repo, remote: Repo) -> None:
    base = head(repo)
    approve(repo, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    commit(repo, "approve what runs a command")
    approve(repo, MODELS[0])
    commit(repo, "approve another one")
    result = check(repo, f"{base}..HEAD", "--format", "json")
    found = {(item["path"], item["rule"]) for item in json.loads(result.out)["findings"]}
    assert found == {("best_models/a.pt", "best-models-unsafe")}
    hook(remote, "pre-receive", "--pre-receive")
    assert "best-models-unsafe" in repo.git("push", "origin", "main", fails=True)


def test_what_stands_beside_a_milestone_is_looked_into(repo: Repo) -> None:
    base = head(repo)
    names = ("best_models/a.json", "best_models/a_meta.json", "best_models/a.md")
    commit(repo, "metadata with a secret", names[0], content=b'{"api_key": "0123abcd0123abcd"}')
    commit(repo, "no metadata", names[1], content=b"{}")
    commit(repo, "a model as a document", names[2], content=MODELS[0])
    repo.link("best_models/b.json", "../src/a.py")
    repo.git("add", "-f", "best_models/b.json")
    commit(repo, "a link out of the folder")
    repo.git("rm", "-q", "--cached", "best_models/b.json", *names)
    commit(repo, "away")
    result = check(repo, f"{base}..HEAD", "--format", "json")
    found = {(item["path"], item["rule"]) for item in json.loads(result.out)["findings"]}
    assert found == {
        (names[0], "best-models-metadata"), (names[1], "best-models-metadata"),
        (names[2], "best-models-foreign"), ("best_models/b.json", "best-models-link"),
    }  # fmt: skip


def test_each_blob_is_looked_into_once(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    base = head(repo)
    for number in range(3):
        approve(repo, MODELS[number % 2])
        commit(repo, f"approve {number}")
    copied: list[str] = []
    real = ObjectStore.copy_blob

    def copy_blob(self: ObjectStore, blob: str, file: BinaryIO) -> bool:
        copied.append(blob)
        return real(self, blob, file)

    monkeypatch.setattr(ObjectStore, "copy_blob", copy_blob)
    monkeypatch.chdir(repo.root)
    assert check_range.main([f"{base}..HEAD"]) == 0
    assert len(copied) == len(set(copied)) == 2
    commit(repo, "nothing of models", "src/b.py")
    assert check_range.main(["HEAD~1..HEAD"]) == 0
    assert len(copied) == 2


# How the range is said.


def test_ways_to_say_it(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    base = head(repo)
    commit(repo, "bad", "a.pt")
    repo.git("branch", "topic")
    for arguments in (
        (), (f"{base}..",), ("origin/main..topic",), ("origin/main...topic",),
        ("--from-ref", base, "--to-ref", "HEAD"), ("--from-ref", "0" * 40, "--to-ref", "topic"),
    ):  # fmt: skip
        assert paths(repo, *arguments) == {"a.pt"}, arguments
    said = check(repo, environ={"PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": "topic"})
    assert said.code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("HEAD",), "HEAD: is not a range: write HEAD..HEAD"),
        (("..HEAD",), "..HEAD: has no old side"),
        (("nothing..HEAD",), "nothing: this commit is not here"),
        (("--from-ref", "-x", "--to-ref", "HEAD"), "expected one argument"),
        (("HEAD..HEAD", "--all"), "A..B and --all both say the range: choose one"),
        (("--pre-push", "--pre-receive"), "both say the range"),
        (("a..b", "c..d"), "give one range A..B at a time"),
        (("--html", "x"), "--html goes with --all"),
        (("--to-ref", "HEAD"), "--from-ref and --to-ref go together"),
        (("--from-ref", "HEAD", "--to-ref", ""), "one of them is empty"),
        (("HEAD..HEAD", "--policy-ref", "none"), "none: this commit is not here"),
    ],
)
def test_bad_usage(repo: Repo, arguments: tuple[str, ...], message: str) -> None:
    result = check(repo, *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err.splitlines()[-1]


def test_bad_standard_input_and_no_repository(repo: Repo, tmp_path: Path) -> None:
    for name in ("--pre-push", "--pre-receive"):
        result = check(repo, name, stdin=b"something\n")
        assert result.code == 2
        assert "standard input is not what git gives a" in result.err
    (tmp_path / "none").mkdir()
    result = check(Repo(tmp_path / "none"))
    assert (result.code, result.err) == (
        2, "fx-check-range: error: not in a git repository: change into one, or run `git init`\n",
    )  # fmt: skip


def test_before_the_first_commit(empty: Repo) -> None:
    assert "this repository has no commits yet" in check(empty).err
    assert check(empty, "--all").code == 0


def test_a_tag_of_a_file(repo: Repo) -> None:
    repo.git("tag", "file", "HEAD:train.py")
    result = check(repo, "HEAD..file")
    assert (result.code, result.out) == (2, "")
    assert "file: does not lead to a commit" in result.err
    assert check(repo, "--all").code == 0


# Pushes.


@pytest.mark.slow
def test_pushes_are_refused(remote: Repo, repo: Repo) -> None:
    hook(repo, "pre-push", "--pre-push")
    commit(repo, "bad", "a.pt")
    repo.git("rm", "-q", "a.pt")
    commit(repo, "gone", "src/a.py")
    before = remote.git("for-each-ref")
    for arguments in (
        ("main",), ("main:refs/heads/new",), ("main:refs/tags/v1",), ("--all",), ("-f", "main"),
    ):  # fmt: skip
        said = repo.git("push", "origin", *arguments, fails=True)
        assert "1 file in 1 of 2 commits does not belong in Git" in said, arguments
    assert remote.git("for-each-ref") == before
    repo.git("tag", "-a", "-m", "tag", "annotated")
    repo.git("push", "origin", "annotated", fails=True)
    repo.git("checkout", "-q", "-b", "clean", "origin/main")
    commit(repo, "fine", "src/b.py")
    repo.git("push", "-q", "origin", "clean")
    assert "1 file in" in repo.git("push", "origin", "clean:other", "main", fails=True)
    repo.git("push", "-q", "origin", "--delete", "clean")
    # Force pushes over what this clone has never seen.
    other = Repo.init(remote.root.parent / "other")
    other.git("pull", "-q", str(remote.root), "main")
    commit(other, "theirs", "src/theirs.py")
    other.git("push", "-q", str(remote.root), "HEAD:main")
    repo.git("push", "-q", "-f", "origin", "clean:main")
    repo.git("checkout", "-q", "main")
    assert "1 file in" in repo.git("push", "-f", "origin", "main", fails=True)


def test_a_first_push_to_an_address(repo: Repo, tmp_path: Path) -> None:
    bare = Repo.init(tmp_path / "bare.git", "--bare")
    hook(repo, "pre-push", "--pre-push")
    repo.git("push", "-q", str(bare.root), "main")
    commit(repo, "bad", "a.pt")
    commit(repo, "good", "src/a.py")
    assert "1 file in 1 of 2 commits" in repo.git("push", str(bare.root), "main", fails=True)
    assert "1 file in 1 of 3" in repo.git("push", str(bare.root), "main:new", fails=True)


def test_a_server_refuses_and_nothing_is_left(remote: Repo, repo: Repo) -> None:
    hook(remote, "pre-receive", "--pre-receive")
    commit(repo, "bad", "a.pt")
    bad = head(repo)
    commit(repo, "more", "src/a.py")
    objects = remote.git("count-objects", "-v")
    said = repo.git("push", "origin", "main", "main:new", fails=True)
    assert "remote: 1 file in 1 of 2 commits does not belong in Git" in said
    assert "pre-receive hook declined" in said
    assert remote.git("count-objects", "-v") == objects
    remote.git("cat-file", "-e", bad, fails=True)
    assert "git rebase -q --onto HEAD" in said
    repo.git("reset", "-q", "--hard", "origin/main")
    commit(repo, "fine", "src/b.py")
    repo.git("push", "-q", "origin", "main", "main:new")
    repo.git("push", "-q", "origin", "--delete", "new")


# Repositories of every kind.


def test_a_shallow_clone(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    for number in range(4):
        commit(repo, str(number), f"src/{number}.py")
    repo.git("push", "-q", "origin", "main")
    repo.git("clone", "-q", "--depth", "2", f"file://{remote.root}", str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow")
    for arguments in (
        ("HEAD~3..HEAD",),
        ("--from-ref", "0" * 40, "--to-ref", "HEAD~1"),
        ("--all",),
    ):
        shallow.git("update-ref", "-d", "refs/remotes/origin/main")
        shallow.git("update-ref", "-d", "refs/remotes/origin/HEAD")
        result = check(shallow, *arguments)
        assert (result.code, result.out) == (2, ""), arguments
        assert "shallow" in result.err
        assert "git fetch --unshallow" in result.err
    assert check(shallow, "HEAD~1..HEAD") == Result(0, "", "")


def test_another_place_says_where_a_clone_ends(repo: Repo, tmp_path: Path) -> None:
    start = head(repo)
    commit(repo, "bad", "a.pt")
    repo.git("rm", "-q", "a.pt")
    commit(repo, "gone")
    (tmp_path / "ends").write_text(f"{commit(repo, 'more', 'b.py')}\n")
    environ = {"GIT_SHALLOW_FILE": str(tmp_path / "ends")}
    assert check(repo, "HEAD~1..HEAD") == CLEAN
    result = check(repo, "--from-ref", start, "--to-ref", "HEAD", environ=environ)
    assert "this shallow clone ends within the range" in result.err
    assert "the clone is shallow" in check(repo, "--all", environ=environ).err


def test_advice_for_a_bare_repository(remote: Repo, repo: Repo) -> None:
    start = head(repo)
    commit(repo, "bad", "a.pt")
    repo.git("push", "-q", "--no-verify", "origin", "main")
    result = check(remote, f"{start}..main")
    assert result.code == 1
    assert "In a fresh clone, with git-filter-repo" in result.out
    assert "git rm" not in result.out


def test_a_partial_clone_fetches_nothing(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    base = head(repo)
    commit(repo, "bad", "a.bin.pt", f"{RUN}/b.log")
    repo.git("rm", "-q", "-r", "a.bin.pt", "wandb")
    commit(repo, "gone")
    repo.git("push", "-q", "origin", "main")
    remote.git("config", "uploadpack.allowFilter", "true")
    remote.git("config", "uploadpack.allowAnySHA1InWant", "true")
    url = f"file://{remote.root}"
    repo.git("clone", "-q", "--filter=blob:none", url, str(tmp_path / "partial"))
    partial = Repo(tmp_path / "partial")
    objects = partial.git("count-objects", "-v")
    result = check(partial, f"{base}..HEAD")
    assert result.code == 1
    assert "a.bin.pt  size unknown, gone since" in result.out
    assert "size is unknown" in check(partial, "--all").out
    assert partial.git("count-objects", "-v") == objects


def test_sha256_and_replaced_objects(home: Path, tmp_path: Path) -> None:  # noqa: ARG001
    repo = Repo.init(tmp_path / "repo", "--object-format=sha256")
    base = commit(repo, "base", "src/a.py")
    bad = commit(repo, "bad", "a.pt")
    harmless = repo.git("commit-tree", "-p", base, "-m", "x", f"{base}^{{tree}}").strip()
    repo.git("replace", bad, harmless)
    assert paths(repo, f"{base}..main") == {"a.pt"}
    assert "a.pt" in paths(repo, "--all")


@pytest.mark.slow
def test_two_thousand_commits(empty: Repo) -> None:
    lines = []
    for number in range(2000):
        name = "model.pt" if number % 500 == 7 else f"src/{number % 50}.py"
        data = f"{number}\0"
        lines.append(
            f"commit refs/heads/main\nmark :{number + 1}\n"
            f"committer A <a@example.org> {1_700_000_000 + number} +0000\ndata 1\nx\n"
            + (f"from :{number}\n" if number else "")
            + f"M 100644 inline {name}\ndata {len(data)}\n{data}\n"
        )
    empty.git("fast-import", "--quiet", stdin="".join(lines).encode())
    result = check(empty, "main~1999..main", "--format", "json")
    findings = json.loads(result.out)["findings"]
    assert len(findings) == 4
    assert {item["in_tip"] for item in findings} == {True, False}
    assert len(paths(empty, "--all")) == 1


# The audit.


def test_the_audit(remote: Repo, repo: Repo, tmp_path: Path) -> None:  # noqa: ARG001
    commit(repo, "bad", "a.pt", f"{RUN}/b.log")
    repo.git("rm", "-q", "a.pt")
    commit(repo, "gone")
    page = tmp_path / "page.html"
    result = check(repo, "--all", "--html", str(page))
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith("3 commits, 2024-01-31: 3 blobs, ")
    assert "Artifacts: 2 blobs" in result.out
    assert "wandb-runs" in page.read_text("utf-8")
    assert paths(repo, "--all") == {"a.pt", f"{RUN}/b.log"}
    result = check(repo, "--all", "--html", str(tmp_path / "no" / "page"))
    assert result.code == 2
    repo.git("checkout", "-q", "--orphan", "fresh")
    repo.git("rm", "-rfq", ".")
    commit(repo, "nothing but this", "src/a.py")
    repo.git("branch", "-D", "main")
    result = check(repo, "--all")
    assert (result.code, "No artifacts in it." in result.out) == (0, True)


def test_a_blob_that_also_belongs_there(repo: Repo) -> None:
    commit(repo, "both", "data.bin", "a.pt", content=b"\0same")
    result = check(repo, "--all")
    assert "also" in result.out


def test_the_audit_draws_a_bar_on_a_terminal(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repo, "more", "src/a.py", "src/b.py")
    terminal = Terminal()
    monkeypatch.setattr("fx_hooks.reporting.progress.PATIENCE", 0)
    monkeypatch.setattr("fx_hooks.reporting.progress.PAUSE", 0)
    monkeypatch.setattr("sys.stderr", terminal)
    with working_directory(repo.root):
        assert check_range.main(["--all"]) == 0
    shown = terminal.getvalue().split("\r")
    assert "commits [" in shown[1]
    assert "of 2" in shown[1]
    assert any(line.startswith("blobs [") and "0 of 3" in line for line in shown)
    assert shown[-1] == ""
