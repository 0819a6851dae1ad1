"""``fx-check-range``: every artifact that a range of commits brings in, deleted or not."""

import sys

from fx_hooks.history.gate import surely_clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: clean; 1: artifacts; 2: usage, policy or git error.

    As in ``fx-check-artifacts``, nothing more is imported where a range is plainly clean.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if surely_clean(arguments):
            return 0
        from fx_hooks.history import desk
    except KeyboardInterrupt:
        return 130
    return desk.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
