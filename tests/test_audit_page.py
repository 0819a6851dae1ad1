"""The page of the audit as text: whole, escaped, small, and written in one step."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from fx_hooks.history.audit.figures import Audit, Brought, measure_history
from fx_hooks.history.audit.page import check_place, page, readable, write_page
from fx_hooks.reporting.layout import Step
from fx_hooks.util.errors import FatalError
from tests.audits import ODD_NAMES, brought, clean, described, empty, single, two_years, unmeasured
from tests.test_audit import audit_of

ALONE = {"meta", "link", "br", "wbr"}


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]
    text: list[str]


class Reader(HTMLParser):
    """Reads strictly: what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Element] = []
        self.all: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, names)
        element = Element(tag, {name: value or "" for name, value in attrs}, [])
        self.all.append(element)
        if tag not in ALONE:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ALONE:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text.append(data)


def read(text: str) -> list[Element]:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader.all


def texts(elements: list[Element], tag: str) -> list[str]:
    return ["".join(element.text) for element in elements if element.tag == tag]


PAGES = {
    "two years": two_years(),
    "clean": clean(),
    "single": single(),
    "empty": empty(),
    "unmeasured": unmeasured(),
}


@pytest.mark.parametrize("audit", PAGES.values(), ids=PAGES)
def test_a_page_is_whole_and_needs_nothing_else(audit: Audit) -> None:
    text = page(audit, "a repository")
    assert set(re.findall(r"\{\{\w+\}\}", text)) <= {"{{style}}"}  # the name of a directory
    elements = read(text)
    for element in elements:
        # Everything that could load something, or is script outside of the script.
        assert not {"src", "style", "srcset", "action", "data"} & element.attributes.keys()
        assert not any(name.startswith("on") for name in element.attributes)
        assert element.attributes.get("href", "#")[0] == "#" or element.tag == "link"
    (icon,) = [element.attributes["href"] for element in elements if element.tag == "link"]
    assert icon == "data:,"
    assert not re.search(r"https?:|[\"'(]//|@import|url\((?!#)", text)
    targets = {
        e.attributes["href"][1:] for e in elements if e.attributes.get("href", "")[:1] == "#"
    }
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    assert targets <= set(ids)
    for name in ("aria-labelledby", "aria-describedby"):
        assert {e.attributes[name] for e in elements if name in e.attributes} <= set(ids)


def test_the_browser_is_told_to_allow_nothing_but_the_own_style_and_script() -> None:
    elements = read(page(two_years(), "x"))
    (policy,) = [e.attributes["content"] for e in elements if "http-equiv" in e.attributes]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = texts(elements, tag)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_odd_names_are_text() -> None:
    elements = read(page(two_years(), '<b>&"{{script}}\udce9'))
    assert '<b>&"{{script}}\\udce9' in texts(elements, "h1")
    assert texts(elements, "title") == ['Artifacts in the history of <b>&"{{script}}\\udce9']
    heads = texts(elements, "th")
    for name in (
        *(f"{readable(b'logs/' + name)}/" for name in ODD_NAMES),
        "logs/<img src=x onerror=window.hurt=1>/",
        "'logs/new\\nline'/",
        "'logs/caf\\xe9'/",
        "logs/モデル/",
    ):
        assert any(head.startswith(name) for head in heads), name
    assert any("<img src=x onerror='window.hurt = 1'>" in text for text in texts(elements, "td"))
    assert len([element for element in elements if element.tag == "script"]) == 1
    assert not [element for element in elements if element.tag in ("img", "b")]


def test_every_row_says_what_the_audit_says() -> None:
    audit = two_years()
    elements = read(page(audit, "x"))
    tables = [n for n, e in enumerate(elements) if e.tag == "table"]
    assert texts(elements, "caption") == [
        "Artifacts per rule", "Artifacts per directory", "The commits that brought most",
    ]  # fmt: skip
    counts = [
        sum(e.tag == "tr" for e in elements[start:end]) - 1
        for start, end in zip(tables, [*tables[1:], len(elements)], strict=True)
    ]
    assert counts == [len(audit.rules), len(audit.folders), len(audit.heaviest)]
    for element in elements:
        if element.tag == "th" and element.attributes["scope"] == "col":
            assert element.attributes["aria-sort"] in ("none", "descending")
    packed = [
        int(e.attributes["data-value"])
        for e in elements[tables[1] : tables[2]]
        if e.attributes.get("data-head") == "Packed" and e.tag == "td"
    ]
    assert packed == [row.weight.packed for row in audit.folders]


def test_unknown_sizes_are_said_to_be_unknown() -> None:
    text = page(unmeasured(), "x")
    elements = read(text)
    assert "size unknown" in texts(elements, "strong")
    assert any("13 blobs of 13 are not in this clone" in note for note in texts(elements, "li"))
    assert "0 B" not in [cell for cell in texts(elements, "td") if "blob" not in cell]
    cells = [e for e in elements if e.tag == "a" and "rule" in e.attributes.get("aria-label", "")]
    assert len(cells) == 2 * len(unmeasured().folders)


def test_nothing_is_said_of_artifacts_where_there_are_none() -> None:
    assert texts(read(page(clean(), "x")), "h2") == ["How the history grew", "How to read this"]
    elements = read(page(empty(), "x"))
    assert texts(elements, "h2") == []
    assert "There are no commits yet." in texts(elements, "p")
    assert not [e for e in elements if e.tag == "a"]


def test_commits_that_nobody_described_are_left_out() -> None:
    audit = two_years().with_commits({})
    assert texts(read(page(audit, "x")), "caption") == [
        "Artifacts per rule", "Artifacts per directory",
    ]  # fmt: skip


def test_odd_dates_are_told() -> None:
    times_away = audit_of(brought(b"a/b/c", "logs", 0), commits=200)
    assert not any("far from all others" in n for n in texts(read(page(times_away, "x")), "li"))
    for odd, says in ((1, "1 commit has a date far"), (2, "2 commits have dates far")):
        audit = times_away._replace(growth=times_away.growth._replace(odd=odd))
        assert any(note.startswith(says) for note in texts(read(page(audit, "x")), "li"))


@pytest.mark.slow
def test_a_big_history_makes_a_small_page() -> None:
    artifacts = [
        brought(b"wandb/run-%06d/files/%s" % (n, b"long-name" * 9), "wandb-runs", n % 5000, n)
        for n in range(40_000)
    ]
    artifacts += [
        brought(b"d%d/e%d/x" % (n % 90, n), f"r{n % 30}", n, 10**6 + n) for n in range(5000)
    ]
    audit = described(audit_of(*artifacts, commits=5000))
    text = page(audit, "x")
    assert len(text) < 500_000
    cells = [e for e in read(text) if e.attributes.get("aria-label", "").count("rule ")]
    assert 50 < len(cells) <= 2 * 160


def test_written_in_one_step(tmp_path: Path) -> None:
    place = tmp_path / "audit.html"
    place.write_text("old")
    check_place(str(place))
    write_page(str(place), page(single(), "x"))
    assert place.read_text("utf-8") == page(single(), "x")
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    check_place(str(tmp_path / "link.html"))
    write_page(str(tmp_path / "link.html"), page(single(), "x"))
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text("utf-8") == page(single(), "x")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "--html: the file name is empty: name a file"),
        (".", ".: is not a regular file: name a file for --html"),
        ("no/audit.html", "no/audit.html: its folder does not exist: make it first"),
        ("new\nline/x", "new\\nline/x: its folder does not exist: make it first"),
    ],
    ids=["empty", "folder", "missing folder", "odd name"],
)
def test_a_bad_place_is_refused_at_once(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FatalError) as caught:
        check_place(name)
    assert str(caught.value) == says


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names there")
def test_a_pipe_is_no_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FatalError, match="is not a regular file"):
        check_place(str(tmp_path / "pipe"))


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FatalError, match="its folder cannot be written to: name another file"):
        check_place(str(tmp_path / "x.html"))


def test_what_fails_later_is_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(FatalError) as caught:
        write_page(str(tmp_path / "gone" / "x.html"), page(single(), "x"))
    assert str(caught.value).endswith(
        "x.html: cannot be written: No such file or directory: name another file"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_page_ends_with_what_to_do() -> None:
    steps = [Step("Take <them> out:", ["git filter-repo --path=a.pt"])]
    html = page(small(), "x", steps)
    assert '<h2 id="steps-title">What to do</h2><p>Take &lt;them&gt; out:</p>' in html
    assert "<code>git filter-repo --path=a.pt</code>" in html
    assert "What to do" not in page(small(), "x")


def small() -> Audit:
    brought = [
        Brought(f"services/{name}/checkpoints/m.pt".encode(), "weights",
                f"services/{name}/checkpoints".encode(), 0, 10**6, 10**6, True)
        for name in ("alpha", "beta")
    ]  # fmt: skip
    return measure_history([1_700_000_000], brought, [], refs=1)


def test_labels_show_what_differs_and_rows_name_few_files() -> None:
    html = page(small(), "x")
    labels = re.findall(r'aria-label="(services/[^"]*)".*?<text x="5" y="14">([^<]*)<', html)
    assert {shown for _, shown in labels} == {"alpha/", "beta/"}
    assert all(shown in name for name, shown in labels)
    assert "<small>m.pt</small>" in html
