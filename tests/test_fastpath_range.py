"""The fast path of ``fx-check-range`` is sure of what is plainly clean, and of nothing else.

``check`` runs each range in full and then asks the fast path, which must not be sure of anything
that the command has something to say about.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fx_hooks import check_range
from tests.support import CLEAN, Repo, run_main, working_directory
from tests.test_check_range import SCRIPT, check, commit, fast_path, head
from tests.test_fastpath import ALLOWED, imported, imported_anyway

HYDRA = "experiments/2024/first/.hydra/config.yaml"


def test_imports_of_a_clean_range(repo: Repo) -> None:
    commit(repo, "more", "pkg/m.py")
    arguments = (SCRIPT, "HEAD~1..HEAD")
    imported(*arguments, cwd=repo.root)  # leaves tables behind
    bare = imported_anyway(SCRIPT, cwd=repo.root)
    mine = {"fx_hooks.check_range", "fx_hooks.fastpath.commit_range", "zlib"}
    mine |= {f"fx_hooks.fastpath.{name}" for name in ("fast_git", "looked_into", "loose_objects")}
    others = {"check_artifacts", "fastpath.artifacts", "fastpath.index_bytes"}
    allowed = ALLOWED - {f"fx_hooks.{name}" for name in others} | mine
    assert imported(*arguments, cwd=repo.root) - bare == allowed - bare


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["HEAD~1..HEAD"], id="both"),
        pytest.param(["HEAD~1.."], id="old"),
        pytest.param(["main~1..side"], id="names"),
        pytest.param(["--from-ref", "main~1", "--to-ref", "main"], id="options"),
        pytest.param([], id="none"),
    ],
)
def test_sure_of_a_clean_range(repo: Repo, arguments: list[str]) -> None:
    commit(repo, "more", "pkg/m.py")
    repo.git("branch", "side")
    repo.forget_tables()
    assert not fast_path(repo, *arguments)
    assert check(repo, *arguments) == CLEAN
    assert fast_path(repo, *arguments)


def test_sure_of_what_a_runner_hands_on(repo: Repo) -> None:
    old, new = head(repo), commit(repo, "more", "pkg/m.py")
    environ = {"PRE_COMMIT_FROM_REF": old, "PRE_COMMIT_TO_REF": new}
    assert check(repo, environ=environ) == CLEAN
    assert fast_path(repo, environ=environ)
    # Of a push it says one ref alone.
    assert not fast_path(repo, environ={**environ, "PRE_COMMIT_REMOTE_NAME": "origin"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all"], ["--pre-push"], ["--verbose"], ["--help"], ["HEAD~1..HEAD", "--verbose"],
        ["HEAD~1...HEAD"], ["HEAD"], ["..HEAD"],
        ["--not..HEAD"], ["HEAD..--all"], ["nothing..HEAD"],
        ["--from-ref", "0" * 40, "--to-ref", "HEAD"], ["--from-ref", "HEAD"],
        ["--from-ref", "HEAD~1", "--to-ref", ""],
        ["--to-ref", "HEAD", "--from-ref", "HEAD~1"], ["HEAD^{tree}..HEAD"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_leaves_all_else_to_the_command(repo: Repo, arguments: list[str]) -> None:
    commit(repo, "more", "pkg/m.py")
    check(repo, "HEAD~1..HEAD")
    assert fast_path(repo, "HEAD~1..HEAD")
    assert not fast_path(repo, *arguments)


def test_own_policy_and_milestones_count_as_the_tip_has_them(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: ['*.bin']\n")
    repo.stage("best_models/milestones.yaml", "milestones: {}\n")
    commit(repo, "rules")
    commit(repo, "clean", "src/a.py")
    assert check(repo, "HEAD~1..HEAD") == CLEAN
    assert fast_path(repo, "HEAD~1..HEAD")
    # It says that the range changes them.
    assert check(repo, "HEAD~2..HEAD").code == 0
    assert not fast_path(repo, "HEAD~2..HEAD")
    # Another policy on disk than the tip has, and none at all.
    repo.write(".fx-hooks.yaml", "keep: ['*.bin']\n")
    assert not fast_path(repo, "HEAD~1..HEAD")
    repo.remove(".fx-hooks.yaml")
    assert not fast_path(repo, "HEAD~1..HEAD")


@pytest.mark.parametrize("name", [".fx-hooks.yaml", "best_models/milestones.yaml"])
def test_no_tables_hold_for_a_tip_with_another_file(repo: Repo, name: str) -> None:
    start = head(repo)
    commit(repo, "clean", "src/a.py")
    assert check(repo, f"{start}..HEAD") == CLEAN
    repo.git("checkout", "-q", "-b", "other", start)
    commit(repo, "rules", name, content=b"rubbish: [\n")
    rules = head(repo)
    commit(repo, "more", "src/b.py")
    repo.git("checkout", "-q", "main")
    assert fast_path(repo, f"{start}..HEAD")
    assert not fast_path(repo, f"{rules}..other")
    assert check(repo, f"{rules}..other").code == 2


def test_a_file_called_like_an_entry_of_a_tree_is_no_policy(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "keep: ['*.pt']\n")
    rules = commit(repo, "rules")
    blob = repo.git("rev-parse", "HEAD:.fx-hooks.yaml").strip()
    commit(repo, "code", "src/a.py")
    assert check(repo, "HEAD~..HEAD") == CLEAN
    assert fast_path(repo, "HEAD~..HEAD")
    repo.git("checkout", "-q", "-b", "other", f"{rules}~1")
    commit(repo, "trick", f"x100644 blob {blob}\t.fx-hooks.yaml")
    start = commit(repo, "weights", "model.pt")
    repo.git("checkout", "-q", "main")
    check(repo, "HEAD..HEAD")
    assert not fast_path(repo, f"{start}~1..{start}")


def test_sees_a_run_that_was_there_before(repo: Repo) -> None:
    commit(repo, "run", HYDRA)
    commit(repo, "more of it", "experiments/2024/first/figure.png")
    assert check(repo, "HEAD~1..HEAD").code == 1
    assert not fast_path(repo, "HEAD~1..HEAD")
    commit(repo, "elsewhere", "experiments/2024/second/figure.png")
    assert check(repo, "HEAD~1..HEAD") == CLEAN


def test_sees_a_run_by_a_mark_of_ones_own_that_is_gone_again(repo: Repo) -> None:
    policy = "ignore: [{rule: ours, beside: [params.yaml], why: a run}]\n"
    repo.stage(".fx-hooks.yaml", policy)
    commit(repo, "rules")
    commit(repo, "run", "x/params.yaml", "x/y.txt")
    repo.git("rm", "-q", "-r", "x")
    commit(repo, "gone")
    assert check(repo, "HEAD~2..HEAD").code == 1
    assert not fast_path(repo, "HEAD~2..HEAD")


def test_sees_a_run_that_the_old_side_has_removed(repo: Repo) -> None:
    base = commit(repo, "run", HYDRA)
    repo.git("checkout", "-q", "-b", "topic")
    commit(repo, "more of it", "experiments/2024/first/figure.png")
    repo.git("checkout", "-q", "main")
    repo.git("rm", "-q", "-r", "experiments")
    commit(repo, "away")
    repo.git("checkout", "-q", "topic")
    repo.git("merge", "-q", "--no-verify", "-m", "merge", "main")
    repo.git("rm", "-q", "-r", "--ignore-unmatch", "experiments")
    commit(repo, "really away")
    assert base
    assert check(repo, "main..topic").code == 1
    assert not fast_path(repo, "main..topic")


def test_leaves_names_that_could_be_two_refs(repo: Repo) -> None:
    commit(repo, "more", "pkg/m.py")
    assert check(repo, "HEAD~1..main") == CLEAN
    repo.git("tag", "main", "HEAD~1")
    assert not fast_path(repo, "HEAD~1..main")
    assert check(repo, "HEAD~1..main").code == 2
    assert not fast_path(repo, "main..HEAD")
    assert check(repo, "HEAD~1..refs/heads/main") == CLEAN
    assert fast_path(repo, "HEAD~1..refs/heads/main")


def test_says_what_git_is_told_not_to_say(repo: Repo) -> None:
    commit(repo, "more", "pkg/m.py")
    repo.git("config", "core.warnAmbiguousRefs", "false")
    assert check(repo, "HEAD~1..main") == CLEAN
    repo.git("tag", "main", "HEAD~1")
    assert not fast_path(repo, "HEAD~1..main")
    assert check(repo, "HEAD~1..main").code == 2


@pytest.mark.parametrize("how", ["off", "none", "first-parent", "combined", "remerge"])
def test_sees_what_a_merge_adds_whatever_is_configured(repo: Repo, how: str) -> None:
    repo.git("config", "log.diffMerges", how)
    base = head(repo)
    commit(repo, "ours", "a.py")
    repo.git("checkout", "-q", "-b", "theirs", base)
    commit(repo, "theirs", "b.py")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-commit", "theirs")
    assert check(repo, f"{base}..main") == CLEAN
    commit(repo, "evil merge", "model.pt")
    assert not fast_path(repo, f"{base}..main")
    assert check(repo, f"{base}..main").code == 1


def test_leaves_submodules_shallow_clones_and_other_work_trees(repo: Repo, tmp_path: Path) -> None:
    commit(repo, "one", "a.py")
    assert check(repo, "HEAD~1..HEAD") == CLEAN
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = Repo(tmp_path / "linked")
    assert check(linked, "HEAD~1..HEAD") == CLEAN
    assert not fast_path(linked, "HEAD~1..HEAD")
    repo.git("clone", "-q", "--depth=2", repo.root.as_uri(), str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow")
    check(shallow, "HEAD~1..HEAD")
    assert not fast_path(shallow, "HEAD~1..HEAD")
    repo.gitlink("vendor")
    commit(repo, "submodule")
    assert check(repo, "HEAD~1..HEAD") == CLEAN
    assert not fast_path(repo, "HEAD~1..HEAD")


def test_walks_what_is_pushed_not_what_replaces_it(repo: Repo) -> None:
    start = head(repo)
    bad = commit(repo, "weights", "model.pt")
    repo.git("checkout", "-q", "-b", "good", start)
    good = commit(repo, "source", "a.py")
    assert check(repo, f"{start}..good") == CLEAN
    repo.git("replace", bad, good)
    assert not fast_path(repo, f"{start}..{bad}")
    assert check(repo, f"{start}..{bad}").code == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_fast_path_and_command_agree_on_any_history(repo: Repo, seed: int) -> None:
    chance = random.Random(seed)
    folders = ["wandb", "outputs", "pkg", "experiments/a", "a b", "é", "logs"]
    names = ["m.py", "x.pt", "a.bin", "params.yaml", "é.txt", "notes.md", ".hydra/config.yaml"]
    if chance.random() < 0.7:
        repo.stage(
            ".fx-hooks.yaml",
            "ignore:\n- {rule: our-runs, beside: [params.yaml], why: a run}\n"
            f"keep: [{chance.choice(['outputs/', '*.bin', 'pkg/x.pt'])}]\n",
        )
    ids = [commit(repo, "start")]
    for number in range(8):
        if chance.random() < 0.3:
            repo.git("checkout", "-q", "-B", f"branch{number}", chance.choice(ids))
        for _ in range(chance.randrange(3)):
            name = f"{chance.choice(folders)}/{chance.choice(names)}"
            if chance.random() < 0.7:
                repo.stage(name, f"\0{number} {chance.random()}")
            else:
                repo.git("rm", "-q", "-f", "--ignore-unmatch", "--", name)
        ids.append(commit(repo, f"commit {number}"))
        if chance.random() < 0.3:
            repo.git("merge", "-q", "--no-verify", "-X", "ours", "-m", "merge", chance.choice(ids))
            ids.append(head(repo))
    for _ in range(4):
        old, new = chance.sample(ids, 2)
        check(repo, f"{old}..{new}")


def test_a_clean_range_ends_at_the_fast_path(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repo, "more", "pkg/m.py")
    with working_directory(repo.root):
        assert check_range.main(["HEAD~1..HEAD"]) == 0  # the command, which keeps tables
        monkeypatch.setattr("fx_hooks.cli.check_range.main", None)
        assert check_range.main(["HEAD~1..HEAD"]) == 0


def test_interrupted_in_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: list[str]) -> bool:
        raise KeyboardInterrupt(arguments)

    monkeypatch.setattr("fx_hooks.fastpath.commit_range.proven_clean", interrupted)
    assert check_range.main(["HEAD~1..HEAD"]) == 130


OWN = "ignore: ['*.xyz']\nkeep: ['*.log']\ndisable: [hydra-run-directory]\n"


@pytest.fixture
def projects(repo: Repo) -> Repo:
    """Two projects, one with a policy of its own, as a commit has left their tables behind."""
    repo.stage(".fx-hooks.yaml", "projects: [ml, 'packages/*']\n")
    repo.stage("ml/.fx-hooks.yaml", OWN)
    for path in ("a.py", "ml/a.py", "ml/src/a.py", "packages/a/a.py"):
        repo.stage(path, "")
    with working_directory(repo.root):
        run_main([])
    repo.commit()
    return repo


@pytest.mark.parametrize(
    ("path", "sure"),
    [
        ("b.py", True), ("ml/b.py", True), ("ml/x/b.py", True), ("ml/b.log", True),
        ("packages/a/x/b.py", True), ("packages/b.py", True),
        ("ml/b.xyz", False), ("b.log", False), ("packages/a/b.log", False),
        ("packages/a/wandb/run-20250101_000000-a1b2c3d4/b", False), ("packages/b/b.py", False),
        ("ml/best_models/b_meta.json", False), ("ml/.fx-hooks.yaml", False),
        ("packages/a/.fx-hooks.yaml", False), ("ml/src/.hydra/config.yaml", False),
        ("packages/a/x/.hydra/config.yaml", False), ("packages/a/outputs/x/b.csv", False),
    ],
)  # fmt: skip
def test_ranges_of_projects(projects: Repo, path: str, sure: bool) -> None:
    commit(projects, "one", path)
    assert fast_path(projects, "HEAD~1..HEAD") == sure
    # What another commit does to it is seen as well.
    projects.git("rm", "-q", "--cached", path)
    projects.commit()
    assert fast_path(projects, "HEAD~2..HEAD") == sure
    if sure:
        assert check(projects, "HEAD~2..HEAD") == CLEAN


def test_the_projects_are_as_the_tip_has_them(projects: Repo) -> None:
    commit(projects, "one", "ml/b.log")
    assert fast_path(projects, "HEAD~1..HEAD")
    # The tables are those of another policy.
    projects.stage("ml/.fx-hooks.yaml", "ignore: ['*.xyz']\n")
    projects.commit()
    commit(projects, "one", "ml/c.log")
    assert not fast_path(projects, "HEAD~1..HEAD")
    projects.stage("packages/a/best_models/milestones.yaml", "milestones: {}\n")
    projects.commit()
    commit(projects, "one", "packages/a/c.py")
    assert not fast_path(projects, "HEAD~1..HEAD")
