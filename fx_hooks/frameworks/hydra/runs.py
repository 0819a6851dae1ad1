"""Hydra's jobs and sweeps."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fx_hooks.frameworks.framework import (
    Details,
    Ending,
    Evidence,
    Framework,
    Proof,
    Role,
    RunKind,
    State,
)
from fx_hooks.frameworks.hydra.output import job_patterns, output_folders
from fx_hooks.frameworks.run_files import at, named_time, read_tail, read_yaml
from fx_hooks.util.paths import parents, shown

if TYPE_CHECKING:
    from fx_hooks.util.disk import Folder, Scan

HYDRA_JOB = "Hydra job"
HYDRA_SWEEP = "Hydra sweep"

SUBFOLDER = b".hydra"
# hydra/core/utils.py: run_job
_FILES = {b"config.yaml", b"hydra.yaml", b"overrides.yaml"}
# outputs/2024-01-31/23-59-59, runs/2024-01-31_23-59-59: nobody keeps a package there.
_DATED = re.compile(rb"(?:^|/)(\d{4}-\d{2}-\d{2})[/_](\d{2}-\d{2}-\d{2})\Z")
_TRACEBACK = b"Traceback (most recent call last):"
# hydra/conf/hydra/job_logging/default.yaml: [%(asctime)s][%(name)s][%(levelname)s] - %(message)s
_RECORD = re.compile(
    rb"^\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[^\]\n]*\]"
    rb"(?:\[[^\]\n]*\]\[(?P<level>[A-Z]+)\])?",
    re.MULTILINE,
)
# After an exception that ends the program: a few lines, at once.
_LAST_WORDS, _LAST_SECONDS = 3, 60


def is_dated(path: bytes) -> bool:
    """Return whether *path* is a time to the second, as Hydra names the folder of a job."""
    return _DATED.search(path) is not None


def _named(path: bytes) -> float | None:
    """Return the time in the name of a job, or of its sweep."""
    found = (_DATED.search(place) for place in (path, *reversed(parents(path))))
    match = next(filter(None, found), None)
    return named_time(b" ".join(match.groups()), "%Y-%m-%d %H-%M-%S") if match else None


def _is_job(folder: Folder, _path: bytes, _names: set[bytes]) -> bool:
    hydra = folder.folders.get(SUBFOLDER)
    return hydra is not None and bool(_FILES & set(hydra.names()))


def _is_sweep(folder: Folder, _path: bytes, names: set[bytes]) -> bool:
    return b"multirun.yaml" in names and any(_is_job(each, b"", set()) for each in folder.walk())


def _job_details(place: bytes) -> Details:
    hydra = os.path.join(place, SUBFOLDER)
    config = read_yaml(os.path.join(hydra, b"config.yaml"))
    overrides = read_yaml(os.path.join(hydra, b"overrides.yaml"))
    command, directory = _start(read_yaml(os.path.join(hydra, b"hydra.yaml")), overrides)
    return Details(config, overrides, command=command, directory=directory)


def _start(settings: Any, overrides: Any, *options: str) -> tuple[tuple[str, ...], str]:
    """Return the command of a job and where it was given, after its ``hydra.yaml``.

    A job is called as its program is (hydra/core/utils.py: detect_task_name), unless
    ``hydra.job.name`` says otherwise: then there is no such program.
    """
    job, runtime = (at(settings, "hydra", part) for part in ("job", "runtime"))
    name, config_name, directory = at(job, "name"), at(job, "config_name"), at(runtime, "cwd")
    if not isinstance(name, str) or not isinstance(directory, str):
        return (), ""
    words = [f"{name}.py", *options]
    if isinstance(config_name, str):
        words.append(f"--config-name={config_name}")
    words += [word for word in overrides or () if isinstance(word, str)]
    return tuple(words), directory.rstrip("/\\") + "/"


def _sweep_details(place: bytes) -> Details:
    config = read_yaml(os.path.join(place, b"multirun.yaml"))
    overrides = at(config, "hydra", "overrides", "task")
    command, directory = _start(config, overrides, "--multirun")
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if key != "hydra"}
    return Details(config, overrides, command=command, directory=directory)


def _job_endings(tree: Scan) -> Callable[[Folder], Ending]:
    return lambda folder: _job_ending(folder, tree.root)


def _job_ending(folder: Folder, root: bytes) -> Ending:
    """Return what a job left: its log ends in a traceback, or nothing is known against it.

    Hydra itself writes no word of how a job ended, and no traceback into its log: only a
    program that logs its exceptions says so.
    """
    evidence = []
    for name in folder.names():
        if name.endswith(b".log"):
            tail = read_tail(os.path.join(root, folder.path, name))
            read = os.fsdecode(folder.path + b"/" + name)
            if tail is None:
                evidence.append(Evidence(read, "it cannot be read", Proof.NOTHING))
            elif _ends_in_traceback(tail):
                said = Evidence(read, "it ends in a traceback", Proof.ENDED)
                reason = f"{shown(name)} ends in a traceback"
                return Ending(State.FAILED, reason, True, (said,))
            else:
                evidence.append(Evidence(read, "it does not end in a traceback", Proof.NOTHING))
    return Ending(State.FINISHED, "nothing writes to it any more", False, tuple(evidence))


def _ends_in_traceback(tail: bytes) -> bool:
    """Return whether the last words are a traceback, or come right after one.

    Who logs an exception may say where the output is before the program ends: the
    Lightning-Hydra template's ``task_wrapper`` logs "Output dir: ..." and "Closing wandb!"
    (src/utils/utils.py). A program that went on logs more, or later.
    """
    start = tail.rfind(_TRACEBACK)
    if start < 0:
        return False
    after = list(_RECORD.finditer(tail, start))
    if not after:
        return True
    before = list(_RECORD.finditer(tail, 0, start))
    if len(after) > _LAST_WORDS or not before:
        return False
    if before[-1]["level"] not in (b"ERROR", b"CRITICAL"):
        return False
    first, last = _time(before[-1]), _time(after[-1])
    if first is None or last is None:
        return False
    return 0 <= (last - first).total_seconds() <= _LAST_SECONDS


def _time(record: re.Match[bytes]) -> datetime | None:
    try:
        return datetime.strptime(record["time"].decode(), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None


FRAMEWORK = Framework(
    name="Hydra",
    kinds=(
        RunKind(
            name=HYDRA_SWEEP,
            plural="Hydra sweeps",
            recognise=_is_sweep,
            details=_sweep_details,
            role=Role.GROUP,
        ),
        RunKind(
            name=HYDRA_JOB,
            plural="Hydra jobs",
            recognise=_is_job,
            endings=_job_endings,
            details=_job_details,
            named=_named,
            patterns=job_patterns,
            role=Role.JOB,
            first_folder=SUBFOLDER,
        ),
    ),
    usual_places=(b"outputs", b"multirun"),
    output_rule="hydra-run-dir",
    output_folders=output_folders,
)
