"""The checksum that git writes at the end of its index, and does not look at itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator


def damaged_indices(git_directory: str, index: str | None = None) -> Iterator[str]:
    """Yield the files of an index that have another checksum than git wrote into them.

    *index* is where it is, if not in *git_directory*. git lists what is left of such an index
    without a word. Raises :class:`OSError` where one cannot be read; one that is not there has
    no entries. See "index format" of git.
    """
    shared = [name for name in os.listdir(git_directory) if name.startswith("sharedindex.")]
    for place in (index or "index", *shared):
        path = os.path.join(git_directory, place)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            continue
        if not any(_ends_in_sum(content, name) for name in ("sha1", "sha256")):
            yield path


def _ends_in_sum(content: bytes, algorithm: str) -> bool:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    end = len(content) - digest.digest_size
    digest.update(memoryview(content)[: max(end, 0)])
    # Nothing but zeros where index.skipHash is set.
    return content[end:] in (digest.digest(), bytes(digest.digest_size))
