"""The names of files in the folder of chosen models: metadata, documents and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_hooks.fastpath.matcher import Matcher
from fx_hooks.policy.compiled import tables_of_names

if TYPE_CHECKING:
    from fx_hooks.policy.model import BestModels


class Names:
    """The names in the folder, as metadata, documents and weights.

    Each kind is compiled when it is first asked for: most commits ask for none.
    """

    def __init__(self, best_models: BestModels) -> None:
        self._best_models = best_models
        self._matchers: dict[tuple[str, ...], Matcher] = {}

    def is_metadata(self, path: bytes) -> bool:
        """Return True if the policy lets the file in as metadata."""
        return self._matches(self._best_models.metadata, path)

    def is_document(self, path: bytes) -> bool:
        """Return True if the policy lets the file in as a document."""
        return self._matches(self._best_models.documents, path)

    def is_weights(self, path: bytes) -> bool:
        """Return True if the file's name is one of weights, which only milestones may have."""
        return self._matches(self._best_models.weights, path)

    def _matches(self, patterns: tuple[str, ...], path: bytes) -> bool:
        if patterns not in self._matchers:
            self._matchers[patterns] = Matcher(tables_of_names(patterns))
        return bool(self._matchers[patterns].blocked([path.rpartition(b"/")[2]]))
