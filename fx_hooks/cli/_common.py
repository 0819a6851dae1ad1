"""What all commands share: how they end, and how they write."""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, TextIO

from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import FATAL, INTERRUPTED
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import complain, one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    P = ParamSpec("P")


def entry_point(name: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorate the main function of the command *name*, so that it always ends in its exit code.

    That includes the ends of :mod:`argparse`: usage errors, ``--help`` and ``--version``.
    """

    def decorate(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def run(*args: P.args, **options: P.kwargs) -> int:
            return guarded(name, lambda: main(*args, **options))

        return run

    return decorate


def guarded(name: str, work: Callable[[], int]) -> int:
    """Run *work* and return its exit code; expected failures become one line each."""
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):
            # A name that the terminal cannot show must not end in a traceback.
            output.reconfigure(errors="backslashreplace")
    try:
        try:
            code = work()
        except SystemExit as exc:
            code = int(exc.code or 0)
        sys.stdout.flush()
        return _end(code)
    except FatalError as exc:
        return _end(FATAL, f"{name}: error: {one_line(str(exc))}")
    except KeyboardInterrupt:
        return _end(INTERRUPTED, f"{name}: interrupted")
    except BrokenPipeError:
        # Whoever read has seen enough.
        return _end(FATAL)
    except OSError as exc:
        return _end(FATAL, f"{name}: error: {_said(exc)}")


def _said(exc: OSError) -> str:
    """Return what failed, as far as that is known: a file, the output, or neither."""
    if exc.filename is not None:
        return f"{shown(os.fsencode(exc.filename))}: {exc.strerror}"
    try:
        # What could not be written is still held, and fails once more.
        sys.stdout.flush()
    except OSError:
        return f"cannot write: {exc.strerror}"
    return exc.strerror or type(exc).__name__


def _end(code: int, message: str = "") -> int:
    """Print *message* to standard error, if that takes it, and return *code*."""
    if message:
        complain(message)
    _flush_or_drop(sys.stdout)
    _flush_or_drop(sys.stderr)
    return code


def _flush_or_drop(stream: TextIO) -> None:
    """Write what *stream* holds; drop it where nothing takes it.

    The interpreter would try once more as it exits, fail, and exit with a code of its own, 120.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
