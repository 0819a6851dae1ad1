"""``fx-report-space``: what takes the space, and what frees it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.artifacts.index_check import IndexCheck
from fx_hooks.cli._common import add_format_option, add_policy_option, command_parser, entry_point
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.policy.near_misses import missing_projects
from fx_hooks.reporting.progress import Progress
from fx_hooks.runs.confirmed import ask_for
from fx_hooks.runs.inventory import Survey, survey
from fx_hooks.runs.selection import seconds
from fx_hooks.runs.usage.advice import remedies
from fx_hooks.runs.usage.git_usage import GitSpace, git_space
from fx_hooks.runs.usage.measure import NOTHING, Item, Space, measure_history, plus
from fx_hooks.runs.usage.outside import look_outside, tool_folders
from fx_hooks.runs.usage.usage_json import as_json
from fx_hooks.runs.usage.usage_text import Answer, plain
from fx_hooks.util.disk import uncollected
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.extras import install_command
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import complain, in_json, one_line, wants_colour

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from fx_hooks.util.disk import Problem

NAME = "fx-report-space"
_TOP = 15
# Problems that are told one by one.
_MAX_PROBLEMS = 20


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Say what takes the space in this repository, and what frees it: runs, caches, Git's"
        " history, tracked artifacts, and W&B's folders at home. Changes nothing.",
        "0; 1: something could not be read, and sizes are a lower bound",
    )
    add_format_option(parser)
    parser.add_argument(
        "--sort", choices=("size", "age", "name"), default="size", help="what is listed first"
    )
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        type=_age,
        help="only what was last written to longer ago than AGE, such as 30d",
    )
    parser.add_argument(
        "--top",
        metavar="N",
        type=int,
        default=_TOP,
        help="list the first N (default: %(default)s; 0: all)",
    )
    parser.add_argument(
        "--verify", action="store_true", help="ask W&B whether it has all of its runs"
    )
    add_policy_option(parser)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1: something could not be read; 2: usage, policy or git error."""
    parser = make_parser()
    options = parser.parse_args(argv)
    if options.top < 0:
        parser.error("--top: a number of lines, or 0 for all")
    return report_space(
        as_record=options.format == "json",
        sort=options.sort,
        older_than=options.older_than,
        top=options.top,
        policy_file=options.policy,
        verify=options.verify,
    )


def report_space(
    *,
    as_record: bool = False,
    sort: str = "size",
    older_than: tuple[float, str] | None = None,
    top: int = _TOP,
    policy_file: str | None = None,
    verify: bool = False,
) -> int:
    """Print the report and return the exit code."""
    repository = Repository()
    index = repository.index_by_path()
    in_force = policy_in_force(repository, index, policy_file)
    staged = {change.path: change for change in repository.staged()}
    check = IndexCheck(repository, index, staged, Classifier(in_force.policy))
    with uncollected(), Progress(sys.stderr) as told:
        progress = partial(told, "entries read")
        seen = survey(repository, progress=progress)
        if verify:
            asked = partial(told, "runs asked for")
            paths = [run.path for run in seen.runs]
            answers = ask_for(seen, paths, repository.common_directory(), asked)
            seen = survey(repository, progress=progress, confirmations=answers)
        git = git_space(repository)
        space = measure_history(seen, git, check)
        outside = look_outside(seen.root, space.leads, tool_folders(), progress)
    answer = _answer(
        space, git, seen, outside.items, index,
        sort=sort, older_than=older_than, top=top, path_to_root=repository.path_to_root(),
        problems=[*space.problems, *outside.problems],
    )  # fmt: skip
    if as_record:
        print(in_json(as_json(answer)))
    else:
        _print_text(answer)
    missing = () if policy_file else missing_projects(repository, index, in_force.policy)
    for note in (*in_force.notes, *missing, *space.notes):
        complain(f"{NAME}: note: {one_line(note)}")
    for problem in answer.problems[:_MAX_PROBLEMS]:
        complain(f"{NAME}: not counted: {problem}")
    left = len(answer.problems) - _MAX_PROBLEMS
    if left > 0:
        complain(f"{NAME}: not counted: {left:,} more (--format json names them)")
    return FOUND if answer.problems else CLEAN


def _answer(
    space: Space,
    git: GitSpace,
    seen: Survey,
    outside: Sequence[Item],
    index: Collection[bytes],
    *,
    sort: str,
    older_than: tuple[float, str] | None,
    top: int,
    path_to_root: str,
    problems: Sequence[Problem],
) -> Answer:
    """Return what of all that is asked for, in its order."""
    now = time.time()
    items, kinds = space.items, space.kinds
    if older_than is not None:
        items, outside = (
            [item for item in each if item.size.files and item.size.newest < now - older_than[0]]
            for each in (items, outside)
        )
        kinds = {}
        for item in items:
            if not (item.outside):
                kinds[item.kind] = plus(kinds.get(item.kind, NOTHING), item.size)
    counts = Counter(item.kind for item in items)
    here = [item for item in items if not item.outside]
    there = [*(item for item in items if item.outside), *outside]
    return Answer(
        space=space,
        kinds=[
            (kind, size, counts[kind])
            for kind, size in sorted(kinds.items(), key=lambda each: (-each[1].disk, each[0]))
        ],
        items=sorted(here, key=_ORDERS[sort]),
        outside=sorted(there, key=_ORDERS[sort]),
        remedies=remedies(
            space, [*items, *outside], seen, git, index,
            older_than=older_than[1] if older_than is not None else "", path_to_root=path_to_root,
        ),
        problems=[f"{shown(problem.path) or '.'}: {problem.reason}" for problem in problems],
        top=top,
        only=f"older than {older_than[1]}" if older_than is not None else "",
        now=now,
    )  # fmt: skip


_ORDERS: dict[str, Callable[[Item], tuple[object, ...]]] = {
    "size": lambda item: (-item.size.disk, item.path),
    "age": lambda item: (item.size.newest, item.path),
    "name": lambda item: (item.path,),
}


def _age(text: str) -> tuple[float, str]:
    return seconds(text), text


def _print_text(answer: Answer) -> None:
    """On a terminal with rich, elsewhere without."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        try:
            from fx_hooks.runs.usage.usage_terminal import print_terminal
        except ImportError:
            how = install_command("tools")
            complain(f"{NAME}: note: bars and colours need rich: {how}")
        else:
            print_terminal(answer, sys.stdout, colour=wants_colour(sys.stdout))
            return
    for line in plain(answer):
        print(line)


if __name__ == "__main__":
    raise SystemExit(main())
