"""Commits of other projects, which ``git subtree`` has brought in: their root is none here.

It says in the trailers of a commit where the other project went. That is the merge which adds it,
or the squashed commit in place of all of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

# git-subtree.sh: add_msg, squash_msg, rejoin_msg
_FOLDER, _SPLIT = "git-subtree-dir", "git-subtree-split"


def subtree_folders(store: ObjectStore, new: Sequence[str]) -> dict[str, bytes]:
    """Return the folder of each commit reachable from *new* that is one of another project.

    It is one if all that it descends from are first commits of projects that ``git subtree`` added.
    """
    if len(store.run("rev-list", "--max-parents=0", *new, "--").split()) < 2:
        return {}  # no other project; to read all messages takes five times as long
    form = "".join(f"%x00%(trailers:key={key},valueonly,separator=)" for key in (_FOLDER, _SPLIT))
    options = ("log", "--no-show-signature", "--no-notes", "--encoding=UTF-8", "--basic-regexp",
               f"--grep=^{_FOLDER}: ")  # fmt: skip
    output = store.run(*options, f"--format=%H{form}", *new, "--")
    added = [line.split(b"\0") for line in output.splitlines() if line.count(b"\0") == 2]
    if not added:
        return {}
    first: dict[str, frozenset[str]] = {}
    parents: dict[str, list[str]] = {}
    for line in store.run("rev-list", "--topo-order", "--reverse", "--parents", *new).splitlines():
        commit, *above = line.decode().split()
        parents[commit] = above
        known = [first[parent] for parent in above if parent in first]
        # Nearly all have what their first parent has.
        whole = known[0] if known else frozenset((commit,))
        for one in known[1:]:
            whole = whole if one <= whole else whole | one
        first[commit] = whole
    folders: dict[str, bytes] = {}
    for name, folder, split in added:
        merge, own = name.decode(), split.decode("ascii", "replace").strip()
        if len(parents.get(merge, ())) < 2:
            # It stands for all commits of the other project; the one above it adds it.
            own = merge
            merge = next((one for one, above in parents.items() if own in above[1:]), "")
        place = os.path.normpath(folder.strip())
        if merge and _is_added(store, merge, place, own):
            folders |= dict.fromkeys(first.get(own, ()), place)
    return {
        commit: folders[min(roots)] for commit, roots in first.items() if roots <= folders.keys()
    }


def _is_added(store: ObjectStore, merge: str, folder: bytes, own: str) -> bool:
    """Return True if *merge* has all of *own* in *folder*: what commits say is not proof."""
    wanted = (f"{merge}:{os.fsdecode(folder)}", f"{own}^{{tree}}")
    found = store.run("rev-parse", "--verify", *wanted[:1], codes=(0, 128))
    return bool(found) and found == store.run("rev-parse", "--verify", wanted[1], codes=(0, 128))
