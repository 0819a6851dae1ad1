"""What the block of .gitignore costs: `python -m benchmarks.gitignore`.

Run it like `benchmarks.fastpath`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.fastpath import SCRIPTS, git, repository
from benchmarks.rounds import Bound, Command, parsed, report

SYNC = str(SCRIPTS / "fx-sync-gitignore")
PLAIN = "wandb/ and outputs/"
LINES = {
    PLAIN: "wandb/\noutputs/\n",
    "all there is": "wandb/\noutputs/\nlogs/\nlightning_logs/\n__pycache__/\n",
}


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {"files": (100_000, "below the folders of runs")}
    options = parsed(__doc__, 30, numbers, arguments)
    count = options.files
    runs = f"{count:,} files below wandb/ and outputs/"
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        kept = [in_step(base / "small", options.rounds)]
        # Each bound is for one way to write it by hand. Where such lines close all that the block
        # closes, what it costs is reading 210 lines and holding each open folder against them.
        for tree, fill, bounds in (
            (f"{runs}, as Python leaves the sources", _used, {PLAIN: 1.02, "all there is": 1.12}),
            (f"{runs}, nothing else", _wandb_and_outputs, {PLAIN: 1.09}),
            (f"{count:,} files below logs/", _logs, {"all there is": 1.09}),
            (f"{count:,} files below lightning_logs/", _lightning_logs, {"all there is": 1.09}),
            ("15,000 files in 3,000 folders, no artifact", _clean, {PLAIN: 1.4}),
        ):
            root = base / str(len(kept))
            kept.append(status(root, tree, partial(fill, count=count), bounds, options.rounds))
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


def status(
    root: Path, tree: str, fill: Callable[[Path], None], limits: dict[str, float], rounds: int
) -> bool:
    """git status with the block, and with each kind of lines that people write.

    All are the user's own excludes of one repository, which git reads like a .gitignore of
    the root; the files would otherwise be there several times.
    """
    repository(root)
    fill(root)
    subprocess.run((SYNC,), cwd=root, stdout=subprocess.DEVNULL, check=False)
    files = {"block": (root / ".gitignore").rename(root.with_suffix(".block"))}
    for number, kind in enumerate(limits):
        files[kind] = root.with_suffix(f".{number}")
        files[kind].write_text(LINES[kind])
        files[f"{kind} again"] = files[kind]
    time.sleep(1.1)  # or git reads each file that is as new as the index again
    git(root, "add", "src")
    commands = {
        name: Command(("git", "-c", f"core.excludesFile={file}", "status", "--porcelain"), root)
        for name, file in files.items()
    }
    bounds = [Bound("block", kind, limit) for kind, limit in limits.items()]
    # The same twice says how much of a difference is none.
    bounds += [Bound(f"{kind} again", kind, 1.1) for kind in limits]
    return report(f"git status, {tree}", commands, bounds, rounds)


def _wandb_and_outputs(root: Path, count: int) -> None:
    """Runs with a hundred files each, half of them W&B's and half Hydra's; and some sources."""
    for number in range(count // 200):
        day, clock = _time_of(number)
        stamp = f"{day.replace('-', '')}_{clock.replace('-', '')}"
        _touch(root / "wandb" / f"run-{stamp}-{number:08}" / "files", 100)
        _touch(root / "outputs" / day / clock / ".hydra", 100)
    _sources(root, 20, 50)


def _used(root: Path, count: int) -> None:
    """The same, and what Python leaves beside sources that ran."""
    _wandb_and_outputs(root, count)
    for folder in (root / "src").glob("*/*"):
        _touch(folder / "__pycache__", 50, ".cpython-311.pyc")


def _logs(root: Path, count: int) -> None:
    """The layout of the Lightning-Hydra template."""
    for number in range(count // 100):
        day, clock = _time_of(number)
        _touch(root / "logs" / "train" / "runs" / f"{day}_{clock}", 100)
    _sources(root, 20, 50)


def _lightning_logs(root: Path, count: int) -> None:
    for number in range(count // 100):
        _touch(root / "lightning_logs" / f"version_{number}" / "checkpoints", 100)
    _sources(root, 20, 50)


def _clean(root: Path, count: int) -> None:  # noqa: ARG001
    """git holds each of the folders against each line."""
    _sources(root, 3000, 5)


def _sources(root: Path, folders: int, files: int) -> None:
    for number in range(folders):
        _touch(root / "src" / f"package_{number // 50}" / f"module_{number}", files)


def _time_of(number: int) -> tuple[str, str]:
    return (
        f"2024-01-{number % 28 + 1:02}",
        f"{number // 28 % 24:02}-{number % 60:02}-{number // 672:02}",
    )


def _touch(folder: Path, count: int, suffix: str = ".py") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"file_{number}{suffix}").touch()


if __name__ == "__main__":
    raise SystemExit(main())
