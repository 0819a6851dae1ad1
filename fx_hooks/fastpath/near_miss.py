"""A quick proof that a tree holds nothing that looks like a policy and is not read.

:mod:`fx_hooks.policy.near_misses` says what that is.
"""

import os

from fx_hooks.fastpath import POLICY, fast_git

_ENDINGS = (b".yaml", b".yml", b".toml", b".json", b".cfg", b".ini", b"hooks")
_SECTIONS = (b"pyproject.toml", b"setup.cfg")


def may_hold_one(paths: "list[bytes]") -> bool:
    """Return True unless surely none of *paths*, all that are tracked, is one or holds one."""
    fresh = set(os.listdir(b".")).difference(paths)
    sections = []
    for path in (*paths, *fresh):
        name = path[path.rfind(b"/") + 1 :]
        if name in _SECTIONS:
            if path in fresh:
                return True
            sections.append(path)
        elif name != POLICY and name.lower().endswith(_ENDINGS) and b"fx" in name[:3].lower():
            return True
    if not sections:
        return False
    # With the headers of sections it finds something, or has failed.
    found = fast_git.output(
        "grep", "--cached", "--no-recurse-submodules", "-h", "-o", "-i", "-E",
        "-e", "fx[-_]?hooks", "-e", "^\\[", "--", *(f"*{os.fsdecode(name)}" for name in _SECTIONS),
    )  # fmt: skip
    return found is None or b"hooks" in found.lower()
