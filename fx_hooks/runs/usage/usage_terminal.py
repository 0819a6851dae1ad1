"""The report on space on a terminal: bars, colours, and no line longer than it is wide."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from fx_hooks.runs.usage.usage_text import Answer, Row, Table, commands, frees, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

_NARROW, _WIDE = 60, 110
_STYLES = {"live": "cyan", "unsynced": "yellow", "failed": "red"}


def print_terminal(answer: Answer, stream: TextIO, *, colour: bool) -> None:
    """Print all of it as wide as the terminal is."""
    console = Console(
        file=stream, no_color=not colour, highlight=False, emoji=False, markup=False,
        force_terminal=True, legacy_windows=False, color_system="standard" if colour else None,
    )  # fmt: skip
    width = console.width
    full = "█" if (stream.encoding or "").lower().replace("-", "") == "utf8" else "#"
    for number, table in enumerate(tables(answer, wide=width >= _WIDE)):
        if number:
            console.print()
        _line(console, table.title, "bold")
        for line in _rows(table, width, full):
            console.print(line, soft_wrap=True)
        if table.tail:
            _line(console, f"  {table.tail}", "dim")
    if answer.remedies:
        console.print()
        _line(console, "What frees it:", "bold")
    for remedy in answer.remedies:
        text = Text().append(f"{frees(remedy)}: ", "green").append(remedy.what)
        for line in text.wrap(console, max(width - 4, 8)):
            console.print(Text("  ").append_text(line), soft_wrap=True)
        for command in commands(remedy, answer.top):
            for part in broken(command, width - 4):
                console.print(Text(f"    {part}"), soft_wrap=True)


def _line(console: Console, text: str, style: str) -> None:
    for line in Text(text, style).wrap(console, console.width):
        console.print(line, soft_wrap=True)


def _rows(table: Table, width: int, full: str) -> Iterator[Text]:
    """*table* in *width* columns: what is too long in the last one is cut at its start."""
    rows = [Row(table.heads), *table.rows] if table.heads else table.rows
    has_bars = any(row.share is not None for row in rows)
    columns = len(rows[0].cells) if rows else 0
    dropped = 2 if table.heads and width < _NARROW else columns  # `what` gives way
    kept = [n for n in range(columns) if n != dropped]
    taken = [max(cell_len(row.cells[n]) for row in rows) + 2 for n in kept[:-1]]
    last = max((cell_len(row.cells[-1]) for row in rows), default=0)
    bar = min(width - 2 - sum(taken) - last - 2, 40) if has_bars else 0
    room = max(width - 2 - sum(taken) - (bar + 2 if bar >= 4 else 0), 4)
    for row in rows:
        line = Text("  ")
        style = "dim" if table.heads and row is rows[0] else _STYLES.get(row.state, "none")
        for n, size in zip(kept, taken, strict=False):
            cell = row.cells[n]
            blanks = " " * (size - 2 - cell_len(cell))
            text = blanks + cell if n < 2 else cell + blanks
            line.append(text + "  ", style if n == 2 or style == "dim" else "none")
        if bar >= 4:
            filled = round((row.share or 0) * bar)
            line.append((full * filled).ljust(bar) + "  ", "blue")
        line.append(cut(row.cells[-1], room), "dim" if style == "dim" else "none")
        yield line


def cut(text: str, width: int) -> str:
    """*text* without its start where it is wider than *width*: names differ at the end."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:]
    return f"…{text}"


def broken(command: str, width: int) -> list[str]:
    """Return a command over several lines where it is wider than *width*, as a shell takes it.

    It is broken between words only: a longer word is left to the terminal. A backslash does
    not continue a comment: each line is one.
    """
    if command.startswith("# "):
        return textwrap.wrap(
            command.removeprefix("# "), max(width, 20), initial_indent="# ",
            subsequent_indent="# ", break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    lines = [""]
    for word in _WORD.findall(command):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > width - 2:
            lines.append(f"  {word}")
        else:
            lines[-1] = longer
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


# Words as a shell reads what `paths.quoted` writes.
_WORD = re.compile(r"(?:'[^']*'|\"(?:[^\"]|\"\$\{[^\"]*\")*\"|\S)+")
