"""A walk over commits: every path they bring in with its blob, also if deleted later.

A commit brings in what it has and none of its parents has: the same path with the same
content and mode. So a merge brings in only what was changed while merging; what it
takes over from a side is that side's, and is found at the commit there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath.commit_range import LOG
from fx_hooks.git.repository import lost
from fx_hooks.reporting.finding import Commit

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

_COLON = 0x3A
_BOUNDARY = "-"  # what %m says of a commit that the range stands on
# In no other encoding: what is not in the one that a commit says has no date then.
_LOG = (*LOG, "-c", "--boundary", "--encoding=none", "--format=%m %H %ct")
# The same of commits that are given; with `--always` also of those that bring in nothing.
_DIFF = (
    "diff-tree", "--stdin", "-r", "-c", "--root", "--always", "--raw", "-z", "--no-abbrev",
    "--no-renames", "--no-relative", "--ignore-submodules=none", "-O/dev/null",
)  # fmt: skip
_GONE = b"000000"
# So many parts are made of a whole history, unless they have fewer commits than are worth it.
_PARTS, _FEW = 16, 500


class Introduction(NamedTuple):
    """One path that one commit brings in.

    ``commit`` is the commit's number in :attr:`Walk.commits`.
    """

    commit: int
    path: bytes
    mode: int
    blob: str


Row = tuple[int, bytes, int, str]  # the fields of an introduction


class Walk:
    """All that the commits reachable from *new* and not from *old* bring in.

    Both are object ids, or options of ``git rev-list`` that stand for some (``--all``,
    ``--remotes=origin``). With *paths* only what is at or below these counts. It is read
    once, while git still walks; ``commits`` (their full ids) and ``times`` (of committing,
    in seconds since 1970) may grow meanwhile, the newest commit first; ``removed`` are the
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

    def __iter__(self) -> Iterator[Introduction]:
        for rows in self.batches():
            yield from map(Introduction._make, rows)

    def batches(self) -> Iterator[list[Row]]:
        """Yield the same in lists, and as plain tuples: there may be millions."""
        whole = self._new[:1] == ["--all"] and not self._old and not self._paths
        modes: dict[bytes, int] = {}
        number = -1
        outside = False
        left: tuple[bytes, ...] = ()
        for batch in self._differences() if whole else self._log():
            found: list[Row] = []
            fields = chain(left, batch)
            left = ()
            for field in fields:
                # Behind what a log says of a commit a line ends.
                head = field if field[:1] != b"\n" else field.lstrip(b"\n")
                if not head:
                    continue
                if head[0] != _COLON:
                    number += 1
                    if not whole:
                        mark, commit, time = head.decode().split(" ")
                        outside = mark == _BOUNDARY
                        if outside:
                            number -= 1
                            self.boundary.append(commit)
                        else:
                            self.commits.append(commit)
                            self.times.append(int(time or 0))  # it may have none that git can read
                    continue
                path = next(fields, None)
                if path is None:
                    left = (head,)
                    break
                if outside:
                    continue
                if head[1] != _COLON:
                    # `:100644 100644 ID ID M`: of one parent all has its place; most have one.
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
                found.append((number, path, known, blob.decode()))
            yield found
        if number + 1 != len(self.commits):
            # `diff-tree` says nothing of commits that it cannot read.
            raise lost("a commit")

    def _log(self) -> Iterator[Sequence[bytes]]:
        """Yield the fields of what git says of the commits, the newest first."""
        # There may be more ids than a command line can hold.
        ids = [name for name in self._new if not _is_option(name)]
        ids += [f"^{name}" for name in self._old if not _is_option(name)]
        options = [name for name in self._new if _is_option(name)]
        options += ["--not", *(name for name in self._old if _is_option(name))]
        stdin = "".join(f"{name}\n" for name in ids).encode()
        return self._store.batches((*_LOG, "--stdin", *options, "--", *self._paths), (stdin,))

    def _differences(self) -> Iterator[Sequence[bytes]]:
        """Yield the same of a whole history in half the time; its commits are known first.

        To compare trees is most of the work, and git does it on one core. So each git gets a part
        of the commits, and two work at a time. They read no messages, which takes a tenth of it.
        """
        listed = self._store.run("rev-list", "--timestamp", *self._new).split()
        self.times += map(int, listed[::2])
        ids = listed[1::2]
        self.commits += map(bytes.decode, ids)
        size = max(_FEW, -(-len(ids) // _PARTS))
        parts = (ids[start : start + size] for start in range(0, len(ids), size))
        return self._store.batches(_DIFF, (b"\n".join((*part, b"")) for part in parts))


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
