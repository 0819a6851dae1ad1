"""``best_models/milestones.yaml``: the models that a person chose for Git."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from fx_hooks.best_models.milestone import GLOBAL, Milestone
from fx_hooks.frameworks.wandb.address import parse
from fx_hooks.git.commands import from_folder
from fx_hooks.policy.milestone_list import load_milestones, milestone_entries
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import quoted
from fx_hooks.util.strict_yaml import Node, fault, line_of, mapping, string
from fx_hooks.util.yaml_keys import Key, Keys, ListOf, Matching, OneOf, read_keys
from fx_hooks.weights.inspection import Format
from fx_hooks.weights.torch_allows import is_blocked

if TYPE_CHECKING:
    from fx_hooks.policy.model import BestModels


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
    nodes = mapping(node, source, place, KEYS)
    for name, key in KEYS.items():
        if key.required and name not in nodes:
            raise IncompleteEntry(
                f"{source}:{line}: {place}: has no '{name}': fx-add-milestone --replace writes it",
                path,
            )
    for name, other in (("artifact", "artifact_digest"), ("artifact_digest", "artifact")):
        if name in nodes and other not in nodes:
            raise FatalError(f"{source}:{line}: {place}: has '{name}' and no '{other}'")
    return Milestone(path, line=line, **read_keys(nodes, source, place, KEYS))


def _reason(node: Node, source: str, key: str) -> str:
    text = " ".join(string(node, source, key).split())
    if not text:
        raise fault(source, node, key, "must be a text that is not empty")
    return text


def _size(node: Node, source: str, key: str) -> int:
    return int(_DIGITS(node, source, key))


def _date(node: Node, source: str, key: str) -> str:
    day = _DAY(node, source, key)
    try:
        date.fromisoformat(day)
    except ValueError:
        raise fault(source, node, key, f"'{day}' is not a date") from None
    return day


def _global(node: Node, source: str, key: str) -> str:
    name = _GLOBAL(node, source, key)
    if is_blocked(name):
        raise fault(
            source, node, key, f"'{name}': you cannot allow what is in os, posix, nt or sys"
        )
    return name


def _artifact(node: Node, source: str, key: str) -> str:
    text = string(node, source, key)
    if parse(text) is None:
        what = "must be an address: wandb:ENTITY/PROJECT/ARTIFACT:VERSION/FILE"
        raise fault(source, node, key, what)
    return text


_DIGITS = Matching("0|[1-9][0-9]{0,17}", "must be a number of bytes")
_DAY = Matching("[0-9]{4}-[0-9]{2}-[0-9]{2}", "must be a date such as 2026-01-31")
_GLOBAL = Matching(GLOBAL.pattern, "must be a name such as package.module.Class")
# In the order in which an entry is written.
KEYS: Keys = {
    "sha256": Key(
        Matching("[0-9a-f]{64}", "must be 64 hex digits in lower case"),
        "the digest of its content",
        "SHA-256 as 64 hex digits in lower case; that of the content, also where Git LFS keeps it.",
        required=True,
    ),
    "size": Key(_size, "its size in bytes", required=True),
    "format": Key(
        OneOf(tuple(one.value for one in Format)),
        "its format",
        "Has to be named for torchscript and pt2, which torch's weights_only cannot load; where it"
        " is named, the content has to have it.",
    ),
    "why": Key(_reason, "why this model was chosen", required=True),
    "approved": Key(_date, "the day of the approval", required=True),
    "by": Key(_reason, "who approved it"),
    "allow_globals": Key(
        ListOf(_global),
        "what its pickle may import",
        "Names such as package.module.Class, beyond those that torch's weights_only accepts.",
    ),
    "artifact": Key(
        _artifact,
        "the artifact of W&B that it is a copy of",
        "wandb:ENTITY/PROJECT/ARTIFACT:VERSION/FILE; fx-check-best-models --verify asks for it.",
    ),
    "artifact_digest": Key(
        Matching("[0-9a-f]{32}", "must be 32 hex digits in lower case"),
        "the digest of that artifact",
        "Of all that is in it, as W&B gives it: 32 hex digits in lower case.",
    ),
}


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
