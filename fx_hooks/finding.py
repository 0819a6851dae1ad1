"""What was found, apart from how it is shown."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One path that breaks the policy.

    ``path`` is relative to the root, as bytes; ``size`` is that of the blob in the
    index, in bytes, and None where it is unknown (a submodule, a missing blob, a file
    that is not staged). ``group`` is the run or directory that the path is shown with,
    or the path itself. ``tracked`` says that ``HEAD`` has the path already.
    """

    path: bytes
    rule: str
    why: str
    advice: str
    group: bytes
    size: int | None
    tracked: bool
