"""Commands measured against each other: interleaved, shuffled, ratios within a round.

Each is a whole process with all that it starts. Where other work is done on the machine, the
time on the clock says little: the processor time is measured next to it, and decides with
``--by cpu``.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
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
    variables: Mapping[str, str] = {}


class Bound(NamedTuple):
    """*command* may take at most *limit* times what *base* takes."""

    command: str
    base: str
    limit: float


class Cost(NamedTuple):
    """What a process and all that it waited for took: seconds, and the most memory of one.

    The memory is 0 where it is no more than that of the process that measures.
    """

    clock: float
    cpu: float
    mebibytes: float


class Row(NamedTuple):
    """How a bound was kept, as the JSON has it: *ratio* is what counts, by clock or cpu."""

    title: str
    command: str
    base: str
    limit: float
    ratio: float
    quartiles: tuple[float, float]
    clock: float
    cpu: float
    mebibytes: float
    milliseconds: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.limit


class Settings:
    """How to measure, and all that was measured."""

    by = "clock"
    rows: list[Row] = []  # noqa: RUF012  one process measures once


def parsed(
    description: str | None,
    rounds: int,
    numbers: Mapping[str, tuple[int, str]],
    arguments: Sequence[str] | None,
) -> argparse.Namespace:
    """Parse what all benchmarks take, and *numbers*, by name a default and what it means."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(
        "--by", choices=("clock", "cpu"), default="clock",
        help="what bounds are held against: on a busy machine, take cpu",
    )  # fmt: skip
    for name, (default, meaning) in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=meaning)
    options = parser.parse_args(arguments)
    Settings.by = options.by
    return options


def measure(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Cost]]:
    """Costs of each command in each round, as a whole process."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        names = list(commands)
        random.shuffle(names)
        for name in names:
            costs[name].append(run(commands[name]))
    return costs


def report(
    title: str, commands: Mapping[str, Command], bounds: Sequence[Bound], rounds: int
) -> bool:
    """Print the median ratio of each bound with its quartiles; whether all hold."""
    costs = measure(commands, rounds)
    print(f"\n{title} ({rounds} rounds, by {Settings.by})")
    print(f"  {'':44} {'median':>7} {'quartiles':>13}  {'bound':>5} {'MiB':>5}")
    kept = True
    for bound in bounds:
        row = _row(title, bound, costs)
        Settings.rows.append(row)
        kept = kept and row.holds
        low, high = row.quartiles
        print(
            f"  {bound.command + ' / ' + bound.base:44} {row.ratio:7.2f} {low:6.2f}-{high:5.2f}"
            f"  {bound.limit:5.2f} {row.mebibytes:5.0f}{'' if row.holds else '  too slow'}",
            flush=True,
        )
    return kept


def _row(title: str, bound: Bound, costs: Mapping[str, list[Cost]]) -> Row:
    mine, base = costs[bound.command], costs[bound.base]
    clock = [one.clock / other.clock for one, other in zip(mine, base, strict=True)]
    cpu = [one.cpu / other.cpu for one, other in zip(mine, base, strict=True)]
    low, middle, high = statistics.quantiles(clock if Settings.by == "clock" else cpu, n=4)
    return Row(
        title,
        *bound,
        middle,
        (low, high),
        statistics.median(clock),
        statistics.median(cpu),
        max(cost.mebibytes for cost in mine),
        1000 * statistics.median(cost.clock for cost in mine),
    )


def run(command: Command) -> Cost:
    """Run *command* once, with nobody who reads what it writes."""
    with (
        open(command.stdin or os.devnull, "rb") as stdin,
        open(os.devnull, "wb") as nowhere,
    ):
        start = time.perf_counter()
        process = subprocess.Popen(
            command.arguments, cwd=command.cwd, stdin=stdin, stdout=nowhere, stderr=nowhere,
            env={**os.environ, **command.variables},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != command.code:
        raise SystemExit(f"{command.arguments!r:.500} exited with {process.returncode}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    # A process begins with the most that the one had that started it.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    most = usage.ru_maxrss if usage.ru_maxrss > ours else 0
    return Cost(elapsed, usage.ru_utime + usage.ru_stime, most / unit)
