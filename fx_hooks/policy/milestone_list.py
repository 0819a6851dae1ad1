"""The paths that ``milestones.yaml`` lists: the part of it that the policy needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fx_hooks.util.errors import FatalError
from fx_hooks.util.strict_yaml import Node, compose, line_of, mapping_nodes

if TYPE_CHECKING:
    from fx_hooks.policy.model import BestModels


def load_milestones(text: bytes, best_models: BestModels) -> dict[str, int]:
    """Return the root-relative paths that *text* lists, each with the line that lists it.

    Raises :class:`~fx_hooks.util.errors.FatalError` with file, line and key where the file
    is not one mapping ``milestones:`` from paths below the folder to mappings. What an
    entry says is for :func:`load_contract`.
    """
    return {path: line_of(key) for path, (key, _) in milestone_entries(text, best_models).items()}


def milestone_entries(text: bytes, best_models: BestModels) -> dict[str, tuple[Node, Node]]:
    source = best_models.milestones_file
    top = compose(text, source)
    if top is None:
        return {}
    found = mapping_nodes(top, source, "")
    for name, (key, _) in found.items():
        if name != "milestones":
            raise FatalError(f"{source}:{line_of(key)}: {name}: unknown key: known is milestones")
    if not found:
        return {}
    entries = mapping_nodes(found["milestones"][1], source, "milestones")
    for path, (key, value) in entries.items():
        parts = path.split("/")
        if not path.startswith(best_models.folder + "/") or {"", ".", ".."} & set(parts):
            raise FatalError(
                f"{source}:{line_of(key)}: milestones: '{path}': write the path from the root,"
                f" such as {best_models.folder}/NAME.pt"
            )
        mapping_nodes(value, source, f"milestones.{path}")
    return entries
