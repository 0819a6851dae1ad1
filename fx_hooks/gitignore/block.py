"""The managed block in the text of a ``.gitignore``: between two marker lines.

The first marker carries a CRC-32 of the lines between them, so that edits by hand are
noticed. The milestones are left out of it: they come last, each with two lines, sorted by
path. So two branches that each add a milestone change different lines, and git merges
them like any others.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.gitignore.conflicts import Conflict, bare, find_conflicts, is_of_conflict, one_side
from fx_hooks.gitignore.policy_lines import sections
from fx_hooks.policy.model import MILESTONE_RULE
from fx_hooks.util.diff import split
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy

_BOM = b"\xef\xbb\xbf"
# A user's note about fx-hooks is not a marker; an indented marker is, but git ignores what
# an indented comment says.
_BEGIN = re.compile(rb"[ \t]*# >>> fx-hooks(?: ([^ ]*))? >>>[ \t]*\Z")
_END = re.compile(rb"[ \t]*# <<< fx-hooks <<<[ \t]*\Z")
_HEAD = (
    b"# Written by fx-sync-gitignore from .fx-hooks.yaml: change that, not these lines. Lines of",
    b"# your own go behind the block, where they have the last word. What only content or tree can",
    b"# tell (text under a weights' name, a package called logs/, a run in any other directory) no",
    b"# pattern says; fx-check-artifacts does.",
)
_CLOSING = b"# of the above again, what has to stand behind the other lines"
_MILESTONES = b"# milestones: those that are listed in "


class Parsed(NamedTuple):
    """A ``.gitignore`` taken apart into lines, each with its end.

    ``start`` and ``stop`` are the places of the block, markers included; both are 0
    where there is none.
    """

    bom: bytes
    lines: tuple[bytes, ...]
    start: int
    stop: int

    @property
    def block(self) -> list[bytes]:
        """The lines of the block without markers and ends."""
        return [bare(line) for line in self.lines[self.start + 1 : self.stop - 1]]


def block_lines(policy: Policy) -> list[bytes]:
    """Return the lines between the markers for *policy*, without their ends."""
    lines = list(_HEAD)
    said: set[tuple[str, str]] = set()
    closing = False
    for section in sections(policy):
        again = (section.rule, section.why) in said
        said.add((section.rule, section.why))
        if again and section.rule != MILESTONE_RULE:
            lines += [] if closing else [_CLOSING]
        elif section.rule == MILESTONE_RULE:
            lines.append(_MILESTONES + policy.best_models.milestones_file.encode())
        else:
            reason = f"{section.rule}: {section.why}" if section.why else section.rule
            lines.append(f"# {reason}".encode("utf-8", "backslashreplace"))
        closing = again
        lines += section.lines
    return lines


def parse(text: bytes) -> Parsed:
    """Find the block in *text*.

    Raises :class:`~fx_hooks.util.errors.FatalError` for markers that are not one pair.
    """
    parsed = _split(text)
    begins = _places(parsed.lines, _BEGIN)
    ends = _places(parsed.lines, _END)
    if not begins and not ends:
        return parsed
    for places, what in ((begins, "begins"), (ends, "ends")):
        if len(places) > 1:
            raise FatalError(
                f"{FILE}:{places[1] + 1}: the block of fx-hooks {what} a second time (first in"
                f" line {places[0] + 1}): remove one of them, or run fx-sync-gitignore --force"
            )
    if not begins or not ends or begins[0] > ends[0]:
        place, what = (begins[0], "end") if begins else (ends[0], "beginning")
        raise FatalError(
            f"{FILE}:{place + 1}: the block of fx-hooks has no {what}: remove the rest of it, or"
            " run fx-sync-gitignore --force"
        )
    for place in (begins[0], ends[0]):
        if not parsed.lines[place].startswith(b"#"):
            raise FatalError(
                f"{FILE}:{place + 1}: the marker of fx-hooks is indented: remove the blanks"
                " before it, or run fx-sync-gitignore --force"
            )
    return parsed._replace(start=begins[0], stop=ends[0] + 1)


def rewritten(
    text: bytes, wanted: Sequence[bytes], *, force: bool = False, merged: Sequence[bytes] = ()
) -> bytes:
    """Return *text* with a block of the *wanted* lines, and every other byte as it was.

    A new block goes first, so that what follows has the last word. Where *text* is what git
    could not merge, *merged* are the versions that it comes from. Raises
    :class:`~fx_hooks.util.errors.FatalError`, unless *force*, where the markers are broken,
    or where the block was edited and a line would be lost.
    """
    known = {*wanted, *(line for version in merged for line in _written(version))}
    parsed = _without_blocks(_without_conflicts(text), known) if force else _resolved(text, known)
    like = parsed.lines[parsed.start :] or parsed.lines or _split(text).lines or (b"\n",)
    end = b"\r\n" if like[0].endswith(b"\r\n") else b"\n"
    begin = b"# >>> fx-hooks %08x >>>" % _checksum(wanted)
    lines = [line + end for line in (begin, *wanted, b"# <<< fx-hooks <<<")]
    before, after = parsed.lines[: parsed.start], parsed.lines[parsed.stop :]
    if parsed.start < parsed.stop:
        if not parsed.lines[parsed.stop - 1].endswith(b"\n"):
            lines[-1] = bare(lines[-1])
    elif not before and after:
        lines.append(end)
    return parsed.bom + b"".join((*before, *lines, *after))


def same_but_for_block(one: bytes, other: bytes) -> bool:
    """Return True if both texts have a block that nobody edited, and are the same around it."""
    try:
        found = [parse(one), parse(other)]
    except FatalError:
        return False
    if not all(parsed.stop and _is_whole(parsed) for parsed in found):
        return False
    first, second = [
        (parsed.bom, parsed.lines[: parsed.start], parsed.lines[parsed.stop :]) for parsed in found
    ]
    return first == second


def _is_whole(parsed: Parsed) -> bool:
    """Return True if the block is as it was written, apart from milestones."""
    marker = _BEGIN.match(bare(parsed.lines[parsed.start]))
    return marker is not None and marker[1] == b"%08x" % _checksum(parsed.block)


def _written(version: bytes) -> list[bytes]:
    """Return the lines of the block of one *version*, if no one has edited it."""
    try:
        parsed = parse(version)
    except FatalError:
        return []
    return parsed.block if parsed.stop and _is_whole(parsed) else []


def _refuse_to_lose_lines(parsed: Parsed, known: Collection[bytes]) -> None:
    if not parsed.stop or _is_whole(parsed):
        return
    for number, line in enumerate(parsed.block, parsed.start + 2):
        if line and line not in known and not is_of_conflict(line):
            raise FatalError(
                f"{FILE}:{number}: the block of fx-hooks was edited by hand, and"
                f" '{line.decode('utf-8', 'backslashreplace')}' would be lost: move it after the"
                " block or into .fx-hooks.yaml, or run fx-sync-gitignore --force"
            )


def _about_the_block(lines: Sequence[bytes]) -> list[Conflict]:
    """Return the conflicts that are within the block, or that a marker is in."""
    begins, ends = _places(lines, _BEGIN), _places(lines, _END)
    return [
        found
        for found in find_conflicts(lines)
        if any(found.ours < place < found.over for place in (*begins, *ends))
        or (
            max((place for place in begins if place < found.ours), default=-1)
            > max((place for place in ends if place < found.ours), default=-1)
            and any(place > found.over for place in ends)
        )
    ]


def _resolved(text: bytes, known: Collection[bytes]) -> Parsed:
    """Return *text* taken apart, without the conflicts that are about nothing but our lines."""
    lines = _split(text).lines
    conflicts = _about_the_block(lines)
    if not conflicts:
        parsed = parse(text)
        _refuse_to_lose_lines(parsed, known)
        return _without_rests(parsed)
    first: FatalError | None = None
    # One of the two versions has the block, and nothing in the other one may get lost.
    for ours in (True, False):
        kept, lost = one_side(lines, conflicts, ours=ours)
        try:
            parsed = parse(b"".join(kept))
            if parsed.stop:
                _refuse_to_lose(lines, lost, {*known, *_written(b"".join(kept))})
                _refuse_to_lose_lines(parsed, known)
                return _without_rests(parsed._replace(bom=_split(text).bom))
        except FatalError as exc:
            first = first or exc
    raise first or FatalError(
        f"{FILE}:{conflicts[0].ours + 1}: the block of fx-hooks is in a merge conflict: resolve it,"
        " or run fx-sync-gitignore --force"
    )


def _refuse_to_lose(lines: Sequence[bytes], lost: Sequence[int], known: Collection[bytes]) -> None:
    gone = set(lost)
    kept = [bare(line) for place, line in enumerate(lines) if place not in gone]
    safe = {*known, *kept}
    following = iter(kept)
    behind = False
    for place in lost:
        line = bare(lines[place])
        if _BEGIN.match(line) or _END.match(line):
            behind = _END.match(line) is not None
            continue
        behind = behind and place - 1 in gone
        if not line:
            continue
        # Behind the block they are the user's own, in their order.
        stays = line in following if behind else line in safe or _is_milestone(lines, place)
        if not stays:
            raise FatalError(
                f"{FILE}:{place + 1}: the block of fx-hooks is in a merge conflict, and"
                f" '{line.decode('utf-8', 'backslashreplace')}' would be lost: resolve the"
                " conflict, or run fx-sync-gitignore --force"
            )


def _is_milestone(lines: Sequence[bytes], place: int) -> bool:
    """Return True if the line is one of the two that let in a milestone."""
    line = bare(lines[place])
    before, after = (bare(b"".join(lines[at : at + 1])) for at in (place - 1, place + 1))
    return (line.startswith(b"!/") and after == line[1:] + b"/") or (
        line.startswith(b"/") and before == b"!" + line[:-1]
    )


def _without_rests(parsed: Parsed) -> Parsed:
    """Return *parsed* without lines of a conflict at the block, which is no longer whole."""
    lines = parsed.lines
    whole = {
        place for found in find_conflicts(lines) for place in range(found.ours, found.over + 1)
    }
    start, stop = parsed.start, parsed.stop
    while stop and start and start - 1 not in whole and is_of_conflict(bare(lines[start - 1])):
        start -= 1
    while 0 < stop < len(lines) and stop not in whole and is_of_conflict(bare(lines[stop])):
        stop += 1
    return Parsed(
        parsed.bom,
        (*lines[:start], *lines[parsed.start : parsed.stop], *lines[stop:]),
        start,
        start + parsed.stop - parsed.start,
    )


def _without_conflicts(text: bytes) -> bytes:
    """Return *text* with all lines of both sides where the block is in a conflict."""
    parsed = _split(text)
    dropped: set[int] = set()
    for ours, base, theirs, over in _about_the_block(parsed.lines):
        dropped.update(range(base, theirs + 1), (ours, over))
    return parsed.bom + b"".join(
        line for place, line in enumerate(parsed.lines) if place not in dropped
    )


def _without_blocks(text: bytes, known: Collection[bytes]) -> Parsed:
    """Return *text* without any block, and without what is left of broken ones.

    Where only one marker is left, the lines next to it go that are *known* to be ours.
    """
    parsed = _split(text)
    lines = list(parsed.lines)
    begins, ends = _places(lines, _BEGIN), _places(lines, _END)
    if len(begins) == len(ends) == 1 and begins < ends:
        return _without_rests(parsed._replace(start=begins[0], stop=ends[0] + 1))
    doomed: set[int] = {*begins, *ends}
    for begin in begins:
        following = [place for place in (*begins, *ends) if place > begin]
        stop = min(following, default=len(lines))
        if stop in ends:
            doomed.update(range(begin, stop))
            continue
        while begin + 1 < stop and bare(lines[begin + 1]) in known:
            begin += 1
            doomed.add(begin)
    for end in ends:
        while end and end - 1 not in doomed and bare(lines[end - 1]) in known:
            end -= 1
            doomed.add(end)
    first = min(doomed, default=0)
    kept = tuple(line for place, line in enumerate(lines) if place not in doomed)
    return Parsed(parsed.bom, kept, first, first)


def _split(text: bytes) -> Parsed:
    bom = _BOM if text.startswith(_BOM) else b""
    return Parsed(bom, tuple(split(text[len(bom) :])), 0, 0)


def lines_of(text: bytes) -> list[bytes]:
    """Return the lines of an ignore file as git counts them, without their ends."""
    return [bare(line) for line in _split(text).lines]


def patterns_of(text: bytes) -> list[str]:
    """Return the lines of an ignore file without the trailing blanks that git leaves out."""
    patterns = []
    for line in lines_of(text):
        pattern = line.rstrip(b" ")
        escapes = len(pattern) - len(pattern.rstrip(b"\\"))
        pattern += b" " * (escapes % 2 and pattern != line)
        patterns.append(pattern.decode("utf-8", "surrogateescape"))
    return patterns


def _places(lines: Sequence[bytes], marker: re.Pattern[bytes]) -> list[int]:
    return [place for place, line in enumerate(lines) if marker.match(bare(line))]


def _checksum(lines: Sequence[bytes]) -> int:
    """Return the CRC-32 of *lines* without the milestones."""
    counted = list(lines)
    start = next((n for n, line in enumerate(lines) if line.startswith(_MILESTONES)), None)
    if start is not None:
        rest = counted[start + 1 :]
        del counted[start:]
        while rest:
            line = rest.pop(0)
            if line.startswith(b"!/") and rest[:1] == [line[1:] + b"/"]:
                del rest[0]
            else:
                counted.append(line)
    return binascii.crc32(b"\n".join(counted))
