"""What ``fx-check-range`` says to do, done literally: afterwards nothing is left to find."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import CLEAN, Repo, Result, mostly_slow
from tests.test_check_range import MODELS, check, commit, head, hook, paths

# `edit` at the commits that were named, and nothing else.
EDITOR = f"{sys.executable} -c 'import os, sys; " + (
    'path = sys.argv[1]; names = os.environ["GUILTY"].split(); text = open(path).read();'
    'lines = ["edit" + line[4:] if line[:5] == "pick " and any(name.startswith(line.split()[1])'
    " for name in names) else line for line in text.splitlines()];"
    'open(path, "w").write("\\n".join(lines) + "\\n")\''
)


def follow(repo: Repo, result: Result, guilty: str = "", cwd: str = ".") -> None:
    """Start the commands of the report one after another, as somebody would who reads it."""
    lines = result.out.replace("\\\n        ", "").splitlines()
    heads = ("    git ", "    printf ", "    (cd ", "    url=")
    commands = [line for line in lines if line.startswith(heads)]
    assert commands, result
    # What is to be done at each of several commits.
    commands += commands[-3:] * (len(guilty.split()) - 1)
    folder = Path(sys.executable).parent
    done = subprocess.run(
        ("bash", "-e"),
        cwd=repo.root / cwd,
        input="\n".join(commands).encode(),
        capture_output=True,
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "GIT_SEQUENCE_EDITOR": EDITOR,
            "GIT_EDITOR": "true",
            "GUILTY": guilty,
        },
    )
    assert done.returncode == 0, (commands, done.stdout, done.stderr)
    assert repo.git("status", "--porcelain", "--untracked-files=no") == ""
    assert "rebase in progress" not in repo.git("status")


def test_an_artifact_that_stays_is_taken_out_by_a_rebase(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    commit(repo, "fine", "src/a.py")
    bad = commit(repo, "bad", "a.pt", "-x.pt", "q'u o.pt", "src/b.py")
    commit(repo, "later", "src/c.py")
    result = check(repo, "origin/main..HEAD")
    assert f"Take the files out of {bad[:10]}, and put what came after it on top" in result.out
    follow(repo, result)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert {b"src/a.py", b"src/b.py", b"src/c.py"} <= repo.tracked()
    # Not one file has gone from the disk.
    assert all((repo.root / name).exists() for name in ("a.pt", "-x.pt", "q'u o.pt"))


def merge_side(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "side")
    commit(repo, "side", "src/side.py")
    repo.git("checkout", "-q", "main")
    commit(repo, "main", "src/main.py")
    repo.git("merge", "-q", "--no-verify", "--no-ff", "-m", "merge", "side")
    repo.git("branch", "-q", "-D", "side")


def test_with_merges_in_between(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    commit(repo, "bad", "a.pt")
    merge_side(repo)
    result = check(repo, "origin/main..HEAD")
    assert "git rebase -q --rebase-merges --onto HEAD" in result.out
    follow(repo, result)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert {b"src/side.py", b"src/main.py"} <= repo.tracked()
    assert repo.git("rev-list", "--merges", "HEAD").count("\n") == 1


RUN = tuple(f"wandb/run-20250101_000000-a1b2c3d4/files/{name}" for name in "abcd")


@pytest.mark.parametrize("later", [False, True])
def test_folders_of_artifacts_alone_are_named_once(remote: Repo, repo: Repo, later: bool) -> None:  # noqa: ARG001
    commit(repo, "fine", "src/a.py", "mixed/a.py")
    logs = [f"wandb/debug-{name}.log" for name in ("a", "b", "internal")]
    commit(repo, "bad", *RUN, *logs, "mixed/a.pt")
    if later:
        commit(repo, "later", "src/c.py")
    result = check(repo, "origin/main..HEAD")
    assert "  - wandb/  7 files" in result.out
    assert " -- mixed/a.pt wandb" in result.out
    follow(repo, result)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert b"mixed/a.py" in repo.tracked()


def retrained(repo: Repo) -> None:
    commit(repo, "bad", "model.pt", "src/a.py")
    commit(repo, "again", "model.pt", "src/b.py")


def added_and_deleted(repo: Repo) -> None:
    commit(repo, "bad", "model.pt", "src/a.py")
    repo.git("rm", "-q", "model.pt")
    commit(repo, "gone", "src/b.py")


def added_and_only_deleted(repo: Repo) -> None:
    commit(repo, "bad", "model.pt", "src/a.py")
    repo.git("rm", "-q", "model.pt")
    commit(repo, "gone")
    commit(repo, "more", "src/b.py")


def renamed_away(repo: Repo) -> None:
    commit(repo, "bad", "model.pt", "src/a.py")
    repo.git("mv", "model.pt", "data.bin")
    commit(repo, "renamed", "src/b.py")


def evil_merge(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "side")
    commit(repo, "side", "src/a.py")
    repo.git("checkout", "-q", "main")
    commit(repo, "main", "src/b.py")
    repo.git("merge", "-q", "--no-ff", "--no-commit", "side")
    commit(repo, "evil", "model.pt")
    commit(repo, "later", "src/c.py")
    repo.git("branch", "-q", "-D", "side")


@pytest.mark.parametrize(
    "make",
    mostly_slow(
        [retrained, added_and_deleted, added_and_only_deleted, renamed_away, evil_merge], 2
    ),
)
def test_what_a_rebase_would_stop_at(remote: Repo, repo: Repo, make: object) -> None:  # noqa: ARG001
    assert callable(make)
    make(repo)
    result = check(repo, "origin/main..HEAD")
    assert "git rebase" not in result.out
    follow(repo, result)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert {b"src/a.py", b"src/b.py"} <= repo.tracked()
    assert "model.pt" not in repo.git("log", "--name-only", "--format=", "origin/main..HEAD")
    assert repo.git("remote") == "origin\n"


def test_nothing_is_rewritten_while_something_is_not_committed(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    retrained(repo)
    result = check(repo, "origin/main..HEAD")
    repo.write("train.py", "precious\n")
    before = head(repo)
    with pytest.raises(AssertionError, match=r"train\.py"):
        follow(repo, result)
    assert (repo.root / "train.py").read_text() == "precious\n"
    assert head(repo) == before


def test_a_push_of_an_evening_fits_one_screen(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    hook(repo, "pre-push", "--pre-push")
    outputs = [f"outputs/2025-01-01/12-00-00/{name}" for name in (".hydra/config.yaml", "a.log")]
    commit(repo, "fine", "src/a.py", "conf/config.yaml")
    beside = [f"wandb/{name}" for name in ("debug.log", "debug-internal.log", "latest-run")]
    commit(repo, "train", *RUN, *beside, *outputs, "src/b.py")
    commit(repo, "models", *(f"checkpoints/{number}.pt" for number in range(30)), "src/c.py")
    commit(repo, "caches", *(f"src/__pycache__/{name}.cpython-311.pyc" for name in "abcde"))
    said = repo.git("push", "origin", "main", fails=True)
    assert len(said.splitlines()) <= 24, said


@pytest.mark.parametrize("merged", [False, True])
def test_several_commits_are_edited(remote: Repo, repo: Repo, merged: bool) -> None:  # noqa: ARG001
    first = commit(repo, "bad", "a.pt", "src/a.py")
    commit(repo, "fine", "src/b.py")
    second = commit(repo, "worse", "b.pt", "src/c.py")
    if merged:
        merge_side(repo)
    result = check(repo, "origin/main..HEAD")
    assert f"mark {second[:10]}, {first[:10]} as 'edit'" in result.out
    follow(repo, result, f"{first} {second}")
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert {b"src/a.py", b"src/b.py", b"src/c.py"} <= repo.tracked()


@pytest.mark.parametrize("dirt", ["src/a.py", "new.py"])
def test_nothing_of_it_starts_where_something_is_not_committed(
    remote: Repo,  # noqa: ARG001
    repo: Repo,
    dirt: str,
) -> None:
    commit(repo, "bad", "a.pt", "src/a.py")
    last = commit(repo, "later", "src/b.py")
    result = check(repo, "origin/main..HEAD")
    repo.stage(dirt, "precious\n")
    with pytest.raises(AssertionError, match=dirt):
        follow(repo, result)
    assert (head(repo), repo.git("branch", "--show-current")) == (last, "main\n")
    assert (repo.root / dirt).read_text() == "precious\n"


def test_the_first_commit_of_all(repo: Repo) -> None:
    commit(repo, "bad", "a.pt", "src/a.py")
    commit(repo, "later", "src/b.py")
    result = check(repo)
    follow(repo, result)
    assert check(repo) == CLEAN
    assert {b"src/a.py", b"src/b.py"} <= repo.tracked()


@pytest.mark.parametrize("cwd", [".", "src"])
def test_a_pull_request_whose_last_commit_is_fine(remote: Repo, repo: Repo, cwd: str) -> None:  # noqa: ARG001
    repo.git("checkout", "-q", "-b", "topic")
    commit(repo, "bad", "a.pt", "src/a.py")
    commit(repo, "later", "src/b.py")
    repo.git("push", "-q", "-u", "origin", "topic")
    result = check(Repo(repo.root / cwd), "origin/main..HEAD")
    assert len(result.out.splitlines()) <= 12
    follow(repo, result, cwd=cwd)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert repo.git("rev-parse", "topic") == repo.git("rev-parse", "origin/topic")
    assert {b"src/a.py", b"src/b.py"} <= repo.tracked()


def test_a_branch_that_is_not_checked_out(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    repo.git("checkout", "-q", "-b", "topic")
    commit(repo, "bad", "a.pt", "src/a.py")
    repo.git("checkout", "-q", "main")
    innocent = commit(repo, "innocent", "src/b.py")
    result = check(repo, "origin/main..topic")
    assert result.commands[0] == "git checkout -q topic --"
    follow(repo, result)
    assert check(repo, "origin/main..topic") == CLEAN
    assert repo.git("rev-parse", "main").strip() == innocent


def test_two_branches_of_one_push(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    hook(repo, "pre-push", "--pre-push")
    commit(repo, "bad", "a.pt", "src/a.py")
    repo.git("checkout", "-q", "-b", "topic", "origin/main")
    bad = commit(repo, "worse", "b.pt", "src/b.py")
    commit(repo, "later", "src/c.py")
    said = repo.git("push", "origin", "main", "topic", fails=True)
    assert "main: Take them out of the last commit" in said
    assert "topic: No remote has these commits yet" in said
    result = Result(1, said[: said.index("error: failed to push")], "")
    follow(repo, result, bad)
    repo.git("push", "-q", "origin", "main", "topic")


def test_from_a_subfolder(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    commit(repo, "bad", "a.pt", "src/a.py")
    result = check(Repo(repo.root / "src"), "origin/main..HEAD")
    follow(repo, result, cwd="src")
    assert check(repo, "origin/main..HEAD") == CLEAN
    # git starts a hook in the root, wherever somebody is.
    hook(repo, "pre-push", "--pre-push")
    commit(repo, "bad again", "b.pt")
    done = subprocess.run(
        ("git", "push", "origin", "main"), cwd=repo.root / "src", capture_output=True
    )
    assert b"\n    git -C .. rm -r -q --cached -f -- b.pt\n" in done.stdout


NAMES = ["a b.pt", "-x.pt", "q'u\"o.pt", "a\nb.pt", "*.pt", "modèle.pt", "c\\d.pt", ":(top)e.pt"]


def test_what_a_remote_has(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    commit(repo, "bad", *NAMES, "src/a.py")
    repo.git("push", "-q", "origin", "main")
    commit(repo, "later", "src/b.py")
    result = check(repo, "HEAD~2..HEAD")
    assert "A remote has them already. Taking them out rewrites the history" in result.out
    repo.git("tag", "v1")
    repo.git("push", "-q", "origin", "main", "v1")
    repo.git("clone", "-q", "--no-local", str(remote.root), str(tmp_path / "fresh"))
    fresh = Repo(tmp_path / "fresh")
    follow(fresh, result)
    assert paths(fresh, "--all") == set()
    assert {b"src/a.py", b"src/b.py"} <= fresh.tracked()
    # The remote has them no more, and its address is known as before.
    assert fresh.git("remote", "get-url", "origin").strip() == str(remote.root)
    repo.git("clone", "-q", "--no-local", str(remote.root), str(tmp_path / "again"))
    assert paths(Repo(tmp_path / "again"), "--all") == set()


def test_an_approved_model_stays_where_another_one_was(
    remote: Repo, repo: Repo, tmp_path: Path
) -> None:
    repo.stage(
        "best_models/milestones.yaml",
        "milestones:\n  best_models/a.pt:\n"
        f"    sha256: {hashlib.sha256(MODELS[0]).hexdigest()}\n"
        f"    size: {len(MODELS[0])}\n    why: it is good\n    approved: 2024-01-31\n",
    )
    repo.stage("best_models/a.pt", MODELS[1])
    repo.stage("page.pt", b"\0binary")
    commit(repo, "bad")
    repo.stage("page.pt", b"{{ template }}\n")
    commit(repo, "good", "best_models/a.pt", content=MODELS[0])
    repo.git("push", "-q", "origin", "main")
    result = check(repo, "--all")
    assert "--path=" not in result.out
    repo.git("clone", "-q", "--no-local", str(remote.root), str(tmp_path / "fresh"))
    fresh = Repo(tmp_path / "fresh")
    follow(fresh, result)
    assert paths(fresh, "--all") == set()
    assert {b"best_models/a.pt", b"page.pt"} <= fresh.tracked()


def printed(result: Result) -> list[str]:
    return [line for line in result.commands if line.startswith(("git ", "fx-"))]


def test_an_audit_sees_every_stash(repo: Repo) -> None:
    commit(repo, "base", "src/a.py")
    for name in ("a.pt", "b.pt", "src/a.py"):
        repo.stage(name, f"\0{name}")
        repo.git("stash", "-q")
    said = check(repo, "--all")
    assert "weights" in said.out
    assert printed(said) == ["git stash pop -q 'stash@{1}'"]
    assert "for 1 more" in said.out
    rounds = 0
    while said.code:
        for command in printed(said):
            subprocess.run(("sh", "-c", command), cwd=repo.root, check=True)
        repo.git("rm", "-q", "--cached", "--ignore-unmatch", "a.pt", "b.pt")
        said, rounds = check(repo, "--all"), rounds + 1
    assert rounds == 2
    assert repo.git("stash", "list").count("\n") == 1
    assert (repo.root / "a.pt").exists()
    assert (repo.root / "b.pt").exists()


@pytest.mark.parametrize("default", ["origin/HEAD", "origin/main", ""])
def test_an_audit_sends_to_the_branch_that_has_what_is_unpublished(
    remote: Repo,  # noqa: ARG001
    repo: Repo,
    default: str,
) -> None:
    commit(repo, "fine", "src/a.py")
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    bad = commit(repo, "bad", "a.pt")
    commit(repo, "later", "src/b.py")
    repo.git("checkout", "-q", "main")
    repo.git("branch", "-q", "-m", "trunk" if not default else "main")
    if not default:
        repo.git("push", "-q", "origin", "trunk")
        repo.git("update-ref", "-d", "refs/remotes/origin/main")
    # A clone has it, and since git 2.48 whoever fetches.
    if default == "origin/HEAD":
        repo.git("remote", "set-head", "origin", "main")
    else:
        repo.git("update-ref", "--no-deref", "-d", "refs/remotes/origin/HEAD")
    said = check(repo, "--all")
    assert "filter-repo" not in said.out
    zeros = "fx-check-range --from-ref " + "0" * 40 + " --to-ref topic"
    assert printed(said) == [f"fx-check-range {default}..topic" if default else zeros]
    advice = check(repo, *printed(said)[0].split()[1:])
    assert f"--onto HEAD {bad[:10]} topic" in advice.out
    follow(repo, advice)
    assert check(repo, "--all").code == 0


def test_an_audit_cuts_no_command(repo: Repo) -> None:
    commit(repo, "bad", *(f"{number}.pt" for number in range(21)))
    said = check(repo, "--all").out
    assert all(f"--path={number}.pt" in said for number in range(21))


def test_a_branch_that_only_a_pull_request_has(remote: Repo, repo: Repo) -> None:
    """It is on a remote, and nobody builds on it: it is rebased, and replaced there."""
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    bad = commit(repo, "bad", "a.pt", "src/a.py")
    commit(repo, "later", "src/b.py")
    repo.git("push", "-q", "-u", "origin", "topic")
    result = check(repo, "origin/main..HEAD")
    assert "filter-repo" not in result.out
    assert f"Only this branch has these commits. Take the files out of {bad[:10]}" in result.out
    assert result.commands[-1] == "git push --force-with-lease origin topic"
    follow(repo, result, bad)
    assert check(repo, "origin/main..HEAD") == CLEAN
    assert remote.git("log", "--format=", "--name-only", "topic", "--", "a.pt") == ""


def test_a_tag_is_deleted_and_nothing_is_checked_out(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    base = head(repo)
    commit(repo, "bad", "a.pt")
    repo.git("tag", "v1")
    repo.git("reset", "-q", "--hard", base)
    result = check(repo, "origin/main..v1")
    assert result.commands == ["git tag -d v1"]
    follow(repo, result)
    assert repo.git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert "v1" in check(repo, "origin/main..v1").err


def test_a_commit_that_is_on_no_branch_of_its_own(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    base = head(repo)
    bad = commit(repo, "bad", "a.pt")
    repo.git("branch", "kept")
    repo.git("reset", "-q", "--hard", base)
    result = check(repo, f"origin/main..{bad}")
    assert result.commands == [f"git branch --contains {bad}"]
    follow(repo, result)
