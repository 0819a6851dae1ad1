"""Manifest, README, documentation, changelog and console scripts say the same."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fx_hooks import __version__
from fx_hooks.cli._runners import entry_lines
from fx_hooks.policy.loader import load_policy
from fx_hooks.util.yaml_insert import with_items
from fx_hooks.weights.torch_allows import TORCH_VERSION
from tests.documents import (
    PAGES,
    ROOT,
    Block,
    address,
    all_blocks,
    anchors,
    blocks,
    headings,
    links,
    read,
    setup_cfg,
    spans,
)
from tests.rules_page import PAGE, page

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
SCRIPTS = dict(
    line.split(" = ")
    for line in setup_cfg()["options.entry_points"]["console_scripts"].strip().splitlines()
)
# Pages that people read beside README and docs.
OTHERS = [path.name for path in ROOT.glob("*.md") if path.name != "README.md"]


@pytest.mark.parametrize("name", [hook["id"] for hook in HOOKS])
def test_each_hook_is_a_script_with_a_page(name: str) -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == name]
    assert hook["entry"].split()[0] in SCRIPTS
    assert headings(f"docs/{name}.md")[0] == name
    for stage in hook["stages"]:
        assert f"`{stage}`" in read(f"docs/{name}.md").partition("\n## ")[0]


def test_the_hook_sees_links_submodules_and_odd_names() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-check-artifacts"]
    assert hook["types"] == []
    assert hook["args"] == ["--"]
    assert hook["stages"] == ["pre-commit", "pre-merge-commit", "manual"]


def test_the_hook_for_gitignore_is_always_asked() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-sync-gitignore"]
    assert (hook["pass_filenames"], hook["always_run"], hook["files"]) == (False, True, "^$")


def test_the_tree_hook_is_one_process() -> None:
    (hook,) = [hook for hook in HOOKS if hook["id"] == "fx-check-tree"]
    assert hook["entry"] == "fx-check-artifacts --all-files"
    assert (hook["pass_filenames"], hook["always_run"], hook["files"]) == (False, True, "^$")
    assert hook["stages"] == ["manual"]


@pytest.mark.parametrize(("name", "target"), SCRIPTS.items())
def test_each_script_is_its_module_and_has_a_page(name: str, target: str) -> None:
    module, function = target.split(":")
    command = name.removeprefix("fx-").replace("-", "_")
    assert command in (module.rpartition(".")[2], function) or target == "fx_hooks.__main__:main"
    assert callable(getattr(import_module(module), function))
    assert headings(f"docs/{name}.md")[0] == name
    assert name in read("CHANGELOG.md")


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_option_is_on_the_page(name: str) -> None:
    known = options(name)
    assert known - {"--help", "--version"} > set()
    text = read(f"docs/{name}.md")
    missing = {option for option in known if not re.search(rf"{option}(?![\w-])", text)}
    assert missing <= {"--help", "--version"}
    # And what the page shows as usage exists.
    usage = "".join(block.text for block in blocks(f"docs/{name}.md", "text"))
    assert usage.startswith(f"{name} ")
    assert set(re.findall(r"(?<!\S)\[?(--?[a-z][-a-z]*)", usage)) <= known
    assert {word for word in re.findall(r"\S+", usage) if word.startswith("fx-")} == {name}


@functools.cache
def options(command: str) -> set[str]:
    """The options that a command says it has."""
    if command == "fx-hooks":
        command += " rules"  # it has none but those of the commands that it alone has
    name, *arguments = command.split()
    script = Path(sys.executable).with_name(name)
    done = subprocess.run(
        (script, *arguments, "--help"), capture_output=True, text=True, check=True
    )
    return set(re.findall(r"^  (?:-h, )?(-[-a-z]+)", done.stdout, re.MULTILINE))


def test_commands_in_sentences_exist() -> None:
    found = [(name, text) for name in [*PAGES, *OTHERS] for text in spans(name)]
    commands = [(name, words) for name, text in found if (words := text.split())[0] in SCRIPTS]
    assert len(commands) > 30
    for where, (name, *arguments) in commands:
        if name == "fx-hooks" and arguments:
            name = f"fx-hooks {arguments[0]}"
        named = {word.partition("=")[0] for word in arguments if word.startswith("--")} - {"--"}
        assert named <= options(name), f"{where}: {name} {' '.join(arguments)}"
    for where, text in found:
        if text.startswith("--") and text != "--" and where in PAGES:
            stem = Path(where).stem
            known = options(stem) if stem in SCRIPTS else set[str]().union(*map(options, SCRIPTS))
            named = {word.partition("=")[0] for word in text.split() if word.startswith("--")}
            assert named <= known, f"{where}: {text}"
        if text.startswith("fx-") and " " in text:
            assert text.split()[0] in SCRIPTS, f"{where}: {text}"
        if text.startswith("python -m "):
            place = ROOT / text.split()[2].replace(".", "/")
            script = place.with_suffix(".py")
            assert script.exists() or (place / "__main__.py").exists(), f"{where}: {text}"


def test_every_text_block_is_a_usage() -> None:
    for block in all_blocks("text"):
        assert Path(block.page).stem == block.text.split()[0], block


def test_the_readme_is_short_and_leads_to_all_pages() -> None:
    assert len(read("README.md").encode()) <= 10_000
    listed = {f"docs/{name}.md" for name in re.findall(r"^([\w-]+)$", toctrees(), re.MULTILINE)}
    assert {*listed, "README.md", "docs/index.md"} == set(PAGES)
    named = {link.partition("#")[0] for link in links("README.md")}
    commands = {f"docs/{name}.md" for name in [*SCRIPTS, *(hook["id"] for hook in HOOKS)]}
    assert {*commands, "docs/index.md", "docs/policy.md", "docs/rules.md", "docs/ci.md"} <= named


def toctrees() -> str:
    return "".join(block.text for block in blocks("docs/index.md", "{toctree}"))


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_links_lead_somewhere(page: str) -> None:
    """Local links and their anchors; of others those that lead into this project."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        if ours := re.fullmatch(rf"{re.escape(address())}/(?:blob|tree)/main/(.+)", path):
            assert (ROOT / ours[1]).exists(), link
            continue
        if ":" in path:
            assert path.startswith("https://"), link
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if page.startswith("docs/"):
            assert target.resolve().parent == ROOT / "docs", f"{page}: {link} is not on the site"
        if anchor:
            name = target.resolve().relative_to(ROOT.resolve()).as_posix()
            assert anchor in anchors(name), f"{page}: {link}"


def test_anchors_are_those_of_the_forge() -> None:
    assert {"fx-hooksyaml", "the-policy"} <= anchors("docs/policy.md")
    assert "blocked-what-now" in anchors("README.md")


def test_the_address_and_the_version_come_from_one_source() -> None:
    assert setup_cfg()["metadata"]["version"] == "attr: fx_hooks.__version__"
    texts = {page: read(page) for page in [*PAGES, *OTHERS]}
    for path in [*ROOT.glob("fx_hooks/**/*.py"), *ROOT.glob("fx_hooks/**/*.json")]:
        texts[str(path)] = path.read_text("utf-8")
    owner_and_name = address().removeprefix("https://github.com/")
    seen = 0
    for name, text in texts.items():
        for found in re.finditer(r"github(?:usercontent)?\.com/([\w.-]+/fx-hooks)\b(@\S+)?", text):
            assert found[1] == owner_and_name, name
            seen += 1
        for version in re.findall(r"fx-hooks@(v[\w.]+)|^ *rev: (v\S+)", text, re.MULTILINE):
            assert "".join(version) == f"v{__version__}", name
    assert seen > 10
    # What is installed is a version.
    documents = "".join(read(page) for page in PAGES)
    for command in re.findall(r"pipx? install (.*fx-hooks\S*)", documents):
        assert f"git+{address()}@v{__version__}" in command


def snippets() -> list[Block]:
    """What people are to write into `.pre-commit-config.yaml`."""
    return [block for block in all_blocks("yaml") if "repos:" in block.text]


def test_fx_init_writes_the_snippet() -> None:
    for where in ("README.md", "docs/install.md"):
        (block,) = [block for block in snippets() if block.page == where]
        assert with_items(b"", "", "repos", entry_lines) == block.text.encode()
        assert len(block.text.splitlines()) == 8


def test_snippets_name_hooks_that_exist(tmp_path: Path) -> None:
    ids = {hook["id"] for hook in HOOKS}
    assert len(snippets()) == 3
    for block in snippets():
        (tmp_path / "config.yaml").write_text(block.text)
        command = (sys.executable, "-m", "pre_commit", "validate-config", "config.yaml")
        subprocess.run(command, cwd=tmp_path, check=True)
        (repository,) = yaml.safe_load(block.text)["repos"]
        assert (repository["repo"], repository["rev"]) == (address(), f"v{__version__}")
        named = {hook["id"] for hook in repository["hooks"]}
        if block.page != "docs/ci.md":
            # That one wants a hook type of its own.
            assert named == ids - {"fx-check-range"}
        assert named <= ids


def test_the_policy_on_its_page_is_valid() -> None:
    example, *_ = blocks("docs/policy.md", "yaml")
    text = read("docs/policy.md")
    policy = load_policy(example.text.encode())
    assert {"scratch", "keep"} <= {entry.rule for entry in policy.entries}
    assert "python-caches" not in {entry.rule for entry in policy.entries}
    against_schema(example, "schema.json")
    schema = json.loads(read("fx_hooks/policy/schema.json"))
    top = schema["properties"]
    for key in (*schema["definitions"]["rule"]["properties"], *top["best_models"]["properties"]):
        assert re.search(rf"^\|.*`{key}(?:: [^`]*)?`.*\|.*\|$", text, re.MULTILINE), key
    written = "".join(
        block.text
        for page in ("docs/policy.md", "docs/monorepos.md")
        for block in blocks(page, "yaml")
    )
    assert all(f"\n{key}:" in f"\n{written}" for key in top)


def test_the_policies_of_monorepos_are_valid() -> None:
    first, own, root = (block.text.encode() for block in blocks("docs/monorepos.md", "yaml"))
    assert load_policy(first).folders == ("packages/*", "services/rank")
    policy = load_policy(first, project=("packages/ml", own))
    assert policy.best_models.max_size == 100_000_000
    assert "keep" in {entry.rule for entry in policy.entries if entry.source.startswith("packages")}
    assert load_policy(root).projects_may == ("ignore", "best_models")


def test_the_milestones_on_their_page_are_valid() -> None:
    (example,) = blocks("docs/milestones.md", "yaml")
    against_schema(example, "milestones.schema.json")
    text = read("docs/milestones.md")
    schema = json.loads((ROOT / "fx_hooks" / "policy" / "milestones.schema.json").read_text())
    assert all(f"`{key}`" in text for key in schema["definitions"]["milestone"]["properties"])


def against_schema(block: Block, name: str) -> None:
    """The block is valid by the schema of ours that its first line names."""
    first, _, _ = block.text.partition("\n")
    path = first.partition("$schema=")[2].partition("/main/")[2]
    assert path.endswith(f"/{name}")
    schema = json.loads((ROOT / path).read_text("utf-8"))
    value = json.loads(json.dumps(yaml.safe_load(block.text), default=str))
    jsonschema.validators.validator_for(schema)(schema).validate(value)


def test_every_yaml_block_is_tested() -> None:
    tested = {
        ("README.md", "repos"),
        ("docs/install.md", "repos"),
        ("docs/install.md", "pre-commit"),  # test_examples
        ("docs/policy.md", "ignore"),
        ("docs/monorepos.md", "projects"),
        ("docs/monorepos.md", "ignore"),
        ("docs/frameworks.md", "ignore"),  # test_examples
        ("docs/milestones.md", "milestones"),
        # test_ci_recipes
        ("docs/ci.md", "name"),
        ("docs/ci.md", "artifacts"),
        ("docs/ci.md", "list"),
        ("docs/ci.md", "ci"),
    }
    found = {(block.page, next(iter(yaml.safe_load(block.text)))) for block in all_blocks("yaml")}
    assert found == tested


def test_languages_are_those_that_are_tested() -> None:
    languages = {block.language for block in all_blocks()}
    assert languages == {"console", "json", "python", "sh", "text", "yaml", "{toctree}"}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (block,) = [block for block in blocks("README.md") if block.section == "Try it here"]
    command = block.commands[1][0].rpartition("&& ")[2]
    assert command in read(".ci/run")


def test_ci_builds_the_documentation() -> None:
    assert "sphinx-build -q -EWn docs build/site" in read(".ci/run")


def test_the_rules_page_is_that_of_the_policy() -> None:
    assert PAGE.read_text("utf-8") == page(load_policy()), "run python -m tests.rules_page"


@pytest.mark.parametrize("extra", ["test", "docs"])
def test_development_versions_are_pinned(extra: str) -> None:
    lines = setup_cfg()["options.extras_require"][extra].strip().splitlines()
    assert len(lines) >= 3
    # A Python that the newest version leaves behind has the last one for it.
    form = r'[A-Za-z_-]+==[0-9.]+(; python_version (<|>=) "3\.\d+")?'
    assert all(re.fullmatch(form, line) for line in lines)


def test_ci_tries_the_platforms_that_are_named() -> None:
    matrix = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["tests"]["strategy"]["matrix"]
    systems = {*matrix["os"], *(extra["os"] for extra in matrix["include"])}
    assert systems == {"ubuntu-latest", "macos-latest", "windows-latest"}
    versions = sorted(matrix["python"], key=lambda version: int(version.partition(".")[2]))
    for name in ("README.md", "docs/install.md"):
        named = re.search(
            r"Linux, macOS and Windows, with Python ([\d.]+) to ([\d.]+\d)", read(name)
        )
        assert named is not None
        assert named.groups() == (versions[0], versions[-1])
    assert setup_cfg()["options"]["python_requires"] == f">={versions[0]}"


def test_ci_tries_the_lower_bounds() -> None:
    config = setup_cfg()
    bounds = config["options"]["install_requires"].split()
    bounds += config["options.extras_require"]["tools"].split()
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    steps = [step.get("run", "") for step in workflow["jobs"]["lower-bounds"]["steps"]]
    (command,) = [step for step in steps if "pathspec==" in step]
    tried = dict(re.findall(r"(\w+)==([\d.]+)", command))
    assert len(tried) == len(bounds) == 5
    for bound in bounds:
        name, version = bound.partition(",")[0].split(">=")
        assert tried[name] in (version, f"{version}.0"), bound


def test_the_torch_whose_lists_are_shipped_is_the_one_that_is_tried() -> None:
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    (installed,) = [s["run"] for s in jobs["torch"]["steps"] if "torch==" in s.get("run", "")]
    pins = installed.partition("install ")[2]
    assert f"torch=={TORCH_VERSION}" in pins.split()
    # By hand as in CI.
    assert f"pip install {pins} && python -m pytest -m torch" in read("CONTRIBUTING.md")
