"""Manifest, README, changelog, rules page and console scripts say the same."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from fx_hooks import __version__
from fx_hooks.cli.init import entry_lines
from fx_hooks.policy.loader import load_policy
from fx_hooks.util.yaml_insert import with_items
from tests.rules_page import PAGE, page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def scripts() -> dict[str, str]:
    lines = setup_cfg()["options.entry_points"]["console_scripts"].strip().splitlines()
    return dict(line.split(" = ") for line in lines)


def section(title: str) -> str:
    """The text below one README heading, with its subsections."""
    found: list[str] = []
    level = 0
    in_fence = False
    for line in README.splitlines(keepends=True):
        in_fence ^= line.lstrip().startswith("```")
        marks, _, text = line.partition(" ")
        if not in_fence and set(marks) == {"#"}:
            if level and len(marks) <= level:
                break
            if not level and text.strip() == title:
                level = len(marks)
                continue
        if level:
            found.append(line)
    assert level, f"no section {title}"
    return "".join(found)


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("hook", HOOKS, ids=[hook["id"] for hook in HOOKS])
def test_each_hook_is_a_script_with_a_readme_section(hook: dict[str, Any]) -> None:
    assert hook["entry"].split()[0] in scripts()
    assert section(hook["id"]).strip()


def test_the_hook_sees_links_submodules_and_odd_names() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-check-artifacts"]
    assert hook["types"] == []
    assert hook["args"] == ["--"]
    assert hook["stages"] == ["pre-commit", "pre-merge-commit", "manual"]


def test_fx_init_writes_the_snippet() -> None:
    snippet = fenced(section("Use it"), "yaml")[0]
    assert with_items(b"", "", "repos", entry_lines) == snippet.encode()


def test_the_hook_for_gitignore_is_always_asked() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-sync-gitignore"]
    assert (hook["pass_filenames"], hook["always_run"], hook["files"]) == (False, True, "^$")


def test_the_tree_hook_is_one_process() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-check-tree"]
    assert hook["entry"] == "fx-check-artifacts --all-files"
    assert (hook["pass_filenames"], hook["always_run"], hook["files"]) == (False, True, "^$")
    assert hook["stages"] == ["manual"]


@pytest.mark.parametrize(("name", "target"), scripts().items())
def test_each_script_is_its_module_and_in_the_readme(name: str, target: str) -> None:
    module, function = target.split(":")
    assert module.rpartition(".")[2] == name.removeprefix("fx-").replace("-", "_")
    assert callable(getattr(import_module(module), function))
    assert section(name).strip()
    assert name in (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize(("name", "target"), scripts().items())
def test_each_option_is_in_the_readme(name: str, target: str) -> None:
    module = target.split(":")[0]
    usage = subprocess.run(
        (sys.executable, "-m", module, "--help"), capture_output=True, text=True, check=True
    )
    options = set(re.findall(r"^  (?:-h, )?(-[-a-z]+)", usage.stdout, re.MULTILINE))
    assert options - {"--help", "--version"} > set()
    missing = [option for option in options if option not in section(name)]
    assert set(missing) <= {"--help", "--version", "--policy"}


def test_the_version_stands_in_one_place() -> None:
    assert setup_cfg()["metadata"]["version"] == "attr: fx_hooks.__version__"
    assert f"rev: v{__version__}" in README


def test_the_snippet_is_eight_lines_of_our_hooks() -> None:
    snippet = fenced(section("Use it"), "yaml")[0]
    assert len(snippet.splitlines()) == 8
    (repository,) = yaml.safe_load(snippet)["repos"]
    assert repository["repo"] == setup_cfg()["metadata"]["url"]
    # That one wants a hook type of its own.
    ids = {hook["id"] for hook in HOOKS} - {"fx-check-range"}
    assert {hook["id"] for hook in repository["hooks"]} == ids


def test_the_policies_in_the_readme_are_valid() -> None:
    (example,) = fenced(section(".fx-hooks.yaml"), "yaml")
    policy = load_policy(example.encode())
    assert {"scratch", "keep"} <= {entry.rule for entry in policy.entries}
    assert "python-caches" not in {entry.rule for entry in policy.entries}


def test_fx_explain_says_what_the_readme_shows(tmp_path: Path) -> None:
    policy = next(text for text in fenced(README, "yaml") if "/assets/tokenizer.pt" in text)
    (tmp_path / ".fx-hooks.yaml").write_text(policy, "utf-8")
    shown = next(text for text in fenced(README, "console") if text.startswith("$ fx-explain"))
    command, _, expected = shown.partition("\n")
    done = subprocess.run(
        (sys.executable, "-m", "fx_hooks.cli.explain", *command.split()[2:]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (expected, "")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = fenced(section("Try it here"), "console")[0].splitlines()[1].rpartition("&& ")[2]
    assert command in (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_rules_page_is_that_of_the_policy() -> None:
    assert PAGE.read_text("utf-8") == page(load_policy()), "run python -m tests.rules_page"


def test_json_in_the_readme_is_json() -> None:
    for text in fenced(README, "json"):
        json.loads(text)


def test_development_versions_are_pinned() -> None:
    lines = setup_cfg()["options.extras_require"]["test"].strip().splitlines()
    assert len(lines) > 10
    assert all(re.fullmatch(r"[A-Za-z_-]+==[0-9.]+", line) for line in lines)


def test_ci_tries_the_lower_bounds() -> None:
    config = setup_cfg()
    bounds = config["options"]["install_requires"].split()
    bounds += config["options.extras_require"]["tools"].split()
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = [step.get("run", "") for step in workflow["jobs"]["lower-bounds"]["steps"]]
    (command,) = [step for step in steps if "pathspec==" in step]
    tried = dict(re.findall(r"(\w+)==([\d.]+)", command))
    assert len(tried) == len(bounds) == 5
    for bound in bounds:
        name, version = bound.split(">=")
        assert tried[name] in (version, f"{version}.0"), bound
