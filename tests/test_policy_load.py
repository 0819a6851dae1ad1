"""Reading policies and milestones: what they mean, and how faults are named."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.git.repository import ObjectStore
from fx_hooks.policy.compiler import compile_tables
from fx_hooks.policy.in_force import policy_of_commit
from fx_hooks.policy.loader import load_policy
from fx_hooks.policy.milestone_list import load_milestones
from fx_hooks.policy.model import BUILTIN_SOURCE, POLICY_NAME, Policy, with_milestones
from fx_hooks.util import strict_yaml
from fx_hooks.util.errors import FatalError
from tests.contract_support import approve

if TYPE_CHECKING:
    from tests.support import Repo

# The loader that takes libyaml where there is one, and the one that is always there.
LOADERS = {"fast": getattr(yaml, "CSafeLoader", yaml.SafeLoader), "pure": yaml.SafeLoader}


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test is run with both loaders."""
    name: str = request.param
    monkeypatch.setattr(strict_yaml, "Loader", LOADERS[name])
    return name


def fault(text: str | bytes, source: str = POLICY_NAME) -> str:
    with pytest.raises(FatalError) as caught:
        load_policy(text.encode() if isinstance(text, str) else text, source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def blocked(policy: Policy, path: bytes) -> bool:
    return bool(Matcher(compile_tables(policy.patterns())).blocked([path]))


def own(policy: Policy) -> list[tuple[str, bool, str, int]]:
    """Pattern, whether it blocks, rule and line of what does not come from the package."""
    return [
        (entry.pattern, entry.blocks, entry.rule, entry.line)
        for entry in policy.entries
        if entry.source != BUILTIN_SOURCE
    ]


MAPPING = "must be a mapping, not"
RULE = "must be a pattern or a rule, not"
NAMELESS = "has no name: add 'rule: NAME'"
NOTHING = "the rule 'a' says nothing: add 'paths: [PATTERN]'"
RELATIVE = "write a path like 'folder/file', without './'"
KEYS = "known are ignore, keep, disable, best_models, projects, projects_may"

FAULTS = {
    # The top.
    "top-list": ("- a\n", f"1: {MAPPING} a list"),
    "top-text": ("\nwandb\n", f"2: {MAPPING} str wandb"),
    "top-number": ("1\n", f"1: {MAPPING} int 1"),
    "unknown-key": ("keep: [a]\nxyz: [b]\n", f"2: xyz: unknown key: {KEYS}"),
    "unknown-key-hint": ("ignored: [a]\n", "1: ignored: unknown key: did you mean 'ignore'?"),
    "number-as-key": ("1: [a]\n", "1: the key 1 must be in quotes"),
    "truth-as-key": ("keep: []\non: [a]\n", "2: the key on must be in quotes"),
    "merge-key": ("<<: {keep: [a]}\n", "1: the key << must be in quotes"),
    "list-as-key": ("? [a]\n: b\n", "1: top level: must be a string, not a list"),
    "null-as-key": ("? \n: [b]\n", "1: the key  must be in quotes"),
    # Keys that come twice.
    "twice": (
        "keep: [a]\ndisable: []\nkeep: [b]\n",
        "3: keep: duplicate key (first in line 1): merge the two",
    ),
    "twice-in-a-rule": (
        "ignore:\n  - rule: a\n    paths: [b]\n    paths: [c]\n",
        "4: ignore[0].paths: duplicate key (first in line 3): merge the two",
    ),
    "twice-in-settings": (
        "best_models:\n  folder: a\n  folder: b\n",
        "3: best_models.folder: duplicate key (first in line 2): merge the two",
    ),
    # Lists and patterns.
    "keep-text": ("keep: a\n", "1: keep: must be a list: write keep: [a]"),
    "keep-path": ("keep: /a/b-1.pt\n", "1: keep: must be a list: write keep: [/a/b-1.pt]"),
    "keep-a-number": ("keep: 5\n", '1: keep: must be a list: write keep: ["5"]'),
    "keep-lines": ("keep: |\n  a\n  b\n", '1: keep: must be a list: write keep: ["a\\nb\\n"]'),
    "keep-tagged": ("keep: !a b\n", "1: keep: must be a list, not !a b"),
    "keep-nothing": ("keep:\n", "1: keep: must be a list: write keep: []"),
    "keep-mapping": ("keep: {a: b}\n", "1: keep: must be a list, not a mapping"),
    "keep-number": (
        "keep:\n  - a\n  - 1\n",
        "3: keep[1]: must be a string, not int 1: put it in quotes",
    ),
    "keep-truth": ("keep: [yes]\n", "1: keep[0]: must be a string, not bool yes: put it in quotes"),
    "keep-date": (
        "keep: [2024-01-31]\n",
        "1: keep[0]: must be a string, not timestamp 2024-01-31: put it in quotes",
    ),
    "keep-home": ("keep: [~]\n", "1: keep[0]: must be a string, not empty: put it in quotes"),
    "keep-list": ("keep: [[a]]\n", "1: keep[0]: must be a string, not a list"),
    "keep-rule": ("keep:\n- rule: a\n", "2: keep[0]: must be a string, not a mapping"),
    "keep-pattern": (
        "keep: [a//b]\n",
        "1: keep[0]: the pattern 'a//b' has '//', which matches nothing: write one '/'",
    ),
    "keep-empty": ("keep: ['']\n", "1: keep[0]: the pattern '' is empty"),
    "keep-nul": (
        'keep: ["a\\0"]\n',
        "1: keep[0]: the pattern 'a\\x00' has a NUL character, which no path can have",
    ),
    "ignore-text": ("ignore: '*.pt'\n", '1: ignore: must be a list: write ignore: ["*.pt"]'),
    "ignore-number": (
        "ignore: [1]\n",
        "1: ignore[0]: must be a string, not int 1: put it in quotes",
    ),
    "ignore-list": ("ignore: [[a]]\n", f"1: ignore[0]: {RULE} a list"),
    "ignore-pattern": (
        "ignore:\n\n  - '#a'\n",
        "3: ignore[0]: the pattern '#a' begins with '#', which git reads as a comment: write '\\#'",
    ),
    # Rules.
    "rule-nameless": ("ignore:\n  - paths: [a]\n", f"2: ignore[0]: {NAMELESS}"),
    "rule-empty": ("ignore: [{}]\n", f"1: ignore[0]: {NAMELESS}"),
    "rule-says-nothing": ("ignore: [{rule: a}]\n", f"1: ignore[0]: {NOTHING}"),
    "rule-without-paths": ("ignore: [{rule: a, paths: []}]\n", f"1: ignore[0]: {NOTHING}"),
    "rule-name": (
        "ignore:\n  - paths: [a]\n    rule: My Rule\n",
        "3: ignore[0].rule: 'My Rule': a name is lowercase-words-with-dashes",
    ),
    "rule-name-number": (
        "ignore: [{rule: 1, paths: [a]}]\n",
        "1: ignore[0].rule: must be a string, not int 1: put it in quotes",
    ),
    "rule-unknown-key": (
        "ignore:\n  - rule: a\n    path: [b]\n",
        "3: ignore[0].path: unknown key: did you mean 'paths'?",
    ),
    "rule-path": (
        "ignore:\n  - rule: a\n    paths:\n      - b\n      - /\n",
        "5: ignore[0].paths[1]: the pattern '/' is only '/': write '*' for everything",
    ),
    "rule-paths-text": (
        "ignore: [{rule: a, paths: b}]\n",
        "1: ignore[0].paths: must be a list: write paths: [b]",
    ),
    "rule-exception": (
        "ignore:\n  - {rule: a, paths: [b], except: [c, './d']}\n",
        "2: ignore[0].except[1]: the pattern './d' has '.' as a path part, which git never"
        " matches: write it from the root",
    ),
    "rule-beside": (
        "ignore: [{rule: a, beside: [./b]}]\n",
        f"1: ignore[0].beside[0]: './b': {RELATIVE}",
    ),
    "rule-why": (
        "ignore: [{rule: a, paths: [b], why: 1}]\n",
        "1: ignore[0].why: must be a string, not int 1: put it in quotes",
    ),
    "rule-advice": (
        "ignore: [{rule: a, paths: [b], advice: }]\n",
        "1: ignore[0].advice: must be a string, not empty: put it in quotes",
    ),
    "rule-flag": (
        "ignore:\n- rule: a\n  paths: [b]\n  binary_only: 'yes'\n",
        "4: ignore[0].binary_only: must be true or false, not str yes",
    ),
    "rule-flag-list": (
        "ignore: [{rule: a, paths: [b], unless_source: []}]\n",
        "1: ignore[0].unless_source: must be true or false, not a list",
    ),
    "rule-twice": (
        "ignore:\n  - {rule: a, paths: [b]}\n  - {rule: a, paths: [c]}\n",
        "3: ignore[1]: the rule name 'a' is taken: choose another one",
    ),
    "rule-taken": (
        "ignore:\n  - b\n  - {rule: wandb, paths: [a]}\n",
        "3: ignore: the rule name 'wandb' is taken by the built-in policy: choose another one",
    ),
    "rule-best-models": (
        "ignore: [{rule: best-models, paths: [a]}]\n",
        "1: ignore: the rule name 'best-models' is taken by the built-in policy: choose another"
        " one",
    ),
    "rule-keep": (
        "ignore: [{rule: keep, paths: [a]}]\n",
        "1: ignore[0].rule: the rule name 'keep' is taken: choose another one",
    ),
    # Rules to disable.
    "disable-hint": (
        "disable:\n  - wandb\n  - wandbb\n",
        "3: disable: no built-in rule is called 'wandbb': did you mean 'wandb'?",
    ),
    "disable-number": (
        "disable: [1]\n",
        "1: disable[0]: must be a string, not int 1: put it in quotes",
    ),
    # Settings.
    "settings-list": ("best_models: [a]\n", f"1: best_models: {MAPPING} a list"),
    "settings-nothing": ("best_models:\n", f"1: best_models: {MAPPING} empty"),
    "settings-unknown": (
        "best_models:\n  weight: ['*.pt']\n",
        "2: best_models.weight: unknown key: did you mean 'weights'?",
    ),
    "folder-list": (
        "best_models: {folder: [a]}\n",
        "1: best_models.folder: must be a string, not a list",
    ),
    "folder-outside": (
        "best_models: {folder: ../a}\n",
        f"1: best_models.folder: '../a': {RELATIVE}",
    ),
    "folder-slash": ("best_models: {folder: a/}\n", f"1: best_models.folder: 'a/': {RELATIVE}"),
    "folder-empty": ("best_models: {folder: ''}\n", f"1: best_models.folder: '': {RELATIVE}"),
    "folder-blank": ("best_models: {folder: 'a '}\n", f"1: best_models.folder: 'a ': {RELATIVE}"),
    "folder-glob": (
        "best_models: {folder: 'packages/*/best_models'}\n",
        "1: best_models.folder: 'packages/*/best_models' is a glob, and this is one folder: name"
        " the folders that have one each under 'projects'",
    ),
    "folder-backslash": (
        "best_models: {folder: 'models\\best'}\n",
        r"1: best_models.folder: 'models\best': write a path from the root, with '/'",
    ),
    "folder-home": (
        "best_models: {folder: ~/models}\n",
        "1: best_models.folder: '~/models': write a path from the root, with '/'",
    ),
    "folder-refused": (
        "best_models: {folder: outputs/best}\n",
        "1: best_models.folder: 'outputs/best' is refused with all that is in it by outputs"
        " (built-in policy, hydra:24): choose another folder, or disable that rule",
    ),
    "projects-text": ("projects: ml\n", "1: projects: must be a list: write projects: [ml]"),
    "projects-outside": (
        "projects: [../ml]\n",
        "1: projects[0]: '../ml' has '..' as a path part, which git never matches: write it from"
        " the root",
    ),
    "projects-top": (
        "projects: [/ml]\n",
        "1: projects[0]: '/ml' begins with '/': write it without, or '.' for the root",
    ),
    "projects-negated": (
        "projects: ['packages/*', '!packages/docs']\n",
        "1: projects[1]: '!packages/docs' begins with '!': name the folders that are projects",
    ),
    "projects-chosen": (
        "projects:\n- ml\n- ml/best_models/x\n",
        "3: projects[1]: 'ml/best_models/x' is in ml/best_models/, where only chosen models belong:"
        " name the folder around that",
    ),
    "projects-may": (
        "projects_may: [ignores]\n",
        "1: projects_may[0]: 'ignores': did you mean 'ignore'?",
    ),
    "projects-may-projects": (
        "projects_may: [projects]\n",
        "1: projects_may[0]: 'projects': must be one of ignore, keep, disable, best_models",
    ),
    "folder-newline": (
        'best_models: {folder: "a\\nb"}\n',
        "1: best_models.folder: has a NUL or a line break, which is not allowed here",
    ),
    "weights-path": (
        "best_models:\n  weights:\n    - a/*.pt\n",
        "3: best_models.weights[0]: 'a/*.pt': write a pattern for the file's name, without '/'",
    ),
    "metadata-text": (
        "best_models: {metadata: '*.json'}\n",
        '1: best_models.metadata: must be a list: write metadata: ["*.json"]',
    ),
    "documents-pattern": (
        "best_models: {documents: ['[a']}\n",
        "1: best_models.documents[0]: the pattern '[a' has a '[' that no ']' in the same path"
        " part closes: write '\\[' for a literal one",
    ),
    # Tags: what an unquoted exclamation mark is for YAML.
    "tag": (
        "keep:\n  - a\n  - !b\n",
        "3: keep[1]: '!b' is read as a YAML tag: put a value that begins with '!' in quotes",
    ),
    "tag-with-text": (
        "keep:\n  - !b c\n",
        "2: keep[0]: '!b' is read as a YAML tag: put a value that begins with '!' in quotes",
    ),
    "tag-of-python": (
        "keep: [!!python/object/apply:os.system [a]]\n",
        "1: keep[0]: must be a string, not something tagged"
        " tag:yaml.org,2002:python/object/apply:os.system",
    ),
    "tag-of-yaml": (
        "keep: [!!int '1']\n",
        "1: keep[0]: must be a string, not int 1: put it in quotes",
    ),
    "alias-of-a-list": (
        "keep: &a [b]\ndisable: [*a]\n",
        "1: disable[0]: must be a string, not a list",
    ),
    "alias-in-itself": ("keep: &a [*a]\n", "1: YAML: nested too deeply"),
    "mapping-in-itself": (
        "ignore: &a [{rule: b, paths: *a}]\n",
        "1: YAML: nested too deeply",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=list(FAULTS))
@pytest.mark.usefixtures("loader")
def test_faults(text: str, message: str) -> None:
    assert fault(text) == f".fx-hooks.yaml:{message}"
    assert fault(text, "../other.yaml") == f"../other.yaml:{message}"


def test_an_unknown_rule_without_a_hint() -> None:
    message = fault("disable: [qqq]\n")
    assert message.startswith(
        ".fx-hooks.yaml:1: disable: no built-in rule is called 'qqq': there are: "
    )
    listed = message.partition("there are: ")[2].split(", ")
    assert {"wandb", "best-models"} <= set(listed)


# What libyaml and PyYAML say differs in words; file and line do not.
NO_YAML = {
    "alias": ("keep:\n  - *.pt\n", 2),
    "alias-unknown": ("keep:\n  - a\n  - *b\n", 3),
    "tab": ("keep:\n\t- a\n", 2),
    "unclosed-list": ("keep: [a,\n", 2),
    "unclosed-quote": ("keep:\n  - 'a\n", 3),
    "indentation": ("keep:\n  - a\n - b\n", 3),
    "colon": ("keep: a: b\n", 1),
    "two-documents": ("keep: [a]\n---\nkeep: [b]\n", 2),
    "directive": ("%YAML 3.0\n---\nkeep: []\n", 1),
    "at-sign": ("keep: [@a]\n", 1),
    "anchor-twice": ("keep: [&a b, &a c]\n%\n", 2),
    "tag-in-a-list": ("keep: [!b]\n", 2),
}


@pytest.mark.parametrize(("text", "line"), NO_YAML.values(), ids=list(NO_YAML))
@pytest.mark.usefixtures("loader")
def test_no_yaml(text: str, line: int) -> None:
    message = fault(text)
    place, _, what = message.partition(": YAML: ")
    assert what
    # At the end of the file, the two disagree about which line that is.
    assert re.fullmatch(rf"\.fx-hooks\.yaml:({line}|{line - 1}):[0-9]+", place)


IN_WORDS = (
    (
        "keep:\n\t- a\n",
        "2:1: YAML: a tab stands here: YAML allows only spaces for indentation",
    ),
    (
        "best_models:\n  \tlfs: a\n",
        "2:3: YAML: a tab stands here: YAML allows only spaces for indentation",
    ),
    (
        "keep:\n  - 'a\n  - b\n",
        "2:5: YAML: the quote that begins here is never closed",
    ),
    (
        'keep:\n  - "a\n',
        "2:5: YAML: the quote that begins here is never closed",
    ),
    (
        "keep: ['it's']\n",
        "1:12: YAML: a ',' is missing before this",
    ),
    (
        "keep:\n  - 'it's'\n",
        "2:9: YAML: the quote before this is closed: write '' for a quote in single quotes",
    ),
    (
        "keep: [a]\nignore\n",
        "2:1: YAML: a ':' is missing behind this key",
    ),
    (
        "ignore\nkeep: [a]\n",
        "1:1: YAML: a ':' is missing behind this key",
    ),
    (
        "keep:[a]\nignore: [b]\n",
        "1:1: YAML: a blank is missing after 'keep:'",
    ),
    (
        "best_models:\n  # x\n\n  folder:x\n  lfs: a\n",
        "4:3: YAML: a blank is missing after 'folder:'",
    ),
    (
        "keep:\n  - a\n  -b\n",
        "3:3: YAML: a blank is missing after '-'",
    ),
    (
        "ignore:\n- why: a: b\n",
        "2:9: YAML: this is the second ':' of the line: put the value in quotes",
    ),
    (
        "keep: [a,\n  b\nignore: []\n",
        "1:7: YAML: the '[' that begins here is never closed",
    ),
    (
        "best_models: {lfs: a\n",
        "1:14: YAML: the '{' that begins here is never closed",
    ),
    (
        "keep: ['a[b', [c], # [d\n",
        "1:7: YAML: the '[' that begins here is never closed",
    ),
    (
        "best_models: {weights: [a, # x\n\n",
        "1:24: YAML: the '[' that begins here is never closed",
    ),
    (
        "keep: [\n\n",
        "1:7: YAML: the '[' that begins here is never closed",
    ),
    (
        "keep: [a}\n",
        "1:9: YAML: '}' does not close the '[' of this line",
    ),
    (
        "keep: [a]]\n",
        "1:10: YAML: nothing opens this ']'",
    ),
    (
        "keep: [a b: c, 'd' e]\n",
        "1:20: YAML: a ',' is missing before this",
    ),
    (
        "keep:\n  - %a\n",
        "2:5: YAML: a value cannot begin with '%': put it in quotes",
    ),
    (
        "keep:\n  - &\n",
        "2:5: YAML: a value that begins with '&' needs quotes",
    ),
    (
        "keep:\n  - a\n - b\n",
        "3:2: YAML: this '-' stands among keys: indent it like the list that it is of",
    ),
    (
        "ignore:\n- rule: a\n   paths: [b]\n",
        "3:4: YAML: this is indented further than the keys above it",
    ),
    (
        "ignore:\n  - rule: a\n   paths: [b]\n",
        "3:4: YAML: the list of line 2 goes on without '- ', or is indented unlike",
    ),
    (
        "keep: []\n- a\n",
        "2:1: YAML: this '-' stands among keys: indent it like the list that it is of",
    ),
    (
        "keep: [a]\n---\nkeep: [b]\n",
        "2:1: YAML: a second document begins here: write only one, without '---'",
    ),
    (
        "keep: [&a b, &a c]\n",
        "1:14: YAML: this anchor is there already: give it another name",
    ),
    (
        "keep: [a,, b]\n",
        "1:10: YAML: a value is missing before this",
    ),
    (
        "<<<<<<< HEAD\nkeep: [a]\n=======\nkeep: [b]\n>>>>>>> b\n",
        "1:1: YAML: this is the mark of a merge conflict: resolve it",
    ),
    (
        f"{'a' * 300_000} b\nkeep: []\n",
        "2:1: YAML: this is indented further than the keys above it",
    ),
)


@pytest.mark.parametrize(("text", "said"), IN_WORDS, ids=map(str, range(len(IN_WORDS))))
@pytest.mark.usefixtures("loader")
def test_common_mistakes_in_plain_words(text: str, said: str) -> None:
    assert fault(text) == f".fx-hooks.yaml:{said}"


@pytest.mark.usefixtures("loader")
def test_a_backslash_in_double_quotes() -> None:
    # libyaml says where it is, PyYAML what stands behind it.
    assert re.match(r".*:2:[67]: YAML: a backslash in double quotes", fault('keep:\n  - "\\d"\n'))


@pytest.mark.usefixtures("loader")
def test_other_mistakes_in_the_words_of_the_parser() -> None:
    assert "found incompatible YAML document" in fault("%YAML 9.9\n---\nkeep: []\n")


@pytest.mark.parametrize("text", ["keep:\n  - *.pt\n", "keep:\n- a\n- *\n", "ignore: [*model]\n"])
@pytest.mark.usefixtures("loader")
def test_a_star_without_quotes(text: str) -> None:
    assert fault(text).endswith(": a value that begins with '*' needs quotes, such as \"*.pt\"")


UNREADABLE = {
    "latin-1": (b"keep:\n  - mod\xe8le\n", 2),
    "not-utf-8-first": (b"\xff\n", 1),
    "nul": (b"keep:\n  - a\n  - b\0\n", 3),
    "control": (b"keep: ['\x01']\n", 1),
    "behind-other-characters": ("# é é é\n# é\n- ".encode() + b"\xe8\n", 3),
    "control-behind-other-characters": ("# ééééééééé\n".encode() + b"- '\x02'\n", 2),
}


@pytest.mark.parametrize(("text", "line"), UNREADABLE.values(), ids=list(UNREADABLE))
@pytest.mark.usefixtures("loader")
def test_no_text(text: bytes, line: int) -> None:
    message = fault(text)
    assert message.startswith(f".fx-hooks.yaml:{line}: ")
    assert message.endswith(("is not UTF-8: save the file as UTF-8", ": remove it"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.usefixtures("loader")
def test_other_encodings_never_mean_nothing(encoding: str) -> None:
    try:
        policy = load_policy("keep: [abc]\n".encode(encoding))
    except FatalError:
        return
    assert own(policy) == [("abc", False, "keep", 1)]


@pytest.mark.usefixtures("loader")
def test_surrogates_that_stand_for_no_byte() -> None:
    for text in ('keep: ["\\ud800"]', 'keep: ["[\\ud800]"]', 'best_models: {folder: "\\ud800"}'):
        assert fault(text).startswith(".fx-hooks.yaml:1:")


def test_too_large() -> None:
    assert fault(b"#" * 1_000_001) == (
        ".fx-hooks.yaml:1: has more than 1,000,000 bytes: this is not such a file"
    )
    assert load_policy(b"#" * 1_000_000) == load_policy()


DEEP = {
    "lists": "[",
    "mappings": "{a: ",
    "block-lists": "- ",
    "keys": "? ",
    "in-keep": "keep: [\n" + "[",
}


@pytest.mark.parametrize("opening", DEEP.values(), ids=list(DEEP))
@pytest.mark.parametrize("name", LOADERS)
def test_nested_too_deeply(name: str, opening: str) -> None:
    # In a process of its own: a stack that is used up takes the interpreter with it.
    program = (
        "import sys, yaml\n"
        "from fx_hooks.util.errors import FatalError\n"
        "from fx_hooks.policy.loader import load_policy\n"
        "from fx_hooks.util import strict_yaml\n"
        "if sys.argv[1] == 'pure': strict_yaml.Loader = yaml.SafeLoader\n"
        "try: load_policy((sys.argv[2] * 100_000).encode())\n"
        "except FatalError as exc: print(exc)\n"
    )
    result = subprocess.run(
        (sys.executable, "-c", program, name, opening), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-300:]
    assert result.stdout.startswith(".fx-hooks.yaml:")
    assert result.stdout.count("\n") == 1


# What is not a fault.


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n", id="blank"),
        pytest.param(b"# nothing yet\n", id="comment"),
        pytest.param(b"---\n", id="document-start"),
        pytest.param(b"---\n...\n", id="document-end"),
        pytest.param(b"~\n", id="null"),
        pytest.param(b"{}\n", id="mapping"),
        pytest.param(b"ignore: []\nkeep: []\ndisable: []\nbest_models: {}\n", id="empty-keys"),
        pytest.param(b"\xef\xbb\xbf", id="byte-order-mark"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_changes_nothing(text: bytes) -> None:
    assert load_policy(text) == load_policy() == load_policy(None)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        pytest.param("keep: [a, b]\n", ["a", "b"], id="flow"),
        pytest.param("keep:\n- a\n-   'b'\n", ["a", "b"], id="block"),
        pytest.param("\ufeffkeep: [a]\n", ["a"], id="byte-order-mark"),
        pytest.param("keep:\r\n  - a\r\n  - b\r\n", ["a", "b"], id="line-ends-of-windows"),
        pytest.param("--- # first\nkeep: [a]\n...\n", ["a"], id="document-marks"),
        pytest.param("%YAML 1.1\n---\nkeep: [a]\n", ["a"], id="directive"),
        pytest.param("keep: [modèle, 模型]\n", ["modèle", "模型"], id="non-ascii"),
        pytest.param('keep: ["mod\\u00e8le"]\n', ["modèle"], id="escape"),
        pytest.param("keep: [&a b, *a]\n", ["b", "b"], id="alias-of-a-pattern"),
        pytest.param("keep: ['1', 'yes', '~', 'a: b']\n", ["1", "yes", "~", "a: b"], id="quoted"),
        pytest.param("keep: [!!str 1]\n", ["1"], id="tag-of-a-string"),
        pytest.param("'keep': [a]\n", ["a"], id="quoted-key"),
        pytest.param("keep:\n  - >-\n    a\n    b\n", ["a b"], id="folded"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_spellings(text: str, patterns: list[str]) -> None:
    assert [pattern for pattern, *_ in own(load_policy(text.encode()))] == patterns


@pytest.mark.usefixtures("loader")
def test_an_alias_used_properly() -> None:
    text = b"""\
ignore:
  - rule: one
    paths: [/one]
    except: &docs
      - '**/README.md'
  - rule: two
    paths: [/two]
    except: *docs
"""
    policy = load_policy(text)
    assert own(policy) == [
        ("/one", True, "one", 3),
        ("**/README.md", False, "one", 5),
        ("/two", True, "two", 7),
        ("**/README.md", False, "two", 5),
    ]


def test_several_plain_patterns() -> None:
    policy = load_policy(b"ignore:\n  - a\n  - b\n  - a\n  - {rule: c, paths: [d]}\n")
    assert [(pattern, blocks, line) for pattern, blocks, _, line in own(policy)] == [
        ("a", True, 2),
        ("b", True, 3),
        ("a", True, 4),
        ("d", True, 5),
    ]


def test_why_and_advice_are_one_line() -> None:
    text = b"ignore: [{rule: a, paths: [b], why: 'one\n  two\n', advice: ' x  y '}]\n"
    entry = next(entry for entry in load_policy(text).entries if entry.rule == "a")
    assert (entry.why, entry.advice) == ("one two", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("false", False), ("yes", True), ("No", False), ("ON", True), ("off", False)],
)
@pytest.mark.usefixtures("loader")
def test_flags(value: str, expected: bool) -> None:
    text = f"ignore: [{{rule: a, paths: [b], except: [c], binary_only: {value}}}]\n"
    first, second = (entry for entry in load_policy(text.encode()).entries if entry.rule == "a")
    assert (first.binary_only, first.unless_source) == (expected, False)
    assert not second.binary_only


# The order, and who wins.


def test_order() -> None:
    text = b"""\
keep: [/k]
ignore:
  - rule: a
    except: [/a/e]
    paths: [/a]
  - /i
"""
    policy = load_policy(text)
    assert own(policy) == [
        ("/a", True, "a", 5),
        ("/a/e", False, "a", 4),
        ("/i", True, "ignore", 6),
        ("/k", False, "keep", 1),
    ]
    sources = [entry.source for entry in policy.entries[: policy.admitted_from]]
    assert sources == sorted(sources, key=(BUILTIN_SOURCE, POLICY_NAME).index)
    behind = policy.entries[policy.admitted_from :]
    keep = [entry for entry in behind if not entry.blocks]
    assert [entry.pattern for entry in keep if entry.source == POLICY_NAME] == ["/k"]
    assert keep[-1].pattern == "/k"
    assert behind[: len(keep)] == tuple(keep)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        pytest.param("", b"wandb/x", True, id="built-in"),
        pytest.param("", b"src/train.py", False, id="nothing"),
        pytest.param("keep: [/wandb/x]", b"wandb/x", False, id="keep-beats-built-in"),
        pytest.param("keep: [/wandb/x]", b"wandb/y", True, id="keep-says-only-so-much"),
        pytest.param("keep: [a]\nignore: [a]", b"a", False, id="keep-beats-ignore"),
        pytest.param("ignore: ['*.json']", b"a.json", True, id="ignore"),
        pytest.param("disable: [wandb]", b"wandb/x", False, id="disable"),
        pytest.param("disable: [wandb]\nignore: [/wandb/y]", b"wandb/y", True, id="disable-ignore"),
        pytest.param(
            "ignore: [{rule: a, paths: [/a], except: [/a/b]}, {rule: c, paths: [/a/b/c]}]",
            b"a/b/c",
            True,
            id="a-later-rule-beats-an-exception",
        ),
        pytest.param(
            "ignore: [{rule: c, paths: [/a/b/c]}, {rule: a, paths: [/a], except: [/a/b]}]",
            b"a/b/c",
            False,
            id="a-later-exception-beats-a-rule",
        ),
    ],
)  # fmt: skip
def test_who_wins(text: str, path: bytes, expected: bool) -> None:
    assert blocked(load_policy(text.encode()), path) == expected


def test_run_marks() -> None:
    text = (
        b"ignore:\n  - rule: a\n    why: w\n    advice: d\n    beside:\n      - .a/id\n      - b\n"
    )
    marks = [mark for mark in load_policy(text).run_marks if mark.source == POLICY_NAME]
    assert [tuple(mark) for mark in marks] == [
        (".a/id", "a", "w", "d", POLICY_NAME, 6, "", ()),
        ("b", "a", "w", "d", POLICY_NAME, 7, "", ()),
    ]
    assert ".hydra/config.yaml" in [mark.path for mark in load_policy().run_marks]


# Chosen models.


def chosen(text: str, *milestones: str) -> Policy:
    policy = load_policy(text.encode())
    source = policy.best_models.milestones_file
    return with_milestones(policy, dict.fromkeys(milestones, 2), source)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(b"best_models/best_meta.json", False, id="metadata"),
        pytest.param(b"best_models/v1/a/best_meta.json", False, id="metadata-deeper"),
        pytest.param(b"best_models/README.md", False, id="document"),
        pytest.param(b"best_models/.gitkeep", False, id="placeholder"),
        pytest.param(b"best_models/milestones.yaml", False, id="milestones"),
        pytest.param(b"best_models/v1/milestones.yaml", True, id="other-milestones"),
        pytest.param(b"best_models/best.pt", True, id="weights"),
        pytest.param(b"best_models/best.bin", True, id="anything-else"),
        pytest.param(b"best_models", True, id="the-folder-as-a-link"),
        pytest.param(b"src/best_models/a.py", False, id="another-folder-of-that-name"),
    ],
)
def test_best_models(path: bytes, expected: bool) -> None:
    assert blocked(load_policy(), path) == expected


@pytest.mark.parametrize("folder", ["models/chosen", "a]{b}", "!x", "#x", "a b", "modèle"])
def test_a_folder_of_another_name(folder: str) -> None:
    policy = load_policy(f'best_models: {{folder: "{folder}"}}\n'.encode())
    folder = policy.best_models.folder
    base = folder.encode()
    assert policy.best_models.milestones_file == f"{folder}/milestones.yaml"
    assert blocked(policy, base + b"/deep/x.bin")
    assert blocked(policy, base + b"/x.pt")
    assert not blocked(policy, base + b"/deep/x.json")
    assert not blocked(policy, base + b"/milestones.yaml")
    # Neither at another place, nor by what would be a pattern, nor where it was.
    assert not blocked(policy, b"deep/" + base + b"/x.bin")
    assert not blocked(policy, b"axbx/x.bin")
    assert not blocked(policy, b"best_models/x.bin")
    assert not blocked(with_milestones(policy, {f"{folder}/x.pt": 1}, ""), base + b"/x.pt")


def test_settings_that_are_not_given_stay() -> None:
    before = load_policy().best_models
    after = load_policy(b"best_models: {metadata: ['*.meta'], documents: []}\n").best_models
    assert after == before._replace(metadata=("*.meta",), documents=())
    policy = load_policy(b"best_models: {metadata: ['*.meta'], documents: []}\n")
    assert not blocked(policy, b"best_models/v1/a.meta")
    assert blocked(policy, b"best_models/a.json")
    assert blocked(policy, b"best_models/README.md")
    assert {
        entry.source for entry in policy.entries if entry.pattern == "/best_models/**/*.meta"
    } == {POLICY_NAME}


@pytest.mark.parametrize(
    "keep", ["*", "/best_models", "*.pt", "/best_models/a.pt", "best_models/**"]
)
def test_keep_never_admits_weights(keep: str) -> None:
    policy = load_policy(f'keep: ["{keep}"]\n'.encode())
    for path in (b"best_models/a.pt", b"best_models/deep/a.pt", b"best_models/a.pt/b"):
        assert blocked(policy, path)
    # Elsewhere it does what it says, and other files it does admit.
    assert not blocked(load_policy(b"keep: ['*.pt']\n"), b"a.pt")
    assert not blocked(load_policy(b"keep: [/best_models/a.txt]\n"), b"best_models/a.txt")


def test_keep_admits_what_is_a_milestone_nowhere_else() -> None:
    policy = chosen("best_models: {weights: ['*.w']}\n")
    assert blocked(policy, b"best_models/a.w")
    kept = load_policy(b"best_models: {weights: ['*.w']}\nkeep: ['*']\n")
    assert blocked(kept, b"best_models/a.w")
    # What is weights elsewhere is weights here, too.
    assert blocked(kept, b"best_models/a.pt")
    assert blocked(kept, b"best_models/a.gguf")
    assert not blocked(kept, b"best_models/a.txt")


@pytest.mark.parametrize(
    ("listed", "others"),
    [
        pytest.param("best_models/a.pt", ("best_models/b.pt", "best_models/x/a.pt"), id="plain"),
        pytest.param("best_models/*.pt", ("best_models/a.pt", "best_models/**.pt"), id="star"),
        pytest.param("best_models/?.pt", ("best_models/a.pt",), id="question-mark"),
        pytest.param("best_models/[ab].pt", ("best_models/a.pt", "best_models/b.pt"), id="set"),
        pytest.param("best_models/\\a.pt", ("best_models/a.pt",), id="backslash"),
        pytest.param("best_models/**/a.pt", ("best_models/a.pt", "best_models/b/a.pt"), id="stars"),
        pytest.param("best_models/a.pt ", ("best_models/a.pt",), id="blank"),
        pytest.param(
            "best_models/a.pt", ("best_models/a.pt ", "best_models/a.pt\n"), id="no-blank"
        ),
        pytest.param("best_models/a\n.pt", ("best_models/a.pt",), id="newline"),
        pytest.param("best_models/!a.pt", ("best_models/a.pt",), id="exclamation-mark"),
        pytest.param(
            "best_models/modèle.pt", ("best_models/mod\u00e8\u0301le.pt",), id="non-ascii"
        ),
        pytest.param("best_models/à", ("best_models/\udcc3",), id="byte-like-a-blank"),
        pytest.param("best_models/A.pt", ("best_models/a.pt",), id="case"),
        pytest.param("best_models/a.bin", ("best_models/b.bin",), id="any-suffix"),
    ],
)
def test_a_milestone_is_exactly_that_path(listed: str, others: tuple[str, ...]) -> None:
    policy = chosen("", listed)
    assert not blocked(policy, listed.encode("utf-8", "surrogateescape"))
    for other in others:
        assert blocked(policy, other.encode("utf-8", "surrogateescape"))


def test_a_milestone_is_no_folder() -> None:
    policy = chosen("", "best_models/a", "best_models/b.pt")
    assert not blocked(policy, b"best_models/a")
    assert blocked(policy, b"best_models/a/any.pt")
    assert blocked(policy, b"best_models/b.pt/any.pt")


def test_milestones_and_a_disabled_rule() -> None:
    policy = chosen("disable: [best-models]\n", "best_models/a.pt")
    assert policy == load_policy(b"disable: [best-models]\n")
    assert not blocked(policy, b"best_models/a.txt")


# The milestones file.

MILESTONES_FAULTS = {
    "list": ("- a\n", "1: must be a mapping, not a list"),
    "unknown-key": ("models: {}\n", "1: models: unknown key: known is milestones"),
    "second-key": ("milestones: {}\nx: 1\n", "2: x: unknown key: known is milestones"),
    "twice": (
        "milestones: {}\nmilestones: {}\n",
        "2: milestones: duplicate key (first in line 1): merge the two",
    ),
    "no-mapping": ("milestones: [a]\n", "1: milestones: must be a mapping, not a list"),
    "path-twice": (
        "milestones:\n  best_models/a.pt: {}\n  best_models/a.pt: {}\n",
        "3: milestones.best_models/a.pt: duplicate key (first in line 2): merge the two",
    ),
    "path-number": ("milestones:\n  1: {}\n", "2: milestones: the key 1 must be in quotes"),
    "no-details": (
        "milestones:\n  best_models/a.pt: yes\n",
        "2: milestones.best_models/a.pt: must be a mapping, not bool yes",
    ),
    "no-details-at-all": (
        "milestones:\n  best_models/a.pt:\n",
        "2: milestones.best_models/a.pt: must be a mapping, not empty",
    ),
    **{
        f"path-{number}": (
            f"milestones:\n  {path}: {{}}\n",
            f"2: milestones: '{path}': write the path from the root, such as best_models/NAME.pt",
        )
        for number, path in enumerate(
            (
                *("a.pt", "/best_models/a.pt", "best_models", "best_models/", "best_models//a.pt"),
                *("best_models/../a.pt", "./best_models/a.pt", "best_models/./a", "best_models2/a"),
            )
        )
    },
}


@pytest.mark.parametrize(
    ("text", "message"), MILESTONES_FAULTS.values(), ids=list(MILESTONES_FAULTS)
)
@pytest.mark.usefixtures("loader")
def test_milestones_faults(text: str, message: str) -> None:
    with pytest.raises(FatalError) as caught:
        load_milestones(text.encode(), load_policy().best_models)
    assert str(caught.value) == f"best_models/milestones.yaml:{message}"


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("# none yet\n", {}, id="comment"),
        pytest.param("milestones: {}\n", {}, id="none"),
        pytest.param("{}\n", {}, id="no-key"),
        pytest.param(
            "milestones:\n  best_models/a.pt:\n    sha256: 0\n  best_models/b/*.pt: {}\n",
            {"best_models/a.pt": 2, "best_models/b/*.pt": 4},
            id="two",
        ),
    ],
)
@pytest.mark.usefixtures("loader")
def test_milestones(text: str, listed: dict[str, int]) -> None:
    assert load_milestones(text.encode(), load_policy().best_models) == listed


def test_milestones_of_another_folder() -> None:
    best_models = load_policy(b"best_models: {folder: models}\n").best_models
    assert load_milestones(b"milestones: {models/a.pt: {}}\n", best_models) == {"models/a.pt": 1}
    with pytest.raises(FatalError) as caught:
        load_milestones(b"milestones: {best_models/a.pt: {}}\n", best_models)
    assert str(caught.value) == (
        "models/milestones.yaml:1: milestones: 'best_models/a.pt': write the path from the root,"
        " such as models/NAME.pt"
    )


def test_the_built_in_policy_is_in_order() -> None:
    policy = load_policy()
    rules: list[str] = []
    for entry in policy.entries[: policy.admitted_from]:
        assert entry.source == BUILTIN_SOURCE
        assert entry.line > 1
        assert entry.why
        if entry.rule not in rules[-1:]:
            rules.append(entry.rule)
    assert len(rules) == len(set(rules))
    assert "keep" not in rules


def test_the_kept_policy_of_a_commit_is_that_of_its_files(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(repo)
    repo.stage(".fx-hooks.yaml", "ignore: [{rule: mine, paths: ['*.x'], why: w}]\nkeep: [a.x]\n")
    repo.commit()
    monkeypatch.chdir(repo.root)
    store = ObjectStore()
    head = store.head() or ""
    loaded = policy_of_commit(store, head, "the tip")
    assert not loaded.kept
    assert repo.check().code == 0  # leaves tables behind
    kept = policy_of_commit(store, head, "the tip")
    assert kept.kept
    assert kept[:3] == loaded[:3]
    assert kept.milestones_blob == loaded.milestones_blob
    assert {entry.source for entry in kept.policy.entries if entry.rule == "mine"} == {
        "the tip:.fx-hooks.yaml"
    }
    # Another policy, another list: neither is kept.
    repo.stage(".fx-hooks.yaml", "keep: [b.x]\n")
    repo.commit()
    repo.git("rm", "-q", "--cached", "best_models/milestones.yaml")
    repo.commit()
    for commit in ("HEAD", "HEAD~1"):
        other = policy_of_commit(store, repo.git("rev-parse", commit).strip(), commit)
        assert not other.kept
