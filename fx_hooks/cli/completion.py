"""``fx-hooks completion``: what a shell needs to complete all commands and their options."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from fx_hooks import cli
from fx_hooks.cli._common import command_parser, entry_point
from fx_hooks.util.errors import FatalError
from fx_hooks.util.exit_codes import CLEAN
from fx_hooks.util.extras import install_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "fx-hooks completion"
# All of them can take several definitions from one text.
SHELLS = ("bash", "zsh", "fish")
# Arguments of these names are paths.
_PATHS = {"ARCHIVE", "FILE", "PATH", "RUN"}


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = command_parser(
        NAME,
        "Print a script with which your shell completes all commands. In bash and zsh:"
        ' eval "$(fx-hooks completion bash)"; in fish: fx-hooks completion fish | source.',
        "0",
        failed="usage error, or shtab is missing",
    )
    parser.add_argument("shell", choices=SHELLS)
    return parser


@entry_point(NAME)
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2: usage error, or shtab is missing."""
    options = make_parser().parse_args(argv)
    try:
        import shtab
    except ImportError as exc:
        how = install_command("completion")
        raise FatalError(f"completion needs shtab: {how}") from exc
    commands = list(_parsers(shtab.FILE))
    # Of `fx-hooks rules` and its like there is no script.
    parsers = [_all_in_one(commands), *(one for one in commands if " " not in one.prog)]
    for parser in parsers:
        print(shtab.complete(parser, shell=options.shell))
    return CLEAN


def _parsers(paths: Any) -> Iterator[argparse.ArgumentParser]:
    """Make the parser of each command; where a path belongs, *paths* completes it."""
    for module in pkgutil.iter_modules(cli.__path__):
        if not module.name.startswith("_"):
            made = importlib.import_module(f"{cli.__name__}.{module.name}").make_parser()
            for action in made._actions:
                if action.metavar in _PATHS:
                    action.complete = paths
            yield made


def _all_in_one(commands: Sequence[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Return the parser of ``fx-hooks``, with one of its own for each command."""
    parser = argparse.ArgumentParser(prog="fx-hooks")
    parser.add_argument("--version", action="store_true", help="print the version")
    below = parser.add_subparsers()
    for one in commands:
        name = one.prog.removeprefix("fx-hooks ").removeprefix("fx-")
        purpose = (one.description or "").partition(". ")[0].rstrip(".")
        below.add_parser(name, help=purpose, parents=[one], add_help=False)
    return parser
