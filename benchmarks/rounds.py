"""Commands timed against each other: interleaved, shuffled, ratios within a round."""

from __future__ import annotations

import random
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """What to run where; *stdin* is a file, *code* the exit code it must have."""

    arguments: Sequence[str | bytes]
    cwd: Path
    stdin: Path | None = None
    code: int = 0


class Bound(NamedTuple):
    """*command* may take at most *limit* times what *base* takes."""

    command: str
    base: str
    limit: float


def measure(commands: Mapping[str, Command], rounds: int) -> dict[str, list[float]]:
    """Seconds of each command in each round, as a whole process."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        names = list(commands)
        random.shuffle(names)
        for name in names:
            seconds[name].append(_run(commands[name]))
    return seconds


def report(
    title: str, commands: Mapping[str, Command], bounds: Sequence[Bound], rounds: int
) -> bool:
    """Print the median ratio of each bound with its quartiles; whether all hold."""
    seconds = measure(commands, rounds)
    print(f"\n{title} ({rounds} rounds)")
    print(f"  {'':34} {'median':>7} {'quartiles':>13}  {'bound':>5}")
    kept = True
    for bound in bounds:
        pairs = zip(seconds[bound.command], seconds[bound.base], strict=True)
        ratios = [mine / base for mine, base in pairs]
        low, median, high = statistics.quantiles(ratios, n=4)
        holds = median <= bound.limit
        kept = kept and holds
        print(
            f"  {bound.command + ' / ' + bound.base:34} {median:7.2f} {low:6.2f}-{high:5.2f}"
            f"  {bound.limit:5.2f}{'' if holds else '  too slow'}"
        )
    return kept


def _run(command: Command) -> float:
    stdin = subprocess.DEVNULL if command.stdin is None else command.stdin.open("rb")
    try:
        start = time.perf_counter()
        done = subprocess.run(
            command.arguments, cwd=command.cwd, stdin=stdin, stdout=subprocess.PIPE
        )
        elapsed = time.perf_counter() - start
    finally:
        if not isinstance(stdin, int):
            stdin.close()
    if done.returncode != command.code:
        raise SystemExit(f"{command.arguments[0]!r} exited with {done.returncode}")
    return elapsed
