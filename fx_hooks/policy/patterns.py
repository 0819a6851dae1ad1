"""One gitignore-style pattern: what is refused in it, and what pathspec makes of it.

A pattern here means exactly what it means in a ``.gitignore``. Where git and pathspec
read a spelling differently, :func:`problem` refuses it and names the spelling to use
instead, so that one policy has one meaning behind every door.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

STAR = "*"  # any run of bytes within one path part
# Linux has no longer paths (PATH_MAX).
_LONGEST = 4096
# What is remembered of patterns, of parts and of sets: more than two policies may have. A cache
# that is too small for one list, which is gone through again and again, remembers nothing of it.
MOST = 1 << 14
ONE = "?"  # exactly one byte: a question mark or a set


class Segment(NamedTuple):
    """One part of a pattern, as the cheapest tests that can decide it.

    ``prefix`` and ``suffix`` are the literal bytes at both ends, ``needle`` is the
    longest literal run between them, ``length`` is the smallest number of bytes that can
    match, ``fixed`` says that no more can. Where there are no ``runs`` these together are the
    whole truth; otherwise they only rule names out, and the runs decide: what lies between the
    stars, as a literal text and the bytes that may be at each place behind it.
    """

    prefix: bytes
    suffix: bytes
    needle: bytes
    length: int
    fixed: bool
    runs: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()

    @property
    def exact(self) -> bool:
        return not self.runs

    @property
    def literal(self) -> bool:
        return self.exact and self.fixed


class Parts(NamedTuple):
    """A pattern taken apart at its slashes; ``None`` stands for ``**``.

    Each part is text in which a character is a byte. ``floating`` patterns match at any
    depth (they begin with ``**/`` or have no slash), ``beneath`` ones match only what
    lies below a directory (they end in ``/`` or ``/**``). No part is left of a pattern
    that matches everything.
    """

    parts: tuple[str | None, ...]
    floating: bool
    beneath: bool


class Shape(NamedTuple):
    """The :class:`Parts` of a pattern with what can be tested of each."""

    segments: tuple[Segment | None, ...]
    floating: bool
    beneath: bool


def problem(pattern: str) -> str | None:
    """Say why *pattern* cannot be used, and what to write instead; None if it can."""
    if not pattern.strip():
        return "is empty"
    if len(pattern) > _LONGEST:
        return f"has {len(pattern):,} characters, and no path has more than {_LONGEST:,}"
    if "\0" in pattern:
        return "has a NUL character, which no path can have"
    if not encodable(pattern):
        return "has a character that no path can have"
    if "\n" in pattern:
        return "has a line break: write one pattern an entry"
    if pattern.startswith("!"):
        return (
            "begins with '!': say what is allowed under 'keep' or in a rule's 'except'"
            r" (a literal '!' is written '\!')"
        )
    if pattern.startswith("#"):
        return r"begins with '#', which git reads as a comment: write '\#'"
    if pattern == "/":
        return "is only '/': write '*' for everything"
    if pattern[-1].isspace():
        return "ends in a blank, which git drops: write '[ ]' for a blank at the end"
    if "//" in pattern:
        return "has '//', which matches nothing: write one '/'"
    if "***" in pattern:
        return "has '***': write '*' within one path part, '**' for any number of parts"
    if pattern.endswith("/**/"):
        return (
            "ends in '/**/', which is read in more than one way: write"
            f" '{pattern[:-1]}' for everything beneath"
        )
    return _parts_problem(pattern) or _pathspec_problem(pattern)


def encodable(text: str) -> bool:
    """Return True if a path can have the bytes of *text*; lone surrogates stand for none."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _parts_problem(pattern: str) -> str | None:
    inside = False
    for part in pattern.split("/"):
        if part in (".", ".."):
            return f"has '{part}' as a path part, which git never matches: write it from the root"
        position = 0
        stars = 0
        while position < len(part):
            char = part[position]
            position += 1
            stars = stars + 1 if char == "*" else 0
            if stars == 2 and len(part) > 2:
                # git takes the literal text before the first `*` on its own, and reads the
                # rest as `**/`.
                return f"has '**' in '{part}': write '*' within a path part"
            if char == "\\":
                if position == len(part):
                    return r"has a backslash before '/' or at its end: write '\\' for a literal one"
                position += 1
            elif char == "[":
                end = _set_end(part, position)
                if end is None:
                    inside = True
                    break
                fault = _set_problem(part[position:end])
                if fault:
                    return fault
                position = end + 1
    if inside:
        return r"has a '[' that no ']' in the same path part closes: write '\[' for a literal one"
    return None


def _set_end(part: str, start: int) -> int | None:
    """Return the place of the ``]`` that closes the set whose inside begins at *start*."""
    position = start
    if part[position : position + 1] in ("!", "^"):
        position += 1
    # A bracket at the very beginning is a member of the set.
    end = part.find("]", position + 1)
    return None if end < 0 else end


def _set_problem(inside: str) -> str | None:
    shown = f"[{inside}]"
    if inside[0] in "!^":
        return (
            f"has the negated set '{shown}', which could match '/': write '*' or '?' and"
            " name what it must not match under 'keep' or 'except'"
        )
    if "[:" in inside or "[." in inside or "[=" in inside:
        return f"has a POSIX class in '{shown}': write the characters, such as [a-z] or [0-9]"
    if "--" in inside[1:]:
        return (
            f"has '--' in '{shown}', which is read in more than one way: write '-' once, at the end"
        )
    if "\\" in inside:
        return f"has a backslash in the set '{shown}': write the characters without it"
    raw = inside.encode("utf-8", "surrogateescape")
    position = 0
    while position + 2 < len(raw):
        if raw[position + 1] == ord("-"):
            low, high = raw[position], raw[position + 2]
            if low > high:
                return f"has a range that runs backwards in '{shown}': write the smaller end first"
            if low <= ord("/") <= high:
                return f"has a range in '{shown}' that holds '/': write two ranges around it"
            position += 3
        else:
            position += 1
    return None


def _pathspec_problem(pattern: str) -> str | None:
    try:
        regex_source(pattern)
    except (ValueError, re.error) as exc:  # pragma: no cover
        # Nothing that is known gets this far; another pathspec may refuse more.
        return f"is not a valid pattern ({exc})"
    return None


@lru_cache(maxsize=MOST)
def regex_source(pattern: str) -> bytes:
    """Return pathspec's own expression for *pattern*, on bytes as git sees them.

    Compile it with :data:`re.DOTALL`. Three things are adapted. ``$`` would also match
    before a line break at the end of a name; a UTF-8 character whose last byte looks like
    a blank in latin-1 (``à``) would be stripped from the end of the pattern; and Python
    warns of a bracket and the like within a set.
    """
    raw = pattern.encode("utf-8", "surrogateescape")
    if raw[-1:] in (b"\xa0", b"\x85"):
        raw = raw[:-1] + b"[" + raw[-1:] + b"]"
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # seldom needed

    source: bytes | None
    source, include = GitIgnoreSpecPattern.pattern_to_regex(raw)
    if source is None or include is not True:  # pragma: no cover
        raise ValueError("it matches nothing")
    if source.endswith(b"|$)"):
        source = source[:-2] + rb"\Z)"
    for inside in _sets(raw.decode("latin-1")):
        plain = inside.encode("latin-1")
        source = source.replace(b"[" + plain + b"]", b"[" + _SPECIAL.sub(rb"\\\g<0>", plain) + b"]")
    source = _linear(source)
    re.compile(source, re.DOTALL)
    return source


def _linear(source: bytes) -> bytes:
    """Pathspec's *source* so that no name takes longer than its length and that of the pattern.

    Between two stars lies text of one length, and between two ``**`` parts of one number: where
    it matches first it may stay. Python 3.10 says so with a group that is looked ahead.
    """
    pieces = source.replace(b"[^/]", _NO_SLASH).split(_ANY_PARTS)
    names = (b"_%d" % number for number in itertools.count())
    last = len(pieces) - 1
    found = b""
    for number, piece in enumerate(pieces):
        text = b"/".join(_linear_part(part, names) for part in piece.split(b"/"))
        if number == last:
            found += (_ANY_PARTS if number else b"") + text
        elif number:
            found += _once(rb"(?:/.+?)??" + text + rb"(?=/)", next(names))
        elif text.startswith(_ANYWHERE):
            first = rb"(?:.+?/)??" + text[len(_ANYWHERE) :] + rb"(?=/)"
            found += b"^" + _once(first, next(names))
        else:
            found += text
    return found.replace(_NO_SLASH, b"[^/]")


def _linear_part(part: bytes, names: Iterator[bytes]) -> bytes:
    first, *runs = part.split(_NO_SLASH + b"*")
    if len(runs) < 2:
        return part
    inner = b"".join(_once(_NO_SLASH + b"*?" + run, next(names)) for run in runs[:-1])
    return first + inner + _NO_SLASH + b"*" + runs[-1]


def _once(source: bytes, name: bytes) -> bytes:
    return b"(?=(?P<%b>%b))(?P=%b)" % (name, source, name)


# A slash that separates no parts; no path and no pattern has a NUL.
_NO_SLASH = b"[^\0]"
_ANY_PARTS, _ANYWHERE = b"(?:/.+)?", b"^(?:.+/)?"


_SPECIAL = re.compile(rb"[\[&|~]")


def _sets(pattern: str) -> Iterator[str]:
    """Yield the insides of the sets in a valid *pattern*."""
    for part in pattern.split("/"):
        position = 0
        while position < len(part):
            char = part[position]
            position += 1
            if char == "\\":
                position += 1
            elif char == "[":
                end = _set_end(part, position)
                assert end is not None, pattern  # problem() has refused it
                yield part[position:end]
                position = end + 1


# The policies of projects have most of their patterns in common.
@lru_cache(maxsize=MOST)
def alternatives(pattern: str) -> tuple[str, ...]:
    """Return *pattern* without small sets, as several patterns that together mean the same.

    Only where a few will do: ``*[-_.]test`` becomes three suffixes, which are cheaper to look
    for than one set.
    """
    found = [""]
    parts = pattern.split("/")
    for count, part in enumerate(parts):
        position = 0
        while position < len(part):
            end = position + 1
            choices = [part[position:end]]
            if part[position] == "\\":
                end += 1
                choices = [part[position:end]]
            elif part[position] == "[":
                close = _set_end(part, end)
                assert close is not None, part  # problem() has refused it
                inside, end = part[end:close], close + 1
                choices = [char if char.isalnum() else "\\" + char for char in inside]
                if not inside.isascii() or "-" in inside[1:-1] or len(choices) * len(found) > 16:
                    choices = [part[position:end]]
            found = [text + choice for text in found for choice in choices]
            position = end
        if count < len(parts) - 1:
            found = [text + "/" for text in found]
    return tuple(found)


def split(pattern: str) -> Parts:
    """Take a valid *pattern* apart, normalised the way pathspec does it."""
    parts = _as_text(pattern).split("/")
    beneath = not parts[-1]
    if beneath:
        parts.pop()
    floating = len(parts) == 1
    if not parts[0]:
        parts = parts[1:]
    while parts and parts[0] == "**":
        floating = True
        parts = parts[1:]
    if parts and parts[-1] == "**":
        beneath = True
    found: list[str | None] = []
    for part in parts:
        if part != "**":
            found.append(part)
        elif found[-1] is not None:
            found.append(None)
    while found and found[-1] is None:
        found.pop()
    return Parts(tuple(found), floating, beneath)


def within(pattern: str, folder: str) -> list[str]:
    """Return patterns that say below *folder* what *pattern* says there only from the root.

    What holds at any depth needs no other pattern, and one that matches the whole folder is
    ``*`` in it.
    """
    parts, floating, beneath = split(pattern)
    everywhere = (None, *parts) if floating else parts
    start = _further(everywhere, {0})
    if len(everywhere) in start:
        return ["*"]
    places = start
    for name in _as_text(folder).split("/"):
        matched = {place + (everywhere[place] is not None)
                   for place in places if _matches(everywhere[place], name)}  # fmt: skip
        places = _further(everywhere, matched)
        if len(everywhere) in places:
            return ["*"]
    found = []
    for place in sorted(places - start if floating else places):
        if place - 1 in places and everywhere[place - 1] is None:
            continue  # the one with the `**` before it says it, too
        text = "/".join("**" if part is None else part for part in everywhere[place:])
        found.append("/" + text.encode("latin-1").decode("utf-8", "surrogateescape"))
    return [text + "/" for text in found] if beneath else found


def _further(parts: Sequence[str | None], places: Collection[int]) -> set[int]:
    """Return *places* with those behind each ``**`` of *parts* that may stand for nothing."""
    found = set(places)
    for place, part in enumerate(parts):
        if place in found and part is None:
            found.add(place + 1)
    return found


def _matches(part: str | None, name: str) -> bool:
    return part is None or _expression(part).search(name.encode("latin-1")) is not None


@lru_cache(maxsize=MOST)
def _expression(part: str) -> re.Pattern[bytes]:
    text = part.encode("latin-1").decode("utf-8", "surrogateescape")
    return re.compile(regex_source("/" + text), re.DOTALL)


def _as_text(path: str) -> str:
    """Return *path* as text in which a character is a byte."""
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


@lru_cache(maxsize=MOST)
def shape(pattern: str) -> Shape:
    """Take a valid *pattern* apart, with the cheapest tests for each of its parts."""
    parts, floating, beneath = split(pattern)
    segments = tuple(None if part is None else _segment(part) for part in parts)
    return Shape(segments, floating, beneath)


def _segment(part: str) -> Segment:
    tokens = tokens_of(part)
    # Literal runs between the wild ones; the first and the last may be empty.
    runs = [""]
    stars = ones = 0
    for kind, char in tokens:
        if kind:
            stars += kind == STAR
            ones += kind == ONE
            runs.append("")
        else:
            runs[-1] += char
    inner = max(runs[1:-1], key=len, default="")
    contains = stars == 2 and len(runs) == 3 and not runs[0] and not runs[-1]
    return Segment(
        prefix=runs[0].encode("latin-1"),
        suffix=runs[-1].encode("latin-1") if len(runs) > 1 else b"",
        needle=inner.encode("latin-1"),
        length=len(tokens) - stars,
        fixed=not stars,
        runs=() if not ones and (stars <= 1 or contains) else _runs(tokens),
    )


def _runs(tokens: Sequence[tuple[str, str]]) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    """Return what lies between the stars in *tokens*, as :class:`Segment` has it."""
    runs: list[list[bytes]] = [[]]
    for kind, text in tokens:
        if kind == STAR:
            runs.append([])
        else:
            runs[-1].append(_members(text) if kind else text.encode("latin-1"))
    found = []
    for run in runs:
        sets = list(itertools.dropwhile(lambda members: len(members) == 1, run))
        found.append((b"".join(run[: len(run) - len(sets)]), tuple(sets)))
    return tuple(found)


@lru_cache(maxsize=MOST)
def _members(inside: str) -> bytes:
    """Return the bytes that the set with *inside* matches, or a question mark."""
    text = _SPECIAL.sub(rb"\\\g<0>", inside.encode("latin-1"))
    expression = re.compile(b"[" + text + b"]" if text else b"[^/]", re.DOTALL)
    return bytes(code for code in range(256) if expression.match(bytes((code,))))


def tokens_of(part: str) -> list[tuple[str, str]]:
    """Split one path part into (kind, text).

    The kind is empty for a literal byte; the text is that byte, the inside of a set, or
    empty.
    """
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(part):
        char = part[position]
        position += 1
        if char == "\\":
            tokens.append(("", part[position]))
            position += 1
        elif char == "*":
            tokens.append((STAR, ""))
        elif char == "?":
            tokens.append((ONE, ""))
        elif char == "[":
            end = _set_end(part, position)
            assert end is not None, part  # problem() has refused it
            tokens.append((ONE, part[position:end]))
            position = end + 1
        else:
            tokens.append(("", char))
    return tokens
