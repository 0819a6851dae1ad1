"""The gate: is this surely clean? Asked first, by every commit of every person.

Nearly always the answer is yes, so it has to be cheap: nothing is imported here that a
bare interpreter has not loaded anyway, apart from :mod:`marshal`, :mod:`binascii` and
our own small modules. Whatever is not plain (an option, an artifact, a merge, no tables
yet, an index in a rarer format) is answered with "not sure", and the caller does the
work in full. So a fault here can cost time, never let anything through.

The index is read without git, as bytes: a search through them says whether the policy
file on disk is the one that git tracks, and which directories hold the file that makes
them a run. In index versions 2 and 3 each entry's path stands there whole, between its
object id with two bytes of flags and a NUL; version 4 shares prefixes, and is "not
sure". A git call for the same would take as long as all the rest.
"""

import os

from fx_hooks import quickgit
from fx_hooks.policy import cache
from fx_hooks.policy.match import Matcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

POLICY = b".fx-hooks.yaml"
SUBMODULE = b"\0\0\xe0\0"  # the mode 160000, as the index has it


def surely_clean(arguments: "list[str]") -> bool:
    """Whether ``fx-check-artifacts`` with *arguments* has nothing to say.

    True is certain; False means that somebody has to look closely.
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
    index = _index(git_directory)
    if index is None:
        return False
    _, content = kept_tables(git_directory)
    if content is None:
        return False
    tables, marks, tracked, milestones, listed = content
    if not _is_as_it_was(POLICY, tracked, index) or not _is_as_it_was(milestones, listed, index):
        return False
    if whole_tree:
        paths = _listed("ls-files", "-z")
    elif names:
        # Behind `--` every name is a file's; otherwise folders stand for what is in them.
        paths = _named(names, index if arguments[0] != "--" else None)
    else:
        paths = _listed(
            "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=d",
            "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
        )  # fmt: skip
    if paths is None:
        return False
    matcher = Matcher(tables)
    if matcher.blocked(paths):
        return False
    if SUBMODULE in index and matcher.blocked([path + b"/" for path in paths]):
        return False  # a submodule is a folder, to patterns that match only those
    directories = matcher.directories()
    return not any(
        has_run(directories, b"/" + mark, index, ask_disk=not whole_tree) for mark in marks
    )


def find_git_directory() -> "str | None":
    """The git directory, if the current directory is plainly a work tree's root."""
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
    """Where the ``.git`` file of a linked work tree or a submodule points."""
    try:
        with open(".git", encoding="utf-8", errors="surrogateescape") as file:
            head, _, path = file.read(4096).partition("gitdir: ")
    except OSError:
        return None
    path = path.rstrip("\n")
    return path if path and not head else None


def _index(git_directory: str) -> "bytes | None":
    """The index as bytes, empty where there is none yet; None if it is not plain."""
    path = os.environ.get("GIT_INDEX_FILE") or os.path.join(git_directory, "index")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return b""
    except OSError:
        return None
    if data[:8] not in (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3"):
        return None
    # A split index keeps most entries in a second file; a sparse one has whole folders as
    # single entries.
    return None if b"\0link\0" in data or b"sdir\0\0\0\0" in data else data


def kept_tables(git_directory: str) -> "tuple[bytes | None, cache.Content | None]":
    """The policy file on disk, and what was kept for it; None for each that is not there."""
    policy = read_policy()
    key = cache.cache_key(policy)
    return policy, cache.read(cache.places(git_directory, key), key)


def read_policy() -> "bytes | None":
    """The bytes of the policy file on disk; None where there is none."""
    try:
        if os.stat(POLICY).st_mode & 0o170000 == 0o100000:
            with open(POLICY, "rb") as file:
                return file.read(cache.MAX_BYTES)
    except OSError:
        if not os.path.lexists(POLICY):
            return None
    # What is there and cannot be read matches no tables that were ever kept.
    return b"\0"


def _is_as_it_was(path: bytes, tracked: bytes, index: bytes) -> bool:
    """Whether the index has *path* with the object id *tracked*, as it had when the tables
    were made; empty means that it was not tracked.
    """
    if tracked:
        # Object id, two bytes of flags that hold the path's length, path.
        return tracked + len(path).to_bytes(2, "big") + path + b"\0" in index
    found = index.find(path + b"\0")
    while found >= 0:
        if index[found - 1 : found] != b"/":  # not a file of that name in a folder
            return False
        found = index.find(path + b"\0", found + 1)
    return True


# What a plain root-relative path does not have, where each path stands between NULs.
_ODD = (
    b"\0/", b"\0./", b"\0../", b"\0.\0", b"\0..\0", b"\0\0",
    b"//", b"/./", b"/../", b"/.\0", b"/..\0", b"/\0",
)  # fmt: skip


def plain(paths: bytes) -> bool:
    """Whether *paths*, with a NUL before and after each, are spelled as git spells them."""
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
    output = quickgit.output(*arguments)
    return None if output is None else output.split(b"\0")[:-1]


def has_run(directories: "Collection[bytes]", mark: bytes, index: bytes, *, ask_disk: bool) -> bool:
    """Whether one of *directories*, but the root, has *mark* in the index or on disk.

    Only the paths matter of the *index*, and that a NUL ends each.
    """
    tails = []
    longest = max(map(len, directories))
    found = index.find(mark + b"\0")
    while found >= 0:
        tails.append(index[max(0, found - longest) : found])
        found = index.find(mark + b"\0", found + 1)
    for directory in directories:
        if directory:
            for tail in tails:
                if tail.endswith(directory):
                    return True
            if ask_disk and os.path.lexists(directory + mark):
                return True
    return False
