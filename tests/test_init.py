"""``fx-init``: an empty repository, a grown one, and twice in a row."""

from __future__ import annotations

import base64
import configparser
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

from fx_hooks import sync_gitignore
from fx_hooks.cli import _runners, _undo, add_milestone, init
from fx_hooks.frameworks.framework import RunDirectory
from fx_hooks.gitignore import file
from fx_hooks.policy.model import POLICY_NAME
from fx_hooks.runs.layouts import run_directories
from fx_hooks.util import files
from tests import support
from tests.contract_support import META, METADATA, STATE
from tests.faults import Work, killed_at_every_step, needs_fork
from tests.support import Repo, Result, mostly_slow, working_directory

SNIPPET = f"""\
repos:
  - repo: {_runners.URL}
    rev: v0.1.0
    hooks:
      - id: fx-check-artifacts
      - id: fx-check-best-models
      - id: fx-check-tree
      - id: fx-sync-gitignore
default_install_hook_types:
  - pre-commit
  - pre-merge-commit
"""
INSTALL = """\
Install the hooks, once in each clone:
    pre-commit install --hook-type pre-commit --hook-type pre-merge-commit
"""
DONE = Result(0, f"The files are in place.\n{INSTALL}No tracked file breaks the policy.\n", "")
ALL_DONE = Result(0, "All is in place.\nNo tracked file breaks the policy.\n", "")


def run(repo: Repo, *arguments: str, folder: str = ".") -> Result:
    return support.run(init.main, *arguments, cwd=repo.root / folder)


def in_step(repo: Repo) -> bool:
    with working_directory(repo.root):
        return sync_gitignore.main(["--check"]) == 0


def test_an_empty_repository(empty: Repo) -> None:
    result = run(empty, "--yes")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith(
        "Written. Look at the changes, then stage them:\n"
        "    git add .gitignore .pre-commit-config.yaml\n"
        f"{INSTALL}No tracked file breaks the policy.\n"
    )
    assert (empty.root / ".pre-commit-config.yaml").read_text() == SNIPPET
    assert not in_step(empty)  # as long as it is not staged
    empty.git("add", "-A")
    assert in_step(empty)
    assert not (empty.root / ".fx-hooks.yaml").exists()
    before = empty.on_disk()
    assert run(empty, "--yes") == run(empty) == run(empty, "--dry-run") == DONE
    assert empty.on_disk() == before


def test_a_dry_run_writes_nothing(repo: Repo) -> None:
    before = repo.on_disk()
    result = run(repo, "--dry-run")
    assert result.code == 1
    assert result.out.splitlines()[0].startswith(".gitignore: new, ")
    assert f"  +  - repo: {_runners.URL}" in result.out.splitlines()
    assert repo.on_disk() == before


def test_the_block_is_shown_by_tool(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person agrees to a line for each of ten tools, and one for all others; not to each line."""
    found = run(repo, "--dry-run").out
    shown = [
        line.rsplit(maxsplit=2)
        for line in found.splitlines()
        if line.endswith((" patterns", " pattern"))
    ]
    counts = {name.strip(): int(count) for name, count, _ in shown}
    assert {"wandb", "hydra", "torch", "huggingface", "no one tool"} <= counts.keys()
    (others,) = (name for name in counts if name.endswith(" other tools"))
    assert len(counts) == 12
    assert int(others.split()[0]) > 20
    whole = run(repo, "--dry-run", "--diff").out
    assert "  +/wandb\n" in whole
    assert "  +/wandb\n" not in found
    assert "(--diff shows all lines)" in found
    block = whole[whole.index("  +# >>>") : whole.index("  +# <<<")].splitlines()
    assert sum(counts.values()) == sum(not line.startswith("  +#") for line in block)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked = run(repo).out
    assert "  +/wandb\n" not in asked
    run(repo, "--yes")
    # Of a block that is there only what changes is shown.
    repo.write(".fx-hooks.yaml", "ignore: [/scratch]\n")
    repo.git("add", "-A")
    assert "  +/scratch\n" in run(repo, "--dry-run").out


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("Yes", 0), ("", 1), ("no", 1)])
def test_it_asks(repo: Repo, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    result = run(repo)
    assert result.code == code
    assert ("Nothing was written.\n" in result.out) == ("Install" not in result.out) == bool(code)
    assert (repo.root / ".gitignore").exists() == (code == 0)


@pytest.mark.parametrize("name", [".pre-commit-config.yaml", ".gitignore"])
@pytest.mark.parametrize("text", ["repos: []\n", None])
def test_what_is_edited_meanwhile_is_kept(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None
) -> None:
    if text is not None:
        repo.write(name, text)

    def edited(_: str) -> str:
        repo.write(name, "# mine\nrepos: []\n")
        return "y"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", edited)
    said = run(repo)
    assert said.code == 2
    assert said.err == (
        f"fx-init: error: {name}: it has just been changed: run this again; nothing was written\n"
    )
    assert (repo.root / name).read_text() == "# mine\nrepos: []\n"
    assert run(repo, "--yes").code == 0


def test_the_end_of_the_input_means_no(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", end)
    result = run(repo)
    assert (result.code, result.err) == (1, "")
    assert result.out.endswith("\n\nNothing was written.\nNo tracked file breaks the policy.\n")
    assert not (repo.root / ".gitignore").exists()


def test_nobody_is_there_to_ask(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = run(repo)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "fx-init: error: cannot ask without a terminal: look at the plan with --dry-run, then run"
        " with --yes\n"
    )
    assert not (repo.root / ".gitignore").exists()


GROWN = b"""\
# Our hooks.
default_language_version: {python: python3}   # one for all

repos:
-   repo: https://github.com/psf/black
    rev: "24.1.0"
    hooks: [ {id: black} ]   # odd, but ours


-   repo: local
    hooks:
    -   id: mine
        name: mine
        entry: true
        language: system
    # nothing more for now

# The end.
exclude: ^vendor/
"""


def test_a_grown_repository(repo: Repo) -> None:
    repo.stage(".pre-commit-config.yaml", GROWN)
    repo.stage("configs/hydra/default.yaml", HYDRA_GROUP)
    repo.stage("configs/paths/default.yaml", PATHS)
    repo.stage("train.sh", "export WANDB_DIR=results/tracking\n")
    repo.stage(".gitignore", "*.swp\n__pycache__/\n*.pt\n!keep.pt\n")
    repo.stage(".fx-hooks.yaml", "# Ours.\nkeep: [/assets/a.pt]  # the tokenizer\n")
    repo.stage("assets/a.pt")
    repo.commit()
    before = {path: path.read_bytes() for path in repo.root.iterdir() if path.is_file()}
    result = run(repo, "--yes")
    assert (result.code, result.err) == (0, "")
    assert (
        "These lines of .gitignore are redundant, because the block already covers them:"
        in result.out
    )
    assert "    .gitignore:2: __pycache__/\n" in result.out
    assert ".gitignore:3" not in result.out  # `*.pt` would close what the policy keeps
    config = (repo.root / ".pre-commit-config.yaml").read_bytes()
    at = config.index(b"-   repo: local")
    added = config.index(b"- repo: https://github.com/fx-hooks")
    stop = config.index(b"    # nothing more")
    assert at < added < stop
    types = b"default_install_hook_types:\n  - pre-commit\n  - pre-merge-commit\n"
    assert config[:added] + config[stop:] == GROWN + types
    assert [item["repo"] for item in yaml.safe_load(config)["repos"]][-1] == _runners.URL
    policy = (repo.root / ".fx-hooks.yaml").read_bytes()
    assert policy.startswith(before[repo.root / ".fx-hooks.yaml"])
    assert [rule["paths"] for rule in yaml.safe_load(policy)["ignore"]] == [
        ["/experiments"],
        ["/results/tracking/wandb"],
    ]
    repo.git("add", "-A")
    assert in_step(repo)
    *head, own, last = run(repo, "--yes").out.splitlines()
    assert "\n".join(head).endswith(f"The files are in place.\n{INSTALL}".rstrip())
    assert "of your .gitignore disagree" in own
    assert last == "No tracked file breaks the policy."
    assert in_step(repo)


def redundant(repo: Repo, lines: str) -> list[str]:
    repo.write(".gitignore", lines)
    out = run(repo, "--dry-run").out.splitlines()
    return [line.split(": ", 1)[1] for line in out if line.startswith("    .gitignore:")]


def test_what_the_block_makes_redundant(repo: Repo) -> None:
    assert redundant(repo, "/foo\n/wandb/  \r\n\n#/wandb\n/outputs\n*.pyc\n") == [
        "*.pyc",
    ]


def test_a_blank_before_a_name_is_part_of_it(repo: Repo) -> None:
    assert redundant(repo, " __pycache__\n") == []


@pytest.mark.parametrize("own", ["!/mine/**", "!__pycache__/", "!mine", "!/mine/", "![!a]", "!*"])
def test_what_closes_what_another_line_opens_is_not_redundant(repo: Repo, own: str) -> None:
    repo.write("mine/a.py")
    closing = "/mine/__pycache__/\n"
    assert redundant(repo, f"{own}\n{closing}") == []
    # git then looks into the folder, and the block has no line for what is in it.
    assert redundant(repo, f"{closing}{own}\n") == []
    repo.write(".gitignore", "")
    run(repo, "--yes")
    block = (repo.root / ".gitignore").read_text()
    # In front of the block they have no say.
    assert redundant(repo, f"{own}\n{closing}{block}{closing}") == ["/mine/__pycache__/"] * 2


@pytest.mark.parametrize("own", ["!/other/*", "!logs/.gitkeep", "!/mine/.gitkeep", "!keep.pt"])
def test_what_other_lines_open_elsewhere(repo: Repo, own: str) -> None:
    lines = f"{own}\n/mine/__pycache__/\n{own}\n"
    assert redundant(repo, lines) == ["/mine/__pycache__/"]


def test_a_sparse_checkout_without_the_file(repo: Repo) -> None:
    repo.stage(".gitignore", "/own\n")
    repo.stage("src/a.py", "pass\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "--no-cone", "/src/")
    result = run(repo, "--yes")
    assert (result.code, result.out) == (2, "")
    assert "fx-init: error: .gitignore: is left out by the sparse checkout" in result.err
    assert not (repo.root / ".gitignore").exists()


HYDRA_GROUP = """\
# https://hydra.cc/docs/configure_hydra/intro/
run:
  dir: ${paths.log_dir}/${task_name}/runs/${now:%Y-%m-%d}_${now:%H-%M-%S}
sweep:
  dir: ${paths.log_dir}/${task_name}/multiruns/${now:%Y-%m-%d}_${now:%H-%M-%S}
"""
PATHS = "root_dir: ${oc.env:PROJECT_ROOT}\nlog_dir: ${paths.root_dir}/experiments/\n"


def test_tracked_files_that_break_the_policy(repo: Repo) -> None:
    for name in ("outputs/a.bin", "outputs/b.bin", "src/x.pt", "best_models/y.pt"):
        repo.stage(name)
    repo.commit()
    result = run(repo, "--yes")
    assert result.code == 1
    assert result.out.endswith(
        "4 tracked files break the policy (see them with fx-check-artifacts --all-files).\n"
        "Stop tracking them (the files stay on disk):\n"
        "    git rm -r -q --cached -- best_models outputs src\n"
        "Or accept what is tracked today, and refuse what is new:\n"
        "    fx-init --baseline --yes\n"
    )
    assert run(repo, "--yes", "--keep-tracked").code == 0
    blob = repo.git("rev-parse", "HEAD:best_models/y.pt").strip()
    assert (repo.root / ".fx-hooks-baseline").read_text().splitlines()[1:] == [
        f"{blob} best_models/y.pt",
        "- outputs/a.bin",
        "- outputs/b.bin",
        "- src/x.pt",
    ]
    assert run(repo, "--keep-tracked") == DONE
    repo.git("add", ".fx-hooks-baseline")
    assert repo.check("--all-files").code == 0
    repo.stage("outputs/c.bin")
    assert repo.check().code == 1


def test_a_list_that_cannot_be_read_is_said(repo: Repo) -> None:
    repo.stage("best_models/milestones.yaml", "milestones:\n  best_models/a.pt: {why: x}\n")
    result = run(repo, "--yes")
    assert result.code == 1
    assert "1 breach of the contract for chosen models" in result.out


def test_no_command_is_cut(repo: Repo) -> None:
    for number in range(400):
        repo.write(f"{number}{'x' * 200}/a.pt")
        repo.write(f"{number}{'x' * 200}/a.py")
    repo.stage_all()
    result = run(repo, "--yes")
    assert "    # and " not in result.out


def executable(repo: Repo, name: str, text: str) -> None:
    repo.write(name, text)
    (repo.root / name).chmod(0o755)


def test_a_plain_hook(repo: Repo) -> None:
    executable(repo, ".git/hooks/pre-commit", "#!/bin/sh\n# fx-check-artifacts\n")
    result = run(repo, "--yes")
    assert result.code == 1
    assert (
        ".git/hooks/pre-commit already exists; add to it:\n"
        "    fx-check-artifacts || exit\n    fx-check-best-models || exit\n"
        "    fx-sync-gitignore || exit\n"
        "Write .git/hooks/pre-merge-commit:\n"
        "    #!/bin/sh\n    fx-check-artifacts || exit\n"
    ) in result.out
    assert not (repo.root / ".pre-commit-config.yaml").exists()
    lines = "fx-check-artifacts || exit\nfx-check-best-models || exit\nfx-sync-gitignore || exit\n"
    executable(repo, ".git/hooks/pre-commit", f"#!/bin/sh\n{lines}")
    executable(repo, ".git/hooks/pre-merge-commit", "#!/bin/sh\nexec fx-check-artifacts\n")
    assert run(repo) == ALL_DONE
    (repo.root / ".git/hooks/pre-commit").chmod(0o644)
    said = run(repo)
    assert (said.code, "but git does not start it" in said.out) == (1, True)


ENDS = {
    "#!/bin/sh\nexec fx-check-artifacts\n": 2,
    "#!/bin/sh\n\n# lint\nset -e\nnpm test\nexec lint-staged": 6,
    "#!/bin/sh\nfx-check-artifacts || exit\nif test -t 1; then\n  npm test\nfi\n": 3,
    "#!/bin/sh\nexit 0\n": 2,
}


@pytest.mark.parametrize("text", ENDS)
def test_lines_for_a_hook_that_ends_early(repo: Repo, text: str) -> None:
    for stage in ("pre-commit", "pre-merge-commit"):
        executable(repo, f".git/hooks/{stage}", text)
    said = run(repo, "--yes").out
    head = f".git/hooks/pre-commit already exists; add to it, before line {ENDS[text]}:\n"
    assert head in said
    added = said.partition(head)[2].splitlines()
    new = [line[4:] for line in added[: [*map(str.isspace, (a[:1] for a in added))].index(False)]]
    lines = text.splitlines()
    lines[ENDS[text] - 1 : ENDS[text] - 1] = new
    executable(repo, ".git/hooks/pre-commit", "\n".join(lines) + "\n")
    executable(repo, ".git/hooks/pre-merge-commit", "#!/bin/sh\nfx-check-artifacts || exit\n")
    assert run(repo) == ALL_DONE


def test_the_report_says_which_commands_a_hook_lacks(repo: Repo) -> None:
    for stage in ("pre-commit", "pre-merge-commit"):
        executable(repo, f".git/hooks/{stage}", "#!/bin/sh\nfx-check-artifacts || exit\n")
    said = run(repo, "--report").out.splitlines()
    assert [line for line in said if line.startswith("hook ")] == [
        "hook pre-commit        does not start fx-check-best-models, fx-sync-gitignore yet",
        "hook pre-merge-commit  starts fx-hooks",
    ]
    (repo.root / ".git/hooks/pre-commit").write_text("#!/bin/sh\n")
    assert "hook pre-commit        does not start fx-hooks yet" in run(repo, "--report").out


ALL = "fx-check-artifacts && fx-check-best-models && fx-sync-gitignore"


@pytest.mark.parametrize(
    ("text", "proven"),
    mostly_slow(
        [
            (f"{ALL}\n", True),
            (f"exec {ALL.split(' ')[0]}\n", False),
            (f"set -e\n{ALL.replace(' && ', chr(10))}\necho done\n", True),
            (f"set -euo pipefail\n/opt/bin/{ALL}\n", True),
            (f"{ALL} || exit 1\necho done\n", True),
            (f"{ALL}\necho done\n", False),
            (f"{ALL} || true\n", False),
            (f"{ALL} || exit 0\n", False),
            (f"exec true\n{ALL}\n", False),
            (f"exit 0\n{ALL}\n", False),
            (f"test -x a && exit\n{ALL}\n", False),
            (f"if false; then\n{ALL}\nfi\n", False),
            (f"f() {{\n{ALL}\n}}\n", False),
            (f"cat <<E\n{ALL}\nE\n", False),
            (f"echo a \\\n{ALL}\n", False),
            (f"{ALL} &\n", False),
            (f"{ALL}; true\n", False),
            (f"echo {ALL}\n", False),
            (f"npm test\n{ALL}\n", True),
            (f"npm test && {ALL}\n", True),
            (f"npm test && {ALL} || exit 1\necho done\n", True),
            (f"set -e\n{ALL}\necho done\n", False),
            (f"set -e\nnpm test && {ALL}\necho done\n", False),
            (f"exit 0 && {ALL}\n", False),
            (f"true && exec true && {ALL}\n", False),
            (f"npm test || {ALL}\n", False),
            (f"npm test && {ALL} && true; true\n", False),
        ],
        3,
    ),
)
def test_what_of_a_script_is_reached(repo: Repo, text: str, proven: bool) -> None:
    run(repo, "--yes")
    (repo.root / ".pre-commit-config.yaml").unlink()
    for stage in ("pre-commit", "pre-merge-commit"):
        executable(repo, f".git/hooks/{stage}", f"#!/bin/bash\n{text}")
    result = run(repo)
    assert (result.code == 0) == proven, result.out
    assert proven or "nothing proves" in result.out or "add to it" in result.out


LEFTHOOK = "#!/bin/sh\ncall_lefthook run pre-commit\n"


reads_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in Python 3.11")


@pytest.mark.parametrize(
    "name",
    ["lefthook.yml", ".lefthook.yaml", ".config/lefthook.yml", "lefthook.json",
     pytest.param("lefthook.toml", marks=reads_toml)],
)  # fmt: skip
def test_lefthook(repo: Repo, name: str) -> None:
    repo.write(name, "{}\n" if not name.endswith("toml") else "")
    first = run(repo, "--yes").out
    assert f"{name} already exists; add to it:\n" in first
    lines = first.partition("add to it:\n")[2].splitlines()
    written = [line[4:] for line in lines if line.startswith("    ") and "git add" not in line]
    repo.write(name, "\n".join(written))
    said = run(repo)
    assert (said.code, "Git does not start lefthook yet:\n    lefthook install\n" in said.out) == (
        1,
        True,
    )
    for stage in ("pre-commit", "pre-merge-commit"):
        executable(repo, f".git/hooks/{stage}", LEFTHOOK)
    assert run(repo) == ALL_DONE
    repo.write("lefthook-local.yml", "pre-commit:\n  skip: true\n")
    said = run(repo)
    assert (said.code, "fx-init --try" in said.out) == (1, True)


@reads_toml
def test_a_damaged_toml_is_named(repo: Repo) -> None:
    repo.write("lefthook.toml", "[")
    said = run(repo)
    assert said.code == 2
    assert "lefthook.toml: cannot be read" in said.err


@pytest.mark.parametrize("more", ["skip: true", "only: [merge]"])
def test_lefthook_that_may_leave_it_out(repo: Repo, more: str) -> None:
    commands = "".join(f"    {name}: {{run: {name}}}\n" for name in _runners.COMMANDS)
    text = f"  {more}\n  commands:\n{commands}"
    repo.write("lefthook.yml", f"pre-commit:\n{text}pre-merge-commit:\n{text}")
    assert "add to it" in run(repo, "--yes").out


def test_husky(repo: Repo) -> None:
    repo.write(".husky/_/h", "")
    assert "Git does not start husky's hooks yet" in run(repo, "--yes").out
    repo.git("config", "core.hooksPath", ".husky/_")
    for stage in ("pre-commit", "pre-merge-commit"):
        executable(repo, f".husky/_/{stage}", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n')
    said = run(repo).out
    assert "Write .husky/pre-commit:\n    fx-check-artifacts\n" in said
    repo.write(".husky/pre-commit", ALL.replace(" && ", "\n"))
    said = run(repo).out
    assert "Write .husky/pre-merge-commit:\n    fx-check-artifacts\n" in said
    repo.write(".husky/pre-merge-commit", "fx-check-artifacts\n")
    assert run(repo) == ALL_DONE


PREK = """\
[[repos]]
repo = "local"
hooks = [{ id = "mine", name = "mine", entry = "true", language = "system" }]
"""


@reads_toml
def test_prek_toml(repo: Repo) -> None:
    repo.write("prek.toml", PREK)
    result = run(repo, "--yes")
    assert result.code == 1
    assert not (repo.root / ".pre-commit-config.yaml").exists()
    lines = result.out.partition("add to it:\n")[2].splitlines()
    repo.write("prek.toml", PREK + "\n".join(line[4:] for line in lines[:4]) + "\n")
    said = run(repo)
    assert said.code == 0
    assert "prek install --hook-type pre-commit --hook-type pre-merge-commit\n" in said.out
    repo.write("prek.toml", "x = [")
    assert run(repo).code == 2


def test_a_configuration_that_only_prek_reads(repo: Repo) -> None:
    repo.write(".pre-commit-config.yml", "repos: []\n")
    result = run(repo, "--yes")
    assert (result.code, "    prek install " in result.out) == (0, True)
    assert not (repo.root / ".pre-commit-config.yaml").exists()
    assert "fx-check-artifacts" in (repo.root / ".pre-commit-config.yml").read_text()


def test_push(repo: Repo) -> None:
    result = run(repo, "--yes", "--push")
    assert "--hook-type pre-merge-commit --hook-type pre-push\n" in result.out
    config = yaml.safe_load((repo.root / ".pre-commit-config.yaml").read_text())
    assert config["default_install_hook_types"][-1] == "pre-push"
    assert config["repos"][0]["hooks"][-1] == {"id": "fx-check-range"}


def test_undo_gives_back_every_byte(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    # The runner that it starts is that of these tests.
    scripts = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    repo.stage(".gitignore", "# mine\n*.tmp")
    repo.stage("config/config.yaml", "hydra:\n  run:\n    dir: results/${now:%H}\n")
    repo.stage(".pre-commit-config.yaml", "repos:\n# ours\n- repo: local\n  hooks: []")
    repo.commit()
    (repo.root / ".gitignore").chmod(0o600)
    assert "nothing to undo" in run(repo, "--undo", "--yes").err
    hooks = sorted(os.listdir(repo.root / ".git/hooks"))
    assert run(repo, "--yes", "--install").code == 0
    assert (repo.root / ".git/hooks/pre-merge-commit").exists()
    repo.git("add", ".fx-hooks.yaml")
    repo.write("config/config.yaml", "hydra:\n  run:\n    dir: others/${now:%H}\n")
    assert run(repo, "--yes").code == 0
    repo.git("reset", "-q")
    repo.git("checkout", "-q", "config")
    assert run(repo, "--undo", "--yes").code == 0
    assert repo.git("status", "--porcelain", "--ignored") == ""
    assert (repo.root / ".gitignore").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(repo.root / ".git/hooks")) == hooks
    assert "nothing to undo" in run(repo, "--undo", "--yes").err


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_a_dry_undo_only_says_what_it_would_do(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], terminal: bool
) -> None:
    run(repo, "--yes")
    record = (repo.root / ".git/fx-hooks-init.json").read_bytes()
    before = repo.on_disk()
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asks"))
    said = run(repo, "--undo", "--dry-run", *more)
    assert said == Result(
        1,
        ".gitignore: goes away\n.pre-commit-config.yaml: goes away\nNothing was taken back.\n",
        "",
    )
    assert repo.on_disk() == before
    assert (repo.root / ".git/fx-hooks-init.json").read_bytes() == record


DRY = [("--yes", "--install", "--push"), ("--yes", "--baseline"), ("--yes", "--keep-tracked"),
       ("--report",), ("--try",), ("--try", "--yes"), ("--diff", "--yes")]  # fmt: skip


@pytest.mark.parametrize("more", DRY, ids=" ".join)
def test_what_is_dry_changes_nothing(repo: Repo, more: tuple[str, ...]) -> None:
    repo.stage("train.log")
    repo.commit()

    def state() -> list[bytes]:
        return sorted(
            os.path.relpath(path, repo.root).encode() + path.read_bytes()
            for path in repo.root.rglob("*")
            if path.is_file()
        )

    before = state()
    said = run(repo, "--dry-run", *more)
    assert (said.err, state()) == ("", before)
    assert said.code == (0 if "--report" in more else 1)


def test_own_lines_that_disagree_are_counted(repo: Repo) -> None:
    repo.write(".gitignore", "!*.pt\n!*.ckpt\nmine/\n")
    line = "2 lines of your .gitignore disagree with the policy (see fx-sync-gitignore --findings)."
    said = run(repo, "--yes")
    assert line in said.out.splitlines(), said
    assert line in run(repo).out.splitlines()
    repo.write(".gitignore", (repo.root / ".gitignore").read_text().replace("!*.pt\n!*", "!*", 1))
    assert "1 line of your .gitignore disagrees with the policy" in run(repo).out


def test_undo_takes_nothing_back_that_was_edited(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(repo, "--yes")
    repo.write(".gitignore", (repo.root / ".gitignore").read_text() + "mine\n")
    before = repo.on_disk()
    result = run(repo, "--undo", "--yes")
    assert (result.code, ".gitignore: was edited since" in result.err) == (2, True)
    assert repo.on_disk() == before
    repo.write(".gitignore", (repo.root / ".gitignore").read_text().removesuffix("mine\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert run(repo, "--undo").code == 1
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run(repo, "--undo").code == 0
    assert not (repo.root / ".gitignore").exists()
    repo.write(".git/fx-hooks-init.json", "[{}]")
    assert "is damaged" in run(repo, "--undo", "--yes").err


@pytest.mark.parametrize("kind", ["pre-commit", "prek"])
@pytest.mark.parametrize("push", [False, True])
def test_undo_leaves_a_repository_that_takes_commits(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, kind: str, push: bool
) -> None:
    scripts = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    said = run(repo, "--yes", *["--push"] * push).out
    install = said.partition("Install the hooks, once in each clone:\n    ")[2].split("\n")[0]
    subprocess.run(install.replace("pre-commit", kind, 1).split(), cwd=repo.root, check=True)
    undone = run(repo, "--undo", "--yes")
    assert undone.code == 0
    repo.stage("a.py", "")
    repo.git("commit", "-q", "-m", "x", fails=True)
    head, command = undone.out.partition("Taken back.\n")[2].splitlines()
    assert head == (
        f"Git still starts {kind}, which has no configuration now and refuses each commit. Take its"
        " hooks away:"
    )
    assert command.endswith("--hook-type pre-push") == push
    subprocess.run(command.split(), cwd=repo.root, check=True)
    repo.commit()


def test_undo_keeps_the_hooks_of_a_runner_with_other_hooks(repo: Repo) -> None:
    repo.write(".pre-commit-config.yaml", "repos: []\n")
    repo.write(".git/hooks/pre-commit", "# File generated by pre-commit: https://pre-commit.com\n")
    run(repo, "--yes")
    assert run(repo, "--undo", "--yes").out.endswith("Taken back.\n")


# What is there, and which of its lines go.
BY_HAND = {
    "lefthook.yml": (
        "# mine\npre-commit:\n  parallel: true\n  commands:\n    lint:\n      run: ruff check\n"
        "    a:\n\n      glob: '*.py'\n      run: fx-check-artifacts\n\n"
        "    fx-sync-gitignore:\n      run: 'fx-sync-gitignore'\n"
        "pre-merge-commit:\n  jobs:\n  - run: |\n      fx-check-artifacts && fx-sync-gitignore\n"
        "    name: ours\n",
        [7, 9, 10, 12, 13, 14, 15, 16, 17, 18],
        "# mine\npre-commit:\n  parallel: true\n  commands:\n"
        "    lint:\n      run: ruff check\n\n\n",
    ),
    ".lefthook.toml": (
        '[pre-commit.commands]\na.run = "x"\npre.run = "fx-check-artifacts"\n',
        [3],
        '[pre-commit.commands]\na.run = "x"\n',
    ),
    ".husky/pre-commit": (
        "# fx-check-tree\nfx-check-artifacts && fx-sync-gitignore\nnpm test\n",
        [2],
        "# fx-check-tree\nnpm test\n",
    ),
    ".git/hooks/pre-commit": (
        "#!/bin/sh\nfx-check-artifacts || exit\nfx-check-best-models || exit 1\n:\n",
        [2, 3],
        "#!/bin/sh\n:\n",
    ),
}
# What is not ours alone in a line: the line stays, and something of it does, too.
MIXED = {
    "lefthook.yml": (
        "pre-commit:\n  commands:\n    a:\n      run: ruff check && fx-check-artifacts\n"
        "    b:\n      run: fx-sync-gitignore\n",
        [4, 6],
    ),
    "lefthook.toml": ('[pre-commit.commands.a]\nrun = "fx-check-artifacts"\n', [2]),
    "lefthook.json": ('{"pre-commit":\n {"jobs": [{"run": "fx-check-artifacts"}]}}\n', [2]),
    ".husky/pre-commit": ("if true; then\n  fx-check-artifacts\nfi\n", [2]),
    ".git/hooks/pre-merge-commit": ("#!/bin/sh\ntrue &&\nfx-check-artifacts\n", [3]),
    ".pre-commit-config.yaml": ("repos:\n- repo: x\n  hooks:\n  - id: fx-check-artifacts\n", [4]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_undo_names_the_lines_that_it_did_not_write(repo: Repo, name: str) -> None:
    text, numbers, left = BY_HAND[name]
    repo.write(name, text)
    run(repo, "--yes")
    lines = text.splitlines(keepends=True)
    assert run(repo, "--undo", "--yes").out.partition("Taken back.\n")[2] == (
        f"{name} still starts fx-hooks, in lines that fx-init did not write."
        " Take these lines out:\n"
        + "".join(f"    {name}:{number}: {lines[number - 1]}" for number in numbers)
    )
    rest = [line for number, line in enumerate(lines, 1) if number not in numbers]
    assert "".join(rest) == left


@pytest.mark.parametrize("name", MIXED)
def test_undo_names_lines_that_are_not_ours_alone(repo: Repo, name: str) -> None:
    text, numbers = MIXED[name]
    repo.write(name, text)
    run(repo, "--yes")
    said = run(repo, "--undo", "--yes").out.partition("did not write. ")[2].splitlines()
    lines = text.splitlines()
    assert said == [
        "Take fx-hooks out of these lines:",
        *(f"    {name}:{number}: {lines[number - 1]}" for number in numbers),
    ]


@pytest.mark.parametrize("folder", [".", "src"])
@pytest.mark.parametrize(
    ("name", "tracked"),
    [(".git/hooks/pre-commit", False), (".husky/pre-commit", False), (".husky/pre-commit", True)],
)
@pytest.mark.skipif(os.name == "nt", reason="the command is for a POSIX shell")
def test_undo_takes_a_script_away_that_does_nothing_else(
    repo: Repo, name: str, folder: str, tracked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    repo.write("src/a.py", "")
    repo.write(name, "#!/bin/sh\n\nfx-check-artifacts || exit\n")
    (repo.root / name).chmod(0o755)
    if name.startswith(".husky"):
        repo.git("config", "core.hooksPath", ".husky")
        if tracked:
            repo.git("add", name)
    run(repo, "--yes")
    repo.stage("a.log", "")
    repo.git("commit", "-q", "-m", "x", fails=True)
    head, command = run(repo, "--undo", "--yes", folder=folder).out.splitlines()[-2:]
    assert head.endswith(" did not write. It does nothing else, so take it away:")
    subprocess.run(command, shell=True, cwd=repo.root / folder, check=True)
    repo.commit()
    assert name not in repo.git("ls-files") + repo.git("ls-files", "--others")


def test_undo_leaves_hooks_alone_that_other_repositories_share(repo: Repo, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("fx-check-artifacts\n")
    repo.git("config", "core.hooksPath", str(hooks))
    run(repo, "--yes")
    said = run(repo, "--undo", "--yes").out
    assert f"Take these lines out:\n    {hooks}/pre-commit:1: fx-check-artifacts\n" in said


MARKS = ("# mine\n*.tmp\n", None)


@pytest.mark.parametrize("before", MARKS)
@pytest.mark.parametrize("again", [False, True])
def test_undo_after_a_milestone(repo: Repo, before: str | None, again: bool) -> None:
    if before is not None:
        repo.stage(".gitignore", before)
    run(repo, "--yes")
    repo.write("m.pt", STATE)
    repo.write(METADATA, META)
    written = (repo.root / ".gitignore").read_bytes()
    assert support.run(add_milestone.main, "m.pt", "--why", "x", cwd=repo.root).code == 0
    assert (repo.root / ".gitignore").read_bytes() != written
    if again:
        repo.write(".fx-hooks.yaml", "ignore: ['*.xyz']\n")
        run(repo, "--yes")
    assert run(repo, "--undo", "--yes").code == 0
    there = (repo.root / ".gitignore").read_text() if before is not None else None
    assert (there, (repo.root / ".gitignore").exists()) == (before, before is not None)
    assert (repo.root / "best_models/milestones.yaml").exists()


def test_undo_keeps_a_block_that_somebody_edited(repo: Repo) -> None:
    run(repo, "--yes")
    place = repo.root / ".gitignore"
    text = place.read_text()
    for edited in (text.replace("*.pt\n", "*.pt\n*.mine\n", 1), text + "mine\n", "mine\n" + text):
        place.write_text(edited)
        assert run(repo, "--undo", "--yes").code == 2
        assert place.read_text() == edited


@pytest.mark.slow
@needs_fork
def test_what_was_written_before_an_interruption_is_taken_back(repo: Repo, tmp_path: Path) -> None:
    repo.stage(".gitignore", "# mine\n*.tmp")
    repo.stage("config/config.yaml", "hydra:\n  run:\n    dir: results/${now:%H}\n")
    repo.commit()
    (repo.root / ".gitignore").chmod(0o666)
    before = repo.on_disk()
    kept = tmp_path / "kept"
    shutil.copytree(repo.root, kept)

    def prepare() -> Work:
        shutil.rmtree(repo.root)
        shutil.copytree(kept, repo.root)
        return lambda: run(repo, "--yes").code

    for outcome in killed_at_every_step(prepare):
        written = (repo.root / ".fx-hooks.yaml").exists()
        said = run(repo, "--undo", "--yes")
        assert said.code == (0 if written else 2), (outcome, said)
        assert {path: repo.on_disk().get(path) for path in before} == before
        assert (repo.root / ".gitignore").stat().st_mode & 0o777 == 0o666
        assert not (repo.root / ".fx-hooks.yaml").exists()
        assert not (repo.root / ".pre-commit-config.yaml").exists()
    assert outcome.code == 0


@pytest.mark.parametrize("old", [False, True], ids=["", "a record of before"])
def test_undo_stays_in_its_clone(repo: Repo, tmp_path: Path, old: bool) -> None:
    run(repo, "--yes")
    record = repo.root / ".git/fx-hooks-init.json"
    if old:  # paths were from the root of the file system
        items = json.loads(record.read_text())
        for item in items:
            path = repo.path(base64.b64decode(item["path"]))
            item["path"] = base64.b64encode(path).decode()
        record.write_text(json.dumps(items))
    copy = Repo(tmp_path / "copy")
    shutil.copytree(repo.root, copy.root)
    before = repo.on_disk()
    said = run(copy, "--undo", "--yes")
    assert repo.on_disk() == before
    assert (copy.root / ".gitignore").exists() == old
    if old:
        assert said.code == 2
        assert said.err.startswith(f"fx-init: error: {repo.root}/.gitignore: is not in this clone")
    else:
        assert said.out == (
            ".gitignore: goes away\n.pre-commit-config.yaml: goes away\nTaken back.\n"
        )


RECORDS = (
    "[" * 100_000,
    '[{"path": "YQBi", "before": null, "after": null}]',
    '[{"path": "YQ==", "before": {"content": "", "mode": -1}, "after": null}]',
    '[{"path": "YQ==", "before": {"content": "", "mode": 1e400}, "after": null}]',
    f'[{{"path": "YQ==", "before": {{"content": "", "mode": {10**30}}}, "after": null}}]',
)


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_a_damaged_record(repo: Repo, record: str) -> None:
    repo.write(".git/fx-hooks-init.json", record)
    assert run(repo, "--undo", "--yes").err == (
        f"fx-init: error: {repo.root}/.git/fx-hooks-init.json: is damaged: delete it, and take our"
        " lines out by hand\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("lefthook.yml", ""),
        (".git/hooks/pre-commit", ""),
        ("prek.toml", "prek.toml: cannot be read: it is not a file"),
        (".git/fx-hooks-init.json", ".git/fx-hooks-init.json: cannot be read: it is not a file"),
    ],
)
def test_nobody_waits_for_a_pipe(repo: Repo, name: str, error: str) -> None:
    os.mkfifo(repo.path(name))
    assert error in run(repo, "--yes").err


def test_report(repo: Repo) -> None:
    repo.stage("config/config.yaml", "hydra:\n  run:\n    dir: results/${now:%H}\n")
    repo.stage("train.log")
    before = repo.on_disk()
    assert "runner" in run(repo, "--report").out
    facts = json.loads(run(repo, "--report", "--format", "json").out)
    assert facts["runner"] == {
        "name": "pre-commit", "config": ".pre-commit-config.yaml", "complete": False,
    }  # fmt: skip
    assert facts["hooks"] == {"pre-commit": False, "pre-merge-commit": False}
    assert (facts["tools"], facts["tracked_artifacts"]) == (["Hydra"], 1)
    assert repo.on_disk() == before


def test_options_that_do_not_go_together(repo: Repo) -> None:
    assert run(repo, "--undo", "--report").code == 2
    assert run(repo, "--format", "json").code == 2
    assert run(repo, "--baseline", "--keep-tracked").code == 2
    run(repo, "--yes")
    before = repo.on_disk()
    for way in ("--undo", "--report", "--try"):
        for other in ("--baseline", "--keep-tracked", "--push", "--install", "--diff"):
            said = run(repo, way, "--yes", other)
            assert said.code == 2
            assert f"{way} and {other} do not go together" in said.err
    assert repo.on_disk() == before


@pytest.mark.parametrize(
    ("full", "written"),
    [(".gitignore", "already written: .fx-hooks.yaml"), (".fx-hooks.yaml", "nothing was written"),
     (".git/fx-hooks-init.json", "nothing was written")],
)  # fmt: skip
def test_a_full_disk(repo: Repo, monkeypatch: pytest.MonkeyPatch, full: str, written: str) -> None:
    repo.stage("config/config.yaml", "hydra:\n  run:\n    dir: results/${now:%H}\n")
    real = files.replace_file

    def replace(place: bytes, content: bytes, mode: int, **options: bool) -> None:
        if os.path.samefile(os.path.dirname(place), (repo.root / full).parent) and (
            os.path.basename(place) == os.path.basename(full).encode()
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(place, content, mode, **options)

    for module in (init, _undo, file):
        monkeypatch.setattr(module, "replace_file", replace)
    said = run(repo, "--yes")
    assert (said.code, said.err.endswith(f"; {written}\n")) == (2, True), said
    assert f"{full}: cannot be written: No space left on device" in said.err
    monkeypatch.undo()
    assert run(repo, "--undo", "--yes").code == (0 if full == ".gitignore" else 2)
    assert repo.git("status", "--porcelain") == "A  config/config.yaml\n"


@pytest.mark.slow
def test_a_trial_starts_what_git_starts(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    repo.write("precious.txt", "not staged\n")
    assert run(repo, "--try").code == 2 or repo.git("log") != ""
    repo.stage("a.py")
    repo.commit()
    before, log = repo.on_disk(), repo.git("log", "--all", "--format=%H")
    said = run(repo, "--try")
    assert said == Result(1, "pre-commit: a run gets in\npre-merge-commit: a run gets in\n", "")
    executable(repo, ".git/hooks/pre-commit", "#!/bin/sh\nif true; then fx-check-artifacts; fi\n")
    said = run(repo, "--try")
    assert said == Result(1, "pre-commit: a run is refused\npre-merge-commit: a run gets in\n", "")
    executable(repo, ".git/hooks/pre-merge-commit", "#!/bin/sh\nexec fx-check-artifacts\n")
    assert run(repo, "--try").code == 0
    executable(repo, ".git/hooks/pre-commit", "#!/bin/sh\nexit 1\n")
    assert "refuse a clean commit, too, and do not say why" in run(repo, "--try").err
    executable(
        repo, ".git/hooks/pre-commit", "#!/bin/sh\nseq 20\nprintf '\\033[1m\\n'\nnot-there-1\n"
    )
    head, *lines = run(repo, "--try").err.splitlines()
    assert head == "fx-init: error: the hooks refuse a clean commit, too. They said:"
    assert len(lines) == 8
    assert lines[5:7] == ["    20", "    \\x1b[1m"]
    assert "not-there-1" in lines[7]
    assert (repo.on_disk(), repo.git("log", "--all", "--format=%H")) == (before, log)
    assert repo.git("worktree", "list").count("\n") == 1


@pytest.mark.parametrize("where", ["core.hooksPath", "linked"])
def test_hooks_in_another_place(repo: Repo, tmp_path: Path, where: str) -> None:
    if where == "linked":
        repo.commit()
        repo.git("worktree", "add", "-q", str(tmp_path / "linked"))
        repo.write(".git/hooks/pre-commit", "#!/bin/sh\n")
        repo, name = Repo(tmp_path / "linked"), str(repo.root / ".git/hooks/pre-commit")
    else:
        name = "githooks/pre-commit"
        repo.git("config", "core.hooksPath", "githooks")
        repo.write(name, "#!/bin/sh\n")
    os.chmod(os.path.join(repo.root, name), 0o755)
    assert "already exists; add to it" in run(repo, "--yes").out
    assert not (repo.root / ".pre-commit-config.yaml").exists()


@pytest.mark.parametrize("runner", ["pre-commit", "prek"])
def test_hooks_of_a_runner_that_has_no_configuration(repo: Repo, runner: str) -> None:
    generated = f"#!/bin/sh\n# File generated by {runner}: https://example.org\n"
    executable(repo, ".git/hooks/pre-commit", generated)
    result = run(repo, "--yes")
    assert INSTALL.replace("pre-commit install", f"{runner} install") in result.out
    assert (repo.root / ".pre-commit-config.yaml").read_text() == SNIPPET
    executable(repo, ".git/hooks/pre-merge-commit", generated)
    assert run(repo) == ALL_DONE
    entry = SNIPPET.replace(
        "      - id: fx-sync", "      - id: fx-check-range\n      - id: fx-sync"
    )
    (repo.root / ".pre-commit-config.yaml").write_text(entry)
    assert f"    {runner} install " in run(repo).out
    assert " --hook-type pre-merge-commit --hook-type pre-push\n" in run(repo).out


def test_an_entry_that_is_commented_out(repo: Repo) -> None:
    commented = "".join(f"#{line}\n" for line in SNIPPET.splitlines())
    repo.write(".pre-commit-config.yaml", f"{commented}repos: []\n")
    assert run(repo, "--yes").code == 0
    config = yaml.safe_load((repo.root / ".pre-commit-config.yaml").read_text())
    assert config == yaml.safe_load(SNIPPET)


def test_an_entry_that_lacks_hooks(repo: Repo) -> None:
    run(repo, "--yes")
    for entry in (
        f"repo: {_runners.URL}.git\n  rev: v0.1.0",
        "repo: local",
    ):
        repo.write(
            ".pre-commit-config.yaml", f"repos:\n- {entry}\n  hooks: [{{id: fx-check-tree}}]\n"
        )
        for _ in range(2):
            result = run(repo, "--yes")
            assert result == Result(
                1,
                ".pre-commit-config.yaml: the entry of fx-hooks lacks these hooks; add them to its"
                " `hooks`:\n"
                "    - id: fx-check-artifacts\n"
                "    - id: fx-check-best-models\n"
                "    - id: fx-sync-gitignore\n"
                f"{INSTALL}No tracked file breaks the policy.\n",
                "",
            )


@pytest.mark.parametrize(
    "config", ["repos:\n- a\n- {hooks: b}\n- hooks: [c]\n", "---\n# nothing yet\n"]
)
def test_odd_configurations(repo: Repo, config: str) -> None:
    repo.write(".pre-commit-config.yaml", config)
    assert run(repo, "--yes").code == 0
    repos = yaml.safe_load((repo.root / ".pre-commit-config.yaml").read_text())["repos"]
    assert repos[-1] == yaml.safe_load(SNIPPET)["repos"][0]


def test_a_configuration_that_is_no_file(repo: Repo) -> None:
    for name in (".pre-commit-config.yaml", ".fx-hooks.yaml"):
        (repo.root / name).mkdir()
        error = f"fx-init: error: {name}: is a folder: put a file in its place\n"
        assert run(repo, "--yes") == Result(2, "", error)
        (repo.root / name).rmdir()
        repo.link(name, "nowhere")
        link = error.replace("a folder", "a symbolic link that leads nowhere")
        assert run(repo, "--yes") == Result(2, "", link)
        repo.remove(name)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("name", ["conf/a.yaml", ".git/hooks/pre-commit"])
def test_what_cannot_be_read(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write(name, "")
    open_file = open

    def refuse(path: Any, mode: str = "r", **options: Any) -> Any:
        if os.fsdecode(path).endswith(name):
            raise PermissionError(13, "Permission denied")
        return open_file(path, mode, **options)

    for module in (init, _runners):
        monkeypatch.setattr(module, "open", refuse, raising=False)
    result = run(repo, "--yes")
    assert result.code == 2
    assert result.err.endswith(f"{name}: cannot be read: Permission denied\n")


def test_changes_of_the_policy_that_are_not_staged(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [/a]\n")
    for staged in ("ignore: [/a]\n", "ignore: /a\n"):
        repo.stage(".fx-hooks.yaml", staged)
        repo.write(".fx-hooks.yaml", "ignore: [/b]\n")
        error = (
            "fx-init: error: .fx-hooks.yaml: has changes that are not staged, and the staged"
            " version is what counts: git add .fx-hooks.yaml, then run again\n"
        )
        assert run(repo, "--yes") == Result(2, "", error)
    repo.git("add", ".fx-hooks.yaml")
    assert run(repo, "--yes").code == 0
    assert b"\n/b\n" in (repo.root / ".gitignore").read_bytes()
    repo.git("add", "-A")
    assert in_step(repo)
    assert run(repo) == DONE


def test_in_a_folder(repo: Repo) -> None:
    repo.stage("src/a.pt")
    repo.write("src/a.pt", "changed since it was staged")
    out = io.StringIO()
    with working_directory(repo.root / "src"), redirect_stdout(out):
        assert init.main(["--yes"]) == 1
    commands = [line[4:] for line in out.getvalue().splitlines() if line.startswith("    git")]
    assert commands == [
        "git -C .. add .gitignore .pre-commit-config.yaml",
        "git -C .. rm -r -q --cached -f -- src",
    ]
    for command in commands:
        repo.git(*command.split()[1:], cwd="src")
    assert repo.tracked() == {b".gitignore", b".pre-commit-config.yaml", b"train.py"}


def test_in_the_middle_of_a_merge(repo: Repo) -> None:
    repo.commit()
    for branch in ("side", "main"):
        repo.git("checkout", "-q", *(("-b", "side") if branch == "side" else ("main",)))
        repo.stage(".fx-hooks.yaml", f"ignore: [/{branch}]\n")
        run(repo, "--yes")
        repo.git("add", "-A")
        repo.commit()
    repo.git("merge", "-q", "side", fails=True)
    assert ".fx-hooks.yaml: is unmerged: resolve the conflict" in run(repo, "--yes").err
    repo.stage(".fx-hooks.yaml", "ignore: [/side, /main]\n")
    assert run(repo, "--yes").code == 0
    assert b"<<<<<<<" not in (repo.root / ".gitignore").read_bytes()
    repo.git("add", "-A")
    assert in_step(repo)


def test_bad_input(repo: Repo) -> None:
    repo.stage(".pre-commit-config.yaml", "repos: [\n")
    assert run(repo, "--yes").err.startswith("fx-init: error: .pre-commit-config.yaml:")
    repo.stage(".pre-commit-config.yaml", "repos: {}\n")
    assert run(repo, "--yes").err == (
        "fx-init: error: .pre-commit-config.yaml:1: repos: write it as a list with one item a line"
        " that begins with '- ', then run fx-init again\n"
    )
    assert run(repo, "--ye").code == 2
    assert not (repo.root / ".gitignore").exists()


def test_what_cannot_be_written(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(13, "Permission denied")

    repo.write(".gitignore", "")
    run(repo, "--yes")
    (repo.root / ".pre-commit-config.yaml").unlink()
    monkeypatch.setattr(init, "replace_file", refuse)
    assert run(repo, "--yes").err == (
        "fx-init: error: .pre-commit-config.yaml: cannot be written: Permission denied;"
        " nothing was written\n"
    )


def test_the_entry_is_ours() -> None:
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parent.parent / "setup.cfg", "utf-8")
    assert parser["metadata"]["url"] == _runners.URL


def test_a_folder_with_tracked_files_is_left_to_people(repo: Repo) -> None:
    repo.stage("config.yaml", "hydra:\n  run:\n    dir: src/runs/${now:%H}\n")
    repo.stage("src/runs/a.py", "pass\n")
    result = run(repo, "--yes")
    assert "config.yaml:3: Hydra writes to src/runs/, where files are tracked: say in" in result.out
    assert not (repo.root / ".fx-hooks.yaml").exists()


def test_odd_names_of_configuration(repo: Repo) -> None:
    repo.stage(b"\xff.yaml", "hydra: {run: {dir: r/x}}\n")
    repo.stage("a\nb.yaml", "hydra: {run: {dir: s/x}}\n")
    repo.stage("a.yaml", "hydra: {run: {dir: 't/x '}}\n")
    result = run(repo, "--yes")
    assert (result.code, result.err) == (0, "")
    policy = (repo.root / ".fx-hooks.yaml").read_text()
    assert "  # 'a\\nb.yaml':1\n" in policy
    assert "  # '\\xff.yaml':1\n" in policy
    assert [rule["paths"] for rule in yaml.safe_load(policy)["ignore"]] == [["/s/x"], ["/r/x"]]
    assert f"a.yaml:1: Hydra writes to t/x /, a name that {POLICY_NAME} cannot hold" in result.out


# The parts.


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"a.yaml": b"hydra: {run: {dir: runs/x}}"}, ["runs/x"], id="run"),
        pytest.param({"a.yaml": b"hydra:\n  sweep: {dir: './s/${x}/y'}"}, ["s"], id="sweep"),
        pytest.param({"a.yml": b"hydra.run.dir: r/${now:%Y}"}, ["r"], id="dotted"),
        pytest.param({"a.yaml": b"run: {dir: r}"}, [], id="not-hydra"),
        pytest.param({"conf/hydra/a.yaml": b"run: {dir: r}"}, ["r"], id="group"),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: '${hydra:runtime.cwd}/r/${x}'}}"}, ["r"], id="cwd"
        ),
        pytest.param({"a.yaml": b"hydra: {run: {dir: '${name}'}}"}, [], id="unknown"),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: '${x.y}/b'}}\nx: {y: r}"}, ["r/b"], id="same-file"
        ),
        pytest.param({"a.yaml": b"hydra: {run: {dir: '${a}'}}\na: '${a}'"}, [], id="circle"),
        pytest.param({"a.yaml": b"hydra: {run: {dir: .}}"}, [], id="root"),
        pytest.param({"a.yaml": b"hydra: {run: {dir: /scratch}}"}, [], id="absolute"),
        pytest.param({"a.yaml": b"hydra: {run: {dir: ../x}}"}, [], id="outside"),
        pytest.param({"a.yaml": b"hydra: {run: {dir: [a]}}\n"}, [], id="no-text"),
        pytest.param({"a.yaml": b"hydra: {{ template }}"}, [], id="template"),
        pytest.param({"a.yaml": b""}, [], id="empty"),
        pytest.param({"a.yaml": b"hydra: {? [x] : y}"}, [], id="odd-key"),
        pytest.param({".env": b"A=1\nWANDB_DIR=logs\n"}, ["logs/wandb"], id="env"),
        pytest.param({"t.py": b"os.environ['WANDB_DIR'] = 'x'"}, ["x/wandb"], id="python"),
        pytest.param(
            {"t.py": b"os.environ.setdefault('WANDB_DIR', 'x')\nf({'WANDB_DIR': 'y', **z})"},
            ["x/wandb", "y/wandb"],
            id="python-in-other-ways",
        ),
        pytest.param({"t.py": b"# os.environ['WANDB_DIR'] = 'x'\n"}, [], id="python-comment"),
        pytest.param({"t.py": b"wandb.init(dir=f'{x}')\nwandb.init(dir=x)"}, [], id="python-name"),
        pytest.param({"t.py": b"wandb.init(dir='\\udcff')"}, [], id="python-surrogate"),
        pytest.param({"t.py": b"{{ x }} % wandb.init(dir='x'"}, [], id="no-python"),
        pytest.param({"t.py": b"x['\\d'] = wandb.init(dir='t')"}, ["t/wandb"], id="odd-escape"),
        pytest.param(
            {"t.py": b"wandb.init(project=f(x), dir='t')"}, ["t/wandb"], id="init-with-a-call"
        ),
        pytest.param({"Makefile": b"WANDB_DIR := trk\n"}, ["trk/wandb"], id="make"),
        pytest.param({"Makefile": b"WANDB_DIR ?= trk\n"}, ["trk/wandb"], id="make-default"),
        pytest.param({"a.mk": b"export WANDB_DIR = $(CURDIR)/t"}, ["t/wandb"], id="make-here"),
        pytest.param({".env": b'WANDB_DIR="my dir"\n'}, ["my dir/wandb"], id="quotes"),
        pytest.param({".env": b"# WANDB_DIR=a\nX=1 # WANDB_DIR=b\n"}, [], id="comment"),
        pytest.param({".env": b"WANDB_DIR=\xff\n"}, [], id="no-utf-8"),
        pytest.param(
            {"t.sh": b'cd $WANDB_DIR; x=${WANDB_DIR:-y}; [ "$WANDB_DIR" == z ]\nMY_WANDB_DIR=x'},
            [],
            id="only-read",
        ),
        pytest.param({"t.sh": b"docker run -e WANDB_DIR=t x"}, ["t/wandb"], id="option"),
        pytest.param({"Dockerfile": b"ENV WANDB_DIR t\n"}, ["t/wandb"], id="docker"),
        pytest.param(
            {"compose.yaml": b"services: {a: {environment: [\n  WANDB_DIR=t ]}}\n"},
            ["t/wandb"],
            id="compose-list",
        ),
        pytest.param(
            {"docker-compose.yml": b"x:\n  environment:\n    WANDB_DIR: t\n    A: b\n"},
            ["t/wandb"],
            id="compose-mapping",
        ),
        pytest.param({"t.sh": b"python t.py hydra.run.dir=r/x -m"}, ["r/x"], id="override"),
        pytest.param(
            {"t.sh": b"t.py 'hydra.sweep.dir=s/${now:%Y m}' \"hydra.run.dir=my r/$X\""},
            ["s", "my r"],
            id="overrides-in-quotes",
        ),
        pytest.param(
            {"t.sh": b't.py hydra.run.dir="a/$X" \'hydra.run.dir=b\' "hydra.sweep.dir=c"'},
            ["a", "b", "c"],
            id="quotes-in-overrides",
        ),
        pytest.param(
            {"Makefile": b"t:\n\tt.py hydra.run.dir=r/\\$${now:%Y}\n"}, ["r"], id="override-in-make"
        ),
        pytest.param({"conf/hydra/run/x.yaml": b"dir: r"}, ["r"], id="group-of-one-setting"),
        pytest.param({"a.yaml": b"# @package hydra\nrun: {dir: r}"}, ["r"], id="package"),
        pytest.param({"a.yaml": b"# @package hydra.sweep\ndir: r"}, ["r"], id="deeper-package"),
        pytest.param(
            {"hydra/a.yaml": b"# @package _global_\nhydra: {run: {dir: r}}\nrun: {dir: s}"},
            ["r"],
            id="global-package",
        ),
        pytest.param(
            {"hydra/run/a.yaml": b"# @package _group_\ndir: r"}, ["r"], id="group-package"
        ),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: '${hydra.runtime.cwd}/r'}}"}, ["r"], id="dotted-cwd"
        ),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: '${oc.env:OUT,exp}/x'}}"}, ["exp/x"], id="default"
        ),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: '${oc.env:OUT,${x}}/y'}}\nx: z"}, ["z/y"], id="nested"
        ),
        pytest.param({"a.yaml": b"hydra: {run: {dir: '${oc.env:OUT}/x'}}"}, [], id="no-default"),
        pytest.param(
            {"a.yaml": b"hydra: {run: {dir: 'r/${a}'}}\na: '" + b"${a}" * 1000 + b"'"},
            ["r"],
            id="large-circle",
        ),
        pytest.param(
            {"t.py": b"run = wandb.init(\n  project='p', dir='w/',\n)"}, ["w/wandb"], id="init"
        ),
        pytest.param({"t.sh": b"export WANDB_DIR=$HOME/w"}, [], id="home"),
        pytest.param(
            {"t.py": b"WandbLogger(save_dir='a')\npl.loggers.WandbLogger(project='p', dir='b')"},
            ["a/wandb", "b/wandb"],
            id="lightning",
        ),
        pytest.param({"t.py": b"# wandb\nCSVLogger(save_dir='a')\n"}, [], id="another-logger"),
        pytest.param(
            {"t.py": b"wandb.init(settings=wandb.Settings(root_dir='a'))\nSettings(root_dir='b')"},
            ["a/wandb"],
            id="wandb-settings",
        ),
        pytest.param(
            {
                "conf/logger/w.yaml": b"wandb:\n  _target_: lightning.pytorch.loggers.WandbLogger\n"
                b"  save_dir: '${x}/a'\ncsv: {_target_: a.CSVLogger, save_dir: b}\nx: c\n"
            },
            ["c/a/wandb"],
            id="lightning-by-hydra",
        ),
        pytest.param(
            {"w.yaml": b"{_target_: a.WandbLogger, save_dir: '${paths.output_dir}'}"},
            [],
            id="lightning-in-the-run",
        ),
    ],
)
def test_run_directories(files: dict[str, bytes], expected: Sequence[str]) -> None:
    assert [found.path for found in run_directories(files)] == expected


def test_what_runs_have_left_does_not_say_where_they_go(repo: Repo) -> None:
    repo.write("exp/first/.hydra/hydra.yaml", "hydra:\n  run:\n    dir: exp/first\n")
    repo.write("config/config.yaml", "hydra:\n  run:\n    dir: exp/${now:%Y}\n")
    result = run(repo, "--yes")
    assert result.code == 0
    assert 'paths: ["/exp"]  # config/config.yaml:3' in result.out
    assert "first" not in result.out


SAVED = """\
hydra:
  run:
    dir: {folder}/${{now:%Y-%m-%d}}
  runtime:
    version: 1.3.2
    cwd: /home/a/b
    output_dir: /home/a/b/{folder}
"""


def test_a_past_run_is_no_configuration(repo: Repo) -> None:
    """Hydra writes its own configuration into each run, below whatever output_subdir says."""
    for number in range(3):
        repo.write(f"experiments/run{number}/cfg/hydra.yaml", SAVED.format(folder=f"exp{number}"))
    run(repo, "--yes")
    assert not (repo.root / ".fx-hooks.yaml").exists()


def test_a_run_directory_says_where_it_is_from() -> None:
    files = {"a.yaml": b"x: 1\nhydra:\n  run:\n    dir: r\n", "b.yaml": b"hydra: {run: {dir: r}}"}
    assert run_directories(files) == [RunDirectory("r", "Hydra", "a.yaml:4")]
