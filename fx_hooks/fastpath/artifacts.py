"""Proves that ``fx-check-artifacts`` has nothing to say.

Whatever is not plain (an option, an artifact, a merge, no tables yet, an index in a rarer
format) is answered with "not sure".
"""

import os

from fx_hooks.fastpath import POLICY, fast_git
from fx_hooks.fastpath.index_bytes import has_run, is_as_it_was, read_index
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.unnamed_weights import doubtful
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fx_hooks.fastpath.matcher import Tables
    from fx_hooks.fastpath.projects import Content

SUBMODULE = b"\0\0\xe0\0"  # the mode 160000, as the index has it


def proven_clean(arguments: "list[str]") -> bool:
    """Return True if ``fx-check-artifacts`` with *arguments* has nothing to say.

    True is certain; False means that the command has to look closely.
    """
    if arguments == ["--all-files"]:
        names, whole_tree = None, True
    elif arguments[:1] == ["--"]:
        names, whole_tree = arguments[1:], False
    else:
        names, whole_tree = arguments, False
        for name in names:
            if name.startswith("-"):
                return False
    git_directory = find_git_directory()
    if git_directory is None or os.path.lexists(os.path.join(git_directory, "MERGE_HEAD")):
        return False
    index = read_index(git_directory)
    if index is None:
        return False
    _, content = kept_tables(git_directory)
    if content is None:
        return False
    tables, marks, tracked, milestones, listed, projects = content
    if not is_as_it_was(POLICY, tracked, index) or not is_as_it_was(milestones, listed, index):
        return False
    if whole_tree:
        paths = _listed("ls-files", "-z")
    elif names:
        # Behind `--` every name is a file's; otherwise folders stand for what is in them.
        paths = _named(names, index if arguments[0] != "--" else None)
    else:
        paths = _staged()
    if paths is None:
        return False
    if projects is not None:
        if not whole_tree and not _without_weights(paths, index):
            return False
        return _clean_in_projects(projects, tables, marks, paths, index, ask_disk=not whole_tree)
    matcher = Matcher(tables)
    numbers = matcher.decide(paths)
    if any(map(matcher.blocks, numbers)):
        return False
    undecided = [path for path, number in zip(paths, numbers, strict=True) if number < 0]
    if not whole_tree and not _without_weights(undecided, index):
        return False
    if SUBMODULE in index and matcher.blocked([path + b"/" for path in paths]):
        return False  # a submodule is a folder, to patterns that match only those
    directories = matcher.directories()
    return not any(
        has_run(directories, b"/" + mark, index, ask_disk=not whole_tree) for mark in marks
    )


def _without_weights(paths: "list[bytes]", index: bytes) -> bool:
    """Return True if none of *paths* is new and could be weights whatever its name."""
    large = doubtful(paths, index)
    if large or b".gitattributes\0" in index:
        # What is staged may be another size than the file: a filter has changed it.
        staged = _staged()
        if staged is None:
            return False
        new = frozenset(staged)
        if not new.isdisjoint(large):
            return False
        if not new.isdisjoint(paths) and _has_filters():
            return False
    return True


def _has_filters() -> bool:
    """Return True if the attributes at the root may have filters, or cannot be read."""
    try:
        with open(".gitattributes", "rb") as file:
            return b"filter" in file.read()
    except OSError:
        return True


def _staged() -> "list[bytes] | None":
    return _listed(
        "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=d",
        "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
    )  # fmt: skip


def _clean_in_projects(
    projects: "Content",
    tables: "Tables",
    marks: "tuple[bytes, ...]",
    paths: "list[bytes]",
    index: bytes,
    *,
    ask_disk: bool,
) -> bool:
    from fx_hooks.fastpath.projects import places_of_runs

    submodules = SUBMODULE in index
    places = places_of_runs(projects, tables, marks, paths, index, submodules=submodules)
    return places is not None and not any(
        has_run(folders, b"/" + mark, index, ask_disk=ask_disk)
        for marks, folders in places
        for mark in (marks if folders else ())
    )


# What a plain root-relative path does not have, where each path stands between NULs.
_ODD = (
    b"\0/", b"\0./", b"\0../", b"\0.\0", b"\0..\0", b"\0\0",
    b"//", b"/./", b"/../", b"/.\0", b"/..\0", b"/\0",
)  # fmt: skip


def plain(paths: bytes) -> bool:
    """Return True if *paths*, each between NULs, are spelled as git spells them."""
    return not any(odd in paths for odd in _ODD)


def _named(names: "list[str]", index: "bytes | None") -> "list[bytes] | None":
    """Names as root-relative paths, if all of them plainly are.

    With *index* none may be a folder, on disk or in the index alone.
    """
    joined = os.fsencode("\0".join(names))
    if os.sep != "/":  # pragma: no cover
        joined = joined.replace(os.fsencode(os.sep), b"/")
        if b":" in joined:  # a drive
            return None
    if not plain(b"\0" + joined + b"\0"):
        return None
    paths = joined.split(b"\0")
    if index is not None and any(_may_be_folder(path, index) for path in paths):
        return None
    return paths


def _may_be_folder(path: bytes, index: bytes) -> bool:
    try:
        return os.lstat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return path + b"/" in index


def _listed(*arguments: str) -> "list[bytes] | None":
    output = fast_git.output(*arguments)
    return None if output is None else output.split(b"\0")[:-1]
