"""A temporary file with the same type on every system."""

from __future__ import annotations

from typing import BinaryIO, cast


def nameless_file() -> BinaryIO:
    """Return a file that is gone when it is closed."""
    import tempfile  # seldom needed, and slow to import

    # On Windows it is a wrapper, with the same methods.
    return cast("BinaryIO", tempfile.TemporaryFile())
