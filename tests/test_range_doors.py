"""Doors that are easily left open: names that two refs have, clones that lack objects, what
runners do not say, refs that are no branches."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path

import pytest

from fx_hooks.git.repository import ObjectStore
from fx_hooks.history import ranges
from fx_hooks.util.errors import FatalError
from tests.support import CLEAN, WEIGHTS, Repo, Result, git_version, mostly_slow, working_directory
from tests.test_check_range import MODELS, RUN, TORCH, check, commit, found, head, hook, paths

# Names.


def test_a_tag_cannot_take_the_place_of_the_policys_branch(remote: Repo, repo: Repo) -> None:
    hook(remote, "pre-receive", "--pre-receive", "--policy-ref", "main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.stage(".fx-hooks.yaml", "keep: ['*.pt']\n")
    commit(repo, "allow myself")
    repo.git("push", "-q", "origin", "topic:refs/tags/main")
    commit(repo, "weights", "model.pt")
    said = repo.git("push", "origin", "topic", fails=True)
    assert "main: could be refs/tags/main or refs/heads/main: write the full name" in said
    hook(remote, "pre-receive", "--pre-receive", "--policy-ref", "refs/heads/main")
    assert "remote: 1 file in" in repo.git("push", "origin", "topic", fails=True)
    repo.git("tag", "origin/main", "topic")
    for name in ("origin/main", "origin/main~0", "origin/main^{commit}"):
        assert check(repo, "refs/remotes/origin/main..topic", "--policy-ref", name).code == 2
        assert check(repo, f"{name}..topic").code == 2
    ref = "refs/remotes/origin/main"
    assert check(repo, f"{ref}..topic", "--policy-ref", ref).code == 1
    assert check(repo, f"{head(repo)}~1..{head(repo)}", "--policy-ref", ref).code == 1


def test_what_somebody_has_typed_may_have_blanks(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    hook(repo, "pre-push", "--pre-push")
    commit(repo, "fine one", "src/a.py")
    repo.git("push", "-q", "origin", "HEAD^{/fine one}:refs/heads/fine")
    commit(repo, "bad one", "a.pt")
    said = repo.git("push", "origin", "HEAD^{/bad one}:refs/heads/bad", fails=True)
    assert "1 file in 1 of 1 commits" in said


def test_remotes_whose_names_nest(remote: Repo, repo: Repo, tmp_path: Path) -> None:  # noqa: ARG001
    fork = Repo.init(tmp_path / "fork.git", "--bare")
    # What `git remote add` refuses since 2.55 is in the configuration of older clones.
    repo.git("config", "remote.origin/fork.url", str(fork.root))
    repo.git("config", "remote.origin/fork.fetch", "+refs/heads/*:refs/remotes/origin/fork/*")
    commit(repo, "bad", "a.pt")
    repo.git("push", "-q", "origin/fork", "main")
    hook(repo, "pre-push", "--pre-push")
    assert "1 file in 1 of 1 commits" in repo.git("push", "origin", "main", fails=True)


@pytest.mark.parametrize("name", mostly_slow(["LITERAL", "GLOB", "NOGLOB", "ICASE"], 4))
def test_how_somebody_reads_pathspecs(repo: Repo, name: str) -> None:
    commit(repo, "run", "exp/.hydra/config.yaml", "exp/metrics.csv")
    variable = {f"GIT_{name}_PATHSPECS": "1"}
    result = check(repo, "HEAD~1..HEAD", "--format", "json", environ=variable)
    assert found(result) == {"exp/.hydra/config.yaml", "exp/metrics.csv"}


def test_settings_that_change_what_git_prints(repo: Repo) -> None:
    repo.git("config", "i18n.logOutputEncoding", "ISO-8859-1")
    commit(repo, "Modèle", "a.pt")
    repo.git("config", "diff.orderFile", "nowhere")
    assert "Modèle" in check(repo, "HEAD~1..HEAD").out


# Clones that lack objects.


def partial_clone(remote: Repo, target: Path, kind: str) -> Repo:
    for name in ("allowFilter", "allowAnySHA1InWant"):
        remote.git("config", f"uploadpack.{name}", "true")
    url = f"file://{remote.root}"
    remote.git("clone", "-q", "--no-checkout", f"--filter={kind}", url, str(target))
    return Repo(target)


def test_a_partial_clone_without_a_single_file(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    repo.stage(".fx-hooks.yaml", "keep: ['/a.pt']\n")
    base = commit(repo, "base")
    commit(repo, "run", "exp/.hydra/config.yaml", "exp/metrics.csv", "exp/model.pt", f"{RUN}/x.log")
    repo.git("push", "-q", "origin", "main", "main:other")
    repo.git("push", "-q", "origin", "HEAD~1:refs/heads/old")
    partial = partial_clone(remote, tmp_path / "partial", "blob:none")
    blob = repo.git("rev-parse", "HEAD:.fx-hooks.yaml").strip()
    result = check(partial, f"{base}..HEAD")
    assert result.code == 2
    assert f"is not in this clone: git cat-file -p {blob}" in result.err
    partial.git("cat-file", "-p", blob)
    objects = partial.git("count-objects", "-v")
    result = check(partial, f"{base}..HEAD", "--format", "json")
    findings = json.loads(result.out)["findings"]
    assert {item["path"] for item in findings} == {
        "exp/.hydra/config.yaml", "exp/metrics.csv", "exp/model.pt", f"{RUN}/x.log",
    }  # fmt: skip
    assert {item["in_tip"] for item in findings} == {True}
    assert check(partial, f"{base}..HEAD").out.startswith(
        "4 files in 1 of 1 commits do not belong in Git:\n"
    )
    assert found(check(partial, "--all", "--format", "json")) == {item["path"] for item in findings}
    assert partial.git("count-objects", "-v") == objects


def test_a_partial_clone_says_what_it_could_not_look_into(
    remote: Repo, repo: Repo, tmp_path: Path
) -> None:
    """Of old commits it has no content, and without it weights pass, and pages are refused."""
    repo.stage("page.pt", "<p>a page\n")
    commit(repo, "bad", "res/best", content=TORCH)
    repo.git("rm", "-q", "page.pt", "res/best")
    commit(repo, "gone")
    repo.git("push", "-q", "origin", "main")
    partial = partial_clone(remote, tmp_path / "partial", "blob:none")
    for arguments, count in (("HEAD~2..HEAD", 2), ("--all", 3)):
        note = f"note: this partial clone lacks content of {count} files, so names alone decide: "
        result = check(partial, arguments)
        assert result.code == 1
        assert "page.pt" in result.out
        assert note in result.out
    if git_version() >= (2, 36):
        (line,) = (line for line in result.out.splitlines() if line.startswith(note))
        partial.git(*shlex.split(line.removeprefix(note).partition(" (")[0])[1:])
        assert paths(partial, "HEAD~2..HEAD") == {"res/best"}
        assert note not in check(partial, "--all").out


def test_a_clone_without_folders(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    commit(repo, "bad", "exp/a.pt")
    repo.git("push", "-q", "origin", "main")
    partial = partial_clone(remote, tmp_path / "partial", "tree:0")
    objects = partial.git("count-objects", "-v")
    for arguments in (["HEAD~1..HEAD"], ["--all"]):
        result = check(partial, *arguments)
        assert (result.code, result.out) == (2, "")
        assert "git fetch --refetch --filter=blob:none" in result.err
    assert partial.git("count-objects", "-v") == objects
    if git_version() >= (2, 36):
        partial.git("fetch", "-q", "--refetch", "--filter=blob:none")
    else:
        partial = partial_clone(remote, tmp_path / "again", "blob:none")
    assert paths(partial, "HEAD~1..HEAD") == {"exp/a.pt"}


def test_what_else_fails_in_a_partial_clone(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    repo.git("push", "-q", "origin", "main")
    partial = partial_clone(remote, tmp_path / "partial", "blob:none")
    with working_directory(partial.root), pytest.raises(FatalError, match="git rev-parse failed"):
        ObjectStore().run("rev-parse", "--verify", "no-such-thing")


# What runners do not say.


def pushed_by_a_runner(repo: Repo, *arguments: str, **variables: str) -> Result:
    remote = repo.git("remote", "get-url", "origin").strip()
    environ = {"PRE_COMMIT_REMOTE_NAME": "origin", "PRE_COMMIT_REMOTE_URL": remote, **variables}
    return check(repo, *arguments, environ=environ)


def test_a_tag_that_the_remote_has_does_not_stop_anybody(remote: Repo, repo: Repo) -> None:
    base = head(repo)
    commit(repo, "old sin", "model.pt")
    repo.git("tag", "-a", "-m", "tag", "v1")
    repo.git("push", "-q", "origin", "v1")
    repo.git("reset", "-q", "--hard", base)
    new = commit(repo, "fine", "src/a.py")
    refs = {"PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": new}
    assert pushed_by_a_runner(repo, **refs) == CLEAN
    repo.git("tag", "v2", "v1")
    remote.git("tag", "-d", "v1")
    # Most tags are never pushed; who pushes them says so, or git is set to.
    assert pushed_by_a_runner(repo, **refs) == CLEAN
    repo.git("config", "push.followTags", "true")
    assert pushed_by_a_runner(repo, **refs).code == 1
    repo.git("config", "--unset", "push.followTags")
    result = pushed_by_a_runner(repo, "--tags", **refs)
    assert result.code == 1
    assert "1 file in 1 of 2 commits" in result.out
    assert pushed_by_a_runner(repo, "--given-only", **refs) == CLEAN
    os.rename(remote.root, remote.root.with_name("moved"))
    result = pushed_by_a_runner(repo, "--tags", **refs)
    assert result.code == 1
    assert "note: the remote did not list its tags, so all local tags count" in result.out


def test_a_tag_of_a_tag_is_no_way_out(remote: Repo, repo: Repo) -> None:  # noqa: ARG001
    base = head(repo)
    commit(repo, "bad", "model.pt")
    repo.git("tag", "-a", "-m", "inner", "inner")
    repo.git("tag", "-a", "-m", "outer", "outer", "inner")
    repo.git("tag", "-d", "inner")
    repo.git("reset", "-q", "--hard", base)
    new = commit(repo, "fine", "src/a.py")
    refs = {"PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": new}
    assert pushed_by_a_runner(repo, "--tags", **refs).code == 1
    assert paths(repo, "--all") == {"model.pt"}


@pytest.mark.parametrize("only", [[], ["--given-only"]], ids=["all", "given-only"])
def test_a_first_push_of_a_branch_that_is_not_checked_out(
    empty: Repo, tmp_path: Path, only: list[str]
) -> None:
    bare = Repo.init(tmp_path / "bare.git", "--bare")
    empty.git("remote", "add", "origin", str(bare.root))
    commit(empty, "fine", "src/a.py")
    empty.git("checkout", "-q", "-b", "other")
    commit(empty, "bad", "a.pt")
    empty.git("checkout", "-q", "main")
    # So says pre-commit where a root commit is new.
    assert pushed_by_a_runner(empty, *only, PRE_COMMIT_LOCAL_BRANCH="refs/heads/other").code == 1
    clean = pushed_by_a_runner(empty, "--given-only", PRE_COMMIT_LOCAL_BRANCH="refs/heads/main")
    assert clean == CLEAN
    empty.git("checkout", "-q", "--orphan", "unborn")
    assert pushed_by_a_runner(empty, *only, PRE_COMMIT_LOCAL_BRANCH="refs/heads/other").code == 1
    assert pushed_by_a_runner(empty, "--given-only", PRE_COMMIT_LOCAL_BRANCH="(delete)") == CLEAN


def test_many_tags_that_the_remote_has_cost_one_question(
    remote: Repo,  # noqa: ARG001
    repo: Repo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(30):
        commit(repo, str(number), f"src/{number}.py")
        repo.git("tag", f"v{number}")
    repo.git("push", "-q", "origin", "main")
    new = commit(repo, "new", "src/new.py")
    asked: list[tuple[str, ...]] = []
    real = ObjectStore.run

    def counting(self: ObjectStore, *arguments: str, **options: object) -> bytes:
        asked.append(arguments)
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectStore, "run", counting)
    with working_directory(repo.root):
        environ = {"PRE_COMMIT_REMOTE_NAME": "origin", "PRE_COMMIT_TO_REF": new}
        said = ranges.from_runner(ObjectStore(), environ, given_only=False)
        assert said is not None
        assert [one.tip for one in said] == [new]
        lines = [f"refs/tags/v{number} {head(repo)} refs/tags/v{number} {'0' * 40}".encode()
                 for number in range(30)]  # fmt: skip
        assert len(ranges.from_pre_push(ObjectStore(), lines, "origin")) == 1
    assert len(asked) < 60


def test_a_remote_that_does_not_answer(repo: Repo) -> None:
    with working_directory(repo.root), pytest.raises(FatalError):
        ranges.published_tags(ObjectStore(), {"PRE_COMMIT_REMOTE_NAME": "nowhere"})


# Refs and paths of every kind.


def test_refs_that_lead_to_no_commit_are_named(repo: Repo) -> None:
    commit(repo, "fine", "src/a.py")
    repo.git("tag", "tree", "HEAD^{tree}")
    result = check(repo, "--all")
    assert result.code == 0
    note = "note: refs/tags/tree leads to no commit and was not checked\n"
    assert result.out.endswith(note)
    repo.git("tag", "file", "HEAD:train.py")
    assert "refs/tags/file and 1 more lead to no commit" in check(repo, "--all").out


def test_a_submodule_and_then_a_file_in_its_place(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: ['/scratch/']\n")
    base = commit(repo, "rules")
    repo.stage("scratch", b"a file\n")
    commit(repo, "a file")
    repo.git("rm", "-q", "scratch")
    repo.gitlink("scratch")
    commit(repo, "a submodule")
    assert paths(repo, f"{base}..HEAD") == {"scratch"}


def test_an_audit_with_nothing_but_a_submodule(repo: Repo, tmp_path: Path) -> None:
    repo.gitlink("outputs/code")
    commit(repo, "submodule")
    page = tmp_path / "page.html"
    result = check(repo, "--all", "--html", str(page))
    assert result.code == 1
    assert "still in a branch or tag: 1 blob, 0 B packed" in result.out
    assert "nothing in this history" not in page.read_text()
    repo.git("rm", "-q", "--cached", "outputs/code")
    commit(repo, "away")
    assert "gone, but in the history: 1 blob" in check(repo, "--all").out


def test_the_same_content_where_it_belongs_is_not_the_artifact(repo: Repo) -> None:
    commit(repo, "bad", "logs/a.log", content=b"")
    commit(repo, "weights", "a.pt", content=WEIGHTS)
    repo.git("rm", "-q", "-r", "logs")
    repo.git("mv", "a.pt", "data.bin")
    commit(repo, "gone", "src/__init__.py", content=b"")
    result = check(repo, "--all", "--format", "json")
    assert {item["in_tip"] for item in json.loads(result.out)["findings"]} == {False}
    assert "still in a branch or tag: nothing" in check(repo, "--all").out
    repo.git("branch", "old", "HEAD~1")
    result = check(repo, "--all", "--format", "json")
    assert {item["in_tip"] for item in json.loads(result.out)["findings"]} == {True}


@pytest.mark.parametrize("later", ["renamed", "retired"])
def test_a_milestone_that_was_listed_in_its_own_commit(repo: Repo, later: str) -> None:
    base = head(repo)

    def approve(name: str) -> None:
        repo.stage(f"best_models/{name[:-3]}_meta.json", '{"performance": {}, "config": {}}')
        repo.stage(
            "best_models/milestones.yaml",
            f"milestones:\n  best_models/{name}:\n"
            f"    sha256: {hashlib.sha256(MODELS[0]).hexdigest()}\n"
            f"    size: {len(MODELS[0])}\n    why: it is good\n    approved: 2024-01-31\n",
        )

    approve("a.pt")
    first = commit(repo, "approve", "best_models/a.pt", content=MODELS[0])
    if later == "renamed":
        repo.git("mv", "best_models/a.pt", "best_models/b.pt")
        approve("b.pt")
    else:
        repo.git("rm", "-q", "best_models/a.pt", "best_models/milestones.yaml")
    commit(repo, later)
    assert paths(repo, f"{base}..HEAD") == set()
    assert paths(repo, f"{base}..HEAD", "--policy-ref", "HEAD") != set()
    repo.git("checkout", "-q", "-b", "other", first)
    repo.stage("best_models/a.pt", MODELS[1])
    commit(repo, "nobody approved this")
    repo.git("rm", "-q", "best_models/a.pt", "best_models/milestones.yaml")
    commit(repo, "away")
    assert paths(repo, f"{base}..HEAD") == {"best_models/a.pt"}


def test_the_policy_of_an_audit_without_a_head(remote: Repo) -> None:
    remote.git("symbolic-ref", "HEAD", "refs/heads/nothing")
    result = check(remote, "--all")
    assert result.code == 0
    assert "note: HEAD has no commit, so the built-in policy counts: see --policy-ref" in (
        result.out
    )
    assert "note:" not in check(remote, "--all", "--policy-ref", "main").out


# What is printed.


def test_a_rule_without_a_reason_ends_where_it_ends(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: ['*.bin']\n")
    base = commit(repo, "rules")
    commit(repo, "bad", "a.bin")
    lines = check(repo, f"{base}..HEAD").out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_report_that_could_not_be_written_is_told_at_once(repo: Repo, tmp_path: Path) -> None:
    result = check(repo, "nothing..HEAD", "--output", str(tmp_path / "none" / "report"))
    assert (result.code, result.out) == (2, "")
    assert "cannot be written" in result.err


def test_no_subject_is_a_command_to_github(repo: Repo) -> None:
    commit(repo, "##[error]::error::hello", "a.pt")
    lines = check(repo, "HEAD~1..HEAD", environ={"GITHUB_ACTIONS": "true"}).out.splitlines()
    assert lines[0].startswith("::stop-commands::")
    assert lines[-1] == f"::{lines[0].removeprefix('::stop-commands::')}::"


def test_a_long_report_is_cut(repo: Repo) -> None:
    names = [f"{'long' * 30}{number}.pt" for number in range(120)]
    commit(repo, "many", *names, content=WEIGHTS)
    lines = check(repo, "HEAD~1..HEAD").out.splitlines()
    assert len(lines) <= 80
    assert any(line.endswith("more lines (--verbose shows them)") for line in lines)
    assert not any(line.startswith("    #") for line in lines)
    steps = json.loads(check(repo, "HEAD~1..HEAD", "--format", "json").out)["steps"]
    commands = [command for step in steps for command in step["commands"]]
    assert all(command.startswith("git ") and "#" not in command for command in commands)
    assert all(any(name in command for command in commands) for name in names)
    assert not any("commits each" in line for line in lines)
    whole = check(repo, "HEAD~1..HEAD", "--verbose").out
    assert all(name in whole for name in names)
    assert "--verbose" not in whole


# Milestones.


def approved(repo: Repo, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    repo.stage("best_models/a_meta.json", '{"performance": {}, "config": {}}')
    repo.stage(
        "best_models/milestones.yaml",
        f"milestones:\n  best_models/a.pt:\n    sha256: {digest}\n    size: {len(content)}\n"
        "    why: it is good\n    approved: 2024-01-31\n",
    )


def pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    return text.encode()


def test_what_stands_in_a_milestones_place(repo: Repo) -> None:
    approved(repo, MODELS[0])
    base = commit(repo, "rules")
    good = commit(repo, "as a pointer", "best_models/a.pt", content=pointer(MODELS[0]))
    assert paths(repo, f"{base}..HEAD") == set()
    commit(repo, "another pointer", "best_models/a.pt", content=pointer(b"other"))
    assert paths(repo, f"{good}..HEAD") == {"best_models/a.pt"}
    repo.git("reset", "-q", "--hard", good)
    repo.remove("best_models/a.pt")
    repo.link("best_models/a.pt", "elsewhere")
    repo.git("add", "-f", "best_models/a.pt")
    commit(repo, "a link")
    result = check(repo, f"{good}..HEAD")
    assert result.code == 1
    assert "best-models-digest: is not a file: a milestone is one" in result.out


def test_a_list_that_was_broken_in_between_approves_nothing(repo: Repo) -> None:
    approved(repo, MODELS[0])
    base = commit(repo, "rules", "best_models/a.pt", content=MODELS[0])
    repo.stage("best_models/milestones.yaml", "milestones: [\n")
    commit(repo, "broken", "best_models/a.pt", content=MODELS[1])
    approved(repo, MODELS[0])
    commit(repo, "mended", "best_models/a.pt", content=MODELS[0])
    assert paths(repo, f"{base}..HEAD") == {"best_models/a.pt"}


def test_a_milestone_that_is_not_in_this_clone(remote: Repo, repo: Repo, tmp_path: Path) -> None:
    base = head(repo)
    approved(repo, MODELS[0])
    commit(repo, "approve", "best_models/a.pt", content=MODELS[0])
    repo.git("push", "-q", "origin", "main")
    partial = partial_clone(remote, tmp_path / "partial", "blob:none")
    partial.git("cat-file", "-p", "HEAD:best_models/milestones.yaml")
    result = check(partial, f"{base}..HEAD")
    assert result.code == 0
    assert "note: 1 milestone is not in this clone, and was not compared" in result.out
