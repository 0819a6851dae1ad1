"""What looks like a policy and is not read is named, and never passes for one that is."""

from __future__ import annotations

import subprocess

import pytest

from fx_hooks import check_best_models, check_range
from fx_hooks.cli import explain, init
from tests.contract_support import STATE
from tests.support import CLEAN, Repo, Result, mostly_slow, run, run_main

# Files, and what is said of them; those with "!" were meant to be a policy.
MISSES = {
    "spelling": (
        {".fx-hooks.yml": "ignore: ['*.xyz']\n"},
        "!.fx-hooks.yml is not read, because the policy is called .fx-hooks.yaml:"
        " git mv -f .fx-hooks.yml .fx-hooks.yaml",
    ),
    "underscore": ({".fx_hooks.yaml": ""}, "!.fx_hooks.yaml is not read"),
    "capitals": ({".FX-hooks.yaml": ""}, "!.FX-hooks.yaml is not read"),
    "format": (
        {".fx-hooks.toml": ""},
        "!say it in .fx-hooks.yaml, as YAML, then git rm .fx-hooks.toml",
    ),
    "beside the right one": (
        {".fx-hooks.yml": "", ".fx-hooks.yaml": "keep: [a]\n"},
        "!say it in .fx-hooks.yaml, then git rm .fx-hooks.yml",
    ),
    "pyproject": (
        {"pyproject.toml": "[project]\nname = 'x'\n\n[tool.fx-hooks]\nignore = ['*.xyz']\n"},
        "!pyproject.toml:4: this section of fx-hooks is not read: say it in .fx-hooks.yaml",
    ),
    "a part of it": ({"pyproject.toml": "[tool.'fx-hooks'.best_models]\n"}, "!pyproject.toml:1:"),
    "dotted": ({"pyproject.toml": "tool.fx_hooks.keep = ['a']\n"}, "!pyproject.toml:1:"),
    "setup.cfg": ({"setup.cfg": "[tool:fx-hooks]\n"}, "!setup.cfg:1: this section of fx-hooks"),
    "in a project": (
        {".fx-hooks.yaml": "projects: [ml]\n", "ml/.fx-hooks.yml": ""},
        "!git mv -f ml/.fx-hooks.yml ml/.fx-hooks.yaml",
    ),
    "in no project": (
        {"packages/ml/.fx-hooks.yaml": "ignore: ['*.xyz']\n"},
        "packages/ml/.fx-hooks.yaml is not read: packages/ml is not a project; to make it one,"
        " write `projects: [packages/ml]` into .fx-hooks.yaml",
    ),
}
HARMLESS = {
    "docs/fx-hooks.yml": "",
    "src/.fx-hooks.yml": "",
    "pyproject.toml": "[project]\ndependencies = ['fx-hooks']\n# [tool.fx-hooks]\n",
    "sub/pyproject.toml": "[tool.fx-hooks]\n",
    "fx-hooks/x.py": "",
}


@pytest.mark.parametrize("name", mostly_slow(MISSES, 2))
def test_named_by_all(name: str, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    files, text = MISSES[name]
    said = text.removeprefix("!")
    for path, content in files.items():
        repo.stage(path, content)
    monkeypatch.chdir(repo.root)
    # A hook that passes says nothing.
    assert run_main([]) == run(check_best_models.main, cwd=repo.root) == CLEAN
    assert said in run(explain.main, "a.xyz", cwd=repo.root).err
    assert said in run(init.main, "--dry-run", cwd=repo.root).out
    repo.stage("best_models/x.npy")
    refused = run_main([])
    assert refused.code == 1
    assert said in refused.out
    assert said in run(check_best_models.main, cwd=repo.root).out
    repo.commit()
    ranged = run(check_range.main, "HEAD~1..HEAD", cwd=repo.root)
    assert ranged.code == 1
    assert said in ranged.out
    repo.git("rm", "-q", "--cached", "best_models/x.npy")
    repo.commit()
    code = 2 if text.startswith("!") else 0
    tree = run_main(["--all-files"])
    assert (tree.code, said in tree.err) == (code, code == 2)
    audit = run(check_range.main, "--all", cwd=repo.root)
    assert audit.code == (code or 1)
    # Nor is it clean once the fast path knows the policy.
    repo.stage("a.py", "")
    run_main([])
    assert run_main(["--all-files"]) == tree
    if len(files) == 1 and "yaml" not in said.split(" is not read")[0]:
        assert run_main(["--all-files", "--policy", next(iter(files))]).code in (0, 2)


def test_nothing_is_said_of_others(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, content in HARMLESS.items():
        repo.stage(path, content)
    monkeypatch.chdir(repo.root)
    assert run_main(["--all-files"]) == Result(0, "", "")
    assert run(explain.main, "x", cwd=repo.root).err == ""


def test_what_is_not_tracked_yet_is_named(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write(".fx-hooks.yml", "")
    repo.write("pyproject.toml", "[tool.fx-hooks]\n")
    monkeypatch.chdir(repo.root)
    err = run(explain.main, "x", cwd=repo.root).err
    assert ".fx-hooks.yml is not read" in err
    assert "pyproject.toml:1: this section" in err
    assert run_main(["--all-files"]).code == 2


def test_what_mends_it_runs_from_where_the_user_stands(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    repo.stage("ml/.fx-hooks.yml", "ignore: ['*.xyz']\n")
    repo.stage("ml/src/a.py", "")
    repo.commit()
    below = repo.root / "ml" / "src"
    said = run(explain.main, "a.xyz", cwd=below).err
    command = said.rstrip("\n").rpartition(": ")[2]
    assert command == "git -C ../.. mv -f ml/.fx-hooks.yml ml/.fx-hooks.yaml"
    subprocess.run(command.split(), cwd=below, check=True)
    assert run(explain.main, "a.xyz", cwd=below).err == ""
    repo.write(".fx-hooks.yaml", "projects: [ml, other]\n")
    said = run(explain.main, "a.xyz", cwd=below).err
    assert said.endswith("; the staged version counts: git -C ../.. add .fx-hooks.yaml\n")
    repo.write("best_models/milestones.yaml", "milestones: {}\n")
    said = run(explain.main, "a.xyz", cwd=below).err
    assert said.endswith("count: git -C ../.. add best_models/milestones.yaml\n")
    monkeypatch.chdir(below)
    repo.stage("ml/best_models/m.pt", STATE)
    refused = run(check_best_models.main, cwd=below)
    assert "    (cd ../.. && fx-add-milestone ml/best_models/m.pt --why TEXT)\n" in refused.out
