"""One milestone: a model that a person chose for Git."""

from __future__ import annotations

import re
from typing import NamedTuple

from fx_hooks.weights.torch_allows import is_blocked

GLOBAL = re.compile(r"[^\W\d]\w*(?:[.][^\W\d]\w*)+")


def can_be_allowed(name: str) -> bool:
    """Return True if ``allow_globals`` takes *name*: a dotted name without a blocked module."""
    return GLOBAL.fullmatch(name) is not None and not is_blocked(name)


class Milestone(NamedTuple):
    """One approved model.

    ``sha256`` (64 lower-case hex digits) and ``size`` (bytes) pin its content, ``why``
    and ``approved`` (a date, ``YYYY-MM-DD``) say who may rely on it. ``format`` is the name
    of a :class:`fx_hooks.weights.inspection.Format` or None; ``allow_globals`` are names that
    its pickle may import beyond what torch accepts. ``line`` is where it is listed.
    ``artifact`` is the address of the file that it is a copy of, in an artifact of W&B's with
    the digest ``artifact_digest``.
    """

    path: str
    sha256: str
    size: int
    why: str
    approved: str
    by: str | None = None
    format: str | None = None
    allow_globals: tuple[str, ...] = ()
    line: int = 0
    artifact: str | None = None
    artifact_digest: str | None = None

    def place(self, source: str) -> str:
        """Return where the file *source* lists it, as far as it does."""
        return f"{source}:{self.line}" if self.line else source
