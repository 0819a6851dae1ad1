"""Patterns to tables: what :mod:`fx_hooks.fastpath.matcher` looks up."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from fx_hooks.policy.patterns import Segment, alternatives, regex_source, shape

if TYPE_CHECKING:
    from fx_hooks.fastpath.matcher import Guarded, Look, Tables, Test, Whole


def compile_tables(patterns: Sequence[tuple[str, bool]]) -> Tables:
    """Compile valid patterns, each with whether it blocks, in the policy's order.

    The result holds only bytes, integers, None, tuples and dicts, so that it can be
    marshalled. Each pattern goes into the first of these that can express it: a name, a
    suffix or a prefix (at any depth, or right in one directory), the same anywhere
    below a directory, and what has to see the whole path behind whichever of those rules out
    most names.
    """
    return _compiled(tuple(patterns))


# One call asks several times for the same ones: without the exceptions, for a single entry.
@functools.lru_cache(maxsize=64)
def _compiled(patterns: tuple[tuple[str, bool], ...]) -> Tables:
    names: dict[bytes, int] = {}
    suffixes: dict[bytes, list[Test]] = defaultdict(list)
    prefixed: list[Test] = []
    loose: list[Test] = []
    directories: list[Test] = []
    child_names: dict[bytes, dict[bytes, int]] = defaultdict(dict)
    child_tests: dict[bytes, list[Test]] = defaultdict(list)
    below: dict[bytes, list[Guarded]] = defaultdict(list)
    within: dict[bytes, list[Test]] = defaultdict(list)
    above: list[tuple[Look, Test]] = []

    def add_anywhere(last: Segment, test: Test) -> None:
        if test[-1] is None and last.literal:
            names[last.prefix] = test[0]
        elif b"." in last.suffix:
            suffixes[last.suffix[last.suffix.rindex(b".") :]].append(test)
        elif last.suffix.endswith(b"/"):
            directories.append(test)
        elif last.prefix:
            prefixed.append(test)
        else:
            loose.append(test)

    for number, pattern in _simple_patterns(patterns):
        segments, floating, beneath = shape(pattern)
        last = segments[-1] if segments else _ANYTHING
        assert last is not None, pattern  # shape() leaves no ** at the end
        if beneath:
            last = _as_directory(last)
        parents = segments[:-1]
        literal = _literal_prefix(parents)
        # Whether the places below decide the parents by themselves.
        under_any = bool(parents) and parents[-1] is not None and _guard(parents[-1]) in _ANY_NAME
        if floating:
            nearest = parents[0] if len(parents) == 1 and not under_any else None
            settled = not parents or (nearest is not None and nearest.exact)
        else:
            settled = parents[literal:] in ((), (None,))
        whole = None if settled else _whole(pattern, parents, floating=floating)
        test = (number, *_guard(last), last.runs or None, whole)

        if floating:
            if not parents or parents[-1] is None or under_any:
                add_anywhere(last, test)
            elif parents[-1].literal:
                within[parents[-1].prefix].append(test)
            else:
                above.append((_guard(parents[-1]), test))
            continue
        directory = b"/".join([part.prefix for part in parents[:literal] if part is not None])
        if literal < len(parents):
            nearest = parents[-1]
            below[directory].append((None if nearest is None else _guard(nearest), test))
        elif last.literal:
            child_names[directory][last.prefix] = number
        else:
            child_tests[directory].append(test)

    return (
        bytes([blocks for _, blocks in patterns]) + b"\0",
        names,
        {key: _with_prefixes(_last_ones(tests)) for key, tests in suffixes.items()},
        tuple(sorted({test[1] for test in prefixed})),
        _last_ones(prefixed),
        _by_needed_text(_last_ones(loose), _look_of_test),
        _by_needed_text(_last_ones(prefixed + loose + directories), _look_of_test),
        {
            key: (child_names.get(key, {}), _last_ones(child_tests.get(key, ())))
            for key in {*child_names, *child_tests}
        },
        {key: _last_ones(tests) for key, tests in below.items()},
        {key: _last_ones(tests) for key, tests in within.items()},
        _by_needed_text(_last_ones(above), _look_above),
    )


_ANYTHING = Segment(b"", b"", b"", 0, False)
# The looks of `*` and `?*`, which every name passes.
_ANY_NAME = ((b"", b"", b"", 0, False), (b"", b"", b"", 1, False))
_T = TypeVar("_T", bound="tuple[object, ...]")


def _simple_patterns(patterns: Sequence[tuple[str, bool]]) -> Iterator[tuple[int, str]]:
    for number, (pattern, _) in enumerate(patterns):
        for alternative in alternatives(pattern):
            yield number, alternative


def _last_ones(tests: Sequence[_T]) -> tuple[_T, ...]:
    """Return *tests* without those that a later one repeats: the last pattern decides anyway."""
    return tuple({_apart_from_number(test): test for test in tests}.values())


def _with_prefixes(tests: tuple[Test, ...]) -> tuple[tuple[bytes, ...], tuple[Test, ...]]:
    return tuple(sorted({test[1] for test in tests})), tests


def _apart_from_number(test: tuple[object, ...]) -> tuple[object, ...]:
    if isinstance(test[1], tuple):  # what the name above must look like, and the test
        return (test[0], *test[1][1:])
    return test[1:]


def _by_needed_text(
    items: Sequence[_T], look: Callable[[_T], Look]
) -> tuple[tuple[bytes, tuple[_T, ...]], ...]:
    """Return *items* in groups, each behind a text without which none of its looks can match.

    ``test-*``, ``*_tests`` and ``*.testdata.*`` are all behind ``test``: dozens of
    tests cost a name that does not contain it one search.
    """
    needed = {item: _longest_word(look(item)) for item in items}
    # By their lengths, the shortest first: thousands are not each looked for in each.
    shortest: dict[int, set[bytes]] = {}
    for word in sorted(set(needed.values()), key=len):
        if word and not _contained(word, shortest):
            shortest.setdefault(len(word), set()).add(word)
    groups: dict[bytes, list[_T]] = defaultdict(list)
    for item, word in needed.items():
        groups[_contained(word, shortest)].append(item)
    return tuple((word, tuple(members)) for word, members in groups.items())


def _contained(word: bytes, shortest: Mapping[int, set[bytes]]) -> bytes:
    """Return the shortest of some texts, given by their lengths, that is in *word*, if any."""
    for length, texts in shortest.items():
        for start in range(len(word) - length + 1):
            if word[start : start + length] in texts:
                return word[start : start + length]
    return b""


def _longest_word(look: Look) -> bytes:
    text = b"/".join(look[:3])
    words = bytes(code if chr(code).isalnum() else 32 for code in text).split()
    word = max(words, key=len, default=b"")
    # One letter or two are in nearly every name, and the dot before them in few.
    return word if len(word) > 2 else max(look[:3], key=len).rstrip(b"/") or word


def _whole(pattern: str, parents: Sequence[Segment | None], *, floating: bool) -> Whole:
    """Return what decides by the whole path: each folder above, or an expression for ``**``."""
    folders = [(_guard(part), part.runs or None) for part in parents if part is not None]
    if len(folders) < len(parents):
        return _needed(parents), regex_source(pattern), floating, ()
    return _needed(parents), b"", floating, tuple(folders)


def _needed(parents: Sequence[Segment | None]) -> bytes:
    """Return a text that each path below such *parents* has."""
    found = []
    for part in parents:
        if part is not None:
            found += [part.prefix + b"/" if part.literal else part.prefix, part.needle]
            found += [part.suffix + b"/"] if part.suffix else []
    return max(found, key=len, default=b"")


def _look_of_test(test: Test) -> Look:
    return test[1:6]


def _look_above(guarded: tuple[Look, Test]) -> Look:
    return guarded[0]


def _literal_prefix(parents: Sequence[Segment | None]) -> int:
    count = 0
    for part in parents:
        if part is None or not part.literal:
            break
        count += 1
    return count


def _as_directory(last: Segment) -> Segment:
    """Return *last* with the slash that only a directory's look-up has."""
    if last.literal:
        name = last.prefix + b"/"
        return Segment(name, b"", b"", len(name), True)
    runs = last.runs
    if runs:
        text, sets = runs[-1]
        end = (text, (*sets, b"/")) if sets else (text + b"/", ())
        runs = (*runs[:-1], end)
    return last._replace(suffix=last.suffix + b"/", length=last.length + 1, runs=runs)


def _guard(part: Segment) -> Look:
    return part.prefix, part.suffix, part.needle, part.length, part.fixed
