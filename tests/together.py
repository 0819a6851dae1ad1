"""The samples together, each as it was judged before any rule was mended for it.

One small sample says little of a class. tests/data/outside/before.json has of each what was refused
of how many, by sample, repository and class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from statistics import fmean

Counts = dict[str, tuple[int, int]]  # of a repository, by class: refused, of how many
FINE = "-"


def counted(judged: Iterable[tuple[str, str, bool, bool]]) -> dict[str, Counts]:
    """Return the counts by repository of (repository, class, refused, passes as test data)."""
    found: dict[str, Counts] = {}
    for repository, label, refused, exempted in judged:
        counts = found.setdefault(repository, {})
        right, of = counts.get(label, (0, 0))
        exempt = exempted and label != FINE  # an artifact, but no part of a recall
        counts[label] = (right, of) if exempt else (right + refused, of + 1)
    return found


def at_peak(head: Mapping[str, Counts], peak: Mapping[str, Counts]) -> dict[str, Counts]:
    """Return the counts of *head*, and of *peak* for what had more artifacts once."""
    dirtier = {repository.partition("@")[0] for repository in peak}
    return {name: counts for name, counts in head.items() if name not in dirtier} | dict(peak)


def rows(
    found: Mapping[str, Counts], masses: Collection[tuple[str, str]], names: Mapping[str, str]
) -> dict[str, str]:
    """Return the rows of the page: what each says of these repositories."""
    dirty = {
        name: {label: count for label, count in counts.items() if label != FINE}
        for name, counts in found.items()
        if counts.keys() != {FINE}
    }
    wrong = {name: counts.get(FINE, (0, 0))[0] for name, counts in found.items()}
    clean = found.keys() - dirty.keys()
    right, of, few, of_few = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    per_class: dict[str, list[float]] = {}
    shares = []
    for name, counts in sorted(dirty.items()):
        total = sum(many for _, many in counts.values())
        if total:
            shares.append(sum(part for part, _ in counts.values()) / total)
        for label, (part, many) in counts.items():
            right[label] += part
            of[label] += many
            if (name, label) not in masses:
                few[label] += part
                of_few[label] += many
                if many:
                    per_class.setdefault(label, []).append(part / many)
    refused = right.total() + sum(wrong.values())
    said = {
        "repositories": f"{len(found)}",
        "with artifacts": f"{len(dirty)}",
        "recall per path": f"{right.total() / of.total():.3f} of {of.total():,}",
        "recall per path without masses": (
            f"{few.total() / of_few.total():.3f} of {of_few.total():,}"
        ),
        "recall per repository": f"{fmean(shares):.3f} of {len(shares)}",
        "precision": f"{right.total() / refused:.3f} of {refused:,}",
        "clean repositories flagged": f"{sum(wrong[name] > 0 for name in clean)} of {len(clean)}",
    }
    for label in [label for label in names if label in per_class]:
        said[f"recall: {names[label]}"] = (
            f"{few[label] / of_few[label]:.3f} of {of_few[label]:,} paths, "
            f"{fmean(per_class[label]):.3f} of {len(per_class[label])} repositories"
        )
    return said
