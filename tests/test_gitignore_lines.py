"""The policy as .gitignore lines: what they are, and that git then says what the patterns say."""

from __future__ import annotations

import itertools
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from fx_hooks.gitignore import policy_lines
from fx_hooks.gitignore.globs import covers, example, name_like
from fx_hooks.gitignore.policy_lines import sections
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.model import BEST_MODELS_RULE, with_milestones
from fx_hooks.policy.patterns import split
from tests import agreement
from tests.agreement import compare, draw_cases
from tests.verdicts import read_corpus

ALL_RULES = f"disable: [{', '.join(agreement.BUILT_IN)}]\n"


@pytest.fixture
def fresh(home: Path, tmp_path: Path) -> Path:  # noqa: ARG001
    root = tmp_path / "fresh"
    subprocess.run(("git", "init", "-q", root), check=True)
    return root


def lines(text: str, *, built_in: bool = False) -> list[str]:
    """The lines for a repository's policy, without the built-in rules unless asked for."""
    policy = load_policy(((not built_in) * ALL_RULES + text).encode())
    return [line.decode() for section in sections(policy) for line in section.lines]


# What a rule that refuses everything leaves in Git: what sets fx-hooks up.
_FILES = (
    ".gitignore .fx-hooks.yaml .fx-hooks-baseline .gitattributes .pre-commit-config.yaml"
    " .pre-commit-config.yml prek.toml"
)
SET_UP = " ".join(f"!/{name} !/{name}/**" for name in _FILES.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ignore: [wandb]", "wandb", id="closed"),
        pytest.param("ignore: [wandb/]", "wandb/", id="a-folder-alone"),
        pytest.param("ignore: [wandb/**]", "/wandb/", id="all-that-is-beneath"),
        pytest.param("ignore: [/wandb/*]", "/wandb/", id="all-that-is-in-it"),
        pytest.param("ignore: ['a/**/*']", "/a/", id="all-at-any-depth"),
        pytest.param("ignore: ['*']", f"* {SET_UP}", id="everything"),
        pytest.param("ignore: ['**']", f"* {SET_UP}", id="everything-in-stars"),
        pytest.param("ignore: ['*/']", "*/", id="everything-in-folders"),
        pytest.param("ignore: [a/b]", "/a/b", id="anchored"),
        pytest.param("ignore: ['**/a']", "a", id="at-any-depth"),
        pytest.param("ignore: ['**/a/b']", "**/a/b", id="deeper-at-any-depth"),
        pytest.param("ignore: ['a/**/b']", "/a/**/b", id="stars-within"),
        pytest.param(r"ignore: ['a\**/b']", r"/a\**/b", id="a-literal-star-and-a-star"),
        pytest.param(r"ignore: ['\#a', '**/#b', '**/!c']", r"\#a \#b \!c", id="escapes"),
        pytest.param("ignore: [a, /b, a]", "/b a", id="twice"),
        pytest.param("ignore: ['*.pt', 'best*.pt']", "*.pt", id="held-by-an-earlier-one"),
        pytest.param("ignore: ['best*.pt', '*.pt']", "*.pt", id="held-by-a-later-one"),
        pytest.param("ignore: [/a, /a/b, /c/d, /c]", "/a /c", id="below-another-one"),
        pytest.param("keep: [a]", "", id="nothing-to-keep"),
        pytest.param("ignore: [/a.pt/]\nkeep: ['/*.py']", "/a.pt/", id="keep-what-nothing-blocks"),
        pytest.param("ignore: [a]\nkeep: ['*']", "", id="keep-everything"),
        pytest.param(
            "ignore: [/outputs]\nkeep: [/outputs/README.md]",
            "/outputs !/outputs/ /outputs/* !/outputs/README.md",
            id="one-level",
        ),
        pytest.param(
            "ignore: [/outputs]\nkeep: [/outputs/a/b]",
            "/outputs !/outputs/ /outputs/* !/outputs/a/ /outputs/a/* !/outputs/a/b",
            id="level-by-level",
        ),
        pytest.param(
            "ignore: [/outputs]\nkeep: ['/outputs/**/.gitkeep']",
            "/outputs !/outputs/ /outputs/** !/outputs/**/"
            " !/outputs/**/.gitkeep !/outputs/**/.gitkeep/**",
            id="at-every-depth",
        ),
        pytest.param(
            "ignore: [__pycache__]\nkeep: [/src/__pycache__/x]",
            "__pycache__ !/src/__pycache__/ /src/__pycache__/*"
            " !/src/__pycache__/x !/src/__pycache__/x/**",
            id="only-the-one-folder-is-opened",
        ),
        pytest.param(
            "ignore: [logs]\nkeep: [/src/]", "logs !/src/**", id="keep-a-folder"
        ),
        pytest.param(
            "ignore: [/a]\nkeep: ['/a/x*/b', '/a/*x/c']",
            "/a !/a/ /a/* !/a/*x/ /a/*x/* !/a/x*/ /a/x*/* !/a/x*/b !/a/*x/c",
            id="ways-that-may-be-one",
        ),
        pytest.param(
            "ignore: ['*.pt']\nkeep: ['**/tests/**']",
            "*.pt !*.pt/ **/*.pt/** !**/*.pt/**/ !**/tests/**",
            id="at-every-depth-of-any-folder",
        ),
        pytest.param(
            "ignore: [{rule: r, paths: ['*.ckpt', x_y, '*.log'], except: ['**/tests/**']},"
            " '*.ckpt/', x_y/, '*.log/']",
            "*.ckpt x_y *.log !**/tests/**/*.[cl][ko][gp]* !**/tests/**/x_y *.ckpt/ x_y/ *.log/",
            id="only-names-like-those-that-are-blocked",
        ),
        pytest.param(
            "ignore: [{rule: r, paths: ['*.ckpt', x_y], except: ['**/tests/**']}, '*.ckpt/']",
            "*.ckpt x_y !x_y/ **/x_y/** !**/x_y/**/ !**/tests/** *.ckpt/",
            id="a-folder-of-that-name-may-hold-tests",
        ),
        pytest.param(
            "ignore: [{rule: r, paths: [/a], except_files: ['/a/README*', /a/.keep]}, /b]",
            "/a !/a/ /a/* !/a/README* !/a/.keep /b /a/*/",
            id="files-alone",
        ),
        pytest.param(
            "ignore: [{rule: r, paths: [/a], except_files: ['/a/README*', /a/.keep]}]\n"
            "keep: [/a/b/c]",
            "/a !/a/ /a/* !/a/b/ /a/b/* !/a/README* !/a/.keep /a/README*/ /a/.keep/ !/a/b/c",
            id="files-alone-and-something-in-a-folder",
        ),
        pytest.param(
            "ignore: [{rule: r, paths: [/a], except_files: ['/a/README*']}]\nkeep: [/a/README]",
            "/a !/a/ /a/* !/a/README* /a/README*/ !/a/README",
            id="files-alone-and-a-folder-of-that-name",
        ),
        pytest.param(
            r"ignore: [/a]" "\n" r"keep: [/a/#b/c, '/a/\#b/d']",
            "/a !/a/ /a/* !/a/#b/ /a/#b/* !/a/#b/c !/a/#b/d",
            id="one-name-spelled-twice",
        ),
    ],
)  # fmt: skip
def test_lines(text: str, expected: str) -> None:
    assert lines(text) == expected.split()


def test_a_rule_keeps_its_reason() -> None:
    text = ALL_RULES + "ignore: [{rule: r, paths: [/a, /b], except: [/b], why: no need}]"
    (section,) = sections(load_policy(text.encode()))
    assert section == ("r", "no need", (b"/a",), ("",))


def test_a_line_knows_the_tool_of_its_pattern() -> None:
    found = {line: tool for section in sections(load_policy())
             for line, tool in zip(section.lines, section.tools, strict=True)}  # fmt: skip
    assert found[b"/wandb"] == "wandb"
    assert found[b"catboost_info"] == "catboost"
    assert found[b"*.pt"] == "torch"


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/outputs/2024-01-{0}/12-00-{0}/r{0}.csv", id="runs"),
        pytest.param("/outputs/r{}.csv", id="one-folder"),
        pytest.param("/experiments/{}/x.pt", id="experiments"),
        pytest.param("/data_{}/", id="folders"),
    ],
)
def test_a_large_keep_list_stays_quick(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the list is twice the work: what is compared with what, whatever the machine."""
    calls: Counter[int] = Counter()
    count = 0

    def counted(asked: Callable[..., object], *given: object) -> object:
        calls[count] += 1
        return asked(*given)

    for name in ("covers", "overlap", "rests", "parts_overlap"):
        monkeypatch.setattr(policy_lines, name, partial(counted, getattr(policy_lines, name)))
    for count in (100, 200, 400):
        keep = "".join(f"  - {path.format(number)}\n" for number in range(100, 100 + count))
        assert len(lines(f"keep:\n{keep}", built_in=True)) > count
    assert calls[400] - calls[200] < 2.2 * (calls[200] - calls[100])


@pytest.mark.parametrize("disabled", ["", f"disable: [{BEST_MODELS_RULE}]"], ids=["on", "off"])
def test_milestones_are_sorted(disabled: str) -> None:
    policy = load_policy(disabled.encode())
    listed = {"best_models/b.pt": 3, "best_models/[a].pt": 2}
    found = sections(with_milestones(policy, listed, "best_models/milestones.yaml"))[-1]
    text = b"\n".join(found.lines).decode().split()
    expected = [r"!/best_models/\[a].pt", r"/best_models/\[a].pt/"]
    expected += ["!/best_models/b.pt", "/best_models/b.pt/"]
    assert (text == expected) == (not disabled)


def test_a_thousand_milestones_are_two_lines_each() -> None:
    policy = load_policy()
    few = sum(len(section.lines) for section in sections(policy))
    listed = {f"best_models/{number}/m.pt": number for number in range(1_300)}
    found = sections(with_milestones(policy, listed, "best_models/milestones.yaml"))
    assert sum(len(section.lines) for section in found) - few < 2.1 * len(listed)


# Against git.


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["*.ckpt", "*.log"], ["*.[cl][ko][gp]*"], id="suffixes"),
        pytest.param(["*.pt"], ["*.[p][t]"], id="two-letters"),
        pytest.param(["*.pt", "*.env"], ["*.[p][t]", "*.[e][n][v]*"], id="a-vowel-first"),
        pytest.param(["*.h5", "*.h5.gz"], ["*.[h][5]", "*.[h][5][.]*"], id="a-dot-behind"),
        pytest.param(["*.py[cod]"], ["*.[p][y]*"], id="a-set-behind"),
        pytest.param(["*.[ab]c"], ["*.[ab]c"], id="a-set-first"),
        pytest.param(["a.é", "*.x"], ["*.x", "a.é"], id="no-such-suffix"),
        pytest.param(["a.b.ckpt"], ["*.[c][k][p]*"], id="a-short-suffix-before"),
    ],
)
def test_name_like(names: list[str], expected: list[str]) -> None:
    found = name_like(names)
    assert found == expected
    for name in names:
        assert any(covers((pattern,), (name,)) for pattern in found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_git_agrees(fresh: Path, seed: int) -> None:
    result = compare(fresh, draw_cases(1_300, seed))
    assert not result.wrong
    assert result.paths > 50_000
    assert 0.2 < result.blocked / result.paths < 0.6


@pytest.mark.slow
def test_git_agrees_where_no_line_is_left_out(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for a policy of more patterns than can be compared with each other."""
    monkeypatch.setattr(policy_lines, "MOST_COMPARED", -1)
    result = compare(fresh, draw_cases(300, 7))
    assert not result.wrong
    assert result.paths > 10_000
    assert 0.2 < result.blocked / result.paths < 0.6


@pytest.mark.slow
def test_git_agrees_on_real_repositories(fresh: Path) -> None:
    trees = read_corpus(("head", "past")).values()
    paths = sorted({path.encode("utf-8", "surrogateescape") for tree in trees for path in tree})
    policy = load_policy()
    (fresh / ".gitignore").write_bytes(agreement.block(policy))
    refused = agreement.blocked(policy, paths)
    assert agreement.ignored(fresh, paths) == refused
    assert len(paths) > 40_000
    assert len(refused) > 3_000


@pytest.mark.slow
def test_no_line_of_the_built_in_block_can_be_left_out(fresh: Path) -> None:
    block = agreement.block(load_policy()).splitlines(keepends=True)
    assert len(block) <= 310  # people read and review it
    asked: dict[int, set[bytes]] = {}
    for number, line in enumerate(block):
        folder = fresh / f"without-{number}"
        folder.mkdir()
        (folder / ".gitignore").write_bytes(b"".join(block[:number] + block[number + 1 :]))
        asked[number] = set(what_may_depend_on(line.decode().strip().lstrip("!")))
    (fresh / "whole").mkdir()
    (fresh / "whole/.gitignore").write_bytes(b"".join(block))
    everything = set().union(*asked.values())
    whole = agreement.ignored(fresh, (b"whole/" + path for path in everything))
    less = agreement.ignored(
        fresh, (b"without-%d/" % number + path for number in asked for path in asked[number])
    )
    idle = [
        block[number]
        for number, paths in asked.items()
        if all((b"whole/" + p in whole) == (b"without-%d/" % number + p in less) for p in paths)
    ]
    assert not b"".join(idle).decode()


def test_git_looks_into_no_folder_of_runs(fresh: Path) -> None:
    """One closed folder is what 100,000 files in it cost."""
    (fresh / ".gitignore").write_bytes(agreement.block(load_policy()))
    closed = [
        *(
            "wandb/run-20240131_235959-x",
            ".wandb",
            "lightning_logs",
            "src/lightning_logs",
            "tb_logs",
            "logs/train",
        ),
        *("outputs/2024-01-31", "multirun/2024-01-31", "mlruns/0", "a/mlruns"),
    ]
    for folder in closed:
        (fresh / folder).mkdir(parents=True)
    folders = [folder.encode() for folder in closed]
    assert agreement.ignored(fresh, folders) == set(folders)


def what_may_depend_on(line: str) -> Iterator[bytes]:
    """Paths that *line* matches, at the root, below and above what other rules are about."""
    parts, _, _ = split(line)
    above = ("", "a/", "tests/", "conf/", "best_models/", "logs/", "lightning_logs/")
    below = (
        *("", "/x", "/a/x", "/x.pt", "/tests/a/x", "/.gitkeep", "/a/.gitkeep", "/x.json"),
        *("/conf/multirun.yaml", "/mlruns/.gitkeep", "/settings"),
    )
    for stars in ((), ("y",), ("y", "z"), ("tests",)):
        glob = [name for part in parts for name in (stars if part is None else (part,))]
        path = example(tuple(glob) or ("x",))
        for before, behind in itertools.product(above, below):
            yield before.encode() + path + behind.encode()
        # A line for test data stands for several names, one for all folders for those of files.
        for name in (b"x.pt", b"x.log", b"x.err", b"x.h5", b"README/x", b"settings/x"):
            yield b"".join(path.rpartition(b"/")[:2]) + name


@pytest.mark.slow
def test_the_comparison_can_fail(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the lines for what is beneath an allowed directory.
    whole = agreement.block
    monkeypatch.setattr(
        agreement, "block", lambda policy: whole(policy).replace(b"/**\n!", b"/x\n!")
    )
    assert compare(fresh, draw_cases(300, 0)).wrong


def test_on_a_real_tree(fresh: Path) -> None:
    """What git lists when it walks the disk: closed folders and links."""
    policy = load_policy(b"keep: [/wandb/run-20240131_235959-abc/files/config.yaml]\n")
    (fresh / ".gitignore").write_bytes(agreement.block(policy))
    paths = [
        "wandb/run-20240131_235959-abc/files/config.yaml",
        "wandb/run-20240131_235959-abc/files/media/a.png",
        "wandb/offline-run-20240131_235959-abc/files/config.yaml",
        "wandb/.gitkeep",
        "outputs/2024-01-31/23-59-59/.hydra/config.yaml",
        "outputs/README.md",
        "src/a.py",
        "src/tests/a.pt",
        "a.pt",
        "best_models/a/b_meta.json",
        "best_models/a/b.pt",
    ]
    for path in paths:
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).write_bytes(b"")
    (fresh / "logs").symlink_to("elsewhere")
    (fresh / "wandb" / "latest-run").symlink_to("run-20240131_235959-abc")
    everything = [path.encode() for path in (*paths, "logs", "wandb/latest-run")]
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--others", "--exclude-standard"),
        cwd=fresh,
        stdout=subprocess.PIPE,
        check=True,
    )
    untracked = set(listed.stdout.split(b"\0")[:-1]) - {b".gitignore"}
    assert untracked == set(everything) - agreement.blocked(policy, everything)
    assert b"wandb/run-20240131_235959-abc/files/config.yaml" in untracked
