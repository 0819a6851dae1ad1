"""The places where a configuration tells Hydra to put its runs.

Hydra reads ``hydra.run.dir`` and ``hydra.sweep.dir`` from any of its YAML files, or
``run.dir`` and ``sweep.dir`` in one of a config group called ``hydra/``
(https://hydra.cc/docs/configure_hydra/workdir/), or from the command line.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fx_hooks.frameworks.configuration import INTERPOLATION, VALUE, folder_of, value_of
from fx_hooks.frameworks.framework import RunDirectory
from fx_hooks.util.paths import shown

if TYPE_CHECKING:
    from fx_hooks.frameworks.configuration import Configuration

_OVERRIDE = re.compile(
    r"(?<![\w.])(?:(?P<quote>[\"'])hydra\.(?:run|sweep)\.dir=(?P<quoted>.*?)(?P=quote)"
    r"|hydra\.(?:run|sweep)\.dir=" + VALUE + ")"
)
# Hydra itself sets these, in what it saves of each run below `hydra.output_subdir`
# (https://hydra.cc/docs/configure_hydra/intro/, "hydra.runtime").
_SAVED = frozenset({"hydra.runtime.output_dir", "hydra.runtime.cwd"})
_DEFAULT_RUN = "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"


def output_folders(configuration: Configuration) -> Iterator[RunDirectory]:
    """Yield the folders of jobs and sweeps that YAML files and commands name."""
    for name, values in configuration.settings.items():
        if _SAVED & values.keys():
            continue
        for key in ("hydra.run.dir", "hydra.sweep.dir"):
            if key in values:
                value, line = values[key]
                yield from _directory(configuration.resolved(value), name, line)
    for name, line, text in configuration.lines(".dir="):
        for match in _OVERRIDE.finditer(text) if name not in configuration.settings else ():
            yield from _directory(configuration.resolved(value_of(match)), name, line)


def _directory(value: str, name: str, line: int) -> Iterator[RunDirectory]:
    path = folder_of(value)
    if path:
        yield RunDirectory(path, "Hydra", f"{shown(os.fsencode(name))}:{line}")


def job_patterns(configuration: Configuration) -> list[str]:
    """Return what the paths of single jobs look like, after ``run.dir`` and Hydra's own default.

    An interpolation that has no answer here stands for one part of a path or of its name.
    """
    found = {_DEFAULT_RUN}
    for values in configuration.settings.values():
        if "hydra.run.dir" in values and not _SAVED & values.keys():
            found.add(configuration.resolved(values["hydra.run.dir"][0]))
    return [_path_pattern(value) for value in sorted(found) if folder_of(value)]


def _path_pattern(value: str) -> str:
    def part(match: re.Match[str]) -> str:
        if not match[1].startswith("now:"):
            return "\0any\0"
        return re.sub("%.", "\0digits\0", match[1][len("now:") :])

    path = posixpath.normpath(INTERPOLATION.sub(part, value))
    return re.escape(path).replace("\0any\0", "[^/]+").replace("\0digits\0", r"\w+")
