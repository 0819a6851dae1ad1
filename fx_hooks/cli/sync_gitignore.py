"""``fx-sync-gitignore`` in full, for when something may have changed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence

from fx_hooks.cli._common import command_parser, entry_point
from fx_hooks.fastpath import gitignore as ignore_state
from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import IndexEntry, Repository
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore import line_findings as ignore_findings
from fx_hooks.gitignore.block import block_lines, rewritten
from fx_hooks.gitignore.conflicts import find_conflicts
from fx_hooks.policy.in_force import policy_in_force, refuse_unmerged
from fx_hooks.reporting import output
from fx_hooks.reporting.finding import Finding
from fx_hooks.reporting.layout import Step, plural
from fx_hooks.reporting.text import Report
from fx_hooks.util.diff import changed_lines, split
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.terminal import complain

NAME = "fx-sync-gitignore"
_MOST_LINES = 6


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Make the managed block of .gitignore say what the policy says.",
        "0: nothing to do; 1: .gitignore was rewritten or needs to be, or there are findings",
    )
    parser.add_argument("--check", action="store_true", help="report only, change nothing")
    parser.add_argument("--diff", action="store_true", help="show the change, do not make it")
    parser.add_argument(
        "--force", action="store_true", help="rewrite the block even if it was edited or is broken"
    )
    parser.add_argument(
        "--findings",
        action="store_true",
        help="list what is wrong in the lines around the block, change nothing",
    )
    output.add_options(parser)
    return parser


@entry_point(NAME)
def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit code of ``fx-sync-gitignore``."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.findings and (options.check or options.diff or options.force):
        parser.error("--findings cannot be combined with --check, --diff or --force")
    changes_nothing = options.findings or options.check
    if not changes_nothing and (options.format != "text" or options.output is not None):
        parser.error("--format and --output go with --check or --findings")
    if options.diff and (options.format != "text" or options.output is not None):
        parser.error("--diff only prints text: leave out --format and --output")
    if options.findings:
        return _report_findings(output.begin(options))
    return sync(
        check=options.check or options.diff,
        show_diff=options.diff,
        force=options.force,
        out=output.begin(options),
    )


def sync(
    *,
    check: bool = False,
    show_diff: bool = False,
    force: bool = False,
    out: output.Output = output.STANDARD,
) -> int:
    """Write the block, unless *check*, and print what was done; return the exit code.

    Raises :class:`~fx_hooks.util.errors.FatalError`.
    """
    repository = Repository()
    index = repository.index_by_path()
    refuse_unmerged(index)
    in_force = policy_in_force(repository, index)
    refuse_unmerged(index, in_force.policy)
    for note in in_force.notes:
        complain(f"{NAME}: note: {note}")
    wanted = block_lines(in_force.policy)
    if ignore_file.is_left_out(repository, index):
        return _left_out(repository, index, wanted)
    before = ignore_file.read(repository.root)
    merged = ignore_file.merged_versions(repository, index)
    after = rewritten(before or b"", wanted, force=force, merged=merged)
    command, *_ = git_commands.from_folder([f"git add {FILE}"], repository.path_to_root())
    conflict = _own_conflict(index, after)
    if before == after:
        fault = _fault_in_index(repository, index, wanted)
        if fault and conflict:
            raise FatalError(conflict)
        if fault:
            if not check or show_diff:
                print(f"{FILE}: {fault}. Stage it:\n    {command}")
                return FOUND
            found = _finding(fault, command, tracked=FILE.encode() in index)
            text = f"{FILE}: {fault}: {command}"
            return out.deliver(_report((found,), in_force.notes), lambda _: (text,))
        if os.path.realpath(os.getcwdb()) == os.path.realpath(repository.root):
            ignore_state.remember(
                repository.git_directory, in_force.policy.best_models.milestones_file
            )
        return out.deliver(_report((), in_force.notes), lambda _: ()) if check else CLEAN
    changes = changed_lines(before, after, context=2)
    if show_diff:
        print("\n".join((f"--- {FILE}", f"+++ {FILE}", *changes)))
    elif check:
        why = "does not follow the policy"
        found = _finding(why, NAME, tracked=before is not None)
        text = f"{FILE}: {why}: run {NAME}"
        return out.deliver(_report((found,), in_force.notes), lambda _: (text,))
    else:
        ignore_file.write(repository.root, after, before)
        lines = [line for line in changes if not line.startswith((" ", "@"))]
        added = sum(line.startswith("+") for line in lines)
        removed = len(lines) - added
        done = "new" if before is None else "rewritten"
        if lines:
            print(f"{FILE}: {done}, {plural(added, 'line')} added and {removed} removed:")
        else:
            print(f"{FILE}: {done}, the ends of lines alone")
        for line in lines[:_MOST_LINES]:
            print(f"  {line}")
        if len(lines) > _MOST_LINES:
            print(f"  and {len(lines) - _MOST_LINES} more")
        print(conflict or f"Stage it:\n    {command}")
    return FOUND


def _left_out(
    repository: Repository, index: Mapping[bytes, IndexEntry], wanted: Sequence[bytes]
) -> int:
    """Check the staged version of a file that a sparse checkout leaves out."""
    fault = _fault_in_index(repository, index, wanted)
    if fault:
        raise FatalError(f"{FILE}: {ignore_file.LEFT_OUT}")
    return CLEAN


def _own_conflict(index: Mapping[bytes, IndexEntry], text: bytes) -> str:
    """Return what to do about a conflict around the block, which is left to people."""
    entry = index.get(FILE.encode())
    if entry is None or not entry.stage:
        return ""
    for found in find_conflicts(split(text)):
        return f"{FILE}:{found.ours + 1}: is in a merge conflict: resolve it, then git add {FILE}"
    return ""


def _fault_in_index(
    repository: Repository, index: Mapping[bytes, IndexEntry], wanted: Sequence[bytes]
) -> str:
    """Return what is wrong with the staged version, when that on disk is right; else empty.

    It is what the commit will have. Lines around the block may differ: people stage parts.
    """
    entry = index.get(FILE.encode())
    if entry is None:
        return "is not in the index"
    if entry.stage:
        return "is unmerged"
    content = repository.contents((entry.blob,)).get(entry.blob)
    if content is None:
        return ""  # not in this clone, so it has not been changed here
    try:
        same = rewritten(content, wanted) == content
    except FatalError:
        same = False
    return "" if same else "does not follow the policy in the index"


def _finding(why: str, advice: str, *, tracked: bool) -> Finding:
    name = FILE.encode()
    return Finding(name, ignore_findings.BLOCK, why, advice, name, None, tracked)


def _report_findings(out: output.Output) -> int:
    repository = Repository()
    index = repository.index_by_path()
    in_force = policy_in_force(repository, index)
    findings = ignore_findings.findings_around(repository, index, in_force.policy)
    untrack = ignore_findings.untracking(repository, findings)
    steps = [Step("Stop tracking what is ignored (the files stay on disk):", untrack)]
    report = _report(findings, in_force.notes, steps if untrack else ())
    return out.deliver(report, lambda _: ignore_findings.text(findings, untrack))


def _report(
    findings: Sequence[Finding], notes: Sequence[str], steps: Sequence[Step] = ()
) -> Report:
    return Report(NAME, findings, ignore_findings.RULES, steps, notes)
