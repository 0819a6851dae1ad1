"""The recorded figures of the sample outside are those of the rules as they are."""

from __future__ import annotations

import pytest

from tests.outside import PAGE, figures, in_sample, judge, measured, page, read_sample, recorded


@pytest.mark.slow
def test_the_recorded_figures_are_those_of_now() -> None:
    """If rules have changed: ``python -m tests.outside --update``."""
    known = recorded()
    assert measured() == known["now"]
    assert measured("later") == known["later"]
    assert measured("peak") == known["peak"]
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
