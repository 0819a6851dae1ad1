"""``fx-sync-gitignore``: the managed block of ``.gitignore`` equals the policy."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: nothing to do; 1: rewritten, or findings; 2: usage, policy or git error.

    As in ``fx-check-artifacts``, nothing more is imported where nothing has changed.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from fx_hooks.fastpath import interpreter

        if argv is None:
            interpreter.begin()
        from fx_hooks.fastpath.gitignore import proven_in_step

        if proven_in_step(arguments):
            return 0
        if argv is None:
            interpreter.speak_utf8()
        from fx_hooks.cli import sync_gitignore
    except KeyboardInterrupt:
        return 130
    return sync_gitignore.main(arguments)


def script() -> "NoReturn":
    """Run :func:`main` as a process of its own."""
    code = main()
    from fx_hooks.fastpath import interpreter

    interpreter.end(code)


if __name__ == "__main__":
    script()
