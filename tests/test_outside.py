"""The recorded figures of the sample outside are those of the rules as they are."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.outside import (
    FINE,
    PAGE,
    SAMPLES,
    figures,
    in_sample,
    judge,
    measured,
    page,
    read_content,
    read_sample,
    recorded,
)


@pytest.mark.slow
def test_the_recorded_figures_are_those_of_now() -> None:
    """If rules have changed: ``python -m tests.outside --update``."""
    known = recorded()
    assert measured() == known["now"]
    for name in SAMPLES[1:]:
        assert measured(name) == known[f"{name} now"]
    assert in_sample() == known["in sample"]
    assert page(PAGE.read_text("utf-8"), known) == PAGE.read_text("utf-8")


def test_figures() -> None:
    sample = read_sample()
    few = {name: sample[name] for name in ("04RR+HEG-Classification", "0nandon+SEAL")}
    found = figures([*judge(few)])
    assert found["recall per path"] == 1.0
    assert found["recall by class"] == {"C": [1.0, 1]}
    assert (found["clean repositories"], found["clean repositories flagged"]) == (1, 0)
    known = few["04RR+HEG-Classification"][0].path
    refused = figures([*judge(few, {"0nandon+SEAL": {b"README.md": ("weights", "weights of X")}})])
    assert (known, refused["clean repositories flagged"], refused["wrongly refused"]) == (
        b"data/Readme.md", 1, 1,
    )  # fmt: skip


@pytest.mark.slow
def test_examples_and_templates_pass() -> None:
    """Only Orbax has checkpoints of its own to test with."""
    sample = read_sample("templates")
    assert len(sample) >= 20
    wrong = Counter(
        one.repository
        for one in judge(sample, read_content())
        if one.verdict.blocked and one.label == FINE
    )
    assert wrong == {"google+orbax": 453}
