"""The signs by which a folder of a larger repository is a project of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from fx_hooks.policy.model import literal
from fx_hooks.util.paths import parents

# What each folder with it is told by; of several the first is named.
_SIGNS = (
    (re.compile(rb"(?P<folder>.+)/(?P<sign>pyproject\.toml|setup\.cfg)\Z"), "{}"),
    (
        re.compile(rb"(?P<folder>.+?)/(?P<sign>best_models)/(?:.*_meta\.json|milestones\.yaml)\Z"),
        "{}/",
    ),
    (
        re.compile(
            rb"(?P<folder>.+?)/(?P<sign>\.?wandb)/(?:offline-)?run-[0-9]{8}_[0-9]{6}-[^/]+/?"
        ),
        "runs of W&B in {}/",
    ),
    (
        re.compile(
            rb"(?P<folder>.+?)/(?P<sign>outputs|multirun)/[0-9]{4}-[0-9]{2}-[0-9]{2}/"
            rb"[0-9]{2}-[0-9]{2}-[0-9]{2}(?:/|\Z)"
        ),
        "runs of Hydra in {}/",
    ),
    (
        re.compile(rb"(?P<folder>.+)/(?P<sign>conf)/config\.ya?ml\Z"),
        "configuration of Hydra in {}/",
    ),
)
# Hydra reads its configuration from a package as well, which is started from elsewhere.
_WEAK = len(_SIGNS) - 1
# Copies, data of tests, and what a tool makes new projects from.
_OTHERS = re.compile(
    rb"(?:.*[^a-z])?(?:tests?|testing|testdata|fixtures?|templates?|skeletons?|cookiecutters?)\Z"
    rb"|node_modules|vendor(?:ed)?|third[-_]?party|site-packages|extern(?:al)?|\..*|.*\{\{.*",
    re.IGNORECASE,
)
_SIBLINGS = 3  # as many folders are a glob


def is_sign(path: bytes) -> bool:
    """Return True if the file at *path* has a say in what is a project."""
    return path.endswith(b"/__init__.py") or any(sign.match(path) for sign, _ in _SIGNS)


def find_projects(paths: Iterable[bytes], is_refused: Callable[[bytes], bool]) -> dict[bytes, str]:
    """Return the folders among *paths* that look like projects, each with the reason.

    *is_refused* says that a folder belongs to a run or a cache.
    """
    found: dict[bytes, int] = {}
    reasons: dict[bytes, str] = {}
    packages = set()
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        if name == b"__init__.py":
            packages.add(folder)
        for number, (sign, reason) in enumerate(_SIGNS):
            match = sign.match(path)
            if match is None:
                continue
            folder = match["folder"]
            if number < found.get(folder, len(_SIGNS)):
                found[folder] = number
                reasons[folder] = reason.format(os.fsdecode(match["sign"]))
    strong = {folder for folder, number in found.items() if number != _WEAK}
    return {
        folder: reasons[folder]
        for folder, number in sorted(found.items())
        if not any(_OTHERS.match(part) for part in folder.split(b"/"))
        and not is_refused(folder)
        and (number != _WEAK or (folder not in packages and strong.isdisjoint(parents(folder))))
    }


def as_globs(found: Iterable[bytes], paths: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Return what to write for the *found* folders: a glob for many that are all of a folder's."""
    children: dict[bytes, set[bytes]] = {}
    for path in paths:
        for folder in parents(path):
            children.setdefault(folder.rpartition(b"/")[0], set()).add(folder)
    chosen: dict[bytes, list[bytes]] = {}
    for folder in found:
        chosen.setdefault(folder.rpartition(b"/")[0], []).append(folder)
    written: dict[str, list[bytes]] = {}
    for above, folders in sorted(chosen.items()):
        if above and len(folders) >= _SIBLINGS and {*folders} == children.get(above):
            written[f"{literal(os.fsdecode(above))}/*"] = folders
        else:
            written |= {literal(os.fsdecode(folder)): [folder] for folder in folders}
    return written
