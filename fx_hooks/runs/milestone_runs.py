"""Which chosen models came from which runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from fx_hooks.best_models.metadata import SUFFIX
from fx_hooks.best_models.milestones import Milestone, load_contract
from fx_hooks.best_models.staged_models import digest
from fx_hooks.policy.in_force import policy_in_force, staged_text
from fx_hooks.util.disk import NoFileError, files_not_links, files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, Repository
    from fx_hooks.runs.layouts import FoundRun


def milestones_of_runs(
    repository: Repository, index: Mapping[bytes, IndexEntry], found: Sequence[FoundRun]
) -> dict[bytes, list[bytes]]:
    """By run, the chosen models that came from it.

    Their metadata names the run, by W&B's id or address or by its path; or the run still has
    the file itself, by its size and digest, or by its size if that cannot be read. Raises
    :class:`~fx_hooks.util.errors.FatalError` for metadata that cannot be read, which may name a
    run.
    """
    policy = policy_in_force(repository, index).policy
    listed = {}
    entry = index.get(policy.best_models.milestones_file.encode())
    if entry is not None:
        milestones = load_contract(staged_text(repository, entry), policy.best_models)
        listed = {os.fsencode(path): milestone for path, milestone in milestones.items()}
    runs: dict[bytes, list[bytes]] = {}
    folder = policy.best_models.folder.encode()
    for path, content in _metadata(repository, index, folder).items():
        stem = path[: -len(SUFFIX)]
        models = [model for model in listed if os.path.splitext(model)[0] == stem] or [path]
        for run in found:
            if _names_run(content, run):
                runs.setdefault(run.path, []).extend(models)
    for run in found if listed else ():
        for model in _held(run, listed, repository.root):
            runs.setdefault(run.path, []).append(model)
    return runs


def _metadata(
    repository: Repository, index: Mapping[bytes, IndexEntry], folder: bytes
) -> dict[bytes, bytes]:
    """The metadata below *folder*, staged and on disk."""
    suffix = SUFFIX.encode()
    blobs = {
        path: entry.blob
        for path, entry in index.items()
        if path.startswith(folder + b"/") and path.endswith(suffix)
    }
    contents = repository.contents(blobs.values())
    found = {path: contents.get(blob, b"") for path, blob in blobs.items()}
    for here, _, files in os.walk(os.path.join(repository.root, folder), onerror=_unread):
        for name in files:
            if name.endswith(suffix):
                place = os.path.join(here, name)
                path = os.path.relpath(place, repository.root).replace(os.fsencode(os.sep), b"/")
                try:
                    with open(place, "rb", opener=files_only) as file:
                        found[path] = found.get(path, b"") + b"\n" + file.read(1 << 20)
                except (FileNotFoundError, NoFileError):
                    continue  # a link to nothing, or a pipe
                except OSError as exc:
                    _unread(exc)
    return found


def _unread(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise FatalError(
            f"{shown(os.fsencode(exc.filename))}: cannot be read: {exc.strerror}: it may name runs"
            " that models came from"
        ) from exc


def _names_run(metadata: bytes, run: FoundRun) -> bool:
    for path in _spellings(run.path):
        if re.search(rb"(?<![\w.-])" + re.escape(path) + rb"(?![\w.-])", metadata):
            return True
    # As it is, or the last part of an address: https://wandb.ai/ENTITY/PROJECT/runs/ID.
    return bool(run.wandb_id) and any(
        re.search(rb'["/]' + re.escape(name) + rb'(?:["/?#\\\s]|\Z)', metadata)
        for name in _spellings(os.fsencode(run.wandb_id))
    )


def _spellings(name: bytes) -> set[bytes]:
    """How a file can have *name*: as it is, as JSON writes it, or as in an address."""
    text = os.fsdecode(name)
    return {name, json.dumps(text)[1:-1].encode(), quote_from_bytes(name).encode()}


def _held(run: FoundRun, listed: Mapping[bytes, Milestone], root: bytes) -> list[bytes]:
    """Those of the milestones whose content is in *run*."""
    sizes = {milestone.size for milestone in listed.values()}
    held = []
    for folder in run.folder.walk():
        for name, size, _, _, mode in folder.files:
            if size in sizes and stat.S_ISREG(mode):
                found = None
                with (
                    contextlib.suppress(OSError),
                    open(
                        os.path.join(root, folder.path, name), "rb", opener=files_not_links
                    ) as file,
                ):
                    found = digest(file)
                held += [
                    model
                    for model, one in listed.items()
                    if found == one.sha256 or (found is None and size == one.size)
                ]
    return held
