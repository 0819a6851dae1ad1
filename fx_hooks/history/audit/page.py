"""The audit of a history as one page that needs nothing but itself.

It asks no network for anything, and tells the browser to allow nothing but its own style
and script. Everything that comes from the repository is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

from fx_hooks import __version__
from fx_hooks.history.audit.audit_text import notes, still, weighs
from fx_hooks.history.audit.chart import Tick, band, day, line, size_scale, time_scale
from fx_hooks.history.audit.figures import (
    Audit,
    CommitRow,
    Part,
    Point,
    Repository,
    Row,
    Weight,
    folder_name,
    percent,
)
from fx_hooks.history.audit.treemap import Box, squarified
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.reporting.layout import Step, plural
from fx_hooks.util.errors import FatalError
from fx_hooks.util.files import replace_file
from fx_hooks.util.paths import human_size, shown
from fx_hooks.util.terminal import one_line

_HERE = os.path.dirname(os.path.abspath(__file__))
# Of a glyph, as a part of the font's size: the mean of common sans-serif fonts, and some more.
_GLYPH = 0.6
_FONT = 13


def write_page(path: str, text: str) -> None:
    """Put the page *text* at *path* in one step. Raises :class:`FatalError`."""
    try:
        # A link stays one. As with any new file, the umask has its say.
        replace_file(os.path.realpath(path), text.encode(), 0o666)
    except OSError as exc:
        raise FatalError(
            f"{one_line(path)}: cannot be written: {exc.strerror}: name another file"
        ) from exc


def check_place(path: str) -> None:
    """Raise :class:`FatalError` if a page surely cannot be written to *path*.

    To be asked before the long work, not after it.
    """
    if not path:
        raise FatalError("--html: the file name is empty: name a file")
    name = one_line(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise FatalError(f"{name}: is not a regular file: name a file for --html")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FatalError(f"{name}: its folder does not exist: make it first")
    if not os.access(folder, os.W_OK):
        raise FatalError(f"{name}: its folder cannot be written to: name another file")


def page(audit: Audit, name: str, steps: Sequence[Step] = ()) -> str:
    """Return the whole page, for the repository that is called *name*; *steps* end it."""
    found = bool(audit.artifacts.blobs)
    targets = [("growth", "the picture of growth")]
    targets += [("map", "the map of directories"), ("tables", "the tables")] * found
    return _filled(
        name,
        "fx-check-range --all --html",
        summary=_summary(audit),
        growth=_growth(audit),
        map=_map(audit) if found else "",
        tables=_tables(audit) if found else "",
        links=_links(targets) if audit.commits else "",
        notes=(_notes(audit) if audit.commits else "") + _steps(steps),
    )


def page_of_many(audit: Audit, rows: Sequence[Repository], name: str) -> str:
    """Return one page for several repositories, whose figures together are *audit*."""
    targets = [("growth", "the picture of growth"), ("tables", "the tables")]
    by_rule = [
        ((escape(one_line(row.name)), row.name), (escape(rule), rule),
         *_figures(weight, there, audit))
        for row in rows for rule, weight, there in row.rules
    ]  # fmt: skip
    tables = _table(
        "Artifacts per repository",
        ("Repository", *_HEADS, "Share of its own", "Commits", "In its last year"),
        [_repository_cells(row, audit) for row in rows],
        "r",
    ) + _table("Artifacts per rule", ("Repository", "Rule", *_HEADS), by_rule, "d")
    return _filled(
        name,
        "fx-check-range --merge --html",
        summary=_summary(audit),
        growth=_growth(audit),
        map="",
        tables=_section_of_tables(tables) if rows else "",
        links=_links(targets) if audit.commits else "",
        notes=_notes(audit),
    )


def _repository_cells(row: Repository, audit: Audit) -> tuple[_Cell, ...]:
    own = row.artifacts.share_of(row.everything)
    return (
        (escape(one_line(row.name)), row.name),
        *_figures(row.artifacts, row.there, audit),
        (escape(percent(own)), -1 if own is None else own),
        (f"{row.commits:,}", row.commits),
        (escape(human_size(row.lately)), row.lately),
    )


def _filled(name: str, command: str, **parts: str) -> str:
    style, script = _part("page.css"), _part("page.js")
    values = {
        **parts,
        "name": escape(one_line(name)),
        "command": escape(command),
        "policy": f"default-src 'none'; img-src data:; style-src {_digest(style)};"
        f" script-src {_digest(script)}; base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "version": escape(__version__),
    }
    # One pass: what comes from the repository is never read as a template.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _part("page.html"))


def _part(name: str) -> str:
    with open(os.path.join(_HERE, name), encoding="utf-8") as file:
        return file.read()


def _digest(text: str) -> str:
    """Return *text* as a source that a Content-Security-Policy allows."""
    # Browsers hash what stands between the tags.
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def readable(path: bytes) -> str:
    """Return *path* for reading; the page is UTF-8 wherever it was made."""
    return shown(path)


# What it says first.


def _summary(audit: Audit) -> str:
    if not audit.commits:
        return '<p class="verdict">There are no commits yet.</p>'
    first, last = (day(audit.growth.points[index].time) for index in (0, -1))
    span = _date(first) if first == last else f"{_date(first)} to {_date(last)}"
    commits = plural(audit.commits, "commit")
    tiles = [_tile(commits, span), _tile(_packed(audit.everything), "all files, packed")]
    if not audit.artifacts.blobs:
        sentence = "No artifacts: nothing in this history breaks the policy."
        if audit.accepted.blobs:
            sentence = f"No artifacts but what {BASELINE_NAME} accepts."
    else:
        share = audit.artifacts.share_of(audit.everything)
        label = "artifacts" if share is None else f"artifacts, {percent(share)} of it"
        tiles += [
            _tile(_packed(audit.artifacts), label),
            _tile(_packed(audit.there), "still in a branch or tag", "there"),
            _tile(_packed(audit.gone), "gone, but in the history", "gone"),
        ]
        part = "" if share is None else f" make up {percent(share)} of what all files weigh"
        sentence = f"Artifacts{part}: {weighs(audit.artifacts)}."
        if audit.gone.blobs:
            sentence += (
                f" Of these, {_packed(audit.gone)} were deleted, but stay in the history:"
                " every clone still carries them."
            )
    return f'<p class="verdict">{escape(sentence)}</p><ul class="tiles">{"".join(tiles)}</ul>'


def _tile(figure: str, label: str, kind: str = "") -> str:
    """Return a figure with its *label*, which is markup."""
    mark = f' class="{kind}"' if kind else ""
    return f"<li{mark}><strong>{escape(figure)}</strong> <span>{label}</span></li>"


def _date(date: str) -> str:
    return f'<span class="date">{escape(date)}</span>'


def _links(targets: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<a class="skip" href="#{to}">Skip to {what}</a>' for to, what in targets)


_EXPLAINED = (
    "A blob is one version of one file's content. It counts once, in the first place where it"
    " was an artifact, however many paths and commits have it.",
    "Packed is what it takes in this clone, compressed and perhaps as a difference to another"
    " blob; unpacked is the size of the file. Shares are of what all files of the history take,"
    " packed; commits and directories themselves are not counted.",
    "Artifacts are what the policy refuses now, whatever it was when they were committed.",
)


def _notes(audit: Audit) -> str:
    odd = audit.growth.odd
    have = "commit has a date" if odd == 1 else "commits have dates"
    edge = f"{odd:,} {have} far from all others; the picture has them at its edge."
    told = (*notes(audit), *([edge] if odd else []), *_EXPLAINED)
    items = "".join(f"<li>{escape(note)}</li>" for note in told)
    return (
        '<section aria-labelledby="notes-title"><h2 id="notes-title">How to read this</h2>'
        f"<ul>{items}</ul></section>"
    )


def _steps(steps: Sequence[Step]) -> str:
    """Return what to do, as the text says it."""
    if not steps:
        return ""
    told = []
    for step in steps:
        told.append(f"<p>{escape(one_line(step.what))}</p>")
        commands = "\n".join(step.commands)
        told += [f'<pre tabindex="0"><code>{escape(commands)}</code></pre>'] * bool(commands)
    return (
        '<section id="steps" tabindex="-1" aria-labelledby="steps-title">'
        f'<h2 id="steps-title">What to do</h2>{"".join(told)}</section>'
    )


# How it grew.


def _growth(audit: Audit) -> str:
    points = audit.growth.points
    if not points:
        return ""
    artifacts = bool(audit.artifacts.blobs)
    legend = [("rest", "files that belong in Git")]
    if artifacts:
        legend += [("there", "artifacts still in a branch or tag"), ("gone", "artifacts gone")]
    last = points[-1]
    summary = f"{_packed(audit.everything)} on {_date(day(last.time))}"
    if artifacts:
        summary += f", {_packed(audit.artifacts)} of it artifacts"
    hint = "Arrow keys go from date to date." if len(points) > 1 else ""
    return (
        '<section id="growth" tabindex="-1" aria-labelledby="growth-title">'
        '<h2 id="growth-title">How the history grew</h2>'
        f"<p>Packed size of all files that commits had brought in by then: {summary}."
        f' <span class="hint">{hint}</span></p>'
        f"{_legend(legend)}"
        f"{_growth_picture(points, artifacts, Box(0, 0, 960, 340), 36, 'wide')}"
        f"{_growth_picture(points, artifacts, Box(0, 0, 400, 300), 18, 'narrow')}"
        "</section>"
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg class="swatch" width="16" height="16" aria-hidden="true">'
        f'<rect class="{kind}" x="1" y="1" width="14" height="14"/></svg>{escape(text)}</li>'
        for kind, text in entries
    )
    return f'<ul class="legend">{items}</ul>'


def _growth_picture(
    points: Sequence[Point], artifacts: bool, whole: Box, stops: int, kind: str
) -> str:
    area = whole.shrunk(64, 14, 36, 30)
    sizes, rows = size_scale(points[-1].total, area)
    times, columns = time_scale(points[0].time, points[-1].time, area)
    if len(points) == 1:
        # One moment has no width: it is drawn as one level.
        points = (*points, *points)
        xs = [area.x, area.x + area.width]
    else:
        xs = [times(point.time) for point in points]
    levels = [
        [sizes(0) for _ in points],
        [sizes(point.rest) for point in points],
        [sizes(point.rest + point.there) for point in points],
        [sizes(point.total) for point in points],
    ]
    shapes = []
    for number, name in enumerate(("rest", "there", "gone")[: 3 if artifacts else 1]):
        outline = band(xs, levels[number], levels[number + 1])
        shapes.append(f'<path class="{name}" d="{outline}"/>')
    shapes.append(f'<path class="top" d="{line(xs, levels[3])}"/>')
    return (
        f'<svg class="picture {kind}" viewBox="0 0 {whole.width:.0f} {whole.height:.0f}"'
        ' role="group" aria-label="Packed size over time">'
        f"{_axes(area, rows, columns)}{''.join(shapes)}"
        f"{_stops(points, xs, levels[3], area, stops, artifacts)}</svg>"
    )


def _axes(area: Box, rows: Sequence[Tick], columns: Sequence[Tick]) -> str:
    right, bottom = area.x + area.width, area.y + area.height
    drawn = [
        f'<path class="grid" d="M{area.x:.1f},{place:.1f}H{right:.1f}"/>'
        f'<text class="tick" x="{area.x - 8:.1f}" y="{place + 4:.1f}" text-anchor="end">'
        f"{escape(label)}</text>"
        for place, label in rows
    ]
    drawn += [
        f'<path class="grid" d="M{place:.1f},{bottom:.1f}v6"/>'
        f'<text class="tick" x="{place:.1f}" y="{bottom + 20:.1f}" text-anchor="middle">'
        f"{escape(label)}</text>"
        for place, label in columns
    ]
    return f'<g aria-hidden="true">{"".join(drawn)}</g>'


def _stops(
    points: Sequence[Point],
    xs: Sequence[float],
    tops: Sequence[float],
    area: Box,
    most: int,
    artifacts: bool,
) -> str:
    """Upright stripes that tell what the picture shows at their date."""
    count = min(most, len(points))
    if points[0] == points[-1]:
        count = 1
    chosen = [(len(points) - 1) * (number + 1) // count for number in range(count)]
    drawn = []
    before = None
    left = area.x
    for number, index in enumerate(chosen):
        point, x = points[index], xs[index]
        right = (x + xs[chosen[number + 1]]) / 2 if number + 1 < count else area.x + area.width
        facts = [f"{day(point.time)}: {human_size(point.total)}"]
        if artifacts:
            share = percent(point.artifacts / point.total if point.total else 0.0)
            facts.append(f"artifacts {human_size(point.artifacts)} ({share})")
            if before is not None and point.artifacts > before.artifacts:
                gained = human_size(point.artifacts - before.artifacts)
                facts.append(f"{gained} of them since {day(before.time)}")
        drawn.append(
            f'<g class="stop" role="img" tabindex="{-1 if number else 0}"'
            f' aria-label="{escape("; ".join(facts))}">'
            f'<rect class="edge" x="{left:.1f}" y="{area.y:.1f}" width="{right - left:.1f}"'
            f' height="{area.height:.1f}"/>'
            f'<path class="needle" d="M{x:.1f},{area.y + area.height:.1f}V{tops[index]:.1f}"/>'
            f'<circle class="needle" cx="{x:.1f}" cy="{tops[index]:.1f}" r="4"/></g>'
        )
        before = point
        left = right
    return f'<g data-walk="row">{"".join(drawn)}</g>'


# Where it lies.


def _map(audit: Audit) -> str:
    by_blobs = not audit.artifacts.packed
    measure = "number of blobs" if by_blobs else "packed size"
    legend = _legend([("there", "still in a branch or tag"), ("gone", "gone")])
    return (
        '<section id="map" tabindex="-1" aria-labelledby="map-title">'
        '<h2 id="map-title">Where it lies</h2>'
        f"<p>Artifacts by rule and directory; the area is the {measure}. Each directory leads to"
        ' its row in the table. <span class="hint">Arrow keys go from one to the next.</span></p>'
        f"{legend}"
        f"{_map_picture(audit, Box(0, 0, 960, 500), 'wide')}"
        f"{_map_picture(audit, Box(0, 0, 400, 560), 'narrow')}</section>"
    )


def _map_picture(audit: Audit, whole: Box, kind: str) -> str:
    numbers: dict[str, list[int]] = {}
    for number, row in enumerate(audit.folders):
        numbers.setdefault(row.rule, []).append(number)

    def area_of(weight: Weight) -> int:
        return weight.packed if audit.artifacts.packed else weight.blobs

    drawn = []
    first = True
    boxes = squarified([area_of(row.weight) for row in audit.rules], whole)
    for rule, box in zip(audit.rules, boxes, strict=True):
        inner = box.shrunk(1, 1, 1, 1)
        if inner.width < 3 or inner.height < 3:
            continue
        head = 20 if inner.height > 44 and inner.width > 60 else 0
        if head:
            drawn.append(_head(rule, inner._replace(height=head)))
        members = [audit.folders[number] for number in numbers[rule.rule]]
        places = squarified([area_of(row.weight) for row in members], inner.shrunk(0, head, 0, 0))
        names = _differing(members)
        for number, row, place in zip(numbers[rule.rule], members, places, strict=True):
            if place.width < 1.5 or place.height < 1.5:
                continue
            drawn.append(_cell(number, row, place, audit, names.get(row), focus=first))
            first = False
    return (
        f'<svg class="picture {kind}" viewBox="0 0 {whole.width:.0f} {whole.height:.0f}"'
        f' role="group" aria-label="Map of directories" data-walk="plane">{"".join(drawn)}</svg>'
    )


def _head(rule: Row, box: Box) -> str:
    """Return the name of a rule above its directories, with its weight if there is room."""
    room = box.width - 8
    text = _fitting(f"{rule.rule} {_packed(rule.weight)}", room, cut=False)
    text = text or _fitting(rule.rule, room)
    return (
        f'<svg x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        ' aria-hidden="true"><rect class="head" width="100%" height="100%"/>'
        f'<text class="head" x="4" y="15">{escape(text)}</text></svg>'
    )


def _differing(rows: Sequence[Row]) -> dict[Row, str]:
    """Return the part of each directory's path in which it differs from the others."""
    paths = {
        row: readable(row.folder).split("/") for row in rows if row.folder and row.part is Part.ALL
    }
    if len(paths) < 2:
        return {}
    short = min(map(len, paths.values()))
    first, last = min(paths.values()), max(paths.values())
    start = next((n for n in range(short) if first[n] != last[n]), short)
    ends = {tuple(reversed(parts)) for parts in paths.values()}
    first_end, last_end = min(ends), max(ends)
    stop = next((n for n in range(short) if first_end[n] != last_end[n]), short)
    return {
        row: "/".join(parts[start : len(parts) - stop]) + "/"
        for row, parts in paths.items()
        if start < len(parts) - stop
    }


def _cell(
    number: int, row: Row, place: Box, audit: Audit, differing: str | None, *, focus: bool
) -> str:
    name = folder_name(row, readable)
    share = percent(row.weight.share_of(audit.everything))
    facts = [f"{name}: {weighs(row.weight)}", f"{share} of all files" if share != "?" else ""]
    facts += [f"rule {row.rule}", f"still there: {still(row.weight, row.there)}"]
    label = escape("; ".join(fact for fact in facts if fact))
    box = place.shrunk(0.5, 0.5, 0.5, 0.5)
    part = row.there.packed / row.weight.packed if row.weight.packed else 0.0
    if not audit.artifacts.packed:
        part = row.there.blobs / row.weight.blobs
    text = ""
    # Next to each other stand folders whose paths begin alike, and end alike.
    if box.height >= 18 and (short := _fitting(differing or name, box.width - 10)):
        text = f'<text x="5" y="14">{escape(short)}</text>'
        if box.height >= 34 and (
            amount := _fitting(_packed(row.weight), box.width - 10, cut=False)
        ):
            text += f'<text x="5" y="30">{escape(amount)}</text>'
    size = f'width="{box.width:.1f}" height="{box.height:.1f}"'
    there = f'<rect class="there" width="{box.width * part:.1f}" height="100%"/>' if part else ""
    return (
        f'<a href="#d{number}" tabindex="{0 if focus else -1}" aria-label="{label}">'
        f'<svg x="{box.x:.1f}" y="{box.y:.1f}" {size} aria-hidden="true">'
        f'<rect class="gone" width="100%" height="100%"/>{there}{text}</svg>'
        f'<rect class="edge" x="{box.x:.1f}" y="{box.y:.1f}" {size}/></a>'
    )


def _fitting(text: str, width: float, *, cut: bool = True, end: bool = False) -> str:
    """As much of *text* as fits into *width*, its *end* or its beginning.

    Nothing where only a few letters do, or it does not fit and may not be *cut*.
    """
    room = width / (_FONT * _GLYPH)
    taken = 0.0
    for index, char in enumerate(reversed(text) if end else text):
        taken += 2.0 if unicodedata.east_asian_width(char) in "WF" else 1.0
        if taken > room:
            count = index - 1
            if not cut or count < 3:
                return ""
            return f"…{text[-count:]}" if end else f"{text[:count]}…"
    return text


# What it is, to the byte.

_Cell = tuple[str, "int | float | str"]


def _tables(audit: Audit) -> str:
    return _section_of_tables(_rule_table(audit) + _folder_table(audit) + _commit_table(audit))


def _section_of_tables(tables: str) -> str:
    return (
        '<section id="tables" tabindex="-1" aria-labelledby="tables-title">'
        '<h2 id="tables-title">The figures</h2>'
        '<p class="status" role="status" aria-live="polite"></p>'
        f"{tables}</section>"
    )


def _rule_table(audit: Audit) -> str:
    heads = ("Rule", *_HEADS, "Brought most")
    rows = [
        ((escape(row.rule), row.rule), *_figures(row.weight, row.there, audit),
         _commit_cell(row.heaviest, audit))
        for row in audit.rules
    ]  # fmt: skip
    return _table("Artifacts per rule", heads, rows, "r")


def _folder_table(audit: Audit) -> str:
    heads = ("Directory", "Rule", *_HEADS, "Brought most")
    rows = []
    for row in audit.folders:
        name = folder_name(row, readable)
        files = ", ".join(readable(path.rpartition(b"/")[2]) for path in row.files)
        named = f"<br><small>{escape(files)}</small>" if files else ""
        rows.append(
            ((escape(name).replace("/", "/<wbr>") + named, name),
             (escape(row.rule), row.rule), *_figures(row.weight, row.there, audit),
             _commit_cell(row.heaviest, audit))
        )  # fmt: skip
    return _table("Artifacts per directory", heads, rows, "d")


def _commit_table(audit: Audit) -> str:
    known = [row for row in audit.heaviest if row.number in audit.described]
    if not known:
        return ""
    heads = ("Commit", "Date", "Subject", "Rules", *_HEADS)
    rows = [
        (_commit_cell(row.number, audit), *_commit_cells(row, audit),
         *_figures(row.weight, row.there, audit))
        for row in known
    ]  # fmt: skip
    return _table("The commits that brought most", heads, rows, "c")


_HEADS = ("Blobs", "Unpacked", "Packed", "Share", "Still there")
_NUMBERS = frozenset((*_HEADS, "Share of its own", "Commits", "In its last year"))


def _figures(weight: Weight, there: Weight, audit: Audit) -> tuple[_Cell, ...]:
    share = weight.share_of(audit.everything)
    return (
        (f"{weight.blobs:,}", weight.blobs),
        (escape(_amount(weight.size, weight)), weight.size),
        (escape(_amount(weight.packed, weight)), weight.packed),
        (escape(percent(share)), -1 if share is None else share),
        (escape(still(weight, there)), there.blobs / max(weight.blobs, 1)),
    )


def _commit_cell(number: int, audit: Audit) -> _Cell:
    commit = audit.described.get(number)
    if commit is None:
        return "", ""
    return f"<code>{escape(commit.id[:10])}</code>", commit.id


def _commit_cells(row: CommitRow, audit: Audit) -> tuple[_Cell, ...]:
    commit = audit.described[row.number]
    subject, rules = one_line(commit.subject), ", ".join(row.rules)
    return (
        (_date(commit.date[:10]), commit.date),
        (escape(subject), subject),
        (escape(rules), rules),
    )


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[_Cell]], mark: str) -> str:
    # Where it becomes cards on a narrow screen, only roles say that it still is a table.
    top = "".join(
        f'<th scope="col" role="columnheader"{_kind(head)}'
        f' aria-sort="{"descending" if head == "Packed" else "none"}">'
        f'<button type="button">{escape(head)}</button></th>'
        for head in heads
    )
    body = []
    for number, row in enumerate(rows):
        cells = []
        for column, (head, (markup, value)) in enumerate(zip(heads, row, strict=True)):
            tag, role = ("td", "cell") if column else ("th", "rowheader")
            scope = "" if column else ' scope="row"'
            cells.append(
                f'<{tag}{scope} role="{role}"{_kind(head)} data-head="{escape(head)}"'
                f' data-value="{escape(str(value))}">{markup}</{tag}>'
            )
        body.append(f'<tr role="row" id="{mark}{number}" tabindex="-1">{"".join(cells)}</tr>')
    return (
        f'<table role="table"><caption>{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{top}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody></table>'
    )


def _kind(head: str) -> str:
    return ' class="number"' if head in _NUMBERS else ""


def _packed(weight: Weight) -> str:
    return _amount(weight.packed, weight)


def _amount(size: int, weight: Weight) -> str:
    if weight.blobs and weight.unknown == weight.blobs:
        return "size unknown"
    return f"at least {human_size(size)}" if weight.unknown else human_size(size)
