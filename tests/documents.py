"""The documents of the project, and what is in them: sections, blocks of code, links."""

from __future__ import annotations

import configparser
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What a reader may follow or copy. CHANGELOG tells of versions that are gone.
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_CODE = re.compile(r"``.+?``|`[^`]+`")
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page, without its indentation."""

    page: str
    section: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command behind ``$ `` and the output that is shown below it."""
        found = re.split(r"^\$ (.+)\n", self.text, flags=re.MULTILINE)
        assert found[0] == "", f"{self.page}:{self.line} does not begin with a command"
        return list(zip(found[1::2], found[2::2], strict=True))


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, language: str | None = None) -> list[Block]:
    """The fenced blocks of *page*, in order; of one *language* if it is given."""
    text = read(page)
    found = []
    for match in _FENCE.finditer(text):
        before = _FENCE.sub("", text[: match.start()])
        headings = _HEADING.findall(before)
        found.append(
            Block(
                page=page,
                section=headings[-1][1] if headings else "",
                line=text.count("\n", 0, match.start()) + 1,
                language=match[2],
                text=textwrap.dedent(match[3]),
            )
        )
    return [block for block in found if language in (None, block.language)]


def all_blocks(language: str | None = None) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, language)]


def headings(page: str) -> list[str]:
    return [title for _, title in _HEADING.findall(_FENCE.sub("", read(page)))]


def anchors(page: str) -> set[str]:
    """What ``#...`` can lead to, by the forge's rule for headings."""
    found: set[str] = set()
    for title in headings(page):
        plain = re.sub(r"[`*]", "", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 1
        while (name := slug if number == 1 else f"{slug}-{number - 1}") in found:
            number += 1
        found.add(name)
    return found


def spans(page: str) -> list[str]:
    """The code in sentences of *page*."""
    return re.findall(r"`([^`]+)`", _FENCE.sub("", read(page)).replace("``", ""))


def links(page: str) -> Iterator[str]:
    """What links and pictures of *page* lead to."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", read(page)))):
        yield match[1]


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def address() -> str:
    """Where the project is published; setup.cfg alone says so."""
    return setup_cfg()["metadata"]["url"]
