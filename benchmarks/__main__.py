"""All benchmarks, into one JSON and one table: `python -m benchmarks --json FILE --page FILE`.

Run it like `benchmarks.commits`. With `--compare old.json` it says what has become slower.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import archive, commits, fastpath, gitignore, history, space
from benchmarks.rounds import Row, Settings

GROUPS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "commits": commits.main,
    "fastpath": fastpath.main,
    "gitignore": gitignore.main,
    "history": history.main,
    "space": space.main,
    "archive": archive.main,
}
# Two runs of the same differ by less.
_SLOWER = 1.15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], metavar="GROUP")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--by", choices=("clock", "cpu"), default="clock")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--page", type=Path, metavar="FILE")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier JSON")
    chosen = parser.parse_args()
    rounds = [] if chosen.rounds is None else ["--rounds", str(chosen.rounds)]
    kept = [GROUPS[name](["--by", chosen.by, *rounds]) == 0 for name in chosen.groups or GROUPS]
    measured = {"by": chosen.by, "on": machine(), "rows": [row._asdict() for row in Settings.rows]}
    if chosen.json:
        chosen.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    if chosen.page:
        chosen.page.write_text(page(Settings.rows, chosen.by), encoding="utf-8")
    if chosen.compare:
        slower = compared(json.loads(chosen.compare.read_text("utf-8")), Settings.rows, chosen.by)
        print("\n".join(slower) or f"nothing is slower than in {chosen.compare}")
        kept.append(not slower)
    return 0 if all(kept) else 1


def machine() -> dict[str, object]:
    git = subprocess.check_output(("git", "version"), text=True).split()[2]
    return {"processors": os.cpu_count(), "python": platform.python_version(), "git": git,
            "system": sys.platform}  # fmt: skip


def page(rows: Sequence[Row], by: str) -> str:
    """A table of all rows, with the bounds that are not kept in bold."""
    lines = [f"Medians of ratios, by {by}.", "", "| | against | ratio | bound | MiB |",
             "|---|---|---|---|---|"]  # fmt: skip
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.holds else f"**{row.ratio:.2f}**"
        memory = f"{row.mebibytes:.0f}" if row.mebibytes else ""
        lines.append(
            f"| {row.title}: {row.command} | {row.base} | {ratio} | {row.limit} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def compared(earlier: Mapping[str, object], rows: Sequence[Row], by: str) -> list[str]:
    """What is slower than in *earlier*, in a line each."""
    known = {
        (row["title"], row["command"], row["base"]): row[by]
        for row in earlier["rows"]  # type: ignore[attr-defined]
    }
    found = []
    for row in rows:
        before = known.get((row.title, row.command, row.base))
        now = row.clock if by == "clock" else row.cpu
        if before is not None and now > before * _SLOWER:
            found.append(f"{row.title}: {row.command} / {row.base}: {before:.2f}, now {now:.2f}")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
