"""What W&B's server has of runs, asked through the public API of the ``wandb`` package.

The client starts threads and a service of its own, prints, makes folders, and tries again for
minutes. So it is asked in a process of its own, which is stopped where it takes too long. Key,
host and entity are those that the client finds by itself; nothing but names of runs is sent.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from fx_hooks.util.errors import FatalError
from fx_hooks.util.extras import install_command
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# For an answer after the one before; the client itself tries again within that.
PATIENCE = 60.0
_AT_ONCE = 8
_REQUEST = 20  # seconds
_NOT_THERE = "could not find run"


class Question(NamedTuple):
    """A run by its names; W&B fills in an empty ``entity``."""

    entity: str
    project: str
    run_id: str
    with_artifacts: bool


class Answer(NamedTuple):
    """What the server has of a run.

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
    if find_spec("wandb") is None:
        raise FatalError("--verify asks W&B through its own package", install_command("wandb"))
    waiting = set(range(len(questions)))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    arguments = (theirs, list(questions), place.name)
    process = context.Process(target=_answer_all, args=arguments, daemon=True)
    process.start()
    theirs.close()
    problem = f"W&B did not answer within {PATIENCE:g} seconds"
    try:
        while waiting and ours.poll(PATIENCE):
            number, answer = ours.recv()
            waiting.discard(number)
            yield number, answer
    except (EOFError, OSError):
        problem = "the client of W&B ended without an answer"
    finally:
        process.kill()
        process.join()
        ours.close()
        place.cleanup()
    for number in sorted(waiting):
        yield number, Answer(problem=problem)


def _answer_all(connection: Connection, questions: Sequence[Question], place: str) -> None:
    """Ask for all of *questions*, as the process of its own.

    *place* is for the folders that the client makes: some of its own, and one for each run.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.environ["TMPDIR"] = tempfile.tempdir = place
    try:
        import wandb

        api: Any = wandb.Api(timeout=_REQUEST)
    except Exception as exc:
        answer = Answer(problem=_said(exc))
        for number in range(len(questions)):
            connection.send((number, answer))
        return
    # Only now: until then the client looks there for its settings.
    os.environ["WANDB_DIR"] = place
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {
            pool.submit(_answer, api, question): number for number, question in enumerate(questions)
        }
        for done in as_completed(asked):
            connection.send((asked[done], done.result()))


def _answer(api: Any, question: Question) -> Answer:
    path = "/".join(filter(None, (question.entity, question.project, question.run_id)))
    try:
        run = api.run(path)
        summary = run.summaryMetrics
        return Answer(
            True,
            str(run.state),
            int(run.historyLineCount or 0),
            json.loads(summary or "{}") if isinstance(summary, str) else dict(summary or {}),
            {file.name: (int(file.size), str(file.md5)) for file in run.files(per_page=500)},
            frozenset(_committed(run) if question.with_artifacts else ()),
        )
    except Exception as exc:
        # Errors of the client have no class for this in all of its versions.
        text = _said(exc)
        return Answer() if _NOT_THERE in text.lower() else Answer(problem=text)


def _committed(run: Any) -> Iterator[str]:
    for artifact in run.logged_artifacts():
        # Of others the client knows no digest. In some of its versions a state is an enum.
        if getattr(artifact.state, "value", artifact.state) == "COMMITTED":
            yield artifact.digest


def _said(exc: Exception) -> str:
    first = next(iter(str(exc).splitlines()), "")
    return one_line(f"W&B cannot be asked: {first or type(exc).__name__}")
