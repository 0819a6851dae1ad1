"""What judging commits costs: `python -m benchmarks.history`.

Run it like `benchmarks.fastpath`. The history takes some minutes to make, and 200 MB of room.
"""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fastpath import SCRIPTS, WORDS, git
from benchmarks.rounds import Bound, Command, parsed, report

CHECK = str(SCRIPTS / "fx-check-range")
BARE = shlex.join((sys.executable, "-c", "pass"))
MEBIBYTES = 300
# One commit in so many leaves a run behind, and half of the runs are deleted again; but the
# last commits are clean.
RUN_EVERY = 50
CLEAN = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {"range": (1_000, "commits"), "history": (50_000, "commits")}
    options = parsed(__doc__, 9, numbers, arguments)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        make_history(root, options.history)
        kept = [
            last_commits(root, options.range, options.rounds),
            all_commits(root, options.history, options.rounds),
            memory(root),
        ]
    return 0 if all(kept) else 1


def last_commits(root: Path, count: int, rounds: int) -> bool:
    """Clean commits, and those with runs, against git's own walk and a bare interpreter."""
    clean = f"HEAD~{count}..HEAD"
    runs = f"HEAD~{count + CLEAN}..HEAD~{CLEAN}"
    # Runners start it in the environment that they made; the tables of the last commit are there.
    subprocess.run((CHECK, clean), cwd=root, check=True)
    commands = {
        "clean": Command((CHECK, clean), root),
        "git, clean": Command(_walk(root, clean), root),
        "with runs": Command((CHECK, runs), root, code=1),
        "git, with runs": Command(_walk(root, runs), root),
    }
    bounds = [Bound("clean", "git, clean", 1.3), Bound("with runs", "git, with runs", 3.0)]
    return report(f"{count:,} commits", commands, bounds, rounds)


def _walk(root: Path, wanted: str) -> tuple[str, ...]:
    """git's own walk, and the sizes of the blobs that it finds, which only git knows."""
    listed = git(root, "log", "--raw", "--no-abbrev", "--format=", wanted).splitlines()
    blobs = root / ".git" / f"blobs-{wanted.replace('~', '-')}"
    blobs.write_bytes(b"".join(line.split()[3] + b"\n" for line in listed))
    sizes = f"git cat-file --batch-check --buffer < {shlex.quote(str(blobs))}"
    return "sh", "-c", f"git log --raw -z -m {wanted} && {sizes} && {BARE}"


def all_commits(root: Path, count: int, rounds: int) -> bool:
    """The audit of everything, against git listing and weighing all objects."""
    objects = "git rev-list --objects --all | git cat-file --batch-check"
    commands = {
        "--all": Command((CHECK, "--all"), root, code=1),
        "git rev-list | git cat-file": Command(("sh", "-c", objects), root),
    }
    bounds = [Bound("--all", "git rev-list | git cat-file", 1.3)]
    return report(f"A history of {count:,} commits", commands, bounds, rounds)


def memory(root: Path) -> bool:
    """What the audit holds at most: the largest of its own process and of those it waits for."""
    process = subprocess.Popen((CHECK, "--all"), cwd=root, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    used = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(f"\nMemory of --all: {used:.0f} MiB, bound {MEBIBYTES}")
    return used <= MEBIBYTES


def make_history(root: Path, count: int) -> None:
    """*count* commits, one in twenty a merge, as packed as git packs them."""
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    process = subprocess.Popen(("git", "fast-import", "--quiet"), cwd=root, stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process.stdin as stream:
        stream.writelines(commit.encode() for commit in _commits(count))
    if process.wait():
        raise SystemExit("git fast-import failed")
    git(root, "gc", "-q")


def _commits(count: int) -> Iterator[str]:
    choose = random.Random(count)
    paths = [
        f"{choose.choice(WORDS)}/{choose.choice(WORDS)}_{number % 60}/module_{number}.py"
        for number in range(2_000)
    ]
    for number in range(count):
        mark = number + 1
        yield f"commit refs/heads/main\nmark :{mark}\n"
        yield f"committer A <a@example.org> {1_600_000_000 + number * 600} +0000\n"
        yield _data(f"Commit {number}")
        if number:
            yield f"from :{mark - 1}\n"
        if number > 20 and not number % 20:
            yield f"merge :{mark - 15}\n"
        for path in paths if not number else choose.sample(paths, 3):
            yield f"M 100644 inline {path}\n" + _data(f"{path}\n" * 20 + f"{choose.random()}\n")
        run, rest = divmod(number, RUN_EVERY)
        folder = f"wandb/run-20240101_{run:06}-{run:08}"
        if number >= count - CLEAN:
            continue
        if not rest:
            for name in ("config.yaml", "output.log", "wandb-summary.json"):
                yield f"M 100644 inline {folder}/files/{name}\n" + _data(f"{choose.random()}\n")
        elif rest == RUN_EVERY // 2 and run % 2:
            yield f"D {folder}\n"


def _data(text: str) -> str:
    return f"data {len(text)}\n{text}\n"


if __name__ == "__main__":
    raise SystemExit(main())
