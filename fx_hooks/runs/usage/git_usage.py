"""The space of the git directory, by what git keeps where."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.util.disk import Folder, Scan, Size, scan, size_of

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository

PACKED = "packed history"
LOOSE = "loose objects"
LFS = "Git LFS"
SUBMODULES = "submodules"
OTHER = "index, logs and the like"


class GitSpace(NamedTuple):
    """``parts`` are disjoint and all of it; ``path`` is absolute.

    A linked work tree and a submodule have theirs outside the work tree. ``garbage``
    is what git itself calls so, in bytes.
    """

    path: bytes
    inside: bool
    scan: Scan
    parts: dict[str, list[Folder]]
    garbage: int

    def size(self, part: str) -> Size:
        """Return what that part takes."""
        return size_of(self.parts[part])


def git_space(repository: Repository) -> GitSpace:
    """Look at the git directory that all work trees of the repository share."""
    path = os.path.normpath(repository.common_directory())
    found = scan(path, skip=())
    objects = found.top.folders.get(b"objects")
    parts: dict[str, list[Folder]] = {PACKED: [], LOOSE: [], LFS: [], SUBMODULES: []}
    if objects is not None:
        for name, folder in objects.folders.items():
            if name == b"pack":
                parts[PACKED].append(folder)
            elif len(name) == 2:
                parts[LOOSE].append(folder)
    for part, name in ((LFS, b"lfs"), (SUBMODULES, b"modules")):
        parts[part] += [folder for folder in (found.top.folders.get(name),) if folder is not None]
    return GitSpace(
        path=path,
        inside=os.path.realpath(path) == os.path.join(os.path.realpath(repository.root), b".git"),
        scan=found,
        parts=parts,
        garbage=_garbage(repository),
    )


def _garbage(repository: Repository) -> int:
    """Bytes that ``git count-objects`` calls garbage."""
    counted = dict(
        line.split(": ", 1) for line in repository.run("count-objects", "-v").decode().splitlines()
    )
    return int(counted["size-garbage"]) << 10
