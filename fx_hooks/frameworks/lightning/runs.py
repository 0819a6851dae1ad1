"""The versions of Lightning's TensorBoard and CSV loggers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Details, Framework, RunKind
from fx_hooks.frameworks.run_files import read_yaml

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder

LIGHTNING = "Lightning version"

_NAME = re.compile(rb"version_\d+")
_FILES = {b"hparams.yaml", b"metrics.csv"}
_EVENTS = b"events.out.tfevents."


def _is_version(folder: Folder, _path: bytes, names: set[bytes]) -> bool:
    if _NAME.fullmatch(folder.name) is None:
        return False
    return bool(names & _FILES) or any(name.startswith(_EVENTS) for name in names)


def _details(place: bytes) -> Details:
    return Details(read_yaml(os.path.join(place, b"hparams.yaml")))


FRAMEWORK = Framework(
    name="Lightning",
    kinds=(
        RunKind(
            name=LIGHTNING, plural="Lightning versions", recognise=_is_version, details=_details
        ),
    ),
    usual_places=(b"logs", b"lightning_logs"),
)
