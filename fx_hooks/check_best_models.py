"""``fx-check-best-models``: ``best_models`` holds only metadata and approved milestones."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: clean; 1: the contract is broken; 2: usage, policy or git error.

    Everything but the question whether the commit touches the folder at all is imported
    only when it does.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from fx_hooks.fastpath import interpreter

        if argv is None:
            interpreter.begin()
        from fx_hooks.fastpath.best_models import proven_untouched, staged_names

        staged = None if arguments else staged_names()
        if proven_untouched(staged):
            return 0
        if argv is None:
            interpreter.speak_utf8()
        from fx_hooks.cli import check_best_models
    except KeyboardInterrupt:
        return 130
    return check_best_models.main(arguments, staged)


def script() -> "NoReturn":
    """Run :func:`main` as a process of its own."""
    code = main()
    from fx_hooks.fastpath import interpreter

    interpreter.end(code)


if __name__ == "__main__":
    script()
