"""The report on space as JSON: version 1."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from fx_hooks.runs.evidence import evidence_json

if TYPE_CHECKING:
    from fx_hooks.runs.usage.measure import Item
    from fx_hooks.runs.usage.usage_text import Answer
    from fx_hooks.util.disk import Size

VERSION = 1


def as_json(answer: Answer) -> str:
    """One object; docs/fx-report-space.md says what its keys mean.

    Bytes that are no UTF-8 are surrogates.
    """
    space = answer.space
    record = {
        "version": VERSION,
        "root": os.fsdecode(space.root),
        "complete": not answer.problems,
        "total": _size(space.total),
        "kinds": [
            {"kind": kind, "items": count, **_size(size)} for kind, size, count in answer.kinds
        ],
        "items": [_item(item) for item in (*answer.items, *answer.outside)],
        "remedies": [
            {
                "what": remedy.what,
                "commands": remedy.commands,
                "frees": remedy.frees,
                "at_most": remedy.at_most,
            }
            for remedy in answer.remedies
        ],
        "tracked": [os.fsdecode(path) for path in space.tracked],
        "problems": list(answer.problems),
        "notes": space.notes,
    }
    return json.dumps(record, indent=2)


def _size(size: Size) -> dict[str, object]:
    return {"disk": size.disk, "bytes": size.bytes, "files": size.files}


def _item(item: Item) -> dict[str, object]:
    run = item.run
    return {
        "kind": item.kind,
        "path": os.fsdecode(item.path),
        "target": os.fsdecode(item.target) if item.target else None,
        "outside": item.outside,
        **_size(item.size),
        "newest": item.size.newest if item.size.files else None,
        "checkpoints": _size(item.weights) if run is not None else None,
        "state": run.state if run is not None else None,
        "note": item.note,
        "milestones": [os.fsdecode(path) for path in run.milestones] if run is not None else [],
        "tracked": [os.fsdecode(path) for path in run.tracked] if run is not None else [],
        "evidence": evidence_json([run, *item.members]) if run is not None else [],
    }
