"""The baseline: it accepts what was tracked before, unless it would run code when loaded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from fx_hooks.best_models.file_names import Names
from fx_hooks.git.repository import IndexEntry, ObjectStore, pointer_in
from fx_hooks.policy.baseline import BASELINE_NAME
from fx_hooks.policy.model import BEST_MODELS_RULE, WEIGHTS_RULE, Policy

if TYPE_CHECKING:
    from fx_hooks.artifacts.classifier import Verdict
    from fx_hooks.policy.baseline import Baseline
    from fx_hooks.reporting.finding import Finding
    from fx_hooks.weights.content import Inspection

# What a model and its metadata may lack that are older than the contract.
ACCEPTED_RULES = frozenset({
    "best-models-unlisted", "best-models-metadata", "best-models-unpaired", "best-models-foreign",
})  # fmt: skip


class Acceptance:
    """The baseline of a repository, and what its models would do.

    It is *read* where something is refused: no command has to, to find all clean.
    """

    def __init__(self, store: ObjectStore, read: Callable[[], Baseline], policy: Policy) -> None:
        self._store = store
        self._names = Names(policy.best_models)
        self._folder = policy.best_models.folder.encode() + b"/"
        self._inspected: dict[str, Inspection | None] = {}
        self._read = read

    @functools.cached_property
    def baseline(self) -> Baseline:
        """The baseline. Raises :class:`~fx_hooks.util.errors.FatalError` if it is invalid."""
        return self._read()

    def accepts(self, path: bytes, blob: str | None, rule: str = "") -> bool:
        """Return True if *path* with the content *blob* may stay what it is."""
        chosen = rule == BEST_MODELS_RULE or path.startswith(self._folder)
        if blob is None or not self.baseline.names(path, blob, by_content=chosen):
            return False
        may_be_weights = rule == WEIGHTS_RULE or self._names.is_weights(path)
        return not may_be_weights or self.is_harmless(blob)

    def is_harmless(self, blob: str) -> bool:
        """Return True if nothing in the model *blob* would run when it is loaded."""
        from fx_hooks.weights.inspection import NAMED_FORMATS

        found = self.inspection(blob)
        return found is not None and not (
            found.globals or found.faults or found.format in NAMED_FORMATS
        )

    def inspection(self, blob: str) -> Inspection | None:
        """Return what the content of *blob* is; None where it is not in this clone.

        A Git LFS pointer says which model it stands for, and is text itself.
        """
        # A commit that no baseline and no model is in need not wait for all of these.
        from fx_hooks.weights.content import Inspection, inspect

        if blob not in self._inspected:
            with self._store.blob_file(blob) as file:
                found = None
                if file is not None:
                    found = inspect(file) if pointer_in(file) is None else Inspection(None)
            self._inspected[blob] = found
        return self._inspected[blob]

    def left(self, verdicts: Iterable[Verdict], index: Mapping[bytes, IndexEntry]) -> list[Verdict]:
        """Return those of the blocked *verdicts* that are not accepted."""
        return [
            verdict
            for verdict in verdicts
            if verdict.blocked and not self._accepted(verdict, index.get(verdict.path))
        ]

    def explained(
        self, verdicts: Iterable[Verdict], index: Mapping[bytes, IndexEntry]
    ) -> tuple[list[Verdict], dict[bytes, str]]:
        """Return *verdicts*, those of accepted paths as released, and why others are not."""
        found, against = [], {}
        for verdict in verdicts:
            entry = index.get(verdict.path)
            if not verdict.blocked or entry is None:
                pass
            elif self._accepted(verdict, entry):
                why = f"{BASELINE_NAME} accepts it as it is"
                verdict = verdict._replace(
                    blocked=False, entry=None, mark=None, overridden=verdict.decider, released=why
                )
            elif self.baseline.names(verdict.path, entry.blob):
                against[verdict.path] = (
                    "lists it without the id of its content, which is needed here"
                    if self.is_harmless(entry.blob)
                    else "lists it, but never accepts a model that would run code"
                )
            elif self.baseline.lists(verdict.path):
                against[verdict.path] = "lists it with other content"
            found.append(verdict)
        return found, against

    def _accepted(self, verdict: Verdict, entry: IndexEntry | None) -> bool:
        if entry is None or not self.baseline:
            return False
        rule = verdict.decider.rule if verdict.decider is not None else ""
        return self.accepts(verdict.path, entry.blob, rule)

    def left_of_contract(
        self, findings: Iterable[Finding], index: Mapping[bytes, IndexEntry]
    ) -> list[Finding]:
        """Return those breaches of the contract that are not accepted."""
        found = list(findings)
        if not found or not self.baseline:
            return found
        return [
            finding
            for finding in found
            if finding.rule not in ACCEPTED_RULES
            or (entry := index.get(finding.path)) is None
            or not self.accepts(finding.path, entry.blob, BEST_MODELS_RULE)
        ]
