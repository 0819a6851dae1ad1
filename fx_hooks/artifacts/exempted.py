"""Files that pass as test data, counted by folder for people to judge."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fx_hooks.policy.model import in_quotes, literal
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.artifacts.classifier import Verdict

_MOST = 3


def exempted(verdicts: Iterable[Verdict]) -> Counter[bytes]:
    """Return how many files of each folder pass only because they count as test data."""
    return Counter(
        verdict.path.rpartition(b"/")[0]
        for verdict in verdicts
        if verdict.excepted is not None and verdict.entry is not None and verdict.entry.test_data
    )


def exempted_note(verdicts: Iterable[Verdict]) -> str:
    """Return a sentence on what passes as test data, and the line that ends it; or nothing."""
    folders = exempted(verdicts)
    if not folders:
        return ""
    from fx_hooks.policy.patterns import problem  # few commits have this to say

    total = folders.total()
    largest = sorted(folders.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{shown(folder)}/ {count:,}" for folder, count in largest[:_MOST])
    text = f"{total:,} {'file passes' if total == 1 else 'files pass'} as test data: {named}"
    if len(folders) > _MOST:
        text += f", and {len(folders) - _MOST:,} more folders"
    pattern = f"/{literal(os.fsdecode(largest[0][0]))}/"
    if problem(pattern):
        return text
    line = in_quotes(pattern)
    return f"{text}. If these are results of runs, add {line} to `ignore` in .fx-hooks.yaml"
