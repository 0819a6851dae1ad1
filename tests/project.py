"""This project as files: what belongs to it, and copies of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LEFT_OVER = {"__pycache__", "build", "dist", "fx_hooks.egg-info", "PKG-INFO"}


def project_files() -> list[str]:
    """All that is tracked, or new and not ignored, and there; in a source release all files."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        names = set(listed.stdout.decode().split("\0")[:-1])
        return sorted(name for name in names if (ROOT / name).is_file())
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in _LEFT_OVER
            and not (name.startswith(".") and name not in (".ci", ".github"))
        ]
        found += [
            os.path.relpath(os.path.join(folder, name), ROOT)
            for name in files
            if name not in _LEFT_OVER
        ]
    return sorted(found)


def copy_project(target: Path, *, beginnings: tuple[str, ...] = ("",)) -> None:
    """Copy what lies at the root, and below it what begins with one of *beginnings*."""
    for name in project_files():
        if "/" not in name or name.startswith(beginnings):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
