"""Findings as text for people."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.reporting.layout import Step, bold, plural, step_lines
from fx_hooks.util.paths import human_size, parents, shown
from fx_hooks.util.terminal import command_lines, one_line

if TYPE_CHECKING:
    from fx_hooks.reporting.finding import Finding

MAX_LINES = 80
# Files of one rule in one folder that are still named one by one.
_FEW = 3
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")
# So many say what it is about, however much there is to do.
_LEAST_LINES = 20


class Report(NamedTuple):
    """All that one run of a check has to say, whatever the format.

    ``command`` is the console script. ``rules`` says what a rule is about where each of
    its findings has a sentence of its own; of any other rule, ``Finding.why`` is the
    reason that the policy gives. ``notes`` are about the run as a whole. ``audit`` are the figures
    of a whole history, as JSON values.
    """

    command: str
    findings: Sequence[Finding]
    rules: Mapping[str, str] = {}
    steps: Sequence[Step] = ()
    notes: Sequence[str] = ()
    audit: Mapping[str, Any] | None = None


class _Row(NamedTuple):
    name: str
    files: int
    size: int | None


def artifact_report(
    findings: Sequence[Finding],
    steps: Sequence[Step],
    *,
    verbose: bool,
    colour: bool,
    whole: Collection[bytes] = (),
    notes: Sequence[str] = (),
) -> list[str]:
    """Return the lines to print: groups by rule with their reason, what to do, and *notes*.

    *whole* are paths that the commands take, with all that is in those that are folders.
    At most :data:`MAX_LINES`, unless *verbose*, which names every file, or unless there is more
    to do.
    """
    total = _total([finding.size for finding in findings])
    noun = "file does" if len(findings) == 1 else "files do"
    head = f"{len(findings):,} {noun} not belong in Git{_in_all(total)}:"
    sections = _sections(findings, whole, verbose=verbose)
    tail = [*step_lines(steps), *(f"note: {one_line(note)}" for note in notes)]
    room = None if verbose else max(MAX_LINES - 1 - len(tail), _LEAST_LINES)
    return [bold(head, colour), *_fit(sections, room, colour), *tail]


def contract_report(findings: Sequence[Finding], *, colour: bool) -> list[str]:
    """Return the lines to print: ``path: fact``, then the commands that mend it.

    At most :data:`MAX_LINES`, but for the last finding that begins within them.
    """
    noun = "breach" if len(findings) == 1 else "breaches"
    lines = [bold(f"{len(findings):,} {noun} of the contract for chosen models:", colour)]
    for number, finding in enumerate(findings):
        if len(lines) >= MAX_LINES:
            lines += ["", f"and {len(findings) - number:,} more"]
            break
        why = _DIGEST.sub(r"\1...", finding.why)  # in full it is in JSON
        lines += ["", f"{shown(finding.path)}: {one_line(why)}"]
        lines += command_lines(finding.advice.splitlines())
    return lines


def _sections(
    findings: Sequence[Finding], whole: Collection[bytes], *, verbose: bool
) -> list[tuple[str, list[str], list[_Row]]]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: (finding.rule, finding.path)):
        by_rule.setdefault(finding.rule, []).append(finding)
    sections = []
    for rule, members in by_rule.items():
        text = [f"{rule}: {members[0].why}" if members[0].why else rule]
        if members[0].advice:
            text.append(f"  -> {members[0].advice}")
        sections.append((rule, text, _rows(members, whole, verbose=verbose)))
    return sections


def _rows(members: Sequence[Finding], whole: Collection[bytes], *, verbose: bool) -> list[_Row]:
    rows = []
    for group, files in grouped(members, whole, verbose=verbose):
        name = shown(group) + ("" if files[0].path == group else "/")
        rows.append(_Row(name, len(files), _total([finding.size for finding in files])))
    return rows


def grouped(
    members: Sequence[Finding], whole: Collection[bytes], *, verbose: bool
) -> list[tuple[bytes, list[Finding]]]:
    """Return *members*, of one rule, by the name that says where they are, in order.

    That is the run or folder that they are in, or what is common to those in one of *whole*;
    a few are named one by one, and all if *verbose*.
    """
    groups: dict[bytes, list[Finding]] = {}
    for finding in members:
        groups.setdefault(finding.group, []).append(finding)
    single = [group for group, files in groups.items() if files[0].path == group]
    folders: dict[bytes, list[bytes]] = {}
    for path in single:
        folders.setdefault(path.rpartition(b"/")[0], []).append(path)
    for folder, paths in folders.items():
        if folder and len(paths) > _FEW:
            groups[folder] = groups.get(folder, []) + [groups.pop(path)[0] for path in paths]
    taken: dict[bytes, list[bytes]] = {}
    for group, files in groups.items():
        place = group if files[0].path == group else group + b"/"
        around = next((folder for folder in parents(place) if folder in whole), None)
        if around is not None:
            taken.setdefault(around, []).append(group)
    for names in taken.values():
        inside = [finding for name in names for finding in groups[name]]
        rows = sum(1 if len(groups[name]) > _FEW else len(groups[name]) for name in names)
        if len(names) > 1 and rows > _FEW:
            for name in names:
                del groups[name]
            common = _common_folder([finding.path for finding in inside])
            groups[common] = inside
    found: list[tuple[bytes, list[Finding]]] = []
    for group, files in sorted(groups.items()):
        if verbose or len(files) <= _FEW:
            ordered = sorted(files, key=lambda finding: finding.path)
            found += [(finding.path, [finding]) for finding in ordered]
        else:
            found.append((group, files))
    return found


def _common_folder(paths: Sequence[bytes]) -> bytes:
    """Return the innermost folder that all *paths* are in."""
    shared = set(parents(paths[0])).intersection(*map(parents, paths[1:]))
    return max(shared, key=len)


def _fit(
    sections: Sequence[tuple[str, list[str], list[_Row]]], room: int | None, colour: bool
) -> list[str]:
    """Sections as lines, cut so that all of it fits into *room*.

    The longest sections give way first; where even one row a rule is too much, the last
    rules do.
    """
    shown = list(sections)
    left_out: list[_Row] = []
    limits = {rule: len(rows) for rule, _, rows in sections}
    if room is not None:
        while len(shown) > 1 and _least(shown) + 2 * bool(left_out) > room:
            rule, _, rows = shown.pop()
            left_out += rows
            del limits[rule]
        spare = room - _least(shown) - 2 * bool(left_out)
        while sum(limits.values()) - len(limits) > spare and max(limits.values()) > 1:
            longest = max(limits, key=lambda rule: limits[rule])
            limits[longest] -= 1
    lines = []
    for rule, text, rows in shown:
        lines += ["", bold(text[0], colour), *text[1:]]
        kept = rows[: limits[rule]]
        if len(kept) < len(rows):
            kept = kept[:-1]
        width = min(max((len(row.name) for row in kept), default=0), 60)
        for row in kept:
            count = plural(row.files, "file")
            lines.append(f"  {row.name:<{width}}  {count:<10}{_size(row.size)}".rstrip())
        if len(kept) < len(rows):
            cut = rows[len(kept) :]
            files = sum(row.files for row in cut)
            lines.append(f"  and {len(cut):,} more with {files:,} files (--verbose names them)")
    if left_out:
        rules = len(sections) - len(shown)
        files = sum(row.files for row in left_out)
        lines += ["", f"and {rules:,} more rules with {files:,} files (--verbose names them)"]
    return lines


def _least(sections: Sequence[tuple[str, list[str], list[_Row]]]) -> int:
    """Return the number of lines that the sections need with one row each."""
    return sum(1 + len(text) + 1 for _, text, _ in sections)


def _total(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _size(size: int | None) -> str:
    return "" if size is None else f"{human_size(size):>10}"


def _in_all(size: int | None) -> str:
    return "" if size is None else f" ({human_size(size)})"
