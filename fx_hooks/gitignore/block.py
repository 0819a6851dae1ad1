"""The managed block in the text of a ``.gitignore``: between two marker lines.

The first marker carries a CRC-32 of the lines between them, so that edits by hand are
noticed. The milestones are left out of it: they come last, each with two lines, sorted by
path. So two branches that each add a milestone change different lines, and git merges
them like any others.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.errors import FatalError
from fx_hooks.gitignore.state import FILE
from fx_hooks.policy.gitignore import sections
from fx_hooks.policy.load import MILESTONE_RULE

if TYPE_CHECKING:
    from fx_hooks.policy.load import Policy

_BOM = b"\xef\xbb\xbf"
_BEGIN = b"# >>> fx-hooks"
_END = b"# <<< fx-hooks"
_HEAD = (
    b"# Written by fx-sync-gitignore from .fx-hooks.yaml: change that, not these lines. Lines of",
    b"# your own go behind the block, where they have the last word. What only content or tree can",
    b"# tell (text under a weights' name, a package called logs/, a run in any other directory) no",
    b"# pattern says; fx-check-artifacts does.",
)
_MILESTONES = b"# milestones: those that are listed in "
_CONFLICT = re.compile(rb"<<<<<<< |=======\Z|>>>>>>> |\|\|\|\|\|\|\| ")


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
        return [_bare(line) for line in self.lines[self.start + 1 : self.stop - 1]]


def block_lines(policy: Policy) -> list[bytes]:
    """What stands between the markers for *policy*, without ends of lines."""
    lines = list(_HEAD)
    for section in sections(policy):
        if section.rule == MILESTONE_RULE:
            lines.append(_MILESTONES + policy.best_models.milestones_file.encode())
        else:
            reason = f"{section.rule}: {section.why}" if section.why else section.rule
            lines.append(f"# {reason}".encode("utf-8", "backslashreplace"))
        lines += section.lines
    return lines


def parse(text: bytes) -> Parsed:
    """Find the block in *text*.

    Raises :class:`~fx_hooks.errors.FatalError` for markers that are not one pair.
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
    return parsed._replace(start=begins[0], stop=ends[0] + 1)


def rewritten(text: bytes, wanted: Sequence[bytes], *, force: bool = False) -> bytes:
    """*text* with a block of the *wanted* lines, and every other byte as it was.

    A new block goes first, so that what follows has the last word. Raises
    :class:`~fx_hooks.errors.FatalError`, unless *force*, where the markers are broken,
    or where somebody has edited the block and a line would be lost.
    """
    parsed = _without_blocks(text, wanted) if force else parse(text)
    if not force and parsed.stop:
        _refuse_to_lose_lines(parsed, wanted)
    (beginning,) = parsed.lines[parsed.start :][:1] or parsed.lines[:1] or (b"\n",)
    end = b"\r\n" if beginning.endswith(b"\r\n") else b"\n"
    begin = _BEGIN + b" %08x >>>" % _checksum(wanted)
    lines = [line + end for line in (begin, *wanted, _END + b" <<<")]
    before, after = parsed.lines[: parsed.start], parsed.lines[parsed.stop :]
    if before and not before[-1].endswith(b"\n"):
        before = (*before[:-1], before[-1] + end)
    if parsed.start < parsed.stop:
        if not parsed.lines[parsed.stop - 1].endswith(b"\n"):
            lines[-1] = _bare(lines[-1])
    elif not before and after:
        lines.append(end)
    return parsed.bom + b"".join((*before, *lines, *after))


def _refuse_to_lose_lines(parsed: Parsed, wanted: Sequence[bytes]) -> None:
    marker = _bare(parsed.lines[parsed.start])
    if marker.split()[3:4] == [b"%08x" % _checksum(parsed.block)]:
        return
    for number, line in enumerate(parsed.block, parsed.start + 2):
        if line and line not in wanted and not _CONFLICT.match(line):
            raise FatalError(
                f"{FILE}:{number}: the block of fx-hooks was edited by hand, and"
                f" '{line.decode('utf-8', 'backslashreplace')}' would be lost: move it behind the"
                " block or into .fx-hooks.yaml, or run fx-sync-gitignore --force"
            )


def _without_blocks(text: bytes, wanted: Sequence[bytes]) -> Parsed:
    """*text* without any block, and without what is left of broken ones.

    Where only one marker is left, the lines next to it go that are *wanted* anyway.
    """
    parsed = _split(text)
    lines = list(parsed.lines)
    begins, ends = _places(lines, _BEGIN), _places(lines, _END)
    if len(begins) == len(ends) == 1 and begins < ends:
        return parse(text)
    known = set(wanted)
    doomed: set[int] = {*begins, *ends}
    for begin in begins:
        following = [place for place in (*begins, *ends) if place > begin]
        stop = min(following, default=len(lines))
        if stop in ends:
            doomed.update(range(begin, stop))
            continue
        while begin + 1 < stop and _bare(lines[begin + 1]) in known:
            begin += 1
            doomed.add(begin)
    for end in ends:
        while end and end - 1 not in doomed and _bare(lines[end - 1]) in known:
            end -= 1
            doomed.add(end)
    first = min(doomed, default=0)
    kept = tuple(line for place, line in enumerate(lines) if place not in doomed)
    return Parsed(parsed.bom, kept, first, first)


def _split(text: bytes) -> Parsed:
    bom = _BOM if text.startswith(_BOM) else b""
    lines = re.findall(rb"[^\n]*\n|[^\n]+\Z", text[len(bom) :])
    return Parsed(bom, tuple(lines), 0, 0)


def _places(lines: Sequence[bytes], marker: bytes) -> list[int]:
    return [place for place, line in enumerate(lines) if line.startswith(marker)]


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _checksum(lines: Sequence[bytes]) -> int:
    """The CRC-32 of *lines* without the milestones."""
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
