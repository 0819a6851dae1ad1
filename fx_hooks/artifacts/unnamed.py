"""Weights, and stores of runs, under names that no rule knows: their content tells."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath import looked_into
from fx_hooks.fastpath.unnamed_weights import least_size, may_be_one
from fx_hooks.frameworks.stores import store_rule
from fx_hooks.git.repository import WITH_CONTENT
from fx_hooks.policy.model import WEIGHTS_RULE
from fx_hooks.util.paths import shown
from fx_hooks.weights.magic import HEAD_BYTES, weights_format

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore


class Unnamed(NamedTuple):
    """Files refused for their content: by blob, with the rule, what it is, and its size.

    ``whole`` says that no blob was missing that had to be looked into, ``missing`` which files of
    a partial clone could not.
    """

    refused: Mapping[str, tuple[tuple[str, str], int]]
    whole: bool = True
    missing: Collection[bytes] = ()

    def rule(self, path: bytes, blob: str) -> tuple[str, str] | None:
        """Return the rule that refuses *blob* at *path*, and what it is; None if none does."""
        found = self.refused.get(blob)
        return found[0] if found is not None and found[1] >= least_size(path) else None


def look_into(
    store: ObjectStore,
    paths: Iterable[tuple[bytes, str]],
    sizes: Mapping[str, int | None] | None = None,
) -> Unnamed:
    """Look into the blobs of *paths*: large ones, and smaller ones whose names give a reason to.

    What was looked into before is not opened again. *sizes* are those that are known. Raises
    :class:`~fx_hooks.util.errors.FatalError` where one is lost, and not only not here.
    """
    nothing, known, trees = looked_into.read(store.git_directory)
    paths = list(paths)
    if sizes is None:
        new = (blob for _, blob in paths if bytes.fromhex(blob) not in nothing)
        sizes = store.sizes(dict.fromkeys(new))
    least: dict[bytes, int] = {}
    asked: dict[str, int] = {}
    whole = True
    missing = set()
    for path, blob in paths:
        bound = least.get(path)
        if bound is None:
            bound = least[path] = least_size(path)
        size = sizes.get(blob)
        # Most are small, so their size decides, which is quick to look up.
        if (size is not None and size < bound) or bytes.fromhex(blob) in nothing:
            continue
        if size is not None:
            asked[blob] = size
            continue
        # Of an unmerged path the id is none at all.
        if blob.strip("0") and not store.is_partial():
            raise store.not_here(f"{shown(path)}: its content", blob)
        whole = False
        if blob.strip("0"):
            missing.add(path)
    unknown = [blob for blob in asked if bytes.fromhex(blob) not in known]
    heads = store.heads(unknown, HEAD_BYTES)
    found = {blob: judged(head, asked[blob]) for blob, head in heads.items()}
    if found:
        refused = {bytes.fromhex(blob): rule for blob, rule in found.items() if rule is not None}
        fine = {bytes.fromhex(blob) for blob, rule in found.items() if rule is None}
        known = {**known, **refused}
        looked_into.remember(store.git_directory, (nothing | fine, known, trees))
    rules = ((blob, known.get(bytes.fromhex(blob)), size) for blob, size in asked.items())
    return Unnamed(
        {blob: (rule, size) for blob, rule, size in rules if rule is not None},
        whole and len(found) == len(unknown),
        missing,
    )


def missing_note(paths: Collection[bytes]) -> list[str]:
    """Return a note on the files at *paths*, whose content a partial clone lacks, if any."""
    if not paths:
        return []
    files = "1 file" if len(paths) == 1 else f"{len(paths):,} files"
    return [f"this partial clone lacks content of {files}, so names alone decide: {WITH_CONTENT}"]


def refused_files(root: bytes, paths: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
    """Return the same of files on disk below *root*; nothing but a regular file is one."""
    found = {}
    for path in paths:
        place = os.path.join(root, path)
        try:
            state = os.lstat(place)
            if not stat.S_ISREG(state.st_mode) or state.st_size < least_size(path):
                continue
            with open(place, "rb") as file:
                rule = judged(file.read(HEAD_BYTES), state.st_size)
        except OSError:
            continue
        if rule is not None:
            found[path] = rule
    return found


def judged(head: bytes, size: int) -> tuple[str, str] | None:
    """Return the rule for a file of *size* bytes that begins with *head*; None if there is none."""
    if not may_be_one(head, size):
        return None
    what = weights_format(head, size)
    found = (WEIGHTS_RULE, f"weights of {what}") if what else store_rule(head)
    return found if found[0] else None
