"""``fx-check-artifacts --fix``, and advice that fits what was found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fx_hooks import sync_gitignore
from tests.contract_support import STATE
from tests.support import CLEAN, Repo, run

RUN = "wandb/run-20250101_000000-a1b2c3d4/files/x.json"


def test_new_artifacts_leave_the_index_and_stay_on_disk(repo: Repo) -> None:
    repo.stage("b.py")
    repo.stage(RUN)
    before = repo.on_disk()
    result = repo.check_once("--fix")
    assert result.code == 1
    assert "Done: 1 file taken out of the index; they stay on disk." in result.out
    assert result.commands == []
    assert repo.git("diff", "--cached", "--name-only") == "b.py\n"
    assert repo.on_disk() == before
    assert repo.check_once("--fix") == CLEAN


@pytest.mark.parametrize("cwd", [".", "src"])
def test_what_would_be_lost_stays(repo: Repo, cwd: str) -> None:
    repo.stage("src/a.py")
    repo.stage("old.pt")
    repo.commit()
    repo.stage("old.pt", b"\0 another one")
    repo.stage("changed.pt")
    repo.write("changed.pt", b"\0 other bytes")
    repo.stage("gone.pt")
    repo.remove("gone.pt")
    repo.stage("*.pt")
    assert repo.check_once("--fix", cwd=cwd).code == 1
    assert {b"old.pt", b"changed.pt", b"gone.pt"} <= repo.tracked()
    assert b"*.pt" not in repo.tracked()
    repo.follow(repo.check_once("--fix", cwd=cwd), cwd)
    assert repo.check_once() == CLEAN
    assert (repo.root / "gone.pt").exists()


@pytest.mark.parametrize("name", ["PRE_COMMIT", "GIT_INDEX_FILE"])
def test_not_in_a_hook(repo: Repo, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    repo.stage(RUN)
    monkeypatch.setenv(name, "1")
    result = repo.check_once("--fix")
    assert (result.code, "run it by hand" in result.err) == (2, True)


@pytest.mark.parametrize("cwd", [".", "src"])
def test_weights_in_best_models_are_to_be_approved(repo: Repo, cwd: str) -> None:
    repo.stage("src/a.py")
    repo.stage("best_models/x.pt", STATE)
    result = repo.check_once(cwd=cwd)
    assert "`keep" not in result.out
    way = "../" if cwd == "src" else ""
    approve = f"fx-add-milestone {way}best_models/x.pt --why TEXT"
    assert result.commands[-1] == approve
    assert len(result.out.splitlines()) <= 12
    repo.stage("model.pt", STATE)
    assert "`keep: " in repo.check_once().out


def test_many_of_them_are_one_sentence(repo: Repo) -> None:
    for number in range(5):
        repo.stage(f"best_models/{number}.pt", STATE)
    assert "fx-add-milestone FILE --why TEXT" in repo.check_once().out


def test_the_file_of_a_group_is_named(repo: Repo) -> None:
    repo.stage("outputs/2025-01-01/12-00-00/predictions_7.csv", "1\n")
    lines = repo.check_once().out.splitlines()
    assert any("predictions_7.csv" in line for line in lines if not line.startswith("    "))
    assert len(lines) <= 12


SHELLS = (("bash",), ("dash",), ("zsh", "-f"), ("busybox", "sh"))


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_each_shell_takes_what_is_printed(repo: Repo, shell: tuple[str, ...]) -> None:
    try:
        subprocess.run((*shell, "-c", ":"), check=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {shell[0]}")
    for name in ("a b.pt", "=x.pt", "[1].pt", "-x.pt", ":m.pt", "$HOME.pt", "é.pt"):
        repo.stage(name)
    result = repo.check_once()
    for command in result.commands:
        subprocess.run((*shell, "-c", command), cwd=repo.root, check=True)
    assert repo.check_once() == CLEAN
    assert Path(repo.root, "$HOME.pt").exists()


def test_what_keeps_a_folder_is_not_to_be_untracked(repo: Repo) -> None:
    repo.stage(".gitignore", "data/\n")
    repo.stage("data/.gitkeep", "")
    repo.stage("data/a.csv", "1\n")
    repo.commit()
    said = run(sync_gitignore.main, "--findings", cwd=repo.root).out
    assert "data/.gitkeep keeps its folder in Git" in said
    assert "'/data/*' and '!/data/.gitkeep'" in said
    assert "-- data/a.csv\n" in said
    repo.write(".gitignore", "/data/*\n!/data/.gitkeep\n")
    repo.git("rm", "-q", "--cached", "data/a.csv")
    ignored = repo.git("ls-files", "-o", "-i", "--exclude-standard", "data")
    assert ignored == "data/a.csv\n"
    assert "keeps its folder" not in run(sync_gitignore.main, "--findings", cwd=repo.root).out
