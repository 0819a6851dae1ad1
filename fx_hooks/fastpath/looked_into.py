"""Findings of looks into files, by blob, kept in one small file: none is opened twice.

It lies in the git directory that all work trees share, is as strict as the tables
(:mod:`fx_hooks.fastpath.table_cache`), and counts only for the readers that wrote it.
"""

import os

from fx_hooks.fastpath import table_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    # The ids of blobs that are nothing; of those that are something the rule that refuses them,
    # and what they are; whole trees (see tree_id) in which nothing is refused by its content, or
    # nothing at all (see clean_id).
    Looked: TypeAlias = tuple[frozenset[bytes], dict[bytes, tuple[str, str]], tuple[bytes, ...]]

NAME = "fx-hooks.looked"
_MAGIC = b"fx-hooks looked\n"
_MOST = 200_000  # blobs; of a repository with more, none is remembered besides
_TREES = 16  # ids of them
_READERS = (
    "artifacts/unnamed.py", "fastpath/unnamed_weights.py", "frameworks/stores.py",
    "weights/magic.py",
)  # fmt: skip
# What decides of a whole tree, besides what its policy is made of.
_JUDGES = (
    "artifacts/classifier.py", "artifacts/index_check.py", "artifacts/small_files.py",
    "artifacts/tree_reader.py", "policy/near_misses.py",
)  # fmt: skip


def common_directory(git_directory: str) -> str:
    """Return the git directory that all work trees of the repository share."""
    given = os.environ.get("GIT_COMMON_DIR")
    if given:
        return given
    try:
        # A linked work tree has this file, and no objects of its own.
        with open(os.path.join(git_directory, "commondir"), "rb") as file:
            return os.path.join(git_directory, os.fsdecode(file.read(1 << 12)).rstrip("\n"))
    except OSError:
        return git_directory


def read(git_directory: str) -> "Looked":
    """Return what is remembered; nothing where the file is missing, damaged or foreign."""
    place = os.path.join(common_directory(git_directory), NAME)
    content: Looked | None = table_cache.read([place], _key(), _MAGIC)
    return (frozenset(), {}, ()) if content is None else content


def remember(git_directory: str, looked: "Looked") -> None:
    """Keep *looked*; where it cannot be written, the files are opened again the next time."""
    nothing, refused, trees = looked
    if len(nothing) + len(refused) <= _MOST:
        place = os.path.join(common_directory(git_directory), NAME)
        table_cache.write([place], _key(), (nothing, refused, trees[-_TREES:]), _MAGIC)


def tree_id(policy: "bytes | None", listing: bytes) -> bytes:
    """Return what stands for all of the index, as ``git ls-files -s -z`` lists it, by a policy."""
    from hashlib import sha256  # for whole trees alone

    return sha256(table_cache.cache_key(policy) + b"\0" + listing).digest()


def clean_id(tree: bytes) -> bytes:
    """Return what stands for a *tree* (see :func:`tree_id`) in which nothing at all is refused."""
    from hashlib import sha256

    return sha256(tree + table_cache.state_of(_JUDGES).encode()).digest()


def remember_tree(git_directory: str, tree: bytes, *, clean: bool) -> None:
    """Keep that nothing in *tree* is refused by its content; if it is *clean*, nothing at all."""
    nothing, refused, trees = read(git_directory)
    new = [one for one in (tree, *([clean_id(tree)] * clean)) if one not in trees]
    if new:
        remember(git_directory, (nothing, refused, (*trees, *new)))


def _key() -> bytes:
    """Everything that a verdict on a blob depends on, besides the blob."""
    return table_cache.state_of(_READERS).encode()
