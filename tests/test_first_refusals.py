"""What a command says first of a single file fits into twelve lines, whichever command it is."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fx_hooks import __main__ as fx_hooks_command
from fx_hooks import check_best_models, check_range, sync_gitignore
from fx_hooks.cli import (
    add_milestone,
    archive_runs,
    clean_runs,
    explain,
    init,
    report_space,
    rules,
    show_run,
)
from tests.contract_support import LISTING, METADATA, MODEL, MODULE, STATE, WEIGHTS, approve
from tests.support import CLEAN, Repo, Result, run, run_main, working_directory
from tests.test_best_models import METADATA_FAULTS
from tests.test_printed_commands import SCENES
from tests.weight_files import malicious

MOST = 12
RULES = Path(__file__).parent / "data" / "rules.tsv"
# They are about several files, are no refusal, or show all that is in a history.
OTHERS = {"unstage", "unstage-below", "untrack", "milestone", "stash", "stash-untracked",
          "audit-unpublished", "debt", "figures-before"}  # fmt: skip


def assert_short(said: Result) -> None:
    assert said.code in (1, 2), said
    assert len((said.out + said.err).splitlines()) <= MOST, said


def staged(folder: Path) -> Result:
    with working_directory(folder):
        return run_main([])


def test_there_are_no_other_scenes_than_there_were() -> None:
    assert SCENES.keys() >= OTHERS


@pytest.mark.parametrize("name", sorted(SCENES.keys() - OTHERS))
def test_of_what_is_printed(repo: Repo, name: str) -> None:
    scene = SCENES[name]
    scene.prepare(repo)
    assert_short(scene.refuses(repo.root / scene.from_folder))


def of_rules() -> dict[str, tuple[str, list[str]]]:
    """A path that each rule refuses, and what has to be next to it."""
    found: dict[str, tuple[str, list[str]]] = {}
    with RULES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["verdict"] == "blocked":
                found.setdefault(row["rule"], (row["path"], (row["beside"] or "").split()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rule", of_rules())
def test_of_each_rule(repo: Repo, rule: str) -> None:
    path, beside = of_rules()[rule]
    repo.stage("src/a.py", "")
    for name in beside:
        repo.stage(name, "")
    repo.commit()
    repo.stage(path)
    assert_short(staged(repo.root / "src"))
    repo.remove(path)  # it is nowhere but in the index
    assert_short(staged(repo.root))
    repo.git("checkout-index", "-q", "-a")
    repo.commit()
    assert_short(run(check_range.main, "HEAD~1..HEAD", cwd=repo.root))
    with working_directory(repo.root):
        assert_short(run_main(["--all-files"]))


def beside_a_near_miss(repo: Repo) -> None:
    repo.stage(".fx-hooks.yml", "")
    repo.stage("best_models/x.pt", STATE)


def in_what_looks_like_a_project(repo: Repo) -> None:
    repo.stage("ml/pyproject.toml", "")
    repo.stage("ml/outputs/2025-01-01/12-00-00/.hydra/config.yaml", "a: 1\n")


def named_in_a_document(repo: Repo) -> None:
    repo.stage("README.md", "The model is in [res/m.pt](res/m.pt).\n")
    repo.stage("res/m.pt", STATE)
    repo.remove("res/m.pt")


def unstaged_policy(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: ['*.x']\n")
    repo.write(".fx-hooks.yaml", "ignore: ['*.y']\n")
    repo.stage("a.pt", STATE)


@pytest.mark.parametrize(
    "prepare",
    [beside_a_near_miss, in_what_looks_like_a_project, named_in_a_document, unstaged_policy],
)
def test_with_notes(repo: Repo, prepare: Callable[[Repo], None]) -> None:
    prepare(repo)
    assert_short(staged(repo.root))


LFS = "*.pt filter=lfs diff=lfs merge=lfs -text\n"
# What is changed, in a repository with one milestone.
BREACHES: dict[str, Callable[[Repo], object]] = {
    "foreign": lambda repo: repo.stage("best_models/x.bin"),
    "unlisted": lambda repo: repo.stage("best_models/x.pt", STATE),
    "unsafe": lambda repo: approve(repo, MODULE),
    "digest": lambda repo: repo.stage(MODEL, MODULE),
    "broken": lambda repo: repo.stage(MODEL, STATE[:-1]),
    "unpaired": lambda repo: repo.git("rm", "-q", METADATA),
    "stale": lambda repo: repo.git("rm", "-q", MODEL),
    "entry": lambda repo: approve(repo, sha256=None),
    "runs-code": lambda repo: approve(repo, malicious()["zip-os-system"]),
    "list": lambda repo: repo.stage(LISTING, "milestones: 1\n"),
    "lfs": lambda repo: repo.stage(".gitattributes", LFS),
    "size": lambda repo: repo.stage(".fx-hooks.yaml", "best_models: {max_size: 10}\n"),
    "submodule": lambda repo: repo.gitlink("best_models/sub"),
    "policy": lambda repo: repo.stage(".fx-hooks.yaml", "ignore: 1\n"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_of_the_contract(repo: Repo, name: str) -> None:
    approve(repo)
    repo.commit()
    BREACHES[name](repo)
    assert_short(run(check_best_models.main, "--all-files", cwd=repo.root))


@pytest.mark.parametrize(("content", "_"), METADATA_FAULTS)
def test_of_metadata(repo: Repo, content: bytes, _: str) -> None:
    approve(repo)
    repo.stage(METADATA, content)
    assert_short(run(check_best_models.main, cwd=repo.root))


MODELS = {"x.txt": b"x", "t.pt": MODULE, "s.pt": STATE,
          "t.ckpt": (WEIGHTS / "many_names.ckpt").read_bytes()}  # fmt: skip


@pytest.mark.parametrize("name", [*MODELS, "gone.pt"])
def test_of_a_milestone(repo: Repo, name: str) -> None:
    if name in MODELS:
        repo.write(name, MODELS[name])
    assert_short(run(add_milestone.main, name, cwd=repo.root))


COMMANDS = (add_milestone, archive_runs, check_best_models, check_range, clean_runs, explain,
            init, report_space, rules, show_run, sync_gitignore, fx_hooks_command)  # fmt: skip


@pytest.mark.parametrize("module", COMMANDS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("arguments", [("--nope",), ("nope",), ("nope", "x.tar.gz")], ids=str)
def test_of_what_is_not_there(repo: Repo, module: object, arguments: tuple[str, ...]) -> None:
    said = run(module.main, *arguments, cwd=repo.root)  # type: ignore[attr-defined]
    assert len((said.out + said.err).splitlines()) <= MOST, said
    if module is fx_hooks_command:
        return  # alone it lists the commands
    outside = run(module.main, cwd=Path(os.environ["HOME"]))  # type: ignore[attr-defined]
    if outside.code == 2:
        assert_short(outside)


def test_of_a_block_that_is_not_there(repo: Repo) -> None:
    assert_short(run(sync_gitignore.main, "--check", cwd=repo.root))
    assert_short(run(init.main, cwd=repo.root))


@pytest.mark.parametrize(
    "path",
    [
        "model.pt", "a b.pt", "data/[x]*.pt", "q'u\"o.pt", "#a, b.pt", "modèle.pt",
        "outputs/2024-01-02/10-00-00/train.log", "wandb/run-20240101_000000-abcdefgh/files/a.yaml",
    ],
)  # fmt: skip
def test_the_line_for_keep_lets_in_what_it_names(repo: Repo, path: str) -> None:
    repo.stage(path, b"\0weights")
    refused = repo.check()
    line = re.search(r"If it belongs in Git, write `(keep: .*)` into .fx-hooks.yaml", refused.out)
    assert line, refused.out
    repo.stage(".fx-hooks.yaml", line[1] + "\n")
    assert repo.check() == CLEAN
    repo.stage(f"sub/{path}", b"\0weights")
    assert repo.check().code == 1


def test_the_example_for_keep_is_no_cache(repo: Repo) -> None:
    repo.stage("__pycache__/x.cpython-311.pyc")
    repo.stage("outputs/2024-01-02/10-00-00/train.log")
    assert "as in `keep: [/outputs/2024-01-02/10-00-00/train.log]`" in repo.check().out
    repo.git("rm", "-q", "--cached", "-r", "outputs")
    assert "write `keep: [/__pycache__/x.cpython-311.pyc]`" in repo.check().out


def test_the_example_for_keep_is_a_result(repo: Repo) -> None:
    job = "outputs/2024-01-02/10-00-00"
    files = (".hydra/config.yaml", ".hydra/a.csv", "metrics.csv", "model.pt", "train.log")
    for path in ("a.log", *(f"{job}/{name}" for name in files)):
        repo.stage(path)
    line = re.search(r"as in `(keep: .*)`", repo.check().out)
    assert line
    assert line[1] == f"keep: [/{job}/metrics.csv]"

    def verdict() -> str:
        return run(explain.main, f"{job}/metrics.csv", cwd=repo.root).out

    assert "blocked by hydra-runs" in verdict()
    repo.stage(".fx-hooks.yaml", line[1] + "\n")
    assert "allowed by keep" in verdict()
    assert f"{job}/metrics.csv" not in repo.check("--all-files").out


def test_one_file_is_spoken_of_as_one(repo: Repo) -> None:
    out, stop = "eave {} out of the commit ({}", "top tracking {} ({}"
    one, more = ("it", "the file stays on disk):"), ("them", "the files stay on disk):")
    repo.stage("a.log")
    assert out.format(*one) in repo.check().out
    repo.stage("b.log")
    assert out.format(*more) in repo.check().out
    repo.commit()
    assert stop.format(*more) in repo.check("--all-files").out
    assert stop.format(*more) in run(init.main, "--dry-run", cwd=repo.root).out
    repo.git("rm", "-q", "--cached", "b.log")
    assert stop.format(*one) in repo.check("--all-files").out
    assert stop.format(*one) in run(init.main, "--dry-run", cwd=repo.root).out


def test_what_is_not_staged_yet_is_counted(repo: Repo) -> None:
    repo.write("a.pt", b"\0weights")
    repo.write("b.pt", b"\0weights")
    repo.stage("c.pt", b"\0weights")
    for names, said in {
        ("a.pt",): "It is not staged yet: leave it out of `git add`.",
        ("a.pt", "b.pt"): "They are not staged yet: leave them out of `git add`.",
        ("a.pt", "c.pt"): "One of them is not staged yet: leave it out of `git add`.",
        ("a.pt", "b.pt", "c.pt"): "Some of them are not staged yet: leave them out of `git add`.",
    }.items():
        assert said in repo.check(*names).out
