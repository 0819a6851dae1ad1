"""The artifacts that milestones are copies of, as W&B has them now."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fx_hooks.best_models.contract import finding, metadata_path
from fx_hooks.best_models.metadata import MAX_BYTES
from fx_hooks.frameworks.run_files import at
from fx_hooks.frameworks.wandb.address import parse
from fx_hooks.util.strict_json import NotStrict, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fx_hooks.best_models.milestone import Milestone
    from fx_hooks.git.repository import IndexEntry, Repository
    from fx_hooks.reporting.finding import Finding


def unconfirmed(
    milestones: Sequence[Milestone], repository: Repository, index: Mapping[bytes, IndexEntry]
) -> Iterator[Finding]:
    """Yield the milestones whose artifact W&B does not have as it was approved, and why.

    Raises :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    from fx_hooks.frameworks.wandb.registry import look_at  # it starts processes

    copies = [one for one in milestones if one.artifact is not None]
    addresses = [address for one in copies if (address := parse(one.artifact or "")) is not None]
    servers = _servers(copies, repository, index)
    for number, artifact in look_at(addresses) if addresses else ():
        one = copies[number]
        path, server = os.fsencode(one.path), servers.get(one.path, artifact.server)
        if artifact.problem:
            why = f"W&B has not confirmed {one.artifact}: {artifact.problem}"
            yield finding(path, "best-models-artifact-unknown", why)
        elif artifact.server != server:
            why = f"W&B has not confirmed {one.artifact}: it is at {server}, not {artifact.server}"
            yield finding(path, "best-models-artifact-unknown", why)
        elif artifact.fault:
            why = f"is a copy of {one.artifact}, which is gone: {artifact.fault}"
            yield finding(path, "best-models-artifact-gone", why)
        elif artifact.digest != one.artifact_digest:
            why = (
                f"is a copy of {one.artifact}, which has changed: its digest is"
                f" {artifact.digest}, and was {one.artifact_digest}"
            )
            yield finding(path, "best-models-artifact-changed", why)


def _servers(
    milestones: Sequence[Milestone], repository: Repository, index: Mapping[bytes, IndexEntry]
) -> dict[str, str]:
    """Return the servers that the staged metadata names, by the paths of the milestones."""
    blobs = {
        one.path: entry.blob
        for one in milestones
        if (entry := index.get(os.fsencode(metadata_path(one.path)))) is not None
    }
    contents = repository.heads(list(blobs.values()), MAX_BYTES)
    servers = {}
    for path, blob in blobs.items():
        try:
            server = at(parse_json(contents.get(blob, b"")), "artifact", "server")
        except NotStrict:
            continue  # which the check of the metadata says
        if isinstance(server, str):
            servers[path] = server
    return servers
