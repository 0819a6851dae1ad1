"""The content of an archive of runs, as text for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fx_hooks.reporting.layout import plural
from fx_hooks.runs.archive.manifest import as_text
from fx_hooks.runs.metrics import numbers
from fx_hooks.util.paths import human_size, shown
from fx_hooks.util.terminal import one_line

if TYPE_CHECKING:
    from fx_hooks.runs.archive.manifest import Manifest, PackedRun

_METRICS, _RUNS = 8, 10  # figures of a run, and runs in it, that are named


def listing(
    name: str, size: int, manifest: Manifest, runs: Sequence[PackedRun], width: int
) -> list[str]:
    """Return the lines to print of *runs*, of those in the archive *name* of *size* bytes."""
    of_all = f"{len(runs):,} of " if len(runs) < len(manifest.runs) else ""
    files = plural(sum(run.files for run in runs), "file")
    total = human_size(sum(run.size for run in runs))
    packed = f"packed {manifest.created[:10]} into {human_size(size)}"
    head = f"{name}: {of_all}{plural(len(manifest.runs), 'run')}, {packed}, {total} in {files}"
    lines = [one_line(head)]
    for run in runs:
        lines += ["", shown(run.path)]
        for text in (_facts(run), *_results(run)):
            lines += textwrap.wrap(
                one_line(text), max(width, 20), initial_indent="  ", subsequent_indent="    ",
                break_on_hyphens=False,
            )  # fmt: skip
    return lines


def _results(run: PackedRun) -> Iterator[str]:
    """Yield the figures of a run, or those of each run in it."""
    own = figures(run.about.get("metrics"))
    if own:
        yield own
    inner = run.about.get("runs")
    told = (
        [other for other in inner if isinstance(other, Mapping)] if isinstance(inner, list) else []
    )
    texts = [(str(other.get("path")), figures(other.get("metrics"))) for other in told]
    results = [(path, text) for path, text in texts if text]
    if len(results) == 1 and not own:
        yield results[0][1]
        return
    for path, text in results[:_RUNS]:
        yield f"{path.removeprefix(as_text(run.path) + '/')}: {text}"
    if len(results) > _RUNS:
        yield f"and {len(results) - _RUNS} more runs"


def _facts(run: PackedRun) -> str:
    about = run.about
    words = [about.get("kind"), about.get("state")]
    found = [word for word in words if isinstance(word, str) and word]
    found.append(f"{human_size(run.size)} in {plural(run.files, 'file')}")
    last = about.get("last_write")
    if isinstance(last, str):
        found.append(f"last written {last[:10]}")
    return ", ".join(found)


def figures(metrics: Any) -> str:
    """Return the first numbers of *metrics*, nested ones with dots in their names."""
    found = list(numbers(metrics))
    words = [f"{name} {_number(value)}" for name, value in found[:_METRICS]]
    if len(found) > _METRICS:
        words.append(f"and {len(found) - _METRICS} more")
    return ", ".join(words)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**15 else f"{value:.4g}"
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def run_lines(runs: Sequence[PackedRun]) -> list[str]:
    """Return a line each run, with its size, the names one below the other."""
    sizes = [human_size(run.size) for run in runs]
    room = max(map(len, sizes), default=0)
    return [f"  {size:>{room}}  {shown(run.path)}" for size, run in zip(sizes, runs, strict=True)]
