"""A walk over commits: every path they bring in with its blob, also if deleted later.

A commit brings in what it has and none of its parents has: the same path with the same
content and mode. So a merge brings in only what was changed while merging; what it
takes over from a side is that side's, and is found at the commit there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath.commit_range import LOG
from fx_hooks.reporting.finding import Commit

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

_COLON = 0x3A
_BOUNDARY = "-"  # what %m says of a commit that the range stands on
_LOG = (*LOG, "-c", "--boundary", "--format=%m %H %ct")
_GONE = b"000000"


class Introduction(NamedTuple):
    """One path that one commit brings in.

    ``commit`` is the commit's number in :attr:`Walk.commits`.
    """

    commit: int
    path: bytes
    mode: int
    blob: str


class Walk:
    """All that the commits reachable from *new* and not from *old* bring in.

    Both are object ids, or options of ``git rev-list`` that stand for some (``--all``,
    ``--remotes=origin``). With *paths* only what is at or below these counts. It is read
    once, while git still walks; ``commits`` (their full ids) and ``times`` (of committing,
    in seconds since 1970) grow meanwhile, the newest commit first; ``removed`` are the
    paths that some commit takes away, ``boundary`` the commits of *old* that the others
    stand on.
    """

    def __init__(
        self,
        store: ObjectStore,
        new: Iterable[str],
        old: Iterable[str] = (),
        paths: Iterable[bytes] = (),
    ) -> None:
        self.commits: list[str] = []
        self.times: list[int] = []
        self.removed: set[bytes] = set()
        self.boundary: list[str] = []
        self._store = store
        self._new, self._old = list(new), list(old)
        self._paths = [f":(top,literal){os.fsdecode(path)}" for path in paths]

    def _fields(self) -> Iterator[bytes]:
        """Yield the fields that git prints, the newest commit first."""
        if self._new[:1] == ["--all"] and not self._old and not self._paths:
            # git compares trees on one core. Which commits there are is quickly said, and two
            # of it then take half of them each.
            known = self._store.run("rev-list", *self._new).splitlines(keepends=True)
            half = len(known) // 2
            halves = [b"".join(part) for part in (known[:half], known[half:]) if part]
            return self._store.streams((*_LOG, "--no-walk=unsorted", "--stdin", "--"), halves)
        # There may be more ids than a command line can hold.
        ids = [name for name in self._new if not _is_option(name)]
        ids += [f"^{name}" for name in self._old if not _is_option(name)]
        options = [name for name in self._new if _is_option(name)]
        options += ["--not", *(name for name in self._old if _is_option(name))]
        stdin = "".join(f"{name}\n" for name in ids).encode()
        return self._store.stream(*_LOG, "--stdin", *options, "--", *self._paths, stdin=stdin)

    def __iter__(self) -> Iterator[Introduction]:
        fields = self._fields()
        number = -1
        outside = False
        modes: dict[bytes, int] = {}
        for field in fields:
            head = field.lstrip(b"\n")
            if not head:
                continue
            if head[0] != _COLON:
                mark, commit, time = head.decode().split(" ")
                outside = mark == _BOUNDARY
                if outside:
                    self.boundary.append(commit)
                else:
                    self.commits.append(commit)
                    self.times.append(int(time))
                    number += 1
                continue
            path = next(fields)
            if outside:
                continue
            if head[1] != _COLON:
                # `:100644 100644 ID ID M`: of one parent all has its place, and most have one.
                width = (len(head) - 18) >> 1
                mode, blob = head[8:14], head[16 + width : 16 + 2 * width]
            else:
                words = head.split(b" ")
                # One mode and one id a parent, then those of the commit itself.
                mode, blob = words[len(words) // 2 - 1], words[-2]
            if mode == _GONE:
                self.removed.add(path)
                continue
            known = modes.get(mode)
            if known is None:
                known = modes[mode] = int(mode, 8)
            yield Introduction(number, path, known, blob.decode())


def _is_option(name: str) -> bool:
    return name.startswith("--")


def describe(store: ObjectStore, ids: Iterable[str]) -> dict[str, Commit]:
    """Return the subject and date of commits, by their full ids."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    stdin = "".join(f"{name}\n" for name in wanted).encode()
    options = ("--no-walk=unsorted", "-z", "--no-show-signature", "--no-notes",
               "--encoding=UTF-8")  # fmt: skip
    form = "--format=%H%x01%cI%x01%s"
    found = {}
    for record in store.stream("log", *options, form, "--stdin", stdin=stdin):
        name, date, subject = record.decode("utf-8", "replace").split("\x01", 2)
        found[name] = Commit(name, subject, date)
    return found
