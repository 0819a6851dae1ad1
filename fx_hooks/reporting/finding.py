"""Findings, apart from how they are shown."""

from __future__ import annotations

from typing import NamedTuple


class Commit(NamedTuple):
    """A commit that brings something in: its full object id, its subject, an ISO 8601 date."""

    id: str
    subject: str
    date: str


class Finding(NamedTuple):
    """One path that breaks the policy.

    ``path`` is relative to the root, as bytes; ``size`` is that of the blob in the
    index, in bytes, and None where it is unknown (a submodule, a missing blob, a file
    that is not staged). ``group`` is the run or directory that the path is shown with,
    or the path itself. ``tracked`` says that ``HEAD`` has the path already. ``line``
    counts from 1, where one line of a text file is at fault.

    The rest is said of a range of commits: the ``commit`` that brings the path in, the
    object id of its ``blob``, whether the newest commit still has it there (``in_tip``),
    and how often the range has the blob (``occurrences``).
    """

    path: bytes
    rule: str
    why: str
    advice: str
    group: bytes
    size: int | None
    tracked: bool
    line: int | None = None
    commit: Commit | None = None
    blob: str | None = None
    in_tip: bool | None = None
    occurrences: int | None = None
