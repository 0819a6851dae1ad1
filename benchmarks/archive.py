"""What packing runs costs: `python -m benchmarks.archive`.

Run it like `benchmarks.fastpath`; it needs GNU tar, gzip and zstd, and some 3 GB of room. The
command also hashes every file, syncs the archive and reads it back, which tar does not.
"""

from __future__ import annotations

import array
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fastpath import SCRIPTS, repository
from benchmarks.rounds import Bound, Command, parsed, report

ARCHIVE = str(SCRIPTS / "fx-archive-runs")


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {"runs": (12, "of 30 MB each, half of it weights")}
    options = parsed(__doc__, 5, numbers, arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        out = Path(folder) / "out"
        out.mkdir()
        repository(root)
        make_runs(root, options.runs)
        kept = [
            packing(root, out, ("tar", "-czf"), "tar.gz", 1.2, options.rounds),
            packing(root, out, ("tar", "--zstd", "-cf"), "tar.zst", 1.8, options.rounds),
        ]
    return 0 if all(kept) else 1


def packing(
    root: Path, out: Path, tar: tuple[str, ...], end: str, limit: float, rounds: int
) -> bool:
    """All runs into an archive, against tar at the same level."""
    ours, theirs = str(out / f"ours.{end}"), str(out / f"theirs.{end}")
    commands = {
        "fx-archive-runs": Command((ARCHIVE, "--force", ours), root),
        " ".join(tar): Command((*tar, theirs, "outputs"), root),
    }
    kept = report(
        f"Packing {end}", commands, [Bound("fx-archive-runs", " ".join(tar), limit)], rounds
    )
    subprocess.run((ARCHIVE, "--list", ours), check=True, stdout=subprocess.DEVNULL)
    print(f"  size, ours / theirs: {os.path.getsize(ours) / os.path.getsize(theirs):.3f}")
    return kept


def make_runs(root: Path, count: int) -> None:
    """Hydra jobs of last month with checkpoints, logs, events and W&B's small files."""
    choose = random.Random(count)
    weights = array.array("f", (choose.gauss(0, 0.02) for _ in range(1 << 21))).tobytes()
    for number in range(count):
        run = root / f"outputs/2025-05-{number % 28 + 1:02}/12-00-{number // 28:02}"
        media = run / f"wandb/run-20250501_1200{number:02}-abcdef{number:02}/files/media/images"
        media.mkdir(parents=True)
        (run / "checkpoints").mkdir()
        (run / ".hydra").mkdir()
        for name in ("config", "hydra", "overrides"):
            (run / f".hydra/{name}.yaml").write_text("lr: 0.1\nmodel: {width: 3}\n" * 40)
        for epoch in range(3):
            start = (number * 3 + epoch) * 52
            (run / f"checkpoints/epoch_{epoch}.ckpt").write_bytes(weights[start:] + weights[:start])
        lines = (
            f"[2025-05-01 12:{step // 60 % 60:02}:{step % 60:02}][root][INFO] - step {step}"
            f" loss {choose.random():.5f}\n"
            for step in range(40_000)
        )
        (run / "train.log").write_text("".join(lines))
        events = (b"train/loss" + choose.randbytes(20) + bytes(12) for _ in range(40_000))
        (run / "events.out.tfevents.1").write_bytes(b"".join(events))
        for image in range(150):
            (media / f"{image}.png").write_bytes(choose.randbytes(choose.randrange(1000, 9000)))
    old = time.time() - 40 * 86_400
    for folder, _, files in os.walk(root / "outputs"):
        for name in files:
            os.utime(os.path.join(folder, name), (old, old))


if __name__ == "__main__":
    raise SystemExit(main())
