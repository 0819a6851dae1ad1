"""``best_models/milestones.yaml``: the models that somebody chose for Git."""

from __future__ import annotations

from fx_hooks.errors import FatalError
from fx_hooks.policy.load import BestModels, compose, line_of, mapping_nodes


def load_milestones(text: bytes, best_models: BestModels) -> dict[str, int]:
    """The root-relative paths that *text* lists, each with the line that lists it.

    Raises :class:`~fx_hooks.errors.FatalError` with file, line and key where the file
    is not one mapping ``milestones:`` from paths below the folder to mappings.
    """
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
    listed = {}
    for path, (key, value) in mapping_nodes(found["milestones"][1], source, "milestones").items():
        parts = path.split("/")
        if not path.startswith(best_models.folder + "/") or {"", ".", ".."} & set(parts):
            raise FatalError(
                f"{source}:{line_of(key)}: milestones: '{path}': write the path from the root,"
                f" such as {best_models.folder}/NAME.pt"
            )
        mapping_nodes(value, source, f"milestones.{path}")
        listed[path] = line_of(key)
    return listed
