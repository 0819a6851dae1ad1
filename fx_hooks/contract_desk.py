"""``fx-check-best-models`` in full, for a commit that touches the folder."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from fx_hooks import __version__
from fx_hooks.command import CLEAN, FOUND, guarded, wants_colour
from fx_hooks.contract_scene import ContractScene
from fx_hooks.git import Repository
from fx_hooks.repo_policy import policy_in_force
from fx_hooks.report import contract_report

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "fx-check-best-models"


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
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(arguments)
    return guarded(NAME, lambda: check(all_files=options.all_files, policy_file=options.policy))


def check(*, all_files: bool = False, policy_file: str | None = None) -> int:
    """Print what breaks the contract, and return the exit code."""
    repository = Repository()
    index = {entry.path: entry for entry in repository.index()}
    in_force = policy_in_force(repository, index, policy_file)
    scene = ContractScene(repository, index, in_force.policy)
    touched = None
    if not all_files:
        touched = {change.path for change in repository.staged()} or None
    findings = scene.findings(touched)
    if not findings:
        return CLEAN
    for line in contract_report(findings, colour=wants_colour(sys.stdout)):
        print(line)
    for note in in_force.notes:
        print(f"note: {note}")
    return FOUND
