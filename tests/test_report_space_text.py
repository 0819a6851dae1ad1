"""How the report on space looks: in terminals of every width, piped, and without rich."""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.frameworks.framework import State
from fx_hooks.frameworks.wandb.outside import WANDB_ARTIFACTS
from fx_hooks.runs.inventory import HYDRA_JOB, HYDRA_SWEEP, WANDB_RUN, Run
from fx_hooks.runs.usage.advice import Remedy
from fx_hooks.runs.usage.git_usage import PACKED
from fx_hooks.runs.usage.measure import BEHIND_A_LINK, ENVIRONMENTS, GIT, REST, Item, Space, plus
from fx_hooks.runs.usage.usage_text import Answer
from fx_hooks.util.disk import Size
from tests.support import Repo, mostly_slow

if TYPE_CHECKING:
    from tests.realruns.states import States

SCRIPT = Path(sys.executable).with_name("fx-report-space")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
PAGE = (Path(__file__).parent.parent / "docs" / "fx-report-space.md").read_text("utf-8")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(root: Path, width: int, *arguments: str, **environ: str) -> tuple[int, str]:
    """What a terminal of that width gets."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        (SCRIPT, *arguments),
        cwd=root,
        env={**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environ},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    output = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not data:
            break
        output += data
    os.close(master)
    return process.wait(), output.decode().replace("\r\n", "\n")


def cells(text: str) -> int:
    rich_cells = pytest.importorskip("rich.cells")
    width: int = rich_cells.cell_len(text)
    return width


@pytest.fixture
def named(states: States, home: Path) -> Repo:  # noqa: ARG001
    """Runs with names that are wide, long, and not for a terminal."""
    for place in ("実験/訓練済みモデル_ベースライン", "long" * 15, "new\nline\x1b[31m", "naïve é"):
        folder = states.root / "outputs" / place
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "config.yaml").write_text("a: 1\n")
        (folder / "last.ckpt").write_bytes(b"\0" * 60_000)
    bad = os.fsencode(states.root / "outputs") + b"/\xff\xfe"
    os.makedirs(bad + b"/.hydra")
    with open(bad + b"/.hydra/config.yaml", "wb") as file:
        file.write(b"a: 1\n" * 20_000)
    return Repo(states.root)


@pytest.mark.parametrize("width", mostly_slow([40, 30, 80, 100, 160], 3))
@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_line_is_longer_than_the_terminal(named: Repo, width: int, no_color: str) -> None:
    code, out = in_terminal(named.root, width, "--top", "0", NO_COLOR=no_color)
    assert code == 0, out
    coloured = [line for line in out.splitlines() if "\x1b" in line]
    plain = _COLOUR.sub("", out)
    assert "\x1b" not in plain
    assert bool([line for line in coloured if re.search(r"\x1b\[[0-9;]*3\d", line)]) == (
        not no_color
    )
    listed = plain.partition("What frees it:")
    for line in listed[0].splitlines():
        assert cells(line) <= width, line
    assert not [line for line in listed[2].splitlines() if re.search(r"#.*\\$", line)]
    for line in listed[2].splitlines():
        # A word of a command is not broken.
        assert cells(line) <= width or len(line.split()) <= 2, line
    # The tables are aligned: what follows the sizes starts in the same place.
    sizes = re.findall(r"^ +[\d.]+ [KMGT]?i?B(?= )", listed[0], re.MULTILINE)
    starts = {cells(size) for size in sizes}
    assert len(starts) <= 2


def test_bars_are_as_long_as_they_should_be(named: Repo) -> None:
    _, out = in_terminal(named.root, 80, NO_COLOR="1")
    rows = [line for line in _COLOUR.sub("", out).splitlines() if "█" in line]
    shares = [int(re.findall(r"(\d+)%", row)[0]) for row in rows]
    lengths = [row.count("█") for row in rows]
    assert lengths == sorted(lengths, reverse=True)
    assert shares == sorted(shares, reverse=True)
    names = {cells(row[: row.rindex("  ")]) for row in rows}
    assert len(names) == 1
    whole = (names.pop() - 2 - 16) // 1
    for share, length in zip(shares, lengths, strict=True):
        assert abs(length - share * whole / 100) < 3


def test_commands_may_be_copied(named: Repo) -> None:
    for width in (40, 160):
        _, out = in_terminal(named.root, width, "--top", "0", NO_COLOR="1")
        lines = _COLOUR.sub("", out).partition("What frees it:")[2]
        commands = "\n".join(line[4:] for line in lines.splitlines() if line.startswith("    "))
        words = subprocess.run(
            ("bash", "-c", commands.replace("fx-clean-runs", "printf '%s\\0'")
             .replace("wandb sync", "printf '%s\\0'").replace("rm -r --", "printf '%s\\0'")),
            stdout=subprocess.PIPE, check=True,
        ).stdout.split(b"\0")  # fmt: skip
        missing = [
            word for word in words
            if word and not word.startswith(b"--")
            and not os.path.lexists(os.path.join(os.fsencode(named.root), word))
        ]  # fmt: skip
        assert missing == []
        assert len(words) > 10


@pytest.mark.parametrize("width", [20, 30, 36, 80])
def test_a_comment_is_no_command_however_narrow_it_is(width: int) -> None:
    terminal = pytest.importorskip("fx_hooks.runs.usage.usage_terminal")
    comment = "# and 6 more such commands (--top 0 shows all)"
    lines = terminal.broken(comment, width)
    assert all(line.startswith("# ") and len(line) <= width for line in lines)
    assert " ".join(line[2:] for line in lines) == comment[2:]
    done = subprocess.run(("bash", "-c", "\n".join(lines)), capture_output=True, check=True)
    assert done.stdout + done.stderr == b""


def test_piped_it_is_plain_and_whole(named: Repo) -> None:
    done = subprocess.run(
        (SCRIPT,), cwd=named.root, capture_output=True, check=True,
        env={**os.environ, "COLUMNS": "40", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.stderr == b""
    text = done.stdout.decode()
    assert not set("\x1b█…") & set(text)
    assert f"outputs/{'long' * 15}/" in text
    assert "outputs/実験/訓練済みモデル_ベースライン/" in text
    assert "'outputs/new\\nline\\x1b[31m'/" in text
    assert "'outputs/\\xff\\xfe'" in text


def test_a_repository_that_nothing_can_be_freed_in(repo: Repo) -> None:
    code, out = in_terminal(repo.root, 80, NO_COLOR="1")
    assert code == 0
    assert "One by one:" in out
    assert "What frees it" not in out
    code, out = in_terminal(repo.root, 80, "--older-than", "1w", NO_COLOR="1")
    assert code == 0
    assert "Older than" not in out


def test_without_rich_a_terminal_gets_plain_text(named: Repo, tmp_path: Path) -> None:
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n")
    code, out = in_terminal(named.root, 80, PYTHONPATH=str(tmp_path / "hide"))
    assert code == 0
    assert "\x1b" not in out
    assert "pip install 'fx-hooks[tools] @ git+https://" in out
    assert "What frees it:" in out


def test_a_terminal_without_unicode_gets_signs_it_has(named: Repo) -> None:
    code, out = in_terminal(named.root, 80, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert code == 0
    assert out.isascii()
    assert "###" in out


def test_its_page_shows_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = pytest.importorskip("fx_hooks.runs.usage.usage_terminal")
    monkeypatch.setenv("COLUMNS", "80")
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    terminal.print_terminal(_answer(), printed, colour=False)
    printed.seek(0)
    expected = _COLOUR.sub("", printed.read())
    (shown,) = re.findall(r"^\$ fx-report-space --top 5\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert shown == expected


def _answer() -> Answer:
    """A report on a repository of a year."""
    gib, mib, day = 1 << 30, 1 << 20, 86_400
    now = 1_800_000_000.0

    def item(kind: str, path: bytes, disk: int, days: float, state: str = "", **more: Any) -> Item:
        size = Size(disk, disk, 40, now - days * day)
        made = run(path, kind, size, state) if state else None
        return Item(kind, path, size, run=made, is_folder=True, **more)

    def weights(disk: int) -> Size:
        return Size(disk, disk, 3, now)

    sweep, live = b"multirun/2026-06-01/18-02-11", b"outputs/2026-11-23/15-21-46"
    offline = b"outputs/2026-09-14/08-11-52"
    items = [
        item(HYDRA_SWEEP, sweep, 14 * gib, 176, "synced", weights=weights(13 * gib)),
        item(HYDRA_JOB, live, 6 * gib, 0.01, "live", weights=weights(5 * gib)),
        item(GIT, b".git/objects/pack", 3 * gib, 2, note=PACKED),
        item(HYDRA_JOB, offline, 1500 * mib, 71, "unsynced", weights=weights(1400 * mib)),
        item(ENVIRONMENTS, b".venv", 1100 * mib, 110),
        *(item(WANDB_RUN, b"wandb/run-%d" % n, 30 * mib, n, "synced") for n in range(40)),
        item(REST, b"data", 200 * mib, 300),
    ]
    link = item(BEHIND_A_LINK, b"logs", 9 * gib, 12, outside=True, note="31 runs")
    outside = [
        link._replace(target=b"/scratch/me/logs"),
        item(WANDB_ARTIFACTS, b"/home/me/.cache/wandb/artifacts", 5 * gib, 40, outside=True),
    ]
    kinds: dict[str, list[Item]] = {}
    for each in items:
        kinds.setdefault(each.kind, []).append(each)
    sums = [
        (kind, functools.reduce(plus, (each.size for each in members)), len(members))
        for kind, members in kinds.items()
    ]
    total = functools.reduce(plus, (size for _, size, _ in sums))
    space = Space(b"/home/me/line", total, {}, items, [], [], [], [])
    return Answer(
        space=space,
        kinds=sorted(sums, key=lambda each: -each[1].disk),
        items=items,
        outside=outside,
        remedies=[
            Remedy("41 runs that you can delete", ["fx-clean-runs ."], 15 * gib + 176 * mib),
            Remedy(
                "artifacts that W&B can download again",
                ["wandb artifact cache cleanup 0GB"],
                5 * gib,
            ),
            Remedy(
                "1 run that W&B does not have yet: sync, wait an hour, delete",
                [
                    "wandb sync wandb/offline-run-20260914_081155-x1p9k2aa",
                    "fx-clean-runs outputs/2026-09-14/08-11-52",
                ],
                1500 * mib,
            ),
        ],
        problems=[], top=5, only="", now=now,
    )  # fmt: skip


def run(path: bytes, kind: str, size: Size, state: str) -> Run:
    return Run(
        path=path, kind=kind, size=size, started=0.0, last_write=size.newest, state=State(state),
        reason="", within=None, owner=None, owns=(), milestones=(), tracked=(), run_id="",
    )  # fmt: skip
