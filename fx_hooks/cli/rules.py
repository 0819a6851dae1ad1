"""``fx-hooks rules``: what is refused, why, and where that is written."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fx_hooks.cli._common import add_format_option, add_policy_option, command_parser, entry_point
from fx_hooks.git.repository import NotARepository, Repository
from fx_hooks.policy import near_misses
from fx_hooks.policy.in_force import PolicyInForce, policy_in_force, policy_on_disk
from fx_hooks.policy.loader import rule_origins
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.paths import from_root, shown
from fx_hooks.util.terminal import complain, in_json, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fx_hooks.policy.model import Entry, Policy, RunMark

NAME = "fx-hooks rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the policy in force, with its patterns in their order.

    ``marks`` are files that make a run of the folder they are in; ``origins`` are pairs of a tool
    and the place where a built-in name comes from.
    """

    name: str
    why: str
    advice: str
    origins: tuple[tuple[str, str], ...] = ()
    refused: list[Entry] = field(default_factory=list)
    allowed: list[Entry] = field(default_factory=list)
    marks: list[RunMark] = field(default_factory=list)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "List the rules that hold in the current folder, in their order: what they refuse, why, and"
        " where they are written. The last pattern that matches a path decides. Outside a"
        " repository, you see the built-in rules.",
        "0",
        failed="usage, policy or git error, or no rule of that name",
    )
    parser.add_argument("rules", nargs="*", metavar="RULE", help="only these rules")
    add_format_option(parser)
    add_policy_option(parser)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2: usage, policy or git error, or no such rule."""
    parser = make_parser()
    options = parser.parse_args(argv)
    return list_rules(options.rules, as_json=options.format == "json", policy_file=options.policy)


def list_rules(
    names: Sequence[str] = (), *, as_json: bool = False, policy_file: str | None = None
) -> int:
    """Print the rules in force, all or those of *names*, and return the exit code."""
    in_force, project = _in_force(policy_file)
    rules = rules_of(in_force.policy)
    for name in names:
        if name not in rules:
            where = f" in the project {shown(project)}" if project else ""
            raise FatalError(f"there is no rule {name!r}{where}: `fx-hooks rules` lists them")
    chosen = [rule for name, rule in rules.items() if not names or name in names]
    if as_json:
        print(in_json(json.dumps({"rules": [_as_record(rule) for rule in chosen]}, indent=2)))
    else:
        print("\n\n".join("\n".join(_as_text(rule)) for rule in chosen))
    notes = [f"these hold in the project {shown(project)}"] if project else []
    for note in (*notes, *in_force.notes):
        complain(f"{NAME}: note: {note}")
    return CLEAN


def _in_force(policy_file: str | None) -> tuple[PolicyInForce, bytes]:
    """Return the policy of the project around the current folder, and that project."""
    try:
        repository = Repository()
    except NotARepository:
        return policy_on_disk(policy_file), b""
    index = {entry.path: entry for entry in repository.index()}
    in_force = policy_in_force(repository, index, policy_file)
    if policy_file is None:
        missed = near_misses.of_index(repository, index, in_force.policy)
        in_force = in_force._replace(notes=(*in_force.notes, *(one.text for one in missed)))
    projects = in_force.policy.projects
    project = b"" if projects is None else projects.finder.at(from_root(".", repository.root))
    if projects is not None and project:
        in_force = in_force._replace(policy=projects.at(project).policy)
    return in_force, project


def rules_of(policy: Policy) -> dict[str, Rule]:
    """Return the rules of *policy* by name, as they come first in its order."""
    origins = rule_origins()
    rules: dict[str, Rule] = {}

    def rule_of(one: Entry | RunMark) -> Rule:
        new = Rule(name=one.rule, why=one.why, advice=one.advice, origins=origins.get(one.rule, ()))
        return rules.setdefault(one.rule, new)

    for entry in policy.entries:
        rule = rule_of(entry)
        if not entry.blocks:
            rule.allowed.append(entry)
        # That an exception for a file lets in no folder of its name goes without saying.
        elif entry.pattern.removesuffix("/**") not in {one.pattern for one in rule.allowed}:
            rule.refused.append(entry)
    for mark in policy.run_marks:
        rule_of(mark).marks.append(mark)
    return rules


def _as_record(rule: Rule) -> dict[str, Any]:
    def written(one: Entry | RunMark) -> dict[str, Any]:
        return {"tool": one.tool or None, "source": one.source, "line": one.line}

    return {
        "rule": rule.name,
        "why": rule.why,
        "advice": rule.advice,
        "refused": [{"pattern": one.pattern, **_with(one), **written(one)} for one in rule.refused],
        "beside": [{"path": one.path, **_with(one), **written(one)} for one in rule.marks],
        "allowed": [{"pattern": one.pattern, **written(one)} for one in rule.allowed],
        "names_from": [{"tool": tool or None, "source": source} for tool, source in rule.origins],
    }


def _as_text(rule: Rule) -> list[str]:
    lines = [rule.name]
    if rule.why:
        lines.append(f"  {rule.why}")
    if rule.advice:
        lines.append(f"  to do: {rule.advice}")
    for what, names in (
        ("refused", [f"{one.pattern}{_only_with(one)}" for one in rule.refused]),
        (
            "refused, with all of its folder",
            [" and ".join(one.only_with) or one.path for one in rule.marks],
        ),
        ("allowed", [one.pattern for one in rule.allowed]),
    ):
        if names:
            lines.append(f"  {what}: {', '.join(names)}")
    lines.append(f"  written in: {'; '.join(_places(rule))}")
    if rule.origins:
        lines.append(f"  names from: {'; '.join(source for _, source in rule.origins)}")
    return [one_line(line) for line in lines]


def _with(one: Entry | RunMark) -> dict[str, list[str]]:
    return {"only_with": list(one.only_with)} if one.only_with else {}


def _only_with(one: Entry) -> str:
    return f" (only with {' and '.join(one.only_with)})" if one.only_with else ""


def _places(rule: Rule) -> list[str]:
    """Return the files that *rule* is written in, each with its first and last line."""
    lines: dict[str, list[int]] = {}
    members: list[Entry | RunMark] = [*rule.refused, *rule.marks, *rule.allowed]
    for one in members:
        lines.setdefault(one.place.rpartition(":")[0], []).append(one.line)
    return [
        f"{file}:{min(found)}" + (f"-{max(found)}" if max(found) > min(found) else "")
        for file, found in lines.items()
    ]
