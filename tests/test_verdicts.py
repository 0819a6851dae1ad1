"""The built-in policy is right: on the corpus, and case by case."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.frameworks import NAMES
from fx_hooks.policy import loader
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.loader import load_policy
from tests.verdicts import Measure, measure, read_corpus

CASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "data" / "rules.tsv").read_text("utf-8").splitlines()[1:]
]
POLICY = load_policy()
RULES = {(entry.rule, entry.why) for entry in POLICY.entries if entry.rule != "keep"}
RULES |= {(mark.rule, mark.why) for mark in POLICY.run_marks}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_policy())


@pytest.fixture(scope="module")
def head() -> Measure:
    return measure(read_corpus(("head",)))


@pytest.mark.slow
def test_precision(head: Measure) -> None:
    assert head.precision() >= 0.99


@pytest.mark.slow
def test_recall(head: Measure) -> None:
    assert head.recall() >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("label", ["W", "H", "L", "C", "P"])
def test_recall_of_each_class(head: Measure, label: str) -> None:
    assert head.recall(label) >= 0.95


@pytest.mark.slow
def test_repositories_without_artifacts_are_left_alone(head: Measure) -> None:
    assert head.clean > 25_000
    assert head.clean_refused / head.clean <= 5 / 10_000


@pytest.mark.parametrize(
    ("path", "verdict", "rule", "reason", "beside"),
    [pytest.param(*case, id=f"{case[2] or 'none'}: {case[0]}") for case in CASES],
)
def test_case(
    classifier: Classifier, path: str, verdict: str, rule: str, reason: str, beside: str
) -> None:
    paths = [name.encode() for name in (path, *beside.split())]
    got = classifier.classify(paths, classifier.trees.read(paths))[0]
    assert got.blocked == (verdict == "blocked"), reason
    if got.blocked:
        assert got.decider is not None
        assert got.decider.rule == rule, reason


@pytest.mark.parametrize("verdict", ["blocked", "allowed"])
@pytest.mark.parametrize(("rule", "why"), sorted(RULES))
def test_each_rule_has_a_reason_and_a_case(rule: str, why: str, verdict: str) -> None:
    assert why
    assert [case for case in CASES if case[1:3] == [verdict, rule]]


@pytest.mark.slow
def test_the_order_of_the_tools_carries_no_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any order of the tools gives the same verdicts, on the corpus and on joined names."""
    corpus = [os.fsencode(path) for tree in read_corpus(("head", "past")).values() for path in tree]
    names = sorted({part for path in corpus for part in path.split(b"/")})
    draw = random.Random(7)
    joined = [b"/".join(draw.choices(names, k=draw.randint(2, 4))) for _ in range(20_000)]
    paths = [*corpus, *joined]

    def blocked(order: Sequence[str]) -> list[bytes]:
        monkeypatch.setattr(loader, "NAMES", tuple(order))
        return Matcher(compile_tables(load_policy().patterns())).blocked(paths)

    expected = blocked(NAMES)
    for _ in range(3):
        assert blocked(draw.sample(NAMES, len(NAMES))) == expected
