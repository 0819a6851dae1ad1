"""The fast path of ``fx-sync-gitignore``: nothing has changed since the last good check.

What it was made from is kept in one file of the git directory, byte for byte: the built-in
policy, ``.fx-hooks.yaml`` and ``.gitignore`` as they are on disk, the index entries of both
and of the milestones, and size and time of the source that makes the block. While all of it
is the same there is nothing to do. One git call is made, and next to nothing is imported
(see :mod:`fx_hooks.fastpath.artifacts`).

With projects it is the same for each of them, but for two things: no git is started, and a
``.gitignore`` is not read, but has the size and the times that it had (as git itself sees whether
a file has changed). The folders in which there may be new projects have to hold the same folders.
"""

import os

from fx_hooks.fastpath import POLICY, fast_git, table_cache
from fx_hooks.fastpath.work_tree import find_git_directory, read_policy

NAME = "fx-hooks.gitignore"
FILE = ".gitignore"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The tables, whose key knows the rest, are made without these.
_SOURCES = (
    "gitignore/block.py", "gitignore/blocks.py", "gitignore/globs.py",
    "gitignore/policy_lines.py", "util/diff.py",
)  # fmt: skip
_MAGIC = b"fx-hooks ignores"
_FILE = FILE.encode()
_FEW = 500  # folders to look in: below a glob with `**` are thousands
_SETTLED = 2_000_000_000  # nanoseconds after which a file that changes has another time
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    # The folders in which there may be projects; those that have a block, the root first, each
    # with the path of its milestones' file; those that have none while nothing in them is tracked.
    Watched: TypeAlias = tuple[
        tuple[bytes, ...], tuple[tuple[bytes, bytes], ...], tuple[bytes, ...]
    ]


def proven_in_step(arguments: "list[str]") -> bool:
    """Return True if ``fx-sync-gitignore`` with *arguments* has nothing to do.

    True is certain; False means that the command has to look closely.
    """
    git_directory = find_git_directory()
    if arguments or git_directory is None:
        return False
    place = os.path.join(git_directory, NAME)
    kept = table_cache.own_file(place)
    if kept is None:
        return False
    if kept.startswith(_MAGIC):
        content = table_cache.read([place], b"", _MAGIC)
        return content is not None and content[1] == _state_of(git_directory, *content[0])
    milestones_file, _, state = kept.partition(b"\0")
    return state == _state(milestones_file)


def remember(git_directory: str, milestones_file: str) -> None:
    """Keep that all is in step now, in the root of the work tree; or do nothing."""
    from fx_hooks.util.files import replace_file  # not on the path of a clean commit

    name = os.fsencode(milestones_file)
    state = _state(name)
    if state is not None:
        try:  # noqa: SIM105
            replace_file(os.path.join(git_directory, NAME), name + b"\0" + state, 0o600)
        except OSError:
            pass


def remember_projects(git_directory: str, watched: "Watched", now: int) -> None:
    """Keep that all is in step *now*, with projects; or do nothing."""
    few = len(watched[0]) <= _FEW
    state = _state_of(git_directory, *watched, now=now) if few else None
    if state is not None:
        table_cache.write([os.path.join(git_directory, NAME)], b"", (watched, state), _MAGIC)


def _state_of(
    git_directory: str,
    looked_in: "tuple[bytes, ...]",
    projects: "tuple[tuple[bytes, bytes], ...]",
    without: "tuple[bytes, ...]",
    now: int = 0,
) -> "tuple[object, ...] | None":
    """Return all that decides whether the blocks are in step, None where that cannot be told.

    That is so just after a file was written, if the time is *now*.
    """
    from fx_hooks.fastpath.index_bytes import NotSureError, open_index

    index = open_index(git_directory)
    if index is None:
        return None
    try:
        files = []
        names = []
        for folder, milestones in projects:
            before = folder + b"/" if folder else b""
            found = os.lstat(before + _FILE)
            if found.st_mode & 0o170000 != 0o100000:
                return None
            if now and now - max(found.st_mtime_ns, found.st_ctime_ns) < _SETTLED:
                return None
            files.append((found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
            names += [before + _FILE, before + POLICY, milestones]
        entries = index.entries(names)
        for folder, _ in projects:
            # One that git does not track may change without a trace.
            own = folder + b"/" + POLICY
            if folder and own not in entries and os.path.lexists(own):
                return None
        # These are left alone while nothing in them is tracked.
        apart = [folder + b"/" for folder in without]
        apart += [
            folder + b"/"
            for folder, _ in projects
            if folder and folder + b"/" + _FILE not in entries
        ]
        if index.any_below(apart):
            return None
        folders = tuple([tuple(sorted(_folders_in(folder or b"."))) for folder in looked_in])
    except (OSError, NotSureError):
        return None
    policy = table_cache.cache_key(read_policy())
    staged = [(path, entry[0], entry[2]) for path, entry in entries.items()]
    return _sources(), policy, tuple(sorted(staged)), tuple(files), folders


def _folders_in(folder: bytes) -> "list[bytes]":
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _sources() -> bytes:
    found = b""
    for name in _SOURCES:
        source = os.stat(os.path.join(_PACKAGE, name))
        found += b"%d %d " % (source.st_size, source.st_mtime_ns)
    return found


def _state(milestones_file: bytes) -> "bytes | None":
    content = _content()
    listed = fast_git.output(
        "--literal-pathspecs", "ls-files", "-s", "-z", "--",
        os.fsdecode(POLICY), os.fsdecode(milestones_file), FILE,
    )  # fmt: skip
    if content is None or listed is None:
        return None
    policy = table_cache.cache_key(read_policy())
    return _sources() + b"%d %d\n" % (len(policy), len(listed)) + policy + listed + content


def _content() -> "bytes | None":
    """Return the bytes of ``.gitignore``; None for anything but a regular file."""
    try:
        state = os.lstat(FILE)
        if state.st_mode & 0o170000 != 0o100000 or state.st_size > table_cache.MAX_BYTES:
            return None
        with open(FILE, "rb") as file:
            return file.read()
    except OSError:
        return None
