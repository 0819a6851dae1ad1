"""Proves that ``fx-check-artifacts`` has nothing to say.

Whatever is not plain (an option, an artifact, no tables yet) is answered with "not sure".
"""

import os

from fx_hooks.fastpath import POLICY, fast_git
from fx_hooks.fastpath.index_bytes import SUBMODULE, NotSureError, as_it_was, open_index
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from fx_hooks.fastpath.index_bytes import Index
    from fx_hooks.fastpath.listed_index import ListedIndex
    from fx_hooks.fastpath.table_cache import Content

STAGED = (
    "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=d",
    "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
)  # fmt: skip
_SUBMODULE_MODE = 0o160000


def proven_clean(arguments: "list[str]") -> bool:
    """Return True if ``fx-check-artifacts`` with *arguments* has nothing to say.

    True is certain; False means that somebody has to look closely.
    """
    whole_tree = arguments == ["--all-files"]
    literal = arguments[:1] == ["--"]
    names = arguments[1:] if literal or whole_tree else arguments
    if not literal:
        for name in names:
            if name.startswith("-"):
                return False
    git_directory = find_git_directory()
    if git_directory is None:
        return False
    _, content = kept_tables(git_directory)
    if content is None:
        return False
    paths = _plain_paths(names) if names else []
    if paths is None:
        return False
    try:
        # Behind `--` every name is a file's; otherwise folders stand for what is in them.
        doubtful = [] if literal else _perhaps_folders(paths)
        if whole_tree:
            return _whole_tree_clean(content, git_directory)
        # Runners pass only what differs from both sides of a merge.
        if not names or os.path.lexists(os.path.join(git_directory, "MERGE_HEAD")):
            output = fast_git.output(*STAGED)
            if output is None:
                return False
            paths += output.split(b"\0")[:-1]
        return _clean(content, git_directory, paths, doubtful)
    except NotSureError:
        return False


def _clean(
    content: "Content", git_directory: str, paths: "list[bytes]", doubtful: "list[bytes]"
) -> bool:
    """Return True if the tables let all *paths* in. None of *doubtful* may be a folder."""
    tables, marks, _, milestones, _ = content
    matcher = Matcher(tables)
    if matcher.blocked(paths):
        return False
    # The root never is a run.
    directories = [folder for folder in matcher.directories() if folder]
    runs = [folder + b"/" + mark for folder in directories for mark in marks]
    index: Index | ListedIndex | None = open_index(git_directory)
    if index is None:
        from fx_hooks.fastpath.listed_index import listed_index

        index = listed_index([POLICY, milestones, *paths, *runs, *doubtful])
        if index is None:
            return False
    if not _counts(content, index) or index.any_below(doubtful):
        return False
    for mark in marks:
        tail = b"/" + mark
        if index.entries([folder + tail for folder in directories], tail + b"\0"):
            return False
    return not any(map(os.path.lexists, runs)) and not _blocked_submodules(matcher, index, paths)


def _whole_tree_clean(content: "Content", git_directory: str) -> bool:
    """Return True if the tables let all that is tracked in."""
    tables, marks, *_ = content
    index: Index | ListedIndex | None = open_index(git_directory)
    if index is None:
        from fx_hooks.fastpath.listed_index import listed_index

        index = listed_index(None)
    output = fast_git.output("ls-files", "-z")
    if index is None or output is None or not _counts(content, index):
        return False
    for mark in marks:
        if b"/" + mark + b"\0" in output:
            return False
    paths = output.split(b"\0")[:-1]
    matcher = Matcher(tables)
    return not matcher.blocked(paths) and not _blocked_submodules(matcher, index, paths)


def _counts(content: "Content", index: "Index | ListedIndex") -> bool:
    """Return True if the policy and the milestones in *content* are those of *index*."""
    _, _, tracked, milestones, listed = content
    found = index.entries([POLICY, milestones])
    return as_it_was(found.get(POLICY), tracked) and as_it_was(found.get(milestones), listed)


def _blocked_submodules(
    matcher: Matcher, index: "Index | ListedIndex", paths: "list[bytes]"
) -> "list[bytes]":
    """Return the submodules among *paths* that are blocked as the folders that they are."""
    found = index.entries(paths, SUBMODULE)
    return matcher.blocked(
        [path + b"/" for path, entry in found.items() if entry[0] == _SUBMODULE_MODE]
    )


# What a plain root-relative path does not have, where each path stands between NULs.
_ODD = (
    b"\0/", b"\0./", b"\0../", b"\0.\0", b"\0..\0", b"\0\0",
    b"//", b"/./", b"/../", b"/.\0", b"/..\0", b"/\0",
)  # fmt: skip


def plain(paths: bytes) -> bool:
    """Return True if *paths*, each between NULs, are spelled as git spells them."""
    return not any(odd in paths for odd in _ODD)


def _plain_paths(names: "list[str]") -> "list[bytes] | None":
    """Names as root-relative paths, if all of them plainly are."""
    joined = os.fsencode("\0".join(names))
    if os.sep != "/":  # pragma: no cover
        joined = joined.replace(os.fsencode(os.sep), b"/")
        if b":" in joined:  # a drive
            return None
    return joined.split(b"\0") if plain(b"\0" + joined + b"\0") else None


def _perhaps_folders(paths: "Collection[bytes]") -> "list[bytes]":
    """Return the folders, with a slash each, that *paths* are in or below if they are folders.

    What is not there can be a folder of the index alone. Raises
    :class:`~fx_hooks.fastpath.index_bytes.NotSureError` where one is a folder on disk.
    """
    missing = set()
    there: dict[bytes, bool] = {b"": True}
    for path in paths:
        parent = path.rpartition(b"/")[0]
        if parent not in there:
            there[parent] = os.path.lexists(parent)
        if not there[parent]:
            missing.add(parent + b"/")
            continue
        try:
            if os.lstat(path).st_mode & 0o170000 == 0o040000:
                raise NotSureError
        except OSError:
            missing.add(path + b"/")
    return list(missing)
