"""Has anything changed since ``.gitignore`` was found in step with the policy?

What it was made from is kept in one file of the git directory, byte for byte: the built-in
policy, ``.fx-hooks.yaml`` and ``.gitignore`` as they are on disk, the index entries of both
and of the milestones, and size and time of the source that makes the block. While all of it
is the same there is nothing to do. One git call is made, and next to nothing is imported
(see :mod:`fx_hooks.gate`).
"""

import os

from fx_hooks import quickgit
from fx_hooks.atomic import replace_file
from fx_hooks.gate import POLICY, find_git_directory, read_policy
from fx_hooks.policy import cache

NAME = "fx-hooks.gitignore"
FILE = ".gitignore"
_FOLDER = os.path.dirname(os.path.abspath(__file__))
# The tables, whose key knows the rest, are made without these.
_SOURCES = ("block.py", "../changes.py", "../policy/gitignore.py", "../policy/globs.py")


def surely_in_step(arguments: "list[str]") -> bool:
    """Whether ``fx-sync-gitignore`` with *arguments* has nothing to do.

    True is certain; False means that somebody has to look closely.
    """
    git_directory = find_git_directory()
    if arguments or git_directory is None:
        return False
    kept = cache.own_file(os.path.join(git_directory, NAME))
    if kept is None:
        return False
    milestones_file, _, state = kept.partition(b"\0")
    return state == _state(milestones_file)


def remember(git_directory: str, milestones_file: str) -> None:
    """Keep that all is in step now, in the root of the work tree; or do nothing."""
    name = os.fsencode(milestones_file)
    state = _state(name)
    if state is not None:
        try:  # noqa: SIM105
            replace_file(os.path.join(git_directory, NAME), name + b"\0" + state, 0o600)
        except OSError:
            pass


def _state(milestones_file: bytes) -> "bytes | None":
    content = _content()
    listed = quickgit.output(
        "--literal-pathspecs", "ls-files", "-s", "-z", "--",
        os.fsdecode(POLICY), os.fsdecode(milestones_file), FILE,
    )  # fmt: skip
    if content is None or listed is None:
        return None
    sources = b""
    for name in _SOURCES:
        source = os.stat(os.path.join(_FOLDER, name))
        sources += b"%d %d " % (source.st_size, source.st_mtime_ns)
    policy = cache.cache_key(read_policy())
    return sources + b"%d %d\n" % (len(policy), len(listed)) + policy + listed + content


def _content() -> "bytes | None":
    """The bytes of ``.gitignore``, whoever may write it; None for what is no regular file."""
    try:
        state = os.lstat(FILE)
        if state.st_mode & 0o170000 != 0o100000 or state.st_size > cache.MAX_BYTES:
            return None
        with open(FILE, "rb") as file:
            return file.read()
    except OSError:
        return None
