"""Real git, real situations: what is stopped, what is let through, what mends it.

``Repo.check`` also asks the fast path, which must not be sure of what the command refuses;
``Repo.mend`` also does literally what the report says.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import CLEAN, SCRIPT, WEIGHTS, Repo, run_main, working_directory

RUN = "wandb/run-20240131_235959-abcd1234"
HYDRA = "experiments/2024/first"


# Names


ODD_NAMES: list[Any] = [
    pytest.param("modèle.pt".encode(), id="non-ascii"),
    pytest.param(b"two\nlines.pt", id="newline"),
    pytest.param(b"\n.pt", id="newline-first"),
    pytest.param(b"""it's a "model".pt""", id="quotes"),
    pytest.param(b"\xff\xfe.pt", id="non-utf-8"),
    pytest.param(b"dir\xff/\xe9'\n.pt", id="non-utf-8-folder"),
    pytest.param(b"a b/ c .pt", id="blanks"),
    pytest.param(b"tab\there\\there.pt", id="tab-and-backslash"),
    pytest.param(b"esc\x1b[31m.pt", id="escape"),
    pytest.param(b"$HOME`id`.pt", id="shell"),
    pytest.param(b"~/x.pt", id="tilde"),
    pytest.param(b"#x.pt", id="hash"),
    pytest.param(b"!x.pt", id="bang"),
    pytest.param(b":(top)x.pt", id="pathspec-magic"),
    pytest.param(b":!x.pt", id="pathspec-exclusion"),
    pytest.param(b"[a-z]*?.pt", id="glob"),
    pytest.param(b"-x.pt", id="dash"),
    pytest.param(b"--policy=x.pt", id="option-with-value"),
    pytest.param(b"-", id="one-dash"),
    pytest.param(b"--", id="two-dashes"),
    pytest.param(b"-x", id="option"),
    pytest.param(b"--all-files", id="option-all-files"),
    pytest.param(b"--policy", id="option-policy"),
    pytest.param(b"--verbose", id="option-verbose"),
    pytest.param(b"-h", id="option-help"),
]


@pytest.fixture
def dashes(repo: Repo) -> Repo:
    """Its policy also blocks every name that begins with a dash."""
    repo.stage(".fx-hooks.yaml", "ignore: ['-*']\n")
    repo.commit()
    return repo


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_name(dashes: Repo, name: bytes) -> None:
    dashes.stage("fine.txt")
    dashes.stage(name, WEIGHTS)
    assert dashes.check().code == 1
    assert dashes.mend("--", "train.py", name) == {name}


def test_odd_names_tracked(dashes: Repo) -> None:
    names = {param.values[0] for param in ODD_NAMES}
    for name in names:
        dashes.stage(name, WEIGHTS)
    assert dashes.mend("--verbose") == names
    dashes.stage_all()
    dashes.commit()
    assert dashes.mend("--all-files", "--verbose") == names


@pytest.mark.parametrize("name", ["-x", "-x.pt", "--nothing", "--policy-x"])
def test_unknown_option_is_a_path_if_the_index_has_it(dashes: Repo, name: str) -> None:
    dashes.stage(name, WEIGHTS)
    assert dashes.check(name).code == 1
    assert dashes.check("train.py", name).code == 1


def test_odd_names_that_are_fine(repo: Repo) -> None:
    names = [param.values[0].replace(b".pt", b".py") for param in ODD_NAMES]
    for name in names:
        repo.stage(name, "x = 1\n")
    for arguments in ([], ["--", *names], ["--all-files"]):
        assert repo.check(*arguments) == CLEAN
        assert repo.fast_path(*arguments)


def test_glob_characters_take_nothing_else_along(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "keep: [ab.pt, 'd\\?/']\n")
    repo.stage("ab.pt", WEIGHTS)
    repo.stage("d?/x.pt", WEIGHTS)
    repo.commit()
    repo.stage("a*.pt", WEIGHTS)
    repo.stage("ab.pt", WEIGHTS + b"2")
    repo.stage("ac.txt")
    assert repo.mend() == {b"a*.pt"}
    repo.stage("a*.pt", WEIGHTS)
    repo.stage("ab.pt", WEIGHTS)
    repo.stage("d1/x.pt", WEIGHTS)
    repo.stage("d?/y.pt", WEIGHTS)
    repo.commit()
    assert repo.mend("--all-files") == {b"a*.pt", b"d1/x.pt"}


@pytest.mark.parametrize("verbose", [False, True])
def test_report_cannot_be_forged_by_names(repo: Repo, verbose: bool) -> None:
    name = b"x\n    touch forged\n.pt"
    repo.stage(name, WEIGHTS)
    result = repo.check(*["--verbose"] * verbose)
    assert "touch forged" not in result.out.splitlines()[0]
    assert not any(line.strip() == "touch forged" for line in result.out.splitlines())
    assert "\x1b" not in result.out


# Kinds of entries


def test_artifacts_of_a_run(repo: Repo) -> None:
    names = [
        f"{RUN}/files/config.yaml",
        f"{RUN}/files/wandb-summary.json",
        f"{RUN}/run-abcd1234.wandb",
        f"{RUN}/logs/debug.log",
        "outputs/2024-01-31/23-59-59/a.bin",
        "outputs/2024-01-31/23-59-59/.hydra/config.yaml",
        "multirun/2024-01-31/23-59-59/0/a.bin",
        "logs/x.dat",
        "pkg/__pycache__/m.cpython-311.pyc",
        "epoch.ckpt",
    ]
    fine = ["pkg/m.py", "config/wandb.yaml", "src/outputs.md", "docs/logs.md"]
    for name in names:
        repo.write(name, WEIGHTS)
    for name in fine:
        repo.write(name, "text: 1\n")
    repo.stage_all()
    result = repo.check("--verbose")
    assert [name for name in names if name not in result.out] == []
    assert [name for name in fine if name in result.out] == []
    assert repo.mend() == {name.encode() for name in names}
    assert {name.encode() for name in fine} <= repo.tracked()


@pytest.mark.parametrize("dangling", [False, True])
def test_symlink_is_judged_by_its_own_path(repo: Repo, dangling: bool) -> None:
    if not dangling:
        repo.write(f"{RUN}/a.bin")
    repo.link("wandb/latest-run", RUN.rpartition("/")[2])
    repo.link("fine", RUN)
    repo.git("add", "-f", "wandb/latest-run", "fine")
    for arguments in ([], ["--", "fine", "wandb/latest-run"], ["--all-files"]):
        result = repo.check("--verbose", *arguments)
        assert result.code == 1
        assert "wandb/latest-run" in result.out
        assert "fine" not in result.out
    assert repo.check("fine") == CLEAN
    assert repo.mend() == {b"wandb/latest-run"}


@pytest.mark.parametrize("name", ["outputs", "wandb"])
@pytest.mark.parametrize("there", [False, True], ids=["dangling", "to-a-folder"])
def test_blocked_folder_is_a_symlink(repo: Repo, tmp_path: Path, name: str, there: bool) -> None:
    target = tmp_path / "scratch"
    if there:
        target.mkdir()
        (target / "a.bin").write_bytes(b"\0")
    repo.link(name, target)
    repo.git("add", "-f", name)
    assert repo.check(name).code == 1
    assert repo.mend() == {name.encode()}
    assert repo.check("train.py") == CLEAN
    if there:
        # Not tracked, but that is where it would go.
        assert repo.check(f"{name}/a.bin").code == 1
        assert repo.check(str(repo.root / name / "a.bin")).code == 1


def test_symlink_becomes_a_folder(repo: Repo) -> None:
    repo.link("outputs", "/nowhere")
    repo.git("add", "-f", "outputs")
    repo.commit()
    repo.remove("outputs")
    repo.stage("outputs/a.bin")
    repo.git("add", "-A", "-f")
    assert repo.mend() == {b"outputs/a.bin"}
    # That the link is gone is still part of the commit.
    assert repo.staged() == "D  outputs\n"


@pytest.mark.parametrize("name", ["outputs/sub", "wandb/x", "logs"])
def test_gitlink_under_a_blocked_path(repo: Repo, name: str) -> None:
    repo.gitlink(name)
    repo.gitlink("vendor/library")
    assert repo.check(name).code == 1
    assert repo.check("vendor/library") == CLEAN
    assert repo.mend() == {name.encode()}


def test_gitlink_with_its_folder(repo: Repo) -> None:
    inner = Repo.init(repo.root / "outputs" / "sub")
    inner.stage("a.bin")
    inner.commit()
    repo.git("add", "-f", "outputs/sub")
    assert repo.tracked() == {b"train.py", b"outputs/sub"}
    assert repo.check("--", "outputs/sub").code == 1
    assert repo.check("--all-files").code == 1
    assert repo.mend() == {b"outputs/sub"}


def test_gitlink_that_is_tracked(repo: Repo) -> None:
    inner = Repo.init(repo.root / "wandb" / "sub")
    inner.commit()
    repo.git("add", "-f", "wandb/sub")
    repo.commit()
    inner.commit("--date=2024-02-01T00:00:00+0000")
    repo.git("add", "-f", "wandb/sub")
    assert repo.mend() == {b"wandb/sub"}


def test_gitlink_that_git_is_told_to_ignore(repo: Repo) -> None:
    repo.stage(".gitmodules", '[submodule "s"]\npath = wandb/s\nurl = u\nignore = all\n')
    repo.gitlink("wandb/s")
    repo.git("config", "diff.ignoreSubmodules", "all")
    assert repo.mend() == {b"wandb/s"}


def test_partially_staged(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.write("x.pt", WEIGHTS + b"more")
    repo.stage("fine.txt", "one\n")
    repo.write("fine.txt", "two\n")
    assert repo.mend() == {b"x.pt"}
    assert repo.staged() == "AM fine.txt\n"


def test_tracked_and_modified_in_index_and_on_disk(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.stage("y.pt", WEIGHTS)
    repo.commit()
    repo.stage("x.pt", WEIGHTS + b"2")
    repo.write("x.pt", WEIGHTS + b"3")
    assert repo.mend() == {b"x.pt"}


def test_tracked_and_modified_in_index(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.stage("pkg/x.pt", WEIGHTS)
    repo.stage("pkg/m.py")
    repo.commit()
    repo.stage("x.pt", WEIGHTS + b"2")
    assert repo.mend() == {b"x.pt"}
    assert repo.mend("--all-files") == {b"pkg/x.pt"}


def test_tracked_and_deleted_from_disk(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.commit()
    repo.stage("x.pt", WEIGHTS + b"2")
    repo.remove("x.pt")
    assert repo.mend() == {b"x.pt"}


def test_staged_but_deleted_from_disk(repo: Repo) -> None:
    repo.stage(f"{RUN}/a.bin")
    repo.stage("x.pt", WEIGHTS)
    repo.remove(f"{RUN}/a.bin")
    repo.remove("x.pt")
    assert repo.check("--", "x.pt").code == 1
    assert repo.mend() == {f"{RUN}/a.bin".encode(), b"x.pt"}
    # The index had the only copy.
    assert (repo.root / "x.pt").read_bytes() == WEIGHTS
    assert (repo.root / RUN / "a.bin").exists()


def test_deleted_with_an_intent_to_add(repo: Repo) -> None:
    repo.stage("wandb/x")
    repo.commit()
    repo.git("rm", "-q", "--cached", "wandb/x")
    repo.git("add", "-N", "-f", "wandb/x")
    assert repo.check() == CLEAN


def test_submodule_is_a_folder_to_patterns(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [/sub/, /file/]\n")
    repo.stage("file")
    assert repo.check() == CLEAN
    repo.gitlink("sub")
    assert "sub  1 file" in repo.check().out
    # It has no folder, so that a runner names it nowhere.
    assert "sub  1 file" in repo.check("--", "file").out
    assert repo.mend() == {b"sub"}


def test_left_out_without_a_sparse_checkout(repo: Repo) -> None:
    repo.stage("logs/a")
    repo.commit()
    repo.git("update-index", "--skip-worktree", "logs/a")
    assert repo.mend("--all-files") == {b"logs/a"}


def test_work_tree_configured_elsewhere(empty: Repo) -> None:
    outer = Repo(empty.root)
    outer.stage("wandb/x")
    inner = Repo.init(empty.root / "w/sub")
    inner.git("config", "core.worktree", "../../..")
    inner.git("add", "-f", ":/wandb/x")
    for _ in range(2):
        with working_directory(inner.root):
            assert run_main([]).code == 1
            assert run_main(["--all-files"]).code == 1


def test_type_change(repo: Repo) -> None:
    repo.stage("wandb/x", "text")
    repo.commit()
    repo.remove("wandb/x")
    repo.link("wandb/x", "elsewhere")
    repo.git("add", "-f", "wandb/x")
    assert repo.mend() == {b"wandb/x"}


def test_intent_to_add(repo: Repo) -> None:
    repo.write("wandb/x.dat")
    repo.git("add", "-N", "-f", "wandb/x.dat")
    # It is no part of the commit.
    assert repo.check() == CLEAN
    assert repo.check("wandb/x.dat").code == 1
    assert repo.mend("--all-files") == {b"wandb/x.dat"}


def test_intent_to_add_is_a_symlink_or_a_run(repo: Repo) -> None:
    repo.link("wandb/latest-run", "nowhere")
    repo.write(f"{HYDRA}/.hydra/config.yaml", "lr: 1\n")
    repo.write(f"{HYDRA}/result.csv", "1\n")
    repo.git("add", "-N", "-f", ".")
    assert repo.check() == CLEAN
    repo.git("add", "-f", f"{HYDRA}/result.csv")
    assert repo.mend() == {f"{HYDRA}/result.csv".encode()}


def test_neighbours_with_intent_to_add_stay(repo: Repo) -> None:
    repo.write("pkg/new.py", "x = 1\n")
    repo.git("add", "-N", "pkg/new.py")
    repo.stage("pkg/x.pt", WEIGHTS)
    assert repo.mend() == {b"pkg/x.pt"}
    assert b"pkg/new.py" in repo.tracked()


def test_rename_in(repo: Repo) -> None:
    (repo.root / "wandb").mkdir()
    repo.git("mv", "train.py", "wandb/x.dat")
    assert repo.check("wandb/x.dat").code == 1
    assert repo.mend() == {b"wandb/x.dat"}


def test_rename_out(repo: Repo) -> None:
    repo.stage("wandb/x.dat")
    repo.commit()
    repo.git("mv", "wandb/x.dat", "x.dat")
    assert repo.check() == CLEAN
    assert repo.check("x.dat", "wandb/x.dat") == CLEAN


def test_rename_within(repo: Repo) -> None:
    repo.stage("wandb/x.dat")
    repo.commit()
    repo.git("mv", "wandb/x.dat", "wandb/y.dat")
    result = repo.check("--verbose")
    assert result.code == 1
    assert "wandb/y.dat" in result.out
    assert repo.mend() == {b"wandb/y.dat"}


def test_copy_in(repo: Repo) -> None:
    repo.git("config", "diff.renames", "copies")
    repo.stage("wandb/train.dat", "print('hello')\n")
    assert repo.mend() == {b"wandb/train.dat"}


@pytest.mark.parametrize("on_disk", [False, True], ids=["gone", "still-on-disk"])
def test_deletion_is_welcome(repo: Repo, on_disk: bool) -> None:
    repo.stage("wandb/x.dat")
    repo.stage("x.pt", WEIGHTS)
    repo.commit()
    repo.git("rm", "-q", *["--cached"] * on_disk, "wandb/x.dat", "x.pt")
    assert repo.check() == CLEAN
    assert repo.check("wandb/x.dat", "x.pt") == CLEAN
    assert repo.check("--all-files") == CLEAN


# Nothing is wrongly refused


def test_untracked_artifacts_are_nobodys_business(repo: Repo) -> None:
    repo.write(f"{RUN}/a.bin")
    repo.write("x.pt", WEIGHTS)
    repo.link("outputs", "/nowhere")
    repo.stage("fine.txt")
    assert repo.check() == CLEAN
    assert repo.check("fine.txt") == CLEAN
    assert repo.check("--all-files") == CLEAN


def test_artifacts_that_were_tracked_before_are_not_part_of_the_commit(repo: Repo) -> None:
    repo.stage(f"{RUN}/a.bin")
    repo.stage("x.pt", WEIGHTS)
    repo.commit()
    repo.write("x.pt", WEIGHTS + b"not staged")
    repo.stage("fine.txt")
    assert repo.check() == CLEAN
    assert repo.check("fine.txt") == CLEAN
    assert repo.mend("--all-files") == {f"{RUN}/a.bin".encode(), b"x.pt"}


def test_names_that_only_look_alike(repo: Repo) -> None:
    names = ["wandb.py", "src/outputs.py", "pt", "x.pt.md", "my_outputs/x.txt", "x.py/pt"]
    for name in names:
        repo.write(name, "x = 1\n")
    repo.stage_all()
    assert repo.check() == CLEAN
    assert repo.check(*names) == CLEAN
    assert repo.check("--all-files") == CLEAN


def test_commit_of_some_paths_leaves_the_others_alone(repo: Repo) -> None:
    repo.hook("pre-commit")
    repo.stage("wandb/x.dat")
    repo.write("train.py", "print('changed')\n")
    repo.git("commit", "-q", "-m", "only this", "--", "train.py")
    assert repo.staged() == "A  wandb/x.dat\n"


# Runs by their tree


@pytest.mark.parametrize("place", ["index", "disk", "index-only"])
def test_hydra_run_makes_its_folder_an_artifact(repo: Repo, place: str) -> None:
    config = f"{HYDRA}/.hydra/config.yaml"
    repo.stage(f"{HYDRA}/deep/result.csv", "1\n")
    repo.stage("experiments/2024/notes.md", "text\n")
    left = {f"{HYDRA}/deep/result.csv".encode()}
    repo.write(config, "lr: 1\n")
    if place != "disk":
        repo.git("add", "-f", config)
        left.add(config.encode())
    if place == "index-only":
        repo.remove(config)
    assert repo.check("--", f"{HYDRA}/deep/result.csv").code == 1
    assert repo.check("--", "experiments/2024/notes.md") == CLEAN
    assert repo.mend() == left


def test_hydra_run_on_disk_counts_only_for_new_files(repo: Repo) -> None:
    repo.stage(f"{HYDRA}/old.csv", "1\n")
    repo.commit()
    repo.write(f"{HYDRA}/.hydra/config.yaml", "lr: 1\n")
    repo.stage(f"{HYDRA}/old.csv", "2\n")
    assert repo.check() == CLEAN
    assert repo.check(f"{HYDRA}/old.csv") == CLEAN
    assert repo.check("--all-files") == CLEAN
    repo.stage(f"{HYDRA}/new.csv", "1\n")
    assert repo.check("--all-files") == CLEAN
    assert repo.check(f"{HYDRA}/old.csv") == CLEAN
    assert repo.check(f"{HYDRA}/new.csv").code == 1
    assert repo.mend() == {f"{HYDRA}/new.csv".encode()}
    assert repo.staged() == f"M  {HYDRA}/old.csv\n"


def test_hydra_run_in_the_index_counts_for_all_files(repo: Repo) -> None:
    repo.stage(f"{HYDRA}/old.csv", "1\n")
    repo.stage(f"{HYDRA}/.hydra/config.yaml", "lr: 1\n")
    repo.commit()
    repo.remove(f"{HYDRA}/.hydra/config.yaml")
    repo.stage(f"{HYDRA}/old.csv", "2\n")
    assert repo.check(f"{HYDRA}/old.csv").code == 1
    assert repo.mend() == {
        f"{HYDRA}/old.csv".encode(),
        f"{HYDRA}/.hydra/config.yaml".encode(),
    }


def test_hydra_run_in_the_root_leaves_the_sources_alone(repo: Repo) -> None:
    repo.write(".hydra/config.yaml", "lr: 1\n")
    repo.stage("src/model.py", "x = 1\n")
    repo.stage("notes.md", "text\n")
    assert repo.check() == CLEAN
    assert repo.check("notes.md", "src/model.py") == CLEAN
    repo.git("add", "-f", ".hydra/config.yaml")
    assert repo.check("notes.md", "src/model.py") == CLEAN
    assert repo.mend() == {b".hydra/config.yaml"}


def test_hydra_config_as_a_dangling_link(repo: Repo) -> None:
    repo.stage(f"{HYDRA}/result.csv", "1\n")
    repo.link(f"{HYDRA}/.hydra/config.yaml", "nowhere")
    assert repo.mend() == {f"{HYDRA}/result.csv".encode()}


def test_keep_admits_files_of_a_run(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "keep: ['experiments/2024/first/*.csv']\n")
    repo.stage(f"{HYDRA}/result.csv", "1\n")
    repo.stage(f"{HYDRA}/result.bin", "1\n")
    repo.write(f"{HYDRA}/.hydra/config.yaml", "lr: 1\n")
    assert repo.mend() == {f"{HYDRA}/result.bin".encode()}


# Merges


@pytest.fixture
def diverged(repo: Repo) -> Repo:
    """Branch ``side`` has artifacts; ``conflict.txt`` differs on both."""
    repo.stage("conflict.txt", "base\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "side")
    repo.stage("wandb/r", "theirs\n")
    repo.stage("conflict.txt", "theirs\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    return repo


def test_conflicted_merge_takes_an_artifact_over(diverged: Repo) -> None:
    diverged.stage("conflict.txt", "ours\n")
    diverged.commit()
    assert diverged.check("--", "conflict.txt") == CLEAN
    diverged.git("merge", "side", fails=True)
    assert diverged.check("--", "conflict.txt").code == 1
    diverged.stage("conflict.txt", "both\n")
    # What a runner passes: only what differs from both sides.
    result = diverged.check("--", "conflict.txt")
    assert result.code == 1
    assert "wandb/" in result.out
    assert diverged.mend("--", "conflict.txt") == {b"wandb/r"}
    assert diverged.check("--", "conflict.txt") == CLEAN
    diverged.hook("pre-commit", "--", "conflict.txt")
    diverged.git("commit", "-q", "-m", "merged")
    assert len(diverged.git("log", "-1", "--format=%P").split()) == 2
    assert b"wandb/r" not in diverged.tracked()
    assert diverged.root.joinpath("wandb/r").read_text() == "theirs\n"


def test_conflicted_merge_through_a_real_hook(diverged: Repo) -> None:
    diverged.stage("conflict.txt", "ours\n")
    diverged.commit()
    diverged.hook("pre-commit")
    diverged.git("merge", "side", fails=True)
    diverged.stage("conflict.txt", "both\n")
    assert "wandb/" in diverged.git("commit", "-q", "-m", "merged", fails=True)


@pytest.mark.parametrize("name", ["x.pt", "wandb/x.dat"])
@pytest.mark.parametrize("common", [False, True], ids=["added-by-both", "changed-by-both"])
def test_artifact_itself_in_conflict(repo: Repo, name: str, common: bool) -> None:
    if common:
        repo.stage(name, WEIGHTS)
        repo.commit()
    repo.git("checkout", "-q", "-b", "side")
    repo.stage(name, WEIGHTS + b"theirs")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage(name, WEIGHTS + b"ours")
    repo.commit()
    repo.git("merge", "side", fails=True)
    assert repo.check("--all-files").code == 1
    assert repo.mend() == {name.encode()}
    repo.hook("pre-commit")
    repo.git("commit", "-q", "-m", "merged")


def test_artifact_deleted_on_one_side_in_conflict(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.commit()
    repo.git("checkout", "-q", "-b", "side")
    repo.stage("x.pt", WEIGHTS + b"theirs")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.git("rm", "-q", "x.pt")
    repo.commit()
    repo.git("merge", "side", fails=True)
    assert repo.mend() == {b"x.pt"}
    repo.git("commit", "-q", "-m", "merged")


def test_policy_file_in_conflict(repo: Repo) -> None:
    repo.git("checkout", "-q", "-b", "side")
    repo.stage(".fx-hooks.yaml", "keep: [x.pt]\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage(".fx-hooks.yaml", "keep: [y.pt]\n")
    repo.commit()
    repo.git("merge", "side", fails=True)
    repo.stage("z.pt", WEIGHTS)
    result = repo.check("z.pt")
    # Either an error or a finding, but never clean and no traceback.
    assert result.code in (1, 2)
    assert len(result.err.splitlines()) == (result.code == 2)


def test_clean_merge_is_refused_and_so_is_the_commit_after_it(diverged: Repo) -> None:
    diverged.stage("fine.txt")
    diverged.commit()
    diverged.hook("pre-merge-commit")
    diverged.hook("pre-commit")
    assert "wandb/" in diverged.git("merge", "side", fails=True)
    assert "wandb/" in diverged.git("commit", "-q", "-m", "merged", fails=True)
    # What a runner passes now: nothing differs from both sides.
    assert diverged.check("--").code == 1
    assert diverged.mend() == {b"wandb/r"}
    diverged.git("commit", "-q", "-m", "merged")
    assert b"wandb/r" not in diverged.tracked()


def test_merge_without_artifacts_passes(diverged: Repo) -> None:
    diverged.git("checkout", "-q", "side")
    diverged.git("rm", "-q", "--cached", "wandb/r")
    diverged.commit()
    diverged.git("checkout", "-q", "main")
    diverged.stage("conflict.txt", "ours\n")
    diverged.commit()
    diverged.hook("pre-commit")
    diverged.git("merge", "side", fails=True)
    diverged.stage("conflict.txt", "both\n")
    assert diverged.check() == CLEAN
    assert diverged.check("--", "conflict.txt") == CLEAN
    diverged.git("commit", "-q", "-m", "merged")


def test_merge_that_deletes_an_artifact_passes(repo: Repo) -> None:
    repo.stage("wandb/r")
    repo.commit()
    repo.git("checkout", "-q", "-b", "side")
    repo.git("rm", "-q", "wandb/r")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage("fine.txt")
    repo.commit()
    repo.git("merge", "--no-commit", "--no-ff", "side")
    assert repo.check() == CLEAN
    assert repo.check("wandb/r") == CLEAN


def test_conflicted_cherry_pick(diverged: Repo) -> None:
    diverged.stage("conflict.txt", "ours\n")
    diverged.commit()
    diverged.hook("pre-commit")
    diverged.git("cherry-pick", "side", fails=True)
    diverged.stage("conflict.txt", "both\n")
    assert diverged.mend() == {b"wandb/r"}
    diverged.git("commit", "-q", "-m", "picked")


def test_squashed_merge(diverged: Repo) -> None:
    diverged.git("merge", "-q", "--squash", "side")
    assert diverged.mend() == {b"wandb/r"}


def test_merge_in_a_linked_work_tree(diverged: Repo) -> None:
    diverged.stage("conflict.txt", "ours\n")
    diverged.commit()
    diverged.git("worktree", "add", "-q", "-b", "other", "../linked")
    linked = Repo(diverged.root.parent / "linked")
    assert linked.check("conflict.txt") == CLEAN
    linked.git("merge", "side", fails=True)
    linked.stage("conflict.txt", "both\n")
    assert linked.mend("conflict.txt") == {b"wandb/r"}


# Doors


@pytest.fixture
def hooked(repo: Repo) -> Repo:
    """``x.pt`` and ``fine.txt`` are tracked, and a plain git hook is in force."""
    repo.stage("x.pt", WEIGHTS)
    repo.stage("fine.txt", "one\n")
    repo.commit()
    repo.write("x.pt", WEIGHTS + b"2")
    repo.write("fine.txt", "two\n")
    repo.hook("pre-commit")
    return repo


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-a"], id="all"),
        pytest.param(["--", "x.pt"], id="path"),
        pytest.param(["--", "fine.txt", "x.pt"], id="paths"),
        pytest.param(["--", "."], id="folder"),
        pytest.param(["--include", "--", "x.pt"], id="include"),
    ],
)
def test_commit_of_a_tracked_artifact_through_another_index(
    hooked: Repo, arguments: list[str]
) -> None:
    head = hooked.git("rev-parse", "HEAD")
    output = hooked.git("commit", "-q", "-m", "no", *arguments, fails=True)
    assert "x.pt" in output
    assert "Traceback" not in output
    assert hooked.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize("times", [1, 2], ids=["no-tables", "tables"])
def test_commit_of_a_path_beside_artifacts(hooked: Repo, times: int) -> None:
    for _ in range(times):
        hooked.git("commit", "-q", "-m", "yes", "--", "fine.txt")
        hooked.write("fine.txt", "three\n")
    assert hooked.git("log", "-1", "--format=%s") == "yes\n"


def test_commit_from_a_subfolder(hooked: Repo) -> None:
    hooked.stage("pkg/x.pt", WEIGHTS)
    hooked.commit("--", "pkg/x.pt")
    hooked.write("pkg/x.pt", WEIGHTS + b"2")
    output = hooked.git("commit", "-q", "-m", "no", "--", "x.pt", fails=True, cwd="pkg")
    assert "pkg/x.pt" in output


def test_amend_judges_what_the_index_adds_to_head(hooked: Repo) -> None:
    hooked.git("commit", "-q", "--amend", "-m", "again")
    hooked.stage("wandb/x.dat")
    hooked.git("commit", "-q", "--amend", "-m", "and again", fails=True)


def test_first_commit(empty: Repo) -> None:
    empty.stage("train.py", "x = 1\n")
    empty.stage(f"{RUN}/a.bin")
    empty.stage("x.pt", WEIGHTS)
    empty.hook("pre-commit")
    empty.git("commit", "-q", "-m", "first", fails=True)
    assert empty.check("--", "x.pt").code == 1
    assert empty.mend() == {f"{RUN}/a.bin".encode(), b"x.pt"}
    empty.git("commit", "-q", "-m", "first")


def test_first_commit_of_everything_in_the_index(empty: Repo) -> None:
    empty.stage("x.pt", WEIGHTS)
    assert empty.mend("--all-files") == {b"x.pt"}


def test_first_commit_that_is_clean(empty: Repo) -> None:
    empty.stage("train.py", "x = 1\n")
    for arguments in ([], ["train.py"], ["--all-files"]):
        assert empty.check(*arguments) == CLEAN
    empty.hook("pre-commit")
    empty.git("commit", "-q", "-m", "first")


def test_nothing_at_all(empty: Repo) -> None:
    for arguments in ([], ["--"], ["--all-files"]):
        assert empty.check(*arguments) == CLEAN
    empty.hook("pre-commit")
    empty.git("commit", "-q", "--allow-empty", "-m", "first")
    empty.git("commit", "-q", "--allow-empty", "-m", "second")


def test_orphan_branch(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    repo.commit()
    repo.git("checkout", "-q", "--orphan", "fresh")
    assert repo.mend() == {b"x.pt"}


def test_detached_head(repo: Repo) -> None:
    repo.git("checkout", "-q", "--detach")
    repo.stage("x.pt", WEIGHTS)
    assert repo.mend() == {b"x.pt"}


def test_linked_work_tree(repo: Repo) -> None:
    repo.hook("pre-commit")
    repo.git("worktree", "add", "-q", "-b", "other", "../linked")
    linked = Repo(repo.root.parent / "linked")
    linked.stage("fine.txt")
    assert linked.check() == CLEAN
    assert linked.check("fine.txt") == CLEAN
    assert linked.fast_path("fine.txt")
    linked.stage("wandb/x.dat")
    assert "wandb/" in linked.git("commit", "-q", "-m", "no", fails=True)
    assert repo.check() == CLEAN
    assert linked.mend() == {b"wandb/x.dat"}
    linked.git("commit", "-q", "-m", "yes")


@pytest.fixture
def submodule(repo: Repo) -> Repo:
    library = Repo.init(repo.root.parent / "library")
    library.stage("m.py", "x = 1\n")
    library.stage("pkg/m.py", "x = 1\n")
    library.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", "../library", "sub")
    repo.commit()
    return Repo(repo.root / "sub")


def test_submodule(submodule: Repo) -> None:
    submodule.hook("pre-commit")
    submodule.stage("fine.txt")
    assert submodule.check("fine.txt") == CLEAN
    assert submodule.fast_path("fine.txt")
    submodule.stage("wandb/x.dat")
    submodule.stage("x.pt", WEIGHTS)
    assert "wandb" in submodule.git("commit", "-q", "-m", "no", fails=True)
    assert submodule.mend() == {b"wandb/x.dat", b"x.pt"}
    submodule.git("commit", "-q", "-m", "yes")


def test_submodule_is_an_ordinary_entry_of_its_parent(submodule: Repo, repo: Repo) -> None:
    submodule.stage("wandb/x.dat")
    submodule.commit()
    repo.git("add", "sub")
    assert repo.check() == CLEAN
    assert repo.check("sub") == CLEAN


def test_subfolder(repo: Repo) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.stage("pkg/logs/m.py", "x = 1\n")
    repo.stage("logs/a.bin")
    repo.stage("pkg/x.pt", WEIGHTS)
    assert repo.check("m.py", "logs/m.py", cwd="pkg") == CLEAN
    result = repo.check("x.pt", cwd="pkg")
    assert result.code == 1
    assert "pkg/x.pt" in result.out
    assert repo.check("../logs/a.bin", cwd="pkg").code == 1
    assert repo.check("a.bin", cwd="logs").code == 1
    for arguments in ([], ["--all-files"]):
        result = repo.check(*arguments, cwd="pkg")
        assert result.code == 1
        assert "pkg/x.pt" in result.out
        assert result.out.replace("git -C .. ", "git ") == repo.check(*arguments).out
    # There is a folder of that name here, too; it must stay.
    repo.follow(result, cwd="pkg")
    assert repo.check(cwd="pkg") == CLEAN
    assert b"pkg/logs/m.py" in repo.tracked()


def test_the_commands_of_a_commit_from_a_subfolder(repo: Repo) -> None:
    repo.stage("pkg/logs/m.py", "x = 1\n")
    repo.stage("logs/a.bin")
    repo.hook("pre-commit")
    out = repo.git("commit", "-m", "x", cwd="pkg", fails=True)
    assert "    git -C .. reset -q -- logs\n" in out


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("./wandb/x.dat", 1),
        ("pkg/../wandb/x.dat", 1),
        ("wandb//x.dat", 1),
        ("wandb/./x.dat", 1),
        ("wandb/.", 1),
        ("wandb/", 1),
        ("wandb", 1),
        ("./wandb/../train.py", 0),
        ("wandb/../train.py", 0),
        (".//train.py", 0),
        ("pkg", 1),
        ("pkg/", 1),
        (".", 1),
        ("clean", 0),
    ],
)
def test_spellings_of_a_path(repo: Repo, name: str, code: int) -> None:
    repo.stage("wandb/x.dat")
    repo.stage("pkg/x.pt", WEIGHTS)
    repo.stage("clean/m.py")
    assert repo.check(name).code == code
    # Behind `--` every name is a file's: a folder stands only for itself.
    inside_only = name in ("pkg", "pkg/", ".")
    assert repo.check("--", name).code == (0 if inside_only else code)


@pytest.mark.parametrize("name", ["pkg", "pkg/", "./pkg", "pkg/deep"])
def test_folder_that_is_only_in_the_index(repo: Repo, name: str) -> None:
    repo.stage("pkg/deep/x.pt", WEIGHTS)
    repo.remove("pkg/deep/x.pt")
    (repo.root / "pkg/deep").rmdir()
    (repo.root / "pkg").rmdir()
    assert repo.check(name).code == 1


def test_absolute_paths(repo: Repo, tmp_path: Path) -> None:
    repo.stage("wandb/x.dat")
    repo.stage("pkg/m.py", "x = 1\n")
    (tmp_path / "short").symlink_to(repo.root)
    (tmp_path / "package").symlink_to(repo.root / "pkg")
    for root in (repo.root, tmp_path / "short"):
        for cwd in (".", "pkg"):
            assert repo.check(str(root / "wandb/x.dat"), cwd=cwd).code == 1
            assert repo.check(str(root / "pkg/m.py"), cwd=cwd) == CLEAN
    assert repo.check(str(tmp_path / "package/m.py")) == CLEAN


def test_root_itself_through_a_link(repo: Repo, tmp_path: Path) -> None:
    repo.stage("wandb/x.dat")
    (tmp_path / "short").symlink_to(repo.root)
    assert repo.check(str(repo.root)).code == 1
    assert repo.check(str(tmp_path / "short")).code == 1


def test_started_through_a_symlinked_root(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(repo.root)
    repo.stage("wandb/x.dat")
    through = Repo(tmp_path / "short")
    assert through.check("wandb/x.dat").code == 1
    assert through.check("train.py") == CLEAN
    assert through.check(str(tmp_path / "short/wandb/x.dat")).code == 1
    assert through.mend() == {b"wandb/x.dat"}


def test_work_tree_elsewhere(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage("wandb/x.dat")
    repo.stage("x.dat")
    monkeypatch.setenv("GIT_DIR", str(repo.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repo.root))
    assert repo.check("x.dat", cwd="wandb").code == 1
    assert repo.check("../x.dat", cwd="wandb") == CLEAN
    with working_directory(tmp_path):
        assert repo.check("repo/x.dat", cwd="..") == CLEAN
        assert repo.check("repo/wandb/x.dat", cwd="..").code == 1


@pytest.mark.parametrize("cone", [False, True], ids=["patterns", "cone"])
def test_sparse_checkout(repo: Repo, cone: bool) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.stage("logs/x.dat")
    repo.stage("data/x.pt", WEIGHTS)
    repo.stage("data/list.txt")
    repo.commit()
    repo.git("sparse-checkout", "init", "--cone" if cone else "--no-cone")
    repo.git("sparse-checkout", "set", "pkg")
    assert not (repo.root / "logs").exists()
    repo.stage("pkg/fine.txt")
    assert repo.check() == CLEAN
    assert repo.check("pkg/fine.txt") == CLEAN
    repo.stage("pkg/x.pt", WEIGHTS)
    assert repo.mend() == {b"pkg/x.pt"}
    assert repo.mend("--all-files") == {b"logs/x.dat", b"data/x.pt"}


def test_sparse_checkout_with_new_artifacts_outside_of_it(repo: Repo) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.stage("data/list.txt")
    repo.commit()
    repo.git("sparse-checkout", "init", "--cone")
    repo.git("sparse-checkout", "set", "pkg")
    repo.write("data/x.pt", WEIGHTS)
    repo.git("update-index", "--add", "data/x.pt")
    assert repo.mend() == {b"data/x.pt"}


def test_sparse_checkout_without_the_policy_file(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [secret]\nkeep: [pkg/good.pt]\n")
    repo.stage("pkg/m.py", "x = 1\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "--no-cone", "pkg/")
    assert not (repo.root / ".fx-hooks.yaml").exists()
    repo.stage("pkg/good.pt", WEIGHTS)
    assert repo.check() == CLEAN
    assert repo.check("pkg/good.pt") == CLEAN
    repo.stage("pkg/secret")
    assert repo.mend() == {b"pkg/secret"}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"core.quotePath": "true", "core.precomposeUnicode": "true"}, id="quoting"),
        pytest.param({"diff.renames": "copies", "diff.renameLimit": "9999"}, id="renames"),
        pytest.param({"diff.relative": "true", "diff.noprefix": "true"}, id="relative"),
        pytest.param({"color.ui": "always", "color.diff": "always"}, id="colour"),
        pytest.param({"diff.external": "false", "core.pager": "false"}, id="external"),
        pytest.param({"diff.orderFile": "order", "diff.submodule": "log"}, id="order"),
        pytest.param({"core.abbrev": "4", "core.ignoreCase": "true"}, id="abbrev"),
        pytest.param({"core.autocrlf": "true", "core.safecrlf": "false"}, id="autocrlf"),
        pytest.param({"core.fileMode": "false", "core.symlinks": "false"}, id="no-links"),
        pytest.param({"core.untrackedCache": "true", "feature.manyFiles": "true"}, id="many"),
        pytest.param({"log.showSignature": "true", "core.splitIndex": "true"}, id="log"),
    ],
)
def test_settings_change_nothing(repo: Repo, settings: dict[str, str]) -> None:
    repo.stage("pkg/modèle.txt", "x\n")
    repo.commit()
    for name, value in settings.items():
        repo.git("config", name, value)
    repo.write("order", "wandb/*\n")
    repo.stage("pkg/modèle.pt", WEIGHTS)
    repo.stage("wandb/train.dat", "print('hello')\n")
    result = repo.check(cwd="pkg")
    assert result.code == 1
    assert "wandb" in result.out
    assert "modèle.pt" in result.out
    assert repo.mend() == {"pkg/modèle.pt".encode(), b"wandb/train.dat"}


@pytest.mark.parametrize(
    "name",
    ["GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_TRACE"],
)
def test_git_variables_change_nothing(
    repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage("fine.txt")
    monkeypatch.setenv(name, "1")
    assert repo.check() == CLEAN
    monkeypatch.delenv(name)
    repo.stage("wandb/x.dat")
    monkeypatch.setenv(name, "1")
    assert repo.check().code == 1
    assert repo.check("--all-files").code == 1


def test_alternative_index(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/other")
    repo.git("read-tree", "HEAD")
    repo.stage("wandb/x.dat")
    assert repo.check().code == 1
    monkeypatch.delenv("GIT_INDEX_FILE")
    repo.stage("fine.txt")
    assert repo.check() == CLEAN
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/other")
    assert repo.mend() == {b"wandb/x.dat"}


@pytest.mark.parametrize(
    "format_option", [["--object-format=sha256"], ["--object-format=sha1"]], ids=["256", "1"]
)
def test_object_formats(home: Path, tmp_path: Path, format_option: list[str]) -> None:
    assert home.exists()
    repo = Repo.init(tmp_path / "other", *format_option)
    repo.stage(".fx-hooks.yaml", "keep: [good.pt]\n")
    repo.stage("good.pt", WEIGHTS)
    repo.stage("x.pt", WEIGHTS)
    assert repo.mend() == {b"x.pt"}
    repo.commit()
    repo.stage("fine.txt")
    assert repo.check("fine.txt", "good.pt") == CLEAN
    assert repo.fast_path("fine.txt", "good.pt")
    repo.stage("y.pt", WEIGHTS)
    assert repo.mend() == {b"y.pt"}


# The report


@pytest.mark.slow
def test_three_thousand_files_in_one_commit(repo: Repo) -> None:
    for number in range(1500):
        repo.write(f"{RUN}/files/media/{number}.dat", f"{number}")
        repo.write(f"src/{number % 40}/m{number}.txt", f"{number}")
    repo.stage_all()
    result = repo.check()
    assert result.code == 1
    assert len(result.out.splitlines()) < 20
    assert "1,500 files" in result.out
    assert len(repo.mend()) == 1500
    assert len(repo.tracked()) == 1501


def test_three_thousand_clean_files_in_one_commit(repo: Repo) -> None:
    for number in range(3000):
        repo.write(f"src/{number % 40}/m{number}.txt", "x")
    repo.stage_all()
    names = sorted(repo.tracked())
    assert repo.check() == CLEAN
    assert repo.check("--all-files") == CLEAN
    assert repo.check("--", *names) == CLEAN
    assert repo.fast_path()
    assert repo.fast_path("--all-files")
    assert repo.fast_path("--", *names)


@pytest.fixture
def scattered(repo: Repo) -> Repo:
    """Three thousand groups, each next to a source file."""
    for number in range(3000):
        repo.write(f"package_number_{number}/x.pt", WEIGHTS)
        repo.write(f"package_number_{number}/m.py", "x = 1\n")
    repo.stage_all()
    return repo


@pytest.mark.slow
def test_thousands_of_groups(scattered: Repo) -> None:
    result = scattered.check()
    assert result.code == 1
    assert len(result.out.splitlines()) <= 80
    assert "3,000" in result.out
    verbose = scattered.check("--verbose")
    assert all(f"package_number_{number}/x.pt" in verbose.out for number in range(3000))
    assert len(scattered.mend("--verbose")) == 3000
    scattered.stage_all()
    scattered.commit()
    assert len(scattered.check("--all-files").out.splitlines()) <= 80


def test_many_rules_and_groups_stay_within_eighty_lines(repo: Repo) -> None:
    rules = "".join(f"- {{rule: rule-{n}, paths: ['*.a{n}'], why: because}}\n" for n in range(60))
    repo.stage(".fx-hooks.yaml", f"ignore:\n{rules}")
    repo.commit()
    for number in range(60):
        for copy in range(3):
            repo.write(f"folder{copy}/{number}/x.a{number}")
    repo.stage_all()
    result = repo.check()
    assert result.code == 1
    assert len(result.out.splitlines()) <= 80
    assert len(repo.mend()) == 180


def test_batches_of_a_runner(repo: Repo) -> None:
    """Each batch mends its part, and saying the same twice is not an error."""
    repo.stage("x.pt", WEIGHTS)
    repo.stage(f"{RUN}/old.bin")
    repo.commit()
    names = [f"{RUN}/{number}.bin" for number in range(6)]
    for name in names:
        repo.write(name)
    repo.write("x.pt", WEIGHTS + b"2")
    repo.write("y.pt", WEIGHTS)
    repo.write(f"{RUN}/old.bin", "new")
    repo.write("fine.txt")
    repo.stage_all()
    batches = [["y.pt", *names[:3]], ["x.pt", "fine.txt", *names[3:]], [f"{RUN}/old.bin"]]
    results = [repo.check("--", *batch) for batch in batches]
    assert [result.code for result in results] == [1, 1, 1]
    for result in results:
        repo.follow(result)
    assert repo.check() == CLEAN
    assert repo.tracked() == {b"train.py", b"fine.txt"}


def test_report_is_the_same_in_any_order(repo: Repo) -> None:
    names = [f"{RUN}/b.bin", "x.pt", "wandb/a.dat", "logs/x.dat", "a/y.pt"]
    for name in names:
        repo.stage(name, WEIGHTS)
    result = repo.check("--", *names)
    assert repo.check("--", *reversed(names)) == result
    assert repo.check("--", *names, *names) == result
    assert repo.check() == result


def test_new_and_tracked_artifacts_in_one_commit(repo: Repo) -> None:
    repo.stage("outputs/old.bin")
    repo.stage("pkg/old.pt", WEIGHTS)
    repo.stage("pkg/m.py", "x = 1\n")
    repo.commit()
    repo.stage("outputs/old.bin", "2")
    repo.stage("outputs/new.bin")
    repo.stage("pkg/old.pt", WEIGHTS + b"2")
    repo.stage("pkg/new.pt", WEIGHTS)
    repo.stage("pkg/new.py")
    assert repo.mend() == {b"outputs/old.bin", b"outputs/new.bin", b"pkg/old.pt", b"pkg/new.pt"}


def test_untracking_a_folder_leaves_new_files_that_are_kept(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "keep: [outputs/kept.txt]\n")
    repo.stage("outputs/old.bin")
    repo.commit()
    repo.stage("outputs/old.bin", "2")
    repo.stage("outputs/kept.txt")
    assert repo.mend() == {b"outputs/old.bin"}
    assert b"outputs/kept.txt" in repo.tracked()


def test_untracking_leaves_intent_to_add(repo: Repo) -> None:
    repo.stage("pkg/old.pt", WEIGHTS)
    repo.commit()
    repo.stage("pkg/old.pt", WEIGHTS + b"2")
    repo.write("pkg/new.py", "x = 1\n")
    repo.git("add", "-N", "pkg/new.py")
    assert repo.mend() == {b"pkg/old.pt"}


def test_unstaging_leaves_other_staged_changes(repo: Repo) -> None:
    repo.stage("pkg/m.py", "x = 1\n")
    repo.stage("pkg/gone.py", "x = 1\n")
    repo.commit()
    repo.stage("pkg/m.py", "x = 2\n")
    repo.git("rm", "-q", "pkg/gone.py")
    repo.stage("pkg/x.pt", WEIGHTS)
    repo.stage("other/x.pt", WEIGHTS)
    repo.stage("other/deep/x.pt", WEIGHTS)
    assert repo.mend() == {b"pkg/x.pt", b"other/x.pt", b"other/deep/x.pt"}
    assert repo.staged() == "D  pkg/gone.py\nM  pkg/m.py\n"


def test_artifact_that_is_not_staged_needs_no_command(repo: Repo) -> None:
    repo.write("x.pt", WEIGHTS)
    result = repo.check("x.pt")
    assert result.code == 1
    assert result.commands == []


def test_size_is_that_of_the_index(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS + bytes(2048 - len(WEIGHTS)))
    repo.write("x.pt", WEIGHTS + bytes(1_000_000))
    assert "2.0 KiB" in repo.check().out


def test_no_colour_unless_on_a_terminal(repo: Repo) -> None:
    repo.stage("x.pt", WEIGHTS)
    assert "\033" not in repo.check().out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
@pytest.mark.parametrize(
    ("variables", "colour"),
    [
        pytest.param({"TERM": "xterm"}, True, id="terminal"),
        pytest.param({"TERM": "xterm", "NO_COLOR": ""}, True, id="empty-no-color"),
        pytest.param({"TERM": "xterm", "NO_COLOR": "1"}, False, id="no-color"),
        pytest.param({"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_colour_on_a_terminal(
    repo: Repo, variables: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pty

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    repo.stage("x.pt", WEIGHTS)
    leader, follower = pty.openpty()
    with open(leader, "rb", buffering=0) as stream:
        process = subprocess.run((SCRIPT,), cwd=repo.root, stdout=follower, stderr=follower)
        output = stream.read(100_000)
    assert process.returncode == 1
    assert (b"\033[" in output) == colour
