"""``best_models/milestones.yaml``: the models that a person chose for Git."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, NoReturn

from fx_hooks.best_models.milestone import GLOBAL, Milestone
from fx_hooks.frameworks.wandb.address import parse
from fx_hooks.git.commands import from_folder
from fx_hooks.policy.milestone_list import load_milestones, milestone_entries
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import quoted
from fx_hooks.util.strict_yaml import Node, line_of, mapping_nodes, sequence_nodes
from fx_hooks.weights.inspection import FORMATS
from fx_hooks.weights.torch_allows import is_blocked

if TYPE_CHECKING:
    from fx_hooks.policy.model import BestModels

_REQUIRED = ("sha256", "size", "why", "approved")
# In the order in which an entry is written.
KEYS = (
    "sha256", "size", "format", "why", "approved", "by", "allow_globals", "artifact",
    "artifact_digest",
)  # fmt: skip
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_ARTIFACT_DIGEST = re.compile(r"[0-9a-f]{32}\Z")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,17})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class IncompleteEntry(FatalError):
    """An entry lacks a key; ``path`` is that of its model, from the root."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path

    def with_command(self, path_to_root: str) -> FatalError:
        """Return the error with the command that mends the list of the work tree."""
        command = f"fx-add-milestone --replace {quoted(os.fsencode(self.path))} --why TEXT"
        return FatalError(str(self), *from_folder((command,), path_to_root))


def load_contract(
    text: bytes, best_models: BestModels, project: bytes = b""
) -> dict[str, Milestone]:
    """Return the milestones that *text* lists, by path from the root, in its order.

    In a *project* they are listed by their paths in it. Raises
    :class:`~fx_hooks.util.errors.FatalError` with file, line and key for the first
    entry that lacks a key, has an unknown one, or one with a value that it cannot have.
    """
    before = f"{os.fsdecode(project)}/" if project else ""
    with named_from_root(project):
        entries = milestone_entries(text, best_models).items()
        milestones = [
            _milestone(path, line_of(key), value, best_models.milestones_file)
            for path, (key, value) in entries
        ]
    found = (one._replace(path=before + one.path) for one in milestones)
    return {one.path: one for one in found}


@contextmanager
def named_from_root(project: bytes) -> Iterator[None]:
    """Say in an error about a file of *project* where that is from the root."""
    try:
        yield
    except FatalError as exc:
        if not project:
            raise
        folder = f"{os.fsdecode(project)}/"
        if isinstance(exc, IncompleteEntry):
            raise IncompleteEntry(f"{folder}{exc}", folder + exc.path) from exc
        raise FatalError(f"{folder}{exc}") from exc


def _milestone(path: str, line: int, node: Node, source: str) -> Milestone:
    place = f"milestones.{path}"
    found = mapping_nodes(node, source, place)
    for name, (key, _) in found.items():
        if name not in KEYS:
            close = difflib.get_close_matches(name, KEYS, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(KEYS)}"
            raise FatalError(f"{source}:{line_of(key)}: {place}.{name}: unknown key: {hint}")
    for name in _REQUIRED:
        if name not in found:
            raise IncompleteEntry(
                f"{source}:{line}: {place}: has no '{name}': fx-add-milestone --replace writes it",
                path,
            )
    for name, other in (("artifact", "artifact_digest"), ("artifact_digest", "artifact")):
        if name in found and other not in found:
            raise FatalError(f"{source}:{line}: {place}: has '{name}' and no '{other}'")
    values = {name: _Value(source, f"{place}.{name}", node) for name, (_, node) in found.items()}
    approved = values["approved"].matching(_DATE, "must be a date such as 2026-01-31")
    try:
        date.fromisoformat(approved)
    except ValueError:
        values["approved"].fail(f"'{approved}' is not a date")
    return Milestone(
        path,
        values["sha256"].matching(_SHA256, "must be 64 hex digits in lower case"),
        int(values["size"].matching(_SIZE, "must be a number of bytes")),
        values["why"].text(),
        approved,
        values["by"].text() if "by" in values else None,
        values["format"].one_of(FORMATS) if "format" in values else None,
        values["allow_globals"].globals() if "allow_globals" in values else (),
        line,
        values["artifact"].artifact() if "artifact" in values else None,
        values["artifact_digest"].matching(_ARTIFACT_DIGEST, "must be 32 hex digits in lower case")
        if "artifact_digest" in values
        else None,
    )


class _Value:
    """One value of an entry, and where it stands."""

    def __init__(self, source: str, key: str, node: Node) -> None:
        self._source = source
        self._key = key
        self._node = node

    def fail(self, message: str) -> NoReturn:
        raise FatalError(f"{self._source}:{line_of(self._node)}: {self._key}: {message}")

    def _plain(self, message: str) -> str:
        # YAML reads dates, numbers and digests of digits alone as values of their own.
        if not isinstance(self._node.value, str):
            self.fail(message)
        return self._node.value

    def matching(self, form: re.Pattern[str], message: str) -> str:
        value = self._plain(message)
        if not form.match(value):
            self.fail(message)
        return value

    def text(self) -> str:
        value = self._plain("must be a text")
        text = " ".join(value.split())
        if not text or self._node.tag != "tag:yaml.org,2002:str":
            self.fail("must be a text that is not empty" if not text else "must be in quotes")
        return text

    def one_of(self, known: tuple[str, ...]) -> str:
        message = f"must be one of {', '.join(known)}"
        value = self._plain(message)
        if value not in known:
            self.fail(message)
        return value

    def artifact(self) -> str:
        value = self._plain("must be a text")
        if parse(value) is None:
            self.fail("must be an address: wandb:ENTITY/PROJECT/ARTIFACT:VERSION/FILE")
        return value

    def globals(self) -> tuple[str, ...]:
        names = []
        for number, item in enumerate(sequence_nodes(self._node, self._source, self._key)):
            value = _Value(self._source, f"{self._key}[{number}]", item)
            name = value.matching(GLOBAL, "must be a name such as package.module.Class")
            if is_blocked(name):
                value.fail(f"'{name}': you cannot allow what is in os, posix, nt or sys")
            names.append(name)
        return tuple(names)


def with_entry(text: str, milestone: Milestone, best_models: BestModels) -> str:
    """*text* of a milestones file with *milestone* in it, in its place by path.

    An entry for the same path is replaced; everything else, comments too, stays as it
    is. Raises :class:`~fx_hooks.util.errors.FatalError` where the file is not laid out one
    key a line.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    entry = _as_lines(milestone)
    known = load_milestones(text.encode(), best_models)
    if not known:
        lines = [line for line in lines if not _EMPTY.match(line)]
        result = [*lines, "milestones:\n", *entry]
    else:
        spans = _spans(lines, known, best_models.milestones_file)
        if milestone.path in spans:
            first, last = spans[milestone.path]
        else:
            after = [path for path in spans if path > milestone.path]
            first = min(spans[path][0] for path in after) if after else _end(spans)
            while after and lines[first - 1].lstrip().startswith("#"):
                first -= 1  # the comment is about the entry that follows
            last = first
        result = [*lines[:first], *entry, *lines[last:]]
    new = "".join(result)
    # Whatever the layout was: what is written must say what was meant, and nothing less.
    before = set(known) | {milestone.path}
    if set(load_milestones(new.encode(), best_models)) != before:
        raise _odd_layout(best_models.milestones_file)
    return new


def entry_lines(text: str, best_models: BestModels) -> dict[str, tuple[int, int]]:
    """Return the first and the last line to delete for the entry of each path in *text*, from 1.

    The only entry goes with its heading, which has to have some. There are none where the file is
    not laid out one key a line.
    """
    lines = text.splitlines(keepends=True)
    try:
        known = load_milestones(text.encode(), best_models)
        spans = _spans(lines, known, best_models.milestones_file)
    except FatalError:
        return {}
    found = {path: (first + 1, last) for path, (first, last) in spans.items()}
    if len(found) == 1:
        ((path, (first, last)),) = found.items()
        head = max(number for number in range(first) if lines[number].startswith("milestones:"))
        found[path] = (head + 1, last)
    return found


_EMPTY = re.compile(r"milestones:\s*(\{\}|null|~)?\s*(#.*)?$")


def _spans(lines: list[str], known: Mapping[str, int], source: str) -> dict[str, tuple[int, int]]:
    """Return the lines of each entry, counted from 0, the last one left out."""
    starts = sorted(known.values())
    if len(set(starts)) != len(starts) or any(
        not re.match(r"^ +\S.*:\s*(#.*)?$", lines[start - 1]) for start in starts
    ):
        raise _odd_layout(source)
    spans = {}
    for path, start in known.items():
        indent = _indent(lines[start - 1])
        end = last = start
        while end < len(lines):
            line = lines[end]
            if line.strip() and not line.lstrip().startswith("#"):
                if _indent(line) <= indent:
                    break
                last = end + 1
            elif line.strip() and _indent(line) > indent:
                last = end + 1  # a comment in the entry
            end += 1
        spans[path] = (start - 1, max(last, start))
    return spans


def _end(spans: Mapping[str, tuple[int, int]]) -> int:
    return max(last for _, last in spans.values())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _odd_layout(source: str) -> FatalError:
    return FatalError(
        f"{source}: is not laid out as 'milestones:' with one indented entry below the other:"
        " write it so, or add the entry by hand"
    )


def _as_lines(milestone: Milestone) -> list[str]:
    lines = [f"  {_scalar(milestone.path)}:\n"]
    for key in KEYS:
        value = getattr(milestone, key)
        if key == "allow_globals":
            if value:
                lines.append(f"    {key}:\n")
                lines += [f"      - {name}\n" for name in value]
        elif value is not None and key in ("sha256", "artifact_digest"):
            lines.append(f'    {key}: "{value}"\n')
        elif key in ("size", "approved"):
            lines.append(f"    {key}: {value}\n")
        elif value is not None:
            lines.append(f"    {key}: {_scalar(value)}\n")
    return lines


_PLAIN = re.compile(r"[A-Za-z][\w./+-]*( [\w./+(),-]+)*\Z", re.ASCII)
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _scalar(text: str) -> str:
    """*text* as YAML: plain where that is a string beyond doubt, else as JSON has it."""
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)
