"""Items put into YAML lists that people wrote, whatever their shape."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fx_hooks.util.errors import FatalError
from fx_hooks.util.yaml_insert import with_items


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "k:\n  - x\n", id="empty"),
        pytest.param("a: 1\n", "a: 1\nk:\n  - x\n", id="new-list"),
        pytest.param("a: 1", "a: 1\nk:\n  - x", id="no-last-newline"),
        pytest.param("a: 1\r\n", "a: 1\r\nk:\r\n  - x\r\n", id="crlf"),
        pytest.param("k:\n- a\n", "k:\n- a\n- x\n", id="flush"),
        pytest.param("k:\n    - a", "k:\n    - a\n    - x", id="deep-no-last-newline"),
        pytest.param(
            "k:\n  - a  # c\n\n# d\nb: 1\n", "k:\n  - a  # c\n  - x\n\n# d\nb: 1\n", id="mid"
        ),
        pytest.param(
            "k:\n  - |\n    t\n\nb: 1\n", "k:\n  - |\n    t\n  - x\n\nb: 1\n", id="literal"
        ),
        pytest.param("\ufeffk:\n  - a\n", "\ufeffk:\n  - a\n  - x\n", id="bom"),
        pytest.param("# only a comment\n", "# only a comment\nk:\n  - x\n", id="comment"),
        pytest.param("---\n# c\n", "---\n# c\nk:\n  - x\n", id="empty-document"),
        pytest.param("k: []\n", "k:\n  - x\n", id="empty-list"),
        pytest.param("k: [ ]  # none\nb: 1\n", "k:   # none\n  - x\nb: 1\n", id="none-yet"),
        pytest.param("k: [\n]\nb: 1\n", "k:\n  - x\nb: 1\n", id="empty-list-in-two-lines"),
        pytest.param("k:", "k:\n  - x", id="nothing"),
        pytest.param("k: ~\n", "k:\n  - x\n", id="null"),
        pytest.param("a: 1\n...\n", "a: 1\nk:\n  - x\n...\n", id="end-of-the-document"),
        pytest.param("  a: 1\n", "  a: 1\n  k:\n    - x\n", id="indented"),
        pytest.param("k: &a\n  - b\n", "k: &a\n  - b\n  - x\n", id="anchor"),
    ],
)
def test_with_items(before: str, after: str) -> None:
    new = with_items(before.encode(), "f", "k", lambda indent: [f"{indent}- x"])
    assert new == after.encode()
    assert yaml.safe_load(new)["k"][-1] == "x"


ODD = (
    "k: &r\n  - a: 1\n",
    "k: !!seq\n- a\nb: 2\n",
    "k: !!seq &r\n    - a\n\nb: 2\n",
    "k:  # c\n  -   # d\n  # e\n    a: 1\n",
    "k:\n-\n-\n",
    "k:\n  - - a\n    - b\n  # c\nb: 1\n",
    "b: &b [c]\nk:\n  - *b\n  # c\nd: *b\n",
    "k:\n  - a\n  - {b: [1,\n 2]}  # d\n# e",
    "k:\n  - entry: |\n      a\n      # no comment\n",
    "k:\n  - entry: >\n      a\n\n      # no comment\n\n\n# a comment\nb: 1\n",
    "k:\n  - entry: |+\n      # no comment\n\n\nb: 1\n",
    "k:\n  - |+\n\n\n",
    "k:\n  - |2-\n      a\n    # no comment\n # c\n",
    "k:\n  - 'a\n\n    # no comment'\n  # c\n",
    "k:\n  - a\n    b\n\n    c\n  # d\n",
    "a: |+\n  b\n\n",
    "a: |\n  # no comment\n",
    "a: |\n  ...\n...\n# c\n",
    "--- # c\nk:\n  - a\n...\n",
    "%YAML 1.1\n---\na: 1\n...\n",
    "---\n...\n",
    "---",
    "  exclude: x\n  # c\n",
    "    k:\n    - a\n    b: 1\n",
    '"k":\n  - a\n',
    "? k\n: - a\n",
    "k:\r\n  - a\r\n# c\r\n",
    "a: 1\rk:\r  - a\rb: 1\r",
    "a: 'b\u2028  c'\nk:\n  - a\n",
    "\ufeffk: &r\n  - a\n",
    "\ufeff  a: 1\n",
    "a: &a {b: *a}\nk:\n  - a\n",
)


@pytest.mark.parametrize("text", ODD, ids=repr)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_nothing_else_changes(text: str, loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said before and the new item is what it says, and every byte is still there."""
    monkeypatch.setattr("fx_hooks.util.strict_yaml.Loader", getattr(yaml, loader))
    new = with_items(text.encode(), "f", "k", lambda indent: [f"{indent}- x:", f"{indent}    y"])
    before = data(text) or {}
    assert data(new.decode()) == {**before, "k": [*(before.get("k") or []), {"x": "y"}]}
    rest = iter(new)
    assert all(byte in rest for byte in text.encode())


def data(text: str) -> Any:
    loaded = yaml.safe_load(text)
    return repr_of_circles(loaded) if "*a}" in text else loaded


def repr_of_circles(loaded: dict[str, Any]) -> dict[str, Any]:
    return {key: repr(value) if key == "a" else value for key, value in loaded.items()}


@pytest.mark.parametrize("text", ["k: [a]", "k: a", "k: {a: b}", "k:\n  a: b\n"])
def test_lists_that_are_not_written_in_lines(text: str) -> None:
    with pytest.raises(FatalError, match=r"^f:[12]: k: write it as a list"):
        with_items(text.encode(), "f", "k", lambda indent: [indent])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}\n", id="mapping-in-one-line"),
        pytest.param("{a: 1}\n", id="mapping-in-one-line-with-a-key"),
        pytest.param("{k: [\n]}\n", id="list-in-a-mapping-in-one-line"),
        pytest.param("~\n", id="null"),
        pytest.param("k: [ # c\n]\n", id="comment-in-an-empty-list"),
        pytest.param("k: &a\n  - b\nc: *a\n", id="somebody-else-has-it-too"),
        pytest.param("a: |\n  text", id="text-that-a-line-end-would-change"),
        pytest.param("k:\n  - |\n    text", id="item-that-a-line-end-would-change"),
    ],
)
def test_what_would_change_something_else(text: str) -> None:
    with pytest.raises(FatalError, match=r"^f:[12]: k: nothing can be added without changing"):
        with_items(text.encode(), "f", "k", lambda indent: [f"{indent}- x"])


def test_an_alias() -> None:
    with pytest.raises(
        FatalError, match=r"^f:3: k: is an alias of a list elsewhere: write the list"
    ):
        with_items(b"a: &a\n  - b\nk: *a\n", "f", "k", lambda indent: [f"{indent}- x"])
