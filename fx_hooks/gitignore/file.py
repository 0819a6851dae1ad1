"""The ``.gitignore`` of a repository's root or of a project: read, and written back."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.gitignore.block import parse
from fx_hooks.util.errors import FatalError
from fx_hooks.util.files import replace_file
from fx_hooks.util.paths import quoted, shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, Repository


MAX_BYTES, MAX_LINES = 1_000_000, 20_000


def name_in(folder: bytes) -> bytes:
    """Return the path of the file from the root; *folder* is empty or that of a project."""
    return (folder + b"/" if folder else b"") + FILE.encode()


def left_out(folder: bytes) -> str:
    """Return what to say of a file that is left out and does not follow the policy."""
    place = quoted(b"/" + name_in(folder))
    return (
        "is left out by the sparse checkout, and does not follow the policy: add it"
        f" (git sparse-checkout add {place}), then try again"
    )


def is_left_out(
    repository: Repository, index: Mapping[bytes, IndexEntry], folder: bytes = b""
) -> bool:
    """Return True if it is tracked, and a sparse checkout leaves it out of the work tree."""
    name = name_in(folder)
    there = os.path.lexists(os.path.join(repository.root, name))
    return not there and name in index and name in repository.left_out()


def read(root: bytes, folder: bytes = b"") -> bytes | None:
    """Its bytes; None where there is none.

    Raises :class:`~fx_hooks.util.errors.FatalError` for what is not a regular file.
    """
    place = os.path.join(root, name_in(folder))
    name = shown(name_in(folder))
    try:
        mode = os.lstat(place).st_mode
        if stat.S_ISLNK(mode):
            raise FatalError(
                f"{name}: is a symbolic link, which git does not follow: put a file in its place"
            )
        if not stat.S_ISREG(mode):
            raise FatalError(f"{name}: is not a regular file: put one in its place")
        with open(place, "rb") as file:
            text = limited(file.read(MAX_BYTES + 1), FILE)
        # A byte that no text has: UTF-16 and UTF-32, of which git reads nothing.
        if b"\0" in text or text.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise FatalError(
                f"{FILE}: git cannot read it, because it is in UTF-16 or no text: save it as UTF-8"
            )
        return text
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise FatalError(f"{name}: cannot be read: {exc.strerror}") from exc


def block_of(root: bytes, name: bytes) -> range:
    """Return the numbers of the lines that the block in the ignore file *name* has, if any."""
    folder, _, last = name.rpartition(b"/")
    if os.path.isabs(name) or last != FILE.encode():
        return range(0)  # a file of the user's own
    parsed = parse(read(root, folder) or b"")
    return range(parsed.start + 1, parsed.stop + 1)


def limited(text: bytes, name: str) -> bytes:
    """Return *text*, the content of the ignore file *name*, if git itself could use it.

    git holds each path against each line, and thousands of ``!`` lines against each other.
    """
    if len(text) > MAX_BYTES or text.count(b"\n") > MAX_LINES:
        raise FatalError(
            f"{name}: has more than {MAX_LINES:,} lines or {MAX_BYTES:,} bytes: this is no"
            " ignore file that a person wrote"
        )
    return text


def merged_versions(
    repository: Repository, index: Mapping[bytes, IndexEntry], folder: bytes = b""
) -> list[bytes]:
    """Return the versions that git could not merge, empty if it could."""
    name = name_in(folder)
    entry = index.get(name)
    if entry is None or not entry.stage:
        return []
    blobs = [entry.blob for entry in repository.index() if entry.path == name]
    return list(repository.contents(blobs).values())


def write(root: bytes, text: bytes, before: bytes | None, folder: bytes = b"") -> None:
    """Put *text* in its place in one step; its permissions stay as they are.

    It was made from *before*. Raises :class:`~fx_hooks.util.errors.FatalError` where something
    else has been written meanwhile.
    """
    place = os.path.join(root, name_in(folder))
    name = shown(name_in(folder))
    try:
        is_there = os.path.lexists(place)
        mode = stat.S_IMODE(os.lstat(place).st_mode) if is_there else 0o666
        if read(root, folder) != before:
            raise FatalError(f"{name}: it has just been changed: run this again")
        replace_file(place, text, mode, exact=is_there)
    except OSError as exc:
        raise FatalError(f"{name}: cannot be written: {exc.strerror}") from exc
