"""Shared by all commands: the head of the parser, and the exit codes."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from fx_hooks import __version__
from fx_hooks.fastpath import interpreter
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import FATAL, INTERRUPTED
from fx_hooks.util.paths import shown
from fx_hooks.util.terminal import (
    Inert,
    command_lines,
    complain,
    on_github,
    one_line,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import ParamSpec

    P = ParamSpec("P")

# Errors that nothing but writing has.
_OF_WRITING = {errno.ENOSPC, errno.EFBIG, errno.EROFS}
# What Python says where the system refuses one; it has no class of its own.
_NO_THREAD = "can't start new thread"


def command_parser(
    name: str,
    description: str,
    exit_codes: str,
    *,
    failed: str = "usage, policy or git error",
    usage: str | None = None,
) -> argparse.ArgumentParser:
    """Return the parser of the command *name*, with the options that every command has.

    *exit_codes* says what 0 and 1 mean, *failed* what 2 means; 130 means the same everywhere.
    *usage* replaces the line that argparse makes up.
    """
    import argparse  # not for a hook that is given names alone

    parser = argparse.ArgumentParser(
        prog=name,
        usage=usage,
        description=description,
        epilog=f"Exit code {exit_codes}; 2: {failed}; 130: interrupted.",
        allow_abbrev=False,
        formatter_class=functools.partial(argparse.HelpFormatter, width=_columns() - 2),
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _columns() -> int:
    """Return the width of the terminal, as argparse does, which imports all of shutil for it."""
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns > 0:
        return columns
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    """Give *parser* the option for a policy from another file."""
    parser.add_argument("--policy", metavar="FILE", help="use this file, not .fx-hooks.yaml")


def add_format_option(parser: argparse.ArgumentParser, what: str = "the output") -> None:
    """Give *parser* the option that makes *what* JSON, for a command that reports no findings."""
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help=f"the format of {what} (default: text)",
    )


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
    interpreter.go_on()
    for stream in ("stdin", "stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, open(os.devnull, "r+", encoding="utf-8"))  # noqa: SIM115
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):
            # A name that the terminal cannot show must not end in a traceback.
            output.reconfigure(errors="backslashreplace")
    if on_github() and not isinstance(sys.stdout, Inert):
        with contextlib.redirect_stdout(cast("TextIO", Inert(sys.stdout))):
            return _worked(name, work)
    return _worked(name, work)


def _worked(name: str, work: Callable[[], int]) -> int:
    try:
        try:
            code = work()
        except SystemExit as exc:
            code = int(exc.code or 0)
        sys.stdout.flush()
        return _end(code)
    except FatalError as exc:
        said = [f"{name}: error: {one_line(str(exc))}", *command_lines(exc.commands)]
        return _end(FATAL, "\n".join(said))
    except KeyboardInterrupt as exc:
        return _end(INTERRUPTED, ": ".join((name, "interrupted", *map(str, exc.args))))
    except BrokenPipeError:
        # Whoever read has seen enough.
        return _end(FATAL)
    except OSError as exc:
        return _end(FATAL, f"{name}: error: {_said(exc)}")
    except MemoryError:
        return _end(FATAL, f"{name}: error: there is not enough memory")
    except RuntimeError as exc:
        if str(exc) != _NO_THREAD:
            raise
        return _end(FATAL, f"{name}: error: no more threads can be started: see ulimit -u and -v")


def _said(exc: OSError) -> str:
    """Return what failed, as far as that is known: a file, the output, or neither."""
    if exc.filename is not None:
        return f"{shown(os.fsencode(exc.filename))}: {exc.strerror}"
    if exc.errno in _OF_WRITING:
        return f"cannot write: {exc.strerror}"
    try:
        # What could not be written may be held back, and fails once more.
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
