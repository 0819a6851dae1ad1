"""Parsers of commit ranges: refs, the input of git's hooks, the environment of runners.

A :class:`Range` is a new side and what is known already; git walks from the one to the
other (``git rev-list NEW --not OLD``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.git.pushing import pushes_one_ref
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_ZERO = re.compile(r"0+\Z")
_REFS = ("refs/heads", "refs/tags")
_TAGS = "refs/tags/"
STASH = "refs/stash"
_DELETED = "(delete)"  # what git calls the local side of a deletion
# Where git looks for a name, in its order.
_PLACES = ("refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")


class Range(NamedTuple):
    """Commits reachable from ``tip`` and from none of ``old``.

    ``old`` are commit ids, and options of ``git rev-list`` such as ``--remotes=origin``.
    ``name`` is what people call the tip, ``ref`` the ref that leads to it, as far as known.
    """

    name: str
    tip: str
    old: tuple[str, ...]
    ref: str = ""


def between(store: ObjectStore, old: str, new: str) -> list[Range]:
    """Return the range that *new* has and *old* has not; zeros for *old* mean nothing is old."""
    if _ZERO.match(old):
        return [Range(new, commit(store, new), ("--remotes",))]
    tip, known = _commits(store, (new, old))
    return [Range(new, tip, (known,))]


def parse(store: ObjectStore, text: str) -> list[Range]:
    """Parse the range ``A..B``; without ``B`` up to ``HEAD``."""
    old, dots, new = text.partition("..")
    if not dots:
        raise FatalError(f"{text}: is not a range: write {text}..HEAD, or origin/main..{text}")
    if not old:
        # To git it is HEAD; in a script it is a variable that is not set.
        raise FatalError(
            f"{text}: has no old side: write OLD{text}, where OLD is the last commit"
            " that is already known"
        )
    return between(store, old, new.removeprefix(".") or "HEAD")


def unpublished(store: ObjectStore) -> list[Range]:
    """Return the ranges that ``HEAD`` has and no remote."""
    return [Range("HEAD", commit(store, "HEAD"), ("--remotes",))]


def from_runner(
    store: ObjectStore, environ: Mapping[str, str], *, given_only: bool, tags: bool = False
) -> list[Range] | None:
    """Parse the environment that pre-commit and prek set; None if they say nothing.

    In ``pre-push`` they hand on the first ref alone, and of a first push no old side; so
    there all branches count, as far as the remote does not have them yet, unless *given_only*, or
    unless the push was surely told to push one ref. Tags count if *tags*, or if git is set to push
    them along: most are never pushed.
    """
    old, new = environ.get("PRE_COMMIT_FROM_REF"), environ.get("PRE_COMMIT_TO_REF")
    remote = environ.get("PRE_COMMIT_REMOTE_NAME")
    if remote is None:
        return between(store, old, new) if old and new else None
    known = _remotes(store, remote) or ("--remotes",)
    name = environ.get("PRE_COMMIT_LOCAL_BRANCH") or new or "HEAD"
    # Of a first push pre-commit says only which branch it is.
    new = new or name
    ranges = []
    if not _ZERO.match(new) and new != _DELETED:
        before = (old,) if old and not _ZERO.match(old) and _exists(store, old) else ()
        ranges.append(Range(_short(name), commit(store, new, name), (*before, *known), name))
    if given_only:
        return ranges
    follow = ("config", "--type=bool", "--get", "push.followTags")
    tags = tags or store.run(*follow, codes=(0, 1)).strip() == b"true"
    branches = not (ranges and pushes_one_ref(store, remote))
    refs = (*_REFS[:1] * branches, *_REFS[1:] * tags)
    if not refs:
        return ranges
    rest = [Range(_short(ref), tip, known, ref) for ref, tip in _tips(store, refs)[0]]
    return ranges + _news(store, rest, known, ranges)


def published_tags(store: ObjectStore, environ: Mapping[str, str]) -> set[str]:
    """Return the commits of the tags that the remote of a push has.

    No clone knows them, so the remote is asked. Raises :class:`FatalError` if it does not
    answer.
    """
    remote = environ.get("PRE_COMMIT_REMOTE_URL") or environ.get("PRE_COMMIT_REMOTE_NAME", "")
    return store.remote_tags(remote)


def is_other_tag(one: Range, ranges: Sequence[Range]) -> bool:
    """Return True if *one* is a tag that counts only because the pushed refs are unknown."""
    return one.ref.startswith(_TAGS) and one is not ranges[0]


def from_pre_push(store: ObjectStore, lines: Iterable[bytes], remote: str) -> list[Range]:
    """Parse git's input to ``pre-push``: ``LOCAL-REF ID REMOTE-REF ID``, one ref per line."""
    known = _remotes(store, remote)
    # The local side is what the user typed, and may have blanks in it.
    updates = [_fields(line.rsplit(b" ", 3), (1, 3), "pre-push", line) for line in lines]
    # What another ref of the remote had before this push is not new either.
    had = sorted({words[3] for words in updates if not _ZERO.match(words[3])})
    known += tuple(name for name in had if _exists(store, name))
    ranges = [
        Range(_short(words[0]), commit(store, words[1], words[0]), known, words[0])
        for words in updates
        if not _ZERO.match(words[1])  # a deletion
    ]
    return _news(store, ranges, known)


def from_pre_receive(store: ObjectStore, lines: Iterable[bytes]) -> list[Range]:
    """Parse git's input to ``pre-receive``: ``OLD-ID NEW-ID REF``, one ref per line."""
    updates = [_fields(line.split(b" ", 2), (0, 1), "pre-receive", line) for line in lines]
    known = ("--all",)
    ranges = [
        Range(_short(words[2]), commit(store, words[1], words[2]), known, words[2])
        for words in updates
        if not _ZERO.match(words[1])
    ]
    return _news(store, ranges, known)


def everything(store: ObjectStore) -> tuple[list[tuple[str, str]], list[str]]:
    """Return all refs that lead to commits, with their commits, and those that lead to none.

    ``HEAD`` is among them if it is detached.
    """
    tips, others = _tips(store, ("refs",))
    found = store.head()
    if found is not None and found not in {tip for _, tip in tips}:
        tips.append(("HEAD", found))
    return tips, others


def stashes(store: ObjectStore) -> list[tuple[str, str]]:
    """Return all stashes with their commits, the newest first: only that one has a ref."""
    if not _exists(store, STASH):
        return []
    found = store.run("rev-list", "--walk-reflogs", STASH, "--", codes=(0, 128)).decode().split()
    return [(f"stash@{{{number}}}", commit) for number, commit in enumerate(found)]


def default_remote_branch(store: ObjectStore) -> str | None:
    """Return the name of a remote's default branch, as far as it is known here."""
    names = os.fsdecode(store.run("remote")).split("\n")[:-1]
    asked = [f"{remote}/{name}" for remote in names for name in ("HEAD", "main", "master")]
    return next((name for name in asked if _exists(store, f"refs/remotes/{name}")), None)


def branches(store: ObjectStore) -> list[tuple[str, str]]:
    """Return the local branches with their commits."""
    return [(_short(ref), tip) for ref, tip in _tips(store, _REFS[:1])[0]]


def shallow_commits(store: ObjectStore) -> set[str]:
    """Return the commits at which a shallow clone has been cut off."""
    place = os.fsencode(os.path.join(store.git_directory, "shallow"))
    if given := os.environ.get("GIT_SHALLOW_FILE"):
        place = os.fsencode(given)
    # Linked work trees share that of the repository (gitrepository-layout).
    elif "GIT_COMMON_DIR" in os.environ or os.path.lexists(
        os.path.join(store.git_directory, "commondir")
    ):
        place = store.run("rev-parse", "--git-path", "shallow")[:-1]
    try:
        with open(place, "rb") as file:
            return set(file.read().decode("ascii", "replace").split())
    except OSError:
        return set()


def default_branches(store: ObjectStore) -> list[str] | None:
    """Return the commits of the remotes' default branches; None where one of them is unknown."""
    found = []
    for remote in os.fsdecode(store.run("remote")).split("\n")[:-1]:
        for name in ("HEAD", "main", "master"):
            spec = f"refs/remotes/{remote}/{name}^{{commit}}"
            tip = store.run("rev-parse", "-q", "--verify", spec, codes=(0, 1, 128))
            if tip:
                found.append(tip.decode().strip())
                break
        else:
            return None
    return found


def remotes_with(store: ObjectStore, branch: str) -> list[str]:
    """Return the remotes that have a branch of that name."""
    names = os.fsdecode(store.run("remote")).split("\n")[:-1]
    refs = {f"refs/remotes/{name}/{branch}": name for name in names}
    if not refs:
        return []
    listed = os.fsdecode(store.run("for-each-ref", "--format=%(refname)", "--", *refs))
    return [refs[ref] for ref in listed.split("\n") if ref in refs]


def without(
    store: ObjectStore,
    ids: Iterable[str],
    known: Iterable[str] = ("--remotes",),
    behind: Iterable[str] = (),
) -> set[str]:
    """Return those of the commits *ids* that *known* (as :attr:`Range.old`) does not reach.

    None of them is *behind* these, which are said the same way: git need not look there.
    """
    wanted = set(ids)
    ends = [*known, *behind]
    options = [name for name in ends if name.startswith("--")]
    there = [f"^{name}" for name in ends if not name.startswith("--")]
    stdin = "".join(f"{name}\n" for name in (*sorted(wanted), *there)).encode()
    found = store.run("rev-list", "--stdin", "--not", *options, stdin=stdin)
    return wanted & set(found.decode().split())


def _news(
    store: ObjectStore, ranges: Iterable[Range], known: Iterable[str], seen: Iterable[Range] = ()
) -> list[Range]:
    """Return the *ranges* with something not *known*, each tip once, without those *seen*.

    There may be hundreds of tags, and one question is enough for all of them.
    """
    first = {one.tip: one for one in seen}
    for one in ranges:
        first.setdefault(one.tip, one)
    for one in seen:
        del first[one.tip]
    tips = without(store, first, known) if first else set()
    return [one for one in first.values() if one.tip in tips]


def full_name(store: ObjectStore, one: Range) -> str:
    """Return the full name of the ref that leads to *one*; empty where it is not a ref."""
    if one.ref.startswith("refs/"):
        return one.ref
    # No ref has one of these in its name (git-check-ref-format).
    if set("~^:") & set(one.ref or one.name):
        return ""
    said = store.run("rev-parse", "-q", "--symbolic-full-name", one.ref or one.name,
                     codes=(0, 1, 128))  # fmt: skip
    return os.fsdecode(said).strip()


def parents(store: ObjectStore, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the parents of each of the commits *ids*."""
    stdin = "".join(f"{name}\n" for name in ids).encode()
    found = store.run("rev-list", "--no-walk=unsorted", "--parents", "--stdin", stdin=stdin)
    lines = (line.split() for line in found.decode().splitlines())
    return {words[0]: words[1:] for words in lines}


def _fields(words: Sequence[bytes], ids: tuple[int, int], hook: str, line: bytes) -> list[str]:
    found = [os.fsdecode(word) for word in words]
    if len(found) <= max(ids) or not all(_ID.match(found[place]) for place in ids):
        raise FatalError(
            f"standard input is not what git gives a {hook} hook: {shown(line)}: let git start it"
        )
    return found


def _tips(store: ObjectStore, prefixes: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Refs with their commits, and the refs that lead to none (a tag of a file, say)."""
    listed = store.run("for-each-ref", "--format=%(refname)", *prefixes)
    refs = [os.fsdecode(ref) for ref in listed.split(b"\n")[:-1]]
    # A tag may be one of a tag.
    stdin = os.fsencode("".join(f"{ref}^{{commit}}\n" for ref in refs))
    form = "--batch-check=%(objectname) %(objecttype)"
    answers = store.run("cat-file", form, "--buffer", stdin=stdin).decode("ascii", "replace")
    tips, others = [], []
    for ref, answer in zip(refs, answers.splitlines(), strict=True):
        name, _, kind = answer.rpartition(" ")
        if kind == "commit":
            tips.append((ref, name))
        else:
            others.append(ref)
    return tips, others


def commit(store: ObjectStore, name: str, ref: str = "") -> str:
    """Return the commit that *name* leads to; *ref* is what people call it, if it is an id.

    Raises :class:`FatalError` if there is none, or *name* could be a tag and a branch.
    """
    if not ref:
        _refuse_ambiguous(store, name)
    spec = f"{name}^{{commit}}"
    found = store.run("rev-parse", "-q", "--verify", "--end-of-options", spec, codes=(0, 1, 128))
    if found:
        return found.decode().split()[-1]
    said = ref or name
    if _exists(store, name):
        raise FatalError(f"{said}: does not lead to a commit: leave it out")
    if shallow_commits(store):
        raise FatalError(
            f"{said}: is not in this clone, which is shallow: git fetch --unshallow, or check out"
            " with full depth"
        )
    if name == "HEAD":
        store.head()  # of one that is lost it says so
        raise FatalError("HEAD: this repository has no commits yet")
    raise FatalError(f"{said}: this commit is not here: fetch it, or name another one")


def _commits(store: ObjectStore, names: Sequence[str]) -> list[str]:
    """Return the commits that *names* lead to, as :func:`commit` does, by one question for all."""
    for name in names:
        _refuse_ambiguous(store, name)
    if not any("\n" in name for name in names):
        stdin = os.fsencode("".join(f"{name}^{{commit}}\n" for name in names))
        form = "--batch-check=%(objecttype) %(objectname)"
        answers = store.run("cat-file", form, stdin=stdin, codes=(0, 128)).decode().splitlines()
        kinds = [answer.partition(" ") for answer in answers]
        if [kind for kind, _, _ in kinds] == ["commit"] * len(names):
            return [found for _, _, found in kinds]
    return [commit(store, name) for name in names]


def _exists(store: ObjectStore, name: str) -> bool:
    found = store.run("rev-parse", "-q", "--verify", "--end-of-options", f"{name}^{{}}",
                      codes=(0, 1, 128))  # fmt: skip
    return bool(found)


def _refuse_ambiguous(store: ObjectStore, name: str) -> None:
    """Whoever can push a tag could otherwise put it in the place of a branch: git prefers tags."""
    short = re.split(r"[~^:]|@\{", name, maxsplit=1)[0]
    if short.startswith("refs/") or not short or short == "HEAD":
        return
    places = [place.format(short) for place in _PLACES]
    listed = os.fsdecode(store.run("for-each-ref", "--format=%(refname)", "--", *places))
    found = [place for place in places if place in listed.split("\n")]
    if len(found) > 1:
        raise FatalError(
            f"{short}: could be {' or '.join(found)}: write the full name ({found[-1]})"
        )


def _remotes(store: ObjectStore, name: str) -> tuple[str, ...]:
    """Return what the remote *name* is known to have; empty if there is no such remote."""
    remotes = os.fsdecode(store.run("remote")).split("\n")[:-1]
    if name not in remotes:
        return ()
    # The refs of `origin/fork` lie below those of `origin`.
    below = [f"--exclude={other}/*" for other in remotes if other.startswith(f"{name}/")]
    return (*below, f"--remotes={name}")


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/", "refs/remotes/"):
        ref = ref.removeprefix(prefix)
    return ref
