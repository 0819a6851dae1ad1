"""Proves that ``fx-check-artifacts`` has nothing to say.

Whatever is not plain (an option, an artifact, no tables yet) is answered with "not sure".
"""

import os

from fx_hooks.fastpath import BASELINE, POLICY
from fx_hooks.fastpath.index_bytes import (
    SUBMODULE,
    NotSureError,
    as_it_was,
    may_hold_submodules,
    open_index,
)
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.fastpath.unnamed_weights import doubtful as doubtful_weights
from fx_hooks.fastpath.unnamed_weights import least_size, may_be_one
from fx_hooks.fastpath.work_tree import (
    ATTRIBUTES,
    Disk,
    find_git_directory,
    has_other_attributes,
    kept_tables,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import TypeAlias

    from fx_hooks.fastpath.index_bytes import Entry, Index
    from fx_hooks.fastpath.listed_index import ListedIndex
    from fx_hooks.fastpath.table_cache import Content

    # What makes a folder a run, and the folders that may be one.
    Places: TypeAlias = list[tuple[tuple[bytes, ...], list[bytes]]]

STAGED = (
    "diff-index", "--cached", "--name-only", "-z", "--no-renames", "--diff-filter=d",
    "--ignore-submodules=none", "--ita-invisible-in-index", "HEAD", "--",
)  # fmt: skip
_SUBMODULE_MODE = 0o160000
_MANY = 50  # files to look into, in place of asking git which are new; paths to ask for at once
HOMES = (b"/outputs", b"/multirun", b"/logs")
MOST_TYPED = 50  # names that a person may have written


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
        output = b""
        if whole_tree:
            _git("rev-parse", "-q", "--verify", "HEAD^{commit}")  # that cannot be read is an error
            output = _git("ls-files", "-s", "-z")
        # Runners pass only what differs from both sides of a merge.
        elif not names or os.path.lexists(os.path.join(git_directory, "MERGE_HEAD")):
            output = _git(*STAGED)
        if whole_tree:
            from fx_hooks.fastpath.looked_into import clean_id, read, tree_id
            from fx_hooks.fastpath.near_miss import may_be_untracked, may_hold_one

            if may_be_untracked(output):
                return False
            tree = tree_id(policy, output)
            trees = read(git_directory)[2]
            if clean_id(tree) in trees:
                return True
            known = tree in trees and content[5] is None
            paths = [record.partition(b"\t")[2] for record in output.split(b"\0")[:-1]]
            if may_hold_one(paths):
                return False
            if content[5] is not None:
                from fx_hooks.fastpath.projects import may_lack_one

                if may_lack_one(content[5]):
                    return False
        else:
            paths += output.split(b"\0")[:-1]
        if BASELINE in paths:
            return False
        listing = output if whole_tree else None
        clean = _clean(
            content, git_directory, paths, doubtful, listing,
            looked_into=known, by_runner=literal and bool(names),
        )  # fmt: skip
        # A project's policy may be on disk alone, and no tree says that.
        if clean and whole_tree and content[5] is None:
            from fx_hooks.fastpath.looked_into import remember_tree

            remember_tree(git_directory, tree, clean=True)
        return clean
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
    places: Places | None = None
    undecided = paths
    if projects is None:
        matcher = Matcher(tables)
        numbers = matcher.decide(paths)
        if any(map(matcher.blocks, set(numbers))):
            return False
        undecided = [path for path, number in zip(paths, numbers, strict=True) if number < 0]
        above = matcher.directories()
        # The root never is a run.
        places = [(marks, [folder for folder in above if folder])]
    else:
        above = _folders_above(paths)
    attributes = [folder + b"/" + ATTRIBUTES if folder else ATTRIBUTES for folder in above]
    index: Index | ListedIndex | None = open_index(git_directory)
    if index is None:
        from fx_hooks.fastpath.listed_index import listed_index

        wanted = None
        every = by_runner and may_hold_submodules(git_directory)
        if places is not None and whole_tree is None and not every:
            wanted = [POLICY, milestones, *paths, *_runs(places), *doubtful, *attributes]
            if any(mark.startswith(b"*/") for mark in marks):
                wanted += {folder.partition(b"/")[0] for folder in above if folder}
        index = listed_index(wanted)
        if index is None:
            return False
    if by_runner and not all(map(os.path.lexists, index.submodules())):
        return False
    # A few runs are asked for with the rest; of many folders, each mark is looked for in all.
    asked = []
    if places is not None and whole_tree is None and (len(above) - 1) * len(marks) <= _MANY:
        asked = _runs(places)
    content_of = [] if looked_into else [*attributes, *paths]
    entries = index.entries([POLICY, milestones, *content_of, *asked])
    if not as_it_was(entries.get(POLICY), tracked) or index.any_below(doubtful):
        return False
    if not as_it_was(entries.get(milestones), listed) or not entries.keys().isdisjoint(asked):
        return False
    disk = Disk()
    if not looked_into:
        filtered = (
            not entries.keys().isdisjoint(attributes)
            or _are_there(attributes, above, disk, every=whole_tree is not None)
            or has_other_attributes(git_directory)
        )
        if whole_tree is None and _says_something([p for p in paths if p not in entries], disk):
            return False
        these = {path: entries[path] for path in undecided if path in entries} if entries else {}
        if not _without_weights(these, git_directory, filtered, every=whole_tree is not None):
            return False
    # A submodule is a folder, to patterns that match only those.
    found = index.entries(paths, SUBMODULE) if looked_into else entries
    submodules = [path for path, entry in found.items() if entry[0] == _SUBMODULE_MODE]
    if projects is None:
        if submodules and matcher.blocked([path + b"/" for path in submodules]):
            return False
    else:
        from fx_hooks.fastpath.projects import places_of_runs

        places = places_of_runs(projects, tables, marks, paths, index, submodules)
    if places is None or _has_runs(index, places, whole_tree, every=not asked):
        return False
    return whole_tree is not None or not any(
        disk.has_any(folders, [mark for mark in tails if not mark.startswith(b"*/")])
        for tails, folders in places
    )


def _are_there(
    attributes: "list[bytes]", folders: "list[bytes]", disk: Disk, *, every: bool
) -> bool:
    """Return True if one of *attributes*, the files of *folders*, is on disk.

    Of *every* folder nothing else is asked: then each file is looked for, and no folder listed.
    """
    if every:
        return any(map(os.path.lexists, attributes))
    return disk.has_any(folders, (ATTRIBUTES,))


def _says_something(names: "list[bytes]", disk: Disk) -> bool:
    """Return True unless the command surely says nothing of *names* that are not in the index."""
    nowhere = 0
    for name in names:
        if not disk.may_have(name):
            nowhere += 1
            continue
        try:
            status = os.lstat(name)
        except OSError:
            nowhere += 1
            continue
        if status.st_mode & 0o170000 == 0o100000 and status.st_size >= least_size(name):
            return True
    # A name of no file may be mistyped, but nobody types many.
    return 0 < nowhere <= MOST_TYPED


def _has_runs(
    index: "Index | ListedIndex", places: "Places", whole_tree: "bytes | None", *, every: bool
) -> bool:
    """Return True if a folder of *places* may be a run, or holds them, by what the index has.

    Unless *every* mark is asked for, only those in any folder are. *whole_tree* is as above.
    """
    for tails, folders in places:
        # With a run in it, all that is in such a folder may be refused.
        if any(name.endswith(HOMES) for name in folders):
            return True
        for mark in tails:
            tail = mark[1:] if mark.startswith(b"*/") else b"/" + mark
            if whole_tree is not None and tail + b"\0" not in whole_tree:
                continue
            if mark.startswith(b"*/"):  # in any folder right in it, and not on disk
                if index.has_in_any_folder(folders, tail):
                    return True
            elif every and index.entries((folder + tail for folder in folders), tail + b"\0"):
                return True
    return False


def _without_weights(
    entries: "dict[bytes, Entry]", git_directory: str, filtered: bool, *, every: bool
) -> bool:
    """Return True if none of *entries* could be weights whatever its name.

    What is *filtered* may be another size than the file. With *every* all count, otherwise those
    that are new.
    """
    large = list(entries) if filtered else doubtful_weights(entries)
    if len(large) > _MANY:
        large = _new_among(large, entries, git_directory, every=every)
        if len(large) > _MANY:
            large = _large_among(large, entries)
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
            if found is None or (found[1] >= least_size(path) and may_be_one(*found)):
                left.append(path)
    return not left or not _new_among(left, entries, git_directory, every=every)


def _new_among(
    paths: "list[bytes]", entries: "dict[bytes, Entry]", git_directory: str, *, every: bool
) -> "list[bytes]":
    """Return those of *paths* that are staged, or *every* one, that nobody has looked into yet.

    Where nothing is staged this is not a commit, and every one counts as well.
    """
    from fx_hooks.fastpath.looked_into import read

    output = b"" if every else _git(*STAGED)
    new = frozenset(output.split(b"\0")[:-1]) or frozenset(paths)
    nothing = read(git_directory)[0]
    return [path for path in paths if path in new and entries[path][2] not in nothing]


def _large_among(paths: "list[bytes]", entries: "dict[bytes, Entry]") -> "list[bytes]":
    """Return those of *paths* that are looked into, by the sizes that git says.

    Most say in the index how large they are, but not those of a sparse or unfinished checkout.
    """
    from fx_hooks.fastpath import fast_git

    files = [path for path in paths if entries[path][0] & 0o170000 == 0o100000]
    blobs = list({entries[path][2] for path in files})
    sizes = fast_git.sizes_of([blob.hex().encode() for blob in blobs])
    if sizes is None:
        raise NotSureError
    size_of = dict(zip(blobs, sizes, strict=True))
    return [path for path in files if size_of[entries[path][2]] >= least_size(path)]


def _folders_above(paths: "list[bytes]") -> "list[bytes]":
    """Return all folders that *paths* are in; the root is ``b""``."""
    folders = {b""}
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]
    return list(folders)


def _runs(places: "Places") -> "list[bytes]":
    """Return the paths of the files that would make a folder of *places* a run."""
    return [
        folder + b"/" + mark
        for tails, folders in places
        for mark in tails
        if not mark.startswith(b"*/")
        for folder in folders
    ]


def _git(*arguments: str) -> bytes:
    from fx_hooks.fastpath import fast_git  # for the few commits that need it

    output = fast_git.output(*arguments)
    if output is None:
        raise NotSureError
    return output


# What a plain root-relative path does not have, where each path stands between NULs.
_ODD = (b"\0/", b"//", b"/\0", b"\0\0")
_ODD_PARTS = (b"./", b"../", b".\0", b"..\0")


def plain(paths: bytes) -> bool:
    """Return True if *paths*, each between NULs, are spelled as git spells them."""
    return not any(odd in paths for odd in _ODD) and not any(
        before + part in paths
        for before in (b"\0", b"/")
        if before + b"." in paths
        for part in _ODD_PARTS
    )


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
