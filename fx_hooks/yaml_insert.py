"""Items put into a YAML list as text, so that no other byte of the file changes.

A file that a person wrote has comments and a shape of its own, which no YAML library
writes back byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable

from fx_hooks.errors import FatalError
from fx_hooks.policy.load import compose, line_of, mapping_nodes

BOM = b"\xef\xbb\xbf"


def with_items(
    text: bytes, source: str, key: str, items: Callable[[str], list[str]], *, indent: str = "  "
) -> bytes:
    """*text* with more items behind the last one of the top-level list *key*.

    *items* makes their lines from the indentation that they have to have: that of the
    list, or *indent* where the list is new and goes to the end of the file. Raises
    :class:`~fx_hooks.errors.FatalError` for a list that is not written in lines.
    """
    node = compose(text, source)
    nodes = mapping_nodes(node, source, "") if node is not None else {}
    lines = text.split(b"\n")
    end = "\r\n" if lines[0].endswith(b"\r") else "\n"
    if key not in nodes:
        added = [f"{key}:", *items(indent)]
        before = text
        after = b""
    else:
        value = nodes[key][1]
        listed = value.value if isinstance(value.value, list) else []
        if not listed or getattr(value, "flow_style", False) or isinstance(listed[0], tuple):
            raise FatalError(
                f"{source}:{line_of(value)}: {key}: write it as a list with one item a line that"
                " begins with '- ', then run fx-init again"
            )
        added = items(" " * value.start_mark.column)
        stop = value.end_mark.line + (value.end_mark.column > 0)
        # The list ends before blank lines and comments that follow it.
        while not lines[stop - 1].strip() or lines[stop - 1].lstrip().startswith(b"#"):
            stop -= 1
        before = b"\n".join(lines[:stop])
        after = b"\n".join(lines[stop:])
        before += b"\n" * (stop < len(lines))
    new = end.join(added).encode()
    if before and before != BOM and not before.endswith(b"\n"):
        return before + end.encode() + new
    return before + new + end.encode() + after
