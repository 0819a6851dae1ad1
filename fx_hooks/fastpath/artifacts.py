"""Proves that ``fx-check-artifacts`` has nothing to say.

Whatever is not plain (an option, an artifact, no tables yet) is answered with "not sure".
"""

import os

from fx_hooks.fastpath import POLICY, fast_git
from fx_hooks.fastpath.index_bytes import (
    SUBMODULE,
    NotSureError,
    as_it_was,
    may_hold_submodules,
    open_index,
)
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.unnamed_weights import doubtful as doubtful_weights
from fx_hooks.fastpath.unnamed_weights import is_asked, may_be_one
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from fx_hooks.fastpath.index_bytes import Entry, Index
    from fx_hooks.fastpath.listed_index import ListedIndex
    from fx_hooks.fastpath.table_cache import Content

STAGED = (
    "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=d",
    "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
)  # fmt: skip
_SUBMODULE_MODE = 0o160000
_MANY = 50  # files to look into, in place of asking git which of them are new
HOMES = (b"/outputs", b"/multirun", b"/logs")


def proven_clean(arguments: "list[str]") -> bool:
    """Return True if ``fx-check-artifacts`` with *arguments* has nothing to say.

    True is certain; False means that the command has to look closely.
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
    policy, content = kept_tables(git_directory)
    if content is None:
        return False
    paths = _plain_paths(names) if names else []
    if paths is None:
        return False
    known = False
    try:
        # Behind `--` every name is a file's; otherwise folders stand for what is in them.
        doubtful = [] if literal else _perhaps_folders(paths)
        if whole_tree:
            output = fast_git.output("ls-files", "-s", "-z")
        # Runners pass only what differs from both sides of a merge.
        elif not names or os.path.lexists(os.path.join(git_directory, "MERGE_HEAD")):
            output = fast_git.output(*STAGED)
        else:
            output = b""
        if output is None:
            return False
        if whole_tree:
            from fx_hooks.fastpath.looked_into import read, tree_id
            from fx_hooks.fastpath.near_miss import may_hold_one

            known = tree_id(policy, output) in read(git_directory)[2]
            paths = [record.partition(b"\t")[2] for record in output.split(b"\0")[:-1]]
            if may_hold_one(paths):
                return False
        else:
            paths += output.split(b"\0")[:-1]
        listing = output if whole_tree else None
        return _clean(
            content, git_directory, paths, doubtful, listing,
            looked_into=known, by_runner=literal and bool(names),
        )  # fmt: skip
    except NotSureError:
        return False


def _clean(
    content: "Content",
    git_directory: str,
    paths: "list[bytes]",
    doubtful: "list[bytes]",
    whole_tree: "bytes | None",
    *,
    looked_into: bool,
    by_runner: bool,
) -> bool:
    """Return True if the tables let all *paths* in. None of *doubtful* may be a folder.

    *whole_tree* lists all that is tracked, with a NUL behind each path, if it is that;
    *looked_into* says that its content was. *by_runner* says that a runner has passed *paths*:
    it passes no submodule without a folder.
    """
    tables, marks, tracked, milestones, listed, projects, _ = content
    places: list[tuple[tuple[bytes, ...], list[bytes]]] | None = None
    undecided = paths
    if projects is None:
        matcher = Matcher(tables)
        numbers = matcher.decide(paths)
        if any(map(matcher.blocks, numbers)):
            return False
        undecided = [path for path, number in zip(paths, numbers, strict=True) if number < 0]
        # The root never is a run.
        places = [(marks, [folder for folder in matcher.directories() if folder])]
    index: Index | ListedIndex | None = open_index(git_directory)
    if index is None:
        from fx_hooks.fastpath.listed_index import listed_index

        wanted = None
        every = by_runner and may_hold_submodules(git_directory)
        if places is not None and whole_tree is None and not every:
            wanted = [POLICY, milestones, *paths, *_runs(places), *doubtful]
            wanted += _attribute_files(paths)
            if any(mark.startswith(b"*/") for mark in marks):
                wanted += {folder.partition(b"/")[0] for folder in places[0][1]}
        index = listed_index(wanted)
        if index is None:
            return False
    if by_runner and not all(map(os.path.lexists, index.submodules())):
        return False
    watched = index.entries([POLICY, milestones])
    if not as_it_was(watched.get(POLICY), tracked) or index.any_below(doubtful):
        return False
    if not as_it_was(watched.get(milestones), listed):
        return False
    if not looked_into and not _without_weights(
        undecided, index, git_directory, every=whole_tree is not None
    ):
        return False
    # A submodule is a folder, to patterns that match only those.
    found = index.entries(paths, SUBMODULE)
    submodules = [path for path, entry in found.items() if entry[0] == _SUBMODULE_MODE]
    if places is not None:
        if matcher.blocked([path + b"/" for path in submodules]):
            return False
    else:
        from fx_hooks.fastpath.projects import places_of_runs

        assert projects is not None  # otherwise there are places
        places = places_of_runs(projects, tables, marks, paths, index, submodules)
        if places is None:
            return False
    for tails, folders in places:
        # With a run in it, all that is in such a folder may be refused.
        if any(name.endswith(HOMES) for name in folders):
            return False
        for mark in tails:
            tail = mark[1:] if mark.startswith(b"*/") else b"/" + mark
            if whole_tree is not None and tail + b"\0" not in whole_tree:
                continue
            if mark.startswith(b"*/"):  # in any folder right in it, and not on disk
                if index.has_in_any_folder(folders, tail):
                    return False
            elif index.entries([folder + tail for folder in folders], tail + b"\0"):
                return False
    return whole_tree is not None or not any(map(os.path.lexists, _runs(places)))


def _without_weights(
    paths: "list[bytes]", index: "Index | ListedIndex", git_directory: str, *, every: bool
) -> bool:
    """Return True if none of *paths* could be weights whatever its name.

    With *every* all count, otherwise those that are new.
    """
    # What is staged may be another size than the file: a filter has changed it.
    filtered = index.entries(_attribute_files(paths)) or any(
        # A linked work tree has them where the repository is; elsewhere that is a needless look.
        os.path.lexists(os.path.join(git_directory, above, "info", "attributes"))
        for above in ("", "../..")
    )
    entries = index.entries(paths)
    large = list(entries) if filtered else doubtful_weights(entries)
    if len(large) > _MANY:
        large = _new_among(large, entries, git_directory, every=every)
        if len(large) > _MANY:
            return False
    if not large:
        return True
    from fx_hooks.fastpath.loose_objects import beginning

    left = []
    for path in large:
        mode, _, blob, _ = entries[path]
        if mode & 0o170000 == 0o100000:
            found = beginning(git_directory, blob)
            if found is None or (is_asked(path, found[1]) and may_be_one(*found)):
                left.append(path)
    return not left or not _new_among(left, entries, git_directory, every=every)


def _new_among(
    paths: "list[bytes]", entries: "dict[bytes, Entry]", git_directory: str, *, every: bool
) -> "list[bytes]":
    """Return those of *paths* that are staged, or *every* one, that nobody has looked into yet.

    Where nothing is staged this is no commit, and every one counts as well.
    """
    from fx_hooks.fastpath.looked_into import read

    output = b"" if every else fast_git.output(*STAGED)
    if output is None:
        raise NotSureError
    new = frozenset(output.split(b"\0")[:-1]) or frozenset(paths)
    nothing = read(git_directory)[0]
    return [path for path in paths if path in new and entries[path][2] not in nothing]


def _attribute_files(paths: "list[bytes]") -> "list[bytes]":
    """Return the places of the attributes that can hold for *paths*."""
    folders = {b""}
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]
    return [folder + b"/.gitattributes" if folder else b".gitattributes" for folder in folders]


def _runs(places: "list[tuple[tuple[bytes, ...], list[bytes]]]") -> "list[bytes]":
    """Return the paths of the files that would make a folder of *places* a run."""
    return [
        folder + b"/" + mark
        for tails, folders in places
        for mark in tails
        if not mark.startswith(b"*/")
        for folder in folders
    ]


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
