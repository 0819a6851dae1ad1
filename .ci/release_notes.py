"""Print what CHANGELOG.md says of one version: `python .ci/release_notes.py 0.1.0`.

Ends with 1 where it says nothing of it, or where there are changes that belong to no version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"
_HEADING = re.compile(r"^## (?P<version>\S+)(?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)


def notes(changelog: str, version: str) -> str:
    """Return the section of *version*, without its heading.

    Raises :class:`ValueError` where the changelog is not ready for a release of it.
    """
    parts = _HEADING.split(changelog)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if sections.get("Unreleased", "").strip():
        raise ValueError(f"move what stands under Unreleased to {version}")
    if not sections.get(version, "").strip():
        raise ValueError(f"says nothing of {version}")
    if not re.search(rf"^## {re.escape(version)} - \d", changelog, re.MULTILINE):
        raise ValueError(f"does not say when {version} is released: ## {version} - YYYY-MM-DD")
    return sections[version].strip() + "\n"


def main(argv: list[str]) -> int:
    try:
        print(notes(CHANGELOG.read_text("utf-8"), *argv), end="")
    except ValueError as exc:
        print(f"CHANGELOG.md: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
