"""Findings for programs: JSON, GitHub's annotations, GitLab's Code Quality.

People read one line a run, not one a file, and so do the pages of GitHub and GitLab: there
findings become alerts, one for each rule and run. JSON has every finding as it is.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks import __version__
from fx_hooks.reporting.layout import plural
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.paths import human_size, shown
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.reporting.finding import Finding
    from fx_hooks.reporting.text import Report

JSON_VERSION = 1
# GitHub shows as many results of a run, and as many annotations of a kind and a step.
MOST_ALERTS = 5000
MOST_ANNOTATIONS = 10
_MOST_CHARACTERS = 1000
# What differs between two runs of the same check on the same problem.
_NUMBERS = re.compile(r"\b(?:[0-9a-f]{7,}|[\d,.]+)\b")


class Alert(NamedTuple):
    """The findings of one rule in one run or other directory, shown as one.

    ``group`` is that directory, or the file. ``path`` is the first file, for pages that
    want one. The fingerprint is the same wherever and whenever the same problem is found,
    and no other alert of the report has it. ``own_reasons`` says that what is wrong stands
    in each finding, not in the rule.
    """

    rule: str
    group: bytes
    path: bytes
    line: int | None
    size: int | None
    fingerprint: str
    findings: Sequence[Finding]
    own_reasons: bool

    @property
    def message(self) -> str:
        """The problem in one line, and below it what to do."""
        folder = self.group != self.path
        name = shown(self.group or b".") + "/" * folder
        facts = []
        if folder:
            files = len({finding.path for finding in self.findings})
            facts.append(plural(files, "file"))
        if self.size is not None:
            facts.append(human_size(self.size))
        first = self.findings[0]
        if self.own_reasons:
            whys = list(dict.fromkeys(one_line(finding.why) for finding in self.findings))
            head = f"{name}: {'; '.join(whys[:3])}" + f" and {len(whys) - 3} more" * (len(whys) > 3)
        else:
            head = f"{name} does not belong in Git"
        if facts:
            head += f" ({', '.join(facts)})"
        if first.why and not self.own_reasons:
            head += f": {one_line(first.why)}"
        advice = [line for finding in self.findings[:3] for line in finding.advice.splitlines()]
        lines = [head, *dict.fromkeys(advice), *_history(self.findings)]
        return "\n".join(shortened(one_line(line)) for line in lines)


def alerts(report: Report, most: int | None = None) -> list[Alert]:
    """Return the findings of *report* as alerts, at most *most* of them where possible.

    If they are more, whole folders stand for what is in them, as few levels up as will do.
    """
    found = _grouped(report, None)
    if most is not None and len(found) > most:
        depths = range(max(finding.group.count(b"/") for finding in report.findings) + 1)
        enough = bisect.bisect_right(depths, most, key=lambda depth: len(_grouped(report, depth)))
        found = _grouped(report, max(enough - 1, 0))
    return _alerts(report, found)


class _Key(NamedTuple):
    """The key that findings of one alert share.

    ``own`` is what a rule says of this file alone, without numbers.
    """

    rule: str
    group: bytes
    own: str
    line: int


def _grouped(report: Report, depth: int | None) -> dict[_Key, list[Finding]]:
    found: dict[_Key, list[Finding]] = {}
    for finding in report.findings:
        if depth is None:
            own = _NUMBERS.sub("#", finding.why) if finding.rule in report.rules else ""
            key = _Key(finding.rule, finding.group, own, finding.line or 0)
        else:
            folder = b"/".join(finding.group.split(b"/")[:depth])
            key = _Key(finding.rule, folder, "", 0)
        found.setdefault(key, []).append(finding)
    return found


def _alerts(report: Report, found: dict[_Key, list[Finding]]) -> list[Alert]:
    made = []
    seen: dict[str, int] = {}
    for key, members in sorted(found.items()):
        first = min(members, key=lambda finding: finding.path)
        same = "\0".join((key.rule, key.group.decode("utf-8", "surrogateescape"), key.own))
        number = seen[same] = seen.get(same, 0) + 1
        text = f"{same}\0{number}".encode("utf-8", "surrogateescape")
        versions = {(finding.path, finding.blob): finding.size for finding in members}
        sizes = [size for size in versions.values() if size is not None]
        made.append(
            Alert(
                key.rule,
                key.group,
                first.path,
                first.line,
                sum(sizes) if sizes else None,
                hashlib.sha256(text).hexdigest()[:32],
                members,
                key.rule in report.rules,
            )
        )
    return made


def shortened(text: str) -> str:
    """Return *text*, cut so that pages show it: GitHub takes 1,024 characters of a description."""
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _history(members: Sequence[Finding]) -> list[str]:
    """Return the line that says which commits bring *members* in, and if they are still there."""
    commits = list(dict.fromkeys(f.commit for f in members if f.commit is not None))
    if not commits:
        return []
    first = commits[0]
    line = f"brought in by {first.id[:10]} ({first.date[:10]}, {one_line(first.subject)})"
    if len(commits) > 1:
        line += f" and {plural(len(commits) - 1, 'more commit')}"
    if not any(finding.in_tip for finding in members):
        line += "; deleted since, but the history keeps it"
    return [line]


# JSON.


def json_lines(report: Report) -> list[str]:
    """Return one JSON object with everything; docs/reports.md and a JSON Schema describe it."""
    code = FOUND if report.findings else CLEAN
    document = {
        "version": JSON_VERSION,
        "tool": {"name": "fx-hooks", "version": __version__, "command": report.command},
        "exit": {"code": code, "meaning": "findings" if code else "clean"},
        "findings": [_finding(finding) for finding in report.findings],
        "steps": [
            {"what": clean(step.what), "commands": [clean(line) for line in step.commands]}
            for step in report.steps
        ],
        "notes": [clean(note) for note in report.notes],
        **({"audit": report.audit} if report.audit is not None else {}),
    }
    return [dumped(document)]


def _finding(finding: Finding) -> dict[str, Any]:
    commit = finding.commit
    return {
        "path": readable(finding.path),
        "path_bytes": _odd_bytes(finding.path),
        "rule": clean(finding.rule),
        "why": clean(finding.why),
        "advice": clean(finding.advice),
        "size": finding.size,
        "group": readable(finding.group),
        "group_bytes": _odd_bytes(finding.group),
        "tracked": finding.tracked,
        "line": finding.line,
        "commit": commit
        and {"id": commit.id, "subject": clean(commit.subject), "date": commit.date},
        "blob": finding.blob,
        "in_tip": finding.in_tip,
        "occurrences": finding.occurrences,
    }


def readable(path: bytes) -> str:
    """Return *path* as text; U+FFFD stands for what is not UTF-8."""
    return path.decode("utf-8", "replace")


def clean(text: str) -> str:
    """Return *text* without lone surrogates, which many readers of JSON refuse."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _odd_bytes(path: bytes) -> str | None:
    """Return *path* in Base64 if it is not UTF-8, else None."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return base64.b64encode(path).decode()
    return None


def dumped(document: object) -> str:
    """Return *document* as JSON in one line of ASCII."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


# GitHub.


def github_lines(report: Report) -> list[str]:
    """Return workflow commands that make annotations, the largest first.

    GitHub drops what goes beyond ten of a kind, so the tenth says what is left out.
    """
    found = sorted(alerts(report), key=lambda alert: -(alert.size or 0))
    shown_ones = found if len(found) <= MOST_ANNOTATIONS else found[: MOST_ANNOTATIONS - 1]
    lines = [
        _command(
            {**_place(alert), "title": alert.rule},
            alert.message,
        )
        for alert in shown_ones
    ]
    rest = len(found) - len(shown_ones)
    if rest:
        text = f"and {rest:,} more of {len(found):,} findings: the log has them"
        lines.append(_command({"title": report.command}, text))
    return lines


def _place(alert: Alert) -> dict[str, str]:
    """Return where GitHub shows *alert*; nowhere if a log that has the name would obey it."""
    name = readable(alert.path)
    if not name.translate({10: None, 13: None}).isprintable():
        return {}
    return {"file": name, "line": str(alert.line or 1)}


def _command(properties: dict[str, str], message: str) -> str:
    """Return one ``::error`` command, escaped as packages/core of actions/toolkit does."""
    words = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::error {words}::{_data(message)}"


def _data(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# GitLab.


def gitlab_lines(report: Report) -> list[str]:
    """Return a Code Quality report: https://docs.gitlab.com/ci/testing/code_quality/."""
    return [
        dumped(
            [
                {
                    "description": clean(alert.message),
                    "check_name": clean(alert.rule),
                    "fingerprint": alert.fingerprint,
                    "severity": "major",
                    "location": {
                        "path": readable(alert.path),
                        "lines": {"begin": alert.line or 1},
                    },
                }
                for alert in alerts(report, MOST_ALERTS)
            ]
        )
    ]
