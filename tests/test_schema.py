"""The JSON Schema for editors accepts and rejects what the loader does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fx_hooks.frameworks import NAMES as TOOLS
from fx_hooks.frameworks import rules_file
from fx_hooks.policy import loader
from fx_hooks.policy.loader import BUILTIN_FILE, load_policy
from fx_hooks.util.errors import FatalError
from tests.schemas import documents

SCHEMA: dict[str, Any] = json.loads(
    Path(BUILTIN_FILE).with_name("schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
QUIET = settings(
    database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module", autouse=True)
def short_policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A built-in policy of three rules, which is read thousands of times here."""
    with open(BUILTIN_FILE, "rb") as file:
        document = yaml.safe_load(file)
    few = [rule for rule in document["ignore"] if rule["rule"] == "best-models"]
    weights = {"rule": "weights", "kind": "name", "paths": ["*.pt"], "why": "they are large"}
    wandb = {"rule": "wandb", "kind": "run-folder", "paths": ["/wandb"], "why": "it is a cache"}
    document["ignore"] = [weights, *few, wandb]
    path = tmp_path_factory.mktemp("policy") / "builtin.yaml"
    path.write_bytes(as_yaml(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "BUILTIN_FILE", str(path))
        patch.setattr(loader, "NAMES", ())
        yield


def as_yaml(document: object) -> bytes:
    text: str = yaml.safe_dump(document, allow_unicode=True, width=10_000)
    return text.encode()


def loads(text: bytes) -> bool:
    try:
        load_policy(text)
    except FatalError:
        return False
    return True


def fits(document: object) -> bool:
    return bool(VALIDATOR.is_valid(document))


def rule(**keys: object) -> dict[str, object]:
    return {"ignore": [{"rule": "scratch", "paths": ["/scratch"], **keys}]}


def keep(*patterns: object) -> dict[str, object]:
    return {"keep": list(patterns)}


ACCEPTED: dict[str, object] = {
    "empty-file": None,
    "empty-mapping": {},
    "empty-lists": {"ignore": [], "keep": [], "disable": []},
    "no-settings": {"best_models": {}},
    "empty-settings": {"best_models": {"metadata": [], "documents": [], "weights": []}},
    "lfs": {"best_models": {"lfs": "required", "required_keys": ["a"]}},
    "max-size": {"best_models": {"max_size": "500 MB"}},
    "max-size-in-bytes": {"best_models": {"max_size": 1000}},
    "pattern": {"ignore": ["*.npz"]},
    "rule": rule(),
    "rule-in-full": rule(
        **{"except": ["/scratch/README.md"], "beside": [".run/id"], "why": "w", "advice": "a"},
        except_files=["/scratch/*.md", "**/x"],
    ),
    "flags": rule(binary_only=True, unless_source=False),
    "rule-with-beside-alone": {"ignore": [{"rule": "scratch", "beside": ["run.id"]}]},
    "only-with": rule(only_with=["a.yaml", "b/c.json", "*/x", "e.*.?", "*"]),
    "only-with-alone": {"ignore": [{"rule": "scratch", "only_with": ["*.csv", "a.yaml"]}]},
    "only-with-in-any-folder": {"ignore": [{"rule": "scratch", "only_with": ["*/a", "*/b"]}]},
    "only-with-and-empty-beside": rule(only_with=["a"], beside=[]),
    "rule-with-no-exceptions": rule(**{"except": [], "beside": []}),
    "empty-texts": rule(why="", advice=""),
    "keep": keep("/data/*.pt"),
    "keep-twice": keep("a", "a"),
    "disable": {"disable": ["wandb", "weights"]},
    "disable-best-models": {"disable": ["best-models"]},
    "settings": {
        "best_models": {"folder": "models/best", "metadata": ["*.yaml"], "weights": ["*.bin"]}
    },
    "projects": {"projects": [".", "ml", "packages/*", "**/lab/", "a[0-9]"], "projects_may": []},
    "projects-may": {"projects_may": ["ignore", "keep", "disable", "best_models"]},
    "stars": keep("*", "**", "**/", "*/", "/*", "/**", "a/**", "**/a/**", "a/**/b"),
    "escapes": keep(r"\!a", r"\#a", r"\*", r"a\[b", r"a\\", r"\ a"),
    "sets": keep("[ab]", "[]a]", "[]]", "[[a]", "[a-]", "[a^!]", "a[0-9].pt", "a[ ]", "a/[b]/c"),
    "odd-names": keep("...", "..a", "a..", " a", "a b", "é", "à", "]", "{a}", "a:b", "a#", "a!"),
}

REJECTED: dict[str, object] = {
    "list": [],
    "text": "wandb",
    "number": 1,
    "unknown-key": {"ignored": []},
    "ignore-is-empty": {"ignore": None},
    "ignore-is-text": {"ignore": "*.npz"},
    "ignore-is-a-mapping": {"ignore": {"rule": "scratch", "paths": ["a"]}},
    "number-for-a-pattern": {"ignore": [1]},
    "truth-for-a-pattern": {"ignore": [True]},
    "nothing-for-a-pattern": {"ignore": [None]},
    "list-for-a-pattern": {"ignore": [["a"]]},
    "rule-without-name": {"ignore": [{"paths": ["a"]}]},
    "rule-without-paths": {"ignore": [{"rule": "scratch"}]},
    "rule-with-empty-paths": rule(paths=[]),
    "rule-with-empty-lists": rule(paths=[], beside=[]),
    "rule-with-exceptions-alone": {"ignore": [{"rule": "scratch", "except": ["a"]}]},
    "only-with-is-text": rule(only_with="a"),
    "only-with-and-beside": rule(only_with=["a"], beside=["b"]),
    "only-with-patterns-alone": {"ignore": [{"rule": "scratch", "only_with": ["*.csv", "*/a?"]}]},
    "only-with-nothing": {"ignore": [{"rule": "scratch", "only_with": []}]},
    "only-with-a-set": rule(only_with=["a[b]"]),
    "only-with-a-backslash": rule(only_with=["a\\*"]),
    "only-with-stars": rule(only_with=["**"]),
    "only-with-stars-in-front": rule(only_with=["**/a"]),
    "only-with-a-wild-folder": rule(only_with=["a*/b"]),
    "only-with-two-folders": rule(only_with=["*/a/b"]),
    "only-with-from-the-top": rule(only_with=["/a"]),
    "rule-is-empty": {"ignore": [{}]},
    "rule-with-unknown-key": rule(path=["a"]),
    "rule-paths-is-text": rule(paths="a"),
    "rule-paths-is-empty": rule(paths=None),
    "rule-except-is-text": rule(**{"except": "a"}),
    "rule-except-files-is-text": rule(except_files="a"),
    "files-in-a-folder": rule(except_files=["/scratch/a/"]),
    "files-at-any-depth-of-a-folder": rule(except_files=["/scratch/**"]),
    "files-of-all": rule(except_files=["**"]),
    "pattern-as-a-file": rule(except_files=["!a"]),
    "rule-why-is-a-number": rule(why=1),
    "rule-why-is-empty": rule(why=None),
    "rule-advice-is-a-list": rule(advice=["a"]),
    "rule-name-is-a-number": rule(rule=1),
    "rule-name-in-capitals": rule(rule="Scratch"),
    "rule-name-with-underscore": rule(rule="my_scratch"),
    "rule-name-with-blank": rule(rule="my scratch"),
    "rule-name-ends-in-dash": rule(rule="scratch-"),
    "rule-name-is-empty": rule(rule=""),
    "rule-name-is-reserved": rule(rule="keep"),
    "rule-name-of-milestones": rule(rule="milestone"),
    "flag-is-text": rule(binary_only="yes"),
    "flag-is-a-number": rule(unless_source=1),
    "flag-is-empty": rule(unless_source=None),
    "keep-is-text": {"keep": "a"},
    "keep-is-empty": {"keep": None},
    "keep-holds-a-rule": keep({"rule": "scratch", "paths": ["a"]}),
    "disable-is-text": {"disable": "wandb"},
    "disable-is-empty": {"disable": None},
    "disable-holds-a-number": {"disable": [1]},
    "settings-are-a-list": {"best_models": ["best_models"]},
    "settings-are-empty": {"best_models": None},
    "settings-with-unknown-key": {"best_models": {"files": ["*.json"]}},
    "folder-is-a-list": {"best_models": {"folder": ["a"]}},
    "folder-is-empty": {"best_models": {"folder": ""}},
    "folder-from-the-top": {"best_models": {"folder": "/models"}},
    "folder-with-slash": {"best_models": {"folder": "models/"}},
    "folder-with-dot": {"best_models": {"folder": "./models"}},
    "folder-outside": {"best_models": {"folder": "../models"}},
    "folder-with-slashes": {"best_models": {"folder": "a//b"}},
    "folder-with-blank": {"best_models": {"folder": "models "}},
    "folder-is-a-glob": {"best_models": {"folder": "packages/*/best_models"}},
    "folder-with-backslash": {"best_models": {"folder": "models\\best"}},
    "folder-at-home": {"best_models": {"folder": "~/models"}},
    "projects-are-text": {"projects": "ml"},
    "projects-are-empty": {"projects": None},
    "projects-from-the-top": {"projects": ["/ml"]},
    "projects-outside": {"projects": ["../ml"]},
    "projects-negated": {"projects": ["!ml"]},
    "projects-hold-a-number": {"projects": [1]},
    "projects-may-what-is-none": {"projects_may": ["projects"]},
    "projects-may-is-text": {"projects_may": "keep"},
    "folder-with-newline": {"best_models": {"folder": "a\nb"}},
    "weights-with-slash": {"best_models": {"weights": ["a/*.pt"]}},
    "metadata-is-text": {"best_models": {"metadata": "*.json"}},
    "beside-with-dot": rule(beside=["./a"]),
    "pattern-empty": keep(""),
    "pattern-blank": keep(" "),
    "pattern-negated": keep("!a"),
    "pattern-comment": keep("#a"),
    "pattern-slash": keep("/"),
    "pattern-ends-in-blank": keep("a "),
    "pattern-ends-in-tab": keep("a\t"),
    "pattern-with-newline": keep("a\nb"),
    "pattern-slashes": keep("a//b"),
    "pattern-stars": keep("a/***"),
    "pattern-beneath": keep("a/**/"),
    "pattern-dot": keep("./a"),
    "pattern-dot-alone": keep("."),
    "pattern-dot-dot": keep("a/../b"),
    "pattern-ends-in-dot-dot": keep("a/.."),
    "pattern-backslash": keep("a\\"),
    "pattern-backslash-slash": keep(r"a\/b"),
    "pattern-unclosed": keep("a[b"),
    "pattern-unclosed-empty": keep("[]"),
    "pattern-unclosed-by-slash": keep("[a/b]"),
    "pattern-negated-set": keep("[!a]"),
    "pattern-negated-set-caret": keep("a/[^a]"),
    "pattern-posix-class": keep("[[:alpha:]]"),
    "pattern-posix-class-second": keep("[a[:alpha:]]"),
    "pattern-set-backslash": keep("[a\\]"),
    "pattern-as-a-path": rule(paths=["!a"]),
    "pattern-as-an-exception": rule(**{"except": ["/"]}),
    "pattern-as-metadata": {"best_models": {"metadata": ["!*.json"]}},
}

# What a schema cannot say; the loader knows.
ONLY_LOADER: dict[str, object] = {
    "unknown-rule": {"disable": ["no-such-rule"]},
    "rule-of-the-built-in-policy": rule(rule="wandb"),
    "rule-of-the-chosen-models": rule(rule="best-models"),
    "two-rules-of-one-name": {"ignore": [{"rule": "a", "paths": ["a"]}] * 2},
    "range-runs-backwards": keep("[z-a]"),
    "range-holds-a-slash": keep("[+-9]"),
}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_is_made_from_the_tables_of_the_loader(path: Path) -> None:
    assert path.read_text("utf-8") == documents()[path], "run python -m tests.schemas"


def test_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=list(ACCEPTED))
def test_accepted(document: object) -> None:
    load_policy(as_yaml(document))
    VALIDATOR.validate(document)


@pytest.mark.parametrize("document", REJECTED.values(), ids=list(REJECTED))
def test_rejected(document: object) -> None:
    assert not loads(as_yaml(document))
    assert not fits(document)


@pytest.mark.parametrize("document", ONLY_LOADER.values(), ids=list(ONLY_LOADER))
def test_only_the_loader_can_reject(document: object) -> None:
    assert not loads(as_yaml(document))
    assert fits(document)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "{}\n"], ids=repr)
def test_empty_files(text: str) -> None:
    assert loads(text.encode())
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize("file", [BUILTIN_FILE, *map(rules_file, TOOLS)], ids=repr)
def test_the_built_in_policy(file: str) -> None:
    """But for what only the built-in policy needs, it is written like a user's."""
    document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    document.pop("test_data", None)
    for rule in document["ignore"]:
        rule.pop("kind")
        rule.pop("source", None)
        if not {"paths", "beside"} & rule.keys():
            rule["paths"] = ["what other files say"]
    VALIDATOR.validate(document)


def subschemas(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from subschemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from subschemas(value)


def test_editors_have_something_to_show() -> None:
    for name, key in SCHEMA["properties"].items():
        assert key["title"], name
        assert key["description"], name
    for node in subschemas(SCHEMA):
        # Draft 7 ignores what stands next to a reference.
        assert "$ref" not in node or len(node) == 1, node
        assert isinstance(node.get("pattern"), str) == ("patternErrorMessage" in node), node
        if node.get("type") == "object" and "properties" in node:
            assert node["additionalProperties"] is False


def test_expressions_mean_the_same_in_editors() -> None:
    # Editors compile them with JavaScript's flag "u", which knows only these escapes.
    expressions = [
        node["pattern"] for node in subschemas(SCHEMA) if isinstance(node.get("pattern"), str)
    ]
    assert len(expressions) > 10
    for expression in expressions:
        re.compile(expression)
        assert set(re.findall(r"\\(.)", expression)) <= set("\\[]sStrnu")
        assert "(?P" not in expression


# Drawn documents, right and wrong ones.

CHARACTERS = st.sampled_from("ab*?[]!^-#/\\. \n\té0:=")
PATTERNS = st.one_of(
    st.sampled_from(
        (
            *("a", "*.pt", "/outputs", "a/**/b", "[ab]", "[0-9]", ".hydra", "src/", "\\!", "!a"),
            *("[!a]", "#a", "/", "//", "***", "a/**/", ".", "..", "a\\", "["),
        )
    ),
    st.text(CHARACTERS, max_size=7),
)
MOSTLY_VALID = st.integers(0, 9).flatmap(
    lambda number: PATTERNS if number == 9 else st.sampled_from(("a", "*.pt", "[ab]", "?.b"))
)
NAMES = st.sampled_from(
    (
        *("scratch", "my-rule", "a1", "r", "s", "t-2", "u", "v", "w", "x", "y", "z"),
        *("Scratch", "a_b", "", "-a", "a-", "wandb", "keep", "best-models"),
    )
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.just(1.5), PATTERNS, st.just("yes")
)
JUNK = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(NAMES, SCALARS, max_size=2)
)


def mostly(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 29).flatmap(lambda number: JUNK if number == 29 else wanted)


def lists_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return mostly(st.lists(mostly(items), max_size=2))


RULES = st.fixed_dictionaries(
    {},
    optional={
        "rule": mostly(NAMES),
        "paths": lists_of(MOSTLY_VALID),
        "except": lists_of(MOSTLY_VALID),
        "except_files": lists_of(MOSTLY_VALID),
        "beside": lists_of(MOSTLY_VALID),
        "why": mostly(st.text(CHARACTERS, max_size=3)),
        "advice": mostly(st.text(CHARACTERS, max_size=3)),
        "binary_only": mostly(st.booleans()),
        "unless_source": mostly(st.booleans()),
    },
).flatmap(lambda rule: st.sampled_from([rule] * 19 + [{**rule, "path": ["a"]}]))
DOCUMENTS = mostly(
    st.fixed_dictionaries(
        {},
        optional={
            "ignore": lists_of(st.one_of(PATTERNS, RULES)),
            "keep": lists_of(MOSTLY_VALID),
            "disable": lists_of(st.one_of(st.sampled_from(("weights", "wandb")), NAMES)),
            "best_models": mostly(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "folder": mostly(MOSTLY_VALID),
                        "metadata": lists_of(MOSTLY_VALID),
                        "documents": lists_of(MOSTLY_VALID),
                        "weights": lists_of(MOSTLY_VALID),
                    },
                )
            ),
        },
    )
)


@pytest.mark.slow
def test_never_stricter_than_the_loader() -> None:
    count: Counter[tuple[bool, bool]] = Counter()

    @settings(QUIET, max_examples=1500)
    @given(DOCUMENTS)
    def agrees(document: object) -> None:
        loaded, fitting = loads(as_yaml(document)), fits(document)
        assert fitting or not loaded
        count[loaded, fitting] += 1

    agrees()
    assert count[True, True] >= 200
    assert count[False, False] >= 200


@pytest.mark.slow
def test_patterns_are_told_apart_by_both() -> None:
    count: Counter[tuple[bool, bool]] = Counter()

    @settings(QUIET, max_examples=2000)
    @given(PATTERNS)
    def agrees(pattern: str) -> None:
        loaded, fitting = loads(as_yaml(keep(pattern))), fits(keep(pattern))
        assert fitting or not loaded
        # Only ranges, blanks beyond ASCII and line ends are beyond an expression.
        assert loaded or not fitting or "-" in pattern or "\n" in pattern
        count[loaded, fitting] += 1

    agrees()
    assert count[True, True] >= 300
    assert count[False, False] >= 300


STRUCTURE = st.fixed_dictionaries(
    {},
    optional={
        "ignore": st.lists(
            st.one_of(
                st.sampled_from(("a", "*.pt")),
                st.fixed_dictionaries(
                    {"rule": st.uuids().map(lambda uuid: f"r-{uuid}"), "paths": st.just(["a"])},
                    optional={
                        "except": st.just(["b"]),
                        "except_files": st.just(["c"]),
                        "beside": st.just(["c/d"]),
                        "why": st.just("why"),
                        "advice": st.just("advice"),
                        "binary_only": st.booleans(),
                    },
                ),
            ),
            max_size=3,
        ),
        "keep": st.lists(st.sampled_from(("a", "/b/**")), max_size=3),
        "disable": st.lists(st.sampled_from(("wandb", "weights")), max_size=2),
        "best_models": st.fixed_dictionaries(
            {}, optional={"folder": st.just("models"), "weights": st.just(["*.pt"])}
        ),
    },
)


def nodes(document: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values below *document*."""
    if isinstance(document, (dict, list)):
        for key in document if isinstance(document, dict) else range(len(document)):
            yield (*where, key)
            yield from nodes(document[key], (*where, key))


@settings(QUIET, max_examples=300)
@given(STRUCTURE)
def test_sound_structure(document: dict[str, Any]) -> None:
    load_policy(as_yaml(document))
    VALIDATOR.validate(document)


@pytest.mark.slow
@settings(QUIET, max_examples=500)
@given(STRUCTURE.filter(bool), st.data())
def test_one_structural_fault(document: dict[str, Any], data: st.DataObject) -> None:
    """Both reject a value of a wrong type, an unknown key, and a key that is missing."""
    document = json.loads(json.dumps(document))
    *way, last = data.draw(st.sampled_from(sorted(nodes(document), key=repr)))
    holder: Any = document
    for key in way:
        holder = holder[key]
    value = holder[last]
    wrong: list[Any] = [None, 1, 1.5]
    if isinstance(value, (str, bool)):
        wrong += [["a"], {"x": "y"}]
    elif way != ["ignore"]:
        wrong += ["text", True]
    faults = [("replace", other) for other in wrong]
    if isinstance(value, dict):
        faults.append(("add", None))
    if last == "rule":
        faults.append(("remove", None))
    kind, other = data.draw(st.sampled_from(faults))
    if kind == "replace":
        holder[last] = other
    elif kind == "add":
        value["unknown"] = "a"
    else:
        del holder[last]
    assert not loads(as_yaml(document))
    assert not fits(document)
