"""W&B's folders outside of the repositories.

Its places are those of wandb/env.py (``get_cache_dir``, ``get_data_dir``), which asks
platformdirs where no variable says otherwise.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Freed, OutsideFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fx_hooks.util.disk import Folder

WANDB_ARTIFACTS = "W&B artifact cache"
WANDB_LOGS = "W&B logs"
WANDB_STAGING = "W&B staging"
WANDB_DIR = "WANDB_DIR"


def wandb_folders(
    environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[OutsideFolder]:
    """Return W&B's folders for this user; they need not be there."""
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
    """Return ``platformdirs.user_cache_dir("wandb")``, or the same of its data folder."""
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


def artifacts_free(folder: Folder) -> Freed:
    """Return what W&B's own command takes out of its cache; the folders stay."""
    left = _file_blocks(folder, b"tmp")
    options = "--remove-temp " * bool(left)
    return Freed(
        "artifacts that W&B can download again",
        f"wandb artifact cache cleanup {options}0GB",
        _file_blocks(folder, b"obj") + left,
    )


def logs_free(_folder: Folder) -> Freed:
    """Return that the whole folder may go."""
    return Freed("what W&B's own processes logged", "", 0)


def _file_blocks(folder: Folder, name: bytes) -> int:
    """Return what the files in the folder of that name take."""
    inner = folder.folders.get(name)
    return sum(file[2] for each in inner.walk() for file in each.files) if inner else 0
