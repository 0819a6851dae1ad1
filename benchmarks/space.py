"""What it costs to look at a tree of runs: `python -m benchmarks.space`.

Run it like `benchmarks.fastpath`, with the extra `tools`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fastpath import SCRIPTS, repository
from benchmarks.rounds import Bound, Command, parsed, report

SCAN = "import os; from fx_hooks.util.disk import scan; scan(os.getcwdb()).top.size()"


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {"files": (200_000, "files")}
    options = parsed(__doc__, 15, numbers, arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        repository(root)
        _runs(root, options.files)
        # The tables of the last commit are there.
        subprocess.run((str(SCRIPTS / "fx-check-artifacts"),), cwd=root, check=True)
        commands = {
            "du -s": Command(("du", "-s"), root),
            "scan": Command((sys.executable, "-c", SCAN), root),
            "fx-report-space": Command((str(SCRIPTS / "fx-report-space"),), root, code=0),
        }
        bounds = [
            Bound("scan", "du -s", 1.7),
            Bound("fx-report-space", "du -s", 3.0),
        ]
        kept = report(f"{options.files:,} files", commands, bounds, options.rounds)
    return 0 if kept else 1


def _runs(root: Path, count: int) -> None:
    """Sweeps of ten jobs with their W&B runs, a hundred files each; and a data set."""
    made = 0
    number = 0
    while made < count:
        job = root / "multirun" / f"2024-{number // 280 % 12 + 1:02}-{number // 10 % 28 + 1:02}"
        job = job / f"12-00-{number // 10 % 60:02}" / str(number % 10)
        (job / ".hydra").mkdir(parents=True)
        (job / ".hydra" / "config.yaml").write_text("a: 1\n")
        (job.parent / "multirun.yaml").touch()
        run = root / "wandb" / f"run-20240101_{number:06}-{number:08}"
        for folder in (job / "images", run / "files" / "media", root / "data" / f"part_{number}"):
            folder.mkdir(parents=True)
            for file in range(50):
                (folder / f"{file}.png").touch()
        made += 152
        number += 1


if __name__ == "__main__":
    raise SystemExit(main())
