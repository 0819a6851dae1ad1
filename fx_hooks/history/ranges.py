"""Which commits somebody means: refs, what git says to its hooks, what runners say.

A :class:`Range` is a new side and what is known already; git walks from the one to the
other (``git rev-list NEW --not OLD``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.errors import FatalError
from fx_hooks.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git import ObjectStore

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_ZERO = re.compile(r"0+\Z")
_REFS = ("refs/heads", "refs/tags")


class Range(NamedTuple):
    """Commits reachable from ``tip`` and from none of ``old``.

    ``old`` are commit ids, and options of ``git rev-list`` such as ``--remotes=origin``.
    ``name`` is what people call the tip.
    """

    name: str
    tip: str
    old: tuple[str, ...]


def between(store: ObjectStore, old: str, new: str) -> list[Range]:
    """What *new* has and *old* has not; zeros for *old* mean that there is nothing old."""
    tip = commit(store, new)
    if _ZERO.match(old):
        return [Range(new, tip, ("--remotes",))]
    return [Range(new, tip, (commit(store, old),))]


def dotted(store: ObjectStore, text: str) -> list[Range]:
    """The range ``A..B``; either side may be left out, and is then ``HEAD``."""
    old, dots, new = text.partition("..")
    if not dots:
        raise FatalError(f"{text}: is no range: write {text}..HEAD, or origin/main..{text}")
    return between(store, old or "HEAD", new.removeprefix(".") or "HEAD")


def unpublished(store: ObjectStore, *, remote: str = "") -> list[Range]:
    """What ``HEAD`` has and no remote, or not the one called *remote*."""
    return [Range("HEAD", commit(store, "HEAD"), (_remotes(remote),))]


def handed_on(
    store: ObjectStore, environ: Mapping[str, str], *, given_only: bool
) -> list[Range] | None:
    """What pre-commit and prek say in their environment; None if they say nothing.

    In ``pre-push`` they hand on the first ref alone, and of a first push no old side; so
    there all branches and tags count, as far as the remote does not have them yet, unless
    *given_only*.
    """
    old, new = environ.get("PRE_COMMIT_FROM_REF"), environ.get("PRE_COMMIT_TO_REF")
    remote = environ.get("PRE_COMMIT_REMOTE_NAME")
    if remote is None:
        return between(store, old, new) if old and new else None
    known = _remotes(remote) if _is_remote(store, remote) else "--remotes"
    ranges = []
    if new and not _ZERO.match(new):
        before = (old,) if old and not _ZERO.match(old) and _exists(store, old) else ()
        name = environ.get("PRE_COMMIT_LOCAL_BRANCH") or new
        ranges.append(Range(_short(name), commit(store, new), (*before, known)))
    if not ranges and not given_only:
        ranges += unpublished(store, remote=remote if known != "--remotes" else "")
    if not given_only:
        have = {entry.tip for entry in ranges}
        ranges += [
            Range(_short(name), tip, (known,))
            for name, tip in _tips(store, _REFS)
            if tip not in have
        ]
    return ranges


def pushed(store: ObjectStore, lines: Iterable[bytes], remote: str) -> list[Range]:
    """What git tells its ``pre-push`` hook: ``LOCAL-REF ID REMOTE-REF ID``, a ref a line."""
    known = (_remotes(remote),) if remote and _is_remote(store, remote) else ()
    updates = [_fields(line, 4, "pre-push") for line in lines]
    # What another ref of the remote had before this push is not new either.
    had = {words[3] for words in updates if not _ZERO.match(words[3])}
    had = {name for name in had if _exists(store, name)}
    return [
        Range(_short(words[0]), commit(store, words[1], words[0]), (*known, *sorted(had)))
        for words in updates
        if not _ZERO.match(words[1])  # a deletion
    ]


def received(store: ObjectStore, lines: Iterable[bytes]) -> list[Range]:
    """What git tells a server's ``pre-receive`` hook: ``OLD-ID NEW-ID REF``, a ref a line."""
    return [
        Range(_short(words[2]), commit(store, words[1], words[2]), ("--all",))
        for words in (_fields(line, 3, "pre-receive") for line in lines)
        if not _ZERO.match(words[1])
    ]


def everything(store: ObjectStore) -> list[tuple[str, str]]:
    """All refs that lead to commits, with their commits; ``HEAD`` too if it is detached."""
    tips = _tips(store, ("refs",))
    found = head(store)
    if found is not None and found not in {tip for _, tip in tips}:
        tips.append(("HEAD", found))
    return tips


def head(store: ObjectStore) -> str | None:
    """The commit id of ``HEAD``; None before the first commit."""
    found = store.run("rev-parse", "-q", "--verify", "HEAD^{commit}", codes=(0, 1))
    return found.decode().strip() or None


def shallow_commits(store: ObjectStore) -> set[str]:
    """The commits at which a shallow clone has been cut off."""
    place = store.run("rev-parse", "--git-path", "shallow")[:-1]
    try:
        with open(place, "rb") as file:
            return set(file.read().decode("ascii", "replace").split())
    except OSError:
        return set()


def without_remote(store: ObjectStore, ids: Sequence[str]) -> set[str]:
    """Those of the commits *ids* that no remote has."""
    stdin = "".join(f"{name}\n" for name in ids).encode()
    found = store.run("rev-list", "--stdin", "--not", "--remotes", stdin=stdin)
    return set(ids) & set(found.decode().split())


def parents(store: ObjectStore, ids: Sequence[str]) -> dict[str, list[str]]:
    """The parents of each of the commits *ids*."""
    stdin = "".join(f"{name}\n" for name in ids).encode()
    found = store.run("rev-list", "--no-walk=unsorted", "--parents", "--stdin", stdin=stdin)
    lines = (line.split() for line in found.decode().splitlines())
    return {words[0]: words[1:] for words in lines}


def _fields(line: bytes, count: int, hook: str) -> list[str]:
    words = os.fsdecode(line).split(" ")
    ids = [words[1], words[-1]] if count == 4 and len(words) >= 4 else words[:2]
    if len(words) != count or not all(_ID.match(name) for name in ids):
        raise FatalError(
            f"standard input is not what git gives a {hook} hook: {shown(line)}: let git start it"
        )
    return words


def _tips(store: ObjectStore, prefixes: Sequence[str]) -> list[tuple[str, str]]:
    """Refs and their commits; what leads to no commit (a tag of a file) is left out."""
    form = "--format=%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)%00%(refname)"
    found = []
    for line in store.run("for-each-ref", form, *prefixes).split(b"\n")[:-1]:
        kind, name, peeled_kind, peeled, ref = line.split(b"\0")
        if kind == b"commit":
            found.append((os.fsdecode(ref), name.decode()))
        elif peeled_kind == b"commit":
            found.append((os.fsdecode(ref), peeled.decode()))
    return found


def commit(store: ObjectStore, name: str, ref: str = "") -> str:
    """The commit that *name* leads to."""
    spec = f"{name}^{{commit}}"
    found = store.run("rev-parse", "-q", "--verify", "--end-of-options", spec, codes=(0, 1, 128))
    if found:
        return found.decode().split()[-1]
    said = ref or name
    if _exists(store, name):
        raise FatalError(f"{said}: leads to no commit, so nothing can be said of it: leave it out")
    if shallow_commits(store):
        raise FatalError(
            f"{said}: is not in this clone, which is shallow: git fetch --unshallow, or check out"
            " with full depth"
        )
    if name == "HEAD":
        raise FatalError("HEAD: there is no commit yet")
    raise FatalError(f"{said}: there is no such commit here: fetch it, or name another one")


def _exists(store: ObjectStore, name: str) -> bool:
    found = store.run("rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{}}",
                      codes=(0, 1, 128))  # fmt: skip
    return bool(found)


def _is_remote(store: ObjectStore, name: str) -> bool:
    return name in os.fsdecode(store.run("remote")).split("\n")


def _remotes(name: str) -> str:
    return f"--remotes={name}" if name else "--remotes"


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/"):
        ref = ref.removeprefix(prefix)
    return ref
