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
  Where only single names are blocked in there, it lets in names like them alone
  (``!**/tests/**/*.[cl][ko][pg]*``): anything else may be closed by ignore files of which
  the block knows nothing (``.DS_Store`` in a user's own ``core.excludesFile``).

Every line of an entry matches only what the entry matches or what lies beneath that. So
behind them all of that is blocked, or allowed, and whatever was said before does not
matter for it any longer. And no directory is opened that no pattern of the policy matches.

Lines that cannot matter are left out: those that a later line repeats or outweighs, and
those that say what holds already. git holds every folder of the work tree against the lines,
twice, until one matches. Only where a policy has too many patterns to compare them with each other
are all lines written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from fx_hooks.gitignore.globs import (
    Glob,
    Places,
    covers,
    is_literal,
    is_single,
    name_like,
    overlap,
    parts_overlap,
    rests,
    spelled_alike,
)
from fx_hooks.policy.model import MILESTONE_RULE
from fx_hooks.policy.patterns import MOST, problem, split

if TYPE_CHECKING:
    from fx_hooks.policy.model import Entry, Policy


class Section(NamedTuple):
    """The lines of one rule: what each says to git, without the end of the line.

    ``tools`` are those whose pattern each line comes from, empty where that is of no tool.
    """

    rule: str
    why: str
    lines: tuple[bytes, ...]
    tools: tuple[str, ...]


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


def sections(policy: Policy) -> tuple[Section, ...]:
    """Return the block for *policy*, rule by rule, without rules that no line is left of.

    For every path of a file or link git then ignores (with ``core.ignorecase=false``,
    and no other ignore file that has its say) what the patterns block.
    """
    return _sections(tuple(policy.alone()))


# To compare all lines with each other takes a second, and some commands ask more than once.
@lru_cache(maxsize=4)
def _sections(entries: tuple[Entry, ...]) -> tuple[Section, ...]:
    patterns = [_pattern(entry) for entry in entries]
    wild = sum(not is_single(pattern.glob) for pattern in patterns)
    # Milestones are few lines each, and near to nothing else.
    others = sum(pattern.entry.rule != MILESTONE_RULE for pattern in patterns)
    if wild > MOST_WILD or others > MOST_COMPARED:
        return _in_sections(_in_full(patterns))
    patterns = _pruned(patterns, lambda pattern: pattern.files, _decides, _both_decide)
    places = Places([pattern.files for pattern in patterns])
    shut = _shut(patterns)
    lines: list[_Line] = []
    # What an allowing pattern may have to let in again: the blocking ones so far, and
    # whether each is said in a single line.
    blocking: list[tuple[int, bool]] = []
    for number, (pattern, later) in enumerate(_with_what_later_ones_allow(patterns, shut)):
        if pattern.blocks:
            added = list(_blocking(pattern, later))
            blocking.append((number, len(added) == 1))
            lines += added
            continue
        names = _names_in(pattern, number, patterns, blocking, shut)
        if names is not None:
            lines += [_Line(pattern.entry, False, (*pattern.glob, None, name)) for name in names]
            continue
        lines.append(_Line(pattern.entry, False, pattern.glob, pattern.beneath))
        in_it = (*pattern.glob, "*")
        if not any(
            covers((*patterns[other].files, None), in_it) for other in places.above(in_it, number)
        ):
            lines.append(_Line(pattern.entry, False, (*pattern.glob, None, "*")))
    return _in_sections(
        _closing_last(_pruned(lines, lambda line: line.glob, _matches, _both_match))
    )


def _in_full(patterns: Sequence[_Pattern]) -> Iterator[_Line]:
    """Return the lines of *patterns* with none left out, comparing few of them.

    Where a later pattern allows something at any depth, every directory is opened.
    """
    last = max((n for n, one in enumerate(patterns) if not one.blocks), default=-1)
    for number, pattern in enumerate(patterns):
        entry, glob = pattern.entry, pattern.glob
        if not pattern.blocks:
            yield _Line(entry, False, glob, pattern.beneath)
            yield _Line(entry, False, (*glob, None, "*"))
            continue
        yield _Line(entry, True, glob, pattern.beneath)
        if number < last:
            yield from _opened(entry, glob, [_Allowed((None, "*"), 2)])


def _in_sections(lines: Iterable[_Line]) -> tuple[Section, ...]:
    found: list[Section] = []
    for line in lines:
        entry = line.entry
        if not found or (found[-1].rule, found[-1].why) != (entry.rule, entry.why):
            found.append(Section(entry.rule, entry.why, (), ()))
        found[-1] = found[-1]._replace(
            lines=(*found[-1].lines, _text(line)), tools=(*found[-1].tools, entry.tool)
        )
    return tuple(found)


def says_the_same(
    policy: Policy, pattern: str, let_in: Iterable[str], is_folder: Callable[[Glob], bool]
) -> bool:
    """Return True if a line *pattern* after the block does not change what git ignores.

    *let_in* are the patterns that other lines behind it let in. *is_folder* says whether a
    glob matches a folder that is there: what is let in by a name is mostly a file.
    """
    of = partial(_own, policy)
    line, names = of(pattern), of(pattern.rstrip("/"))
    if not _blocks_all(policy, line, is_folder):
        return False
    # In a folder that the block closes itself, git does not look for what else is let in.
    closed = _blocks_all(policy, names, is_folder)
    for text in let_in:
        if problem(text):
            return False
        other = of(text)
        if other.beneath or is_folder(other.glob):
            if _both_decide(other, line):
                return False
        elif overlap(other.glob, names.glob if closed else (*line.files, None)):
            return False
    return True


def decides(policy: Policy, pattern: str) -> bool:
    """Return True if one pattern of *policy* blocks all that a line *pattern* is about.

    Others may let in some of it: in front of the block, the line changes nothing.
    """
    line = _own(policy, pattern)
    patterns = map(_pattern, policy.alone())
    return any(other.blocks and _decides(other, line, line) for other in patterns)


def _own(policy: Policy, text: str) -> _Pattern:
    """Return the pattern of *policy* that a person's own line is like."""
    return _pattern(policy.entries[0]._replace(pattern=text, blocks=True))


def _blocks_all(policy: Policy, line: _Pattern, is_folder: Callable[[Glob], bool]) -> bool:
    """Return True if *policy* blocks all that *line* is about."""
    for entry in reversed(policy.alone()):
        other = _pattern(entry)
        if other.blocks:
            if _decides(other, line, line):
                return True
        elif is_single(other.glob) and not other.beneath and not is_folder(other.glob):
            if overlap(other.glob, (*line.files, None)):
                return False
        elif _both_decide(other, line):
            return False
    return False


@lru_cache(maxsize=MOST)
def _pattern(entry: Entry) -> _Pattern:
    names, floating, beneath = split(entry.pattern)
    glob: Glob = tuple(map(spelled_alike, names)) or ("*",)
    if len(glob) > 1 and glob[-1] == "*" and not beneath:
        # All that is in a directory is what is beneath it.
        beneath = True
        glob = glob[:-2] if glob[-2] is None else glob[:-1]
    glob = (None, *glob) if floating else glob
    return _Pattern(entry, entry.blocks, glob, beneath, (*glob, "*") if beneath else glob)


class _Allowed(NamedTuple):
    """Paths that a later pattern allows.

    From *depth* parts on a pattern in between blocks the way to it, and opens it.
    """

    glob: Glob
    depth: int


class _Later(NamedTuple):
    """Paths that later patterns allow in what one pattern blocks.

    *tops* are the single directories above something allowed that it may match, each
    with what is allowed there.
    """

    allowed: list[_Allowed]
    tops: dict[Glob, list[_Allowed]]


def _with_what_later_ones_allow(
    patterns: Sequence[_Pattern], shut: Mapping[int, int]
) -> Iterator[tuple[_Pattern, _Later]]:
    """Yield each pattern, with what later ones allow unless it is *shut* again after them."""
    allowing = [number for number, pattern in enumerate(patterns) if not pattern.blocks]
    places = Places([patterns[number].glob for number in allowing])
    ways = _ways(patterns)
    several = [number for number in allowing if not is_single(patterns[number].glob)]
    # The single directories above what is allowed, by their names.
    named: dict[str | None, set[Glob]] = defaultdict(set)
    for number in allowing:
        glob = patterns[number].glob
        if is_single(glob):
            for depth in range(1, len(glob)):
                named[glob[depth - 1]].add(glob[:depth])

    def behind(number: int, found: Iterable[int]) -> Iterator[_Allowed]:
        for place in found:
            if place > max(number, shut.get(number, 0)):
                glob = patterns[place].glob
                depths = (depth for between, depth in ways.get(place, ()) if between > number)
                yield _Allowed(glob, next(depths, len(glob)))

    for number, pattern in enumerate(patterns):
        later = _Later([], {})
        if pattern.blocks:
            glob = pattern.glob
            single = is_single(glob)
            near = (allowing[place] for place in places.near(glob)) if single else several
            later.allowed.extend(behind(number, near))
            last = glob[-1]
            matched = (name for name in named if name and last and parts_overlap(last, name))
            for top in () if single else {top for name in matched for top in named[name]}:
                # The first one on its way that is matched.
                if overlap(glob, top) and not any(
                    overlap(glob, top[:depth]) for depth in range(1, len(top))
                ):
                    near = (allowing[place] for place in places.near(top))
                    found = list(behind(number, near))
                    if any(is_single(o.glob) and len(top) < o.depth for o in found):
                        later.tops[top] = found
        yield pattern, later


def _ways(patterns: Sequence[_Pattern]) -> dict[int, list[tuple[int, int]]]:
    """For each allowing pattern, those before it that block one directory on the way to it."""
    single = {
        pattern.glob: number
        for number, pattern in enumerate(patterns)
        if pattern.blocks and is_single(pattern.glob)
    }
    return {
        number: [
            (single[pattern.glob[:depth]], depth)
            for depth in range(1, len(pattern.glob))
            if single.get(pattern.glob[:depth], number) < number
        ]
        for number, pattern in enumerate(patterns)
        if not pattern.blocks
    }


def _shut(patterns: Sequence[_Pattern]) -> dict[int, int]:
    """For a blocking pattern, the last other one that blocks each directory that it matches.

    What is allowed before that one cannot be in such a directory.
    """
    places = Places([pattern.glob for pattern in patterns])
    found = {}
    for number, pattern in enumerate(patterns):
        if pattern.blocks:
            for other in places.above(pattern.glob, number):
                if patterns[other].blocks and covers(patterns[other].glob, pattern.glob):
                    found[number] = other
    return found


# So many patterns are compared with each other in a few seconds. The time grows with the square of
# those that have wildcards.
MOST_COMPARED, MOST_WILD = 2_500, 400
# Each is a line for each pattern that allows, and git holds every folder against each line.
_MOST_NAMES = 4


def _names_in(
    pattern: _Pattern,
    number: int,
    patterns: Sequence[_Pattern],
    blocking: Sequence[tuple[int, bool]],
    shut: Mapping[int, int],
) -> list[str] | None:
    """Return the names blocked in what *pattern* allows; None where that is unknown."""
    if not pattern.beneath or pattern.glob[0] is not None:
        return None
    names = []
    for place, is_one_line in blocking:
        other = patterns[place]
        if not _both_decide(other, pattern):
            continue
        name = other.glob[-1]
        is_open = (
            not is_one_line
            or overlap(other.glob, pattern.glob)
            or bool(rests(other.glob, pattern.glob))
        )
        if name is None or (is_open and shut.get(place, 0) < number):
            return None
        names.append(name)
    found = name_like(names)
    return found if len(found) <= _MOST_NAMES else None


def _blocking(pattern: _Pattern, later: _Later) -> Iterator[_Line]:
    """Return the lines of a blocking pattern, with those that lead to what later ones allow."""
    entry, glob = pattern.entry, pattern.glob
    yield _Line(entry, True, glob, pattern.beneath)
    yield from _opened(entry, glob, later.allowed)
    # Where one path is allowed, that one alone is opened.
    for top, allowed in sorted(later.tops.items(), key=str):
        yield from _opened(entry, top, allowed)


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
    ways: dict[str, set[Glob]] = defaultdict(set)
    for name, way in further:
        ways[name].add(way)
    wild = [name for name in ways if not is_literal(name)]
    for name in sorted(ways):
        yield _Line(entry, False, (*glob, name), True)
        others = wild if is_literal(name) else ways
        meeting = (other for other in others if parts_overlap(other, name))
        below = ways[name].union(*(ways[other] for other in meeting))
        yield from _leading(entry, (*glob, name), below)


def _closing_last(lines: Sequence[_Line]) -> list[_Line]:
    """Return *lines* with one for all folders of a directory that a line each closes again.

    It goes behind all rules: git tries the lines from the last one up, and a directory of runs
    has thousands of folders.
    """
    end = next((n for n, line in enumerate(lines) if line.entry.rule == MILESTONE_RULE), len(lines))
    closing: dict[Glob, list[int]] = defaultdict(list)
    for place, line in enumerate(lines[:end]):
        if line.blocks and line.directories:
            closing[line.glob[:-1]].append(place)
    opening = [place for place, line in enumerate(lines) if not line.blocks]
    instead: list[_Line] = []
    needless: set[int] = set()
    for number, line in enumerate(lines[:end]):
        shut = [place for place in closing.get(line.glob[:-1], ()) if place > number]
        if not shut or not line.blocks or line.directories or line.glob[-1] != "*":
            continue
        opened = (
            place for place in opening if place > number and overlap(lines[place].glob, line.glob)
        )
        if all(
            any(at > place and covers(lines[at].glob, lines[place].glob) for at in shut)
            for place in opened
        ):
            instead.append(line._replace(directories=True))
            needless.update(shut)
    left = [line for place, line in enumerate(lines[:end]) if place not in needless]
    return [*left, *instead, *lines[end:]]


_S = TypeVar("_S", _Pattern, _Line)


# Whether the first surely matches whatever both others match.
_Instead: TypeAlias = Callable[[_S, _S, _S], bool]
_Both: TypeAlias = Callable[[_S, _S], bool]


def _pruned(
    items: Sequence[_S], glob_of: Callable[[_S], Glob], instead: _Instead[_S], both: _Both[_S]
) -> list[_S]:
    """Return *items* without those that cannot matter, where the last that matches decides.

    *both* says whether there may be something that two items match. Only those are
    compared whose literal beginnings agree.
    """
    places = Places([glob_of(item) for item in items])
    left = set(range(len(items)))
    for number in range(len(items) - 1, -1, -1):
        item = items[number]
        above = places.above(glob_of(item), number)
        if any(instead(items[other], item, item) for other in above if other in left):
            left.discard(number)
    kept: list[_S] = []
    for number, item in enumerate(items):
        if number in left:
            near = (other for other in reversed(places.near(glob_of(item))) if other < number)
            before = (items[other] for other in near if other in left)
            if _matters(item, before, instead, both):
                kept.append(item)
            else:
                left.discard(number)
    return kept


def _matters(item: _S, before: Iterable[_S], instead: _Instead[_S], both: _Both[_S]) -> bool:
    """Return True if *item* may change what those *before* it say, the last one first.

    Without any, all is allowed.
    """
    agreeing: list[_S] = []
    for other in before:
        if other.blocks == item.blocks:
            if instead(other, item, item):
                return False
            agreeing.append(other)
        elif both(other, item) and not any(instead(one, other, item) for one in agreeing):
            return True
    return item.blocks


def _decides(one: _Pattern, other: _Pattern, another: _Pattern) -> bool:
    all_in_it = (*one.files, None)
    return covers(all_in_it, other.files) or covers(all_in_it, another.files)


def _both_decide(one: _Pattern, other: _Pattern) -> bool:
    return overlap((*one.files, None), (*other.files, None))


def _matches(one: _Line, other: _Line, another: _Line) -> bool:
    directories = other.directories or another.directories
    return one.directories <= directories and (
        covers(one.glob, other.glob) or covers(one.glob, another.glob)
    )


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
