"""The audit of a history as text for people: at most a screenful, unless all is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from fx_hooks.history.audit.chart import day
from fx_hooks.history.audit.figures import Audit, Row, Weight, folder_name, percent
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.reporting.layout import bold, plural
from fx_hooks.util.paths import human_size, shown
from fx_hooks.util.terminal import one_line

_RULES, _FOLDERS, _COMMITS = 8, 10, 5


def audit_report(audit: Audit, *, verbose: bool = False, colour: bool = False) -> list[str]:
    """Return the lines to print; *verbose* leaves nothing out."""
    if not audit.commits:
        return ["No commits yet."]
    lines = [_history(audit)]
    if not audit.artifacts.blobs:
        but = f" but what {BASELINE_NAME} accepts" if audit.accepted.blobs else ""
        return [*lines, bold(f"No artifacts in it{but}.", colour), *notes(audit)]
    head = f"Artifacts: {weighs(audit.artifacts)}"
    share = audit.artifacts.share_of(audit.everything)
    if share is not None:
        head += f", {percent(share)} of what all files weigh"
    lines.append(bold(head, colour))
    lines.append(f"  still in a branch or tag: {weighs(audit.there)}")
    lines.append(f"  gone, but in the history: {weighs(audit.gone)}")
    rules = [(row.rule, row) for row in audit.rules]
    chosen = audit.folders if verbose else audit.brief
    folders = [(folder_name(row, shown), row) for row in chosen]
    lines += _table("rule", rules, audit, None if verbose else _RULES, colour)
    lines += _table("directory", folders, audit, None if verbose else _FOLDERS, colour)
    lines += _commits(audit, None if verbose else _COMMITS, colour)
    further = notes(audit)
    return [*lines, "", *further] if further else lines


def weighs(weight: Weight) -> str:
    """Return *weight* as a part of a sentence."""
    if not weight.blobs:
        return "nothing"
    text = _blobs(weight.blobs)
    if weight.unknown == weight.blobs:
        return f"{text}, size unknown"
    least = "at least " if weight.unknown else ""
    return f"{text}, {least}{human_size(weight.packed)} packed ({human_size(weight.size)} unpacked)"


def notes(audit: Audit) -> list[str]:
    """Return notes that are needed to read the figures rightly, one line each."""
    found = []
    if audit.everything.unknown:
        found.append(
            f"{_blobs(audit.everything.unknown)} of {audit.everything.blobs:,} are not in this"
            " clone, and were not fetched: their size is unknown, and all sums are lower bounds."
        )
    if audit.accepted.blobs:
        found.append(
            f"Accepted by {BASELINE_NAME}, and not counted as artifacts: {weighs(audit.accepted)}."
        )
    if audit.shared.blobs:
        found.append(
            f"{weighs(audit.shared)}, also are at a path that belongs in Git: taking the"
            " artifacts out of the history would not free them."
        )
    return found


def _history(audit: Audit) -> str:
    commits = plural(audit.commits, "commit")
    first, last = (day(audit.growth.points[index].time) for index in (0, -1))
    span = first if first == last else f"{first} to {last}"
    return f"{commits}, {span}: {weighs(audit.everything)}"


def _table(
    title: str, rows: Sequence[tuple[str, Row]], audit: Audit, most: int | None, colour: bool
) -> list[str]:
    if most is not None and len(rows) > most:
        kept, cut = rows[: most - 1], [row for _, row in rows[most - 1 :]]
    else:
        kept, cut = rows, []
    # The names come last: they may be of any length.
    head = f"{'blobs':>9} {'unpacked':>11} {'packed':>11} {'share':>5}  {'still there':<16} {title}"
    lines = ["", bold(head, colour)]
    for name, row in kept:
        share = percent(row.weight.share_of(audit.everything))
        amounts = (_amount(row.weight.size, row.weight), _amount(row.weight.packed, row.weight))
        lines.append(
            f"{row.weight.blobs:>9,} {amounts[0]:>11} {amounts[1]:>11}"
            f" {share:>5}  {still(row.weight, row.there):<16} {name}"
        )
    if cut:
        weight = Weight()
        for row in cut:
            weight = weight.plus(row.weight)
        lines.append(f"and {len(cut):,} more with {weighs(weight)} (--verbose names them)")
    return lines


def still(weight: Weight, there: Weight) -> str:
    """Return how much of *weight* a branch or tag still has."""
    if not there.blobs:
        return "no"
    if there.blobs == weight.blobs:
        return "yes"
    return f"{there.blobs:,} of {weight.blobs:,}"


def _amount(size: int, weight: Weight) -> str:
    if weight.unknown == weight.blobs:
        return "?"
    return human_size(size) + "+" * bool(weight.unknown)


def _commits(audit: Audit, most: int | None, colour: bool) -> list[str]:
    lines = ["", bold("brought in by", colour)]
    for row in audit.heaviest[:most]:
        commit = audit.described.get(row.number)
        if commit is not None:
            subject = one_line(commit.subject)
            subject = subject if len(subject) <= 40 else subject[:37] + "..."
            amount = _amount(row.weight.packed, row.weight)
            head = f"  {commit.id[:10]} {commit.date[:10]}  {amount:>10}"
            lines.append(f"{head}  {_blobs(row.weight.blobs):<12} {subject}".rstrip())
    return lines if len(lines) > 2 else []


def _blobs(count: int) -> str:
    return plural(count, "blob")
