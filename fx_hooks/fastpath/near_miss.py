"""A quick proof that a tree holds nothing that looks like a policy and is not read.

:mod:`fx_hooks.policy.near_misses` says what that is.
"""

import os

from fx_hooks.fastpath import POLICY, fast_git

_ENDINGS = (b".yaml", b".yml", b".toml", b".json", b".cfg", b".ini", b"hooks")
_SECTIONS = (b"pyproject.toml", b"setup.cfg")


def may_hold_one(paths: "list[bytes]") -> bool:
    """Return True unless surely none of *paths*, all that are tracked, is one or holds one."""
    named = [path for path in paths if b"fx" in path.lower()]
    if any(_is_named_like_one(path[path.rfind(b"/") + 1 :]) for path in named):
        return True
    sections = [path for path in paths if path.endswith(_SECTIONS)]
    sections = [path for path in sections if path[path.rfind(b"/") + 1 :] in _SECTIONS]
    if not sections:
        return False
    # With the headers of sections it finds something, or has failed.
    found = fast_git.output(
        "grep", "--cached", "--no-recurse-submodules", "--text", "-h", "-o", "-i", "-E",
        "-e", "fx[-_]?hooks", "-e", "^\\[", "--", *(f"*{os.fsdecode(name)}" for name in _SECTIONS),
    )  # fmt: skip
    return found is None or b"hooks" in found.lower()


def may_be_untracked(listing: bytes) -> bool:
    """Return True if one may lie at the root of the work tree that git's *listing* lacks."""
    try:
        names = os.listdir(b".")
    except OSError:
        return True
    return any(
        (name in _SECTIONS or _is_named_like_one(name)) and not _lists(listing, name)
        for name in names
    )


def _lists(listing: bytes, name: bytes) -> bool:
    """Return True if git's *listing* has *name*, a file of the root."""
    at = listing.find(b"\t" + name + b"\0")
    # A path may have a tab in it, too.
    while at >= 0 and b"\t" in listing[listing.rfind(b"\0", 0, at) + 1 : at]:
        at = listing.find(b"\t" + name + b"\0", at + 1)
    return at >= 0


def _is_named_like_one(name: bytes) -> bool:
    lower = name.lower()
    return name != POLICY and lower.endswith(_ENDINGS) and b"fx" in lower[:3]
