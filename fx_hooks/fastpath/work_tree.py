"""The git directory, the policy file and the compiled tables of the current work tree."""

import os

from fx_hooks.fastpath import POLICY, table_cache


def find_git_directory() -> "str | None":
    """Return the git directory, if the current directory is plainly a work tree's root."""
    if "GIT_WORK_TREE" in os.environ:
        return None
    given = os.environ.get("GIT_DIR")
    if given:
        return given if os.path.lexists(".git") else None
    try:
        with open(".git/config", "rb") as file:
            config = file.read()
    except NotADirectoryError:
        return _linked_git_directory()
    except OSError:
        return None
    # With core.worktree the files are somewhere else.
    return None if b"\tworktree = " in config else ".git"


def _linked_git_directory() -> "str | None":
    """Return the directory that the ``.git`` file of a work tree or submodule points to."""
    try:
        with open(".git", encoding="utf-8", errors="surrogateescape") as file:
            head, _, path = file.read(4096).partition("gitdir: ")
    except OSError:
        return None
    path = path.rstrip("\n")
    return path if path and not head else None


def kept_tables(git_directory: str) -> "tuple[bytes | None, table_cache.Content | None]":
    """Return the policy file on disk and its cached tables; None for each that is not there."""
    policy = read_policy()
    key = table_cache.cache_key(policy)
    content: table_cache.Content | None
    content = table_cache.read(table_cache.places(git_directory, key), key)
    return policy, content


def read_policy() -> "bytes | None":
    """Return the bytes of the policy file on disk, or None."""
    try:
        if os.stat(POLICY).st_mode & 0o170000 == 0o100000:
            with open(POLICY, "rb") as file:
                return file.read(table_cache.MAX_BYTES)
    except OSError:
        if not os.path.lexists(POLICY):
            return None
    # What is there and cannot be read matches no tables that were ever kept.
    return b"\0"
