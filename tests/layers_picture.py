"""Write docs/layers.svg, the picture of the packages: `python -m tests.layers_picture`."""

from __future__ import annotations

from html import escape
from pathlib import Path

PICTURE = Path(__file__).parent.parent / "docs" / "layers.svg"
# From top to bottom, a row imports from the rows below it, and from none above or next to it.
ROWS: tuple[dict[str, str], ...] = (
    {
        "check_artifacts": "hook",
        "check_best_models": "hook",
        "check_range": "hook",
        "sync_gitignore": "hook",
    },
    {"cli": "one file a command: its options, and a call"},
    {
        "history": "ranges of commits, and the audit",
        "runs": "inventory, state, deletion, archive, usage",
    },
    {
        "best_models": "milestones and their metadata",
        "gitignore": "the block, and lines around it",
    },
    {
        "artifacts": "the classifier: paths, tree and content",
        "reporting": "findings as text, JSON, SARIF",
    },
    {"policy": "from YAML to compiled patterns", "weights": "reads models without running them"},
    {
        "frameworks": "what is known of each tool",
        "git": "the only one that starts git",
    },
    {"fastpath": "proves a clean commit clean; imports next to nothing"},
    {"util": "files, paths, strict JSON and YAML"},
)
HOOKS, FAST = 0, len(ROWS) - 2

_WIDTH, _LEFT, _GAP, _HEIGHT, _STEP = 820, 48, 12, 46, 62
_STYLE = """\
  text { font-family: system-ui, sans-serif; text-anchor: middle; fill: #1f2328 }
  .name { font-size: 14px; font-weight: 600 }
  .role { font-size: 12px; fill: #59636e }
  rect { fill: #eef2f6; stroke: #b9c4cf }
  .fast rect { fill: #dff3e4; stroke: #4d9a63 }
  path { fill: none; stroke: #4d9a63; stroke-width: 2 }
  marker path { fill: #4d9a63; stroke: none }
  .page { fill: #ffffff; stroke: none }"""


def picture() -> str:
    """The whole SVG."""
    height = len(ROWS) * _STEP + _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        ' aria-label="The packages of fx_hooks, in layers">',
        f"<style>\n{_STYLE}\n</style>",
        '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"'
        ' orient="auto"><path d="M0,0L8,4L0,8Z"/></marker>',
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
    ]
    for number, row in enumerate(ROWS):
        width = (_WIDTH - _LEFT - _GAP - (len(row) - 1) * _GAP) / len(row)
        parts.append('<g class="fast">' if number in (HOOKS, FAST) else "<g>")
        for place, (name, role) in enumerate(row.items()):
            left, top = _LEFT + place * (width + _GAP), _GAP + number * _STEP
            middle = left + width / 2
            parts += [
                f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT}" rx="6"/>',
                f'<text class="name" x="{middle:.1f}" y="{top + 20}">{escape(name)}</text>',
                f'<text class="role" x="{middle:.1f}" y="{top + 37}">{escape(role)}</text>',
            ]
        parts.append("</g>")
    first, last = (_GAP + row * _STEP + _HEIGHT // 2 for row in (HOOKS, FAST))
    parts.append(
        f'<path d="M{_LEFT},{first}H20V{last}H{_LEFT - 2}" marker-end="url(#arrow)"/>\n</svg>\n'
    )
    return "\n".join(parts)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
