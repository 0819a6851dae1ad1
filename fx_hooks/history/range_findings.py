"""Artifacts of commits as findings: with sizes, subjects, and whether a tip still has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.history.walk import describe
from fx_hooks.reporting.finding import Finding

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore
    from fx_hooks.history.commit_check import Artifact


def findings_of(
    store: ObjectStore,
    artifacts: Sequence[Artifact],
    sizes: Mapping[str, int | None],
    there: Collection[tuple[bytes, str]],
) -> list[Finding]:
    """Return the *artifacts* as findings; *there* are paths and blobs that a tip has now."""
    commits = describe(store, (item.commit for item in artifacts))
    times = Counter(item.blob for item in artifacts)
    return [
        Finding(
            item.path,
            item.rule,
            item.why,
            item.advice,
            item.group,
            sizes.get(item.blob),
            True,
            commit=commits[item.commit],
            blob=item.blob,
            in_tip=(item.path, item.blob) in there,
            occurrences=times[item.blob],
        )
        for item in artifacts
    ]
