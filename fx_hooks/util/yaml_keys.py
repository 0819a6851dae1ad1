"""Tables of keys: each reads one mapping of a YAML file of ours, and describes it to editors.

``python -m tests.schemas`` makes the JSON Schemas from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fx_hooks.util.strict_yaml import Node, fault, hint, items, mapping, string

# Takes a value, the file that it is in, and its key there: what it says, or the error.
Reader = Callable[[Node, str, str], Any]


class Key(NamedTuple):
    """One key: what reads its value, and what an editor shows about it."""

    read: Reader
    title: str
    description: str = ""
    required: bool = False


Keys = Mapping[str, Key]


def read_keys(nodes: Mapping[str, Node], source: str, key: str, keys: Keys) -> dict[str, Any]:
    """Return what the values of a mapping say, by key."""
    before = f"{key}." if key else ""
    return {name: keys[name].read(node, source, before + name) for name, node in nodes.items()}


class MappingOf:
    """A mapping of some of *keys*."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def __call__(self, node: Node, source: str, key: str) -> dict[str, Any]:
        return read_keys(mapping(node, source, key, self.keys), source, key, self.keys)


class ListOf:
    """A list, each item of which *item* reads."""

    def __init__(self, item: Reader) -> None:
        self.item = item

    def __call__(self, node: Node, source: str, key: str) -> tuple[Any, ...]:
        return tuple(self.item(one, source, place) for one, place in items(node, source, key))


class OneOf:
    """One of some words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def __call__(self, node: Node, source: str, key: str) -> str:
        word = string(node, source, key)
        if word not in self.words:
            expected = hint(word, self.words, "must be one of")
            raise fault(source, node, key, f"'{word}': {expected}")
        return word


class Matching:
    """A value that is *form*, whatever YAML takes it for: digits and dates need no quotes."""

    def __init__(self, form: str, message: str) -> None:
        self.form = re.compile(form)
        self._message = message

    def __call__(self, node: Node, source: str, key: str) -> str:
        if not isinstance(node.value, str) or self.form.fullmatch(node.value) is None:
            raise fault(source, node, key, self._message)
        return node.value
