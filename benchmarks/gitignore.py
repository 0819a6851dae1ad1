"""What the block of .gitignore costs: `python -m benchmarks.gitignore`.

Run it like `benchmarks.gate`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.gate import SCRIPTS, git, repository
from benchmarks.rounds import Bound, Command, report

SYNC = str(SCRIPTS / "fx-sync-gitignore")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--files", type=int, default=100_000, help="below wandb/ and outputs/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        kept = [
            in_step(base / "small", options.rounds),
            status(base / "large", options.files, options.rounds),
        ]
    return 0 if all(kept) else 1


def in_step(root: Path, rounds: int) -> bool:
    """The hook where nothing has changed, which is nearly always."""
    repository(root)
    (root / ".fx-hooks.yaml").write_text("ignore: [/scratch]\n")
    subprocess.run((SYNC,), cwd=root, stdout=subprocess.DEVNULL, check=False)
    git(root, "add", ".")
    subprocess.run((SYNC,), cwd=root, check=True)
    commands = {
        "in step": Command((SYNC,), root),
        "bare python": Command((sys.executable, "-c", "pass"), root),
    }
    return report("fx-sync-gitignore", commands, [Bound("in step", "bare python", 1.7)], rounds)


def status(root: Path, count: int, rounds: int) -> bool:
    """git status with the block, and with the two plain lines that people write."""
    commands = {}
    for name in ("block", "plain", "plain again"):
        repository(root / name)
        _runs(root / name, count)
        if name == "block":
            subprocess.run((SYNC,), cwd=root / name, stdout=subprocess.DEVNULL, check=False)
        else:
            (root / name / ".gitignore").write_text("wandb/\noutputs/\n")
        time.sleep(1.1)  # or git reads each file that is as new as the index again
        git(root / name, "add", ".gitignore", "src")
        commands[f"git status, {name}"] = Command(("git", "status", "--porcelain"), root / name)
    # What is left is under half a millisecond: git holds each tracked folder against each line.
    # The same twice says how much of a difference is none.
    bounds = [
        Bound("git status, block", "git status, plain", 1.2),
        Bound("git status, plain again", "git status, plain", 1.1),
    ]
    return report(f"{count:,} files below wandb/ and outputs/", commands, bounds, rounds)


def _runs(root: Path, count: int) -> None:
    """Runs with a hundred files each, half of them W&B's and half Hydra's; and some sources."""
    for number in range(count // 200):
        day, clock = f"2024-01-{number % 28 + 1:02}", f"{number // 28 % 24:02}-{number % 60:02}-00"
        stamp = f"{day.replace('-', '')}_{clock.replace('-', '')}"
        for folder in (
            root / "wandb" / f"run-{stamp}-{number:08}" / "files",
            root / "outputs" / day / f"{clock[:-2]}{number // 672:02}" / ".hydra",
        ):
            folder.mkdir(parents=True)
            for file in range(100):
                (folder / f"{file}.yaml").touch()
    for number in range(1000):
        (root / "src" / f"package_{number // 50}").mkdir(parents=True, exist_ok=True)
        (root / "src" / f"package_{number // 50}" / f"module_{number}.py").touch()


if __name__ == "__main__":
    raise SystemExit(main())
