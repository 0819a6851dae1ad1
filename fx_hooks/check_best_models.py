"""``fx-check-best-models``: ``best_models`` holds only metadata and approved milestones."""

import os
import sys

from fx_hooks import quickgit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# As in the built-in policy.
FOLDER = b"best_models"
POLICY = b".fx-hooks.yaml"


def main(argv: "Sequence[str] | None" = None) -> int:
    """Exit code 0: clean; 1: the contract is broken; 2: usage, policy or git error.

    Everything but the question whether the commit touches the folder at all is imported
    only when it does.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments and surely_untouched():
        return 0
    from fx_hooks.best_models import desk

    return desk.main(arguments)


def surely_untouched() -> bool:
    """Whether something is staged, and nothing of it is the contract's business.

    True is certain; False means that somebody has to look closely: where a repository
    has moved the folder, that is every time.
    """
    try:
        with open(POLICY, "rb") as file:
            policy = file.read()
    except OSError:
        # What is not on disk, but in the index, is found below when it changes.
        policy = b"" if not os.path.lexists(POLICY) else b"folder"
    # A quoted key could be spelled with escapes.
    if b"folder" in policy or b"\\" in policy:
        return False
    output = quickgit.output(
        "diff-index", "--cached", "--name-only", "-z", "--no-renames",
        "--ignore-submodules=none", "HEAD", "--",
    )  # fmt: skip
    if not output:
        return False
    staged = b"\0" + output
    return not (
        b"\0" + FOLDER + b"/" in staged
        or b"\0" + FOLDER + b"\0" in staged
        or b"\0" + POLICY + b"\0" in staged
        or b"\0.gitattributes\0" in staged
    )


if __name__ == "__main__":
    raise SystemExit(main())
