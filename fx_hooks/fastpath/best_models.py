"""Proves that a commit does not touch the folder of chosen models."""

from fx_hooks.fastpath import BASELINE, POLICY, fast_git
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
    look closely.
    """
    git_directory = find_git_directory()
    if git_directory is None or not names:
        return False
    _, content = kept_tables(git_directory)
    if content is None:
        return False
    tables, _, tracked, milestones, listed, projects, _ = content
    folder = milestones.rpartition(b"/")[0]
    staged = b"\0" + names
    if (
        b"\0" + folder + b"/" in staged
        or b"\0" + POLICY + b"\0" in staged
        or (projects is not None and b"/" + POLICY + b"\0" in staged)
        or b"\0.gitattributes\0" in staged
        or b"/.gitattributes\0" in staged
        or b"\0" + BASELINE + b"\0" in staged
    ):
        return False
    # A file or a link in the place of the folder, or of one that it is in.
    place = b""
    for part in folder.split(b"/"):
        place += part
        if b"\0" + place + b"\0" in staged:
            return False
        place += b"/"
    try:
        index: Index | ListedIndex | None = open_index(git_directory)
        if index is None:
            from fx_hooks.fastpath.listed_index import listed_index

            index = listed_index([POLICY, milestones] if projects is None else None)
        if index is None:
            return False
        # The index has the policy and the milestones that the tables are of.
        entries = index.entries([POLICY, milestones])
        if not as_it_was(entries.get(POLICY), tracked):
            return False
        if not as_it_was(entries.get(milestones), listed):
            return False
        if projects is None:
            return True
        from fx_hooks.fastpath.projects import outside_chosen

        return outside_chosen(projects, tables, names.split(b"\0")[:-1], index)
    except NotSureError:
        return False
