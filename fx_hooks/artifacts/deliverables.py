"""Signs that what is refused was meant to be in Git: who names it, and how many lie together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from fx_hooks.policy.model import literal

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository

_MANY = 5  # files of one suffix in one folder that are no coincidence
_MOST = 50  # names to look for
# Code and notes that use a file, or tell people of it.
_READERS = ("*.py", "*.ipynb", "*.sh", "*.md", "*.rst", "README*")


def named_in(repository: Repository, paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return which of *paths* tracked code or a README names, and the first file that does.

    Those that no pattern can name are left out.
    """
    names: dict[bytes, list[bytes]] = {}
    for path in paths:
        name = path.rpartition(b"/")[2]
        if b"\n" not in name:  # of which git would make two
            names.setdefault(name, []).append(path)
    if not 0 < len(names) <= _MOST:  # as many words as git can be asked for
        return {}
    wanted = [word for name in names for word in ("-e", os.fsdecode(name))]
    options = ("--cached", "--full-name", "--no-color", "--no-line-number", "-z", "-I", "-o", "-F")
    pathspecs = [f":(top,glob)**/{reader}" for reader in _READERS]
    # It ends with 128 where a partial clone lacks a file; what it has found by then counts.
    output = repository.run("grep", *options, *wanted, "--", *pathspecs, codes=(0, 1, 128))
    found: dict[bytes, bytes] = {}
    for line in output.split(b"\n"):
        file, _, name = line.partition(b"\0")
        for path in names.get(name, ()):
            found.setdefault(path, file)
    if not found:
        return found
    from fx_hooks.policy.patterns import problem  # which imports more than all of a refusal

    return {
        path: file for path, file in found.items() if not problem("/" + literal(os.fsdecode(path)))
    }


def sibling_patterns(paths: Collection[bytes]) -> list[tuple[str, int]]:
    """Return a pattern for each folder that has many of *paths* of one suffix, and how many."""
    kinds: Counter[tuple[bytes, bytes]] = Counter()
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        stem, dot, suffix = name.rpartition(b".")
        if folder and stem and dot:
            kinds[folder, suffix] += 1
    found: list[tuple[str, int]] = []
    if not kinds or max(kinds.values()) < _MANY:
        return found
    from fx_hooks.policy.patterns import problem

    for (folder, suffix), count in kinds.most_common():
        pattern = f"/{literal(os.fsdecode(folder))}/*.{literal(os.fsdecode(suffix))}"
        if count >= _MANY and not problem(pattern):
            found.append((pattern, count))
    return found
