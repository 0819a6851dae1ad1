"""The parts that all reports for people share: bold text, plurals, and steps to take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fx_hooks.util.terminal import one_line

# The most lines of one command that a short report shows.
_MOST_LINES = 20


class Step(NamedTuple):
    """One thing to do: a sentence and the commands that do it, each of which runs as it is."""

    what: str
    commands: Sequence[str]


def bold(text: str, colour: bool) -> str:
    """Return *text*, in bold type if the terminal shows *colour*."""
    return f"\033[1m{text}\033[0m" if colour else text


def plural(count: int, noun: str) -> str:
    """Return *count* with *noun*, which takes an ``s`` unless it is one."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def step_lines(steps: Iterable[Step], *, verbose: bool, most: int) -> list[str]:
    """Return *steps* as lines, with a blank line before each.

    Unless *verbose*, at most *most* lines stand for commands in a row that differ only in their
    paths, and a comment says what is left out.
    """
    lines = []
    for step in steps:
        lines += ["", one_line(step.what)]
        lines += [f"    {line}" for line in _shown(step.commands, None if verbose else most)]
    return lines


def _shown(commands: Sequence[str], most: int | None) -> Iterator[str]:
    for _, group in groupby(commands, key=lambda command: command.partition(" -- ")[0]):
        alike = list(group)
        if most is None:
            yield from alike
            continue
        rest = len(alike) - most + 1 if len(alike) > most else 0
        for command in alike[: len(alike) - rest]:
            count = command.count("\n")
            long = count > _MOST_LINES
            yield f"# {count:,} of them: --verbose shows the command" if long else command
        if rest:
            yield f"# and {rest:,} more such commands; --verbose shows all"
