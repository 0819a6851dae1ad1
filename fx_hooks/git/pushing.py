"""The refs that the ``git push`` around a hook pushes, where the system tells its arguments.

Runners hand on the first ref of a push, and keep what git says of the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

_WITH_VALUE = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env")
# None of these adds a ref. What is not known here may.
_ADDS_NOTHING = {
    "-u", "--set-upstream", "-f", "--force", "--force-with-lease", "--force-if-includes", "-n",
    "--dry-run", "-v", "--verbose", "-q", "--quiet", "--progress", "--no-progress", "--porcelain",
    "--atomic", "--no-atomic", "--thin", "--no-thin", "--verify", "-4", "--ipv4", "-6", "--ipv6",
    "--no-follow-tags", "--no-signed",
}  # fmt: skip
# `simple` is what git does if nothing is set.
_ONE_BRANCH = (b"", b"simple", b"current", b"upstream", b"tracking")


def pushes_one_ref(store: ObjectStore, remote: str) -> bool:
    """Return True if the push around this process surely pushes one ref alone to *remote*."""
    words = next((w for w in map(_of_push, _started_with(os.getppid())) if w is not None), None)
    if words is None:
        return False
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    named = [word for word in words if not word.startswith("-")]
    if not _ADDS_NOTHING.issuperset(options) or len(named) > 2:
        return False

    def setting(name: str, *options: str) -> bytes:
        return store.run("config", *options, "--get-all", name, codes=(0, 1)).strip()

    if b"true" in setting("push.followTags", "--type=bool"):
        return False
    if named[1:]:
        return named[1].strip("+:") != "" and "*" not in named[1] and named[1] != "tag"
    if b"true" in setting(f"remote.{remote}.mirror", "--type=bool"):
        return False
    return setting("push.default") in _ONE_BRANCH and not setting(f"remote.{remote}.push")


def _of_push(words: Sequence[str]) -> list[str] | None:
    """Return what follows ``git push``; None for any other command."""
    rest = list(words)
    if not rest or os.path.basename(rest.pop(0)) != "git":
        return None
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in _WITH_VALUE else 1 :]
    return rest[1:] if rest[:1] == ["push"] else None


def _started_with(pid: int) -> Iterator[list[str]]:
    """Yield the words that a process was started with, then those of the ones around it."""
    while pid > 1:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")[:-1]
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The name before it may hold blanks and brackets.
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        yield [os.fsdecode(word) for word in words]
