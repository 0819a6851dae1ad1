"""The lines of the blocks of projects, kept in the git directory: hundreds take long to make.

As strict as the tables (:mod:`fx_hooks.fastpath.table_cache`): what is missing, old or damaged is
made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from fx_hooks.fastpath import table_cache

NAME = "fx-hooks.blocks"
_MAGIC = b"fx-hooks blocks\n"
# All that decides which lines are made of the same patterns.
_SOURCES = (
    "gitignore/block.py", "gitignore/blocks.py", "gitignore/globs.py", "gitignore/policy_lines.py",
    "policy/patterns.py",
)  # fmt: skip


class KeptBlocks:
    """Lines by what they are made of."""

    def __init__(self, git_directory: str) -> None:
        self._places = [os.path.join(git_directory, NAME)]
        self._kept: dict[bytes, tuple[bytes, ...]] = (
            table_cache.read(self._places, _key(), _MAGIC) or {}
        )
        self._used: dict[bytes, tuple[bytes, ...]] = {}

    def get(self, made_of: object) -> list[bytes] | None:
        """Return the lines that are made of this; None where they are not known."""
        name = _name(made_of)
        lines = self._kept.get(name)
        if lines is None:
            return None
        self._used[name] = lines
        return list(lines)

    def add(self, made_of: object, lines: Sequence[bytes]) -> None:
        """Take *lines* as those that are made of this."""
        self._used[_name(made_of)] = tuple(lines)

    def keep(self) -> None:
        """Keep what was asked for and added, and nothing else."""
        if self._used.keys() != self._kept.keys():
            # The same line is written once.
            pool: dict[bytes, bytes] = {}
            content = {
                name: tuple(pool.setdefault(line, line) for line in lines)
                for name, lines in self._used.items()
            }
            table_cache.write(self._places, _key(), content, _MAGIC)


def _name(made_of: object) -> bytes:
    return hashlib.sha256(repr(made_of).encode("utf-8", "surrogateescape")).digest()


def _key() -> bytes:
    return table_cache.state_of(_SOURCES).encode()
