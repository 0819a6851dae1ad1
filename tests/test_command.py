"""How commands end, whatever happens in them."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from fx_hooks.command import FATAL, INTERRUPTED, guarded, one_line, wants_colour
from fx_hooks.errors import FatalError


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
    code = "from fx_hooks.command import guarded\nguarded('fx', lambda: print('x\\n' * 10**6) or 0)"
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
