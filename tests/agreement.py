"""Does git ignore what the policy blocks? `python -m tests.agreement --pairs 100000`.

Policies and trees are drawn at random. Many blocks share one repository and one
`git check-ignore`: each stands in the `.gitignore` of a folder of its own, where git reads
it as it would at the root.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.gitignore.policy_lines import sections
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.milestone_list import load_milestones
from fx_hooks.policy.model import Policy, with_milestones
from fx_hooks.policy.patterns import problem
from fx_hooks.util.errors import FatalError

_BUILT_IN = load_policy()
BUILT_IN = sorted(
    {entry.rule for entry in _BUILT_IN.entries} - {"keep"}
    | {mark.rule for mark in _BUILT_IN.run_marks}
)

# Patterns and names that get in each other's way.
NAMES = (
    "a", "b", "ab", "a.b", ".b", "é", "a b", "x.pt", "y.log", "tests", "outputs", "wandb",
    "README.md", ".gitkeep", "best_models", "x.json", "__pycache__", "#a", "!a", "*", "[a]",
    "\udcff", "multirun.yaml", "conf", "run-20240131_235959-abc", ".hydra", "2024-01-31",
    "23-59-59", "lightning_logs", "a\n", "à", "checkpoint",
)  # fmt: skip
PARTS = (
    *("a", "b", "ab", "a.b", "x.pt", "tests", "outputs", "wandb", "README.md", ".gitkeep"),
    *("*", "*", "**", "**", "a*", "*b", "*.b", "*.*", "?", "??", "[ab]", "[a-b]*", "*[0-9]*"),
    *("*.pt", "*.log", "*.json", "best_models", "run-*", ".*", "*conf*", r"\#a", r"\!a", "#a"),
    *(r"\*", r"\[a]", "é", "à", "\udcff", "__pycache__", "*a*b*", "*.[pl]*"),
)


class Case(NamedTuple):
    """A policy and the paths of a tree."""

    policy: Policy
    paths: list[bytes]


class Disagreement(NamedTuple):
    """A path of which git and the policy say different things."""

    case: Case
    path: bytes
    blocked: bool


def draw_pattern(draw: random.Random) -> str:
    """One valid pattern; every second one has a plain beginning, as people write them."""
    while True:
        parts = draw.choices(PARTS, k=draw.choice((1, 1, 2, 2, 2, 3, 3, 4)))
        pattern = draw.choice(("", "", "/", "/", "**/")) + "/".join(parts)
        pattern += draw.choice(("", "", "", "/", "/**", "/*"))
        if problem(pattern) is None:
            return pattern


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def draw_policy(draw: random.Random) -> Policy:
    """The built-in policy, mostly with few of its rules, and a repository's own."""
    while True:
        try:
            return _drawn_policy(draw)
        except FatalError as exc:  # noqa: PERF203
            # Rules that refuse the folder of chosen models with all that is in it are an error.
            if "best_models.folder" not in str(exc):
                raise


def _drawn_policy(draw: random.Random) -> Policy:
    left = draw.choice((0, 0, 1, 2, 2, 3, 4, 6))
    disable = draw.sample(BUILT_IN, len(BUILT_IN) - left)
    if draw.random() < 0.02:
        disable = []
    pool = [draw_pattern(draw) for _ in range(draw.randint(2, 7))]
    # Patterns of one policy share their beginnings, or they would never meet.
    pool += [f"{pattern.rstrip('/*')}/{draw.choice(PARTS)}" for pattern in pool]
    # YAML has no place for bytes that are no text.
    pool = ["/a", *(text for text in pool if problem(text) is None and "\udcff" not in text)]
    lines = [f"disable: [{', '.join(disable)}]", "ignore:"]
    for number in range(draw.randint(1, 4)):
        paths = draw.choices(pool, k=draw.randint(1, 3))
        excepted = draw.choices(pool, k=draw.choice((0, 0, 1, 2)))
        files = [pattern for pattern in excepted if pattern.rpartition("/")[2] not in ("", "**")]
        if draw.random() < 0.5:
            excepted, files = files, []
        lines += [
            f"  - rule: r{number}",
            f"    paths: [{', '.join(map(quoted, paths))}]",
            f"    except: [{', '.join(map(quoted, excepted))}]",
            f"    except_files: [{', '.join(map(quoted, files))}]",
        ]
    keep = draw.choices(pool, k=draw.choice((0, 0, 1, 1, 2, 3)))
    lines.append(f"keep: [{', '.join(map(quoted, keep))}]")
    if draw.random() < 0.2:
        lines.append("best_models: {metadata: [], documents: []}")
    policy = load_policy("\n".join(lines).encode())
    if draw.random() < 0.4:
        chosen = {
            "best_models/" + "/".join(draw.choices(("x.pt", "a", "run-1", "[a]"), k=depth))
            for depth in draw.choices((1, 1, 2, 3), k=draw.randint(1, 3))
        }
        text = "milestones:\n" + "".join(f"  {quoted(path)}: {{}}\n" for path in sorted(chosen))
        listed = load_milestones(text.encode(), policy.best_models)
        policy = with_milestones(policy, listed, policy.best_models.milestones_file)
    return policy


def draw_paths(draw: random.Random, policy: Policy) -> list[bytes]:
    """Paths that the patterns of *policy* are about, and some that they are not."""
    patterns = [entry.pattern for entry in policy.entries]
    own = [entry.pattern for entry in policy.entries if entry.source != "built-in policy"]
    paths: set[str] = set()
    for _ in range(24):
        parts = draw.choices(NAMES, k=draw.randint(0, 2))
        for pattern in draw.choices(own if own and draw.random() < 0.7 else patterns or ["a"], k=2):
            if draw.random() < 0.5 and not parts:
                parts = []
            parts += [text for part in pattern.split("/") for text in _instances(draw, part)]
            parts += draw.choices(NAMES, k=draw.choice((0, 0, 1, 2)))
            paths.add("/".join(parts))
            if draw.random() < 0.5:
                parts = []
    # git takes a part '.' for the folder itself.
    found = {path.encode("utf-8", "surrogateescape") for path in paths}
    return sorted(path for path in found if path and b"" not in path.split(b"/"))


def _instances(draw: random.Random, part: str) -> list[str]:
    if not part:
        return []
    if part == "**":
        return draw.choices(NAMES, k=draw.choice((0, 0, 1, 2)))
    text = ""
    position = 0
    while position < len(part):
        char = part[position]
        position += 1
        if char == "\\":
            text += part[position]
            position += 1
        elif char == "*":
            text += draw.choice(("", "a", "b", "1", ".", "x.pt"))
        elif char == "?":
            text += draw.choice("ab1")
        elif char == "[":
            end = part.index("]", position + 1)
            text += part[position]
            position = end + 1
        else:
            text += char
    return [text] if text not in ("", ".", "..") else ["a"]


def draw_cases(count: int, seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    for _ in range(count):
        policy = draw_policy(draw)
        yield Case(policy, draw_paths(draw, policy))


def block(policy: Policy) -> bytes:
    """The bare lines of the block for *policy*."""
    return b"".join(line + b"\n" for section in sections(policy) for line in section.lines)


def matcher(policy: Policy) -> Matcher:
    return Matcher(compile_tables([(one.pattern, one.blocks) for one in policy.alone()]))


def blocked(policy: Policy, paths: Sequence[bytes]) -> set[bytes]:
    """What the patterns block, as ``fx-explain --paths-only`` says it."""
    return set(matcher(policy).blocked(list(paths)))


def ignored(root: Path, paths: Iterable[bytes]) -> set[bytes]:
    """What git ignores of *paths* in the repository at *root*."""
    done = subprocess.run(
        ("git", "-c", "core.ignorecase=false", "check-ignore", "--no-index", "-z", "--stdin"),
        cwd=root,
        input=b"".join(path + b"\0" for path in paths),
        stdout=subprocess.PIPE,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )
    assert done.returncode in (0, 1), done
    return set(done.stdout.split(b"\0")[:-1])


class Comparison(NamedTuple):
    """How many paths were compared, how many of them are blocked, and where git differs."""

    paths: int
    blocked: int
    wrong: list[Disagreement]


def compare(root: Path, cases: Iterable[Case]) -> Comparison:
    """Ask git at *root*, a fresh repository, about every path of every case."""
    asked: list[tuple[Case, bytes, bytes, bool]] = []
    for number, case in enumerate(cases):
        folder = root / str(number)
        folder.mkdir()
        (folder / ".gitignore").write_bytes(block(case.policy))
        ours = blocked(case.policy, case.paths)
        asked += [(case, path, b"%d/" % number + path, path in ours) for path in case.paths]
    found = ignored(root, (full for _, _, full, _ in asked))
    wrong = [
        Disagreement(case, path, refused)
        for case, path, full, refused in asked
        if refused != (full in found)
    ]
    return Comparison(len(asked), sum(refused for *_, refused in asked), wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(("git", "init", "-q", name), check=True)
        paths, refused, wrong = compare(Path(name), draw_cases(options.pairs, options.seed))
    print(
        f"{options.pairs:,} policies, {paths:,} paths, {refused:,} of them blocked,"
        f" {len(wrong)} disagreements, {time.monotonic() - start:.0f} s"
    )
    for case, path, is_blocked in wrong[:3]:
        print(f"\n{path!r} is {'blocked' if is_blocked else 'allowed'} by")
        for text, blocks in case.policy.patterns():
            print(f"  {'' if blocks else '!'}{text}")
        print("and not by")
        print(block(case.policy).decode("utf-8", "backslashreplace"))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
