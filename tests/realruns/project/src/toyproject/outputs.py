"""Write what a run leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toyproject.logs.models import Record


def write_outputs(directory: Path, *, config: str, records: list[Record], weights: Path) -> None:
    """Write the configuration, the metrics and the weights of a run into its directory."""
    (directory / "config_used.yaml").write_text(config)
    metrics = [record._asdict() for record in records]
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    shutil.copyfile(weights / "state_dict.pt", directory / "model.pt")
    shutil.copyfile(weights / "lightning.ckpt", directory / "last.ckpt")
