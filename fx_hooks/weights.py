"""What a file under a weights' name really is, from its content."""

from __future__ import annotations

import os
import pickletools
import stat

from fx_hooks.git import lfs_pointer

# Page templates and Python path files are far smaller; what is larger is not looked at.
TEXT_BYTES = 1 << 16
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r")


def is_text(content: bytes | None) -> bool:
    """Whether the whole *content* is text, and so no weights; None is unknown: no.

    A Git LFS pointer is text and stands for weights; a pickle of protocol 0 is text,
    too. An empty file holds no weights.
    """
    if content is None or len(content) > TEXT_BYTES or lfs_pointer(content) is not None:
        return False
    return content.translate(None, _CONTROL) == content and not _is_pickle(content)


def _is_pickle(content: bytes) -> bool:
    try:
        # The last operation of every pickle is STOP, and nothing else ends the loop.
        for _ in pickletools.genops(content):
            pass
    except (ValueError, IndexError, OverflowError, MemoryError):
        return False
    return True


def read_start(path: bytes) -> bytes | None:
    """The content of a small regular file on disk; None for anything else."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read(TEXT_BYTES + 1)
    except OSError:
        return None
