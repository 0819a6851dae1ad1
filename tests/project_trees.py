"""Does git ignore what the policy blocks, with projects drawn at random?

`python -m tests.project_trees --cases 2000`
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.cli.sync_gitignore import main as sync
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.policy.patterns import problem
from tests.agreement import BUILT_IN, draw_paths, draw_pattern, ignored, quoted
from tests.support import working_directory

# Among them names that a rule refuses, names of test data, and names that are patterns.
FOLDERS = (
    "ml", "packages/ml", "packages/a", "packages", "a/b", "outputs/x", "logs", "tests/ml", "é b",
    "wandb", "x/fixtures", "[a]", "version_1", "lightning_logs/p", "mlruns", "a.log", "x/*",
)  # fmt: skip
GLOBS = ("packages/*", "*", "**/lab", "?/b", "x/*/y", "[ab]/*")
OTHERS = ("packages/b", "packages/outputs", "x/lab", "lab", "q/b", "x/q/y", "outputs", "src")


class Case(NamedTuple):
    """The policy files by their folders, and the folders of the tree."""

    files: dict[str, str]
    folders: list[str]


def draw_policy(draw: random.Random, folders: list[str]) -> str:
    pool = [draw_pattern(draw) for _ in range(4)]
    # Some name a folder of a project, or what is in it.
    pool += [f"/{folder}/{draw.choice(('a', '*', 'x.pt', '**/b'))}" for folder in folders]
    pool += [f"/{folder}" for folder in folders]
    pool = [text for text in pool if problem(text) is None and "\udcff" not in text] + ["/a"]
    lines = []
    for key, most in (("ignore", 3), ("keep", 2)):
        chosen = draw.choices(pool, k=draw.randint(0, most))
        lines.append(f"{key}: [{', '.join(map(quoted, chosen))}]")
    lines.append(f"disable: [{', '.join(draw.sample(BUILT_IN, draw.choice((0, 1, 3))))}]")
    return "\n".join(lines) + "\n"


def draw_cases(count: int, seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    for _ in range(count):
        folders = draw.sample(FOLDERS, draw.randint(1, 3))
        if draw.random() < 0.4:
            folders.append(f"{folders[0]}/{draw.choice(('inner', 'logs', 'a/b'))}")
        named = ["".join(f"\\{c}" if c in "*?[" else c for c in folder) for folder in folders]
        globs = draw.sample(GLOBS, draw.choice((0, 0, 1, 2)))
        listed = ", ".join(map(quoted, named + globs))
        files = {"": draw_policy(draw, named) + f"projects: [{listed}]\n"}
        for folder in folders:
            if draw.random() < 0.4:
                files[folder] = draw_policy(draw, [])
        yield Case(files, folders + draw.sample(OTHERS, 3))


def disagreements(root: Path, case: Case, seed: int) -> tuple[int, int, list[bytes]]:
    """Write *case* into an empty repository: paths, those blocked, and where git differs."""
    for folder in case.folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder, text in case.files.items():
        (root / folder / ".fx-hooks.yaml").write_text(text, "utf-8")
    with working_directory(root):
        policy = policy_in_force(Repository(), {}).policy
    assert policy.projects is not None
    draw = random.Random(seed)
    paths = set(draw_paths(draw, policy))
    for folder in case.folders:
        project = policy.projects.finder.at(os.fsencode(folder))
        here = policy.projects.at(project).policy if project else policy
        paths |= {os.fsencode(folder) + b"/" + path for path in draw_paths(draw, here)}
    for project in policy.projects.among(paths):
        with contextlib.suppress(FileExistsError):
            os.makedirs(os.path.join(os.fsencode(root), project))
    with working_directory(root), contextlib.redirect_stdout(io.StringIO()):
        assert sync([]) in (0, 1), case
    there = {*map(os.fsencode, case.folders), *policy.projects.among(paths)}
    there |= {part for folder in there for part in _above(folder)}
    odd = tuple(project + b"/" for project in policy.projects.among(paths) if b"\n" in project)
    asked = sorted(path for path in paths if path not in there and not path.startswith(odd))
    blocked = set(Classifier(policy).blocked(asked))
    return len(asked), len(blocked), sorted(blocked ^ ignored(root, asked))


def _above(folder: bytes) -> list[bytes]:
    parts = folder.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    total = 0
    for number, case in enumerate(draw_cases(options.cases, options.seed)):
        with tempfile.TemporaryDirectory() as name:
            subprocess.run(("git", "init", "-q", name), check=True)
            paths, _, found = disagreements(Path(name), case, number)
            total += paths
            if found:
                print(number, case, found)
                return 1
    print(f"{total:,} paths: git says what the policy says")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
