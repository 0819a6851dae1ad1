"""``fx-check-best-models`` in full, for a commit that touches the folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fx_hooks import __version__
from fx_hooks.best_models.contract import RULES
from fx_hooks.best_models.staged_models import ContractScene
from fx_hooks.cli._common import entry_point
from fx_hooks.git.repository import Repository
from fx_hooks.policy.in_force import policy_in_force
from fx_hooks.reporting import output
from fx_hooks.reporting.text import Report, contract_report

NAME = "fx-check-best-models"


@entry_point(NAME)
def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code is that of ``fx-check-best-models``."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Check that the folder of chosen models holds only metadata, documents and"
        " the milestones listed in its milestones.yaml, as they were approved. What is read are"
        " the models that the staged changes touch; all of them if nothing is staged.",
        epilog="Exit code 0: clean; 1: the contract is broken; 2: usage, policy or git error.",
        allow_abbrev=False,
    )
    parser.add_argument("--all-files", action="store_true", help="read every milestone")
    parser.add_argument("--policy", metavar="FILE", help="use this file, not .fx-hooks.yaml")
    output.add_options(parser)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(arguments)
    return check(
        all_files=options.all_files,
        policy_file=options.policy,
        out=output.begin(options),
    )


def check(
    *,
    all_files: bool = False,
    policy_file: str | None = None,
    out: output.Output = output.STANDARD,
) -> int:
    """Report what breaks the contract, and return the exit code."""
    repository = Repository()
    index = {entry.path: entry for entry in repository.index()}
    in_force = policy_in_force(repository, index, policy_file)
    scene = ContractScene(repository, index, in_force.policy)
    touched = None
    if not all_files:
        touched = {change.path for change in repository.staged()} or None
    findings = scene.findings(touched)

    def text(colour: bool) -> list[str]:
        if not findings:
            return []
        notes = [f"note: {note}" for note in in_force.notes]
        return [*contract_report(findings, colour=colour), *notes]

    return out.deliver(Report(NAME, findings, RULES, notes=in_force.notes), text)
