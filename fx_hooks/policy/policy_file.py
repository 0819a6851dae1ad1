"""One policy file, read and checked by itself: what its keys are, and what each may hold.

The tables of keys are the grammar. ``python -m tests.schemas`` makes the JSON Schema from them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from fx_hooks.policy.model import (
    KEEP_RULE,
    LFS_ALLOWED,
    LFS_FORBIDDEN,
    LFS_REQUIRED,
    MILESTONE_RULE,
    PATTERN_RULE,
    POLICY_NAME,
    PROJECT_KEYS,
)
from fx_hooks.policy.patterns import encodable, problem
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import (
    Node,
    Scalar,
    compose,
    fault,
    kind,
    limit_values,
    line_of,
    mapping,
    string,
)
from fx_hooks.util.yaml_keys import Key, Keys, ListOf, MappingOf, OneOf, Reader, read_keys

# The kinds of built-in rules in their order; builtin.yaml says what each is.
KINDS = (
    "name", "name-anywhere", "name-folder", "project-folder", "weight-folder", "run-signature",
    "run-folder", "signature", "folder-signature",
)  # fmt: skip
# Patterns, names and reasons of one policy file: a person writes some dozens.
_MAX_VALUES = 5_000
TAKEN = (KEEP_RULE, MILESTONE_RULE, PATTERN_RULE)

_WILD = frozenset("*?[")
RULE_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_UNITS = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
SIZE = re.compile(r"([1-9][0-9]{0,17})(?: ?(B|kB|MB|GB|KiB|MiB|GiB))?")


class Written(NamedTuple):
    """A pattern or a path, and where it is written; *tool* is empty but in a tool's own file."""

    text: str
    line: int
    tool: str = ""
    only_with: tuple[str, ...] = ()
    test_data: bool = False


class Rule(NamedTuple):
    """A rule, or a part of one, as a file has it; ``origins`` are pairs of tool and source."""

    name: str
    line: int
    paths: tuple[Written, ...] = ()
    exceptions: tuple[Written, ...] = ()
    file_exceptions: tuple[Written, ...] = ()
    beside: tuple[Written, ...] = ()
    why: str = ""
    advice: str = ""
    binary_only: bool = False
    unless_source: bool = False
    kind: str = ""
    origins: tuple[tuple[str, str], ...] = ()


class Document(NamedTuple):
    """One policy file. ``best_models`` holds the settings that it gives."""

    source: str
    rules: tuple[Rule, ...]
    keep: tuple[Written, ...]
    disable: tuple[Written, ...]
    best_models: dict[str, Any]
    best_models_line: int
    test_data: tuple[Written, ...]
    folders: tuple[Written, ...]
    projects_may: tuple[str, ...]


class Placed:
    """The text that *read* returns, with the line that it is in."""

    def __init__(self, read: Reader) -> None:
        self.read = read

    def __call__(self, node: Node, source: str, key: str) -> Written:
        return Written(self.read(node, source, key), line_of(node))


def read_policy_file(
    text: bytes,
    source: str,
    *,
    builtin: bool = False,
    may: Sequence[str] | None = None,
    root: str = POLICY_NAME,
) -> Document:
    """Read the file *source*; with *may* it is a project's, which has no other keys.

    *root* is then the file that says so.
    """
    node = compose(text, source)
    limit_values(node, source, _MAX_VALUES)
    keys = BUILTIN_POLICY if builtin else POLICY
    nodes = mapping(node, source, "", keys)
    for key in () if may is None else nodes.keys() - set(may):
        said = f"the projects_may of {root} does not allow it: take it out, or ask for it there"
        if key not in PROJECT_KEYS:
            said = f"only {root} says it: take it out, and say it there"
        raise fault(source, nodes[key], key, said)
    found = read_keys(nodes, source, "", keys)
    rules = found.get("ignore", ())
    # Parts of one built-in rule may need different files next to what they match.
    if not builtin:
        _check_names(rules, source)
    return Document(
        source,
        rules,
        found.get("keep", ()),
        found.get("disable", ()),
        found.get("best_models", {}),
        line_of(nodes["best_models"]) if "best_models" in nodes else 1,
        found.get("test_data", ()),
        tuple(folder for folder in found.get("projects", ()) if folder.text != "."),
        found.get("projects_may", PROJECT_KEYS),
    )


def _check_names(rules: Sequence[Rule], source: str) -> None:
    """Refuse two rules of one name."""
    names = set()
    for number, rule in enumerate(rules):
        if rule.name in names:
            raise FatalError(
                f"{source}:{rule.line}: ignore[{number}]: the rule name '{rule.name}' is taken:"
                " choose another one"
            )
        if rule.name != PATTERN_RULE:
            names.add(rule.name)


def _rule(node: Node, source: str, key: str, *, builtin: bool = False) -> Rule:
    if isinstance(node, Scalar):
        pattern = Written(_pattern(node, source, key), line_of(node))
        return Rule(PATTERN_RULE, pattern.line, (pattern,))
    keys = BUILTIN_RULE if builtin else RULE
    nodes = mapping(node, source, key, keys, "must be a pattern or a rule")
    if "rule" not in nodes:
        raise fault(source, node, key, "has no name: add 'rule: NAME'")
    found = read_keys(nodes, source, key, keys)
    name, paths, beside = found["rule"], found.get("paths", ()), found.get("beside", ())
    only_with = found.get("only_with", ())
    if only_with and beside:
        raise fault(source, node, key, "has both 'beside' and 'only_with': make a rule of each")
    if only_with and paths:
        paths = tuple(one._replace(only_with=only_with) for one in paths)
    elif only_with:
        # What is looked for first, without a look into the folder.
        first = next((sign for sign in only_with if not _wild(sign)), None)
        if first is None:
            raise fault(
                source, nodes["only_with"], f"{key}.only_with",
                "has only patterns: name one of the files in full, or add 'paths: [PATTERN]'",
            )  # fmt: skip
        beside = (Written(first, line_of(node), only_with=only_with),)
    if not paths and not beside and not builtin:
        raise fault(source, node, key, f"the rule '{name}' says nothing: add 'paths: [PATTERN]'")
    return Rule(
        name,
        line_of(node),
        paths,
        found.get("except", ()),
        found.get("except_files", ()),
        beside,
        found.get("why", ""),
        found.get("advice", ""),
        found.get("binary_only", False),
        found.get("unless_source", False),
        found.get("kind", ""),
        (("", found["source"]),) if "source" in found else (),
    )


def _rule_name(node: Node, source: str, key: str) -> str:
    name = string(node, source, key)
    if RULE_NAME.fullmatch(name) is None:
        raise fault(source, node, key, f"'{name}': a name is lowercase-words-with-dashes")
    if name in TAKEN:
        raise fault(source, node, key, f"the rule name '{name}' is taken: choose another one")
    return name


def _project(node: Node, source: str, key: str) -> str:
    """Read a folder or a glob; the root, which always is a project, is ``.``."""
    text = string(node, source, key)
    folder = text.removesuffix("/") if text != "." else text
    what = problem(folder) if text != "." else None
    if text.startswith("!"):
        what = "begins with '!': name the folders that are projects"
    elif text.startswith("/"):
        what = "begins with '/': write it without, or '.' for the root"
    if what:
        raise fault(source, node, key, f"{text!r} {what}")
    return folder


def _pattern(node: Node, source: str, key: str) -> str:
    pattern = string(node, source, key)
    what = problem(pattern)
    if what:
        shown = repr(pattern) if len(pattern) < 200 else f"{pattern[:100]!r}..."
        raise fault(source, node, key, f"the pattern {shown} {what}")
    return pattern


def _file_pattern(node: Node, source: str, key: str) -> str:
    pattern = _pattern(node, source, key)
    if pattern.rpartition("/")[2] in ("", "**"):
        raise fault(source, node, key, f"'{pattern}' does not name files: put it under 'except'")
    return pattern


def _name_pattern(node: Node, source: str, key: str) -> str:
    name = _pattern(node, source, key)
    if "/" in name:
        what = f"'{name}': write a pattern for the file's name, without '/'"
        raise fault(source, node, key, what)
    return name


def _path(node: Node, source: str, key: str) -> str:
    path = string(node, source, key)
    if not encodable(path):
        raise fault(source, node, key, f"{path!r} has a character that no path can have")
    if path != path.strip() or any(part in ("", ".", "..") for part in path.split("/")):
        raise fault(source, node, key, f"'{path}': write a path like 'folder/file', without './'")
    if "\0" in path or "\n" in path:
        raise fault(source, node, key, "has a NUL or a line break, which is not allowed here")
    return path


def _wild(sign: str) -> bool:
    """Return True if the last part of an ``only_with`` *sign* is a pattern."""
    return any(char in sign.rpartition("/")[2] for char in "*?")


def _sign(node: Node, source: str, key: str) -> str:
    """Read a file relative to a folder: ``FILE``, ``FOLDER/FILE``, or in any one ``*/FILE``."""
    sign = _path(node, source, key)
    folder, _, name = sign.rpartition("/")
    wild_folder = folder != "*" and any(char in folder for char in "*?")
    if wild_folder or "**" in name or "[" in sign or "\\" in sign:
        what = (
            f"'{sign}': write FILE, FOLDER/FILE or */FILE, with '*' and '?' at most in the name of"
            " the file"
        )
        raise fault(source, node, key, what)
    return sign


def _folder(node: Node, source: str, key: str) -> str:
    """Read one folder, by its name: what looks like more is refused, not taken literally."""
    folder = _path(node, source, key)
    if not _WILD.isdisjoint(folder):
        raise fault(
            source, node, key,
            f"'{folder}' is a glob, and this is one folder: name the folders that have one each"
            " under 'projects'",
        )  # fmt: skip
    if "\\" in folder or folder.startswith(("~", "$")):
        raise fault(source, node, key, f"'{folder}': write a path from the root, with '/'")
    return folder


def _text(node: Node, source: str, key: str) -> str:
    return " ".join(string(node, source, key).split())


def _size(node: Node, source: str, key: str) -> int:
    match = SIZE.fullmatch(node.value) if isinstance(node, Scalar) else None
    if match is None:
        raise fault(source, node, key, "must be a size such as 500 MB or 2 GiB")
    return int(match[1]) * _UNITS[match[2] or ""]


def _flag(node: Node, source: str, key: str) -> bool:
    if not isinstance(node, Scalar) or node.tag != "tag:yaml.org,2002:bool":
        raise fault(source, node, key, f"must be true or false, not {kind(node)}")
    return bool(node.value.lower() in ("true", "yes", "on"))


_PATTERNS = ListOf(Placed(_pattern))

RULE: Keys = {
    "rule": Key(
        _rule_name,
        "the rule's name",
        "Another one than those of the built-in rules. It stands in every report.",
        required=True,
    ),
    "paths": Key(_PATTERNS, "what does not belong in Git"),
    "except": Key(_PATTERNS, "what of it belongs in Git all the same"),
    "except_files": Key(
        ListOf(Placed(_file_pattern)),
        "which files of it belong in Git all the same",
        "Like 'except', but for files alone: a folder of such a name, and what is in it, does not"
        " belong in Git.",
    ),
    "beside": Key(
        ListOf(Placed(_path)),
        "files that make their directory a run",
        "Paths relative to that directory, such as .hydra/config.yaml: nothing in a directory with"
        " such a file belongs in Git.",
    ),
    "only_with": Key(
        ListOf(_sign),
        "files that have to be there, too",
        "The patterns count only in a folder that has all of these files: in the folder that a"
        " pattern matches, or beside the file. Without paths, a folder with all of them is a run,"
        " and nothing in it belongs in Git. Only the hooks look for the files; a .gitignore cannot."
        " Write FILE, FOLDER/FILE, or */FILE for any folder there; the name of the file may have"
        " '*' and '?'.",
    ),
    "binary_only": Key(
        _flag,
        "leave text alone",
        "A file that is text is not what this rule is about, whatever its name.",
    ),
    "unless_source": Key(
        _flag,
        "leave packages alone",
        "A directory that holds source files directly is not what this rule is about, whatever its"
        " name.",
    ),
    "why": Key(_text, "why it does not belong in Git", "One line for the report."),
    "advice": Key(_text, "what to do instead", "One line for the report."),
}
BUILTIN_RULE: Keys = {
    **RULE,
    "kind": Key(OneOf(KINDS), "its place in the order", required=True),
    "source": Key(_text, "where the tool's names are from"),
}
BEST_MODELS: Keys = {
    "folder": Key(
        _folder,
        "the folder, from the root (of each project)",
        "Its milestones.yaml lists the models that belong in Git.",
    ),
    "metadata": Key(
        ListOf(_name_pattern),
        "metadata",
        "File names, at any depth below the folder, of the metadata that belongs in Git.",
    ),
    "documents": Key(
        ListOf(_name_pattern),
        "documents",
        "File names, at any depth below the folder, of what else belongs in Git.",
    ),
    "weights": Key(
        ListOf(_name_pattern),
        "weights",
        "File names, at any depth below the folder, that belong in Git only as milestones.",
    ),
    "required_keys": Key(
        ListOf(string),
        "what metadata has to say",
        "Keys that the metadata of each milestone, NAME_meta.json, has to have.",
    ),
    "lfs": Key(
        OneOf((LFS_REQUIRED, LFS_ALLOWED, LFS_FORBIDDEN)),
        "Git LFS",
        "Whether milestones have to be in Git LFS, may be, or must not.",
    ),
    "max_size": Key(
        _size,
        "the largest milestone",
        "In bytes, or with a unit: 500 MB, 2 GiB. It holds for models in Git LFS, too.",
    ),
}
POLICY: Keys = {
    "ignore": Key(
        ListOf(_rule),
        "what else does not belong in Git",
        "Patterns, or rules with a name and a reason. They come after the built-in rules, so they"
        " win over their exceptions.",
    ),
    "keep": Key(
        _PATTERNS,
        "what belongs in Git all the same",
        "Patterns that win over every rule, and over what a directory says of itself. They never"
        " admit weights into the folder of the chosen models: that is what its milestones.yaml is"
        " for.",
    ),
    "disable": Key(
        ListOf(Placed(string)),
        "built-in rules that do not hold here",
        "Built-in rules by name. fx-explain PATH names the rule that decides a path.",
    ),
    "best_models": Key(
        MappingOf(BEST_MODELS),
        "the chosen models",
        "Where models that somebody chose live. Only metadata, documents and the milestones listed"
        " in its milestones.yaml belong there.",
    ),
    "projects": Key(
        ListOf(Placed(_project)),
        "where the projects are",
        "Folders and globs, from the root of the repository. What a pattern says of the root holds"
        " at the root of each project, and each has its own folder of chosen models. The repository"
        " itself always is one. Only the policy file of the root says this.",
    ),
    "projects_may": Key(
        ListOf(OneOf(PROJECT_KEYS)),
        "what a project's own policy file may say",
        "All four where this is not given. A project's own file holds for the project alone.",
    ),
}
BUILTIN_POLICY: Keys = {
    **POLICY,
    "ignore": Key(ListOf(partial(_rule, builtin=True)), "the rules"),
    "test_data": Key(_PATTERNS, "what is test data, which rules of the first kind let through"),
}
