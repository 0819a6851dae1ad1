"""Runs as W&B's server has them, asked through the public API of the ``wandb`` package.

Nothing but names of runs is sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fx_hooks.frameworks.wandb.client import ask_all, said


class Question(NamedTuple):
    """A run by its names; W&B fills in an empty ``entity``."""

    entity: str
    project: str
    run_id: str
    with_artifacts: bool


class Answer(NamedTuple):
    """A run as the server has it.

    ``problem`` says why that is not known, and is mostly empty. ``files`` are sizes in bytes and
    MD5 sums by name, ``artifacts`` the digests of those that are committed.
    """

    exists: bool = False
    state: str = ""
    steps: int = 0
    summary: Mapping[str, Any] = {}
    files: Mapping[str, tuple[int, str]] = {}
    artifacts: frozenset[str] = frozenset()
    problem: str = ""


def ask(questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
    """Yield the answers as they come, each with the number of its question.

    Raises :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    yield from ask_all(_answer, questions, lambda problem: Answer(problem=problem))


def _answer(api: Any, question: Question) -> Answer:
    path = "/".join(filter(None, (question.entity, question.project, question.run_id)))
    try:
        run = api.run(path)
        return Answer(
            True,
            str(run.state),
            int(run.historyLineCount or 0),
            summary_of(run),
            {file.name: (int(file.size), str(file.md5)) for file in run.files(per_page=500)},
            frozenset(_committed(run) if question.with_artifacts else ()),
        )
    except Exception as exc:
        return Answer() if is_missing(exc) else Answer(problem=said(exc))


def summary_of(run: Any) -> dict[str, Any]:
    """Return the summary of a run of the client's."""
    summary = run.summaryMetrics
    return json.loads(summary or "{}") if isinstance(summary, str) else dict(summary or {})


def is_missing(exc: Exception) -> bool:
    """Return True if the server has no such run."""
    # Errors of the client have no class for this in all of its versions.
    return "could not find run" in str(exc).lower()


def _committed(run: Any) -> Iterator[str]:
    for artifact in run.logged_artifacts():
        # Of others the client knows no digest. In some of its versions a state is an enum.
        if getattr(artifact.state, "value", artifact.state) == "COMMITTED":
            yield artifact.digest
