"""What takes space outside the work tree: behind its links and mounts, and in W&B's folders.

Nothing in there is this repository's alone, so it is told apart. W&B's places are those of
wandb/env.py (``get_cache_dir``, ``get_data_dir``), which asks platformdirs where no variable
says otherwise.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.runs.layouts import find_runs
from fx_hooks.runs.usage.measure import MOUNT, Item, Lead
from fx_hooks.util.disk import Problem, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

WANDB_ARTIFACTS = "W&B artifact cache"
WANDB_LOGS = "W&B logs"
WANDB_STAGING = "W&B staging"
WANDB_DIR = "WANDB_DIR"


class OutsideFolder(NamedTuple):
    """A folder of W&B's; *kind* says which."""

    kind: str
    path: bytes


def wandb_folders(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[OutsideFolder]:
    """W&B's folders for this user; they need not be there."""
    own_cache = environ.get("WANDB_CACHE_DIR", "")
    cache = own_cache or _user_folder("cache", environ, platform)
    data = environ.get("WANDB_DATA_DIR") or _user_folder("data", environ, platform)
    # wandb-core puts its logs into wandb/logs of the cache folder: the user's, or that one.
    logs = os.path.join(own_cache, "wandb", "logs") if own_cache else os.path.join(cache, "logs")
    places = [
        (WANDB_ARTIFACTS, os.path.join(cache, "artifacts")),
        (WANDB_LOGS, logs),
        (WANDB_STAGING, os.path.join(data, "artifacts", "staging")),
    ]
    if environ.get("WANDB_DIR"):
        places.append((WANDB_DIR, os.path.join(environ["WANDB_DIR"], "wandb")))
    return [OutsideFolder(kind, os.fsencode(os.path.abspath(path))) for kind, path in places]


def _user_folder(use: str, environ: Mapping[str, str], platform: str) -> str:
    """``platformdirs.user_cache_dir("wandb")``, or the same of its data folder."""
    home = environ.get("HOME") or os.path.expanduser("~")
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
        inner = ("wandb", "wandb", "Cache") if use == "cache" else ("wandb", "wandb")
        return os.path.join(base, *inner)
    chosen = environ.get("XDG_CACHE_HOME" if use == "cache" else "XDG_DATA_HOME", "").strip()
    if os.path.isabs(chosen):
        base = chosen
    elif platform == "darwin":
        folder = "Caches" if use == "cache" else "Application Support"
        base = os.path.join(home, "Library", folder)
    else:
        base = os.path.join(home, ".cache" if use == "cache" else ".local/share")
    return os.path.join(base, "wandb")


class Outside(NamedTuple):
    """What was found there; with *problems* sizes are a lower bound."""

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
