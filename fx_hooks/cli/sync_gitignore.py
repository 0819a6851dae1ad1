"""``fx-sync-gitignore`` in full, for when something may have changed."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fx_hooks.cli._common import command_parser, entry_point
from fx_hooks.fastpath import gitignore as ignore_state
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import IndexEntry, Repository
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore import line_findings as ignore_findings
from fx_hooks.gitignore.block import rewritten
from fx_hooks.gitignore.blocks import wanted_blocks
from fx_hooks.gitignore.conflicts import find_conflicts
from fx_hooks.policy.in_force import PolicyInForce, policy_in_force, refuse_unmerged
from fx_hooks.policy.near_misses import missing_projects
from fx_hooks.reporting import output
from fx_hooks.reporting.finding import Finding
from fx_hooks.reporting.layout import Step, plural
from fx_hooks.reporting.text import Report
from fx_hooks.util.diff import changed_lines, split
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import complain

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy

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
    notes = _notes(repository, index, in_force)
    blocks = wanted_blocks(repository, index, in_force.policy)
    tracked = {b""} if in_force.policy.projects is None else _projects(in_force.policy, index)
    entries = [index[name] for name in map(ignore_file.name_in, blocks) if name in index]
    staged = repository.contents(entry.blob for entry in entries) if entries else {}
    files = [
        _File(
            repository=repository,
            index=index,
            staged=staged,
            folder=folder,
            wanted=wanted,
            is_tracked=folder in tracked,
        )
        for folder, wanted in blocks.items()
    ]
    if check and not show_diff:
        found = [fault for file in files if (fault := _checked(file, force=force)) is not None]
        report = _report([finding for finding, _ in found], notes)
        if not notes:
            _remember(repository, in_force.policy, blocks, found)
        return out.deliver(report, lambda _: [text for _, text in found])
    codes = [_synced(file, force=force, show_diff=show_diff) for file in files]
    # What there is to say is said each time.
    if not any(codes) and not notes:
        _remember(repository, in_force.policy, blocks, ())
    return FOUND if any(codes) else CLEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One ``.gitignore`` and the block that it has to have; *staged* has the content of blobs.

    It has to be staged where *is_tracked* says that something else in its project is.
    """

    repository: Repository
    index: Mapping[bytes, IndexEntry]
    staged: Mapping[str, bytes]
    folder: bytes
    wanted: Sequence[bytes]
    is_tracked: bool

    @property
    def name(self) -> str:
        """Its path from the root, for people."""
        return shown(ignore_file.name_in(self.folder))

    @property
    def staging(self) -> str:
        """The command that stages it, from where the user is."""
        (command,) = git_commands.staging(self.repository, (ignore_file.name_in(self.folder),))
        return command


def _notes(
    repository: Repository, index: Mapping[bytes, IndexEntry], in_force: PolicyInForce
) -> tuple[str, ...]:
    """Return what may not be meant as the policy says it, and say it."""
    notes = (*in_force.notes, *missing_projects(repository, index, in_force.policy))
    for note in notes:
        complain(f"{NAME}: note: {note}")
    return notes


def _projects(policy: Policy, index: Mapping[bytes, IndexEntry]) -> set[bytes]:
    assert policy.projects is not None
    return {b"", *policy.projects.among(index)}


def _remember(
    repository: Repository, policy: Policy, folders: Collection[bytes], found: Sequence[object]
) -> None:
    """Keep for the fast path that all is in step, as far as that can tell."""
    at_root = os.path.realpath(os.getcwdb()) == os.path.realpath(repository.root)
    if found or not at_root:
        return
    if policy.projects is None:
        ignore_state.remember(repository.git_directory, policy.best_models.milestones_file)
        return
    looked_in: list[bytes] = []
    apart: list[bytes] = []
    on_disk = {*policy.projects.on_disk(repository.root, looked_in, apart)}
    projects = tuple(
        (folder, os.fsencode(policy.best_models_of(folder).below(folder).milestones_file))
        for folder in folders
    )
    without = (*apart, *sorted(on_disk.difference(folders)))
    watched = tuple(looked_in), projects, without
    ignore_state.remember_projects(repository.git_directory, watched, time.time_ns())


def _rewritten(file: _File, *, force: bool) -> tuple[bytes | None, bytes]:
    """Return the text of *file* as it is, None where there is none, and as it has to be."""
    before = ignore_file.read(file.repository.root, file.folder)
    merged = ignore_file.merged_versions(file.repository, file.index, file.folder)
    try:
        return before, rewritten(before or b"", file.wanted, force=force, merged=merged)
    except FatalError as exc:
        raise (FatalError(f"{shown(file.folder)}/{exc}") if file.folder else exc) from exc


def _checked(file: _File, *, force: bool) -> tuple[Finding, str] | None:
    """Return what is wrong with *file*, and the line that says so; None if nothing is."""
    if ignore_file.is_left_out(file.repository, file.index, file.folder):
        _left_out(file)
        return None
    before, after = _rewritten(file, force=force)
    if before != after:
        why = "is missing" if before is None else "does not follow the policy"
        return _finding(file, why, NAME, tracked=before is not None), (
            f"{file.name}: {why}: run {NAME}"
        )
    fault = _fault_in_index(file)
    conflict = _own_conflict(file, after)
    if fault and conflict:
        raise FatalError(conflict)
    if not fault:
        return None
    tracked = ignore_file.name_in(file.folder) in file.index
    found = _finding(file, fault, file.staging, tracked=tracked)
    return found, f"{file.name}: {fault}: {file.staging}"


def _synced(file: _File, *, force: bool, show_diff: bool) -> int:
    """Rewrite *file*, or only show how, and print what was done; return the exit code."""
    if ignore_file.is_left_out(file.repository, file.index, file.folder):
        _left_out(file)
        return CLEAN
    before, after = _rewritten(file, force=force)
    conflict = _own_conflict(file, after)
    if before == after:
        fault = _fault_in_index(file)
        if fault and conflict:
            raise FatalError(conflict)
        if fault:
            print(f"{file.name}: {fault}. Stage it:\n    {file.staging}")
        return FOUND if fault else CLEAN
    changes = changed_lines(before, after, context=2)
    if show_diff:
        print("\n".join((f"--- {file.name}", f"+++ {file.name}", *changes)))
        return FOUND
    ignore_file.write(file.repository.root, after, before, file.folder)
    lines = [line for line in changes if not line.startswith((" ", "@"))]
    added = sum(line.startswith("+") for line in lines)
    removed = len(lines) - added
    done = "new" if before is None else "rewritten"
    if lines:
        print(f"{file.name}: {done}, {plural(added, 'line')} added and {removed} removed:")
    else:
        print(f"{file.name}: {done}, the ends of lines alone")
    for line in lines[:_MOST_LINES]:
        print(f"  {line}")
    if len(lines) > _MOST_LINES:
        print(f"  and {len(lines) - _MOST_LINES} more")
    print(conflict or f"Stage it:\n    {file.staging}")
    return FOUND


def _left_out(file: _File) -> None:
    """Check the staged version of a file that a sparse checkout leaves out."""
    if _fault_in_index(file):
        raise FatalError(f"{file.name}: {ignore_file.left_out(file.folder)}")


def _own_conflict(file: _File, text: bytes) -> str:
    """Return what to do about a conflict around the block, which is left to people."""
    entry = file.index.get(ignore_file.name_in(file.folder))
    if entry is None or not entry.stage:
        return ""
    for found in find_conflicts(split(text)):
        return (
            f"{file.name}:{found.ours + 1}: is in a merge conflict: resolve it, then {file.staging}"
        )
    return ""


def _fault_in_index(file: _File) -> str:
    """Return what is wrong with the staged version, when that on disk is right; else empty.

    It is what the commit will have. Lines around the block may differ: people stage parts.
    """
    entry = file.index.get(ignore_file.name_in(file.folder))
    if entry is None:
        return "is not in the index" if file.is_tracked else ""
    if entry.stage:
        return "is unmerged"
    content = file.staged.get(entry.blob)
    if content is None:
        return ""  # not in this clone, so it has not been changed here
    try:
        same = rewritten(content, file.wanted) == content
    except FatalError:
        same = False
    return "" if same else "does not follow the policy in the index"


def _finding(file: _File, why: str, advice: str, *, tracked: bool) -> Finding:
    name = ignore_file.name_in(file.folder)
    return Finding(name, ignore_findings.BLOCK, why, advice, name, None, tracked)


def _report_findings(out: output.Output) -> int:
    repository = Repository()
    index = repository.index_by_path()
    in_force = policy_in_force(repository, index)
    findings = ignore_findings.findings_around(repository, index, in_force.policy)
    untrack = ignore_findings.untracking(repository, findings)
    steps = [Step("Stop tracking what is ignored (the files stay on disk):", untrack)]
    notes = _notes(repository, index, in_force)
    report = _report(findings, notes, steps if untrack else ())
    return out.deliver(report, lambda _: ignore_findings.text(findings, untrack))


def _report(
    findings: Sequence[Finding], notes: Sequence[str], steps: Sequence[Step] = ()
) -> Report:
    return Report(NAME, findings, ignore_findings.RULES, steps, notes)
