"""Findings as SARIF 2.1.0, within what GitHub's code scanning takes.

What it takes is written in its documentation, "SARIF support for code scanning": one
location a result with a whole region, texts that are not empty and not too long, at most
5,000 results that are shown, and 10 MB. A fingerprint of our own keeps alerts apart, and
the same from run to run; the only one that GitHub reads is ``primaryLocationLineHash``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from fx_hooks import __version__
from fx_hooks.policy.loader import rule_origins
from fx_hooks.reporting.formats import MOST_ALERTS, Alert, alerts, clean, dumped, shortened
from fx_hooks.util.exit_codes import CLEAN, FOUND

if TYPE_CHECKING:
    from fx_hooks.reporting.text import Report

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
HOME = "https://github.com/fx-hooks/fx-hooks"
_DOCUMENTS = f"{HOME}/blob/main/docs"
# Where a rule is explained that is none of the policy's, by how its name begins.
_PAGES = {
    "best-models-": "fx-check-best-models.md#what-it-refuses",
    "gitignore-": "fx-sync-gitignore.md#what-is-wrong-around-the-block",
}
# GitHub takes 10 MB after gzip; what is that small before it can never be too large.
MOST_BYTES = 10_000_000
_ROOT = "%SRCROOT%"
# What ends the text of a link: a bracket that no backslash escapes.
_LINK = re.compile(r"(?<!\\)((?:\\\\)*)\]\(")


def sarif_lines(report: Report) -> list[str]:
    """One SARIF log with one run."""
    most = MOST_ALERTS
    while True:
        found = alerts(report, most)
        text = dumped(_log(report, found))
        if len(text) <= MOST_BYTES or most == 1:
            return [text]
        most = max(min(most, len(found)) * MOST_BYTES // len(text) // 2, 1)


def _log(report: Report, found: list[Alert]) -> dict[str, Any]:
    names = list(dict.fromkeys(alert.rule for alert in found))
    numbers = {name: number for number, name in enumerate(names)}
    driver = {
        "name": "fx-hooks",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": HOME,
        "rules": [_rule(report, name) for name in names],
    }
    invocation = {
        "executionSuccessful": True,
        "exitCode": FOUND if found else CLEAN,
        "toolExecutionNotifications": [
            {"level": "note", "message": {"text": _text(note)}} for note in report.notes
        ],
    }
    run = {
        "tool": {"driver": driver},
        # The part before the slash is the category: several checks of one commit add up.
        "automationDetails": {"id": f"{report.command}/"},
        "invocations": [invocation],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(alert, numbers[alert.rule]) for alert in found],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def help_address(rule: str) -> str:
    """Return the address of the place in the documentation that explains *rule*."""
    if rule in rule_origins():
        return f"{_DOCUMENTS}/rules.md#{rule}"
    pages = (page for beginning, page in _PAGES.items() if rule.startswith(beginning))
    return f"{_DOCUMENTS}/{next(pages, 'policy.md')}"


def _rule(report: Report, name: str) -> dict[str, Any]:
    first = next(finding for finding in report.findings if finding.rule == name)
    why = clean(report.rules.get(name) or first.why or name)
    advice = "" if name in report.rules else clean(first.advice)
    return {
        "id": clean(name),
        "shortDescription": {"text": _text(shortened(why))},
        "fullDescription": {"text": _text(shortened(why))},
        "help": {"text": _text("\n".join(filter(None, (shortened(why), shortened(advice)))))},
        "helpUri": help_address(name),
        "defaultConfiguration": {"level": "error"},
        "properties": {"precision": "very-high", "problem.severity": "error"},
    }


def _result(alert: Alert, number: int) -> dict[str, Any]:
    line = alert.line or 1
    uri = quote_from_bytes(alert.path, safe="/")
    return {
        "ruleId": clean(alert.rule),
        "ruleIndex": number,
        "level": "error",
        "message": {"text": _text(alert.message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri, "uriBaseId": _ROOT},
                    "region": {
                        "startLine": line,
                        "startColumn": 1,
                        "endLine": line,
                        "endColumn": 1,
                    },
                }
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{alert.fingerprint}:1"},
    }


def _text(text: str) -> str:
    """*text* as a message: braces are placeholders there, and ``[a](b)`` is a link."""
    text = clean(text).replace("{", "{{").replace("}", "}}")
    return _LINK.sub(r"\1\\](", text)
