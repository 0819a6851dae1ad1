"""Files that are written whole or not at all, whatever comes in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fx_hooks.util.files import replace_file


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
