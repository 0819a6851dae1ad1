"""``fx-init``: an empty repository, a grown one, and twice in a row."""

from __future__ import annotations

import configparser
import io
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from fx_hooks import sync_gitignore
from fx_hooks.policy.load import POLICY_NAME
from fx_hooks.runs.directories import RunDirectory, run_directories
from fx_hooks.tools import init
from tests.support import Repo, Result, working_directory

SNIPPET = f"""\
repos:
  - repo: {init.URL}
    rev: v0.1.0
    hooks:
      - id: fx-check-artifacts
      - id: fx-check-best-models
      - id: fx-check-tree
      - id: fx-sync-gitignore
"""
DONE = Result(0, "All is in place.\nNo tracked file breaks the policy.\n", "")


def run(repo: Repo, *arguments: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with working_directory(repo.root), redirect_stdout(out), redirect_stderr(err):
        try:
            code = init.main(arguments)
        except SystemExit as exc:
            code = exc.code if isinstance(exc.code, int) else -1
    return Result(code, out.getvalue(), err.getvalue())


def in_step(repo: Repo) -> bool:
    with working_directory(repo.root):
        return sync_gitignore.main(["--check"]) == 0


def test_an_empty_repository(empty: Repo) -> None:
    result = run(empty, "--yes")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith(
        "Written. Look at them, then stage them:\n    git add .gitignore .pre-commit-config.yaml\n"
        "No tracked file breaks the policy.\n"
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
    assert f"  +  - repo: {init.URL}" in result.out.splitlines()
    assert repo.on_disk() == before


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("Yes", 0), ("", 1), ("no", 1)])
def test_it_asks(repo: Repo, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert run(repo).code == code
    assert (repo.root / ".gitignore").exists() == (code == 0)


def test_nobody_is_there_to_ask(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = run(repo)
    assert result.code == 2
    assert result.err == (
        "fx-init: error: nobody is there to ask: look at it with --dry-run, then run with --yes\n"
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
    assert "These lines of .gitignore are superfluous, the block says the same:" in result.out
    assert "    .gitignore:2: __pycache__/\n" in result.out
    assert ".gitignore:3" not in result.out  # `*.pt` would close what the policy keeps
    config = (repo.root / ".pre-commit-config.yaml").read_bytes()
    at = config.index(b"-   repo: local")
    added = config.index(b"- repo: https://github.com/fx-hooks")
    stop = config.index(b"    # nothing more")
    assert at < added < stop
    assert config[:added] + config[stop:] == GROWN
    assert [item["repo"] for item in yaml.safe_load(config)["repos"]][-1] == init.URL
    policy = (repo.root / ".fx-hooks.yaml").read_bytes()
    assert policy.startswith(before[repo.root / ".fx-hooks.yaml"])
    assert [rule["paths"] for rule in yaml.safe_load(policy)["ignore"]] == [
        ["/experiments"],
        ["/results/tracking/wandb"],
    ]
    repo.git("add", "-A")
    assert in_step(repo)
    assert run(repo, "--yes").out.endswith(DONE.out)


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
        "4 tracked files break the policy (fx-check-artifacts --all-files says which and why).\n"
        "Stop tracking them (the files stay on disk):\n"
        "    git rm -r -q --cached -- best_models outputs src\n"
        "or let in those that are tracked today: fx-init --keep-tracked\n"
    )
    result = run(repo, "--yes", "--keep-tracked")
    # Weights in best_models come in as milestones only.
    assert result.code == 1
    assert "1 tracked file breaks the policy" in result.out
    assert (repo.root / ".fx-hooks.yaml").read_text() == KEPT
    assert run(repo, "--keep-tracked").out.startswith("All is in place.\n1 tracked file")
    repo.git("rm", "-q", "--cached", "best_models/y.pt")
    assert run(repo, "--keep-tracked") == DONE
    repo.git("add", ".fx-hooks.yaml")
    assert repo.check("--all-files").code == 0
    repo.stage("outputs/c.bin")
    assert repo.check().code == 1


KEPT = """\
keep:
  # Tracked before fx-hooks was; take them out one by one.
  # outputs
  - "/outputs/a.bin"
  - "/outputs/b.bin"
  # weights
  - "/src/x.pt"
"""


def test_odd_names_are_kept_by_the_letter(repo: Repo) -> None:
    for name in ("outputs/[a]*.bin", 'outputs/"ü".bin', b"outputs/\xff.bin", "outputs/b\nc"):
        repo.stage(name)
    result = run(repo, "--yes", "--keep-tracked")
    kept = yaml.safe_load((repo.root / ".fx-hooks.yaml").read_text())["keep"]
    assert kept == ['/outputs/"ü".bin', r"/outputs/\[a]\*.bin"]
    assert "2 tracked files break the policy" in result.out


def test_many_commands_are_cut(repo: Repo) -> None:
    for number in range(400):
        repo.write(f"{number}{'x' * 200}/a.pt")
        repo.write(f"{number}{'x' * 200}/a.py")
    repo.stage_all()
    result = run(repo, "--yes")
    assert "    # and " in result.out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param("lefthook.yml", "      run: fx-sync-gitignore", id="lefthook"),
        pytest.param(".husky/_/h", "# in .husky/pre-commit", id="husky"),
        pytest.param(".husky/pre-commit", "fx-sync-gitignore", id="husky-hook"),
        pytest.param(".git/hooks/pre-commit", "fx-sync-gitignore || exit", id="plain"),
    ],
)
def test_another_runner(repo: Repo, name: str, line: str) -> None:
    repo.write(name, "#!/bin/sh\n")
    result = run(repo, "--yes")
    assert f"    {line}\n" in result.out
    assert not (repo.root / ".pre-commit-config.yaml").exists()


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
    def refuse(*_: object) -> None:
        raise OSError(13, "Permission denied")

    repo.write(".gitignore", "")
    run(repo, "--yes")
    (repo.root / ".pre-commit-config.yaml").unlink()
    monkeypatch.setattr(init, "replace_file", refuse)
    assert run(repo, "--yes").err == (
        "fx-init: error: .pre-commit-config.yaml: cannot be written: Permission denied\n"
    )


def test_the_entry_is_ours() -> None:
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parent.parent / "setup.cfg", "utf-8")
    assert parser["metadata"]["url"] == init.URL


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
    assert "  # $'a\\x0ab.yaml':1\n" in policy
    assert "  # $'\\xff.yaml':1\n" in policy
    assert [rule["paths"] for rule in yaml.safe_load(policy)["ignore"]] == [["/s/x"], ["/r/x"]]
    assert f"a.yaml:1: Hydra writes to t/x /, whose name {POLICY_NAME} cannot say" in result.out


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
    ],
)
def test_run_directories(files: dict[str, bytes], expected: Sequence[str]) -> None:
    assert [found.path for found in run_directories(files)] == expected


def test_a_run_directory_says_where_it_is_from() -> None:
    files = {"a.yaml": b"x: 1\nhydra:\n  run:\n    dir: r\n", "b.yaml": b"hydra: {run: {dir: r}}"}
    assert run_directories(files) == [RunDirectory("r", "Hydra", "a.yaml:4")]
