"""The blocks of a repository: one in its root's ``.gitignore``, and one in each project's.

git reads the ignore file of a folder after those above it, and the last line that matches
decides. So the block of a project is the one that it would have as a repository. Before it
stand lines that undo what the blocks above say there and its own policy does not: by a rule
that it disables, or because a folder above is called like something that a rule refuses.
Nothing in a closed folder can be let in again, so the block above lets in the folder of a
project that it would close.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore.block import block_lines
from fx_hooks.gitignore.kept_blocks import KeptBlocks
from fx_hooks.policy.model import KEEP_RULE, MILESTONE_RULE, Entry, Policy, literal
from fx_hooks.policy.patterns import within

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, Repository

# Patterns with which a folder is closed: nothing in it is left.
_EVERYTHING = frozenset(("*", "/*", "/**", "/**/*"))


def wanted_blocks(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> dict[bytes, list[bytes]]:
    """Return the lines of each block, by the folder that its file is in, the root first.

    Projects are those in the index, and those on disk: what is in them is not tracked yet.
    """
    if policy.projects is None:
        return {b"": block_lines(policy)}
    folders = _folders(repository, index, policy)
    blocks = _Blocks(policy, folders, KeptBlocks(repository.git_directory))
    found = {folder: blocks.lines(folder) for folder in (b"", *folders)}
    blocks.kept.keep()
    return found


def wanted_block(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy, folder: bytes
) -> list[bytes]:
    """Return the lines of one block, as :func:`wanted_blocks` has them."""
    if policy.projects is None:
        return block_lines(policy)
    kept = KeptBlocks(repository.git_directory)
    return _Blocks(policy, _folders(repository, index, policy), kept).lines(folder)


def _folders(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> list[bytes]:
    assert policy.projects is not None
    root = repository.root
    tracked = {*policy.projects.among(index)}
    others = {*policy.projects.on_disk(root)} - tracked
    found = tracked | (others - _left_alone(repository, others) if others else others)
    # No line of an ignore file can name a folder with a line break in its name.
    return sorted(folder for folder in found if b"\n" not in folder and _is_folder(root, folder))


def _left_alone(repository: Repository, folders: Iterable[bytes]) -> set[bytes]:
    """Return those of *folders* that git ignores, by a line that is in no block."""
    found = repository.ignore_lines(folders)
    blocks = {file: ignore_file.block_of(repository.root, file)
              for file in {line.file for line in found.values()}}  # fmt: skip
    return {
        folder
        for folder, line in found.items()
        if line.ignores and line.number not in blocks[line.file]
    }


def _is_folder(root: bytes, folder: bytes) -> bool:
    """Return True if git goes down into *folder*: it is there, and no link leads to it."""
    place = os.path.join(root, folder)
    return os.path.isdir(place) and os.path.realpath(place) == os.path.join(
        os.path.realpath(root), folder.replace(b"/", os.fsencode(os.sep))
    )


def _opened(policy: Policy, closed: Iterable[bytes]) -> Policy:
    """Return *policy* with the *closed* folders of projects let in."""
    opened = [
        Entry(f"/{literal(os.fsdecode(below))}", False, KEEP_RULE, "", "", "", 0)
        for below in closed
    ]
    # In front of the milestones, which come last.
    place = len(policy.entries)
    while place and policy.entries[place - 1].rule == MILESTONE_RULE:
        place -= 1
    return policy._replace(entries=(*policy.entries[:place], *opened, *policy.entries[place:]))


class _Blocks:
    """The blocks of the projects at *folders*, each of the same policy made once."""

    def __init__(self, policy: Policy, folders: Iterable[bytes], kept: KeptBlocks) -> None:
        self.kept = kept
        self._policy = policy
        self._folders = list(folders)
        self._made: dict[tuple[object, ...], list[bytes]] = {}
        self._of_folder: dict[bytes, list[bytes]] = {}

    def _policy_of(self, folder: bytes) -> Policy:
        assert self._policy.projects is not None
        if not folder:
            return self._policy
        return self._policy.projects.at(folder).policy

    def _around(self, folder: bytes) -> Iterator[bytes]:
        """Yield the projects around the one at *folder*, the innermost first."""
        assert self._policy.projects is not None
        while folder:
            folder = self._policy.projects.around(folder)
            yield folder

    def lines(self, folder: bytes) -> list[bytes]:
        """Return the lines between the markers in the file of *folder*."""
        own = self._own(folder)
        known = set(own)
        undone = [
            line for around in self._around(folder) for line in self._undone(around, folder, known)
        ]
        if not undone:
            return own
        head = b"# What the .gitignore of a folder above says, and the policy of this one does not."
        return [head, *dict.fromkeys(undone), *own]

    def _own(self, folder: bytes) -> list[bytes]:
        # All projects below ask for the same one.
        if folder not in self._of_folder:
            self._of_folder[folder] = self._lines_of(folder)
        return self._of_folder[folder]

    def _lines_of(self, folder: bytes) -> list[bytes]:
        policy = self._policy_of(folder)
        closed = tuple(self._closed(folder))
        # Policies that say the same have the same lines, wherever they say it.
        said = tuple(
            (one.pattern, one.blocks, one.rule, one.why, one.tool) for one in policy.alone()
        )
        made_of = (said, policy.best_models.milestones_file, closed)
        if made_of not in self._made:
            lines = self.kept.get(made_of)
            if lines is None:
                lines = block_lines(_opened(policy, closed))
                self.kept.add(made_of, lines)
            self._made[made_of] = lines
        return self._made[made_of]

    def _closed(self, around: bytes) -> Iterator[bytes]:
        """Yield the folders of projects in *around* that its lines may close, relative to it."""
        start = len(around) + 1 if around else 0
        for folder in self._folders:
            if around in self._around(folder):
                below = folder[start:]
                name = os.fsdecode(below)
                if any(
                    entry.blocks and not _EVERYTHING.isdisjoint(within(entry.pattern, name))
                    for entry in self._policy_of(around).entries
                ):
                    yield below

    def _undone(self, around: bytes, folder: bytes, own: Collection[bytes]) -> Iterator[bytes]:
        """Yield lines that undo those of *around* that hold in *folder*, and are none of its *own*.

        That is also so for a line that its own block leaves out, as nothing there needs it.
        """
        above = folder[len(around) + 1 :] if around else folder
        for line in self._own(around):
            if line[:1] in (b"!", b"#", b""):
                continue
            if line[:1] != b"/" and line not in own:
                yield b"!" + line
            if b"/" in line[1:-1]:
                text = line.decode("utf-8", "surrogateescape")
                for rest in within(text, os.fsdecode(above)):
                    below = rest.encode("utf-8", "surrogateescape")
                    # A line that closes the whole folder has been undone above it.
                    if below != b"*" and below not in own:
                        yield b"!" + below
                        # Such a line matches what is in a folder, not only the folder.
                        if line.endswith(b"/**") and below.endswith(b"/"):
                            yield b"!" + below + b"**"
