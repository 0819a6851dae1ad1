"""YAML to :class:`Policy`, strictly: every fault names file, line and key."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fx_hooks.frameworks import NAMES, rules_file
from fx_hooks.policy.model import (
    BEST_MODELS_RULE,
    BUILTIN_SOURCE,
    KEEP_RULE,
    POLICY_NAME,
    WEIGHTS_RULE,
    BestModels,
    Entry,
    Policy,
    RunMark,
    literal,
)
from fx_hooks.policy.patterns import within
from fx_hooks.policy.policy_file import KINDS, Document, Rule, Written, read_policy_file
from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import hint

BUILTIN_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "builtin.yaml")
# What of a rule is a list of patterns: parts of it may stand in several files.
_LISTS = ("paths", "exceptions", "file_exceptions", "beside")


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
    root = read_policy_file(text if text is not None else b"", source)
    documents = [builtin, root]
    if project is not None and project[1] is not None:
        name = f"{project[0]}/{POLICY_NAME}"
        documents.append(read_policy_file(project[1], name, may=root.projects_may, root=source))
    _check_names(builtin, documents[1:])
    disabled = {one.text for document in documents[1:] for one in document.disable}
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

    def add(document: Document, more: Iterable[Entry]) -> None:
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


def _needed(keep: Sequence[Written], entries: Sequence[Entry]) -> list[Written]:
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


def _settings(documents: Sequence[Document]) -> BestModels:
    """Return the settings of the folder of chosen models; the last document that says one wins."""
    settings = {key: value for document in documents for key, value in document.best_models.items()}
    return BestModels(**settings)


def _marks(rule: Rule, source: str) -> Iterator[RunMark]:
    for one in rule.beside:
        yield RunMark(
            one.text, rule.name, rule.why, rule.advice, source, one.line, one.tool, one.only_with
        )


def _check_names(builtin: Document, documents: Iterable[Document]) -> None:
    """Refuse rules that are called like a built-in one, and to disable what there is not."""
    names = [rule.name for rule in builtin.rules]
    for own in documents:
        _check_names_of(own, names)


def _check_names_of(own: Document, names: Sequence[str]) -> None:
    source = own.source
    for rule in own.rules:
        if rule.name in names:
            raise FatalError(
                f"{source}:{rule.line}: ignore: the rule name '{rule.name}' is taken by the"
                " built-in policy: choose another one"
            )
    for name, line, *_ in own.disable:
        if name not in names:
            there_are = hint(name, names, "there are:")
            raise FatalError(
                f"{source}:{line}: disable: no built-in rule is called '{name}': {there_are}"
            )


def _check_chosen(entries: Sequence[Entry], chosen: str, where: Document) -> None:
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


def _check_folders(root: Document, chosen: str) -> None:
    """Refuse a project in the folder of chosen models, where only these belong."""
    for number, (folder, line, *_) in enumerate(root.folders):
        for around in ("", *(f"{other.text}/" for other in root.folders)):
            if f"{folder}/".startswith(f"{around}{chosen}/"):
                raise FatalError(
                    f"{root.source}:{line}: projects[{number}]: '{folder}' is in {around}{chosen}/,"
                    " where only chosen models belong: name the folder around that"
                )


def _best_models_rule(rule: Rule, best_models: BestModels, line: int) -> Rule:
    folder = literal(best_models.folder)
    allowed = (*best_models.metadata, *best_models.documents)
    return rule._replace(
        paths=(Written(f"/{folder}", line),),
        file_exceptions=(
            *(Written(f"/{folder}/**/{pattern}", line) for pattern in allowed),
            Written(f"/{folder}/milestones.yaml", line),
        ),
    )


def _weights_rule(rule: Rule, best_models: BestModels, others: Iterable[str]) -> Rule:
    line = rule.paths[0].line
    folder = literal(best_models.folder)
    names = dict.fromkeys((*best_models.weights, *others))
    paths = tuple(Written(f"/{folder}/**/{pattern}", line) for pattern in names)
    return rule._replace(paths=paths, file_exceptions=())


def _entries(rule: Rule, source: str) -> Iterator[Entry]:
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
def _builtin(file_name: str, tools: tuple[str, ...]) -> Document:
    """Return the built-in policy: its own file and those of the tools, joined and ordered."""
    with open(file_name, "rb") as file:
        general = read_policy_file(file.read(), BUILTIN_SOURCE, builtin=True)
    rules = [*general.rules]
    for tool in tools:
        with open(rules_file(tool), "rb") as file:
            document = read_policy_file(file.read(), BUILTIN_SOURCE, builtin=True)
        rules += [_of_tool(rule, tool) for rule in document.rules]
    joined = sorted(_joined(rules), key=lambda rule: KINDS.index(rule.kind))
    test_data = tuple(one._replace(test_data=True) for one in general.test_data)
    excepted = [
        rule._replace(exceptions=test_data + rule.exceptions) if rule.kind == KINDS[0] else rule
        for rule in joined
    ]
    return general._replace(rules=tuple(excepted))


def _of_tool(rule: Rule, tool: str) -> Rule:
    lists: dict[str, Any] = {
        key: tuple(one._replace(tool=tool) for one in getattr(rule, key)) for key in _LISTS
    }
    return rule._replace(**lists, origins=tuple((tool, source) for _, source in rule.origins))


def _joined(parts: Iterable[Rule]) -> Iterator[Rule]:
    """Return the rules of *parts*, each once: a rule may have a part in several files."""
    by_name: dict[str, list[Rule]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    for name, same in by_name.items():
        first = same[0]
        flags = {(part.kind, part.binary_only, part.unless_source) for part in same}
        reasons = [part for part in same if part.why]
        if len(flags) > 1 or len(reasons) != 1:
            raise FatalError(f"{BUILTIN_SOURCE}: the parts of the rule '{name}' contradict")
        lists: dict[str, Any] = {
            key: tuple(one for part in same for one in getattr(part, key)) for key in _LISTS
        }
        yield first._replace(
            **lists,
            why=reasons[0].why,
            advice=reasons[0].advice,
            origins=tuple(origin for part in same for origin in part.origins),
        )


def rule_origins() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return by built-in rule, in their order, where its names come from: (tool, source)."""
    return {rule.name: rule.origins for rule in _builtin(BUILTIN_FILE, NAMES).rules}
