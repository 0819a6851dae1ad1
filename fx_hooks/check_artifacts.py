"""``fx-check-artifacts``: no artifact among the given, staged or tracked files."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: clean; 1: artifacts found; 2: usage, policy or git error.

    Everything but the fast path is imported only when the fast path is not sure: that is what
    makes a clean commit cheap.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from fx_hooks.fastpath import interpreter

        if argv is None:
            interpreter.begin()
        from fx_hooks.fastpath.artifacts import proven_clean

        if proven_clean(arguments):
            return 0
        if argv is None:
            interpreter.speak_utf8()
        from fx_hooks.cli import check_artifacts
    except KeyboardInterrupt:
        return 130
    return check_artifacts.main(arguments)


def script() -> "NoReturn":
    """Run :func:`main` as a process of its own."""
    code = main()
    from fx_hooks.fastpath import interpreter

    interpreter.end(code)


if __name__ == "__main__":
    script()
