"""Files that cannot be deleted, whatever their permissions say: immutable and append-only ones."""

from __future__ import annotations

import ctypes
import functools
import os
import stat
import sys
from collections.abc import Callable

# statx(2): its numbers are the same on all machines.
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _NO_FIELDS = -100, 0x100, 0
_SIZE, _ATTRIBUTES = 256, slice(8, 16)
_IMMUTABLE, _APPEND = 0x10, 0x20
_BSD = stat.UF_IMMUTABLE | stat.SF_IMMUTABLE | stat.UF_APPEND | stat.SF_APPEND


def is_fixed(path: bytes) -> bool:
    """Return True if *path* itself cannot be deleted; False also where the system does not say."""
    if sys.platform == "linux":
        statx = _statx()
        buffer = ctypes.create_string_buffer(_SIZE)
        if statx is None or statx(_AT_FDCWD, path, _AT_SYMLINK_NOFOLLOW, _NO_FIELDS, buffer):
            return False
        return bool(int.from_bytes(buffer.raw[_ATTRIBUTES], sys.byteorder) & (_IMMUTABLE | _APPEND))
    return bool(getattr(os.lstat(path), "st_flags", 0) & _BSD)


@functools.cache
def _statx() -> Callable[..., int] | None:
    """Return the C library's function, which glibc has since 2.28 and musl since 1.2.4."""
    return getattr(ctypes.CDLL(None), "statx", None)
