"""Weights, and stores of runs, under names that no rule knows: their content tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fx_hooks.fastpath.unnamed_weights import is_asked, may_be_one
from fx_hooks.frameworks.stores import store_rule
from fx_hooks.policy.model import WEIGHTS_RULE
from fx_hooks.weights.magic import HEAD_BYTES, weights_format

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore


def refused_by_content(
    store: ObjectStore, blobs: Mapping[bytes, str]
) -> dict[bytes, tuple[str, str]]:
    """Return the rule that refuses a path of *blobs* for its content, and what that is.

    Large files are looked into, and smaller ones whose names give a reason to.
    """
    sizes = store.sizes(blobs.values())
    asked = {}
    for path, blob in blobs.items():
        size = sizes.get(blob)
        if size is not None and is_asked(path, size):
            asked[path] = blob
    heads = store.heads(asked.values(), HEAD_BYTES)
    found = {}
    for path, blob in asked.items():
        head = heads.get(blob, b"")
        if not may_be_one(head, sizes[blob] or 0):
            continue
        what = weights_format(head, sizes[blob] or 0)
        rule, store_of = (WEIGHTS_RULE, f"weights of {what}") if what else store_rule(head)
        if rule:
            found[path] = (rule, store_of)
    return found
