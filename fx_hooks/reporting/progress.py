"""The progress of long work, in one line on a terminal.

It is a few lines of its own because the hooks may not depend on rich.
"""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO

# Seconds before the first line, so that quick work flashes nothing, and between two lines.
PATIENCE, PAUSE = 0.5, 0.1
_WIDTH = 24


class Progress:
    """Call it with what is being done and how much of it is; silent where that is not a terminal.

    As a context manager it takes its line away at the end, however that comes. ``shows`` says
    whether anybody sees it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.shows = stream.isatty()
        self._next = time.monotonic() + PATIENCE
        self._drawn = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._write("")
            self._stream.write("\r")

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        """Say that *done* of *total* (None: unknown) have been *what*."""
        if not self.shows:
            return
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PAUSE
        self._write(progress_line(what, done, total, shutil.get_terminal_size().columns))

    def _write(self, text: str) -> None:
        # Blanks over what was there before: not every terminal knows how to erase.
        self._stream.write(f"\r{text:<{self._drawn}}")
        self._stream.flush()
        self._drawn = len(text)


def progress_line(what: str, done: int, total: int | None, columns: int) -> str:
    """One line of less than *columns* characters: a bar where the *total* is known."""
    if not total:
        return f"{what}: {done:,}"[: columns - 1]
    part = min(done / total, 1.0)
    filled = int(part * _WIDTH)
    bar = "#" * filled + "." * (_WIDTH - filled)
    return f"{what} [{bar}] {int(part * 100):3} %  {done:,} of {total:,}"[: columns - 1]
