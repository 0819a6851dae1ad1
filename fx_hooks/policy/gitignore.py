"""The policy as lines for ``.gitignore``, with which git says what the patterns say.

The policy and git read a list of patterns differently. In the policy the last pattern
that matches a path *or a directory above it* decides. git goes down from the root: the
last pattern that matches a directory *itself* decides whether it is closed, nothing in a
closed directory can be let in again, and a file in open ones is decided by the last
pattern that matches it itself. (git's gitignore(5) and ``last_matching_pattern`` in its
``dir.c``.) So

* a blocking pattern is written as it is, which closes the directories that it matches,
  where no later pattern allows anything in them. Otherwise it opens them again for
  directories only, and blocks what is in them: level by level where the later patterns
  say which directories lead to what they allow (``/outputs/*``), else at every depth
  (``/outputs/**``, with ``!/outputs/**/`` behind it);
* an allowing pattern is written with what lies beneath it: ``!/src`` and ``!/src/**``.

Every line of an entry matches only what the entry matches or what lies beneath that. So
behind them all of that is blocked, or allowed, and whatever was said before does not
matter for it any longer. And no directory is opened that no pattern of the policy matches.

Lines that cannot matter are left out: those that a later line repeats or outweighs, and
those that say what holds already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from fx_hooks.policy.globs import Glob, covers, example, is_literal, overlap, parts_overlap, rests
from fx_hooks.policy.patterns import split

if TYPE_CHECKING:
    from fx_hooks.policy.load import Entry, Policy


class Section(NamedTuple):
    """The lines of one rule: what each says to git, without the end of the line."""

    rule: str
    why: str
    lines: tuple[bytes, ...]


class _Pattern(NamedTuple):
    """One entry: *glob* matches the files and directories that it is about.

    A *beneath* pattern matches only directories, and is about what is in them; *files*
    matches the topmost paths that an entry decides.
    """

    entry: Entry
    blocks: bool
    glob: Glob
    beneath: bool
    files: Glob


class _Line(NamedTuple):
    """One line; a *directories* line ends in a slash and matches nothing else."""

    entry: Entry
    blocks: bool
    glob: Glob
    directories: bool = False


def sections(policy: Policy) -> list[Section]:
    """The block for *policy*, rule by rule, without rules that no line is left of.

    For every path of a file or link git then ignores (with ``core.ignorecase=false``,
    and no other ignore file that has its say) what the patterns block.
    """
    patterns = _pruned([_pattern(entry) for entry in policy.entries], _decides, _both_decide)
    lines: list[_Line] = []
    for number, (pattern, later) in enumerate(_with_what_later_ones_allow(patterns)):
        if pattern.blocks:
            lines += _blocking(pattern, later)
            continue
        lines.append(_Line(pattern.entry, False, pattern.glob, pattern.beneath))
        in_it = (*pattern.glob, "*")
        if not any(covers((*other.files, None), in_it) for other in patterns[number + 1 :]):
            lines.append(_Line(pattern.entry, False, (*pattern.glob, None, "*")))
    found: list[Section] = []
    for line in _pruned(lines, _matches, _both_match):
        entry = line.entry
        if not found or (found[-1].rule, found[-1].why) != (entry.rule, entry.why):
            found.append(Section(entry.rule, entry.why, ()))
        found[-1] = found[-1]._replace(lines=(*found[-1].lines, _text(line)))
    return found


def says_the_same(policy: Policy, pattern: str, is_folder: Callable[[bytes], bool]) -> bool:
    """Whether a line *pattern* ignores nothing but what the block ignores anyway.

    *is_folder* says what a path is that the policy lets in by its name.
    """
    line = _pattern(policy.entries[0]._replace(pattern=pattern, blocks=True))
    for entry in reversed(policy.entries):
        other = _pattern(entry)
        if other.blocks:
            if _decides(other, line, line):
                return True
        elif _is_single(other.glob) and not other.beneath and not is_folder(example(other.glob)):
            if overlap(other.glob, (*line.files, None)):
                return False
        elif _both_decide(other, line):
            return False
    return False


def _pattern(entry: Entry) -> _Pattern:
    names, floating, beneath = split(entry.pattern)
    glob: Glob = names or ("*",)
    if len(glob) > 1 and glob[-1] == "*" and not beneath:
        # All that is in a directory is what is beneath it.
        beneath = True
        glob = glob[:-2] if glob[-2] is None else glob[:-1]
    glob = (None, *glob) if floating else glob
    return _Pattern(entry, entry.blocks, glob, beneath, (*glob, "*") if beneath else glob)


class _Allowed(NamedTuple):
    """What a later pattern allows.

    From *depth* parts on a pattern in between blocks the way to it, and opens it.
    """

    glob: Glob
    depth: int
    is_single: bool


def _with_what_later_ones_allow(
    patterns: Sequence[_Pattern],
) -> Iterator[tuple[_Pattern, list[_Allowed]]]:
    places = {
        pattern.glob: number
        for number, pattern in enumerate(patterns)
        if pattern.blocks and _is_single(pattern.glob)
    }
    allowed: list[tuple[int, Glob, bool, list[tuple[int, int]]]] = []
    for number, pattern in enumerate(patterns):
        if not pattern.blocks:
            ways = [
                (places[pattern.glob[:depth]], depth)
                for depth in range(1, len(pattern.glob))
                if places.get(pattern.glob[:depth], number) < number
            ]
            allowed.append((number, pattern.glob, _is_single(pattern.glob), ways))
    for number, pattern in enumerate(patterns):
        later = []
        for place, glob, is_single, ways in allowed:
            if place > number:
                depths = (depth for between, depth in ways if between > number)
                later.append(_Allowed(glob, next(depths, len(glob)), is_single))
        yield pattern, later


def _is_single(glob: Glob) -> bool:
    """Whether *glob* matches one path only."""
    return all(is_literal(part) for part in glob)


def _blocking(pattern: _Pattern, later: Sequence[_Allowed]) -> Iterator[_Line]:
    """The lines of a blocking pattern, with those that lead to what later ones allow."""
    entry, glob = pattern.entry, pattern.glob
    yield _Line(entry, True, glob, pattern.beneath)
    if _is_single(glob):
        yield from _opened(entry, glob, later)
        return
    # Where one path is allowed, that one alone is opened.
    yield from _opened(entry, glob, [other for other in later if not other.is_single])
    tops = set()
    for other in later:
        if other.is_single:
            above = (other.glob[:depth] for depth in range(1, other.depth))
            tops |= {next((top for top in above if overlap(glob, top)), ())}
    for top in sorted(tops - {()}, key=str):
        yield from _opened(entry, top, later)


def _opened(entry: Entry, glob: Glob, later: Sequence[_Allowed]) -> Iterator[_Line]:
    """Open the directories that *glob* matches for what later patterns allow in them."""
    leading = {
        other.glob[place:]
        for other in later
        for place in rests(glob, other.glob)
        if place < other.depth
    }
    if leading:
        yield _Line(entry, False, glob, True)
        yield from _leading(entry, glob, leading)


def _leading(entry: Entry, glob: Glob, leading: Collection[Glob]) -> Iterator[_Line]:
    """Block what is in an open directory but for the directories that lead on."""
    if any(way[0] is None for way in leading):
        yield _Line(entry, True, (*glob, None, "*"))
        yield _Line(entry, False, (*glob, None, "*"), True)
        return
    yield _Line(entry, True, (*glob, "*"))
    further = [(way[0], way[1:]) for way in leading if len(way) > 1 and way[0] is not None]
    for name in sorted({name for name, _ in further}):
        yield _Line(entry, False, (*glob, name), True)
        below = {way for other, way in further if parts_overlap(other, name)}
        yield from _leading(entry, (*glob, name), below)


_S = TypeVar("_S", _Pattern, _Line)


# Whether the first surely matches whatever both others match.
_Instead: TypeAlias = Callable[[_S, _S, _S], bool]
_Both: TypeAlias = Callable[[_S, _S], bool]


def _pruned(items: Sequence[_S], instead: _Instead[_S], both: _Both[_S]) -> list[_S]:
    """*items* without those that cannot matter, where the last that matches decides.

    *both* says whether there may be something that two items match.
    """
    after: list[_S] = []
    for item in reversed(items):
        if not any(instead(other, item, item) for other in after):
            after.append(item)
    kept: list[_S] = []
    for item in reversed(after):
        if _matters(item, kept, instead, both):
            kept.append(item)
    return kept


def _matters(item: _S, before: Sequence[_S], instead: _Instead[_S], both: _Both[_S]) -> bool:
    """Whether *item* may change what those *before* it say; without any, all is allowed."""
    agreeing: list[_S] = []
    for other in reversed(before):
        if other.blocks == item.blocks:
            if instead(other, item, item):
                return False
            agreeing.append(other)
        elif both(other, item) and not any(instead(one, other, item) for one in agreeing):
            return True
    return item.blocks


def _decides(one: _Pattern, other: _Pattern, _: _Pattern) -> bool:
    return covers((*one.files, None), other.files)


def _both_decide(one: _Pattern, other: _Pattern) -> bool:
    return overlap((*one.files, None), (*other.files, None))


def _matches(one: _Line, other: _Line, another: _Line) -> bool:
    directories = other.directories or another.directories
    return one.directories <= directories and covers(one.glob, other.glob)


def _both_match(one: _Line, other: _Line) -> bool:
    return overlap(one.glob, other.glob)


def _text(line: _Line) -> bytes:
    floating = line.glob[0] is None
    parts = line.glob[floating:]
    if parts[-2:] == (None, "*"):
        parts = (*parts[:-2], None)
    text = "/".join("**" if part is None else part for part in parts)
    if not floating:
        text = f"/{text}"
    elif len(parts) > 1:
        text = f"**/{text}"
    elif text[0] in "!#":
        text = f"\\{text}"
    text = ("" if line.blocks else "!") + text + "/" * line.directories
    return text.encode("latin-1")
