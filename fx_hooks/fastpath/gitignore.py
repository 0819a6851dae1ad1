"""The fast path of ``fx-sync-gitignore``: nothing has changed since the last good check.

What it was made from is kept in one file of the git directory, byte for byte: the built-in
policy, ``.fx-hooks.yaml`` and ``.gitignore`` as they are on disk, the index entries of both
and of the milestones, and size and time of the source that makes the block. While all of it
is the same there is nothing to do. One git call is made, and next to nothing is imported
(see :mod:`fx_hooks.fastpath.artifacts`).
"""

import os

from fx_hooks.fastpath import POLICY, fast_git, table_cache
from fx_hooks.fastpath.work_tree import find_git_directory, read_policy

NAME = "fx-hooks.gitignore"
FILE = ".gitignore"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The tables, whose key knows the rest, are made without these.
_SOURCES = (
    "gitignore/block.py", "gitignore/globs.py", "gitignore/policy_lines.py", "util/diff.py",
)  # fmt: skip


def proven_in_step(arguments: "list[str]") -> bool:
    """Return True if ``fx-sync-gitignore`` with *arguments* has nothing to do.

    True is certain; False means that the command has to look closely.
    """
    git_directory = find_git_directory()
    if arguments or git_directory is None:
        return False
    kept = table_cache.own_file(os.path.join(git_directory, NAME))
    if kept is None:
        return False
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


def _state(milestones_file: bytes) -> "bytes | None":
    content = _content()
    listed = fast_git.output(
        "--literal-pathspecs", "ls-files", "-s", "-z", "--",
        os.fsdecode(POLICY), os.fsdecode(milestones_file), FILE,
    )  # fmt: skip
    if content is None or listed is None:
        return None
    sources = b""
    for name in _SOURCES:
        source = os.stat(os.path.join(_PACKAGE, name))
        sources += b"%d %d " % (source.st_size, source.st_mtime_ns)
    policy = table_cache.cache_key(read_policy())
    return sources + b"%d %d\n" % (len(policy), len(listed)) + policy + listed + content


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
