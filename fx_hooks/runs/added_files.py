"""Files that people put into a run after its end, or that no program writes by itself.

A run stays for it: notes, labels and figures may exist nowhere else. Two signs tell. A file
was written more than a day after the last record of the run's own: a line of its log, W&B's
record, a checkpoint. Or it is a document, a notebook, a data base or one of DVC's files, and
nothing that the run has recorded names it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING

from fx_hooks.runs.contents import LOGS, Contents, around, by_hand
from fx_hooks.runs.layouts import WANDB_RUN, FoundRun
from fx_hooks.util.disk import files_not_links
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

DAY = 24 * 3600.0
_CHECKPOINTS = (
    b".ckpt", b".pt", b".pth", b".safetensors", b".bin", b".h5", b".keras", b".onnx", b".pkl",
)  # fmt: skip
# What desktops and Python leave wherever somebody looks.
_LITTER = frozenset((b".DS_Store", b"Thumbs.db", b"desktop.ini", b".directory"))
_LITTER_ENDS = (b".pyc", b".synced", b".syncstate")
# `wandb sync` of some versions writes them again.
_REWRITTEN = frozenset(
    (b"config.yaml", b"wandb-summary.json", b"wandb-metadata.json", b"output.log")
)
# Libraries write a README.md to each model that they save, next to these.
_CARD, _SAVED = b"README.md", frozenset(
    (b"adapter_config.json", b"adapter_model.safetensors", b"model.safetensors", b"config.json",
     b"training_args.bin", b"pytorch_model.bin")
)  # fmt: skip
_MOST = 64 << 20  # of a record that is looked through for names


def find_added(contents: Mapping[bytes, Contents], root: bytes) -> dict[bytes, str]:
    """By run, the first file that somebody may have put there; most runs have none.

    What lies in a run also keeps the runs around it.
    """
    runs = {path: each.run for path, each in contents.items()}
    first: dict[bytes, tuple[bytes, str]] = {}
    for each in contents.values():
        for found in _added(each, root):
            for path in around(each.run.path, runs):
                first[path] = min(first.get(path, found), found, key=itemgetter(0))
    return {path: reason for path, (_, reason) in first.items()}


def _added(contents: Contents, root: bytes) -> Iterator[tuple[bytes, str]]:
    """Those of the files in a run, and in no run in it, that were added; each with a reason."""
    run, end = contents.run, contents.recorded
    # Most runs are told by their newest file: only what is that much newer can be added.
    if end and run.folder.size().newest > end + DAY:
        end = _with_checkpoints(run, end)
        for folder, path in contents.folders:
            for name, _, _, mtime, mode in folder.files:
                if mtime > end + DAY and stat.S_ISREG(mode) and not _is_litter(name, folder):
                    place = path + b"/" + name
                    yield place, f"{shown(place)} was written long after the run had ended"
    texts: list[bytes] | None = None
    for folder, path, name, mtime in contents.by_hand:
        if _is_litter(name, folder):
            continue
        late = not end or mtime > end + DAY
        if not late and (_is_copied(run, path) or _is_card(name, folder)):
            continue
        if texts is None:
            texts = list(_recorded(run, root))
        named = re.compile(rb"(?<![\w.-])" + re.escape(name) + rb"(?!\w)")
        if not any(named.search(text) for text in texts):
            kind = by_hand(name)
            yield path, f"{shown(path)} is {kind}, and nothing in the run says that it wrote it"


def _with_checkpoints(run: FoundRun, end: float) -> float:
    """Return the end of the run, where checkpoints went on after its logs, a day apart at most."""
    times = sorted(
        mtime
        for folder in run.folder.walk()
        for name, _, _, mtime, _ in folder.files
        if mtime > end and name.endswith(_CHECKPOINTS)
    )
    for time in times:
        if time > end + DAY:
            break
        end = time
    return end


def _is_litter(name: bytes, folder: Folder) -> bool:
    if name in _REWRITTEN and folder.name == b"files":
        return True
    return name in _LITTER or name.endswith(_LITTER_ENDS) or name.startswith(b"._")


def _is_copied(run: FoundRun, path: bytes) -> bool:
    """Return True if W&B has put there what it keeps: then it accounts for that."""
    below = path[len(run.path) :].split(b"/")[1:2]
    return run.kind == WANDB_RUN and below in ([b"files"], [b"tmp"])


def _is_card(name: bytes, folder: Folder) -> bool:
    return name == _CARD and not _SAVED.isdisjoint(folder.names())


def _recorded(run: FoundRun, root: bytes) -> Iterator[bytes]:
    """Yield what the logs and the configuration of *run*, and of those in it, say."""
    for folder in run.folder.walk():
        for name, _, _, _, mode in folder.files:
            if stat.S_ISREG(mode) and (
                name.endswith(LOGS) or (folder.name in (b".hydra", b"files") and b".yaml" in name)
            ):
                try:
                    place = os.path.join(root, folder.path, name)
                    with open(place, "rb", opener=files_not_links) as file:
                        yield file.read(_MOST)
                except OSError:
                    continue  # what cannot be read accounts for nothing
