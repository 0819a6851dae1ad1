"""Fixtures: git without the settings of whoever runs the tests, and a fresh repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")

from tests.support import Repo  # noqa: E402


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an environment in which git knows nothing but a name."""
    for name in os.environ:
        if name.startswith(("GIT_", "XDG_", "PRE_COMMIT", "NO_COLOR")):
            monkeypatch.delenv(name)
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "person@example.org")
        monkeypatch.setenv(f"GIT_{role}_DATE", "2024-01-31T23:59:59+0000")
    return path


@pytest.fixture
def empty(home: Path, tmp_path: Path) -> Repo:  # noqa: ARG001
    """A repository before its first commit."""
    return Repo.init(tmp_path / "repo")


@pytest.fixture
def repo(empty: Repo) -> Repo:
    """A repository with one commit."""
    empty.stage("train.py", "print('hello')\n")
    empty.commit()
    return empty
