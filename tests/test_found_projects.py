"""Projects that nobody has named: exact evidence, the suggestion, and what ``fx-init`` finds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fx_hooks import check_range
from fx_hooks.artifacts.found_projects import as_globs, find_projects
from fx_hooks.cli import clean_runs, explain, init
from tests.contract_support import META, STATE, entry, listing
from tests.monorepos import RECORD
from tests.support import CLEAN, Repo, git_version, run, run_main

RUN = "outputs/2026-11-23/15-21-46"


def found(*arguments: str) -> set[str]:
    result = run_main([*arguments, "--format", "json"])
    return {finding["path"] for finding in json.loads(result.out)["findings"]}


@pytest.mark.parametrize("folder", ["outputs", "multirun", "logs"])
@pytest.mark.parametrize("sign", ["pyproject.toml", "conf/config.yaml"])
def test_exact_evidence_needs_no_project(
    folder: str, sign: str, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.root)
    others = {f"other/{folder}/bert/config.json", f"packages/ml/src/{folder}/x.csv", "notes/x.csv"}
    for path in (*others, f"packages/ml/{sign}"):
        repo.stage(path)
    result = f"packages/ml/{folder}/bert/config.json"
    repo.stage(result)
    # A name alone is not evidence, nor is a run somewhere else.
    repo.stage("other/x/.hydra/config.yaml")
    repo.stage("packages/ml/.gitignore", "")
    assert found() == {"other/x/.hydra/config.yaml"}
    repo.git("rm", "-q", "--cached", "other/x/.hydra/config.yaml")
    repo.remove("other/x/.hydra/config.yaml")
    repo.commit()
    assert repo.check() == CLEAN
    mark = f"packages/ml/{folder}/exp/.hydra/config.yaml"
    repo.stage(mark)
    repo.stage(f"packages/ml/{folder}/bert/more.json")
    assert found() == {mark, f"packages/ml/{folder}/bert/more.json"}
    assert found("--all-files") == {mark, result, f"packages/ml/{folder}/bert/more.json"}
    assert not repo.fast_path(f"packages/ml/{folder}/bert/more.json")
    report = run_main([])
    assert "packages/ml looks like a project; with `projects: [packages/ml]` in" in report.out
    said = run(explain.main, result, cwd=repo.root).out
    assert f"is in packages/ml/{folder}/, which makes it a run" in said
    repo.commit()
    ranged = run(check_range.main, "HEAD~1..HEAD", "--format", "json", cwd=repo.root)
    paths = {finding["path"] for finding in json.loads(ranged.out)["findings"]}
    assert paths == {mark, f"packages/ml/{folder}/bert/more.json"}
    # A package of that name, and a keep, pass as at the root.
    repo.stage(f"packages/ml/{folder}/__init__.py", "")
    assert found("--all-files") == {mark}
    repo.git("rm", "-q", "-f", f"packages/ml/{folder}/__init__.py")
    repo.stage(".fx-hooks.yaml", f"keep: [/packages/ml/{folder}/bert]\n")
    assert found("--all-files") == {mark}


def test_the_signs_of_a_project() -> None:
    paths = [
        b"pyproject.toml", b"ml/pyproject.toml", b"ml/src/pkg/conf/config.yaml",
        b"ml/src/pkg/__init__.py", b"old/setup.cfg", b"a/best_models/x_meta.json",
        b"b/wandb/run-20240131_235959-abc/files/x", b"c/outputs/2026-11-23/15-21-46/x.log",
        b"d/conf/config.yaml", b"e/conf/__init__.py", b"f/conf/config.yaml", b"f/__init__.py",
        b"tests/data/pyproject.toml", b"x/fixtures/p/setup.cfg", b"t/{{name}}/pyproject.toml",
        b"node_modules/x/pyproject.toml", b".github/pyproject.toml", b"vendor/x/setup.cfg",
        b"refused/pyproject.toml", b"latest/pyproject.toml",
    ]  # fmt: skip
    assert find_projects(paths, lambda folder: folder == b"refused") == {
        b"a": "best_models/",
        b"b": "runs of W&B in wandb/",
        b"c": "runs of Hydra in outputs/",
        b"d": "configuration of Hydra in conf/",
        b"latest": "pyproject.toml",
        b"ml": "pyproject.toml",
        b"old": "setup.cfg",
    }


def test_public_monorepos() -> None:
    record = json.loads(RECORD.read_text("utf-8"))
    assert len(record) >= 5
    for name, seen in record.items():
        signs = [path.encode() for path in seen["signs"]]
        found = find_projects(signs, lambda _: False)
        assert {path.decode(): why for path, why in found.items()} == seen["projects"], name
        assert seen["refused"] == [], name


def test_many_are_a_glob() -> None:
    paths = [b"p/%c/setup.cfg" % letter for letter in b"abc"] + [b"q/a/x", b"q/b/x", b"r[/x"]
    written = as_globs([b"p/a", b"p/b", b"p/c", b"q/a", b"r["], paths)
    assert written == {"p/*": [b"p/a", b"p/b", b"p/c"], "q/a": [b"q/a"], "r\\[": [b"r["]}
    assert "p/*" not in as_globs([b"p/a", b"p/b", b"p/c"], [*paths, b"p/docs/x"])


@pytest.fixture
def monorepo(repo: Repo) -> Repo:
    """A project with a run directory of its own, and another folder of that name at the root."""
    repo.stage("packages/ml/pyproject.toml", "[project]\nname = 'ml'\n")
    repo.stage("packages/ml/conf/config.yaml", "hydra:\n  run:\n    dir: experiments/${now:%Y}\n")
    repo.stage("packages/ml/.env", "WANDB_DIR=tracking\n")
    repo.stage("Makefile", "train:\n\tcd packages/ml && python t.py hydra.sweep.dir=sweeps\n")
    repo.stage("experiments/plan.csv", "a\n")
    repo.write(f"packages/ml/{RUN}/.hydra/config.yaml", "")
    repo.commit()
    return repo


def test_init_finds_projects_and_what_is_relative_to_them(
    monorepo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(init.main, "--yes", cwd=monorepo.root)
    assert "packages/ml looks like a project: pyproject.toml" in result.out
    assert "Makefile:2: Hydra writes to sweeps/, or to packages/ml/sweeps/" in result.out
    text = (monorepo.root / ".fx-hooks.yaml").read_text()
    assert '  - "packages/ml"  # pyproject.toml\n' in text
    assert '"/packages/ml/experiments"]  # packages/ml/conf/config.yaml:3' in text
    assert '"/packages/ml/tracking' in text
    assert '["/experiments"]' not in text
    assert (monorepo.root / "packages/ml/.gitignore").exists()
    monorepo.git("add", "-A")
    monkeypatch.chdir(monorepo.root)
    refused = ["packages/ml/experiments/x/a.csv", "packages/ml/tracking/wandb/x"]
    for path in refused:
        monorepo.stage(path)
    assert found() == {*refused}
    monorepo.git("rm", "-qr", "--cached", "packages/ml/experiments", "packages/ml/tracking")
    monorepo.commit()
    before = text
    again = run(init.main, "--yes", cwd=monorepo.root)
    assert "looks like a project" not in again.out
    assert (monorepo.root / ".fx-hooks.yaml").read_text() == before


@pytest.mark.parametrize("there", [False, True])
def test_init_offers_the_root_where_a_project_is_started_there(monorepo: Repo, there: bool) -> None:
    line = "python packages/ml/src/train.py" if there else "cd packages/ml && python src/train.py"
    monorepo.stage("scripts/train.sh", f"{line}\n")
    said = run(init.main, "--dry-run", cwd=monorepo.root).out
    offered = "/, or to experiments/ if it is started at the root, as scripts/train.sh may do: then"
    assert (offered in said) == there
    assert ("or to tracking/wandb/ if it is started at the root" in said) == there


@pytest.mark.parametrize(
    "tracked",
    [
        True,
        # git 2.32: "confusion around working on or showing ignored paths", its release notes say.
        pytest.param(
            False,
            marks=pytest.mark.skipif(
                git_version() < (2, 32), reason="needs git 2.32, which looks into untracked folders"
            ),
        ),
    ],
)
def test_runs_that_git_ignores_are_a_sign(repo: Repo, tracked: bool) -> None:
    repo.stage(".gitignore", "wandb/\noutputs/\n")
    if tracked:
        repo.stage("ml/train.py", "x = 1\n")
        repo.stage("lab/train.py", "x = 1\n")
    repo.write("ml/wandb/run-20240131_235959-abc/x.wandb")
    repo.write(f"lab/{RUN}/.hydra/config.yaml")
    out = run(init.main, "--dry-run", cwd=repo.root).out
    assert "ml looks like a project: runs of W&B in wandb/" in out
    assert "lab looks like a project: runs of Hydra in outputs/" in out


@pytest.mark.slow
def test_a_run_of_a_project_s_milestone_stays(repo: Repo, tmp_path: Path) -> None:  # noqa: ARG001
    repo.stage(".fx-hooks.yaml", "projects: [ml]\n")
    for number in (46, 47):
        place = f"ml/outputs/2024-11-23/15-21-{number}"
        repo.write(f"{place}/.hydra/config.yaml", "a: 1\n")
        repo.write(f"{place}/.hydra/hydra.yaml", "a: 1\n")
        repo.write(f"{place}/.hydra/overrides.yaml", "[]\n")
        repo.write(f"{place}/m.pt", STATE if number == 46 else STATE + b"x")
    for path in (repo.root / "ml/outputs").rglob("*"):
        os.utime(path, (1732375306, 1732375306))  # long ago, or it would still be live
    repo.stage("ml/best_models/m.pt", STATE)
    repo.stage("ml/best_models/m_meta.json", META)
    repo.stage("ml/best_models/milestones.yaml", listing(entry(STATE, "best_models/m.pt")))
    repo.commit()
    explained = run(clean_runs.main, "--explain", "ml/outputs/2024-11-23/15-21-46", cwd=repo.root)
    assert "ml/best_models/m.pt" in explained.out
    other = run(clean_runs.main, "--explain", "ml/outputs/2024-11-23/15-21-47", cwd=repo.root)
    assert "ml/best_models/m.pt" not in other.out
