"""The addresses of artifacts of W&B, as people write them."""

from __future__ import annotations

import re
from typing import NamedTuple

SCHEME = "wandb:"
# W&B's own rules for names: wandb/sdk/artifacts/_validators.py. An alias has no slash and no colon.
ADDRESS = re.compile(
    r"wandb:(?P<entity>[^/:\s]+)/(?P<project>[^/:\s]+)/(?P<name>[A-Za-z0-9_.-]+)"
    r":(?P<version>[^/:\s]+)(?:/(?P<file>[^\s].*))?",
    re.ASCII,
)


class Address(NamedTuple):
    """``wandb:ENTITY/PROJECT/NAME:VERSION``, and a slash and a file in it, or none.

    What is to be logged has no version yet.
    """

    entity: str
    project: str
    name: str
    version: str
    file: str = ""

    @property
    def artifact(self) -> str:
        """The artifact, as W&B calls it."""
        version = f":{self.version}" if self.version else ""
        return f"{self.entity}/{self.project}/{self.name}{version}"

    def __str__(self) -> str:
        """Return it as people write it."""
        return SCHEME + self.artifact + (f"/{self.file}" if self.file else "")


def parse(text: str) -> Address | None:
    """Return the address that *text* is; None if it is none."""
    match = ADDRESS.fullmatch(text)
    if match is None or not is_plain(match["file"] or "file"):
        return None
    return Address(**{key: value or "" for key, value in match.groupdict().items()})


def is_plain(path: str) -> bool:
    """Return True if *path* names a file below the folder that it is taken in."""
    return not {"", ".", ".."} & set(path.split("/")) and path.isprintable() and "\\" not in path
