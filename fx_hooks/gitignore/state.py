"""Has anything changed since ``.gitignore`` was found in step with the policy?

What it was made from is kept in one file of the git directory, byte for byte: the built-in
policy, ``.fx-hooks.yaml`` and ``.gitignore`` as they are on disk, and the index entries of
the policy and the milestones. While all of it is the same there is nothing to do. One git
call is made, and next to nothing is imported (see :mod:`fx_hooks.gate`).
"""

import os

from fx_hooks import quickgit
from fx_hooks.atomic import replace_file
from fx_hooks.gate import POLICY, find_git_directory, read_policy
from fx_hooks.policy import cache

NAME = "fx-hooks.gitignore"
FILE = ".gitignore"


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
    content = cache.own_file(FILE)
    listed = quickgit.output(
        "--literal-pathspecs", "ls-files", "-s", "-z", "--",
        os.fsdecode(POLICY), os.fsdecode(milestones_file),
    )  # fmt: skip
    if content is None or listed is None:
        return None
    policy = cache.cache_key(read_policy())
    return b"%d %d\n" % (len(policy), len(listed)) + policy + listed + content
