"""The recipes of docs/ci.md do what the page says, in repositories like those of the systems."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.contract_support import approve
from tests.realruns.json_server import JsonHandler, listening
from tests.support import Repo
from tests.test_check_range import commit, head

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
SCRIPTS = Path(sys.executable).parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the recipes are for a POSIX shell")


def recipe(title: str, language: str, number: int = 0) -> str:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return str(found[number])


def valid(document: Any, schema: str) -> None:
    text = (ROOT / "tests" / "data" / "schemas" / schema).read_text("utf-8")
    content = json.loads(text)
    jsonschema.validators.validator_for(content)(content).validate(document)


def run(repo: Repo, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("bash", "-e", "-o", "pipefail", "-c", script),
        cwd=repo.root,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **environ},
    )


@pytest.fixture
def pull_request(repo: Repo, tmp_path: Path) -> Repo:
    """A fresh clone, at the head of a branch that added an artifact, allowed and deleted it."""
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "origin.git"))
    repo.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    repo.git("checkout", "-q", "-b", "topic")
    commit(repo, "bad", "model.pt")
    repo.stage(".fx-hooks.yaml", "keep: ['*.pt']\n")
    commit(repo, "allow it")
    repo.git("rm", "-q", "model.pt")
    commit(repo, "gone")
    repo.git("push", "-q", "origin", "topic")
    repo.git("checkout", "-q", "main")
    commit(repo, "meanwhile", "src/a.py")
    repo.git("push", "-q", "origin", "main")
    repo.git("clone", "-q", str(tmp_path / "origin.git"), str(tmp_path / "clone"))
    clone = Repo(tmp_path / "clone")
    clone.git("checkout", "-q", "--detach", "origin/topic")
    return clone


def test_github(pull_request: Repo) -> None:
    workflow = yaml.load(recipe("GitHub Actions", "yaml"), yaml.BaseLoader)
    valid(yaml.safe_load(recipe("GitHub Actions", "yaml").replace("\non:", '\n"on":')),
          "github-workflows.json")  # fmt: skip
    steps = workflow["jobs"]["artifacts"]["steps"]
    assert steps[0]["with"] == {"fetch-depth": "0"}
    (script,) = [step["run"] for step in steps if "fx-check-range" in step.get("run", "")]
    # As GitHub checks a pull request out: the merge of it, detached.
    pull_request.git("merge", "-q", "--no-ff", "origin/main", "-m", "merge")
    result = run(pull_request, script, GITHUB_BASE_REF="main")
    assert (result.returncode, result.stderr) == (1, "")
    assert "gone since" in result.stdout
    assert "that of refs/remotes/origin/main counts" in result.stdout
    log = json.loads((pull_request.root / steps[-1]["with"]["sarif_file"]).read_text())
    assert len(log["runs"][0]["results"]) == 1
    annotations = script.replace("--format sarif --output fx-hooks.sarif", "--format github")
    result = run(pull_request, annotations, GITHUB_BASE_REF="main")
    assert "::error file=model.pt" in result.stdout
    pull_request.git("checkout", "-q", "--detach", "origin/main")
    commit(pull_request, "fine", "src/b.py")
    assert run(pull_request, script, GITHUB_BASE_REF="main").returncode == 0


def test_a_label_lets_milestones_in(pull_request: Repo) -> None:
    github = yaml.safe_load(recipe("GitHub Actions", "yaml"))["jobs"]["artifacts"]["steps"][3]
    gitlab = yaml.safe_load(recipe("GitLab CI", "yaml"))["artifacts"]["script"][1:]
    pull_request.git("checkout", "-q", "--detach", "origin/main")
    approve(pull_request)
    commit(pull_request, "a milestone")
    assert github["env"]["APPROVED"].endswith("labels.*.name, 'milestone') }}")
    for approved, code in (("false", 1), ("true", 0)):
        result = run(pull_request, github["run"], GITHUB_BASE_REF="main", APPROVED=approved)
        assert result.returncode == code, result
    variables = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    for labels, code in (("", 1), ("milestones", 1), ("bug,milestone", 0)):
        result = run(pull_request, "\n".join(gitlab), CI_MERGE_REQUEST_LABELS=labels, **variables)
        assert result.returncode == code, result
        said = "runs this again without --policy-ref"
        assert (said in result.stdout) == (code == 1)


def test_github_without_depth(pull_request: Repo, tmp_path: Path) -> None:
    origin = f"file://{tmp_path / 'origin.git'}"
    pull_request.git("clone", "-q", "--depth=1", "-b", "topic", origin, str(tmp_path / "shallow"))
    script = yaml.safe_load(recipe("GitHub Actions", "yaml"))["jobs"]["artifacts"]["steps"][3][
        "run"
    ]
    result = run(Repo(tmp_path / "shallow"), script, GITHUB_BASE_REF="main")
    assert (result.returncode, result.stdout) == (2, "")
    assert "shallow" in result.stderr


def test_gitlab(pull_request: Repo) -> None:
    pipeline = yaml.safe_load(recipe("GitLab CI", "yaml"))
    valid(pipeline, "gitlab-ci.json")
    job = pipeline["artifacts"]
    script = "\n".join(line for line in job["script"] if not line.startswith("pip "))
    variables = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    # No tag takes the branch's place.
    pull_request.git("push", "-q", "origin", "HEAD~1:refs/tags/main")
    result = run(pull_request, script, **variables)
    assert (result.returncode, result.stderr) == (1, "")
    report = pull_request.root / job["artifacts"]["reports"]["codequality"]
    (entry,) = json.loads(report.read_text())
    assert entry["location"]["path"] == "model.pt"


ORGANISATION = "All repositories of an organisation"


def test_an_organisation_on_github(pull_request: Repo, tmp_path: Path) -> None:
    text = recipe(ORGANISATION, "yaml")
    workflow = yaml.load(text, yaml.BaseLoader)
    valid(yaml.safe_load(text.replace("\non:", '\n"on":')), "github-workflows.json")
    jobs = workflow["jobs"]
    listing = jobs["list"]["steps"][0]["run"]
    programs = tmp_path / "programs"
    programs.mkdir()
    # GitHub's own program, which there is no server for here.
    (programs / "gh").write_text('#!/bin/sh\necho \'["me/one","me/two"]\'\n')
    (programs / "gh").chmod(0o755)
    told = tmp_path / "output"
    path = f"{programs}{os.pathsep}{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    environment = {"GITHUB_OUTPUT": str(told), "GITHUB_REPOSITORY_OWNER": "me", "PATH": path}
    assert run(pull_request, listing, **environment).returncode == 0
    assert json.loads(told.read_text().removeprefix("repositories=")) == ["me/one", "me/two"]
    (audit,) = [step["run"] for step in jobs["audit"]["steps"] if "--all" in step.get("run", "")]
    place = tmp_path / "audits" / "audit-0"
    place.mkdir(parents=True)
    assert run(pull_request, audit, GITHUB_WORKSPACE=str(place)).returncode == 0
    (page,) = [step["run"] for step in jobs["page"]["steps"] if "--merge" in step.get("run", "")]
    result = run(pull_request, f"cd {tmp_path}; {page}")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "audit.html").is_file()


def test_an_organisation_on_gitlab(pull_request: Repo) -> None:
    pipeline = yaml.safe_load(recipe(ORGANISATION, "yaml", 1))
    valid(pipeline, "gitlab-ci.json")
    pages = [
        [{"id": 1, "path_with_namespace": "me/one"}],
        [{"id": 2, "path_with_namespace": "me/x"}],
    ]

    class Api(JsonHandler):
        def get(self) -> None:
            number = int(self.path.rpartition("page=")[2])
            assert self.headers["PRIVATE-TOKEN"] == "secret"
            self.answer(pages[number - 1], headers={"X-Next-Page": "2" if number == 1 else ""})

    (script,) = pipeline["list"]["script"]
    with listening(Api) as address:
        environment = {"CI_API_V4_URL": address, "AUDIT_GROUP": "me/us", "AUDIT_TOKEN": "secret"}
        done = run(pull_request, script, no_proxy="127.0.0.1", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    jobs = yaml.safe_load((pull_request.root / "audits.yml").read_text())
    valid(jobs, "gitlab-ci.json")
    assert list(jobs) == ["audit me/one", "audit me/x", "page"]
    audit = jobs["audit me/one"]
    pull_request.git("clone", "-q", ".", "work/me/one")
    commands = [*audit["script"][2:], *jobs["page"]["script"][1:]]
    variables = {**audit["variables"], "CI_PROJECT_DIR": str(pull_request.root)}
    result = run(pull_request, "\n".join(commands), **variables)
    assert (result.returncode, result.stderr) == (0, "")
    assert "  one\n" in result.stdout
    assert (pull_request.root / "audit.html").is_file()


def test_pre_commit_ci() -> None:
    text = recipe("pre-commit.ci", "yaml")
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    stages = {hook["id"]: hook["stages"] for hook in hooks}
    for hook in yaml.safe_load(text)["repos"][0]["hooks"]:
        assert "pre-commit" in stages[hook["id"]]


def test_a_server(pull_request: Repo, tmp_path: Path) -> None:
    server = tmp_path / "origin.git"
    hook = server / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(recipe("A server: pre-receive", "sh"))
    hook.chmod(0o755)
    result = run(pull_request, "git push origin HEAD:refs/heads/other")
    # The server has these commits already.
    assert result.returncode == 0
    commit(pull_request, "again", "other.pt")
    result = run(pull_request, "git push origin HEAD:refs/heads/more")
    assert result.returncode == 1
    assert "remote: 1 file in 1 of 1 commits does not belong in Git" in result.stderr
    assert head(pull_request) not in run(Repo(server), "git for-each-ref").stdout


def test_a_plain_hook(pull_request: Repo) -> None:
    hook = pull_request.root / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(recipe("A plain hook before a push", "sh"))
    hook.chmod(0o755)
    pull_request.remove(".fx-hooks.yaml")
    commit(pull_request, "again", "other.pt")
    pull_request.git("rm", "-q", "--cached", ".fx-hooks.yaml")
    commit(pull_request, "strict")
    result = run(pull_request, "git push origin HEAD:refs/heads/more")
    assert result.returncode == 1
    assert "other.pt" in result.stdout + result.stderr


def test_plain_shell(pull_request: Repo) -> None:
    result = run(pull_request, recipe("Plain shell", "sh"))
    assert (result.returncode, "gone since" in result.stdout) == (1, True)
    result = run(pull_request, recipe("Plain shell", "sh", 1))
    # At the end all weights are allowed, and the audit judges by what is there now.
    assert (result.returncode, result.stderr) == (0, "")
    assert "No artifacts in it." in result.stdout
    assert "nothing in this history breaks the policy" in (
        pull_request.root / "audit.html"
    ).read_text("utf-8")


@pytest.mark.parametrize("title", ["Plain shell", "GitLab CI"])
@pytest.mark.parametrize("kind", ["shallow", "unrelated"])
def test_no_recipe_says_clean_without_a_base(
    pull_request: Repo, tmp_path: Path, title: str, kind: str
) -> None:
    text = recipe(title, "yaml" if title == "GitLab CI" else "sh")
    if title == "GitLab CI":
        lines = yaml.safe_load(text)["artifacts"]["script"]
        text = "\n".join(line for line in lines if not line.startswith("pip "))
    origin = f"file://{tmp_path / 'origin.git'}"
    if kind == "shallow":
        pull_request.git("clone", "-q", "--depth=1", "-b", "topic", origin, str(tmp_path / "it"))
        clone = Repo(tmp_path / "it")
    else:
        clone = pull_request
        clone.git("checkout", "-q", "--orphan", "unrelated")
        commit(clone, "bad", "model.pt")
    result = run(clone, text, CI_MERGE_REQUEST_TARGET_BRANCH_NAME="main")
    assert result.returncode == (2 if kind == "shallow" else 1), result


def test_the_recipes_install_what_the_readme_does() -> None:
    # Installing it is tried in test_examples.
    readme = (ROOT / "README.md").read_text("utf-8")
    installed = re.findall(r"pip install ([^\s\"]+)", PAGE)
    assert len(installed) == 6
    for where in installed:
        assert f"$ pip install {where}\n" in readme


def test_every_block_of_the_page_is_tried() -> None:
    found = re.findall(r"^```(\w+)\n", PAGE, re.MULTILINE)
    assert sorted(found) == ["sh"] * 4 + ["yaml"] * 5
