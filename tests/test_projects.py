"""Projects: a folder that is one is judged as a repository of its own, by every command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fx_hooks.cli.explain import main as explain
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.patterns import within
from tests.support import Repo, run_main

# What is refused, and what passes, at the root of a repository.
REFUSED = (
    "outputs/bert/config.json", "outputs/2026-11-23/15-21-46/.hydra/config.yaml", "logs/r1/out.txt",
    "multirun/s/0/p.csv", "wandb/run-20261123_152146-abc/files.txt", "wandb/media.json",
    ".wandb/summary.json", "mlruns/0/meta.yaml", "best_models/p.npy", "best_models/notes.ipynb",
    "best_models/base.pt", "train.log", "runs/x/.hydra/config.yaml", "runs/x/metrics.csv",
)  # fmt: skip
PASSED = (
    "src/train.py", "src/logs/handlers.py", "src/outputs/writer.py", "conf/config.yaml",
    "config/wandb/default.yaml", "docs/outputs.md", "pyproject.toml", "README.md", "tests/a.log",
    "best_models/README.md", "best_models/base_meta.json", "outputs/README.md",
)  # fmt: skip
# The policy, the folders of the projects, and what else is there and has to pass.
LAYOUTS = {
    "the root": ("", [""], []),
    "a glob": (
        "projects: [packages/*]\n",
        ["packages/ml"],
        ["other/outputs/bert/config.json", "packages/outputs.md"],
    ),
    "two": (
        "projects: [packages/ml, services/rank/]\n",
        ["packages/ml", "services/rank"],
        ["packages/lib/outputs/bert/config.json"],
    ),
    "the root and one": ("projects: [., ml]\n", ["", "ml"], ["lib/multirun/s/0/p.csv"]),
    "one in another": ("projects: [a, a/b/c]\n", ["a", "a/b/c"], ["a/b/outputs/x.json"]),
    "at any depth": ("projects: ['**/lab']\n", ["lab", "x/lab", "x/lab/y/lab"], []),
    "names of rules": (
        "projects: [logs, services/wandb, 'mlruns']\n",
        ["logs", "services/wandb", "mlruns"],
        [],
    ),
    "names of test data": ("projects: [tests/ml, x/fixtures]\n", ["tests/ml", "x/fixtures"], []),
    "odd names": (
        'projects: ["a b", "é", "q\'\\"", "\\\\*", "n\\\\[1]"]\n',
        ["a b", "é", "q'\"", "*", "n[1]"],
        [],
    ),
}


def put(
    repo: Repo, policy: str, folders: list[str], others: list[str]
) -> tuple[set[str], set[str]]:
    """Write the tree of a layout; the paths that are refused, and those that pass."""
    refused = {os.path.join(folder, path) for folder in folders for path in REFUSED}
    passed = {os.path.join(folder, path) for folder in folders for path in PASSED} | {*others}
    for path in refused | passed:
        text = '{"performance": {}, "config": {}}' if path.endswith(".json") else "x = 1\n"
        repo.write(path, b"\x80\x02}q\x00.\x00\xff" if path.endswith((".pt", ".npy")) else text)
    if policy:
        repo.write(".fx-hooks.yaml", policy)
    return refused, passed


def found(*arguments: str) -> set[str]:
    result = run_main([*arguments, "--format", "json"])
    assert result.code in (0, 1), result
    return {finding["path"] for finding in json.loads(result.out)["findings"]}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_verdicts_wherever_the_tree_is(
    name: str, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, folders, others = LAYOUTS[name]
    refused, passed = put(repo, policy, folders, others)
    repo.stage_all()
    monkeypatch.chdir(repo.root)
    assert found() == refused
    assert found("--all-files") == refused
    monkeypatch.chdir(repo.root / folders[-1])
    assert found() == refused
    monkeypatch.chdir(repo.root)
    # The fast path is sure of what passes, and of nothing else.
    assert repo.fast_path(*sorted(passed))
    for path in sorted(refused):
        assert not repo.fast_path(path), path
    repo.hook("pre-commit")
    assert "15-21-46" in repo.git("commit", "-qm", "all", fails=True)
    repo.git("reset", "-q")
    repo.git("--literal-pathspecs", "add", "-f", "--", *sorted(passed))
    repo.git("commit", "-qm", "what passes")
    assert found("--all-files") == set()


def test_a_glob_takes_no_folder_of_runs(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage(".fx-hooks.yaml", "projects: ['*']\n")
    paths = {"outputs/x/a.csv", "wandb/run-1/x", "best_models/x.pt", "best_models/a/x.npy"}
    for path in paths:
        repo.stage(path)
    repo.stage("ml/best_models/x_meta.json", "{}")
    monkeypatch.chdir(repo.root)
    assert found() == paths


OWN = {
    "ignore": (
        "ignore: ['*.xyz', /data]\n",
        ["ml/a.xyz", "ml/data/x"],
        ["a.xyz", "data/x", "x/ml/data/x"],
    ),
    "keep": (
        "keep: ['*.log', /wandb/notes]\n",
        ["a.log", "wandb/notes/x"],
        ["ml/a.log", "ml/wandb/notes/x"],
    ),
    "disable": (
        "disable: [log-files, hydra-run-directory, hydra-runs, mlflow]\n",
        ["a.log", "mlruns/0/x", "x/.hydra/config.yaml"],
        ["ml/a.log", "ml/mlruns/0/x", "ml/x/.hydra/config.yaml", "ml/x/y.csv"],
    ),
    "best_models": (
        "best_models: {folder: chosen, documents: ['*.txt']}\n",
        ["ml/chosen/a.md", "ml/chosen/a.npy", "best_models/a.txt"],
        ["ml/chosen/a.txt", "chosen/a.md", "ml/best_models/a.npy"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "on-disk-alone"])
@pytest.mark.parametrize("key", OWN)
def test_a_file_of_its_own_holds_for_the_project_alone(
    key: str, tracked: bool, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, refused, passed = OWN[key]
    repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    for path in (*refused, *passed):
        repo.stage(path)
    (repo.stage if tracked else repo.write)("ml/.fx-hooks.yaml", own)
    monkeypatch.chdir(repo.root)
    assert found() == {*refused}
    if tracked:
        assert repo.fast_path(*[path for path in passed if path != "ml/x/.hydra/config.yaml"])
    assert not any(repo.fast_path(path) for path in refused)
    # What it says now counts, not what the fast path knew.
    repo.stage("ml/.fx-hooks.yaml", "ignore: ['*']\n")
    assert not any(repo.fast_path(path) for path in passed if path.startswith("ml/"))
    assert {path for path in passed if path.startswith("ml/")} <= found()
    # The root restricts it.
    repo.stage("ml/.fx-hooks.yaml", own)
    others = ", ".join(other for other in OWN if other != key)
    repo.stage(".fx-hooks.yaml", f"projects: [ml]\nprojects_may: [{others}]\n")
    result = run_main([])
    assert result.code == 2
    assert f"ml/.fx-hooks.yaml:1: {key}: the projects_may of .fx-hooks.yaml" in result.err


def test_only_the_root_names_projects(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    repo.stage("ml/.fx-hooks.yaml", "projects: [x]\n")
    monkeypatch.chdir(repo.root)
    result = run_main([])
    assert result.code == 2
    assert "ml/.fx-hooks.yaml:1: projects: only .fx-hooks.yaml says it" in result.err


def test_what_the_root_says_of_a_folder_goes_on_to_hold(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "ignore: [/packages/ml/data, 'packages/*/cache', gone, '*.xyz']\n"
        "keep: [/packages/ml/a.log]\n"
    )
    refused = {"packages/ml/data/x", "packages/ml/cache/x", "gone/a/x", "packages/ml/x.xyz"}
    passed = {"packages/ml/a.log", "packages/ml/x", "cache/x", "data/x"}
    for path in (*refused, *passed):
        repo.stage(path)
    monkeypatch.chdir(repo.root)
    for projects in ("", "projects: ['packages/*', gone/a]\n"):
        repo.stage(".fx-hooks.yaml", text + projects)
        assert found() == refused
    # It holds at the root of the project, too.
    repo.stage("packages/ml/packages/ml/data/x")
    assert found() == {*refused, "packages/ml/packages/ml/data/x"}


@pytest.mark.parametrize(
    ("pattern", "folder", "expected"),
    [
        ("/packages/ml/data", "packages/ml", ["/data"]),
        ("packages/ml/data/", "packages/ml", ["/data/"]),
        ("packages/*/a/**", "packages/ml", ["/a/"]),
        ("/packages", "packages/ml", ["*"]),
        ("ml", "packages/ml", ["*"]),
        ("ml/", "packages/ml", ["*"]),
        ("*.log", "packages/ml", []),
        ("**/ml/x", "packages/ml", ["/x"]),
        ("a/**/b", "a/x", ["/**/b"]),
        ("a/**/b", "a/b", ["*"]),
        ("/other/x", "packages/ml", []),
        ("/é*/x", "élan", ["/x"]),
    ],
)
def test_a_pattern_below_a_folder(pattern: str, folder: str, expected: list[str]) -> None:
    assert within(pattern, folder) == expected


def test_explain_says_where_it_is_written(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [ml]\nignore: [/ml/data]\n")
    repo.stage("ml/logs/a.py", "x = 1\n")
    repo.stage("ml/runs/x/.hydra/config.yaml", "")
    monkeypatch.chdir(repo.root / "ml")
    assert explain(["data/x", "logs/a.py", "runs/x/a.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "data/x: blocked by ignore (.fx-hooks.yaml:2) /ml/data"
    assert "does not hold, because ml/logs/ holds source files" in lines[1]
    assert "is in ml/runs/x/, which makes it a run" in lines[2]


def test_the_policy_of_a_project_without_a_file_is_that_of_the_root() -> None:
    policy = load_policy(b"projects: [ml]\n")
    assert policy.folders == ("ml",)
    assert load_policy(b"projects: [ml]\n", project=("ml", None)).patterns() == policy.patterns()


def test_a_link_or_a_submodule_at_the_place_of_a_project(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: ['*', wandb]\n")
    repo.link("ml", tmp_path)
    repo.link("outputs", tmp_path)
    repo.git("add", "-f", "ml", "outputs")
    repo.gitlink("sub")
    repo.gitlink("multirun")
    monkeypatch.chdir(repo.root)
    assert found() == {"outputs", "multirun"}
