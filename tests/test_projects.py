"""Projects: a folder that is one is judged as a repository of its own, by every command."""

from __future__ import annotations

import json
import marshal
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from fx_hooks import check_best_models, check_range, sync_gitignore
from fx_hooks.cli import add_milestone
from fx_hooks.cli.explain import main as explain
from fx_hooks.fastpath.best_models import proven_untouched, staged_names
from fx_hooks.fastpath.projects import changed, differences
from fx_hooks.policy.compiled import tables_of
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.patterns import within
from tests.contract_support import META, STATE, entry, facts, listing
from tests.support import CLEAN, Repo, mostly_slow, run, run_main

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


def found_in_range(*arguments: str) -> set[str]:
    result = run(check_range.main, *arguments, "--format", "json", cwd=Path.cwd())
    assert result.code in (0, 1), result
    return {finding["path"] for finding in json.loads(result.out)["findings"]}


@pytest.mark.parametrize("name", mostly_slow(LAYOUTS, 3))
def test_the_same_verdicts_wherever_the_tree_is(
    name: str, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, folders, others = LAYOUTS[name]
    refused, passed = put(repo, policy, folders, others)
    repo.stage_all()
    monkeypatch.chdir(repo.root)
    assert found() == refused
    assert found("--all-files") == refused
    base = repo.git("rev-parse", "HEAD").strip()
    repo.commit()
    assert found_in_range(f"{base}..HEAD") == refused
    repo.git("reset", "-q", "--soft", base)
    monkeypatch.chdir(repo.root / folders[-1])
    assert found() == refused
    monkeypatch.chdir(repo.root)
    # The fast path is sure of what passes, and of nothing else. What may be where runs go it leaves
    # to the command while a run is staged.
    sure = [path for path in passed if {"outputs", "multirun", "logs"}.isdisjoint(path.split("/"))]
    assert sure == [] or repo.fast_path(*sorted(sure))
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


def test_a_policy_that_was_never_tracked_and_is_gone(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    repo.write("ml/.fx-hooks.yaml", "keep: ['*.log']\n")
    repo.stage("ml/a.log")
    monkeypatch.chdir(repo.root)
    assert found() == set()
    repo.remove("ml/.fx-hooks.yaml")
    assert not repo.fast_path("--", "ml/a.log")
    assert found() == {"ml/a.log"}


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
        ("**", "packages/ml", ["*"]),
        ("*", "packages/ml", ["*"]),
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


def approve(repo: Repo, folder: str, content: bytes = STATE) -> None:
    """Stage a whole triple in the folder of chosen models of a project."""
    repo.stage(f"{folder}/m.pt", content)
    repo.stage(f"{folder}/m_meta.json", META)
    project = folder.rpartition("/")[0]
    listed = f"{folder}/m.pt".removeprefix(f"{project}/" if project else "")
    repo.stage(f"{folder}/milestones.yaml", listing(entry(STATE, listed)))


@pytest.fixture
def chosen(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository with a milestone at its root and in two projects, one in the other."""
    repo.stage(".fx-hooks.yaml", "projects: [ml, ml/inner]\n")
    repo.stage("ml/inner/.fx-hooks.yaml", "best_models: {folder: models}\n")
    for folder in ("best_models", "ml/best_models", "ml/inner/models"):
        approve(repo, folder)
    monkeypatch.chdir(repo.root)
    return repo


def contract(repo: Repo, *arguments: str, cwd: str = ".") -> list[str]:
    result = run(check_best_models.main, *arguments, cwd=repo.root / cwd)
    assert result.code == bool(result.out), result
    return facts(result)


def test_each_project_has_its_chosen_models(chosen: Repo) -> None:
    assert contract(chosen) == contract(chosen, "--all-files", cwd="ml/inner") == []
    assert found() == found("--all-files") == set()
    chosen.commit()
    assert found_in_range("--from-ref", "0" * 40, "--to-ref", "HEAD") == set()
    assert run(check_best_models.main, cwd=chosen.root) == CLEAN
    # What is chosen in one project is chosen in no other.
    chosen.stage("ml/models/m.pt", STATE)
    chosen.stage("ml/best_models/other.pt", STATE)
    chosen.stage("ml/inner/best_models/m.npy")
    assert found() == {"ml/models/m.pt", "ml/best_models/other.pt"}
    (fault,) = contract(chosen)
    assert fault.startswith("ml/best_models/other.pt: is not listed in ml/best_models/milestones.y")


@pytest.mark.parametrize("folder", ["best_models", "ml/best_models", "ml/inner/models"])
def test_a_changed_milestone_is_refused_by_commit_and_range(folder: str, chosen: Repo) -> None:
    chosen.commit()
    chosen.stage(f"{folder}/m.pt", STATE + b"x")
    faults = contract(chosen)
    assert all(fault.startswith(f"{folder}/m.pt: ") for fault in faults)
    assert f"{folder}/milestones.yaml:2 has" in faults[0]
    chosen.commit()
    assert found_in_range("HEAD~1..HEAD") == {f"{folder}/m.pt"}
    chosen.stage(f"{folder}/m.pt", STATE)
    chosen.stage(f"{folder}/m_meta.json", "{}")
    assert any("performance" in fault for fault in contract(chosen))
    chosen.commit()
    assert found_in_range("HEAD~1..HEAD") == {f"{folder}/m_meta.json"}
    result = run(check_range.main, "HEAD~2..HEAD", cwd=chosen.root)
    assert "still there" in result.out


@pytest.mark.parametrize("folder", ["best_models", "ml/best_models", "ml/inner/models"])
def test_a_broken_list_is_named_by_its_path(folder: str, chosen: Repo) -> None:
    chosen.commit()
    chosen.stage(f"{folder}/milestones.yaml", "milestones: [a]\n")
    result = run(check_best_models.main, cwd=chosen.root)
    assert result.code == 2
    assert f"error: {folder}/milestones.yaml:1: milestones: " in result.err
    assert run_main([]).code == 2
    chosen.commit()
    assert run(check_range.main, "HEAD~1..HEAD", cwd=chosen.root).code == 2


def test_a_range_says_that_a_project_changes_its_policy(chosen: Repo) -> None:
    chosen.commit()
    chosen.stage("ml/.fx-hooks.yaml", "keep: ['*.log']\n")
    chosen.stage("ml/a.log")
    chosen.commit()
    result = run(check_range.main, "HEAD~1..HEAD", cwd=chosen.root)
    assert result.code == 0
    assert "the range changes ml/.fx-hooks.yaml (" in result.out
    assert found_in_range("HEAD~1..HEAD", "--policy-ref", "HEAD~1") == {"ml/a.log"}


def test_a_pickle_in_a_project_is_refused(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.stage(".fx-hooks.yaml", "projects: ['packages/*']\n")
    repo.stage("packages/ml/best_models/m.pt", b"(S'true'\nios\nsystem\n.")
    monkeypatch.chdir(repo.root)
    (fault,) = contract(repo)
    assert fault.startswith("packages/ml/best_models/m.pt: is not listed in packages/ml/best_mod")
    assert found() == {"packages/ml/best_models/m.pt"}


def test_a_milestone_goes_to_the_project_of_its_file(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [ml, other]\n")
    repo.stage("ml/train.py", "x = 1\n")
    repo.stage("other/train.py", "x = 1\n")
    assert run(sync_gitignore.main, cwd=repo.root).code == 1
    repo.stage_all()
    repo.commit()
    run_folder = "ml/outputs/2026-11-23/15-21-46"
    repo.write(f"{run_folder}/.hydra/config.yaml", "lr: 1\n")
    repo.write(f"{run_folder}/best.pt", STATE)
    options = ("--why", "it is the best", "--metric", "f1=0.9")
    for cwd, file in ((".", f"{run_folder}/best.pt"), ("other", f"../{run_folder}/best.pt")):
        result = run(add_milestone.main, file, *options, cwd=repo.root / cwd)
        assert result.code == 0, result.err
        way = "" if cwd == "." else "../"
        assert result.out.startswith(
            f"{way}ml/best_models/best.pt: approved, made by {way}{run_folder}\n"
        )
        (command,) = result.commands
        assert not (repo.root / "best_models").exists()
        repo.git(*shlex.split(command)[1:], cwd=cwd)
        monkeypatch.chdir(repo.root)
        assert contract(repo) == []
        assert found() == set()
        assert run(sync_gitignore.main, cwd=repo.root) == CLEAN
        listed = (repo.root / "ml/best_models/milestones.yaml").read_text()
        assert "\n  best_models/best.pt:\n" in listed
        repo.git("reset", "-q", "--hard")
        assert not (repo.root / "ml/best_models/best.pt").exists()
    # What lies elsewhere goes to the project that the user is in.
    (tmp_path / "m.pt").write_bytes(STATE)
    repo.write("m_meta.json", META)
    result = run(
        add_milestone.main, str(tmp_path / "m.pt"), "--dry-run", *options, cwd=repo.root / "other"
    )
    assert "write best_models/m_meta.json, such as" in result.err
    assert "ml/" not in result.err
    # Listed already, and said again in the folder.
    approve(repo, "ml/best_models")
    again = run(add_milestone.main, "best_models/m.pt", "--why", "x", cwd=repo.root / "ml")
    assert again.code == 2
    assert "ml/best_models/m.pt: is listed in ml/best_models/milestones.yaml" in again.err
    replaced = run(
        add_milestone.main, "best_models/m.pt", "--replace", "--why", "x", cwd=repo.root / "ml"
    )
    assert replaced.code == 0, replaced.err


# What is staged in a repository with chosen models at three places, and whether that is surely
# none of them.
STAGED: dict[str, tuple[Callable[[Repo], object], bool]] = {
    "source": (lambda repo: repo.stage("ml/src/a.py", "a\n"), True),
    "of the inner one": (lambda repo: repo.stage("ml/inner/src/a.py", "a\n"), True),
    "a name of another one": (lambda repo: repo.stage("ml/models/m.csv", "a\n"), True),
    "of no project": (lambda repo: repo.stage("other/best_models/m.csv", "a\n"), True),
    "metadata": (lambda repo: repo.stage("ml/best_models/m_meta.json", "{}"), False),
    "renamed folder": (lambda repo: repo.stage("ml/inner/models/x.npy", "{}"), False),
    "gone": (lambda repo: repo.git("rm", "-q", "ml/best_models/m_meta.json"), False),
    "link": (lambda repo: link_at(repo, "ml/inner/models"), False),
    "project": (lambda repo: link_at(repo, "ml/inner"), False),
    "above": (lambda repo: link_at(repo, "ml"), False),
    "policy": (lambda repo: repo.stage("ml/.fx-hooks.yaml", "keep: [a]\n"), False),
    "policy on disk": (lambda repo: repo.write("ml/.fx-hooks.yaml", "keep: [a]\n"), False),
    "no policy": (lambda repo: repo.git("rm", "-q", "ml/inner/.fx-hooks.yaml"), False),
    "attributes": (lambda repo: repo.stage("ml/.gitattributes", "*.pt -text\n"), False),
    "new project": (lambda repo: repo.stage("new/best_models/x.npy", "a\n"), False),
}


def link_at(repo: Repo, name: str) -> None:
    repo.git("rm", "-q", "-r", name)
    repo.link(name, "elsewhere")
    repo.git("add", "-f", name)


@pytest.mark.parametrize("name", STAGED)
def test_what_surely_concerns_no_chosen_model(chosen: Repo, name: str) -> None:
    chosen.stage(".fx-hooks.yaml", "projects: [ml, ml/inner, new]\n")
    chosen.stage("ml/src/b.py", "")
    chosen.commit()
    assert run(check_best_models.main, "--all-files", cwd=chosen.root) == CLEAN
    change, untouched = STAGED[name]
    change(chosen)
    if name == "policy on disk":
        chosen.stage("ml/src/a.py", "a\n")
    before = proven_untouched(staged_names())
    assert before == untouched
    result = run(check_best_models.main, cwd=chosen.root)
    assert not before or result == CLEAN


OWN_POLICIES = [
    "", "ignore: ['*.x1', 'a*.csv', '**/z/*.md']\n", "keep: ['*.pt', /src]\n",
    "disable: [weights]\n", "disable: [wandb, outputs, logs]\nignore: ['?x', 'y[ab]*/**/*.z']\n",
    "best_models: {folder: models}\n",
]  # fmt: skip


@pytest.mark.parametrize("own", OWN_POLICIES)
@pytest.mark.parametrize("root", OWN_POLICIES)
def test_tables_are_kept_as_what_differs(own: str, root: str) -> None:
    base = tables_of(load_policy(root.encode()))
    of_project = load_policy(root.encode(), project=("ml", own.encode()))
    tables = tables_of(of_project)
    changes = marshal.loads(marshal.dumps(differences(base, tables)))
    assert changed(base, changes) == tables
    if not own or own.startswith("ignore"):
        assert len(marshal.dumps(changes)) < len(marshal.dumps(tables)) / 5


@pytest.mark.slow
def test_two_hundred_policies_are_kept_in_little(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.root)
    repo.stage(".fx-hooks.yaml", "projects: [p/*]\n")
    sizes = []
    for count in (1, 200):
        for number in range(count):
            repo.write(f"p/{number}/.fx-hooks.yaml", f"ignore: ['*.x{number}']\n")
        repo.write("p/0/src/a.py", "")
        repo.stage_all()
        assert run_main([]) == CLEAN
        assert repo.fast_path("--", "p/0/src/a.py")
        assert not repo.fast_path("--", "p/0/src/a.x0")
        sizes.append(repo.tables.stat().st_size)
    assert sizes[1] < 3 * sizes[0]
