"""``fx-hooks``: the list of the commands, their start, and the rules in force."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from fx_hooks import __version__
from fx_hooks.__main__ import COMMANDS, main
from fx_hooks.policy.loader import load_policy, rule_origins
from tests.support import WEIGHTS, Repo, working_directory

SCRIPT = Path(sys.executable).with_name("fx-hooks")
SCRIPTS = {
    script.name for script in distribution("fx-hooks").entry_points.select(group="console_scripts")
}


@pytest.fixture
def here(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(repo.root)
    return repo


def test_all_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert {f"fx-{name}" for name in COMMANDS} >= SCRIPTS - {"fx-hooks"}
    for arguments, code in (((), 2), (("--help",), 0), (("-h",), 0), (("help",), 0)):
        assert main(arguments) == code
        said = capsys.readouterr()
        assert said.err == ""
        for name, (_, purpose) in COMMANDS.items():
            assert f"\n  {name} " in said.out
            assert f"  {purpose}\n" in said.out
        assert max(map(len, said.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_starts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for spelling in (name, f"fx-{name}"):
        assert main([spelling, "--help"]) == 0
        usage = capsys.readouterr().out
        assert usage.startswith((f"usage: fx-{name} ", f"usage: fx-hooks {name} "))
    if f"fx-{name}" in SCRIPTS:
        script = subprocess.run((SCRIPT.with_name(f"fx-{name}"), "--help"), capture_output=True)
        # The width of the terminal aside.
        assert script.stdout.decode().split() == usage.split()


def test_exit_codes_and_arguments_pass_through(here: Repo) -> None:
    here.stage("--format", "x")
    here.stage("a.pt", WEIGHTS)
    for command in ((SCRIPT,), (sys.executable, "-m", "fx_hooks")):
        codes = [
            subprocess.run((*command, *arguments), capture_output=True).returncode
            for arguments in (
                ("check-artifacts", "--", "--format"),
                ("check-artifacts",),
                ("check-artifacts", "--no-such-option"),
            )
        ]
        assert codes == [0, 1, 2]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("chek-range", "there is no command 'chek-range'; did you mean check-range?"),
        ("fx-rule", "there is no command 'fx-rule'; did you mean rules?"),
        ("fx-check-tree", "that is a hook; run fx-check-artifacts --all-files"),
        ("check-tree", "that is a hook; run fx-check-artifacts --all-files"),
        ("x\n", "there is no command 'x\\n'"),
        ("--no-such-option", "there is no command '--no-such-option'"),
    ],
)
def test_no_such_command(argument: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[1:]) == ("", [f"fx-hooks: error: {said}"])


def test_nothing_more_is_imported_for_a_clean_commit(here: Repo) -> None:
    here.stage("b.py", "x = 1\n")
    here.check()  # which keeps the tables

    def loaded(module: str, arguments: list[str]) -> set[str]:
        code = (
            f"import sys; before = set(sys.modules); import {module} as command;"
            f"code = command.main({arguments}); print(code, *sorted(set(sys.modules) - before))"
        )
        done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True)
        code_, *modules = done.stdout.split()
        assert code_ == "0", done
        return set(modules)

    alone = loaded("fx_hooks.check_artifacts", ["--", "b.py"])
    through = loaded("fx_hooks.__main__", ["check-artifacts", "--", "b.py"])
    assert through == alone | {"fx_hooks.__main__"}
    assert not through & {"argparse", "re", "typing"}


# rules


def rules(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        (SCRIPT, "rules", "--format", "json", *arguments), capture_output=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["rules"]
    return found


def test_the_rules_of_a_folder_without_a_repository(home: Path) -> None:
    with working_directory(home):
        found = rules()
    assert {rule["rule"] for rule in found} == set(rule_origins())
    policy = load_policy()
    said = {
        (item["pattern"], item["source"], item["tool"], item["line"])
        for rule in found
        for kind in ("refused", "allowed")
        for item in rule[kind]
    }
    written = {(one.pattern, one.source, one.tool or None, one.line) for one in policy.entries}
    assert said <= written
    # All but the folders with the name of a file that is let in.
    assert {pattern for pattern, *_ in written - said if not pattern.endswith("/**")} == set()
    (run,) = rules("hydra-run-directory")
    (mark,) = run["beside"]
    assert (mark["path"], mark["tool"]) == (".hydra/config.yaml", "hydra")
    assert all(rule["why"] for rule in found)


def test_the_rules_of_a_repository(here: Repo) -> None:
    here.stage(
        ".fx-hooks.yaml",
        "ignore:\n  - rule: dumps\n    paths: ['*.dump']\n    why: a dump is large\n"
        "keep: ['/a.pt']\ndisable: [mlflow]\n",
    )
    names = [rule["rule"] for rule in rules()]
    assert [name for name in names if name not in rule_origins()] == ["dumps", "keep"]
    assert "mlflow" not in names
    (dumps,) = rules("dumps")
    assert dumps == {
        "rule": "dumps",
        "why": "a dump is large",
        "advice": "",
        "refused": [{"pattern": "*.dump", "tool": None, "source": ".fx-hooks.yaml", "line": 3}],
        "beside": [],
        "allowed": [],
        "names_from": [],
    }
    here.write("other.yaml", "disable: [optuna]\n")
    assert "optuna" not in [rule["rule"] for rule in rules("--policy", "other.yaml")]


def test_the_rules_of_a_project(here: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    here.stage(".fx-hooks.yaml", "projects: [ml]\n")
    here.stage("ml/.fx-hooks.yaml", "ignore: [{rule: tables, paths: ['*.parquet']}]\n")
    here.stage("ml/src/a.py", "")
    here.commit()
    assert "tables" not in [rule["rule"] for rule in rules()]
    monkeypatch.chdir(here.root / "ml" / "src")
    (tables,) = rules("tables")
    assert [one["source"] for one in tables["refused"]] == ["ml/.fx-hooks.yaml"]
    said = subprocess.run((SCRIPT, "rules", "tables"), capture_output=True, text=True)
    assert said.stderr == "fx-hooks rules: note: these hold in the project ml\n"
    said = subprocess.run((SCRIPT, "rules", "none"), capture_output=True, text=True)
    assert "there is no rule 'none' in the project ml" in said.stderr


def test_rules_as_text(here: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    here.stage(".fx-hooks.yaml", "keep:\n  - /a.pt\n  - /b.pt\n")
    assert main(["rules", "keep", "optuna"]) == 0
    said = capsys.readouterr().out
    assert said == (
        "optuna\n"
        "  an Optuna study's storage is the output of a search\n"
        "  refused: optuna*.db, optuna*.sqlite3\n"
        "  allowed: **/test/**, **/test[-_.cdfs]*/**, **/*tests/**, **/*-test/**, **/spec/**,"
        " **/*fixture*/**\n"
        "  written in: built-in policy, optuna:8-9; built-in policy:43-48\n"
        "  names from: what people make of sqlite:///NAME.db in optuna/study/study.py; journal"
        " files end in .log\n"
        "\n"
        "keep\n"
        "  allowed: /a.pt, /b.pt\n"
        "  written in: .fx-hooks.yaml:2-3\n"
    )


def test_rules_that_cannot_be_listed(here: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "no-such-rule"]) == 2
    assert "there is no rule 'no-such-rule'" in capsys.readouterr().err
    here.stage(".fx-hooks.yaml", "keeps: []\n")
    assert main(["rules"]) == 2
    assert ".fx-hooks.yaml" in capsys.readouterr().err
    assert os.path.exists(".fx-hooks.yaml")


# completion

BASH = """\
eval "$(fx-hooks completion bash)"
complete_words() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMPREPLY=()
  local function=$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
  "$function" "$1" "${@: -1}" "${@: -2:1}"
  echo "${COMPREPLY[*]}"
}
complete_words "$@"
"""
FISH = """\
fx-hooks completion fish | source
complete -C (string join " " -- $argv) | string split -f 1 \\t
"""
SHELLS = {"bash": ("bash", "-c", BASH, "bash"), "fish": ("fish", "-c", FISH)}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param(("fx-hooks", "ru"), {"rules"}, id="command"),
        pytest.param(("fx-hooks", "explain", "--st"), {"--stdin"}, id="option of a command"),
        pytest.param(("fx-explain", "--st"), {"--stdin"}, id="option"),
        pytest.param(("fx-explain", "--format", ""), {"text", "json"}, id="choice"),
        pytest.param(("fx-explain", "tra"), {"train.py"}, id="path"),
        pytest.param(("fx-clean-runs", "--older"), {"--older-than"}, id="shared option"),
    ],
)
def test_a_shell_completes(here: Repo, shell: str, words: tuple[str, ...], found: set[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run(
        (*SHELLS[shell], *words),
        cwd=here.root,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert set(done.stdout.split()) == found, done.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_knows_all_commands() -> None:
    code = (
        'autoload -U compinit; compinit -u -D; eval "$(fx-hooks completion zsh)";'
        "print -l ${(k)_comps[(I)fx-*]}"
    )
    done = subprocess.run(
        ("zsh", "-f", "-c", code),
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert set(done.stdout.split()) == SCRIPTS, done.stderr


def test_completion_without_shtab(tmp_path: Path) -> None:
    # What is in PYTHONPATH is not imported, so the package itself has to be kept away.
    (tmp_path / "without.py").write_text(
        "import sys; sys.modules['shtab'] = None; sys.argv[0] = 'fx-hooks';"
        "from fx_hooks.__main__ import main; sys.exit(main())\n"
    )
    done = subprocess.run(
        (sys.executable, tmp_path / "without.py", "completion", "bash"),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "fx-hooks completion: error: completion needs shtab: pip install 'fx-hooks[completion]"
        f" @ git+https://github.com/fx-hooks/fx-hooks@v{__version__}'\n"
    )
