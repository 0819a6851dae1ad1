"""How long many paths take: `python -m benchmarks.fastpath`.

Run it with the interpreter of the environment that fx-hooks is installed into (not an
editable installation: its import hook costs more than the fast path).
"""

from __future__ import annotations

import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import Bound, Command, parsed, report
from fx_hooks.policy.loader import load_policy

SCRIPTS = Path(sys.executable).parent
FEW = "/wandb\n/outputs\n/multirun\n/logs\n__pycache__\n.hydra\n*.log\n*.pt\n*.pth\n*.ckpt\n"
WORDS = (
    "alpha", "beta", "gamma", "delta", "data", "model", "train",
    "eval", "layer", "block", "utils", "core", "api", "web",
)  # fmt: skip
PATTERNS = load_policy().patterns()


def main(arguments: Sequence[str] | None = None) -> int:
    numbers = {
        "large": (100_000, "tracked files"),
        "huge": (1_000_000, "tracked files, or paths on standard input"),
    }
    options = parsed(__doc__, 30, numbers, arguments)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        kept = [
            tree(base / "large", options.large, max(options.rounds // 3, 5)),
            listed(base / "tracked", options.huge, max(options.rounds // 5, 5)),
            stream(base / "huge", options.huge, max(options.rounds // 5, 5)),
        ]
    return 0 if all(kept) else 1


def tree(root: Path, count: int, rounds: int) -> bool:
    """All tracked files, against git looking for ignored ones among them."""
    _track(root, count)
    ignore = root / ".git" / "ignore"
    # The same question for git: the built-in policy's own patterns.
    ignore.write_text("".join(f"{'' if blocks else '!'}{text}\n" for text, blocks in PATTERNS))
    commands = {
        **_all_files(root),
        "git ls-files -i -c -z -X": Command(
            ("git", "ls-files", "-i", "-c", "-z", "-X", str(ignore)), root
        ),
    }
    bounds = [
        Bound(name, "git ls-files -i -c -z -X", 1.5) for name in commands if "git" not in name
    ]
    return report(f"{count:,} tracked files", commands, bounds, rounds)


def listed(root: Path, count: int, rounds: int) -> bool:
    """Very many tracked files, against git listing their names."""
    _track(root, count)
    commands = {**_all_files(root), "git ls-files -z": Command(("git", "ls-files", "-z"), root)}
    bounds = [Bound(name, "git ls-files -z", 7.0) for name in commands if "git" not in name]
    return report(f"{count:,} tracked files", commands, bounds, rounds)


def _all_files(root: Path) -> dict[str, Command]:
    """The check of all files where the last one was clean, and in a new clone."""
    check = (str(SCRIPTS / "fx-check-artifacts"), "--all-files")
    subprocess.run(check, cwd=root, check=True)
    new = f"rm -f .git/fx-hooks.* && exec {shlex.join(check)}"
    return {
        "--all-files": Command(check, root),
        "in a new clone": Command(("sh", "-c", new), root),
    }


def stream(root: Path, count: int, rounds: int) -> bool:
    """Clean paths on standard input, against git check-ignore."""
    repository(root)
    (root / ".gitignore").write_text(FEW)
    paths = root / ".git" / "paths"
    paths.write_bytes(b"".join(path.encode() + b"\0" for path in paths_of(count)))
    explain = (str(SCRIPTS / "fx-explain"), "--stdin", "-z", "--quiet", "--paths-only")
    ignored = ("git", "check-ignore", "--stdin", "-z", "--no-index")
    commands = {
        "fx-explain": Command(explain, root, paths),
        "git check-ignore": Command(ignored, root, paths, code=1),
    }
    # git looks for a .gitignore in each folder, which costs machines very different times.
    bounds = [Bound("fx-explain", "git check-ignore", 1.3)]
    return report(f"{count:,} paths", commands, bounds, rounds)


def paths_of(count: int) -> list[str]:
    choose = random.Random(count).choice
    folders = [f"{choose(WORDS)}/{choose(WORDS)}{i}/{choose(WORDS)}" for i in range(count // 25)]
    return [f"{choose(folders)}/{choose(WORDS)}_{i}.py" for i in range(count)]


def _track(root: Path, count: int) -> None:
    repository(root)
    blob = git(root, "hash-object", "-w", "--stdin").decode().strip()
    lines = [f"100644 {blob}\t{path}" for path in paths_of(count)]
    git(root, "update-index", "--index-info", stdin="\n".join(lines).encode())


def repository(root: Path) -> None:
    root.mkdir(parents=True)
    git(root, "init", "-q")
    git(root, "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m1")


def git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(
        ("git", *arguments), cwd=root, input=stdin, stdout=subprocess.PIPE, check=True
    )
    return done.stdout


if __name__ == "__main__":
    raise SystemExit(main())
