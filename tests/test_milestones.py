"""milestones.yaml: what it may say, and how an entry gets into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fx_hooks.best_models.milestone import Milestone
from fx_hooks.best_models.milestones import load_contract, with_entry
from fx_hooks.policy.loader import BUILTIN_FILE, load_policy
from fx_hooks.util.errors import FatalError
from fx_hooks.weights.content import Format
from tests.contract_support import LISTING, MODEL, STATE, entry, listing, sha256

BEST_MODELS = load_policy().best_models
SCHEMA: dict[str, Any] = json.loads(
    Path(BUILTIN_FILE).with_name("milestones.schema.json").read_text("utf-8")
)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
ONE = Milestone(MODEL, "a" * 64, 5, "a reason", "2026-01-31", line=2)


def load(text: str) -> dict[str, Milestone]:
    return load_contract(text.encode(), BEST_MODELS)


def as_json(text: str) -> Any:
    """The document, with dates as an editor's validator sees them."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.mark.parametrize("text", ["", "# nothing\n", "milestones: {}\n"])
def test_empty(text: str) -> None:
    assert load(text) == {}
    assert VALIDATOR.is_valid(as_json(text))


def test_an_entry_in_full() -> None:
    text = listing(
        entry(STATE, by="somebody", format="torch", allow_globals="[a.B, c.d.E]"),
        entry(b"", "best_models/sub/x.pt", why="two\n      lines"),
    )
    first, second = load(text).values()
    expected = Milestone(
        MODEL, sha256(STATE), len(STATE), "a reason", "2026-01-31", "somebody", "torch",
        ("a.B", "c.d.E"), 2,
    )  # fmt: skip
    assert first == expected
    assert (second.why, second.size, second.line) == ("two lines", 0, 10)
    assert VALIDATOR.is_valid(as_json(text))


def one(**more: str | None) -> str:
    return listing(entry(STATE, MODEL, **more))


FAULTS = [
    pytest.param("other: 1", "1: other: unknown key", id="top-level"),
    pytest.param("[]", "1: must be a mapping, not a list", id="list"),
    pytest.param("milestones: []", "1: milestones: must be a mapping", id="entries-as-list"),
    pytest.param("milestones:\n  x.pt: {}", "2: milestones: 'x.pt': write the path", id="outside"),
    pytest.param("milestones:\n  best_models/../x.pt: {}", "2: milestones: ", id="dots"),
    pytest.param(f"milestones:\n  {MODEL}: 1", f"2: milestones.{MODEL}: must be", id="number"),
    pytest.param(
        listing(entry(STATE), entry(STATE)), "7: milestones.best_models/m.pt: duplicate", id="twice"
    ),
    pytest.param(one(sha265="1"), "sha265: unknown key: did you mean 'sha256'?", id="typo"),
    pytest.param(one(zzz="1"), "zzz: unknown key: known are sha256", id="unknown"),
    *(
        pytest.param(one(**{key: None}), f"2: milestones.{MODEL}: has no '{key}'", id=f"no-{key}")
        for key in ("sha256", "size", "why", "approved")
    ),
    pytest.param(one(sha256="ABC"), "3: milestones.best_models/m.pt.sha256: must be 64", id="hex"),
    pytest.param(one(sha256="[]"), "sha256: must be 64 hex digits", id="digest-list"),
    pytest.param(one(size="1.5"), "size: must be a number of bytes", id="float"),
    pytest.param(one(size="-1"), "size: must be a number of bytes", id="negative"),
    pytest.param(one(size="010"), "size: must be a number of bytes", id="octal"),
    pytest.param(one(why='" "'), "why: must be a text that is not empty", id="no-reason"),
    pytest.param(one(why="5"), "why: must be a string, not int 5", id="reason-number"),
    pytest.param(one(why="[a]"), "why: must be a string", id="reason-list"),
    pytest.param(one(approved="soon"), "approved: must be a date such as", id="date"),
    pytest.param(one(approved="2026-02-30"), "approved: '2026-02-30' is not a date", id="no-day"),
    pytest.param(one(format="onnx"), "format: 'onnx': must be one of torch, ", id="format"),
    pytest.param(one(allow_globals="a.B"), "allow_globals: must be a list", id="globals"),
    pytest.param(one(allow_globals="[eval]"), "allow_globals[0]: must be a name", id="no-module"),
    pytest.param(one(allow_globals="[a.B, os.x]"), "[1]: 'os.x': you cannot allow", id="os"),
]


@pytest.mark.parametrize(("text", "fault"), FAULTS)
def test_faults_name_file_line_and_key(text: str, fault: str) -> None:
    with pytest.raises(FatalError) as caught:
        load(text)
    message = str(caught.value)
    assert message.startswith(f"{LISTING}:")
    assert fault in message
    assert "\n" not in message
    # What no schema can see: a key twice, numbers as YAML spells them, days of a month.
    blind = ("duplicate", "'2026-02-30'")
    if not any(word in message for word in blind) and "010" not in text and "x.pt: {}" not in text:
        assert not VALIDATOR.is_valid(as_json(text)), text


def test_the_schema_knows_every_key_and_format() -> None:
    keys = SCHEMA["definitions"]["milestone"]["properties"]
    assert tuple(keys["format"]["enum"]) == tuple(Format)
    assert set(keys) == set(Milestone._fields) - {"path", "line"}


def test_entries_are_sorted_and_comments_stay() -> None:
    text = ""
    for name in ("m", "z", "a", "p"):
        text = with_entry(text, ONE._replace(path=f"best_models/{name}.pt"), BEST_MODELS)
    assert [path[12] for path in load(text)] == ["a", "m", "p", "z"]
    commented = "# head\n" + text.replace("  best_models/p", "  # about p\n  best_models/p")
    commented = commented.replace("size: 5", "size: 5  # small", 1) + "# tail\n"
    result = with_entry(commented, ONE._replace(path="best_models/o.pt"), BEST_MODELS)
    for line in ("# head\n", "  # about p\n  best_models/p.pt:\n", "size: 5  # small", "# tail\n"):
        assert line in result
    assert [path[12] for path in load(result)] == ["a", "m", "o", "p", "z"]
    removed = set(commented.splitlines()) - set(result.splitlines())
    assert removed == set()


def test_an_entry_is_replaced() -> None:
    text = with_entry("", ONE, BEST_MODELS)
    text = with_entry(text, ONE._replace(path="best_models/n.pt"), BEST_MODELS)
    text = text.replace("    why: a reason\n", "    why: a reason\n    # a note\n", 1)
    new = ONE._replace(sha256="b" * 64, size=7, format="torch", by="x", allow_globals=("a.B",))
    result = with_entry(text, new, BEST_MODELS)
    assert load(result)[MODEL] == new
    assert load(result)["best_models/n.pt"].size == 5


@pytest.mark.parametrize("text", ["", "# head", "milestones: {}\n", "milestones: {} # none"])
def test_the_first_entry(text: str) -> None:
    found = load(with_entry(text, ONE, BEST_MODELS))
    assert found == {MODEL: ONE._replace(line=3 if text.startswith("#") else 2)}


FLOW = "milestones: {best_models/a.pt: {}}"


@pytest.mark.parametrize("text", [f"{{{FLOW}}}", FLOW])
def test_another_layout_is_left_alone(text: str) -> None:
    with pytest.raises(FatalError, match="is not laid out as"):
        with_entry(text, ONE, BEST_MODELS)


@pytest.mark.parametrize(
    "text",
    ["a: b", "'", '"', "yes", "# no comment", "é ü", "😀", "5", "- a", "a\\b", "{x}", "x #y"],
)
def test_any_reason_comes_back(text: str) -> None:
    assert load(with_entry("", ONE._replace(why=text, by=text), BEST_MODELS))[MODEL].why == text


@pytest.mark.parametrize(
    ("text", "size"), [("5", 5), ("1kB", 1000), ("2 MiB", 2 << 20), ("1 GB", 10**9)]
)
def test_sizes_in_the_policy(text: str, size: int) -> None:
    policy = load_policy(f"best_models: {{max_size: {text}}}".encode())
    assert policy.best_models.max_size == size
    assert BEST_MODELS.max_size is None


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("max_size: 0", "best_models.max_size: must be a size such as 500 MB"),
        ("max_size: 5 mb", "best_models.max_size: must be a size"),
        ("max_size: [1]", "best_models.max_size: must be a size"),
        ("lfs: maybe", "best_models.lfs: 'maybe': must be one of required, allowed, forbidden"),
        ("lfs: true", "best_models.lfs: must be a string"),
        ("required_keys: a", "best_models.required_keys: must be a list"),
    ],
)
def test_odd_settings_in_the_policy(setting: str, fault: str) -> None:
    with pytest.raises(FatalError, match=r"\.fx-hooks\.yaml:2: ") as caught:
        load_policy(f"best_models:\n  {setting}\n".encode())
    assert fault in str(caught.value)
