"""Every verdict on what frameworks left, as ``python -m tests.realruns.leftovers`` recorded it."""

from __future__ import annotations

import os
import re

import pytest

from tests.realruns.framework_table import FRAMEWORKS, LARGE
from tests.realruns.leftovers import (
    PAGE,
    PROGRAMS,
    Left,
    complaints_of,
    judged,
    judgement,
    page,
    recorded,
)

KNOWN = recorded()


def test_every_framework_was_run() -> None:
    assert KNOWN.keys() == FRAMEWORKS.keys() == {path.stem for path in PROGRAMS.glob("*.py")}
    assert len(FRAMEWORKS) >= 25
    assert {one.environment for one in FRAMEWORKS.values()} >= LARGE


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_what_is_left(name: str) -> None:
    """What belongs in Git passes, and all else is refused, or says why it is not."""
    assert not [*complaints_of(KNOWN[name])]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_no_judgement_is_stale(name: str) -> None:
    """A reason for what is refused, or not left, has nothing to say."""
    framework = FRAMEWORKS[name]
    passing = [
        os.fsdecode(one.verdict.path) for one in judged(KNOWN[name]) if not one.verdict.blocked
    ]
    for patterns in (framework.belongs, framework.passes):
        for pattern, why in patterns.items():
            assert any(any(judgement({pattern: why}, path)) for path in passing), pattern


def test_complaints() -> None:
    left = [
        Left("dvc", "allowed", 1, "", "", "notes"),
        Left("dvc", "blocked", 1, "", "", "train.log"),
        Left("dvc", "allowed", 1, "", "", "data.dvc"),
        Left("dvc", "blocked", 1, "weights", "weights of PyTorch", "metrics.json"),
        Left("dvc", "allowed", 1, "", "", "other.log"),
    ]
    assert [*complaints_of(left)] == [
        "passes: notes",
        "refused, and belongs in Git: metrics.json",
        "the command said otherwise: other.log",
    ]


def test_the_page_is_of_what_was_recorded() -> None:
    """If rules have changed: ``python -m tests.realruns.leftovers --page``."""
    assert PAGE.read_text("utf-8") == page(KNOWN)


def test_nothing_says_where_they_were_run() -> None:
    for left in KNOWN.values():
        for one in left:
            assert not re.search(r"(^|[._/-])vm([._-]|$)|/root|fx-left", one.path), one.path
