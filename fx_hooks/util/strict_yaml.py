"""YAML read strictly: UTF-8, no key twice, no surprises; every fault names file and line."""

from __future__ import annotations

import contextlib
import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import yaml

from fx_hooks.util.errors import FatalError

# A file that a person wrote has a few hundred lines.
MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_MAX_NODES = 100_000
_MAX_NESTED = 100  # with aliases
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,2})?\Z")
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Node = yaml.Node
Scalar = yaml.ScalarNode


class _Deep(Exception):
    """A collection lies so deep that the composer, which calls itself, must not go on."""


class _Watching:
    """Reads a document once, and watches how deep it is.

    The two methods are called before and after each node. A tag by its path, which they
    are there for, is none of ours.
    """

    _depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, _index: object) -> None:
        self._depth += 1
        # What holds this one: a collection, with all that is around it.
        if self._depth > MAX_DEPTH + 1:
            assert current_node is not None
            raise _Deep(line_of(current_node))

    def ascend_resolver(self) -> None:
        self._depth -= 1


class _Texts(_Watching):
    """The same for whom a number is a text like any other, which takes half of the time."""

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        return "tag:yaml.org,2002:str"


@functools.cache
def _composing(base: Any, kind: Any) -> Any:
    return type(kind.__name__, (kind, base), {})


def _left_open(text: str) -> list[yaml.Mark]:
    """Return where the brackets begin that *text* does not close, the outermost first."""
    found: list[yaml.Mark] = []
    with contextlib.suppress(yaml.YAMLError):
        for token in yaml.scan(text, Loader=Loader):
            if isinstance(token, (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)):
                found.append(token.start_mark)
            elif isinstance(token, (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)):
                del found[-1:]
    return found


def compose(text: bytes, source: str, kind: Any = _Watching) -> yaml.Node | None:
    """Return the node tree of one YAML document; None if it is empty."""
    if len(text) > MAX_BYTES:
        raise FatalError(f"{source}:1: has more than {MAX_BYTES:,} bytes: this is not such a file")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = text[: exc.start].count(b"\n") + 1
        raise FatalError(f"{source}:{line}: is not UTF-8: save the file as UTF-8") from exc
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(decoded)
    if unprintable is not None:
        line = decoded[: unprintable.start()].count("\n") + 1
        character = unprintable.group().encode("unicode_escape").decode()
        raise FatalError(f"{source}:{line}: has the character {character}: remove it")
    try:
        node = yaml.compose(decoded, Loader=_composing(Loader, kind))
    except _Deep as exc:
        raise FatalError(f"{source}:{exc}: YAML: nested too deeply") from None
    except yaml.MarkedYAMLError as exc:
        from fx_hooks.util.yaml_faults import fault_of  # only where something is wrong

        line, column, what = fault_of(exc, decoded, _left_open(decoded))
        raise FatalError(f"{source}:{line}:{column}: YAML: {what}") from exc
    return node if isinstance(node, yaml.Node) else None


class Token(NamedTuple):
    """One token of a YAML text, and where it begins and ends: line and column from 0.

    One that *closes* only says that a block has ended, in the place of what comes next.
    """

    begins_item: bool
    closes: bool
    start: tuple[int, int]
    end: tuple[int, int]


def tokens(text: bytes) -> list[Token]:
    """Return the tokens of a text that :func:`compose` has read."""
    return [
        Token(
            isinstance(token, yaml.BlockEntryToken),
            isinstance(token, yaml.BlockEndToken),
            (token.start_mark.line, token.start_mark.column),
            (token.end_mark.line, token.end_mark.column),
        )
        for token in yaml.scan(text.decode("utf-8-sig"), Loader=Loader)
    ]


def plain_data(text: bytes, source: str) -> Any:
    """Return one YAML document as JSON data: dates, and what JSON has no form for, are text."""
    node = compose(text, source)
    limit_values(node, source, _MAX_NODES)
    return None if node is None else _plain(node)


def as_yaml(value: Any) -> str:
    """Return plain data as YAML for people: in blocks, its keys in their order."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000)
    return text


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode), node
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int" and _INTEGER.match(text):
        return int(text)
    # OmegaConf reads 1e-3 as a number, too.
    if (kind == "float" or not node.style) and _FLOAT.match(text):
        return float(text)
    return text


def limit_values(node: yaml.Node | None, source: str, limit: int) -> None:
    """Refuse a document with more than *limit* scalars: aliases make small files large, and deep.

    One that contains itself has no end.
    """
    waiting = [] if node is None else [(node, 0)]
    left = limit
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, yaml.MappingNode):
            waiting += [(part, depth + 1) for pair in item.value for part in pair]
        elif isinstance(item, yaml.SequenceNode):
            waiting += [(part, depth + 1) for part in item.value]
        left -= 1
        # What waits is not counted yet: lists of one alias may be longer than the text.
        if depth > _MAX_NESTED or left < 0 or len(waiting) > limit:
            raise _too_many(item, source, depth, limit)


def _too_many(node: yaml.Node, source: str, depth: int, limit: int) -> FatalError:
    what = f"has more than {limit:,} values" if depth <= _MAX_NESTED else "YAML: nested too deeply"
    return FatalError(f"{source}:{line_of(node)}: {what}")


def scalars(text: bytes, source: str) -> Iterator[tuple[str, str, int]]:
    """Yield each scalar below mappings: its keys joined by dots, its text, and its line."""
    waiting = [("", compose(text, source, _Texts), 0)]
    left = _MAX_NODES
    while waiting:
        key, node, depth = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            waiting += [
                (f"{key}.{name.value}" if key else name.value, value, depth + 1)
                for name, value in reversed(node.value)
                if isinstance(name, yaml.ScalarNode)
            ]
            left -= len(node.value)
            if depth > _MAX_NESTED or left < 0:
                raise _too_many(node, source, depth, _MAX_NODES)
        elif isinstance(node, yaml.ScalarNode):
            yield key, node.value, line_of(node)


def line_of(node: yaml.Node) -> int:
    """Return the line, from 1, in which *node* begins."""
    return int(node.start_mark.line) + 1


def fault(source: str, node: yaml.Node, key: str, message: str) -> FatalError:
    return FatalError(f"{source}:{line_of(node)}: {key + ': ' if key else ''}{message}")


def is_null(node: yaml.Node | None) -> bool:
    """Return True if *node* is missing or null."""
    return node is None or node.tag == "tag:yaml.org,2002:null"


def mapping(
    node: yaml.Node | None,
    source: str,
    key: str,
    known: Iterable[str],
    expected: str = "must be a mapping",
) -> dict[str, yaml.Node]:
    """Return the values of a mapping that has only *known* keys."""
    if node is None or (not key and is_null(node)):
        return {}
    found = mapping_nodes(node, source, key, expected)
    for name, (name_node, _) in found.items():
        if name not in known:
            what = f"unknown key: {hint(name, known, 'known are')}"
            raise fault(source, name_node, f"{key}.{name}" if key else name, what)
    return {name: value for name, (_, value) in found.items()}


def hint(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return which of the *known* words *word* may be; all of them after *otherwise* if none."""
    return did_you_mean(word, known) or f"{otherwise} {', '.join(known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return which of the *known* words *word* may be, as a question; empty if none is close."""
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean '{close[0]}'?" if close else ""


def mapping_nodes(
    node: yaml.Node, source: str, key: str, expected: str = "must be a mapping"
) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Return the keys of a mapping, each once and a string, with key and value node."""
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise fault(source, node, key, f"{expected}, not {kind(node)}")
    found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for name_node, value in node.value:
        if isinstance(name_node, yaml.ScalarNode) and name_node.tag != "tag:yaml.org,2002:str":
            raise fault(source, name_node, key, f"the key {name_node.value} must be in quotes")
        name = string(name_node, source, key or "top level")
        if name in found:
            first = line_of(found[name][0])
            raise fault(
                source,
                name_node,
                f"{key}.{name}" if key else name,
                f"duplicate key (first in line {first}): merge the two",
            )
        found[name] = (name_node, value)
    return found


def items(node: yaml.Node, source: str, key: str) -> list[tuple[yaml.Node, str]]:
    """Return the items of a list, each with its key."""
    if not isinstance(node, yaml.SequenceNode) or node.tag != "tag:yaml.org,2002:seq":
        if not isinstance(node, yaml.ScalarNode) or node.tag.startswith("!"):
            raise fault(source, node, key, f"must be a list, not {kind(node)}")
        name = key.rpartition(".")[2]
        raise fault(source, node, key, f"must be a list: write {name}: [{_as_item(node)}]")
    return [(item, f"{key}[{number}]") for number, item in enumerate(node.value)]


def _as_item(node: yaml.ScalarNode) -> str:
    """Return the text of *node* as an item of a list; empty for null."""
    if is_null(node):
        return ""
    is_plain = node.tag == "tag:yaml.org,2002:str" and re.fullmatch(r"[\w/][\w/.-]*", node.value)
    if is_plain and not node.style:
        return str(node.value)
    import json  # only where something is wrong

    return json.dumps(node.value, ensure_ascii=False)


def string(node: yaml.Node, source: str, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise fault(source, node, key, f"must be a string, not {kind(node)}")
    if node.tag.startswith("!"):
        raise fault(
            source,
            node,
            key,
            f"'{node.tag}' is read as a YAML tag: put a value that begins with '!' in quotes",
        )
    if node.tag != "tag:yaml.org,2002:str":
        raise fault(source, node, key, f"must be a string, not {kind(node)}: put it in quotes")
    return str(node.value)


def kind(node: yaml.Node) -> str:
    if node.tag == "tag:yaml.org,2002:map":
        return "a mapping"
    if node.tag == "tag:yaml.org,2002:seq":
        return "a list"
    if isinstance(node, yaml.CollectionNode):
        return f"something tagged {node.tag}"
    if is_null(node):
        return "empty"
    return f"{node.tag.rpartition(':')[2]} {node.value}"
