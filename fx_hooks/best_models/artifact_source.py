"""A model that is to become a milestone: a file here, or one that W&B has in an artifact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.best_models.provenance import Provenance, figures_of
from fx_hooks.frameworks.wandb.address import SCHEME, parse
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from fx_hooks.frameworks.wandb.registry import Artifact, Progress


class Source(NamedTuple):
    """A model on disk; *artifact* is what it was fetched from."""

    file: str
    artifact: Artifact | None = None

    @property
    def address(self) -> str | None:
        """Its place at W&B, with the number of the version."""
        return None if self.artifact is None else str(self.artifact.address)

    @property
    def digest(self) -> str | None:
        """The digest of all of its artifact."""
        return None if self.artifact is None else self.artifact.digest

    @property
    def run(self) -> str:
        """The run that logged its artifact, as W&B calls it; empty where that is not known."""
        wandb = self._told("wandb")
        return "{entity}/{project}/{id}".format_map(wandb) if wandb else ""

    def provenance(self) -> Provenance:
        """Return what W&B says of the run that logged its artifact."""
        return Provenance(
            config=self._told("config") or None,
            performance=figures_of(self._told("metrics")),
            wandb={key: str(value) for key, value in self._told("wandb").items()},
            commit=str(self.artifact.run.get("commit") or "") if self.artifact else "",
        )

    def _told(self, key: str) -> Mapping[str, Any]:
        told = self.artifact.run.get(key) if self.artifact is not None else None
        return told if isinstance(told, dict) else {}

    def record(self) -> dict[str, str] | None:
        """Return what the metadata says of its artifact."""
        if self.artifact is None:
            return None
        return {
            "address": str(self.artifact.address),
            "version": self.artifact.address.version,
            "digest": self.artifact.digest,
            "server": self.artifact.server,
        }


@contextmanager
def source_of(
    text: str, is_model: Callable[[str], bool], progress: Progress | None = None
) -> Iterator[Source]:
    """Yield the model that *text* names; what is fetched for that goes at the end of the block."""
    address = parse(text)
    if address is None:
        if text.startswith(SCHEME) and not os.path.lexists(text):
            raise FatalError(
                f"{text}: write wandb:ENTITY/PROJECT/ARTIFACT:VERSION, and /FILE for one of its"
                " files"
            )
        yield Source(text)
        return
    from fx_hooks.frameworks.wandb.registry import fetched  # it starts processes

    with fetched(address, is_model, progress) as (file, artifact):
        yield Source(file, artifact)
