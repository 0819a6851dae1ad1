"""The progress of work on many bytes: a bar with rate and rest, on a terminal only."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

Progress = Callable[[str, int, int], None]
_PAUSE = 0.1  # seconds between two lines


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress | None]:
    """Yield a function that takes a phase, bytes done and all bytes; None without a terminal.

    The bar goes to standard error, and away at the end.
    """
    if not sys.stderr.isatty():
        yield None
        return
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:  # it is not worth an error
        yield None
        return
    console = Console(stderr=True)
    columns: list[progress.ProgressColumn] = [
        progress.TextColumn("{task.description}"),
        progress.TaskProgressColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(compact=True),
    ]
    if console.width >= 70:
        columns[1:1] = [progress.BarColumn(None), progress.DownloadColumn(binary_units=True)]
    with progress.Progress(*columns, console=console, transient=True, expand=True) as bar:
        yield Throttled(bar.add_task, bar.update)


class Throttled:
    """A task a phase; small files come by thousands, and a person reads slowly."""

    def __init__(self, add: Callable[..., object], update: Callable[..., object]) -> None:
        self._add = add
        self._update = update
        self._tasks: dict[str, object] = {}
        self._next = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._add(phase, total=total)
        now = time.monotonic()
        if now >= self._next or done >= total:
            self._next = now + _PAUSE
            self._update(self._tasks[phase], completed=done, total=total)
