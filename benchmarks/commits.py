"""What a commit costs, whatever the repository: `python -m benchmarks.commits`.

Run it with the interpreter of the environment that fx-hooks is installed into (not an
editable installation: its import hook costs more than the fast path).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.fastpath import SCRIPTS, WORDS, git, paths_of
from benchmarks.rounds import Bound, Command, parsed, report

CHECK = str(SCRIPTS / "fx-check-artifacts")
SYNC = str(SCRIPTS / "fx-sync-gitignore")
BARE = "python -c pass"
ONE = "src/train.py"
# pip 23 writes console scripts like this.
OLD_SCRIPT = """#!{python}
# -*- coding: utf-8 -*-
import re
import sys
from fx_hooks.check_artifacts import script
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(script())
"""
WEIGHTS = Path(__file__).parent.parent / "tests" / "data" / "weights" / "state_dict.pt"


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {"large": (100_000, "tracked files"), "huge": (1_000_000, "tracked files")}
    chosen = parsed(__doc__, 30, numbers, arguments)
    # git may still be at work in one of them.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        kept = [
            tracked(
                base / "tracked", {1_000: 1.2, chosen.large: 1.6, chosen.huge: 4}, chosen.rounds
            ),
            kinds(base / "kinds", chosen.rounds),
            contents(base / "contents", chosen.rounds),
            names(base / "names", chosen.rounds),
            refused(base / "refused", chosen.rounds),
            projects(base / "projects", chosen.rounds),
        ]
        if shutil.which("pre-commit") or (SCRIPTS / "pre-commit").exists():
            kept.append(runner(base / "runner", chosen.large, max(chosen.rounds // 3, 5)))
    return 0 if all(kept) else 1


def bare(root: Path) -> Command:
    return Command((sys.executable, "-c", "pass"), root)


def one_name(root: Path, code: int = 0) -> Command:
    return Command((CHECK, "--", ONE), root, code=code)


def clean(root: Path, count: int = 1_000, *init: str) -> Path:
    """A repository of *count* committed files in which one clean file is staged."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main", *init)
    blob = git(root, "hash-object", "-w", "--stdin", stdin=b"x = 1\n").decode().strip()
    lines = [f"100644 {blob}\t{path}" for path in paths_of(count)]
    git(root, "update-index", "--index-info", stdin="\n".join(lines).encode())
    commit(root)
    write(root, ONE, b"pass\n")
    git(root, "add", ONE)
    warm(root)
    return root


def commit(root: Path, *more: str) -> None:
    git(root, "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "-m1", *more)


def write(root: Path, path: str, content: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def warm(root: Path) -> None:
    """Let an earlier command leave its tables behind, as every commit but the first finds them."""
    subprocess.run((CHECK,), cwd=root, stdout=subprocess.DEVNULL, check=False)


def table(title: str, rows: Mapping[str, tuple[Command, float]], rounds: int) -> bool:
    """Hold each of *rows* against a bare interpreter."""
    root = next(iter(rows.values()))[0].cwd
    commands = {BARE: bare(root), **{name: command for name, (command, _) in rows.items()}}
    bounds = [Bound(name, BARE, limit) for name, (_, limit) in rows.items()]
    return report(title, commands, bounds, rounds)


def tracked(base: Path, limits: Mapping[int, float], rounds: int) -> bool:
    """One clean name in small and large repositories."""
    rows = {
        f"{count:,} tracked": (one_name(clean(base / str(count), count)), limit)
        for count, limit in limits.items()
    }
    return table("One clean name", rows, rounds)


def kinds(base: Path, rounds: int) -> bool:
    """One clean name where git keeps the index in another way, and in the middle of a merge."""
    roots = {name: clean(base / name.replace(" ", "-")) for name in (
        "version 4", "split index", "sparse index", "untracked cache", "fsmonitor", "merge",
    )}  # fmt: skip
    git(roots["version 4"], "update-index", "--index-version", "4")
    git(roots["split index"], "config", "core.splitIndex", "true")
    git(roots["split index"], "update-index", "--split-index")
    sparse = roots["sparse index"]
    commit(sparse)
    git(sparse, "sparse-checkout", "set", "--cone", "--sparse-index", "src")
    write(sparse, ONE, b"x = 2\n")
    git(sparse, "add", ONE)
    git(roots["untracked cache"], "update-index", "--force-untracked-cache")
    git(roots["untracked cache"], "status")
    git(roots["fsmonitor"], "config", "core.fsmonitor", "/bin/true")
    git(roots["fsmonitor"], "update-index", "--fsmonitor")
    merge = roots["merge"]
    commit(merge)
    git(merge, "checkout", "-q", "-b", "theirs")
    write(merge, "theirs.py", b"x = 1\n")
    git(merge, "add", "theirs.py")
    commit(merge)
    git(merge, "checkout", "-q", "main")
    write(merge, ONE, b"x = 2\n")
    git(merge, "add", ONE)
    commit(merge)
    git(merge, "-c", "user.name=x", "-c", "user.email=x", "merge", "-q", "--no-commit", "theirs")
    limits = {"version 4": 1.8, "split index": 2.5, "sparse index": 2.5, "merge": 3}
    rows = {}
    for name, root in roots.items():
        warm(root)
        rows[name] = (one_name(root), limits.get(name, 1.5))
    roots["SHA-256"] = clean(base / "sha256", 1_000, "--object-format=sha256")
    rows["SHA-256"] = (one_name(roots["SHA-256"]), 1.5)
    return table("One clean name, 1,000 tracked", rows, rounds)


def projects(base: Path, rounds: int) -> bool:
    """A clean file in one of many projects, each with a policy of its own, against one."""
    commands = {}
    for count in (1, 200):
        root = clean(base / str(count))
        projects = "packages/*" if count > 1 else "packages/p000"
        write(root, ".fx-hooks.yaml", f"projects: [src, {projects}]\n".encode())
        # The same folders: what git takes is not what is measured.
        for number in range(200):
            folder = f"packages/p{number:03}"
            policy = ".fx-hooks.yaml" if number < count else "notes.yaml"
            write(root, f"{folder}/{policy}", f"ignore: ['*.x{number}']\n".encode())
            write(root, f"{folder}/src/a.py", b"")
        subprocess.run((SYNC,), cwd=root, stdout=subprocess.DEVNULL, check=False)
        name = "packages/p000/src/a.py"
        for text in (b"x = 1\n", b"pass\n"):
            git(root, "add", "-A")
            commit(root)
            write(root, name, text)
        git(root, "add", name)  # not -A, for which git would compare all folders again afterwards
        time.sleep(2.1)  # what is younger is looked at again
        subprocess.run((SYNC,), cwd=root, check=True)
        warm(root)
        commands[f"{count} blocks"] = Command((SYNC,), root)
        commands[f"{count} artifacts"] = Command((CHECK, "--", name), root)
        commands[f"{count} best models"] = Command((str(SCRIPTS / "fx-check-best-models"),), root)
        commands[f"{count} range"] = Command(
            (str(SCRIPTS / "fx-check-range"), "HEAD~1..HEAD"), root
        )
    hooks = ("artifacts", "best models", "range", "blocks")
    bounds = [Bound(f"200 {what}", f"1 {what}", 1.2) for what in hooks]
    return report("A clean file in one of the projects", commands, bounds, rounds)


def contents(base: Path, rounds: int) -> bool:
    """New files that are large enough to be looked into."""
    rows = {}
    for name, path, content in (
        ("a source of 20 KiB", "src/large.py", b"value = 12345678\n" * 1_200),
        (
            "a notebook of 200 KiB",
            "notes/one.ipynb",
            json.dumps({"cells": [0.5] * 40_000}).encode(),
        ),
        (
            "an image of 2 MiB",
            "docs/one.png",
            b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(1 << 21),
        ),
        ("a name that gives a reason", "src/model_state", b"x\n"),
    ):
        root = clean(base / path.replace("/", "-"))
        write(root, path, content)
        git(root, "add", path)
        rows[name] = (Command((CHECK, "--", path), root), 1.5)
    return table("One new file", rows, rounds)


def names(root: Path, rounds: int) -> bool:
    """2,000 clean names, as hooks pass them and by hand; and a script of an old pip."""
    clean(root)
    few = [f"src/{WORDS[i % 14]}_{i % 10}/module_{i}.py" for i in range(2000)]
    many = [f"src/{WORDS[i % 14]}_{i % 100}/module_{i}.py" for i in range(2000)]
    script = root / ".git" / "old-script"
    script.write_text(OLD_SCRIPT.format(python=sys.executable))
    script.chmod(0o700)
    rows = {
        "2,000 names in 70 folders": (Command((CHECK, "--", *few), root), 2.0),
        "2,000 names in 700 folders": (Command((CHECK, "--", *many), root), 2.6),
        "2,000 names without --": (Command((CHECK, *few), root), 3.0),
        "what is staged": (Command((CHECK,), root), 1.5),
        "fx-check-best-models": (Command((str(SCRIPTS / "fx-check-best-models"),), root), 1.5),
        "a script of pip 23": (Command((script.as_posix(), "--", ONE), root), 1.75),
    }
    kept = table("Many names, and none", rows, rounds)
    sibling = SCRIPTS / "check-added-large-files"
    if sibling.exists():
        commands = {"one name": one_name(root), sibling.name: Command((str(sibling), ONE), root)}
        kept &= report(
            "Against another hook", commands, [Bound("one name", sibling.name, 0.5)], rounds
        )
    return kept


def refused(base: Path, rounds: int) -> bool:
    """A commit with a run in it, an explanation, and metadata of a model that has changed."""
    run = clean(base / "run")
    for name in (
        "files/config.yaml",
        "files/output.log",
        "files/wandb-summary.json",
        "run-a.wandb",
    ):
        write(run, f"wandb/run-20240101_000000-abcdefgh/{name}", b"a: 1\n")
    git(run, "add", "-f", "wandb")
    staged = os.fsdecode(git(run, "diff", "--cached", "--name-only", "-z")).split("\0")[:-1]
    changed = clean(base / "metadata")
    best_models(changed)
    git(changed, "config", "user.name", "x")
    commit(changed, "-q", "--no-verify")
    write(changed, "best_models/m_meta.json", metadata(0.91))
    git(changed, "add", "-f", "best_models")
    warm(changed)
    rows = {
        "a run is refused": (Command((CHECK, "--", *staged), run, code=1), 6.0),
        "fx-explain of one path": (
            Command((str(SCRIPTS / "fx-explain"), staged[0]), run, code=0), 6.0,
        ),
        "fx-check-best-models, metadata changed": (
            Command((str(SCRIPTS / "fx-check-best-models"),), changed), 6.0,
        ),
    }  # fmt: skip
    return table("What takes the long way", rows, rounds)


def metadata(accuracy: float) -> bytes:
    return json.dumps({"performance": {"accuracy": accuracy}, "config": {"seed": 0}}).encode()


def best_models(root: Path) -> None:
    """One approved model, staged."""
    weights = WEIGHTS.read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    listing = (
        f'milestones:\n  "best_models/m.pt":\n    sha256: "{digest}"\n    size: {len(weights)}\n'
        '    why: a reason\n    approved: "2026-01-31"\n'
    )
    write(root, "best_models/m.pt", weights)
    write(root, "best_models/m_meta.json", metadata(0.9))
    write(root, "best_models/milestones.yaml", listing.encode())
    git(root, "add", "-f", "best_models")


def runner(root: Path, count: int, rounds: int) -> bool:
    """`pre-commit run --all-files`, against the same with a program that does nothing."""
    clean(root, count)
    program = str(SCRIPTS / "pre-commit")
    commands = {}
    for name, entry in (("the hook", f"{CHECK} --all-files"), ("/bin/true", "/bin/true")):
        config = root / ".git" / f"{Path(entry.split()[0]).name}.yaml"
        config.write_text(CONFIG.format(entry=entry))
        words = (program, "run", "--all-files", "-c", str(config))
        commands[name] = Command(words, root)
        subprocess.run(words, cwd=root, stdout=subprocess.DEVNULL, check=True)
    bounds = [Bound("the hook", "/bin/true", 1.35)]
    return report(f"pre-commit run --all-files, {count:,} tracked", commands, bounds, rounds)


CONFIG = """repos:
- repo: local
  hooks:
  - {{id: one, name: one, language: system, entry: "{entry}", pass_filenames: false,
      always_run: true, files: "^$"}}
"""


if __name__ == "__main__":
    raise SystemExit(main())
