"""Milestones as an earlier command has read them: the list, and models without a fault.

YAML, and the readers of weights, take several times as long to load as all the rest of a commit
that changes metadata. So both are kept like the compiled tables, in a file next to them, and
:mod:`fx_hooks.fastpath.table_cache` is as strict about it. What is missing, stale, foreign or
damaged changes the time, never a verdict.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fx_hooks import __version__
from fx_hooks.best_models.milestone import Milestone
from fx_hooks.fastpath import table_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fx_hooks.policy.model import BestModels

_NAME = "fx-hooks.milestones"
_MAGIC = b"fx-hooks listed\n"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class KeptMilestones:
    """The list with the object id *blob*, read under *best_models*; None where it is not kept.

    ``faultless`` has the models whose content was read and found to be in order, by path: their
    object id, and whether ``.gitattributes`` sends them to Git LFS.
    """

    def __init__(self, git_directory: str, blob: str, best_models: BestModels) -> None:
        self._key = _key(blob, best_models)
        self._place = os.path.join(git_directory, _NAME)
        self.milestones: dict[str, Milestone] | None = None
        self.faultless: dict[str, tuple[str, bool]] = {}
        kept = table_cache.read([self._place], self._key, _MAGIC)
        if kept is not None:
            listed, self.faultless = kept
            found = (Milestone(*one) for one in listed)
            self.milestones = {one.path: one for one in found}

    def keep(
        self, milestones: Mapping[str, Milestone], faultless: Mapping[str, tuple[str, bool]]
    ) -> None:
        """Keep *milestones*, and which of their models are *faultless*, for the next command."""
        if self.milestones == milestones and self.faultless == faultless:
            return
        listed = tuple(tuple(one) for one in milestones.values())
        table_cache.write([self._place], self._key, (listed, dict(faultless)), _MAGIC)


def _key(blob: str, best_models: BestModels) -> bytes:
    """Everything that the list, and the verdict on its models, depend on."""
    # The source as well, for installations that change without a new version.
    state = [__version__, sys.implementation.cache_tag or "", blob, repr(tuple(best_models))]
    for folder in ("best_models", "util", "weights"):
        place = os.path.join(_PACKAGE, folder)
        try:
            names = sorted(name for name in os.listdir(place) if name.endswith(".py"))
        except OSError:  # pragma: no cover
            continue  # in an archive, whose version says it
        found = [os.stat(os.path.join(place, name)) for name in names]
        state += [f"{status.st_size} {status.st_mtime_ns}" for status in found]
    return "\n".join(state).encode("utf-8", "surrogatepass")
