"""The space outside the work tree: behind its links and mounts, and in tools' folders.

Nothing in there is this repository's alone, so it is told apart.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.frameworks.registry import FRAMEWORKS
from fx_hooks.runs.layouts import find_runs
from fx_hooks.runs.usage.measure import MOUNT, Item, Lead
from fx_hooks.util.disk import Problem, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fx_hooks.frameworks.framework import OutsideFolder


def tool_folders(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[OutsideFolder]:
    """Return the folders that the tools keep for this user; they need not be there."""
    return [
        folder
        for framework in FRAMEWORKS
        if framework.outside is not None
        for folder in framework.outside(environ, platform)
    ]


class Outside(NamedTuple):
    """The space found there; with *problems* sizes are a lower bound."""

    items: list[Item]
    problems: list[Problem]


def look_outside(
    root: bytes,
    leads: Iterable[Lead],
    folders: Iterable[OutsideFolder],
    progress: Callable[[int], None] | None = None,
) -> Outside:
    """Count what *leads* and *folders* lead to; each place once, and nothing of the tree."""
    root = os.path.realpath(root)
    found = Outside([], [])
    places = [(lead.kind, lead.path, os.path.join(root, lead.path)) for lead in leads]
    places += [(folder.kind, folder.path, folder.path) for folder in folders]
    known: list[bytes] = []
    for kind, path, place in places:
        target = os.path.realpath(place)
        is_mount = kind == MOUNT
        if not os.path.isdir(target) or any(_within(target, other) for other in known):
            continue
        if _within(target, root) and not is_mount:
            continue
        known.append(target)
        try:
            there = scan(target, skip=(), progress=progress)
        except OSError as exc:
            found.problems.append(Problem(path, exc.strerror or str(exc)))
            continue
        found.problems.extend(
            Problem(os.path.join(path, problem.path), problem.reason) for problem in there.problems
        )
        runs = sum(run.within is None for run in find_runs(there.top))
        note = f"{runs:,} run{'s' * (runs != 1)}" if runs else ""
        leads_on = b"" if target == path or is_mount else target
        found.items.append(
            Item(kind, path, there.top.size(), note=note, outside=True, target=leads_on,
                 folder=there.top)
        )  # fmt: skip
    return found


def _within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep.encode()) + os.sep.encode())
