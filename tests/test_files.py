"""Files that are written whole or not at all, whatever comes in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fx_hooks.util.files import create, replace_file


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    replace_file(str(target), b"before", 0o600)
    replace = os.replace
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(*_: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(type(error)):
            replace_file(str(target), b"after", 0o600)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]

    def interrupted_when_done(one: str, other: str) -> None:
        replace(one, other)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted_when_done)
    with pytest.raises(KeyboardInterrupt):
        replace_file(str(target), b"after", 0o600)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"after"]


def test_what_a_killed_process_left_behind(tmp_path: Path) -> None:
    (tmp_path / ".fx-a.0123abcd").write_bytes(b"half of it, and longer than the whole")
    replace_file(str(tmp_path / "a"), b"after", 0o600)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"after"]


def test_a_file_that_is_taken_for_a_leftover_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may come between creating it and locking it."""
    place = os.fsencode(tmp_path / "file")
    open_file = os.open
    opened: list[int] = []

    def interrupted(path: bytes, *arguments: int, **options: int) -> int:
        descriptor = open_file(path, *arguments, **options)
        opened.append(descriptor)
        if len(opened) == 1:
            os.unlink(path)
        return descriptor

    monkeypatch.setattr(os, "open", interrupted)
    descriptor = create(place)
    monkeypatch.undo()
    os.close(descriptor)
    assert len(opened) == 2
    assert (tmp_path / "file").exists()
