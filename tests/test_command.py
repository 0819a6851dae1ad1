"""How commands end, whatever happens in them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from fx_hooks.check_artifacts import main as check
from fx_hooks.cli._common import guarded
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import FATAL, INTERRUPTED
from fx_hooks.util.terminal import one_line, wants_colour
from tests.support import WEIGHTS, Repo


def interrupted() -> int:
    raise KeyboardInterrupt


def failing() -> int:
    raise FatalError("a\nb: \x1b[31mé\udcff")


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("fx", interrupted) == INTERRUPTED
    assert capsys.readouterr() == ("", "fx: interrupted\n")


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded("fx", failing) == FATAL
    assert capsys.readouterr() == ("", "fx: error: a\\nb: \\x1b[31mé\\udcff\n")


def test_one_line_leaves_text_alone() -> None:
    assert one_line("modèle 1 'a'") == "modèle 1 'a'"


def test_a_stream_that_cannot_be_told_how_to_write() -> None:
    with redirect_stdout(io.StringIO()) as printed:
        assert guarded("fx", lambda: print("x") or 0) == 0
    assert printed.getvalue() == "x\n"


def test_a_reader_that_has_seen_enough() -> None:
    code = (
        "from fx_hooks.cli._common import guarded\n"
        "guarded('fx', lambda: print('x\\n' * 10**6) or 0)"
    )
    process = subprocess.Popen(
        (sys.executable, "-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize(("redirect", "code"), [(">/dev/full", 2), (">&-", 0), ("<&-", 0)])
@pytest.mark.parametrize("call", ["check_artifacts --version", "tools.explain a.pt"])
def test_streams_that_take_nothing(tmp_path: Path, call: str, redirect: str, code: int) -> None:
    command = f"'{sys.executable}' -m fx_hooks.{call} {redirect}"
    done = subprocess.run(("bash", "-c", command), cwd=tmp_path, capture_output=True)
    assert b"Traceback" not in done.stderr
    if "explain" in call:
        assert done.returncode == code
        assert len(done.stderr.splitlines()) == bool(code)


def test_an_error_that_nobody_can_read(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m fx_hooks.cli.explain --policy none a 2>/dev/full"
    done = subprocess.run(("bash", "-c", command), cwd=tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (FATAL, b"")


def test_whoever_starts_it_may_ignore_its_children(repo: Repo) -> None:
    repo.stage("a.pt", WEIGHTS)
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        "from fx_hooks.check_artifacts import main; raise SystemExit(main([]))"
    )
    for _ in range(2):
        done = subprocess.run(
            (sys.executable, "-c", code), cwd=repo.root, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (1, "")


def test_interrupted_in_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: list[str]) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("fx_hooks.check_artifacts.proven_clean", interrupt)
    assert check([]) == INTERRUPTED


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(Terminal()) is wanted
    assert not wants_colour(io.StringIO())


def test_an_error_is_no_command_to_github(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo.root)
    arguments = ["--policy", "##[error]x", "--all-files"]
    assert check(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "##[error]x" in line
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert check(arguments) == 2
    first, told, last = capsys.readouterr().err.splitlines()
    assert told == line
    assert first == f"::stop-commands::{last.strip(':')}"
