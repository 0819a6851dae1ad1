"""Proves that a commit does not touch the folder of chosen models."""

from fx_hooks.fastpath import POLICY, fast_git
from fx_hooks.fastpath.index_bytes import NotSureError, as_it_was, open_index
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fx_hooks.fastpath.index_bytes import Index
    from fx_hooks.fastpath.listed_index import ListedIndex


def staged_names() -> "bytes | None":
    """Return the paths of what is staged, each with a NUL behind; None if git does not say."""
    if find_git_directory() is None:
        return None
    return fast_git.output(
        "diff-index", "--cached", "--name-only", "-z", "--no-renames",
        "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
    )  # fmt: skip


def proven_untouched(names: "bytes | None") -> bool:
    """Return True if something is staged, and none of it concerns the chosen models.

    *names* are those of :func:`staged_names`. True is certain; False means that the command has to
    look closely: where there are projects, each of which has a folder of its own, that is every
    time.
    """
    git_directory = find_git_directory()
    if git_directory is None or not names:
        return False
    _, content = kept_tables(git_directory)
    if content is None or content[5] is not None:
        return False
    _, _, tracked, milestones, *_ = content
    folder = milestones.rpartition(b"/")[0]
    staged = b"\0" + names
    if (
        b"\0" + folder + b"/" in staged
        or b"\0" + POLICY + b"\0" in staged
        or b"\0.gitattributes\0" in staged
        or b"/.gitattributes\0" in staged
        or b"\0.fx-hooks-baseline\0" in staged
    ):
        return False
    # A file or a link in the place of the folder, or of one that it is in.
    place = b""
    for part in folder.split(b"/"):
        place += part
        if b"\0" + place + b"\0" in staged:
            return False
        place += b"/"
    return _counts(git_directory, tracked)


def _counts(git_directory: str, tracked: bytes) -> bool:
    """Return True if the index has the policy *tracked*, an object id; None for empty."""
    index: Index | ListedIndex | None = open_index(git_directory)
    if index is None:
        from fx_hooks.fastpath.listed_index import listed_index

        index = listed_index([POLICY])
    try:
        return index is not None and as_it_was(index.entries([POLICY]).get(POLICY), tracked)
    except NotSureError:
        return False
