"""Lines of a ``.gitignore`` that its block makes redundant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.gitignore.block import parse, patterns_of
from fx_hooks.gitignore.globs import Glob, covers, example, example_of
from fx_hooks.gitignore.policy_lines import says_the_same
from fx_hooks.policy.model import literal
from fx_hooks.policy.patterns import problem
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy


def redundant_lines(
    root: bytes, paths: Iterable[bytes], text: bytes, policy: Policy
) -> list[tuple[int, bytes]]:
    """Return the lines of *text* around its block that the block of *policy* makes redundant.

    Each with its number from 1. *text* is the ``.gitignore`` of *root*; its block need not be
    there yet. *paths* are those that are in the repository.
    """
    folders = {folder for path in paths for folder in parents(path)}
    # Parts of a glob are text in which a character is a byte.
    globs = [tuple(map(literal, folder.decode("latin-1").split("/"))) for folder in folders]

    @cache
    def is_folder(glob: Glob) -> bool:
        on_disk = os.path.isdir(os.path.join(root, example(glob)))
        return on_disk or any(covers(glob, folder) for folder in globs)

    try:
        parsed = parse(text)
    except FatalError:
        return []  # a merge has doubled it, which is put right; then there are other lines
    patterns = patterns_of(text)
    # In front of the block they have no say.
    let_in = [pattern[1:] for pattern in patterns[parsed.stop :] if pattern.startswith("!")]
    own = {
        number: pattern
        for number, pattern in enumerate(patterns, 1)
        if not parsed.start < number <= parsed.stop and not problem(pattern)
    }
    examples = {number: example_of(pattern) for number, pattern in own.items()}
    blocked = set(Classifier(policy).blocked(list(examples.values())))
    found = []
    for number, pattern in own.items():
        # Patterns are compared with patterns only where that may come to something.
        others = let_in if number > parsed.stop else ()
        if examples[number] in blocked and says_the_same(policy, pattern, others, is_folder):
            found.append((number, pattern.encode("utf-8", "surrogateescape")))
    return found
