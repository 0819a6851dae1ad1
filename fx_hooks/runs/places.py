"""The usual places of runs: there a folder that Hydra wrote into is disposable.

A usual place is what the policy refuses by a pattern, or what the repository's own
configuration names. Somebody who moves a job to ``pretrained/`` or ``release/`` takes its
``.hydra/`` with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fx_hooks.artifacts.classifier import Classifier
from fx_hooks.artifacts.tree_reader import Tree
from fx_hooks.runs.layouts import WANDB_RUN, FoundRun, RunPattern, is_dated, run_directories
from fx_hooks.util.paths import parents

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy

# A name that no pattern asks for: what is said of it is said of its folder.
_ANY = b"/fx-any"
_NO_TREE = Tree({}, ())


def find_unusual(
    found: Sequence[FoundRun],
    policy: Callable[[], Policy],
    configuration: Callable[[], Mapping[str, bytes]],
    patterns: Sequence[RunPattern],
) -> set[bytes]:
    """Return the runs by their ``.hydra/`` or a file like it alone, in no usual place.

    *patterns* are those of the paths of single runs; the *policy*, and the files of the
    *configuration* that may name folders for runs, are read only if need be.
    """
    asked = [
        run.path
        for run in found
        if run.kind != WANDB_RUN
        and not run.about.only_copy
        and run.within is None
        and not is_dated(run.path)
        and not any(pattern.path.fullmatch(run.path) for pattern in patterns)
    ]
    if not asked:
        return set()
    in_force = policy()
    verdicts = Classifier(in_force).classify([path + _ANY for path in asked], _NO_TREE)
    unusual = {path for path, verdict in zip(asked, verdicts, strict=True) if not verdict.blocked}
    if unusual:
        named = run_directories(configuration(), in_force.projects)
        folders = {os.fsencode(one.path) for one in named}
        unusual = {path for path in unusual if folders.isdisjoint((*parents(path), path))}
    return unusual
