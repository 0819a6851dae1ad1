"""Lines of a ``.gitignore`` that the block makes redundant can go."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.gitignore.block import block_lines, patterns_of, rewritten
from fx_hooks.gitignore.redundant import redundant_lines
from fx_hooks.policy.compiler import compile_tables
from tests.agreement import draw_paths, draw_pattern, draw_policy, ignored


@pytest.fixture
def fresh(home: Path, tmp_path: Path) -> Path:  # noqa: ARG001
    root = tmp_path / "fresh"
    subprocess.run(("git", "init", "-q", root), check=True)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("openers", [0, 0.3], ids=["alone", "among-lines-that-let-in"])
def test_git_ignores_the_same_without_them(fresh: Path, openers: float) -> None:
    draw = random.Random(7)
    asked: list[tuple[int, list[bytes], bytes]] = []
    for number in range(300):
        policy = draw_policy(draw)
        drawn = [entry.pattern for entry in policy.entries]
        own = draw.choices([*drawn, *(f"{text.rstrip('/')}/" for text in drawn)], k=3)
        own += [draw_pattern(draw) for _ in range(2)]
        draw.shuffle(own)
        marked = ("!" * (draw.random() < openers) + text + "\n" for text in own)
        text = rewritten("".join(marked).encode("utf-8", "surrogateescape"), block_lines(policy))
        tree = [*draw_paths(draw, policy), *draw_paths(draw, policy)]
        found = redundant_lines(b"/nowhere", tree, text, policy)
        if not found:
            continue
        gone = {at for at, _ in found}
        rest = [line for at, line in enumerate(text.splitlines(keepends=True), 1) if at not in gone]
        for name, content in (("with", text), ("without", b"".join(rest))):
            folder = fresh / name / str(number)
            folder.mkdir(parents=True)
            (folder / ".gitignore").write_bytes(content)
        asked += [(number, [line for _, line in found], path) for path in tree]
    assert len(asked) > 2_000
    full = [
        (b"with/%d/" % number + path, b"without/%d/" % number + path) for number, _, path in asked
    ]
    refused = ignored(fresh, (path for pair in full for path in pair))
    assert 0.2 < len(refused) / len(full) / 2 < 0.8
    differ = [
        case
        for case, (one, other) in zip(asked, full, strict=True)
        if (one in refused) != (other in refused)
    ]
    assert not differ


@pytest.mark.parametrize(
    ("line", "pattern"),
    [
        ("a", "a"),
        ("a  ", "a"),
        ("a\\ ", "a\\ "),
        ("a\\   ", "a\\ "),
        ("a\\\\  ", "a\\\\"),
        ("a\\\\\\  ", "a\\\\\\ "),
        (" a", " a"),
        ("a b ", "a b"),
    ],
)
def test_blanks_at_the_end_of_a_line(fresh: Path, line: str, pattern: str) -> None:
    text = f"{line}\n".encode()
    assert patterns_of(text) == [pattern]
    (fresh / ".gitignore").write_bytes(text)
    names = [b"a", b"a ", b"a  ", b" a", b"a b", b"a b ", b"a\\", b"a\\ ", b"a\\  "]
    assert ignored(fresh, names) == set(Matcher(compile_tables([(pattern, True)])).blocked(names))
