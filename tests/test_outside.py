"""The recorded figures of the sample outside are those of the rules as they are."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.outside import (
    AT_HEAD,
    FINE,
    MASSES,
    NAMES,
    PAGE,
    SAMPLES,
    before,
    figures,
    in_sample,
    judge,
    measured,
    page,
    read_content,
    read_sample,
    recorded,
)
from tests.together import at_peak, counted, rows


@pytest.mark.slow
def test_the_recorded_figures_are_those_of_now() -> None:
    """If rules have changed: ``python -m tests.outside --update``."""
    known = recorded()
    assert measured() == known["now"]
    for name in SAMPLES[1:]:
        assert measured(name) == known[f"{name} now"]
    assert in_sample() == known["in sample"]
    assert page(PAGE.read_text("utf-8"), known) == PAGE.read_text("utf-8")


def test_the_counts_before_a_mend_say_what_was_measured() -> None:
    """They can no longer be taken anew: the rules have changed."""
    counts, known = before(), recorded()
    for name, found in counts.items():
        whole = at_peak(counts[AT_HEAD[name]], found) if name in AT_HEAD else found
        said, first = rows(whole, MASSES, NAMES), known[name]
        assert isinstance(first["recall by class"], dict)
        assert said["recall per path"].startswith(f"{first['recall per path']:.3f} of ")
        assert said["recall per repository"].startswith(f"{first['recall per repository']:.3f} of ")
        assert said["with artifacts"] == str(first["repositories with artifacts"])
        assert said["precision"].startswith(f"{first['precision']:.3f} of ")
        assert said["clean repositories flagged"] == (
            f"{first['clean repositories flagged']} of {first['clean repositories']}"
        )
        for label, (share, of) in first["recall by class"].items():
            assert said[f"recall: {NAMES[label]}"].startswith(f"{share:.3f} of {of:,} paths, ")


def test_what_passes_as_test_data_is_no_part_of_a_recall() -> None:
    judged = [
        ("a", "C", True, False), ("a", "C", False, False), ("a", "L", False, True),
        ("b", FINE, False, False), ("c", FINE, True, False), ("d", "L", False, True),
        ("e", "C", True, False),
    ]  # fmt: skip
    found = counted(judged)
    assert found["a"] == {"C": (1, 2), "L": (0, 0)}
    said = rows(found, (), {"C": "weights"})
    assert said == {
        "repositories": "5", "with artifacts": "3", "recall per path": "0.667 of 3",
        "recall per path without masses": "0.667 of 3", "recall per repository": "0.750 of 2",
        "precision": "0.667 of 3", "clean repositories flagged": "1 of 2",
        "recall: weights": "0.667 of 3 paths, 0.750 of 2 repositories",
    }  # fmt: skip


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
