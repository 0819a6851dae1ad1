"""Conditions on the figures of runs: ``val/acc > 0.9 and not (loss >= 1 or epochs < 3)``.

Nothing is evaluated but comparisons of a name with a number. Reading takes one step a word.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fx_hooks.runs.metrics import value_of
from fx_hooks.util.errors import FatalError

_MOST_CHARACTERS, _MOST_WORDS, _DEEPEST = 2000, 400, 50
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d{1,100}(?:\.\d{0,100})?|\.\d{1,100})(?:[eE][-+]?\d{1,3})?(?![\w.])"
_WORDS = re.compile(
    rf"""\s*(?:
        (?P<number>{_NUMBER})
      | (?P<compare><=|>=|==|!=|<|>|=)
      | (?P<bracket>[()])
      | (?P<name>[^\W\d][\w./:@%-]*|"[^"]+"|'[^']+')
    )""",
    re.VERBOSE,
)
Truth = bool | None


class Query(NamedTuple):
    """A condition; *names* are the metrics that it is about."""

    text: str
    names: tuple[str, ...]
    test: Callable[[Mapping[str, Any]], Truth]


class _Word(NamedTuple):
    kind: str
    text: str
    place: int


def parse_query(text: str) -> Query:
    """Return the condition that *text* is.

    Its test says True or False of the metrics of a run, and None where it is about one that they
    do not have. Raises :class:`~fx_hooks.util.errors.FatalError` with the place of what is wrong.
    """
    reader = _Reader(text)
    test = reader.alternatives(0)
    if reader.word.kind:
        raise reader.error("'and', 'or' or the end")
    return Query(text, tuple(dict.fromkeys(reader.names)), test)


def _words(text: str) -> list[_Word]:
    if len(text) > _MOST_CHARACTERS:
        raise FatalError(f"a condition has at most {_MOST_CHARACTERS:,} characters")
    words = []
    place, text_end = 0, len(text.rstrip())
    while place < text_end:
        match = _WORDS.match(text, place)
        if match is None:
            raise _error(text, place, "a name, a number, a comparison or a bracket")
        kind = match.lastgroup or ""
        word = match[kind]
        if kind == "name" and word in ("and", "or", "not"):
            kind = word
        words.append(_Word(kind, word, match.start(match.lastgroup or 0)))
        place = match.end()
    if len(words) > _MOST_WORDS:
        raise FatalError(f"a condition has at most {_MOST_WORDS:,} words")
    return [*words, _Word("", "", text_end)]


def _error(text: str, place: int, wanted: str) -> FatalError:
    found = f"'{text[place : place + 20]}'" if text[place:].strip() else "the end"
    return FatalError(f"{text!r}: write {wanted} where {found} is (such as 'val/acc > 0.9')")


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._words = iter(_words(text))
        self.names: list[str] = []
        self.word = next(self._words)

    def error(self, wanted: str) -> FatalError:
        return _error(self._text, self.word.place, wanted)

    def _take(self, kind: str, wanted: str) -> str:
        word = self.word
        if word.kind != kind:
            raise self.error(wanted)
        self.word = next(self._words)
        return word.text

    def _is(self, text: str) -> bool:
        """Go over the next word if it is *text*."""
        if self.word.text != text or self.word.kind not in ("and", "or", "not", "bracket"):
            return False
        self.word = next(self._words)
        return True

    def alternatives(self, depth: int) -> Callable[[Mapping[str, Any]], Truth]:
        parts = [self._together(depth)]
        while self._is("or"):
            parts.append(self._together(depth))
        return lambda metrics: _any([part(metrics) for part in parts])

    def _together(self, depth: int) -> Callable[[Mapping[str, Any]], Truth]:
        parts = [self._one(depth)]
        while self._is("and"):
            parts.append(self._one(depth))
        return lambda metrics: _not(_any([_not(part(metrics)) for part in parts]))

    def _one(self, depth: int) -> Callable[[Mapping[str, Any]], Truth]:
        if depth > _DEEPEST:
            raise FatalError(f"a condition has at most {_DEEPEST} brackets and 'not' in each other")
        if self._is("not"):
            inner = self._one(depth + 1)
            return lambda metrics: _not(inner(metrics))
        if self._is("("):
            inner = self.alternatives(depth + 1)
            if not self._is(")"):
                raise self.error("')'")
            return inner
        name = self._take("name", "the name of a metric")
        name = name[1:-1] if name[0] in "\"'" else name
        self.names.append(name)
        compare = _COMPARE[self._take("compare", "a comparison")]
        bound = float(self._take("number", "a number"))

        def test(metrics: Mapping[str, Any]) -> Truth:
            value = value_of(metrics, name)
            return None if value is None else compare(value, bound)

        return test


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _any(truths: list[Truth]) -> Truth:
    if True in truths:
        return True
    return None if None in truths else False
