"""Files in W&B's folder of a run that W&B was not told to send.

Before 0.18, clients sent all that lay in ``files/`` when the run ended. Since then they send
what they write themselves, and what ``wandb.save`` and the like hand over, which is in the log.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from fx_hooks.frameworks.wandb.names import SYNCED_MARK
from fx_hooks.frameworks.wandb.record import read_wandb_files
from fx_hooks.util.disk import files_not_links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fx_hooks.util.disk import Folder

# wandb/sdk/lib/filenames.py, wandb/sdk/lib/gitlib.py, core/pkg/server: patches against upstream.
_OWN = re.compile(
    rb"config\.yaml|output(?:_\d+_\d+)?\.log|(?:upstream_)?diff(?:_[0-9a-f]+)?\.patch"
    rb"|wandb-(?:summary|metadata|jobspec)\.json|wandb-(?:history|events)\.jsonl"
    rb"|requirements\.txt|conda-environment\.yaml|description\.md"
)
# What W&B fills itself, and says elsewhere in the log.
_OWN_FOLDERS = frozenset((b"media", b"code", b"artifact", b"artifacts"))
_FILES, _LOGS, _TEMPORARY = b"files", b"logs", b"tmp"
# What desktops and Python leave wherever somebody looks.
_LITTER = frozenset((b".DS_Store", b"Thumbs.db", b"desktop.ini", b".directory"))


def unsent_file(folder: Folder, place: bytes, log: bytes) -> bytes | None:
    """Return the first file in *folder*, the run at *place*, that W&B may not have; or None."""
    asked = _elsewhere(folder, log)
    files = folder.folders.get(_FILES)
    if files is not None:
        asked += [_FILES + b"/" + name for name in _regular(files) if not _OWN.fullmatch(name)]
        for name, inner in sorted(files.folders.items()):
            if name not in _OWN_FOLDERS:
                asked += _below(inner, _FILES + b"/" + name + b"/")
    if not asked:
        return None
    told = _told(os.path.join(place, log))
    return next((path for path in asked if path not in told), None)


def files_to_have(folder: Folder, log: bytes) -> tuple[dict[str, int], tuple[bytes, ...]]:
    """Return what the server has to have of the run in *folder*, and what it cannot have.

    The first are the files in ``files/`` by their names there, with their sizes in bytes. The
    others are paths in *folder*.
    """
    files = folder.folders.get(_FILES)
    return {} if files is None else dict(_sizes(files, b"")), tuple(_elsewhere(folder, log))


def _elsewhere(folder: Folder, log: bytes) -> list[bytes]:
    """Return the files in *folder* that are neither in ``files/`` nor W&B's own."""
    own = (log, log + SYNCED_MARK, log + b".syncstate")
    found = [name for name in _regular(folder) if name not in own]
    for name, inner in sorted(folder.folders.items()):
        if name not in (_LOGS, _TEMPORARY, _FILES):
            found += _below(inner, name + b"/")
    return found


def _sizes(folder: Folder, start: bytes) -> Iterator[tuple[str, int]]:
    regular = set(_regular(folder))
    for name, size, *_ in folder.files:
        if name in regular:
            yield os.fsdecode(start + name), size
    for name, inner in sorted(folder.folders.items()):
        yield from _sizes(inner, start + name + b"/")


def _regular(folder: Folder) -> list[bytes]:
    return [
        name
        for name, _, _, _, mode in folder.files
        if stat.S_ISREG(mode) and name not in _LITTER and not name.startswith(b"._")
    ]


def _below(folder: Folder, start: bytes) -> list[bytes]:
    paths = [start + name for name in _regular(folder)]
    for name, inner in sorted(folder.folders.items()):
        paths += _below(inner, start + name + b"/")
    return paths


def _told(log: bytes) -> set[bytes]:
    """Return the paths of the files that the log says are to be sent."""
    try:
        with open(log, "rb", opener=files_not_links) as file:
            names = read_wandb_files(file)
    except OSError:
        return set()
    # wandb.save escapes them, as they are patterns to the client.
    spelled = {*names, *(re.sub(r"\[([*?[])\]", r"\1", name) for name in names)}
    return {_FILES + b"/" + os.fsencode(name).replace(b"\\", b"/") for name in spelled}
