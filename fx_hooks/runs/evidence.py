"""The evidence for the state of a run, for people and as JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fx_hooks.runs.inventory import kept_because
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fx_hooks.runs.inventory import Run, Survey


def evidence_json(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return what was read of *runs*: of which one, where, what it says, what that proves."""
    return [
        {
            "run": os.fsdecode(run.path),
            "read": evidence.read,
            "says": evidence.says,
            "proves": str(evidence.proves),
        }
        for run in runs
        for evidence in run.evidence
    ]


def explained(found: Survey, run: Run) -> list[str]:
    """Return lines that say why *run* may go or stays, and what was read of all in it."""
    reason = kept_because(run)
    verdict = f"it may go: {run.state}, {run.reason}" if reason is None else f"it stays: {reason}"
    lines = [f"{shown(run.path)}: {one_line(verdict)}"]
    for each in found.belonging(run):
        lines.append(f"\n  {shown(each.path)} ({each.kind}):")
        lines += [
            f"    {shown(os.fsencode(evidence.read))}: {one_line(evidence.says)}"
            f" (proves: {evidence.proves})"
            for evidence in each.evidence
        ]
    return lines
