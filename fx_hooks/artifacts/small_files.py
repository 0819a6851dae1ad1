"""Small files known by their content: scripts without a suffix, and pointers of DVC."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from fx_hooks.frameworks.dvc import is_pointer
from fx_hooks.frameworks.dvc.pointers import MAX_BYTES

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore


def pointers(store: ObjectStore, blobs: Mapping[bytes, str]) -> set[bytes]:
    """Return those of the paths, given with their *blobs*, that are pointers of DVC."""
    contents = _small(store, blobs.values())
    return {path for path, blob in blobs.items() if is_pointer(contents.get(blob, b""))}


def is_pointer_file(path: bytes) -> bool:
    """Return True if a file on disk is a pointer of DVC; nothing but a regular file is."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return False
        with open(path, "rb") as file:
            return is_pointer(file.read())
    except OSError:
        return False


def may_be_script(name: bytes) -> bool:
    """Return True if only the first line could tell that a file of that name is source."""
    return b"." not in name.lstrip(b".")


def scripts(store: ObjectStore, blobs: Collection[str]) -> set[str]:
    """Return those of *blobs* that begin like a script: with ``#!`` and an absolute path."""
    contents = _small(store, blobs)
    return {blob for blob, content in contents.items() if content[:3] in (b"#!/", b"#! ")}


def _small(store: ObjectStore, blobs: Collection[str]) -> dict[str, bytes]:
    """Return the contents of those of *blobs* that are small and in this clone."""
    sizes = store.sizes(blobs)
    return store.contents(
        blob for blob, size in sizes.items() if size is not None and size <= MAX_BYTES
    )
