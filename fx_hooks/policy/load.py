"""YAML to :class:`Policy`, strictly: every fault names file, line and key."""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import yaml

from fx_hooks.errors import FatalError
from fx_hooks.policy.patterns import encodable, problem

BUILTIN_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "builtin.yaml")
BUILTIN_SOURCE = "built-in policy"
POLICY_NAME = ".fx-hooks.yaml"
BEST_MODELS_RULE = "best-models"
WEIGHTS_RULE = "weights"
KEEP_RULE = "keep"
MILESTONE_RULE = "milestone"
PATTERN_RULE = "ignore"  # of an `ignore` entry that is only a pattern
_TAKEN = (KEEP_RULE, MILESTONE_RULE, PATTERN_RULE)
# A policy that a person wrote has a few hundred lines.
MAX_BYTES = 1_000_000
MAX_DEPTH = 20

_RULE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_SIZE = re.compile(r"([1-9][0-9]{0,17})(?: ?(B|kB|MB|GB|KiB|MiB|GiB))?\Z")
_UNITS = {
    "": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}  # fmt: skip
LFS_REQUIRED, LFS_ALLOWED, LFS_FORBIDDEN = "required", "allowed", "forbidden"
_LFS = (LFS_REQUIRED, LFS_ALLOWED, LFS_FORBIDDEN)
_INTEGER = re.compile(r"[-+]?(0|[1-9]\d{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d{1,2})?\Z")
_MAX_NODES = 100_000
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Node = yaml.Node


class Entry(NamedTuple):
    """One pattern of the policy, in its place in the order.

    ``source`` and ``line`` (from 1) say where it is written; ``why`` and ``advice``
    are its rule's, and empty where the rule gives none. A ``binary_only`` entry leaves
    text alone, an ``unless_source`` one leaves a directory alone that holds source
    files: what only content and tree can say.
    """

    pattern: str
    blocks: bool
    rule: str
    why: str
    advice: str
    source: str
    line: int
    binary_only: bool = False
    unless_source: bool = False


class RunMark(NamedTuple):
    """A file that makes the directory it is in a run: all of it is an artifact.

    ``path`` is relative to that directory (``.hydra/config.yaml``).
    """

    path: str
    rule: str
    why: str
    advice: str
    source: str
    line: int


class BestModels(NamedTuple):
    """Where chosen models live, and what may stand there.

    ``metadata``, ``documents`` and ``weights`` are patterns for a file's name at any
    depth below ``folder``. ``required_keys`` are those that the metadata of a model has
    to have. ``lfs`` says whether milestones go to Git LFS, as :data:`LFS_REQUIRED`,
    :data:`LFS_ALLOWED` or :data:`LFS_FORBIDDEN`; ``max_size`` is the largest one in
    bytes, None for any.
    """

    folder: str
    metadata: tuple[str, ...]
    documents: tuple[str, ...]
    weights: tuple[str, ...]
    required_keys: tuple[str, ...] = ()
    lfs: str = LFS_ALLOWED
    max_size: int | None = None

    @property
    def milestones_file(self) -> str:
        return f"{self.folder}/milestones.yaml"


class Policy(NamedTuple):
    """The whole policy: the last entry that matches a path decides it.

    ``admitted_from`` is the number of the first entry that also overrides what the
    tree says (``keep`` patterns and milestones); ``run_marks`` are asked for what the
    patterns leave alone.
    """

    entries: tuple[Entry, ...]
    run_marks: tuple[RunMark, ...]
    best_models: BestModels
    admitted_from: int

    def patterns(self) -> list[tuple[str, bool]]:
        """Each pattern and whether it blocks, in order, as the compiler takes them."""
        return [(entry.pattern, entry.blocks) for entry in self.entries]


class _Rule(NamedTuple):
    name: str
    paths: tuple[tuple[str, int], ...]
    exceptions: tuple[tuple[str, int], ...]
    file_exceptions: tuple[tuple[str, int], ...]
    beside: tuple[tuple[str, int], ...]
    why: str
    advice: str
    line: int
    binary_only: bool = False
    unless_source: bool = False


class _Document(NamedTuple):
    """One policy file, checked by itself."""

    source: str
    rules: tuple[_Rule, ...]
    keep: tuple[tuple[str, int], ...]
    disable: tuple[tuple[str, int], ...]
    best_models: dict[str, tuple[str, ...]]
    best_models_line: int


def load_policy(text: bytes | None = None, source: str = POLICY_NAME) -> Policy:
    """The built-in policy with what *text*, a repository's policy file, changes.

    None stands for a repository without such a file. Raises
    :class:`~fx_hooks.errors.FatalError` for an invalid one.
    """
    builtin = _builtin()
    own = _read(text if text is not None else b"", source)
    names = [rule.name for rule in builtin.rules]
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
    disabled = {name for name, _ in own.disable}
    settings = {**builtin.best_models, **own.best_models}
    best_models = BestModels(
        settings["folder"][0],
        settings["metadata"],
        settings["documents"],
        settings["weights"],
        settings["required_keys"],
        settings["lfs"][0],
        int(settings["max_size"][0]) if "max_size" in settings else None,
    )
    where = own if own.best_models else builtin
    others = [path for rule in builtin.rules if rule.name == WEIGHTS_RULE for path, _ in rule.paths]
    entries: list[Entry] = []
    marks: list[RunMark] = []
    weights: list[Entry] = []
    for document in (builtin, own):
        for rule in document.rules:
            if rule.name in disabled:
                continue
            if rule.name == BEST_MODELS_RULE:
                rule = _best_models_rule(rule, best_models, where.best_models_line)
                entries += _entries(rule, where.source)
                weights = list(_entries(_weights_rule(rule, best_models, others), where.source))
                continue
            entries += _entries(rule, document.source)
            marks += [
                RunMark(path, rule.name, rule.why, rule.advice, document.source, line)
                for path, line in rule.beside
            ]
    admitted_from = len(entries)
    for document in (builtin, own):
        entries += [
            Entry(pattern, False, KEEP_RULE, "", "", document.source, line)
            for pattern, line in document.keep
        ]
    # Said again behind every keep: weights enter best_models as milestones or not at all.
    entries += weights
    return Policy(tuple(entries), tuple(marks), best_models, admitted_from)


def with_milestones(policy: Policy, lines: dict[str, int], source: str) -> Policy:
    """*policy* with the listed milestones let in; *lines* says where each is listed."""
    if all(entry.rule != BEST_MODELS_RULE for entry in policy.entries):
        return policy
    admitted: list[Entry] = []
    # In the order of their paths, whoever added which first.
    for path, line in sorted(lines.items()):
        entry = Entry(f"/{literal(path)}", False, MILESTONE_RULE, "", "", source, line)
        # A milestone is a file; a folder of its name lets nothing in.
        admitted += [entry, entry._replace(pattern=f"{entry.pattern}/**", blocks=True)]
    return policy._replace(entries=policy.entries + tuple(admitted))


def _best_models_rule(rule: _Rule, best_models: BestModels, line: int) -> _Rule:
    folder = literal(best_models.folder)
    allowed = (*best_models.metadata, *best_models.documents)
    return rule._replace(
        paths=((f"/{folder}", line),),
        file_exceptions=(
            *((f"/{folder}/**/{pattern}", line) for pattern in allowed),
            (f"/{folder}/milestones.yaml", line),
        ),
    )


def _weights_rule(rule: _Rule, best_models: BestModels, others: Iterable[str]) -> _Rule:
    line = rule.paths[0][1]
    folder = literal(best_models.folder)
    names = dict.fromkeys((*best_models.weights, *others))
    paths = tuple((f"/{folder}/**/{pattern}", line) for pattern in names)
    return rule._replace(paths=paths, file_exceptions=())


def _entries(rule: _Rule, source: str) -> Iterator[Entry]:
    # A folder of the name of a file that is let in lets nothing in.
    folders = tuple((f"{pattern}/**", line) for pattern, line in rule.file_exceptions)
    for patterns, blocks in (
        (rule.paths, True),
        (rule.file_exceptions, False),
        (folders, True),
        (rule.exceptions, False),
    ):
        for pattern, line in patterns:
            yield Entry(
                pattern,
                blocks,
                rule.name,
                rule.why,
                rule.advice,
                source,
                line,
                blocks and rule.binary_only,
                blocks and rule.unless_source,
            )


def literal(path: str) -> str:
    """*path* as a pattern that matches nothing else."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


# From here on: one file, checked by itself.


@functools.cache
def _builtin() -> _Document:
    with open(BUILTIN_FILE, "rb") as file:
        return _read(file.read(), BUILTIN_SOURCE)


def _read(text: bytes, source: str) -> _Document:
    node = compose(text, source)
    top = _mapping(node, source, "", ("ignore", "keep", "disable", "best_models"))
    rules = []
    names = set(_TAKEN)
    for item, key in _items(top.get("ignore"), source, "ignore"):
        rule = _rule(item, source, key)
        if rule.name in names and isinstance(item, yaml.MappingNode):
            raise _fault(
                source, item, key, f"the rule name '{rule.name}' is taken: choose another one"
            )
        names.add(rule.name)
        rules.append(rule)
    disable = []
    for item, key in _items(top.get("disable"), source, "disable"):
        disable.append((_string(item, source, key), line_of(item)))
    best_models = top.get("best_models")
    return _Document(
        source,
        tuple(rules),
        _patterns(top.get("keep"), source, "keep"),
        tuple(disable),
        _best_models(best_models, source) if best_models is not None else {},
        line_of(best_models) if best_models is not None else 1,
    )


def _rule(node: yaml.Node, source: str, key: str) -> _Rule:
    if isinstance(node, yaml.ScalarNode):
        pattern = _pattern(node, source, key)
        return _Rule(PATTERN_RULE, ((pattern, line_of(node)),), (), (), (), "", "", line_of(node))
    keys = (
        "rule", "paths", "except", "except_files", "beside", "binary_only", "unless_source",
        "why", "advice",
    )  # fmt: skip
    found = _mapping(node, source, key, keys, "must be a pattern or a rule")
    if "rule" not in found:
        raise _fault(source, node, key, "has no name: add 'rule: NAME'")
    name = _string(found["rule"], source, f"{key}.rule")
    if not _RULE_NAME.match(name):
        raise _fault(
            source, found["rule"], f"{key}.rule", f"'{name}': a name is lowercase-words-with-dashes"
        )
    paths = _patterns(found.get("paths"), source, f"{key}.paths")
    beside = tuple(
        (_relative(item, source, place), line_of(item))
        for item, place in _items(found.get("beside"), source, f"{key}.beside")
    )
    if not paths and not beside and name != BEST_MODELS_RULE:
        raise _fault(source, node, key, f"the rule '{name}' says nothing: add 'paths: [PATTERN]'")
    return _Rule(
        name,
        paths,
        _patterns(found.get("except"), source, f"{key}.except"),
        _file_patterns(found.get("except_files"), source, f"{key}.except_files"),
        beside,
        _text(found.get("why"), source, f"{key}.why"),
        _text(found.get("advice"), source, f"{key}.advice"),
        line_of(node),
        _flag(found.get("binary_only"), source, f"{key}.binary_only"),
        _flag(found.get("unless_source"), source, f"{key}.unless_source"),
    )


def _best_models(node: yaml.Node, source: str) -> dict[str, tuple[str, ...]]:
    keys = (
        "folder", "metadata", "documents", "weights", "required_keys", "lfs", "max_size",
    )  # fmt: skip
    found = _mapping(node, source, "best_models", keys)
    settings: dict[str, tuple[str, ...]] = {}
    for key, value in found.items():
        place = f"best_models.{key}"
        if key == "folder":
            settings[key] = (_relative(value, source, place),)
            continue
        if key == "lfs":
            lfs = _string(value, source, place)
            if lfs not in _LFS:
                raise _fault(source, value, place, f"'{lfs}': must be one of {', '.join(_LFS)}")
            settings[key] = (lfs,)
            continue
        if key == "max_size":
            settings[key] = (str(_bytes(value, source, place)),)
            continue
        if key == "required_keys":
            settings[key] = tuple(
                _string(item, source, where) for item, where in _items(value, source, place)
            )
            continue
        names = []
        for item, where in _items(value, source, place):
            name = _pattern(item, source, where)
            if "/" in name:
                raise _fault(
                    source,
                    item,
                    where,
                    f"'{name}': write a pattern for the file's name, without '/'",
                )
            names.append(name)
        settings[key] = tuple(names)
    return settings


def _patterns(node: yaml.Node | None, source: str, key: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        (_pattern(item, source, place), line_of(item)) for item, place in _items(node, source, key)
    )


def _file_patterns(node: yaml.Node | None, source: str, key: str) -> tuple[tuple[str, int], ...]:
    for item, place in _items(node, source, key):
        pattern = _pattern(item, source, place)
        if pattern.rpartition("/")[2] in ("", "**"):
            raise _fault(source, item, place, f"'{pattern}' names no files: say it under 'except'")
    return _patterns(node, source, key)


def _pattern(node: yaml.Node, source: str, key: str) -> str:
    pattern = _string(node, source, key)
    fault = problem(pattern)
    if fault:
        raise _fault(source, node, key, f"the pattern {pattern!r} {fault}")
    return pattern


def _relative(node: yaml.Node, source: str, key: str) -> str:
    path = _string(node, source, key)
    if not encodable(path):
        raise _fault(source, node, key, f"{path!r} has a character that no path can have")
    if path != path.strip() or any(part in ("", ".", "..") for part in path.split("/")):
        raise _fault(source, node, key, f"'{path}': write a path like 'folder/file', without './'")
    if "\0" in path or "\n" in path:
        raise _fault(source, node, key, "has a NUL or a line break, which cannot stand here")
    return path


def _text(node: yaml.Node | None, source: str, key: str) -> str:
    return "" if node is None else " ".join(_string(node, source, key).split())


def _bytes(node: yaml.Node, source: str, key: str) -> int:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    match = _SIZE.match(text)
    if match is None:
        raise _fault(source, node, key, "must be a size such as 500 MB or 2 GiB")
    return int(match[1]) * _UNITS[match[2] or ""]


def _flag(node: yaml.Node | None, source: str, key: str) -> bool:
    if node is None:
        return False
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
        raise _fault(source, node, key, f"must be true or false, not {_kind(node)}")
    return bool(node.value.lower() in ("true", "yes", "on"))


# What any strict YAML file needs; milestones are read with the same.


def compose(text: bytes, source: str) -> yaml.Node | None:
    """The node tree of one YAML document; None if it is empty."""
    if len(text) > MAX_BYTES:
        raise FatalError(f"{source}:1: has more than {MAX_BYTES:,} bytes: this is no such file")
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = text[: exc.start].count(b"\n") + 1
        raise FatalError(f"{source}:{line}: is not UTF-8: save the file as UTF-8") from exc
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(decoded)
    if unprintable is not None:
        line = decoded[: unprintable.start()].count("\n") + 1
        character = unprintable.group().encode("unicode_escape").decode()
        raise FatalError(f"{source}:{line}: has the character {character}: take it out")
    try:
        depth = 0
        # The composer calls itself for each level, in C without a limit.
        for event in yaml.parse(decoded, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                mark = event.start_mark
                line = mark.line + 1 if mark is not None else 1
                raise FatalError(f"{source}:{line}: YAML: nested too deeply")
        node = yaml.compose(decoded, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark is not None else 1
        what = exc.problem or exc.context or "not valid"
        if exc.context and what.startswith("but "):
            what = f"{exc.context} {what}"
        if "alias" in what or "alias" in (exc.context or ""):
            what += " (a pattern that begins with '*' needs quotes: \"*.pt\")"
        if "tag" in what or "tag" in (exc.context or ""):
            what += " (what begins with '!' needs quotes)"
        raise FatalError(f"{source}:{line}: YAML: {what}") from exc
    return node if isinstance(node, yaml.Node) else None


class Token(NamedTuple):
    """One token of a YAML text, and where it begins and ends: line and column from 0.

    One that *closes* only says that a block has ended, in the place of what comes next.
    """

    begins_item: bool
    closes: bool
    start: tuple[int, int]
    end: tuple[int, int]


def tokens(text: bytes) -> list[Token]:
    """The tokens of a text that :func:`compose` has read."""
    return [
        Token(
            isinstance(token, yaml.BlockEntryToken),
            isinstance(token, yaml.BlockEndToken),
            (token.start_mark.line, token.start_mark.column),
            (token.end_mark.line, token.end_mark.column),
        )
        for token in yaml.scan(text.decode("utf-8-sig"), Loader=_Loader)
    ]


def plain_data(text: bytes, source: str) -> Any:
    """One YAML document as JSON has it: dates, and what JSON has no form for, are text."""
    node = compose(text, source)
    return None if node is None else _plain(node, source, iter(range(_MAX_NODES)))


def _plain(node: yaml.Node, source: str, left: Iterator[int]) -> Any:
    # Aliases make small files large.
    if next(left, None) is None:
        raise FatalError(f"{source}:{line_of(node)}: has more than {_MAX_NODES:,} values")
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _plain(value, source, left) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, source, left) for item in node.value]
    assert isinstance(node, yaml.ScalarNode), node
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int" and _INTEGER.match(text):
        return int(text)
    # OmegaConf reads 1e-3 as a number, too.
    if (kind == "float" or not node.style) and _FLOAT.match(text):
        return float(text)
    return text


def scalars(text: bytes, source: str) -> Iterator[tuple[str, str, int]]:
    """Each scalar below mappings only: its keys joined by dots, its text, and its line."""
    waiting = [("", compose(text, source))]
    while waiting:
        key, node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            waiting += [
                (f"{key}.{name.value}" if key else name.value, value)
                for name, value in reversed(node.value)
                if isinstance(name, yaml.ScalarNode)
            ]
        elif isinstance(node, yaml.ScalarNode):
            yield key, node.value, line_of(node)


def line_of(node: yaml.Node) -> int:
    """The line, from 1, in which *node* begins."""
    return int(node.start_mark.line) + 1


def _fault(source: str, node: yaml.Node, key: str, message: str) -> FatalError:
    return FatalError(f"{source}:{line_of(node)}: {key + ': ' if key else ''}{message}")


def is_null(node: yaml.Node | None) -> bool:
    """Whether *node* is missing or says nothing."""
    return node is None or node.tag == "tag:yaml.org,2002:null"


def _mapping(
    node: yaml.Node | None,
    source: str,
    key: str,
    known: tuple[str, ...],
    expected: str = "must be a mapping",
) -> dict[str, yaml.Node]:
    if node is None or (not key and is_null(node)):
        return {}
    found = mapping_nodes(node, source, key, expected)
    for name, (name_node, _) in found.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"
            raise _fault(
                source, name_node, f"{key}.{name}" if key else name, f"unknown key: {hint}"
            )
    return {name: value for name, (_, value) in found.items()}


def mapping_nodes(
    node: yaml.Node, source: str, key: str, expected: str = "must be a mapping"
) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The keys of a mapping, each once and a string, with key and value node."""
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise _fault(source, node, key, f"{expected}, not {_kind(node)}")
    found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for name_node, value in node.value:
        if isinstance(name_node, yaml.ScalarNode) and name_node.tag != "tag:yaml.org,2002:str":
            raise _fault(source, name_node, key, f"the key {name_node.value} must be in quotes")
        name = _string(name_node, source, key or "top level")
        if name in found:
            first = line_of(found[name][0])
            raise _fault(
                source,
                name_node,
                f"{key}.{name}" if key else name,
                f"duplicate key (first in line {first}): join the two",
            )
        found[name] = (name_node, value)
    return found


def sequence_nodes(node: yaml.Node, source: str, key: str) -> list[yaml.Node]:
    """The items of a list."""
    if not isinstance(node, yaml.SequenceNode) or node.tag != "tag:yaml.org,2002:seq":
        raise _fault(source, node, key, f"must be a list, not {_kind(node)}")
    return list(node.value)


def _items(node: yaml.Node | None, source: str, key: str) -> list[tuple[yaml.Node, str]]:
    nodes = [] if node is None else sequence_nodes(node, source, key)
    return [(item, f"{key}[{number}]") for number, item in enumerate(nodes)]


def _string(node: yaml.Node, source: str, key: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _fault(source, node, key, f"must be a string, not {_kind(node)}")
    if node.tag.startswith("!"):
        raise _fault(
            source,
            node,
            key,
            f"'{node.tag}' is read as a YAML tag: what begins with '!' needs quotes",
        )
    if node.tag != "tag:yaml.org,2002:str":
        raise _fault(source, node, key, f"must be a string, not {_kind(node)}: put it in quotes")
    return str(node.value)


def _kind(node: yaml.Node) -> str:
    if node.tag == "tag:yaml.org,2002:map":
        return "a mapping"
    if node.tag == "tag:yaml.org,2002:seq":
        return "a list"
    if isinstance(node, yaml.CollectionNode):
        return f"something tagged {node.tag}"
    if is_null(node):
        return "empty"
    return f"{node.tag.rpartition(':')[2]} {node.value}"
