"""What W&B's server confirms of runs, remembered for as long as a plan and its ``--yes`` take."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Confirmation, Outcome
from fx_hooks.frameworks.wandb.server import ask
from fx_hooks.frameworks.wandb.verification import Local, differences, read_local
from fx_hooks.reporting.layout import plural
from fx_hooks.runs.layouts import WANDB_RUN
from fx_hooks.util.files import replace_file
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fx_hooks.runs.inventory import Survey
    from fx_hooks.util.disk import Folder

NAME = b"fx-hooks.confirmed.json"
# For so long an answer is not asked for again, if nothing in the run has changed.
KEPT = 3600.0


def ask_for(
    found: Survey,
    paths: Iterable[bytes],
    git_directory: bytes,
    progress: Callable[[int], None] | None = None,
) -> Mapping[bytes, Confirmation]:
    """Return what W&B says of its runs at *paths*; what is neither there nor W&B's is left out.

    Answers are kept in *git_directory* for an hour. Raises
    :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    kept = _Kept(git_directory)
    wanted = set(paths)
    answers: dict[bytes, Confirmation] = {}
    asked: list[tuple[bytes, str, Local]] = []
    for run in found.runs:
        folder = found.scan.find(run.path)
        if run.kind != WANDB_RUN or run.path not in wanted or folder is None:
            continue
        mark = _mark(folder)
        known = kept.get(run.path, mark)
        local = read_local(folder, found.root) if known is None else None
        if known is not None:
            answers[run.path] = known
        elif local is None:
            answers[run.path] = Confirmation(Outcome.UNKNOWN, "its log cannot be read")
        else:
            asked.append((run.path, mark, local))
    try:
        questions = [local.question for _, _, local in asked]
        for number, answer in ask(questions) if questions else ():
            path, mark, local = asked[number]
            if answer.problem:
                answers[path] = Confirmation(Outcome.UNKNOWN, answer.problem)
            else:
                answers[path] = _outcome(local, list(differences(local, answer)))
                kept.add(path, mark, answers[path])
            if progress is not None:
                progress(len(answers))
    finally:
        kept.write()
    return answers


def _outcome(local: Local, different: Sequence[str]) -> Confirmation:
    if different:
        more = f", and {len(different) - 1:,} more" if len(different) > 1 else ""
        return Confirmation(Outcome.DIFFERENT, one_line(different[0]) + more)
    steps, files = local.sent.steps, len(local.files)
    return Confirmation(
        Outcome.CONFIRMED,
        f"W&B has confirmed it: {plural(steps, 'step')} and {plural(files, 'file')}",
    )


def _mark(folder: Folder) -> str:
    """Return what changes when something in the run does."""
    size = folder.size()
    written = sum(file[3] for inner in folder.walk() for file in inner.files)
    return f"{size.files} {size.bytes} {size.newest:.6f} {written:.6f}"


class _Kept:
    """The answers of the last hour. A file that another may have written is not read."""

    def __init__(self, git_directory: bytes) -> None:
        self._path = os.path.join(git_directory, NAME)
        self._new = False
        self._answers: dict[str, list[object]] = {}
        now = time.time()
        for path, entry in self._read().items():
            match entry:
                case [str(), float() as asked, "confirmed" | "different", str()] if (
                    0 <= now - asked < KEPT
                ):
                    self._answers[path] = list(entry)

    def _read(self) -> dict[str, object]:
        try:
            with open(self._path, "rb") as file:
                state = os.fstat(file.fileno())
                if sys.platform != "win32" and (
                    state.st_uid != os.geteuid() or state.st_mode & 0o022
                ):
                    return {}
                content = json.load(file)
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def get(self, path: bytes, mark: str) -> Confirmation | None:
        entry = self._answers.get(os.fsdecode(path))
        if entry is None or entry[0] != mark:
            return None
        return Confirmation(Outcome(entry[2]), str(entry[3]))

    def add(self, path: bytes, mark: str, answer: Confirmation) -> None:
        self._new = True
        self._answers[os.fsdecode(path)] = [mark, time.time(), *answer]

    def write(self) -> None:
        if self._new:
            with contextlib.suppress(OSError):  # then W&B is asked again
                replace_file(self._path, json.dumps(self._answers).encode(), 0o600)
