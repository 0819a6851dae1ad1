"""A picture of what a terminal shows, as SVG: text with the colours that runners use."""

from __future__ import annotations

import re
from html import escape

_ESCAPE = re.compile(r"(\x1b\[[0-9;]*m)")
# `Failed`, `Passed` and details of pre-commit; and what reports say in bold and dim.
_STYLES = {"41": "failed", "42": "passed", "2": "detail", "1": "bold", "0": "", "": ""}
_CHARACTER, _LINE, _MARGIN, _BAR = 7.8, 18, 16, 34
_STYLE = """\
  text { font: 13px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3;
         white-space: pre }
  .command, .bold { font-weight: 600; fill: #ffffff }
  .detail { fill: #9198a1 }
  .passed { fill: #3fb950 }
  .failed { fill: #ffffff }
  .ground { fill: #da3633 }"""


def picture(commands: list[tuple[str, str]], *, label: str) -> str:
    """The SVG of a terminal in which each command printed its output, ANSI colours and all."""
    lines = []
    for command, output in commands:
        lines += [f"$ {command}", *output.rstrip("\n").splitlines()]
    columns = max(len(_ESCAPE.sub("", line)) for line in lines)
    width = round(columns * _CHARACTER + 2 * _MARGIN)
    height = _BAR + len(lines) * _LINE + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{escape(label)}">',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>',
        *(
            f'<circle cx="{20 + 18 * place}" cy="17" r="5.5" fill="{colour}"/>'
            for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
    ]
    for number, line in enumerate(lines):
        parts += _drawn(line, _BAR + (number + 0.75) * _LINE)
    return "\n".join([*parts, "</svg>\n"])


def _drawn(line: str, y: float) -> list[str]:
    """One line, as a text for each of its styles."""
    parts = []
    column, style = 0, "command" if line.startswith("$ ") else ""
    for piece in _ESCAPE.split(line):
        if piece.startswith("\x1b"):
            style = _STYLES[piece[2:-1].removeprefix("0;")]
            continue
        if piece.strip():
            x, width = _MARGIN + column * _CHARACTER, len(piece) * _CHARACTER
            if style == "failed":
                parts.append(
                    f'<rect class="ground" x="{x:.1f}" y="{y - 13:.1f}" width="{width:.1f}"'
                    f' height="{_LINE}"/>'
                )
            name = f' class="{style}"' if style else ""
            # The length is said, for every font has another width.
            parts.append(
                f'<text{name} x="{x:.1f}" y="{y:.1f}" textLength="{width:.1f}"'
                f' xml:space="preserve">{escape(piece)}</text>'
            )
        column += len(piece)
    return parts
