"""The facts that an archive records of a packed run."""

from __future__ import annotations

import os
from datetime import timezone
from typing import TYPE_CHECKING, Any

from fx_hooks.best_models.metadata import without_private
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.runs.archive.manifest import as_text
from fx_hooks.util.times import moment

if TYPE_CHECKING:
    from fx_hooks.runs.inventory import Run, Survey


def about(found: Survey, run: Run) -> dict[str, Any]:
    """Return what the manifest says, without secrets, of a run and of those in or of it."""
    _, *inner = found.belonging(run)
    known = _known(found.root, run)
    if inner:
        known["runs"] = [
            {"path": as_text(other.path), **_known(found.root, other)} for other in inner
        ]
    return known


def _known(root: bytes, run: Run) -> dict[str, Any]:
    known = {
        "kind": run.kind,
        "state": run.state,
        "reason": run.reason,
        "started": _time(run.started),
        "last_write": _time(run.last_write),
        **KINDS[run.kind].details(os.path.join(root, run.path)).as_json(),
    }
    told: dict[str, Any] = without_private(known, os.fsdecode(root))
    return told


def _time(seconds: float) -> str | None:
    time = moment(seconds, timezone.utc)
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")
