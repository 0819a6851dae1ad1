"""The picture of the packages is current, and true."""

from __future__ import annotations

from pathlib import Path

import pytest

import fx_hooks
from tests.layers_picture import PICTURE, ROWS, picture
from tests.test_layers import MODULES, ours

PACKAGE = Path(fx_hooks.__file__).parent
LAYER = {name: number for number, row in enumerate(ROWS) for name in row}


def test_the_picture_is_current() -> None:
    assert PICTURE.read_text("utf-8") == picture(), "run python -m tests.layers_picture"


def test_all_packages_are_in_the_picture_and_in_the_text() -> None:
    names = {name.split(".")[1] for name in MODULES if "." in name} - {"__main__"}
    assert names == set(LAYER)
    page = PICTURE.with_name("architecture.md").read_text("utf-8")
    missing = {
        name for name in names if f"`{name}.py`" not in page and f"**`{name}/`**" not in page
    }
    assert missing == set()


@pytest.mark.parametrize("name", sorted(LAYER))
def test_imports_lead_to_rows_below(name: str) -> None:
    inside = {module for module in MODULES if f"{module}.".startswith(f"fx_hooks.{name}.")}
    found = {other.split(".")[1] for module in inside for other in ours(module) if "." in other}
    assert {other for other in found - {name} if LAYER[other] <= LAYER[name]} == set()
