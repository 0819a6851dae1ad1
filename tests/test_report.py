"""The report, the commands in it, and how paths are written: text in, text out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.git.commands import cover, unstage, untrack
from fx_hooks.reporting.layout import Step
from fx_hooks.reporting.text import MAX_LINES, artifact_report
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import from_root, human_size, quoted, shown
from tests.support import mostly_slow
from tests.test_formats import finding

if TYPE_CHECKING:
    from fx_hooks.reporting.finding import Finding


def report(
    findings: Sequence[Finding],
    steps: Sequence[Step] = (),
    *,
    verbose: bool = False,
    colour: bool = False,
    whole: Collection[bytes] = (),
) -> list[str]:
    return artifact_report(findings, steps, verbose=verbose, colour=colour, whole=whole)


def test_one_file() -> None:
    assert report([finding(b"model.pt")]) == [
        "1 file does not belong in Git (2.0 KiB):",
        "",
        "weights: weights are large",
        "  model.pt  1 file       2.0 KiB",
    ]


def test_groups_by_rule_and_directory() -> None:
    run = b"wandb/run-20240131_235959-abc"
    findings = [
        finding(b"b.pt", size=5_000_000),
        finding(run + b"/files/z.yaml", run, rule="wandb-runs", why="only a cache", size=10),
        finding(run + b"/files/a.yaml", run, rule="wandb-runs", why="only a cache", size=20),
        finding(b"a.pt", advice="choose one", size=0),
        finding(b"nohup.out", rule="job-output", why="", size=None),
        finding(b"outputs/x", b"outputs", rule="outputs", why="runs", size=None),
        finding(b"outputs/y", b"outputs", rule="outputs", why="runs", size=1),
    ]
    expected = [
        "7 files do not belong in Git (4.8 MiB):",
        "",
        "job-output",
        "  nohup.out  1 file",
        "",
        "outputs: runs",
        "  outputs/x  1 file",
        "  outputs/y  1 file           1 B",
        "",
        "wandb-runs: only a cache",
        "  wandb/run-20240131_235959-abc/files/a.yaml  1 file          20 B",
        "  wandb/run-20240131_235959-abc/files/z.yaml  1 file          10 B",
        "",
        "weights: weights are large",
        "  -> choose one",
        "  a.pt  1 file           0 B",
        "  b.pt  1 file       4.8 MiB",
    ]
    assert report(findings) == expected
    assert report(findings[::-1]) == expected


def test_no_size_is_known() -> None:
    assert report([finding(b"sub", size=None), finding(b"x", size=None)]) == [
        "2 files do not belong in Git:",
        "",
        "weights: weights are large",
        "  sub  1 file",
        "  x    1 file",
    ]


def test_many_files_of_a_folder_are_one_line() -> None:
    three = [finding(b"models/%d.pt" % number) for number in range(3)]
    assert report(three)[3:] == [
        "  models/0.pt  1 file       2.0 KiB",
        "  models/1.pt  1 file       2.0 KiB",
        "  models/2.pt  1 file       2.0 KiB",
    ]
    four = [*three, finding(b"models/3.pt")]
    assert report(four)[3:] == ["  models/  4 files      8.0 KiB"]


def test_a_folder_that_a_command_takes_is_one_line() -> None:
    run = b"a/wandb/run-1"
    findings = [finding(b"a/wandb/" + name) for name in (b"debug.log", b"latest-run", b"x")]
    findings += [finding(run + b"/" + name, run) for name in (b"1", b"2")]
    assert report(findings, whole=[b"a", b"b"])[3:] == ["  a/wandb/  5 files     10.0 KiB"]
    longer = [*findings[:1], *(finding(b"%s/%d" % (run, n), run) for n in range(4))]
    assert len(report(longer, whole=[b"a"])) == 3 + 2
    # Few are named, whatever the command takes, and others stay what they are.
    assert len(report(findings[:3], whole=[b"a"])) == 3 + 3
    assert len(report(findings, whole=[b"a/wandb/x"])) == 3 + 5
    assert len(report(findings, whole=[b"a"], verbose=True)) == 3 + 5
    caches = [finding(b"src/%d/__pycache__/x" % n, b"src/%d/__pycache__" % n) for n in range(5)]
    assert report(caches, whole=[b"src"])[3:] == ["  src/  5 files     10.0 KiB"]
    assert len(report(caches, whole=[cache.group for cache in caches])) == 3 + 5


def test_many_files_of_the_root_stay_files() -> None:
    findings = [finding(b"%d.pt" % number) for number in range(5)]
    assert len(report(findings)) == 3 + 5


def test_verbose_names_every_file() -> None:
    findings = [finding(b"outputs/%d" % number, b"outputs", size=1) for number in range(200)]
    lines = report(findings, verbose=True)
    assert len(lines) == 3 + 200
    assert lines[3] == "  outputs/0    1 file           1 B"
    assert lines[-1] == "  outputs/99   1 file           1 B"


def test_long_names_do_not_push_the_others_out() -> None:
    long = b"a/" * 40 + b"x.pt"
    assert report([finding(long), finding(b"b.pt")])[3:] == [
        f"  {long.decode()}  1 file       2.0 KiB",
        f"  {'b.pt':<60}  1 file       2.0 KiB",
    ]


def test_cut_to_the_screen() -> None:
    findings = [finding(b"%03d.pt" % number) for number in range(500)]
    lines = report(findings, [Step("Do this:", ("git reset",))])
    assert len(lines) == MAX_LINES == 80
    assert lines[:4] == [
        "500 files do not belong in Git (1000.0 KiB):",
        "",
        "weights: weights are large",
        "  000.pt  1 file       2.0 KiB",
    ]
    assert lines[-4:] == [
        "  and 427 more with 427 files (--verbose names them)",
        "",
        "Do this:",
        "    git reset",
    ]
    assert "--verbose" not in "".join(report(findings, verbose=True))


def test_the_longest_sections_are_cut_first() -> None:
    few = [finding(b"%d.log" % number, rule="logs") for number in range(5)]
    many = [finding(b"d%03d/a" % number, b"d%03d" % number, rule="runs") for number in range(90)]
    many += [finding(b"d%03d/b" % number, b"d%03d" % number, rule="runs") for number in range(90)]
    lines = report([*few, *many])
    assert len(lines) == 80
    assert lines[3:8] == [f"  {number}.log  1 file       2.0 KiB" for number in range(5)]
    assert lines[-1] == "  and 111 more with 111 files (--verbose names them)"


@pytest.mark.parametrize("rules", [15, 30, 120])
def test_many_rules_fit_too(rules: int) -> None:
    findings = [
        finding(b"%d/%d" % (rule, number), rule=f"rule-{rule:03}", advice="do")
        for rule in range(rules)
        for number in range(3)
    ]
    assert len(report(findings, [Step("Do this:", ("git reset",))])) <= MAX_LINES


def test_no_command_is_cut() -> None:
    commands = [f"git reset -- {number}" for number in range(30)]
    step = Step("Do this:", commands)
    assert report([finding(b"a.pt")], [step])[4:] == [
        "",
        "Do this:",
        *(f"    {command}" for command in commands),
    ]
    whole = report([finding(b"a.pt")], [step], verbose=True)
    assert whole[6:] == [f"    {command}" for command in commands]
    ten = report([finding(b"a.pt")], [Step("Do this:", commands[:10])])
    assert ten[6:] == [f"    {command}" for command in commands[:10]]


def test_colour() -> None:
    assert report([finding(b"a.pt", advice="choose")], [Step("Do:", ("x",))], colour=True) == [
        "\033[1m1 file does not belong in Git (2.0 KiB):\033[0m",
        "",
        "\033[1mweights: weights are large\033[0m",
        "  -> choose",
        "  a.pt  1 file       2.0 KiB",
        "",
        "Do:",
        "    x",
    ]


def test_names_are_shown_so_that_nothing_is_hidden() -> None:
    names = [b"\033[31m.pt", b"a\nb.pt", "modèle.pt".encode(), b"with blank.pt", b"\xff.pt"]
    assert report([*map(finding, names)])[3:] == [
        "  '\\x1b[31m.pt'  1 file       2.0 KiB",
        "  'a\\nb.pt'      1 file       2.0 KiB",
        "  modèle.pt      1 file       2.0 KiB",
        "  with blank.pt  1 file       2.0 KiB",
        "  '\\xff.pt'      1 file       2.0 KiB",
    ]


# Which paths the commands name.


@pytest.mark.parametrize(
    ("chosen", "others", "expected"),
    [
        pytest.param((), (b"a",), (), id="nothing"),
        pytest.param((b"a",), (), (b"a",), id="a-file-of-the-root"),
        pytest.param((b"w/a", b"w/b"), (b"c",), (b"w",), id="a-whole-directory"),
        pytest.param((b"w/a", b"w/b"), (b"w/c",), (b"w/a", b"w/b"), id="a-part-of-one"),
        pytest.param((b"w/r/a", b"w/r/b"), (b"w/c",), (b"w/r",), id="the-outermost-that-may"),
        pytest.param((b"w/r/a", b"w/s/b"), (), (b"w",), id="the-outermost-of-two"),
        pytest.param((b"w/a",), (b"wa/b", b"w.c"), (b"w",), id="names-that-only-begin-alike"),
        pytest.param((b"b/a", b"a/a"), (b"a/b",), (b"a/a", b"b"), id="sorted"),
        pytest.param((b"\xff/a\n",), (), (b"\xff",), id="odd-names"),
    ],
)
def test_cover(
    chosen: tuple[bytes, ...], others: tuple[bytes, ...], expected: tuple[bytes, ...]
) -> None:
    assert cover(set(chosen), [*chosen, *others]) == list(expected)


# Files end in .f, so that none of them is also a directory.
FILES = st.lists(st.sampled_from((b"a", b"b", b"a.b")), min_size=1, max_size=4).map(
    lambda parts: b"/".join(parts) + b".f"
)


@settings(database=None, deadline=None, derandomize=True, max_examples=300)
@given(st.sets(FILES, max_size=12), st.sets(FILES, max_size=12))
def test_cover_means_exactly_what_was_chosen(chosen: set[bytes], others: set[bytes]) -> None:
    everything = chosen | others
    covering = cover(chosen, everything)
    beneath = tuple(place + b"/" for place in covering)
    assert {path for path in everything if path in covering or path.startswith(beneath)} == chosen
    # No place is needed twice.
    assert not [place for place in covering if place.startswith(beneath)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(unstage([b"a.pt", b"w"]), ["git reset -q -- a.pt w"], id="unstage"),
        pytest.param(
            untrack([b"a.pt"], force=False, sparse=False, repeatable=False),
            ["git rm -r -q --cached -- a.pt"],
            id="untrack",
        ),
        pytest.param(
            untrack([b"a.pt"], force=True, sparse=True, repeatable=False),
            ["git rm -r -q --cached -f --sparse -- a.pt"],
            id="force",
        ),
        pytest.param(
            untrack([b"a.pt"], force=False, sparse=False, repeatable=True),
            ["git rm -r -q --cached --ignore-unmatch -- a.pt"],
            id="repeatable",
        ),
        pytest.param(
            untrack([b"a b", b"-x"], force=True, sparse=False, repeatable=True),
            ["git rm -r -q --cached -f --ignore-unmatch -- 'a b' -x"],
            id="both",
        ),
        pytest.param(unstage([b"[a]"]), ["git --literal-pathspecs reset -q -- '[a]'"], id="set"),
        pytest.param(unstage([b":a"]), ["git --literal-pathspecs reset -q -- :a"], id="magic"),
        pytest.param(
            unstage([b"a", b"b*"]), ["git --literal-pathspecs reset -q -- a 'b*'"], id="star"
        ),
        pytest.param(
            unstage([b"a?", b"a\\b"]),
            [r"git --literal-pathspecs reset -q -- 'a?' 'a\b'"],
            id="question-mark-and-backslash",
        ),
        pytest.param(unstage([b"a:b"]), ["git reset -q -- a:b"], id="no-magic"),
        pytest.param(unstage([b"a\nb"]), ["git reset -q -- \"$(printf 'a\\012b')\""], id="newline"),
        pytest.param(unstage([]), [], id="nothing"),
    ],
)
def test_commands(lines: list[str], expected: list[str]) -> None:
    assert lines == expected


def test_commands_stay_short() -> None:
    paths = [b"some/folder/%04d.pt" % number for number in range(500)]
    lines = unstage(paths)
    assert max(map(len, lines)) <= 4001
    assert min(map(len, lines[:-1])) > 3900
    words = [word for line in lines for word in line.removeprefix("git reset -q -- ").split()]
    assert words == [path.decode() for path in paths]
    long = b"x" * 5000
    assert unstage([long, b"a"]) == [f"git reset -q -- {long.decode()}", "git reset -q -- a"]


# How a path is written.


@pytest.mark.parametrize(
    ("path", "word"),
    [
        pytest.param(b"a/b.pt", "a/b.pt", id="plain"),
        pytest.param("modèle.pt".encode(), "'modèle.pt'", id="non-ascii"),
        pytest.param(b"a b", "'a b'", id="blank"),
        pytest.param(b"it's", "'it'\"'\"'s'", id="quote"),
        pytest.param(b"$HOME `x` \\a", "'$HOME `x` \\a'", id="shell"),
        pytest.param(b"=ls", "'=ls'", id="command-of-zsh"),
        pytest.param(b"%self", "'%self'", id="process-of-fish"),
        pytest.param(b"a\\\\b", "\"$(printf 'a\\134\\134b')\"", id="backslashes"),
        pytest.param(b"a\\", "\"$(printf 'a\\134')\"", id="backslash-at-the-end"),
        pytest.param(b"-\x01!", "\"$(printf '\\055\\001\\041')\"", id="option-of-printf"),
        pytest.param(b"%d\x01", "\"$(printf '\\045d\\001')\"", id="format-of-printf"),
        pytest.param(b"~", "'~'", id="home"),
        pytest.param(b"a\nb", "\"$(printf 'a\\012b')\"", id="newline"),
        pytest.param(b"a\tb", "\"$(printf 'a\\011b')\"", id="tab"),
        pytest.param(b"\x1b[31m", "\"$(printf '\\033[31m')\"", id="escape"),
        pytest.param(b"\xff", "\"$(printf '\\377')\"", id="not-utf-8"),
        pytest.param("é\xa0".encode(), "\"$(printf '\\303\\251\\302\\240')\"", id="no-break-space"),
        pytest.param(b"\n'\\", "\"$(printf '\\012\\047\\134')\"", id="newline-quote-backslash"),
        pytest.param(
            "\u202e.pt".encode(), "\"$(printf '\\342\\200\\256.pt')\"", id="right-to-left"
        ),
    ],
)
def test_quoted(path: bytes, word: str) -> None:
    assert quoted(path) == word


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(b"a b", "a b", id="blank"),
        pytest.param(b"it's", "it's", id="quote"),
        pytest.param("modèle.pt".encode(), "modèle.pt", id="non-ascii"),
        pytest.param(b"a\nb", r"'a\nb'", id="newline"),
        pytest.param(b"a\\nb", r"a\nb", id="backslash"),
        pytest.param(b"'a\\nb'", r"'\'a\\nb\''", id="looks-escaped"),
        pytest.param(b"a\n", r"'a\n'", id="newline-at-the-end"),
        pytest.param(b"\xff\xc3\xa9", r"'\xffé'", id="not-utf-8"),
        pytest.param("\u202ea\U000e0001".encode(), r"'\u202ea\U000e0001'", id="invisible"),
        pytest.param("\x9b".encode(), r"'\u009b'", id="control"),
    ],
)
def test_shown(path: bytes, text: str) -> None:
    assert shown(path) == text


# The shells that people paste commands into, each without its user's own settings.
SHELLS = {"bash": ("bash",), "dash": ("dash",), "zsh": ("zsh", "-f"), "busybox": ("busybox", "sh")}


@pytest.fixture(params=mostly_slow([*SHELLS, "fish"], 3))
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return SHELLS.get(name, (name, "-N"))


def as_it_reads(shell: tuple[str, ...], words: Sequence[str]) -> list[bytes]:
    """The arguments that a program gets from a command with *words*."""
    code = "import os, sys; print(*(os.fsencode(word).hex() for word in sys.argv[1:]), sep=',')"
    script = f'"{sys.executable}" -c "{code}" ' + " ".join(words)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    result = subprocess.run((*shell, "-c", script), capture_output=True, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    return [bytes.fromhex(word) for word in result.stdout.decode().strip("\n").split(",")]


NAMES = st.lists(
    st.one_of(
        st.sampled_from(
            (b"'", b'"', b"\\", b"\n", b"\r", b"\t", b"$", b"`", b"!", b"a", b"1", b" ", b"f", b"*")
        ),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0").map(str.encode),
        st.binary(min_size=1, max_size=2).filter(lambda data: b"\0" not in data),
    ),
    min_size=1,
    max_size=8,
).map(b"".join)


@settings(
    database=None, deadline=None, derandomize=True, max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.lists(NAMES, min_size=1, max_size=40))
def test_shells_read_what_was_quoted(shell: tuple[str, ...], names: list[bytes]) -> None:
    if "fish" in shell:
        names = [name + b"." for name in names]  # it has no line break at the end of a word
    words = [quoted(name) for name in names]
    assert all(word.isprintable() for word in words)
    assert as_it_reads(shell, words) == names


def test_shells_read_every_byte(shell: tuple[str, ...]) -> None:
    names = [bytes([first, second]) for first in range(1, 256) for second in (0x41, 0xA0, 0x27)]
    assert as_it_reads(shell, [quoted(name) for name in names]) == names


def test_shells_read_line_breaks_at_the_end(shell: tuple[str, ...]) -> None:
    if "fish" in shell:
        pytest.skip("it has no such word")
    names = [b"\n", b"a\n", b"\n\n", b"a\n\nb\n\n", b"'\n", b"a b\n"]
    assert as_it_reads(shell, [quoted(name) for name in names]) == names


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**4, "3.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


# Paths as they are given.


@pytest.mark.parametrize(
    ("name", "cwd", "path"),
    [
        pytest.param("a/b", "", b"a/b", id="relative"),
        pytest.param("./a", "", b"a", id="dot"),
        pytest.param("a//b/", "", b"a/b", id="slashes"),
        pytest.param("a", "sub/folder", b"sub/folder/a", id="from-a-subfolder"),
        pytest.param("../a", "sub/folder", b"sub/a", id="up"),
        pytest.param(".", "sub", b"sub", id="the-folder-itself"),
        pytest.param("..", "sub", b"", id="the-root"),
        pytest.param("a\n", "", b"a\n", id="newline"),
        pytest.param("\udcff", "", b"\xff", id="not-utf-8"),
        pytest.param("--policy", "", b"--policy", id="like-an-option"),
        pytest.param("link/a", "", b"link/a", id="links-are-not-followed"),
    ],
)
def test_from_root(tmp_path: Path, name: str, cwd: str, path: bytes) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "repo"
    (root / "sub" / "folder").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert from_root(name, os.fsencode(root), os.fsencode(root / cwd)) == path


def test_from_root_takes_absolute_names(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    base = os.fsencode(root)
    assert from_root(f"{root}/sub/a", base, os.fsencode(tmp_path)) == b"sub/a"
    assert from_root(f"{tmp_path}/link/sub/a", base, base) == b"sub/a"
    assert from_root(f"{root}/a", os.fsencode(tmp_path / "link"), base) == b"a"
    assert from_root("/a", b"/", b"/") == b"a"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("", "a file name is empty: leave it out", id="empty"),
        pytest.param("a\0b", "a file name has a NUL character, which no path can have", id="nul"),
        pytest.param("../a", "../a: outside the repository {}: name files within it", id="outside"),
        pytest.param("/a", "/a: outside the repository {}: name files within it", id="absolute"),
        pytest.param(
            "../repository/a",
            "../repository/a: outside the repository {}: name files within it",
            id="a-sibling-with-the-same-beginning",
        ),
    ],
)
def test_from_root_refuses(tmp_path: Path, name: str, message: str) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    with pytest.raises(FatalError) as caught:
        from_root(name, os.fsencode(root), os.fsencode(root))
    assert str(caught.value) == message.format(root)
