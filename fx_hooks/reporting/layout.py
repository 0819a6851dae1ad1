"""The parts that all reports for people share: bold text, plurals, and steps to take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fx_hooks.util.terminal import command_lines, one_line


class Step(NamedTuple):
    """One thing to do: a sentence and the commands that do it, each of which runs as it is."""

    what: str
    commands: Sequence[str]


def bold(text: str, colour: bool) -> str:
    """Return *text*, in bold type if the terminal shows *colour*."""
    return f"\033[1m{text}\033[0m" if colour else text


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return *count* with *noun*, which becomes *nouns*, or takes an ``s``, unless it is one."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def step_lines(steps: Iterable[Step]) -> list[str]:
    """Return *steps* as lines, with a blank line before each.

    Nothing is left out: what has to be done has to be there to be copied.
    """
    lines = []
    for step in steps:
        lines += ["", one_line(step.what), *command_lines(step.commands)]
    return lines


def them_staying(count: int) -> tuple[str, str]:
    """Return what *count* files are called where git lets go of them, and that they stay."""
    return ("it", "the file stays") if count == 1 else ("them", "the files stay")
