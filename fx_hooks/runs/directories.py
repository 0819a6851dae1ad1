"""Where a repository's own configuration tells Hydra and W&B to put their runs.

Hydra reads ``hydra.run.dir`` and ``hydra.sweep.dir`` from any of its YAML files, or
``run.dir`` and ``sweep.dir`` in one of a config group called ``hydra/``
(https://hydra.cc/docs/configure_hydra/workdir/). W&B puts ``wandb/`` below ``WANDB_DIR``,
or below the ``dir`` that ``wandb.init`` is given.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from typing import NamedTuple

from fx_hooks.errors import FatalError
from fx_hooks.policy.load import scalars

MAX_BYTES = 100_000  # configuration that a person wrote
_INTERPOLATION = re.compile(r"\$\{([^${}]*)\}")
# What stands for the folder that the repository is in.
_HERE = ("hydra:runtime.cwd", "oc.env:PROJECT_ROOT", "oc.env:PWD", "PWD")
_WANDB_DIR = re.compile(r"\bWANDB_DIR[\"']?\s*\]?\s*[=:]\s*[\"']?([^\s\"';#]+)")
_WANDB_INIT = re.compile(r"\bwandb\.init\([^()]*?\bdir\s*=\s*[\"']([^\"'{}]+)[\"']")
_DEFAULT_RUN = "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"
_SHELL = (".env", ".envrc", "Makefile", "Dockerfile")


class RunDirectory(NamedTuple):
    """A folder for runs, relative to the root; ``setting`` says where that is written."""

    path: str
    tool: str
    setting: str


def may_say_something(name: str) -> bool:
    """Whether the file of that path is one that is looked into."""
    return name.endswith((".yaml", ".yml", ".py", ".sh")) or posixpath.basename(name) in _SHELL


def run_directories(files: Mapping[str, bytes]) -> list[RunDirectory]:
    """What *files*, contents by path, say; each folder once."""
    values = {
        name: _settings(content, name)
        for name, content in files.items()
        if name.endswith((".yaml", ".yml"))
    }
    found: dict[str, RunDirectory] = {}
    for name, settings in values.items():
        in_group = "hydra" in posixpath.dirname(name).split("/")
        for key in ("hydra.run.dir", "hydra.sweep.dir") + ("run.dir", "sweep.dir") * in_group:
            if key in settings:
                value, line = settings[key]
                path = _folder(_resolved(value, values))
                if path:
                    found.setdefault(path, RunDirectory(path, "Hydra", f"{name}:{line}"))
    for name, content in files.items():
        if name in values:
            continue
        text = content.decode("utf-8", "replace")
        for match in (_WANDB_INIT if name.endswith(".py") else _WANDB_DIR).finditer(text):
            path = _folder(f"{match[1]}/wandb")
            line = text.count("\n", 0, match.start()) + 1
            if path:
                found.setdefault(path, RunDirectory(path, "W&B", f"{name}:{line}"))
    return list(found.values())


def run_patterns(files: Mapping[str, bytes]) -> list[re.Pattern[bytes]]:
    """What the paths of single runs look like, after ``run.dir`` and Hydra's own default.

    An interpolation that has no answer here stands for one part of a path or of its name.
    """
    values = {
        name: _settings(content, name)
        for name, content in files.items()
        if name.endswith((".yaml", ".yml"))
    }
    found = {_DEFAULT_RUN}
    for name, settings in values.items():
        in_group = "hydra" in posixpath.dirname(name).split("/")
        for key in ("hydra.run.dir", "run.dir")[: 1 + in_group]:
            if key in settings:
                found.add(_resolved(settings[key][0], values))
    patterns = [_path_pattern(value) for value in sorted(found) if _folder(value)]
    return [re.compile(os.fsencode(pattern), re.DOTALL) for pattern in patterns]


def _path_pattern(value: str) -> str:
    def part(match: re.Match[str]) -> str:
        if not match[1].startswith("now:"):
            return "\0any\0"
        return re.sub("%.", "\0digits\0", match[1][len("now:") :])

    path = posixpath.normpath(_INTERPOLATION.sub(part, value))
    return re.escape(path).replace("\0any\0", "[^/]+").replace("\0digits\0", r"\w+")


def _settings(content: bytes, name: str) -> dict[str, tuple[str, int]]:
    try:
        return {key: (value, line) for key, value, line in scalars(content, name)}
    except FatalError:
        return {}  # it is somebody else's file, and may be a template


def _resolved(
    value: str, values: Mapping[str, Mapping[str, tuple[str, int]]], depth: int = 5
) -> str:
    """*value* with the interpolations that config groups of the same name answer."""

    def answer(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name in _HERE:
            return "."
        group, _, key = name.partition(".")
        for file, settings in values.items():
            known = settings.get(name)
            if known is None and group == posixpath.basename(posixpath.dirname(file)):
                known = settings.get(key)
            if known is not None and depth:
                return _resolved(known[0], values, depth - 1)
        return match[0]

    return _INTERPOLATION.sub(answer, value)


def _folder(value: str) -> str:
    """The folder of the repository that all of *value* lies in; empty if there is none."""
    start, dollar, _ = value.partition("$")
    path = posixpath.normpath(start[: start.rfind("/") + 1] if dollar else start)
    if path in (".", "") or path.startswith(("/", "..", "~")) or "\n" in path:
        return ""
    return path
