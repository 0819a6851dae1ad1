"""Items put into a YAML list as text, so that no other byte of the file changes.

A file that a person wrote has comments and a shape of its own, which no YAML library
writes back byte for byte. So a place is looked for, and what comes out is read again: it
has to say what it said before, and the new items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import Node, Token, compose, is_null, line_of, mapping_nodes, tokens

BOM = "\ufeff"
# What YAML takes for the end of a line.
_LINE = re.compile(
    "[^\r\n\x85\u2028\u2029]*(?:\r\n|[\r\n\x85\u2028\u2029])|[^\r\n\x85\u2028\u2029]+"
)
_BLANK = re.compile(r"[ \t]*[\r\n]*")
_EMPTY_LIST = re.compile(r"\[\s*\]|~|null|")
_DOCUMENT_END = re.compile(r"\.\.\.(?:\s|\Z)")

Items = Callable[[str], list[str]]


def with_items(text: bytes, source: str, key: str, items: Items, *, indent: str = "  ") -> bytes:
    """Return *text* with more items after the last one of the top-level list *key*.

    *items* makes their lines from the indentation that they have to have: that of the
    list, or *indent* where the list is new and goes to the end of the file. Raises
    :class:`~fx_hooks.util.errors.FatalError` where that cannot be done without changing
    something else.
    """
    node = compose(text, source)
    nodes = {} if node is None or is_null(node) else mapping_nodes(node, source, "")
    lines = _LINE.findall(text.decode("utf-8"))
    bom = bool(lines) and lines[0].startswith(BOM)
    if bom:
        lines[0] = lines[0][len(BOM) :]
    if key not in nodes:
        # The top level may be indented.
        column = node.value[0][0].start_mark.column if nodes and node is not None else 0
        margin = " " * column
        added = [f"{margin}{key}:", *items(margin + indent)]
        found: Iterator[str] = (_inserted(lines, place, added) for place in _ends(lines))
    else:
        name, value = nodes[key]
        margin = " " * name.start_mark.column
        if _place(value) < _place(name):
            raise FatalError(
                f"{source}:{line_of(name)}: {key}: is an alias of a list elsewhere: write the list"
                " here, then run fx-init again"
            )
        if is_null(value) or (value.value == [] and value.tag == "tag:yaml.org,2002:seq"):
            found = _filled(lines, value, items(margin + indent))
        elif (
            not isinstance(value.value, list)
            or getattr(value, "flow_style", False)
            or (isinstance(value.value[0], tuple))
        ):
            raise FatalError(
                f"{source}:{line_of(value)}: {key}: write it as a list with one item a line that"
                " begins with '- ', then run fx-init again"
            )
        else:
            found = _continued(lines, value, tokens(text), items)
    wanted = _items_of(compose("\n".join(items("")).encode(), source))
    for new in found:
        after = (BOM * bom + new).encode()
        if _says_more(node, _composed(after), key, wanted):
            return after
    line = line_of(nodes[key][0]) if key in nodes else max(len(lines), 1)
    raise FatalError(
        f"{source}:{line}: {key}: nothing can be added without changing something else: write"
        f" '{key}:' in a line of its own and below it one item a line, end the file with a line"
        " end, then run fx-init again"
    )


def _ends(lines: Sequence[str]) -> list[int]:
    """Return the lines where something can be appended: the end, or the mark of the end."""
    marks = [place for place, line in enumerate(lines) if _DOCUMENT_END.match(line)]
    return [len(lines), *marks[-1:]]


def _filled(lines: Sequence[str], value: Node, added: Sequence[str]) -> Iterator[str]:
    """Yield *lines* with items in place of an empty *value*."""
    (first, start), (last, stop) = _place(value), _place(value, end=True)
    head, tail = lines[first][:start], "".join(lines[last : last + 1])[stop:]
    whole = "".join(lines[first : last + 1])
    removed = whole[start : len(whole) - len(tail)]
    if not _EMPTY_LIST.fullmatch(removed):
        return
    if not tail.strip():
        head = head.rstrip()
    yield _inserted([*lines[:first], head + tail, *lines[last + 1 :]], first + 1, added)


def _continued(
    lines: Sequence[str], value: Node, listed: Sequence[Token], items: Items
) -> Iterator[str]:
    """Yield *lines* with items behind the last one of the list *value*."""
    start, stop = _place(value), _place(value, end=True)
    inside = [token for token in listed if start <= token.start < stop and not token.closes]
    # Not the column of the list: it begins with its anchor or tag.
    column = next(token.start[1] for token in inside if token.begins_item)
    added = items(" " * column)
    line, behind = inside[-1].end
    # A block of text ends where the next line begins.
    place = line + (behind > 0)
    shorter = place
    while shorter and _BLANK.fullmatch(lines[shorter - 1]):
        shorter -= 1
    # Blank lines may be part of a text; then it must go behind them.
    for candidate in dict.fromkeys((shorter, place)):
        yield _inserted(lines, candidate, added)


def _inserted(lines: Sequence[str], place: int, added: Sequence[str]) -> str:
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    before, after = "".join(lines[:place]), "".join(lines[place:])
    new = end.join(added)
    if before and not before.endswith(("\r", "\n")):
        return before + end + new + after
    return before + new + end + after


def _place(node: Node, *, end: bool = False) -> tuple[int, int]:
    mark = node.end_mark if end else node.start_mark
    return mark.line, mark.column


def _composed(text: bytes) -> Node | None:
    try:
        return compose(text, "")
    except FatalError:
        return None


def _items_of(node: Node | None) -> list[Any]:
    return [] if node is None or is_null(node) else list(node.value)


def _says_more(old: Node | None, new: Node | None, key: str, wanted: Sequence[Node]) -> bool:
    """Return True if *new* says what *old* says, and adds the *wanted* items to *key*."""
    if new is None or not isinstance(new.value, list):
        return False
    before = {name.value: value for name, value in _items_of(old)}
    after = {name.value: value for name, value in _items_of(new)}
    seen: set[tuple[int, int]] = set()
    if list(after) != list(dict.fromkeys([*before, key])):
        return False
    for name, value in before.items():
        if name != key and not _same(value, after[name], seen):
            return False
    expected = [*_items_of(before.get(key)), *wanted]
    found = after[key].value
    return (
        isinstance(found, list)
        and len(found) == len(expected)
        and all(_same(one, other, seen) for one, other in zip(expected, found, strict=True))
    )


def _same(old: Node, new: Node, seen: set[tuple[int, int]]) -> bool:
    """Return True if both say the same; *seen* are pairs that are being compared or were."""
    pair = (id(old), id(new))
    if pair in seen:
        return True  # by an alias, which may even lead back to itself
    seen.add(pair)
    if old.tag != new.tag or type(old.value) is not type(new.value):
        return False
    if not isinstance(old.value, list):
        return bool(old.value == new.value)
    ones, others = (
        [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        for node in (old, new)
    )
    return len(ones) == len(others) and all(
        _same(one, other, seen) for one, other in zip(ones, others, strict=True)
    )
