"""A run's identity: what tells it again after it was moved, without saying whose it is."""

from __future__ import annotations

import hashlib
import os

from fx_hooks.util.disk import NoFileError, files_only

# Hydra writes them once, before the job begins; hydra.yaml has the folder and the job's number.
_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")


def identity_of(directory: str) -> str | None:
    """Return ``hydra:`` and a SHA-256 of what Hydra wrote about the job; None for other folders.

    Raises :class:`OSError` where a file of that is there and cannot be read.
    """
    digest = hashlib.sha256()
    found = False
    for name in _FILES:
        try:
            place = os.path.join(directory, ".hydra", name)
            with open(place, "rb", opener=files_only) as file:
                content = file.read()
        except (FileNotFoundError, NotADirectoryError, NoFileError):
            content = b""
        found = found or (name == "hydra.yaml" and b"output_dir" in content)
        digest.update(b"%d\n" % len(content) + content)
    return f"hydra:{digest.hexdigest()}" if found else None
