"""``fx-hooks``: lists the commands and starts them; ``python -m fx_hooks`` is the same.

The scripts of the commands that are no hooks begin here, too, so that nothing is imported before
an interruption is answered.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

# The module of each command below this package, and what it is for.
COMMANDS = {
    "init": ("cli.init", "put the hooks into a repository, and keep them current"),
    "check-artifacts": ("check_artifacts", "check files for artifacts before a commit"),
    "check-best-models": ("check_best_models", "check the models that were chosen"),
    "check-range": ("check_range", "check what a range of commits brings in"),
    "sync-gitignore": ("sync_gitignore", "keep .gitignore in step with the policy"),
    "explain": ("cli.explain", "say which rule decides a path, and why"),
    "rules": ("cli.rules", "list what is refused, why, and where that is written"),
    "add-milestone": ("cli.add_milestone", "approve one model"),
    "report-space": ("cli.report_space", "say what takes space, and what frees it"),
    "archive-runs": ("cli.archive_runs", "pack runs into an archive, and restore them"),
    "clean-runs": ("cli.clean_runs", "delete runs without losing anything"),
    "show-run": ("cli.show_run", "say where a run is, what it was, and how to run it again"),
    "completion": ("cli.completion", "complete all of this in your shell"),
}
_USAGE = "usage: fx-hooks COMMAND [ARGUMENT ...]"


def main(argv: "Sequence[str] | None" = None) -> int:
    """Start the command that the first argument names, with the rest; return its exit code.

    Exit code 0: it lists the commands when asked for help; 2: no command of that name.
    """
    try:
        if argv is None:
            _prepare()
    except KeyboardInterrupt:
        return 130
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else ""
    name = first.removeprefix("fx-")
    if name in COMMANDS:
        return start(name, arguments[1:])
    try:
        from fx_hooks.cli._common import guarded

        return guarded("fx-hooks", lambda: _answer(first))
    except KeyboardInterrupt:
        return 130


def start(name: str, arguments: "Sequence[str] | None" = None) -> int:
    """Start the command *name* and return its exit code; without *arguments*, with the script's."""
    module = f"{__package__}.{COMMANDS[name][0]}"
    try:
        if arguments is None:
            _prepare()
        __import__(module)
        code: int = sys.modules[module].main(arguments)
    except KeyboardInterrupt:
        return 130
    return code


def _prepare() -> None:
    from fx_hooks.fastpath import interpreter

    interpreter.begin()
    interpreter.speak_utf8()


def _script(name: str) -> "Callable[[], NoReturn]":
    def run() -> "NoReturn":
        code = start(name)
        from fx_hooks.fastpath import interpreter

        interpreter.end(code)

    return run


add_milestone = _script("add-milestone")
archive_runs = _script("archive-runs")
clean_runs = _script("clean-runs")
explain = _script("explain")
init = _script("init")
report_space = _script("report-space")
show_run = _script("show-run")


def _answer(first: str) -> int:
    if first == "--version":
        from fx_hooks import __version__

        print(f"fx-hooks {__version__}")
        return 0
    if first in ("", "-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        print(_USAGE)
        print("\nKeep machine-learning repositories clean.\n\ncommands:")
        for name, (_, purpose) in COMMANDS.items():
            print(f"  {name:{width}}  {purpose}")
        print("\n`fx-hooks COMMAND --help` tells you more about a command.")
        return 0 if first else 2

    import difflib

    close = difflib.get_close_matches(first.removeprefix("fx-"), COMMANDS, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    said = f"there is no command {first!r}{hint}"
    if first.removeprefix("fx-") == "check-tree":
        said = "that is a hook; run fx-check-artifacts --all-files"
    print(_USAGE, file=sys.stderr)
    print(f"fx-hooks: error: {said}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
