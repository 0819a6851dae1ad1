"""A tracker's answers about runs, kept for as long as a plan and its ``--yes`` take."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from fx_hooks.frameworks.framework import Confirmation, Outcome
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.util.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    """Return what the servers of trackers say of their runs at *paths*.

    Answers are kept in *git_directory* for an hour. Raises
    :class:`~fx_hooks.util.errors.FatalError` without the package that asks.
    """
    kept = _Kept(git_directory)
    wanted = set(paths)
    answers: dict[bytes, Confirmation] = {}
    waiting: dict[str, list[tuple[Folder, str]]] = {}
    for run in found.runs:
        folder = found.scan.find(run.path)
        if run.path in wanted and KINDS[run.kind].confirm is not None and folder is not None:
            mark = _mark(folder)
            known = kept.get(run.path, mark)
            if known is not None:
                answers[run.path] = known
            else:
                waiting.setdefault(run.kind, []).append((folder, mark))
    try:
        for kind, asked in waiting.items():
            confirm = KINDS[kind].confirm
            assert confirm is not None
            for number, answer in confirm([folder for folder, _ in asked], found.root):
                folder, mark = asked[number]
                answers[folder.path] = answer
                if answer.outcome is not Outcome.UNKNOWN:
                    kept.add(folder.path, mark, answer)
                if progress is not None:
                    progress(len(answers))
    finally:
        kept.write()
    return answers


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
