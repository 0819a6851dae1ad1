"""``fx-check-best-models`` in full, for a commit that touches the folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fx_hooks.best_models.acceptance import Acceptance
from fx_hooks.best_models.contract import RULES
from fx_hooks.best_models.staged_models import checks
from fx_hooks.cli._common import add_policy_option, command_parser, entry_point
from fx_hooks.git.commands import from_folder
from fx_hooks.git.repository import Repository
from fx_hooks.policy import near_misses
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.policy.in_force import baseline_in_force, keep_tables, policy_in_force
from fx_hooks.reporting import output
from fx_hooks.reporting.text import Report, contract_report

if TYPE_CHECKING:
    import argparse

    from fx_hooks.best_models.milestone import Milestone

NAME = "fx-check-best-models"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Check that the folder of chosen models holds only metadata, documents and the milestones"
        " that milestones.yaml lists, as they were approved. It reads the models that your staged"
        " changes touch, or all models if nothing is staged.",
        "0: clean; 1: the folder breaks the rules, or W&B does not confirm an artifact",
    )
    parser.add_argument("--all-files", action="store_true", help="read every milestone")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also ask W&B for the artifacts that milestones are copies of",
    )
    add_policy_option(parser)
    output.add_options(parser)
    return parser


@entry_point(NAME)
def main(arguments: Sequence[str], staged: bytes | None = None) -> int:
    """Run the command and return the exit code of ``fx-check-best-models``.

    *staged* are the paths of what is staged, if that is known, each with a NUL behind.
    """
    if not arguments:  # as hooks start it: there is nothing to parse
        return check(staged=None if staged is None else staged.split(b"\0")[:-1])
    options = make_parser().parse_args(arguments)
    return check(
        all_files=options.all_files,
        verify=options.verify,
        policy_file=options.policy,
        out=output.begin(options),
    )


def check(
    *,
    all_files: bool = False,
    verify: bool = False,
    staged: Sequence[bytes] | None = None,
    policy_file: str | None = None,
    out: output.Output = output.STANDARD,
) -> int:
    """Report what breaks the contract, and return the exit code.

    Git is asked for what is *staged* where that is None.
    """
    repository = Repository()
    index = repository.index_by_path()
    in_force = policy_in_force(repository, index, policy_file)
    if policy_file is None:
        keep_tables(repository.git_directory, in_force, index)
    touched = None
    if not all_files:
        touched = frozenset(repository.staged_by_path() if staged is None else staged) or None
    findings = []
    milestones: list[Milestone] = []
    for check in checks(repository, index, in_force.policy, None if verify else touched):
        findings += check.findings(touched)
        check.keep()
        milestones += check.milestones.values()
    acceptance = Acceptance(
        repository, lambda: baseline_in_force(repository, index), in_force.policy
    )
    if touched is not None and BASELINE_NAME.encode() in touched:
        _ = acceptance.baseline  # an invalid one is an error at once
    findings = acceptance.left_of_contract(findings, index)
    if verify:
        from fx_hooks.best_models.confirmed_artifacts import unconfirmed  # not for a hook

        # Of what is not here, no baseline says anything.
        findings += unconfirmed(milestones, repository, index)
    if findings and (way := repository.path_to_root()):
        findings = [
            found._replace(advice="\n".join(from_folder(found.advice.splitlines(), way)))
            for found in findings
        ]
    findings.sort(key=lambda found: (found.path, found.rule, found.why))

    notes = in_force.notes
    if findings and policy_file is None:
        missed = near_misses.of_index(repository, index, in_force.policy)
        notes = (*notes, *(one.text for one in missed))

    def text(colour: bool) -> list[str]:
        if not findings:
            return []
        said = [f"note: {note}" for note in notes]
        return [*contract_report(findings, colour=colour), *said]

    return out.deliver(Report(NAME, findings, RULES, notes=notes), text)
