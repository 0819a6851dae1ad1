"""The report on space for people: what the tables hold, and how they look in plain text.

The last column alone is of any length, so that nothing has to be aligned behind a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.registry import KINDS
from fx_hooks.runs.usage.measure import GIT, REST, Item, Space
from fx_hooks.util.paths import human_size, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fx_hooks.runs.usage.advice import Remedy
    from fx_hooks.util.disk import Size

# Commands of one kind that are shown without being asked for more.
_COMMANDS = 4
_UNITS = (("y", 365 * 86_400), ("d", 86_400), ("h", 3_600), ("min", 60))


class Answer(NamedTuple):
    """The requested *items* in their order, at most *top* of them if it is not 0.

    ``kinds`` have the size and the number of items of each, the largest first.
    """

    space: Space
    kinds: list[tuple[str, Size, int]]
    items: list[Item]
    outside: list[Item]
    remedies: list[Remedy]
    problems: Sequence[str]
    top: int
    only: str  # "older than 30d", or nothing
    now: float


class Row(NamedTuple):
    """One line of a table. *share* is its part of the whole, where a bar shows it."""

    cells: tuple[str, ...]
    state: str = ""
    share: float | None = None


class Table(NamedTuple):
    """Rows below their title; *heads* name the columns, the last one is the longest."""

    title: str
    heads: tuple[str, ...]
    rows: list[Row]
    tail: str = ""


def tables(answer: Answer, *, wide: bool = True) -> list[Table]:
    """All tables; those that are not *wide* leave out what the path says anyway."""
    found = [_kinds(answer)]
    shown_items = answer.items[: answer.top or None]
    if shown_items:
        order = f"{answer.only.capitalize()}:" if answer.only else "One by one:"
        left = len(answer.items) - len(shown_items)
        tail = f"and {left:,} more (--top 0 shows all)" if left else ""
        found.append(_items(order, shown_items, answer.now, wide=wide, tail=tail))
    if answer.outside:
        found.append(_items("Outside the work tree:", answer.outside, answer.now, wide=wide))
    return found


def _kinds(answer: Answer) -> Table:
    total = answer.space.total
    title = (
        f"{human_size(total.disk)} on disk in {total.files:,} files"
        + ", at least: not all of it could be read" * bool(answer.problems)
    )
    rows = []
    for kind, size, count in answer.kinds:
        share = size.disk / total.disk if total.disk else 0.0
        name = (
            f"{KINDS[kind].plural if kind in KINDS else kind} ({count:,})"
            if kind not in (GIT, REST)
            else kind
        )
        rows.append(Row((human_size(size.disk), f"{share:.0%}", name), share=share))
    return Table(title, (), rows)


def _items(title: str, items: Sequence[Item], now: float, *, wide: bool, tail: str = "") -> Table:
    has_weights = wide and any(item.weights.files for item in items)
    heads = ("disk", "age", "what", *(["checkpoints"] * has_weights), "path")
    rows = []
    for item in items:
        weights = human_size(item.weights.disk) if item.weights.files else ""
        cells = (
            human_size(item.size.disk),
            age(now - item.size.newest) if item.size.files else "",
            what(item, wide=wide),
            *([weights] * has_weights),
            name_of(item),
        )
        rows.append(Row(cells, item.run.state if item.run is not None else ""))
    return Table(title, heads, rows, tail)


def what(item: Item, *, wide: bool) -> str:
    """Return what an item is, in a few words."""
    if item.run is not None:
        return f"{item.kind}, {item.run.state}" if wide else item.run.state
    if item.kind == REST and not item.size.files:
        return "folders alone"
    if item.outside and item.note:
        return f"{item.kind}, {item.note}" if wide else item.note
    return item.note if item.kind == GIT else item.kind


def name_of(item: Item) -> str:
    """Return an item's path, and where it leads."""
    path = shown(item.path) if item.path else "(files right here)"
    folder = "/" * (item.is_folder and not item.target)
    lead = f" -> {shown(item.target)}" if item.target else ""
    return f"{path}{folder}{lead}"


def age(seconds: float) -> str:
    """Return how long ago, in the largest unit that fits: ``30d``."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return "now"


def plain(answer: Answer) -> list[str]:
    """Return the report where no terminal is: nothing cut, nothing coloured, no bars."""
    lines: list[str] = []
    for table in tables(answer):
        if lines:
            lines.append("")
        lines.append(table.title)
        lines += aligned([row.cells for row in table.rows], table.heads)
        lines += [f"  {table.tail}"] * bool(table.tail)
    if answer.remedies:
        lines += ["", "What frees it:"]
    for remedy in answer.remedies:
        lines.append(f"  {frees(remedy)}: {remedy.what}")
        lines += [f"    {command}" for command in commands(remedy, answer.top)]
    return lines


def commands(remedy: Remedy, top: int) -> list[str]:
    """Its commands, with *top* only the first few."""
    if not top or len(remedy.commands) <= _COMMANDS:
        return remedy.commands
    left = len(remedy.commands) - _COMMANDS + 1
    last = f"# and {left:,} more such commands (--top 0 shows all)"
    return [*remedy.commands[: _COMMANDS - 1], last]


def frees(remedy: Remedy) -> str:
    """Return how much, in words."""
    amount = human_size(remedy.frees) if remedy.frees else "nothing"
    return f"at most {amount}" if remedy.at_most else amount


def aligned(rows: Sequence[Sequence[str]], heads: Sequence[str] = ()) -> list[str]:
    """Columns: numbers to the right, words to the left, the last one as long as it is."""
    table = [heads, *rows] if heads else list(rows)
    count = len(table[0]) if table else 0
    widths = [max(len(row[n]) for row in table) for n in range(count)]
    return [
        "  " + "  ".join(
            cell if n == count - 1 else pad(cell, widths[n], n) for n, cell in enumerate(row)
        )
        for row in table
    ]  # fmt: skip


def pad(cell: str, width: int, column: int) -> str:
    """*cell* in its column: sizes and ages stand to the right."""
    return cell.rjust(width) if column < 2 else cell.ljust(width)
