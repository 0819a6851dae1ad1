"""The client of W&B, in a process of its own.

It starts threads and a service of its own, prints, makes folders, and tries again for minutes. So
it is stopped where it takes too long, and what it makes lies in a folder that goes with it. Key,
host and entity are those that it finds by itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from fx_hooks.util.errors import FatalError
from fx_hooks.util.extras import install_command
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Q = TypeVar("Q")
A = TypeVar("A")
# For an answer after the one before; the client itself tries again within that.
PATIENCE = 60.0
_REQUEST = 20  # seconds
_AT_ONCE = 8


class Silent(Exception):
    """The client has not answered in time, or has ended; the text says which."""


@contextlib.contextmanager
def client(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[Any, str]]:
    """Start *work* with a connection, a folder for its files and *arguments*; yield both ends.

    Raises :class:`~fx_hooks.util.errors.FatalError` without the ``wandb`` package.
    """
    if find_spec("wandb") is None:
        raise FatalError("W&B is asked through its own package", install_command("wandb"))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    process = context.Process(target=work, args=(theirs, place.name, *arguments), daemon=True)
    try:
        process.start()
        theirs.close()
        yield ours, place.name
    finally:
        if process.pid is not None:  # else an interruption came before it was started
            process.kill()
            process.join()
        ours.close()
        place.cleanup()


def receive(connection: Connection, seconds: float | None = None) -> Any:
    """Return what the client says next; raises :class:`Silent`."""
    patience = PATIENCE if seconds is None else seconds
    try:
        if connection.poll(max(patience, 0)):
            return connection.recv()
    except (EOFError, OSError):
        raise Silent("the client of W&B ended without an answer") from None
    raise Silent(f"W&B did not answer within {PATIENCE:g} seconds")


def ask_all(
    ask: Callable[[Any, Q], A], questions: Sequence[Q], unknown: Callable[[str], A]
) -> Iterator[tuple[int, A]]:
    """Yield what *ask* returns for the client and each question, as it comes, with its number.

    *unknown* makes an answer of the reason why there is none.
    """
    waiting = set(range(len(questions)))
    problem = ""
    with client(_ask_all, ask, list(questions)) as (connection, _):
        while waiting:
            number, answer = _next(connection)
            if number is None:
                problem = answer
                break
            waiting.discard(number)
            yield number, answer
    for number in sorted(waiting):
        yield number, unknown(problem)


def _next(connection: Connection) -> Any:
    try:
        return receive(connection)
    except Silent as exc:
        return None, str(exc)


def _ask_all(
    connection: Connection, place: str, ask: Callable[[Any, Q], A], questions: Sequence[Q]
) -> None:
    """Ask all of *questions*, as the process of its own."""
    from concurrent.futures import ThreadPoolExecutor, as_completed  # slow to load

    try:
        api = begin(place)
    except Exception as exc:
        connection.send((None, said(exc)))
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {pool.submit(ask, api, question): at for at, question in enumerate(questions)}
        for done in as_completed(asked):
            connection.send((asked[done], done.result()))


def begin(place: str) -> Any:
    """Return the client, silenced, as the process of its own; it raises all kinds of errors.

    *place* is for the folders that it makes: some of its own, and one for each run.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.environ["TMPDIR"] = tempfile.tempdir = place
    # Where it keeps copies of what it downloads and uploads.
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
        os.environ[name] = os.path.join(place, name.lower())
    import wandb

    api: Any = wandb.Api(timeout=_REQUEST)
    # Only now: until then the client looks there for its settings.
    os.environ["WANDB_DIR"] = place
    return api


def said(exc: Exception) -> str:
    """Return what an error of the client says, as a part of a sentence."""
    first = next(iter(str(exc).splitlines()), "")
    return one_line(f"W&B cannot be asked: {first or type(exc).__name__}")
