"""``fx-check-artifacts``: no artifact among the given, staged or tracked files."""

import sys

from fx_hooks.gate import surely_clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: clean; 1: artifacts found; 2: usage, policy or git error.

    Everything but the gate is imported only when the gate is not sure: that is what
    makes a clean commit cheap.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if surely_clean(arguments):
            return 0
        from fx_hooks import desk
    except KeyboardInterrupt:
        return 130
    return desk.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
