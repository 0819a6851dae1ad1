"""Write the JSON Schemas of the files that people write: `python -m tests.schemas`.

The tables that read the files say which keys there are, and what an editor shows about each. What
the functions that read single values refuse, this module says once more, for editors: in
expressions of JavaScript. ``tests/test_schema.py`` holds the two to each other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fx_hooks.best_models import milestones
from fx_hooks.best_models.milestone import GLOBAL
from fx_hooks.frameworks.wandb.address import ADDRESS
from fx_hooks.policy import policy_file
from fx_hooks.policy.loader import BUILTIN_FILE, load_policy
from fx_hooks.policy.model import BEST_MODELS_RULE, POLICY_NAME, PROJECT_KEYS, BestModels
from fx_hooks.policy.policy_file import RULE_NAME, SIZE, TAKEN, Placed
from fx_hooks.util.strict_yaml import string
from fx_hooks.util.yaml_keys import Key, Keys, ListOf, MappingOf, Matching, OneOf, Reader
from fx_hooks.weights.torch_allows import BLOCKED_MODULES

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"

# One part of a pattern: `**`, or stars, characters and sets.
_SET = r"\[(?!\[[:.=])[^!^\\/](?:(?!\[[:.=])[^\]\\/])*\]"
_PART = rf"(?:[*]{{2}}(?=/|$)|(?:[^\\\[/*]|[*](?![*])|\\[^/]|{_SET})*)"
PATTERN = {
    r"\S": "A pattern must not be empty.",
    "^(?!!)": (
        "Say what is allowed under 'keep' or in a rule's 'except'; a literal '!' at the beginning"
        r" is written '\!'."
    ),
    "^(?!#)": r"A literal '#' at the beginning is written '\#'.",
    "^(?!/$)": "Write '*' for everything.",
    r"[^ \t\r]$": "Write '[ ]' for a blank at the end.",
    r"^[^\u0000\n]*$": "No NUL and no line break: one pattern an entry.",
    r"^(?![\s\S]*//)": "Write one '/': '//' matches nothing.",
    r"^(?![\s\S]*[*]{3})": "Write '*' within one path part, '**' for any number of parts.",
    r"^(?![\s\S]*/[*]{2}/$)": "Write '/**' for everything beneath a directory.",
    r"^(?!(?:[\s\S]*/)?[.]{1,2}(?:/|$))": (
        "'.' and '..' are not path parts: write the path from the root."
    ),
    f"^{_PART}(?:/{_PART})*$": (
        "A set lists characters or ranges that are not negated, without '/', '\\' and POSIX"
        r" classes, and ends with ']' in the same path part; '\[' and '\\' are the literal"
        " characters."
    ),
}
PATH = {
    r"^(?!\s)[\s\S]*[^ \t\r]$": "Write the path without blanks around it.",
    r"^(?!(?:[\s\S]*/)?(?:[.]{1,2})?(?:/|$))": (
        "Write a path like 'folder/file': no '/' at its ends, no '//', no '.' and '..'."
    ),
    r"^[^\u0000\n]*$": "No NUL and no line break.",
}


def form(expression: str, message: str) -> Schema:
    return {"pattern": expression, "patternErrorMessage": message}


def forms(expressions: dict[str, str]) -> list[Schema]:
    return [form(*pair) for pair in expressions.items()]


def ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def whole(expression: re.Pattern[str]) -> str:
    """Return an expression of Python as one that matches the whole text in an editor."""
    return f"^{re.sub(r'[?]P<[a-z]+>', '?:', expression.pattern)}$"


# What the functions read that are not made from others.
VALUES: dict[Reader, Schema] = {
    string: {"type": "string"},
    policy_file._text: {"type": "string"},
    policy_file._flag: {"type": "boolean", "default": False},
    policy_file._rule: {"if": {"type": "object"}, "then": ref("rule"), "else": ref("pattern")},
    policy_file._rule_name: {"allOf": [ref("name"), {"not": {"enum": list(TAKEN)}}]},
    policy_file._pattern: ref("pattern"),
    policy_file._file_pattern: {
        "title": "a pattern for files",
        "allOf": [
            ref("pattern"),
            form(r"^(?!(?:[\s\S]*/)?(?:[*]{2})?$)", "Say under 'except' what is in a folder."),
        ],
    },
    policy_file._name_pattern: {
        "title": "a pattern for a file's name",
        "allOf": [
            ref("pattern"),
            form("^[^/]*$", "Write a pattern for the file's name, without '/'."),
        ],
    },
    policy_file._path: ref("path"),
    policy_file._sign: {
        "allOf": [
            ref("path"),
            form(
                r"^(?:[*]/|(?:[^*?\[\\/]+/)*)(?![^/]*[*][*])[^/\[\\]+$",
                "Write FILE, FOLDER/FILE or */FILE, with '*' and '?' at most in the name of the"
                " file.",
            ),
        ]
    },
    policy_file._folder: {
        "default": load_policy().best_models.folder,
        "allOf": [
            ref("path"),
            form(
                r"^[^*?\[\\]*$",
                "This is one folder. Name folders that have one each under 'projects'.",
            ),
            form("^(?![~$])", "Write a path from the root."),
        ],
    },
    policy_file._project: {
        "if": {"const": "."},
        "else": {
            "allOf": [
                ref("pattern"),
                form("^(?!/)", "Write a folder without '/' at its beginning, or '.' for the root."),
            ]
        },
    },
    policy_file._size: {
        "if": {"type": "string"},
        "then": form(whole(SIZE), "Write a size such as 500 MB or 2 GiB."),
        "else": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    },
    milestones._size: {"type": "integer", "minimum": 0},
    milestones._date: {"type": "string", "pattern": whole(milestones._DAY.form)},
    milestones._reason: {"type": "string", "pattern": r"\S"},
    milestones._global: {
        "type": "string",
        "pattern": f"^(?!(?:{'|'.join(sorted(BLOCKED_MODULES))})[.])"
        + whole(GLOBAL).removeprefix("^"),
    },
    milestones._artifact: {"type": "string", "pattern": whole(ADDRESS)},
}
# What is to be said of a key beyond that.
MORE: dict[str, Schema] = {
    "disable": {"items": ref("name")},
    "lfs": {"default": BestModels._field_defaults["lfs"]},
    "projects_may": {"default": list(PROJECT_KEYS)},
}


def value(read: Reader) -> Schema:
    """Return the schema of what *read* reads."""
    if isinstance(read, Placed):
        return value(read.read)
    if isinstance(read, ListOf):
        return {"type": "array", "items": value(read.item)}
    if isinstance(read, MappingOf):
        return mapping(read.keys)
    if isinstance(read, OneOf):
        return {"enum": list(read.words)}
    if isinstance(read, Matching):
        return {"type": "string", "pattern": whole(read.form)}
    return VALUES[read]


def described(name: str, key: Key) -> Schema:
    schema = value(key.read)
    texts = {"title": key.title, "description": key.description}
    return {
        **{keyword: text for keyword, text in texts.items() if text},
        # Draft 7 ignores what stands next to a reference.
        **({"allOf": [schema]} if "$ref" in schema else schema),
        **MORE.get(name, {}),
    }


def mapping(keys: Keys) -> Schema:
    required = [name for name, key in keys.items() if key.required]
    return {
        "type": "object",
        "additionalProperties": False,
        **({"required": required} if required else {}),
        "properties": {name: described(name, key) for name, key in keys.items()},
    }


def some(key: str, **more: object) -> Schema:
    return {"required": [key], "properties": {key: {"minItems": 1, **more}}}


def rule() -> Schema:
    full_name = form("^(?:[*]/)?[^*?]+$", "Name one of the files in full, or add 'paths'.")
    return {
        "title": "a rule",
        "description": (
            "Patterns with a name and a reason. Its exceptions come right after its paths."
        ),
        **mapping(policy_file.RULE),
        "anyOf": [
            some("paths"),
            some("beside"),
            some("only_with", contains=full_name),
            {"properties": {"rule": {"const": BEST_MODELS_RULE}}},
        ],
        "not": {"allOf": [some("beside"), some("only_with")]},
    }


def policy() -> Schema:
    return {
        "title": POLICY_NAME,
        "description": (
            "What a repository's policy changes in the built-in one: rules to add, what to keep"
            " whatever the rules say, built-in rules to disable, and where the chosen models live."
            " The last pattern that matches a path decides."
        ),
        **mapping(policy_file.POLICY),
        "definitions": {
            "pattern": {
                "title": "a pattern",
                "description": (
                    "A pattern as in a .gitignore, from the root of the repository. It means a"
                    " directory with everything beneath it; without '/' (but at the end) it"
                    " matches at any depth. In YAML a pattern that begins with '*', '[' or '{'"
                    " needs quotes."
                ),
                "type": "string",
                "allOf": forms(PATTERN),
            },
            "name": {
                "title": "a rule's name",
                "type": "string",
                **form(whole(RULE_NAME), "A name is lowercase-words-with-dashes."),
            },
            "path": {"title": "a path", "type": "string", "allOf": forms(PATH)},
            "rule": rule(),
        },
    }


def listing() -> Schema:
    return {
        "title": "milestones.yaml",
        "description": (
            "The models that somebody chose for Git, each pinned by its digest. fx-add-milestone"
            " writes the entries."
        ),
        "additionalProperties": False,
        "properties": {
            "milestones": {
                "title": "the milestones by path",
                "description": (
                    "Paths from the root of the repository, below the folder of the chosen models."
                ),
                "type": "object",
                "propertyNames": {"pattern": "^(?!(?:.*/)?[.]{0,2}(?:/|$)).+/.+$"},
                "additionalProperties": ref("milestone"),
            }
        },
        "definitions": {
            "milestone": {
                "title": "a milestone",
                **mapping(milestones.KEYS),
                "dependencies": {
                    "artifact": ["artifact_digest"],
                    "artifact_digest": ["artifact"],
                },
            }
        },
    }


def documents() -> dict[Path, str]:
    """Return the text of each schema by its place, which is a promise."""
    folder = Path(BUILTIN_FILE).parent
    texts = {}
    for name, schema in (("schema.json", policy()), ("milestones.schema.json", listing())):
        # An empty file is valid, too.
        schema = {"$schema": DRAFT, **schema, "type": ["object", "null"]}
        texts[folder / name] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return texts


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, "utf-8")
