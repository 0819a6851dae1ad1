"""``fx-check-artifacts`` in full, for what the fast path is not sure of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Classifier, Verdict
from fx_hooks.artifacts.exempted import exempted_note
from fx_hooks.artifacts.index_check import IndexCheck
from fx_hooks.artifacts.tree_reader import HOMES, PROJECT_SIGNS
from fx_hooks.artifacts.unnamed import missing_note
from fx_hooks.best_models.acceptance import Acceptance
from fx_hooks.cli._artifact_steps import steps_for, take_out
from fx_hooks.cli._common import add_policy_option, command_parser, entry_point
from fx_hooks.fastpath import artifacts, looked_into
from fx_hooks.fastpath.work_tree import find_git_directory, kept_tables
from fx_hooks.git.repository import SUBMODULE_MODE, Change, IndexEntry, Repository
from fx_hooks.policy import near_misses
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.policy.in_force import baseline_in_force, keep_tables, policy_in_force
from fx_hooks.policy.model import POLICY_NAME, Policy, literal
from fx_hooks.reporting import output
from fx_hooks.reporting.finding import Finding
from fx_hooks.reporting.text import Report, artifact_report
from fx_hooks.util.paths import from_root, parents, shown
from fx_hooks.util.terminal import complain, one_line

if TYPE_CHECKING:
    import argparse

    from fx_hooks.reporting.layout import Step

NAME = "fx-check-artifacts"
_MOST_UNKNOWN = 5  # names of no file that are told one by one


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Find artifacts (W&B and Hydra runs, logs, weights, caches) among FILEs. If you name no"
        " FILE, look at what is staged.",
        "0: clean; 1: artifacts found",
    )
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--all-files", action="store_true", help="check every tracked file")
    add_policy_option(parser)
    parser.add_argument("--verbose", action="store_true", help="name every file")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="take new artifacts out of the index, and leave them on disk; for you, not for a hook",
    )
    output.add_options(parser)
    return parser


@entry_point(NAME)
def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit code of ``fx-check-artifacts``."""
    if _is_proven_with_new_tables(list(arguments)):
        return 0
    if arguments[:1] in ([], ["--"]):  # as hooks start it: there is nothing to parse
        repository = Repository()
        files = [from_root(name, repository.root) for name in arguments[1:]]
        return check(repository, repository.index_by_path(), files, by_runner=bool(arguments))
    parser = make_parser()
    options_end = arguments.index("--") if "--" in arguments else len(arguments)
    after = arguments[options_end + 1 :]
    options, dashed = parser.parse_known_args(arguments[:options_end])
    if options.all_files and (options.files or dashed or after):
        parser.error("give either --all-files or FILEs, not both")
    if options.fix and not {"PRE_COMMIT", "GIT_INDEX_FILE"}.isdisjoint(os.environ):
        parser.error("--fix changes the index, which git is reading now: run it by hand")
    out = output.begin(options)
    repository = Repository()
    index = repository.index_by_path()
    files = [from_root(name, repository.root) for name in options.files]
    files = _with_folders(files, index) + [from_root(name, repository.root) for name in after]
    for name in dashed:
        path = from_root(name, repository.root)
        if path not in index:
            shown = one_line(name)
            parser.error(f"unknown option {shown} (if it is a file, put it after --)")
        files.append(path)
    return check(
        repository,
        index,
        files,
        all_files=options.all_files,
        by_runner=options_end < len(arguments),
        policy_file=options.policy,
        verbose=options.verbose,
        fix=options.fix,
        out=out,
    )


def _is_proven_with_new_tables(arguments: list[str]) -> bool:
    """Return True if there is nothing to say, and the fast path lacked its tables alone.

    So it is in a new clone, as in CI, and after each change of the policy. They are made of a few
    files, and of a large index nothing else is read here: that takes a third of the time.
    """
    if arguments and arguments[0] not in ("--", "--all-files"):
        return False
    git_directory = find_git_directory()
    if git_directory is None or kept_tables(git_directory)[1] is not None:
        return False
    repository = Repository()
    index = repository.index_by_path(f"*{POLICY_NAME}", "*/milestones.yaml")
    in_force = policy_in_force(repository, index)
    if in_force.policy.projects is not None:
        index = repository.index_by_path()
    kept = keep_tables(repository.git_directory, in_force, index)
    return kept and artifacts.proven_clean(arguments)


def check(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    files: Sequence[bytes],
    *,
    all_files: bool = False,
    by_runner: bool = False,
    policy_file: str | None = None,
    verbose: bool = False,
    fix: bool = False,
    out: output.Output = output.STANDARD,
) -> int:
    """Report what is wrong with *files*, or with what is staged, or with all of *index*.

    Paths are relative to the root. *by_runner* says that *files* are what a runner passes, be it
    nothing: what none can pass is added. Returns the exit code; raises
    :class:`~fx_hooks.util.errors.FatalError`.
    """
    in_force = policy_in_force(repository, index, policy_file)
    classifier = Classifier(in_force.policy)
    if policy_file is None:
        keep_tables(repository.git_directory, in_force, index)
        if all_files:
            near_misses.refuse_policies(near_misses.of_index(repository, index, in_force.policy))
    staged = repository.staged_by_path()
    check = IndexCheck(repository, index, staged, classifier)
    if all_files:
        candidates: Iterable[bytes] = index
    elif by_runner:
        candidates = [*files, *_passed_by_no_runner(repository, staged)]
    elif files:
        candidates = files
        if repository.merging():
            # Runners pass only what differs from both sides of a conflicted merge.
            candidates = [*candidates, *staged]
    else:
        candidates = staged
    _tell_unknown(repository, index, staged, files)
    # Deleting is always allowed.
    gone = {path for path, change in staged.items() if change.status == "D"}
    candidates = [path for path in dict.fromkeys(candidates) if path not in gone]
    acceptance = Acceptance(
        repository, lambda: baseline_in_force(repository, index), in_force.policy
    )
    if BASELINE_NAME.encode() in candidates:
        _ = acceptance.baseline  # an invalid one is an error at once
    # Files that somebody names while nothing is staged are no commit's.
    open_all = all_files or (bool(files) and not staged)
    verdicts = check.verdicts(candidates, ask_disk=not all_files, open_all=open_all)
    # A project's policy may be on disk alone, and no tree says that.
    is_all = in_force.on_disk and policy_file is None and in_force.policy.projects is None
    if all_files and check.nothing_unnamed and is_all:
        clean = not any(one.blocked for one in verdicts)
        _remember_tree(repository, index, in_force.text, clean=clean)
    blocked = acceptance.left(verdicts, index)
    findings = _findings(check, blocked)
    taken_out = take_out(check, findings) if fix else set()
    steps: list[Step] = []
    whole: set[bytes] = set()
    if findings:
        steps, whole = steps_for(check, findings, taken_out, acceptance, named=bool(files))
    # A clean tree is silent, unless you ask.
    exempt = exempted_note(verdicts) if all_files and (findings or verbose) else ""
    said = [exempt] if exempt else []
    said += missing_note(check.unread) if all_files else []
    if findings and policy_file is None:
        missed = near_misses.of_index(repository, index, in_force.policy)
        said += [one.text for one in missed]
        said += _suggestions(in_force.policy, findings, index)
    elif all_files and policy_file is None:
        said += near_misses.missing_projects(repository, index, in_force.policy)
    notes = (*in_force.notes, *said)
    report = Report(NAME, findings, steps=steps, notes=notes)

    def text(colour: bool) -> Sequence[str]:
        if not findings:
            return [f"note: {note}" for note in said]
        return artifact_report(
            findings, steps, verbose=verbose, colour=colour, whole=whole, notes=notes
        )

    return out.deliver(report, text)


def _tell_unknown(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    staged: Mapping[bytes, Change],
    files: Iterable[bytes],
) -> None:
    """Say which of *files* are nowhere, and may be mistyped: no exit code depends on it.

    Of more than a person types, a runner is told nothing.
    """
    unknown = [
        path
        for path in dict.fromkeys(files)
        if path not in index
        and path not in staged
        and not os.path.lexists(os.path.join(repository.root, path))
        # A folder that is deleted.
        and not any(other.startswith(path + b"/") for other in staged)
    ]
    if len(unknown) > artifacts.MOST_TYPED:
        return
    for path in unknown[:_MOST_UNKNOWN]:
        complain(
            f"{NAME}: note: {shown(path)} is neither tracked nor on disk, so nothing is checked"
        )
    if len(unknown) > _MOST_UNKNOWN:
        complain(f"{NAME}: note: nor are {len(unknown) - _MOST_UNKNOWN:,} more")


def _remember_tree(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: bytes | None,
    *,
    clean: bool,
) -> None:
    """Keep for the fast path that by *policy* no content in all of *index* is refused.

    It is *clean* if nothing else is refused, either.
    """
    # As git lists it: of an unmerged path it lists more, and such a tree is never known.
    lines = [b"%06o %s %d\t%s\0" % (entry.mode, entry.blob.encode(), entry.stage, path)
             for path, entry in index.items()]  # fmt: skip
    tree = looked_into.tree_id(policy, b"".join(lines))
    looked_into.remember_tree(repository.git_directory, tree, clean=clean)


def _suggestions(
    policy: Policy, findings: Sequence[Finding], index: Mapping[bytes, IndexEntry]
) -> Iterator[str]:
    """Yield that a folder with findings looks like a project, and what makes it one."""
    known = set()
    for finding in findings:
        for home in parents(finding.path):
            above, _, name = home.rpartition(b"/")
            if above and above not in known and name in (*HOMES, b"wandb", b".wandb"):
                known.add(above)
                is_one = policy.projects is not None and policy.projects.finder.at(above) == above
                if not is_one and any(above + sign in index for sign in PROJECT_SIGNS):
                    entry = literal(os.fsdecode(above))
                    yield (
                        f"{shown(above)} looks like a project; with `projects: [{entry}]` in"
                        f" {POLICY_NAME} the policy holds there as at the root"
                    )


def _passed_by_no_runner(repository: Repository, staged: Mapping[bytes, Change]) -> list[bytes]:
    """Return what is *staged* and no runner passes, whatever its configuration says.

    That is what a merge takes over as the other side has it, and submodules without a folder.
    """
    found = [
        path
        for path, change in staged.items()
        if change.mode == SUBMODULE_MODE
        and not os.path.lexists(os.path.join(repository.root, path))
    ]
    for head in repository.merge_heads():
        other = repository.found(head, staged)
        found += [path for path, change in staged.items() if other.get(path) == change.blob]
    return found


def _findings(check: IndexCheck, blocked: Sequence[Verdict]) -> list[Finding]:
    """Return findings for the *blocked* verdicts, with sizes from the index."""
    entries = [check.index.get(verdict.path) for verdict in blocked]
    if blocked:
        check.ask_sizes()
    sizes = check.repository.sizes(
        entry.blob for entry in entries if entry is not None and entry.mode != SUBMODULE_MODE
    )
    findings = []
    for verdict, entry in zip(blocked, entries, strict=True):
        # A run is shown as one, whatever else is said of single files in it.
        decider = verdict.mark or verdict.entry
        assert decider is not None, verdict  # something has blocked it
        findings.append(
            Finding(
                verdict.path,
                decider.rule,
                decider.why,
                decider.advice,
                check.classifier.group(verdict),
                None if entry is None else sizes.get(entry.blob),
                not check.is_new(verdict.path),
                blob=None if entry is None else entry.blob,
            )
        )
    return findings


def _with_folders(files: Sequence[bytes], index: Mapping[bytes, IndexEntry]) -> list[bytes]:
    """Return *files*, with what is tracked in it in place of each folder."""
    named = []
    for path in files:
        prefix = path + b"/" if path else b""
        beneath = [] if path in index else [found for found in index if found.startswith(prefix)]
        named += beneath or [path]
    return named
