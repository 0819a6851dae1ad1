"""The project's own checks, its source release, and its workflows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.project import ROOT, copy_project, project_files
from tests.support import PLAINLY, Repo, git_version

SCRIPTS = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE_NOTES = ROOT / ".ci" / "release_notes.py"


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.mark.slow
def test_own_hooks_pass(home: Path, tmp_path: Path) -> None:
    project = Repo.init(tmp_path / "project")
    copy_project(project.root)
    project.git("add", "-A")
    store = str(home / "pre-commit")
    done = run("pre-commit", "run", "--all-files", cwd=project.root, PRE_COMMIT_HOME=store)
    assert done.returncode == 0, done.stdout
    assert "Skipped" not in done.stdout
    # Everything is local: nothing was fetched.
    assert {name.name for name in Path(store).iterdir()} <= {
        "db.db", ".lock", "README", "pre-commit.log", "patch",
    }  # fmt: skip
    assert project.git("diff", "--name-only") == ""


@pytest.mark.skipif(git_version() < (2, 31), reason="pre-commit needs git 2.31 for --all-files")
def test_own_hooks_refuse(home: Path, tmp_path: Path) -> None:
    project = Repo.init(tmp_path / "project")
    copy_project(project.root, beginnings=("fx_hooks/util/",))
    project.stage("wandb/run-20240131_235959-abc/files/output.log", "x\n")
    project.stage("tests/x.py", "import  os\n")
    project.stage("docs/x.md", "t" + "eh \n\n\n")
    store = str(home / "pre-commit")
    done = run("pre-commit", "run", "--all-files", cwd=project.root, PRE_COMMIT_HOME=store)
    failed = set(re.findall(r"- hook id: (.*)", done.stdout))
    assert failed == {
        "fx-check-artifacts", "ruff-check", "ruff-format", "codespell", "end-of-file-fixer",
        "trailing-whitespace",
    }  # fmt: skip


def test_own_hooks_are_those_of_the_manifest() -> None:
    manifest = {hook["id"]: hook for hook in load(ROOT / ".pre-commit-hooks.yaml")}
    config = load(ROOT / ".pre-commit-config.yaml")
    own = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for hook in own} == {"system"}
    used = [hook for hook in own if hook["id"] in manifest]
    assert len(used) == 3
    for hook in used:
        said = dict(manifest[hook["id"]])
        assert {said.pop("minimum_pre_commit_version")} == {config["minimum_pre_commit_version"]}
        del said["description"]
        assert hook == {**said, "language": "system"}


@pytest.fixture(scope="module")
def source_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the project's sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    copy_project(folder / "project")
    done = run(
        sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder,
        cwd=folder / "project",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, **PLAINLY)
    return folder / archive.name.removesuffix(".tar.gz")


def test_a_source_release_has_all_files(source_release: Path) -> None:
    there = {
        str(path.relative_to(source_release))
        for path in source_release.rglob("*")
        # Another test runs the release's own tests in it, which leaves bytecode there.
        if path.is_file() and not {"fx_hooks.egg-info", "__pycache__"} & set(path.parts)
    }
    assert there - {"PKG-INFO"} == set(project_files())


@pytest.mark.slow
def test_the_tests_of_a_source_release_run(source_release: Path) -> None:
    done = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-k", "index or imports or release_notes",
        "tests/test_layers.py", "tests/test_git.py", "tests/test_project.py",
        cwd=source_release,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    where = "import fx_hooks; print(fx_hooks.__file__)"
    done = run(sys.executable, "-c", where, cwd=source_release)
    assert done.stdout.startswith(str(source_release))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows(path: Path) -> None:
    document = load(path)
    schema = json.loads((ROOT / "tests/data/schemas/github-workflows.json").read_text("utf-8"))
    # YAML 1.1 reads `on` as true.
    document["on"] = document.pop(True)
    jsonschema.validators.validator_for(schema)(schema).validate(document)
    # A job says what it may do; without a word it may write.
    assert document["permissions"] in ({}, {"contents": "read"})
    for line in path.read_text("utf-8").splitlines():
        if "uses:" in line:
            # Dependabot keeps both, the commit and the version behind it.
            assert re.fullmatch(r" +- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    for job in document["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            # What is put into a script as text can be a command.
            assert "${{" not in step.get("run", "")


def test_one_action_has_one_version() -> None:
    used: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: (\S+)@(\S+)", path.read_text("utf-8")):
            used.setdefault(name, set()).add(commit)
    assert {name: len(commits) for name, commits in used.items()} == dict.fromkeys(used, 1)


def test_only_the_publishing_job_can_publish() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["tag"]["permissions"] == {"contents": "write"}
    # It runs none of the project's code.
    assert not any("run" in step for step in jobs["publish"]["steps"])
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text("utf-8")


def test_forge_files_are_yaml() -> None:
    assert all(isinstance(load(path), dict) for path in (ROOT / ".github").rglob("*.yml"))


CHANGELOG = """\
# Changelog

## Unreleased
{unreleased}
## 0.2.0 - 2027-01-31

### Added

- This.

## 0.1.0

- That.
"""


@pytest.mark.parametrize(
    ("version", "unreleased", "code", "said"),
    [
        pytest.param("0.2.0", "", 0, "### Added\n\n- This.\n", id="ready"),
        pytest.param("0.2.0", "\n- More.\n", 1, "move what stands under Unreleased", id="more"),
        pytest.param("0.3.0", "", 1, "says nothing of 0.3.0", id="none"),
        pytest.param("0.1.0", "", 1, "does not say when 0.1.0 is released", id="no-date"),
    ],
)
def test_release_notes(tmp_path: Path, version: str, unreleased: str, code: int, said: str) -> None:
    script = tmp_path / ".ci" / "release_notes.py"
    script.parent.mkdir()
    script.write_bytes(RELEASE_NOTES.read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG.format(unreleased=unreleased))
    done = run(sys.executable, script, version, cwd=tmp_path)
    assert done.returncode == code
    assert done.stdout.removeprefix("CHANGELOG.md: ").startswith(said)


def test_the_changelog_is_by_version() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) > 1
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", name) for name in headings[1:])
