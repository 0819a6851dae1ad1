"""Proves that a commit does not touch ``best_models``."""

import os

from fx_hooks.fastpath import POLICY, fast_git

FOLDER = b"best_models"  # as in the built-in policy


def proven_untouched() -> bool:
    """Return True if something is staged, and none of it concerns the chosen models.

    True is certain; False means that the command has to look closely: where a repository
    has moved the folder, that is every time.
    """
    try:
        with open(POLICY, "rb") as file:
            policy = file.read()
    except OSError:
        # What is not on disk, but in the index, is found below when it changes.
        policy = b"" if not os.path.lexists(POLICY) else b"folder"
    # A quoted key could be spelled with escapes; each project has a folder of its own.
    if b"folder" in policy or b"projects" in policy or b"\\" in policy:
        return False
    output = fast_git.output(
        "diff-index", "--cached", "--name-only", "-z", "--no-renames",
        "--ignore-submodules=none", "HEAD", "--",
    )  # fmt: skip
    if not output:
        return False
    staged = b"\0" + output
    return not (
        b"\0" + FOLDER + b"/" in staged
        or b"\0" + FOLDER + b"\0" in staged
        or b"\0" + POLICY + b"\0" in staged
        or b"\0.gitattributes\0" in staged
    )
