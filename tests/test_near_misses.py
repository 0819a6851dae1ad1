"""What looks like a policy and is not read is named, and never passes for one that is."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from fx_hooks import check_best_models, check_range, sync_gitignore
from fx_hooks.cli import explain, init, report_space, rules
from fx_hooks.fastpath import artifacts, gitignore
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
        "!say it in .fx-hooks.yaml, as YAML, then git rm -f .fx-hooks.toml",
    ),
    "beside the right one": (
        {".fx-hooks.yml": "", ".fx-hooks.yaml": "keep: [a]\n"},
        "!say it in .fx-hooks.yaml, then git rm -f .fx-hooks.yml",
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


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize(
    ("path", "others"),
    [(".fx-hooks.yml", ()), (".fx-hooks.yml", (".fx-hooks.yaml",)), (".fx-hooks.toml", ()),
     ("ml/.fx-hooks.yml", ("ml/.fx-hooks.yaml",))],
)  # fmt: skip
def test_what_mends_it_works_for_files_that_are_not_tracked(
    repo: Repo, tracked: bool, path: str, others: tuple[str, ...], below: bool
) -> None:
    if path.startswith("ml/"):
        repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    for name in others:
        repo.write(name, "keep: [/b]\n")
    if tracked or path.startswith("ml/"):
        repo.stage(path, "keep: [/a]\n")
    else:
        repo.write(path, "keep: [/a]\n")
    repo.stage("src/a.py", "")
    folder = repo.root / ("src" if below else ".")
    said = run(explain.main, "a.py", cwd=folder).err
    command = re.split(": |, then ", said.rstrip("\n"))[-1]
    subprocess.run(command, shell=True, cwd=folder, check=True)
    assert "is not read" not in run(explain.main, "a.py", cwd=folder).err
    assert not (repo.root / path).exists()
    for name in others:  # what is the user's stays
        assert (repo.root / name).read_text() == "keep: [/b]\n"


WRITTEN = """\
ignore: ['*.xyz']
projects:
- packagez/ml
- lib
- "services/*"
- 'new/*'
- untracked
- nothing/like/it
"""
MISSING = """\
.fx-hooks.yaml:3: projects: packagez/ml is not a folder here (did you mean 'packages/ml'?)
.fx-hooks.yaml:6: projects: new/* matches no folder yet
.fx-hooks.yaml:8: projects: nothing/like/it is not a folder here
"""


def test_projects_that_are_not_there_are_named(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage(".fx-hooks.yaml", WRITTEN)
    repo.stage("packages/ml/a.py", "")
    repo.stage("lib/a.py", "")
    repo.write("services/rank/a.py", "")
    repo.write("untracked/a.py", "")
    repo.commit()
    monkeypatch.chdir(repo.root)
    lines = MISSING.splitlines()
    for again in range(2):  # the second time with the policy that is kept
        explained = run(explain.main, "a.py", cwd=repo.root).err
        assert explained == "".join(f"fx-explain: note: {line}\n" for line in lines), again
        assert run_main(["--all-files"]).out == "".join(f"note: {line}\n" for line in lines)
        assert not artifacts.proven_clean(["--all-files"])
        assert run_main(["--", "lib/a.py"]) == CLEAN
        space = run(report_space.main, cwd=repo.root).err
        assert "".join(f"fx-report-space: note: {line}\n" for line in lines) in space
        audit = run(check_range.main, "--all", cwd=repo.root).out
        assert all(line in audit for line in lines)
    assert run(rules.main, "ignore", cwd=repo.root).err.count("projects: ") == len(lines)
    assert MISSING in run(init.main, "--dry-run", cwd=repo.root).out
    repo.stage("a.pt", STATE)
    assert all(line in run_main([]).out for line in lines)
    repo.commit()
    pushed = run(check_range.main, "HEAD~..HEAD", cwd=repo.root).out
    assert all(line in pushed for line in lines)
    repo.stage("new/a/b.py", "")
    assert "new/*" not in run(explain.main, "a.py", cwd=repo.root).err


def test_the_block_is_in_step_without_a_project_that_is_not_there(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".fx-hooks.yaml", WRITTEN)
    repo.stage("packages/ml/a.py", "")
    repo.stage("services/rank/a.py", "")
    repo.write("untracked/a.py", "")
    repo.stage("lib/a.py", "")
    monkeypatch.chdir(repo.root)
    said = "".join(f"fx-sync-gitignore: note: {line}\n" for line in MISSING.splitlines())
    assert sync_gitignore.main([]) == 1
    assert capfd.readouterr().err == said
    repo.git("add", "--", "*.gitignore")
    monkeypatch.setattr(gitignore, "_SETTLED", 0)
    for _ in range(2):
        assert sync_gitignore.main([]) == 0
        assert capfd.readouterr() == ("", said)
    for option in ("--check", "--findings", "--diff"):
        assert sync_gitignore.main([option]) == 0
        assert capfd.readouterr().err == said, option
    for folder in ("packagez/ml", "new/a", "nothing/like/it"):
        repo.stage(f"{folder}/a.py", "")
    assert sync_gitignore.main([]) == 1
    assert capfd.readouterr().err == ""
    repo.git("add", "--", "*.gitignore")
    assert sync_gitignore.main([]) == 0
    assert gitignore.proven_in_step([])


@pytest.mark.parametrize(
    ("folders", "missing"),
    [
        ("lib, 'services/*'", False),
        ("'services/*', '**/lib'", False),
        ("lab", True),
        ("'servicez/*', '**/lib'", True),
        ("'**/lib', 'servicez/*'", True),
    ],
)
def test_a_clean_tree_is_fast_where_each_project_is_there(
    repo: Repo, folders: str, missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage(".fx-hooks.yaml", f"projects: [{folders}]\n")
    repo.stage("services/rank/a.py", "")
    repo.stage("lib/a.py", "")
    repo.commit()
    monkeypatch.chdir(repo.root)
    assert bool(run_main(["--all-files"]).out) is missing
    assert artifacts.proven_clean(["--all-files"]) is not missing
    shutil.rmtree(repo.root / "services")
    shutil.rmtree(repo.root / "lib")
    assert not artifacts.proven_clean(["--all-files"])  # of a sparse checkout, the index tells
    assert bool(run_main(["--all-files"]).out) is missing


@pytest.mark.parametrize("how", ["binary by an attribute", "with a NUL", "not tracked"])
def test_a_section_that_git_grep_may_not_show(repo: Repo, how: str) -> None:
    repo.check()
    section = "[tool.fx-hooks]\nx = 1\n"
    if how == "not tracked":
        repo.write("pyproject.toml", section)
        repo.stage("a\tpyproject.toml", "")
    else:
        repo.stage("pyproject.toml", section + "\0" * (how == "with a NUL"))
    if how == "binary by an attribute":
        repo.stage(".gitattributes", "*.toml -diff\n")
    assert repo.check("--all-files").code == 2
