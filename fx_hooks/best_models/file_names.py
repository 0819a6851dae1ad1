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
        self._patterns = {
            "metadata": best_models.metadata,
            "documents": best_models.documents,
            "weights": best_models.weights,
        }
        self._matchers: dict[str, Matcher] = {}

    def is_a(self, kind: str, path: bytes) -> bool:
        """Return True if the file's name matches one of the policy's patterns for *kind*."""
        if kind not in self._matchers:
            self._matchers[kind] = Matcher(tables_of_names(self._patterns[kind]))
        return bool(self._matchers[kind].blocked([path.rpartition(b"/")[2]]))
