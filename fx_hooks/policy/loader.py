"""YAML to :class:`Policy`, strictly: every fault names file, line and key."""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import yaml

from fx_hooks.frameworks import NAMES, rules_file
from fx_hooks.policy.model import (
    BEST_MODELS_RULE,
    BUILTIN_SOURCE,
    KEEP_RULE,
    LFS_ALLOWED,
    LFS_FORBIDDEN,
    LFS_REQUIRED,
    MILESTONE_RULE,
    PATTERN_RULE,
    POLICY_NAME,
    PROJECT_KEYS,
    WEIGHTS_RULE,
    BestModels,
    Entry,
    Policy,
    RunMark,
    literal,
)
from fx_hooks.policy.patterns import encodable, problem, within
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import (
    compose,
    fault,
    items,
    kind,
    limit_values,
    line_of,
    mapping,
    string,
)

BUILTIN_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "builtin.yaml")
# The kinds of built-in rules in their order; builtin.yaml says what each is.
KINDS = (
    "name", "name-anywhere", "name-folder", "project-folder", "weight-folder", "run-signature",
    "run-folder", "signature", "folder-signature",
)  # fmt: skip
# Patterns, names and reasons of one policy file: a person writes some dozens.
_MAX_VALUES = 5_000
ROOT_KEYS = ("projects", "projects_may")
_TAKEN = (KEEP_RULE, MILESTONE_RULE, PATTERN_RULE)

_WILD = frozenset("*?[")
_RULE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_SIZE = re.compile(r"([1-9][0-9]{0,17})(?: ?(B|kB|MB|GB|KiB|MiB|GiB))?\Z")
_UNITS = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
_LFS = (LFS_REQUIRED, LFS_ALLOWED, LFS_FORBIDDEN)


class _Written(NamedTuple):
    """A pattern or a path, and where it is written; *tool* is empty but in a tool's own file."""

    text: str
    line: int
    tool: str = ""
    only_with: tuple[str, ...] = ()
    test_data: bool = False


class _Rule(NamedTuple):
    name: str
    paths: tuple[_Written, ...]
    exceptions: tuple[_Written, ...]
    file_exceptions: tuple[_Written, ...]
    beside: tuple[_Written, ...]
    why: str
    advice: str
    line: int
    binary_only: bool = False
    unless_source: bool = False
    kind: str = ""
    origins: tuple[tuple[str, str], ...] = ()


class _Document(NamedTuple):
    """One policy file, checked by itself."""

    source: str
    rules: tuple[_Rule, ...]
    keep: tuple[_Written, ...]
    disable: tuple[tuple[str, int], ...]
    best_models: dict[str, tuple[str, ...]]
    best_models_line: int
    test_data: tuple[_Written, ...] = ()
    folders: tuple[_Written, ...] = ()
    projects_may: tuple[str, ...] = PROJECT_KEYS


def load_policy(
    text: bytes | None = None,
    source: str = POLICY_NAME,
    *,
    project: tuple[str, bytes | None] | None = None,
) -> Policy:
    """Return the built-in policy with what *text*, a repository's policy file, changes.

    None stands for a repository without such a file. With *project*, its folder and the text of
    its own file, it is the policy of that project. Raises
    :class:`~fx_hooks.util.errors.FatalError` for an invalid one.
    """
    builtin = _builtin(BUILTIN_FILE, NAMES)
    root = _read(text if text is not None else b"", source)
    documents = [builtin, root]
    if project is not None and project[1] is not None:
        name = f"{project[0]}/{POLICY_NAME}"
        documents.append(_read(project[1], name, may=root.projects_may, root=source))
    _check_names(builtin, documents[1:])
    disabled = {name for document in documents[1:] for name, _ in document.disable}
    best_models = _settings(documents)
    if project is None:
        _check_folders(root, best_models.folder)
    where = next(document for document in reversed(documents) if document.best_models)
    others = [
        one.text
        for rule in builtin.rules
        if rule.name == WEIGHTS_RULE
        for one in rule.paths
        if not one.only_with
    ]
    entries: list[Entry] = []
    marks: list[RunMark] = []
    weights: list[Entry] = []

    def add(document: _Document, more: Iterable[Entry]) -> None:
        for entry in more:
            entries.append(entry)
            if project is not None and document is root:
                entries.extend(
                    entry._replace(pattern=pattern, written=entry.pattern)
                    for pattern in within(entry.pattern, project[0])
                )

    for document in documents:
        for rule in document.rules:
            if rule.name in disabled:
                continue
            if rule.name == BEST_MODELS_RULE:
                rule = _best_models_rule(rule, best_models, where.best_models_line)
                entries += _entries(rule, where.source)
                weights = list(_entries(_weights_rule(rule, best_models, others), where.source))
                continue
            add(document, _entries(rule, document.source))
            marks += _marks(rule, document.source)
    admitted_from = len(entries)
    for document in documents:
        add(
            document,
            [
                Entry(pattern, False, KEEP_RULE, "", "", document.source, line)
                for pattern, line, *_ in (
                    document.keep if document is not builtin else _needed(document.keep, entries)
                )
            ],
        )
    if where is not builtin:
        _check_chosen(entries[:admitted_from], best_models.folder, where)
    # Said again behind every keep: weights enter best_models as milestones or not at all.
    entries += weights
    folders = tuple(dict.fromkeys(folder.text for folder in root.folders))
    return Policy(
        tuple(entries), tuple(marks), best_models, admitted_from, folders, root.projects_may
    )


def _needed(keep: Sequence[_Written], entries: Sequence[Entry]) -> list[_Written]:
    """Return what the built-in policy keeps of files that a rule of people's own refuses."""
    needed: set[str] = set()
    for entry in entries:
        # They are files, and patterns with a slash at their end match none.
        if entry.blocks and entry.source != BUILTIN_SOURCE and not entry.pattern.endswith("/"):
            needed |= {one.text for one in keep if _refuses(entry.pattern, one.text[1:])}
    return [one for one in keep if one.text in needed]


def _refuses(pattern: str, name: str) -> bool:
    """Return True if *pattern* may match the file *name* at the root."""
    letters = set(pattern)
    # Of thousands of patterns, nearly all have a letter that the name has not.
    is_apart = letters.isdisjoint("[\\") and not letters - set("*?/") <= set(name)
    return not is_apart and "*" in within(pattern, name)


def _settings(documents: Sequence[_Document]) -> BestModels:
    """Return the settings of the folder of chosen models; the last document that says one wins."""
    settings = {key: value for document in documents for key, value in document.best_models.items()}
    return BestModels(
        settings["folder"][0],
        settings["metadata"],
        settings["documents"],
        settings["weights"],
        settings["required_keys"],
        settings["lfs"][0],
        int(settings["max_size"][0]) if "max_size" in settings else None,
    )


def _marks(rule: _Rule, source: str) -> Iterator[RunMark]:
    for one in rule.beside:
        yield RunMark(
            one.text, rule.name, rule.why, rule.advice, source, one.line, one.tool, one.only_with
        )


def _check_names(builtin: _Document, documents: Iterable[_Document]) -> None:
    """Refuse rules that are called like a built-in one, and to disable what there is not."""
    names = [rule.name for rule in builtin.rules]
    for own in documents:
        _check_names_of(own, names)


def _check_names_of(own: _Document, names: Sequence[str]) -> None:
    source = own.source
    for rule in own.rules:
        if rule.name in names:
            raise FatalError(
                f"{source}:{rule.line}: ignore: the rule name '{rule.name}' is taken by the"
                " built-in policy: choose another one"
            )
    for name, line in own.disable:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(names)}"
            raise FatalError(
                f"{source}:{line}: disable: no built-in rule is called '{name}': {hint}"
            )


def _check_chosen(entries: Sequence[Entry], chosen: str, where: _Document) -> None:
    """Refuse a folder of chosen models in which another rule would refuse the metadata, too."""
    for entry in reversed(entries):
        if "*" in within(entry.pattern, chosen):
            if entry.blocks and entry.rule != BEST_MODELS_RULE:
                raise FatalError(
                    f"{where.source}:{where.best_models_line}: best_models.folder: '{chosen}' is"
                    f" refused with all that is in it by {entry.rule} ({entry.place}): choose"
                    " another folder, or disable that rule"
                )
            return


def _check_folders(root: _Document, chosen: str) -> None:
    """Refuse a project in the folder of chosen models, where only these belong."""
    for number, (folder, line, *_) in enumerate(root.folders):
        for around in ("", *(f"{other.text}/" for other in root.folders)):
            if f"{folder}/".startswith(f"{around}{chosen}/"):
                raise FatalError(
                    f"{root.source}:{line}: projects[{number}]: '{folder}' is in {around}{chosen}/,"
                    " where only chosen models belong: name the folder around that"
                )


def _best_models_rule(rule: _Rule, best_models: BestModels, line: int) -> _Rule:
    folder = literal(best_models.folder)
    allowed = (*best_models.metadata, *best_models.documents)
    return rule._replace(
        paths=(_Written(f"/{folder}", line),),
        file_exceptions=(
            *(_Written(f"/{folder}/**/{pattern}", line) for pattern in allowed),
            _Written(f"/{folder}/milestones.yaml", line),
        ),
    )


def _weights_rule(rule: _Rule, best_models: BestModels, others: Iterable[str]) -> _Rule:
    line = rule.paths[0].line
    folder = literal(best_models.folder)
    names = dict.fromkeys((*best_models.weights, *others))
    paths = tuple(_Written(f"/{folder}/**/{pattern}", line) for pattern in names)
    return rule._replace(paths=paths, file_exceptions=())


def _entries(rule: _Rule, source: str) -> Iterator[Entry]:
    # A folder of the name of a file that is let in lets nothing in.
    folders = tuple(one._replace(text=f"{one.text}/**") for one in rule.file_exceptions)
    for patterns, blocks in (
        (rule.paths, True),
        (rule.file_exceptions, False),
        (folders, True),
        (rule.exceptions, False),
    ):
        for one in patterns:
            yield Entry(
                one.text,
                blocks,
                rule.name,
                rule.why,
                rule.advice,
                source,
                one.line,
                blocks and rule.binary_only,
                blocks and rule.unless_source,
                one.tool,
                only_with=one.only_with,
                test_data=one.test_data,
            )


@functools.cache
def _builtin(file_name: str, tools: tuple[str, ...]) -> _Document:
    """Return the built-in policy: its own file and those of the tools, joined and ordered."""
    with open(file_name, "rb") as file:
        general = _read(file.read(), BUILTIN_SOURCE, builtin=True)
    rules = [*general.rules]
    for tool in tools:
        with open(rules_file(tool), "rb") as file:
            rules += _read(file.read(), BUILTIN_SOURCE, builtin=True, tool=tool).rules
    joined = sorted(_joined(rules), key=lambda rule: KINDS.index(rule.kind))
    test_data = tuple(one._replace(test_data=True) for one in general.test_data)
    excepted = [
        rule._replace(exceptions=test_data + rule.exceptions) if rule.kind == KINDS[0] else rule
        for rule in joined
    ]
    return general._replace(rules=tuple(excepted))


def _joined(parts: Iterable[_Rule]) -> Iterator[_Rule]:
    """Return the rules of *parts*, each once: a rule may have a part in several files."""
    by_name: dict[str, list[_Rule]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    for name, same in by_name.items():
        first = same[0]
        flags = {(part.kind, part.binary_only, part.unless_source) for part in same}
        reasons = [part for part in same if part.why]
        if len(flags) > 1 or len(reasons) != 1:
            raise FatalError(f"{BUILTIN_SOURCE}: the parts of the rule '{name}' contradict")
        yield first._replace(
            paths=tuple(one for part in same for one in part.paths),
            exceptions=tuple(one for part in same for one in part.exceptions),
            file_exceptions=tuple(one for part in same for one in part.file_exceptions),
            beside=tuple(one for part in same for one in part.beside),
            why=reasons[0].why,
            advice=reasons[0].advice,
            origins=tuple(origin for part in same for origin in part.origins),
        )


def rule_origins() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return by built-in rule, in their order, where its names come from: (tool, source)."""
    return {rule.name: rule.origins for rule in _builtin(BUILTIN_FILE, NAMES).rules}


# From here on: one file, checked by itself.


def _read(
    text: bytes,
    source: str,
    *,
    builtin: bool = False,
    tool: str = "",
    may: Sequence[str] | None = None,
    root: str = POLICY_NAME,
) -> _Document:
    """Return the file *source*; with *may* it is a project's, which has no other keys.

    *root* is then the file that says so.
    """
    node = compose(text, source)
    limit_values(node, source, _MAX_VALUES)
    known = (*PROJECT_KEYS, *ROOT_KEYS, *(["test_data"] * builtin))
    top = mapping(node, source, "", known)
    for key in () if may is None else top.keys() - set(may):
        said = f"the projects_may of {root} does not allow it: take it out, or ask for it there"
        if key in ROOT_KEYS:
            said = f"only {root} says it: take it out, and say it there"
        raise fault(source, top[key], key, said)
    rules = []
    names = set(_TAKEN)
    for item, key in items(top.get("ignore"), source, "ignore"):
        rule = _rule(item, source, key, builtin=builtin, tool=tool)
        # Parts of one built-in rule may need different files next to what they match.
        if rule.name in names and isinstance(item, yaml.MappingNode) and not builtin:
            raise fault(
                source, item, key, f"the rule name '{rule.name}' is taken: choose another one"
            )
        names.add(rule.name)
        rules.append(rule)
    disable = []
    for item, key in items(top.get("disable"), source, "disable"):
        disable.append((string(item, source, key), line_of(item)))
    best_models = top.get("best_models")
    return _Document(
        source,
        tuple(rules),
        _patterns(top.get("keep"), source, "keep"),
        tuple(disable),
        _best_models(best_models, source) if best_models is not None else {},
        line_of(best_models) if best_models is not None else 1,
        _patterns(top.get("test_data"), source, "test_data"),
        _folders(top.get("projects"), source),
        _projects_may(top["projects_may"], source) if "projects_may" in top else PROJECT_KEYS,
    )


def _folders(node: yaml.Node | None, source: str) -> tuple[_Written, ...]:
    """Return the folders and globs under `projects`; the root always is one."""
    found = []
    for item, key in items(node, source, "projects"):
        text = string(item, source, key)
        if text == ".":
            continue
        folder = text.removesuffix("/")
        what = problem(folder)
        if text.startswith("!"):
            what = "begins with '!': name the folders that are projects"
        elif text.startswith("/"):
            what = "begins with '/': write it without, or '.' for the root"
        if what:
            raise fault(source, item, key, f"{text!r} {what}")
        found.append(_Written(folder, line_of(item)))
    return tuple(found)


def _projects_may(node: yaml.Node, source: str) -> tuple[str, ...]:
    found = []
    for item, key in items(node, source, "projects_may"):
        name = string(item, source, key)
        if name not in PROJECT_KEYS:
            close = difflib.get_close_matches(name, PROJECT_KEYS, 1)
            hint = (
                f"did you mean '{close[0]}'?" if close else f"known are {', '.join(PROJECT_KEYS)}"
            )
            raise fault(source, item, key, f"'{name}': {hint}")
        found.append(name)
    return tuple(found)


def _rule(
    node: yaml.Node, source: str, key: str, *, builtin: bool = False, tool: str = ""
) -> _Rule:
    if isinstance(node, yaml.ScalarNode):
        pattern = _pattern(node, source, key)
        line = line_of(node)
        return _Rule(PATTERN_RULE, (_Written(pattern, line),), (), (), (), "", "", line)
    keys = (
        "rule", "paths", "except", "except_files", "beside", "only_with", "binary_only",
        "unless_source", "why", "advice", *(["kind", "source"] * builtin),
    )  # fmt: skip
    found = mapping(node, source, key, keys, "must be a pattern or a rule")
    if "rule" not in found:
        raise fault(source, node, key, "has no name: add 'rule: NAME'")
    name = string(found["rule"], source, f"{key}.rule")
    if not _RULE_NAME.match(name):
        raise fault(
            source, found["rule"], f"{key}.rule", f"'{name}': a name is lowercase-words-with-dashes"
        )
    paths = _patterns(found.get("paths"), source, f"{key}.paths", tool)
    beside = tuple(
        _Written(_relative(item, source, place), line_of(item), tool)
        for item, place in items(found.get("beside"), source, f"{key}.beside")
    )
    only_with = _signs(found.get("only_with"), source, f"{key}.only_with")
    if only_with and beside:
        raise fault(source, node, key, "has both 'beside' and 'only_with': make a rule of each")
    if only_with and paths:
        paths = tuple(one._replace(only_with=only_with) for one in paths)
    elif only_with:
        # What is looked for first, without a look into the folder.
        first = next((sign for sign in only_with if not wild(sign)), None)
        if first is None:
            raise fault(
                source, found["only_with"], f"{key}.only_with",
                "has only patterns: name one of the files in full, or add 'paths: [PATTERN]'",
            )  # fmt: skip
        beside = (_Written(first, line_of(node), tool, only_with),)
    if not paths and not beside and not builtin:
        raise fault(source, node, key, f"the rule '{name}' says nothing: add 'paths: [PATTERN]'")
    return _Rule(
        name,
        paths,
        _patterns(found.get("except"), source, f"{key}.except", tool),
        _file_patterns(found.get("except_files"), source, f"{key}.except_files", tool),
        beside,
        _text(found.get("why"), source, f"{key}.why"),
        _text(found.get("advice"), source, f"{key}.advice"),
        line_of(node),
        _flag(found.get("binary_only"), source, f"{key}.binary_only"),
        _flag(found.get("unless_source"), source, f"{key}.unless_source"),
        _text(found.get("kind"), source, f"{key}.kind"),
        ((tool, _text(found["source"], source, f"{key}.source")),) if "source" in found else (),
    )


def _best_models(node: yaml.Node, source: str) -> dict[str, tuple[str, ...]]:
    keys = (
        "folder", "metadata", "documents", "weights", "required_keys", "lfs", "max_size",
    )  # fmt: skip
    found = mapping(node, source, "best_models", keys)
    settings: dict[str, tuple[str, ...]] = {}
    for key, value in found.items():
        place = f"best_models.{key}"
        if key == "folder":
            settings[key] = (_folder(value, source, place),)
            continue
        if key == "lfs":
            lfs = string(value, source, place)
            if lfs not in _LFS:
                raise fault(source, value, place, f"'{lfs}': must be one of {', '.join(_LFS)}")
            settings[key] = (lfs,)
            continue
        if key == "max_size":
            settings[key] = (str(_bytes(value, source, place)),)
            continue
        if key == "required_keys":
            settings[key] = tuple(
                string(item, source, where) for item, where in items(value, source, place)
            )
            continue
        names = []
        for item, where in items(value, source, place):
            name = _pattern(item, source, where)
            if "/" in name:
                raise fault(
                    source,
                    item,
                    where,
                    f"'{name}': write a pattern for the file's name, without '/'",
                )
            names.append(name)
        settings[key] = tuple(names)
    return settings


def _patterns(
    node: yaml.Node | None, source: str, key: str, tool: str = ""
) -> tuple[_Written, ...]:
    return tuple(
        _Written(_pattern(item, source, place), line_of(item), tool)
        for item, place in items(node, source, key)
    )


def _file_patterns(
    node: yaml.Node | None, source: str, key: str, tool: str
) -> tuple[_Written, ...]:
    for item, place in items(node, source, key):
        pattern = _pattern(item, source, place)
        if pattern.rpartition("/")[2] in ("", "**"):
            raise fault(
                source, item, place, f"'{pattern}' does not name files: put it under 'except'"
            )
    return _patterns(node, source, key, tool)


def _pattern(node: yaml.Node, source: str, key: str) -> str:
    pattern = string(node, source, key)
    what = problem(pattern)
    if what:
        shown = repr(pattern) if len(pattern) < 200 else f"{pattern[:100]!r}..."
        raise fault(source, node, key, f"the pattern {shown} {what}")
    return pattern


def _relative(node: yaml.Node, source: str, key: str) -> str:
    path = string(node, source, key)
    if not encodable(path):
        raise fault(source, node, key, f"{path!r} has a character that no path can have")
    if path != path.strip() or any(part in ("", ".", "..") for part in path.split("/")):
        raise fault(source, node, key, f"'{path}': write a path like 'folder/file', without './'")
    if "\0" in path or "\n" in path:
        raise fault(source, node, key, "has a NUL or a line break, which is not allowed here")
    return path


def wild(sign: str) -> bool:
    """Return True if the last part of an ``only_with`` *sign* is a pattern."""
    return any(char in sign.rpartition("/")[2] for char in "*?")


def _signs(node: yaml.Node | None, source: str, key: str) -> tuple[str, ...]:
    """Return files relative to a folder: ``FILE``, ``FOLDER/FILE``, or in any one ``*/FILE``."""
    found = []
    for item, place in items(node, source, key):
        sign = _relative(item, source, place)
        folder, _, name = sign.rpartition("/")
        wild_folder = folder != "*" and any(char in folder for char in "*?")
        if wild_folder or "**" in name or "[" in sign or "\\" in sign:
            raise fault(
                source,
                item,
                place,
                f"'{sign}': write FILE, FOLDER/FILE or */FILE, with '*' and '?' at most in the"
                " name of the file",
            )
        found.append(sign)
    return tuple(found)


def _folder(node: yaml.Node, source: str, key: str) -> str:
    """Return one folder, by its name: what looks like more is refused, not taken literally."""
    folder = _relative(node, source, key)
    if not _WILD.isdisjoint(folder):
        raise fault(
            source, node, key,
            f"'{folder}' is a glob, and this is one folder: name the folders that have one each"
            " under 'projects'",
        )  # fmt: skip
    if "\\" in folder or folder.startswith(("~", "$")):
        raise fault(source, node, key, f"'{folder}': write a path from the root, with '/'")
    return folder


def _text(node: yaml.Node | None, source: str, key: str) -> str:
    return "" if node is None else " ".join(string(node, source, key).split())


def _bytes(node: yaml.Node, source: str, key: str) -> int:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    match = _SIZE.match(text)
    if match is None:
        raise fault(source, node, key, "must be a size such as 500 MB or 2 GiB")
    return int(match[1]) * _UNITS[match[2] or ""]


def _flag(node: yaml.Node | None, source: str, key: str) -> bool:
    if node is None:
        return False
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
        raise fault(source, node, key, f"must be true or false, not {kind(node)}")
    return bool(node.value.lower() in ("true", "yes", "on"))
