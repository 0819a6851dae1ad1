"""How commands end, whatever happens in them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.metadata import distribution

import pytest

from fx_hooks.check_artifacts import main as check
from fx_hooks.cli._common import guarded
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import FATAL, INTERRUPTED
from fx_hooks.util.terminal import one_line, wants_colour
from tests.support import SCRIPT, WEIGHTS, Repo, mostly_slow

COMMANDS = sorted(
    script.name for script in distribution("fx-hooks").entry_points.select(group="console_scripts")
)


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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "there is not enough memory"),
        (
            RuntimeError("can't start new thread"),
            "no more threads can be started: see ulimit -u and -v",
        ),
    ],
)
def test_what_the_system_refuses(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> int:
        raise error

    assert guarded("fx", refused) == FATAL
    assert capsys.readouterr() == ("", f"fx: error: {said}\n")


def test_a_fault_of_ours_is_not_hidden() -> None:
    def at_fault() -> int:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        guarded("fx", at_fault)


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


NOWHERE = ">/dev/full 2>/dev/full"
CLOSED = ">&- 2>&-"
# Each calls a command, with the code that it ends with where its output is taken.
CALLS = [
    *((f"{name} --version", 0) for name in COMMANDS),
    *((f"{name} --no-such-option", 2) for name in COMMANDS),
    ("fx-explain --policy none a", 2),
    ("fx-explain a.pt", 0),
    ("fx-explain --quiet a.pt", 1),
    ("fx-check-artifacts", 1),
    ("fx-check-artifacts train.py", 0),
    ("fx-check-artifacts --all-files", 1),
    ("fx-check-best-models", 0),
    ("fx-check-range HEAD~0..HEAD", 0),
    ("fx-check-range --all", 0),
    ("fx-sync-gitignore --check", 1),
    ("fx-init --dry-run", 1),
    ("fx-report-space", 0),
    ("fx-clean-runs .", 0),
    ("fx-hooks rules", 0),
]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize(("call", "code"), mostly_slow(CALLS, 6))
def test_exit_codes_hold_whatever_becomes_of_the_output(repo: Repo, call: str, code: int) -> None:
    repo.stage("a.pt", WEIGHTS)
    # Python decides by these if it keeps output back until it exits.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

    def ended(redirect: str) -> subprocess.CompletedProcess[bytes]:
        command = ("bash", "-c", f"'{SCRIPT.parent}'/{call} {redirect}")
        return subprocess.run(command, cwd=repo.root, env=environ, capture_output=True)

    said = ended("")
    assert said.returncode == code
    assert ended(CLOSED).returncode == code
    assert ended("2>/dev/full").returncode == code
    # A report that nobody gets is not a success.
    unwritten = FATAL if said.stdout else code
    assert ended(NOWHERE).returncode == unwritten
    done = ended(">/dev/full")
    assert done.returncode == unwritten
    assert len(done.stderr.splitlines()) == (1 if said.stdout else len(said.stderr.splitlines()))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_a_note_that_nobody_can_read() -> None:
    code = (
        "from fx_hooks.cli._common import guarded; from fx_hooks.util.terminal import complain;"
        "raise SystemExit(guarded('fx', lambda: complain('a note') or 1))"
    )
    with open("/dev/full", "w") as full:
        assert subprocess.run((sys.executable, "-c", code), stderr=full).returncode == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("open('n\\no')", """'n\\no': No such file or directory""", id="open"),
        pytest.param("os.listdir(b'no')", "no: No such file or directory", id="bytes"),
        pytest.param("os.read(9, 1)", "Bad file descriptor", id="no name"),
        pytest.param("print('x'); os.read(9, 1)", "Bad file descriptor", id="printed before"),
    ],
)
def test_an_error_that_nobody_expected_says_what_is_known(
    capsys: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    def fail() -> int:
        exec(code, {"os": os})
        return 0

    assert guarded("fx", fail) == FATAL
    assert capsys.readouterr().err == f"fx: error: {said}\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_output_that_cannot_be_written(lines: int) -> None:
    code = (
        "from fx_hooks.cli._common import guarded\n"
        f"raise SystemExit(guarded('fx', lambda: print('x\\n' * {lines}) or 0))"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            (sys.executable, "-c", code), stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == FATAL
    assert done.stderr == "fx: error: cannot write: No space left on device\n"


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


@pytest.mark.parametrize("call", ["check_artifacts", "check_best_models", "cli.report_space"])
def test_what_git_cannot_read_is_no_success_where_children_are_ignored(
    repo: Repo, call: str
) -> None:
    """Then no exit code is kept, and a git that failed would be one that had nothing to say."""
    (repo.git_directory / "index").write_bytes(b"x")
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        f"from fx_hooks.{call} import main; raise SystemExit(main([]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), cwd=repo.root, capture_output=True, text=True
    )
    assert done.returncode == FATAL
    assert "index file smaller than expected" in done.stderr


def test_interrupted_in_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: list[str]) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("fx_hooks.fastpath.artifacts.proven_clean", interrupt)
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
