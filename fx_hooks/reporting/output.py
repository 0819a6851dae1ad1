"""The format and the place of a report: the options ``--format`` and ``--output``.

What writes a format is imported only when that format is asked for.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN, FOUND
from fx_hooks.util.terminal import Inert, in_json, on_github, wants_colour, without_commands

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from fx_hooks.reporting.text import Report

FORMATS = ("text", "json", "sarif", "github", "gitlab")


def add_options(parser: ArgumentParser) -> None:
    """Give *parser* the two options that every check has."""
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="the format of the report (default: text)"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write the report to FILE, and print it as text",
    )


class Output(NamedTuple):
    """A format and a place: ``file`` is None for standard output."""

    format: str = "text"
    file: str | None = None

    def deliver(self, report: Report, text: Callable[[bool], Iterable[str]]) -> int:
        """Write *report*, and return the exit code, which no format changes.

        *text* gives the lines for people, with or without colour. A file comes first, so
        that a reader who stops early does not keep it from being written.
        """
        # What it prints is guarded here, in one piece.
        stream = sys.stdout.stream if isinstance(sys.stdout, Inert) else sys.stdout
        if self.file is not None:
            lines = text(False) if self.format == "text" else _document(self.format, report)
            _write(self.file, "".join(f"{line}\n" for line in lines))
        if self.file is not None or self.format in ("text", "github"):
            lines = list(text(wants_colour(sys.stdout)))
            if self.format == "github" or on_github():
                lines = without_commands(lines)
            for line in lines:
                print(line, file=stream)
        if self.file is None:
            for line in _document(self.format, report):
                # What is not text is JSON, or the commands that GitHub is to obey.
                print(line if self.format == "github" else in_json(line), file=stream)
        return FOUND if report.findings else CLEAN


STANDARD = Output()


def begin(options: Namespace) -> Output:
    """Return the output that *options* ask for, and prepare it before the work begins.

    The file of an earlier run goes away now: whatever ends this one, an error or an
    interrupt, the old report must not pass for this run's.
    """
    if options.output is not None:
        try:
            if _is_regular(options.output):
                os.unlink(os.path.realpath(options.output))
            # Better now than after an hour's work.
            os.stat(os.path.dirname(os.path.realpath(options.output)))
        except OSError as exc:
            raise _unwritable(options.output, exc) from exc
    elif options.format != "text" and hasattr(sys.stdout, "reconfigure"):
        # For programs: they read UTF-8, whatever the machine's code page is.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return Output(options.format, options.output)


def _document(name: str, report: Report) -> list[str]:
    """Return the lines of *report* in the format *name*; none for text, which its check writes."""
    if name == "text":
        return []
    if name == "sarif":
        from fx_hooks.reporting.sarif import sarif_lines

        return sarif_lines(report)
    from fx_hooks.reporting import formats

    return {
        "json": formats.json_lines,
        "github": formats.github_lines,
        "gitlab": formats.gitlab_lines,
    }[name](report)


def _is_regular(name: str) -> bool:
    """Return True if *name* is a file; False for what is not there, and for a device or a pipe."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _write(name: str, text: str) -> None:
    from fx_hooks.util.files import replace_file

    data = text.encode("utf-8", "backslashreplace")
    try:
        if os.path.exists(name) and not _is_regular(name):
            # /dev/stdout or a pipe: nothing could be put in its place.
            with open(name, "wb") as file:
                file.write(data)
        else:
            replace_file(os.path.realpath(name), data, 0o666)
    except OSError as exc:
        raise _unwritable(name, exc) from exc


def _unwritable(name: str, exc: OSError) -> FatalError:
    return FatalError(f"{name}: cannot be written ({exc.strerror}): give --output another file")
