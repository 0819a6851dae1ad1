"""The page of the audit in a real browser: nothing is loaded, all of it can be reached and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.history.audit.page import page, readable, write_page
from tests.audits import ODD_NAMES, clean, empty, single, two_years, unmeasured
from tests.browser import Opened, started

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

AUDITS = {
    "two-years": two_years,
    "clean": clean,
    "single": single,
    "empty": empty,
    "unmeasured": unmeasured,
}
Open = Callable[..., Opened]
STOPS = ".picture.wide .stop"
CELLS = ".picture.wide a"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for name, make in AUDITS.items():
        write_page(str(folder / f"{name}.html"), page(make(), f"{name} <b>&"))
    return folder


@pytest.fixture
def visit(browser: Browser, pages: Path) -> Iterator[Open]:
    opened = []

    def visit(name: str = "two-years", **options: object) -> Opened:
        options.setdefault("reduced_motion", "reduce")
        opened.append(Opened(browser, pages / f"{name}.html", **options))
        return opened[-1]

    yield visit
    for one in opened:
        assert one.complaints == []
        one.close()


@pytest.mark.parametrize("name", AUDITS)
def test_it_loads_nothing_and_complains_of_nothing(visit: Open, name: str) -> None:
    opened = visit(name)
    opened.page.wait_for_load_state("networkidle")
    assert [url for url in opened.requests if url != "data:,"] == [opened.url]
    assert opened.page.evaluate("document.compatMode") == "CSS1Compat"
    assert opened.page.locator("h1").inner_text() == f"{name} <b>&"
    assert opened.page.evaluate("document.documentElement.classList.contains('js')")


def test_the_policy_holds(visit: Open) -> None:
    opened = visit()
    opened.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hurt = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend",
                '<img src="https://example.org/x.png" onerror="window.hurt = 1">');
            return fetch("https://example.org/").catch(() => null);
        }"""
    )
    assert opened.page.evaluate("window.hurt") is None
    blocked = "Content Security Policy"
    assert len([text for text in opened.complaints if blocked in text]) >= 3
    assert not [url for url in opened.answered if url.startswith("https:")]
    opened.complaints.clear()


def test_odd_names_are_text(visit: Open) -> None:
    page = visit().page
    heads = page.locator("#tables tbody th").all_inner_texts()
    for name in ODD_NAMES:
        assert f"{readable(b'logs/' + name)}/\nx.log" in heads
    labels = [cell.get_attribute("aria-label") or "" for cell in page.locator(CELLS).all()]
    assert any(label.startswith("logs/<img src=x onerror=window.hurt=1>/: ") for label in labels)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hurt") is None


@pytest.mark.parametrize("width", [320, 360, 719, 780, 929, 1280])
@pytest.mark.parametrize("name", ["two-years", "empty"])
def test_nothing_runs_over_the_side(visit: Open, name: str, width: int) -> None:
    page = visit(name, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Also nothing is cut off: only the hidden skip links may lie outside.
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *, header *, footer *")]
            .filter(e => !e.closest("svg svg, .status"))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert outside == []


# Contrast, as WCAG 2 computes it.


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    assert len(parts) == 3, colour
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


# Every text with its colour and all colours that may lie behind it.
TEXTS = """() => {
    const fill = (selector) => getComputedStyle(document.querySelector(selector)).fill;
    const ground = (node) => {
        for (let e = node; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (!colour.startsWith("rgba(") || colour.endsWith(", 1)")) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || node.closest("script, style")) continue;
        const style = getComputedStyle(node);
        if (style.display === "none" || !node.getClientRects().length) continue;
        let behind = [ground(node)];
        const drawn = node.closest("text");
        if (drawn && drawn.closest("a")) {
            behind = [fill(".hatch-ground"), fill(".hatch-line"), fill(".picture a .there")];
        } else if (drawn && drawn.matches(".head")) {
            behind = [fill("rect.head")];
        }
        found.push([walker.currentNode.data.trim(), drawn ? style.fill : style.color, behind]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_text_can_be_read(visit: Open, scheme: str, width: int) -> None:
    page = visit(color_scheme=scheme, width=width).page
    page.locator(STOPS if width > 700 else ".picture.narrow .stop").last.focus()
    found: list[tuple[str, str, list[str]]] = page.evaluate(TEXTS)
    said = [text for text, _, _ in found]
    # Between the parts of a path a line may break.
    for part in ("How the history grew", "two-years <b>&", "vit/", "2025", "logs", "x.log"):
        assert any(part in text for text in said), part
    assert page.locator("#tip").inner_text() in said
    for text, colour, behind in found:
        for ground in behind:
            assert contrast(colour, ground) >= 4.5, (text, colour, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_shapes_and_focus_stand_out(visit: Open, scheme: str) -> None:
    page = visit(color_scheme=scheme).page
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) < 0.2) == (scheme == "dark")
    lines = page.evaluate(
        """() => [".rest", ".there", ".gone", ".top"].map((name) =>
            getComputedStyle(document.querySelector(`#growth .picture ${name}`)).stroke)"""
    )
    accent = page.evaluate("getComputedStyle(document.querySelector('.skip')).backgroundColor")
    for colour in (*lines, accent):
        assert contrast(colour, paper) >= 3, colour


# The keyboard.

WHERE = """() => {
    const e = document.activeElement;
    if (e.matches(".skip")) return "skip";
    if (e.matches(".stop")) return "stop";
    if (e.matches("[data-walk] a")) return "cell";
    return e.matches("th button") ? `sort ${e.textContent}` : e.tagName;
}"""


def test_the_tab_key_reaches_everything_in_order(visit: Open) -> None:
    page = visit().page
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where = page.evaluate(WHERE)
        if where == "BODY":
            break
        seen.append(where)
    figures = ["Blobs", "Unpacked", "Packed", "Share", "Still there"]
    assert seen == [
        "skip", "skip", "skip", "stop", "cell",
        *(f"sort {name}" for name in ("Rule", *figures, "Brought most")),
        *(f"sort {name}" for name in ("Directory", "Rule", *figures, "Brought most")),
        *(f"sort {name}" for name in ("Commit", "Date", "Subject", "Rules", *figures)),
    ]  # fmt: skip


def test_skip_links_show_themselves_and_lead_on(visit: Open) -> None:
    page = visit().page
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    box = page.locator(".skip:focus").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(WHERE) == "sort Rule"


def focus_marks(page: Any, selector: str) -> list[str]:
    marks: list[str] = page.evaluate(
        """(selector) => {
            const e = document.querySelector(selector);
            const style = getComputedStyle(e.querySelector(".edge") || e);
            return [style.stroke, style.strokeWidth, style.outlineStyle, style.outlineWidth];
        }""",
        selector,
    )
    return marks


@pytest.mark.parametrize("selector", [STOPS, CELLS, "th button", ".skip"])
def test_focus_can_be_seen(visit: Open, selector: str) -> None:
    page = visit().page
    before = focus_marks(page, selector)
    page.keyboard.press("Tab")  # so that what follows counts as by keyboard
    page.locator(selector).first.focus()
    after = focus_marks(page, selector)
    assert after != before
    assert after[1] == "4px" or after[2:] == ["solid", "3px"]


def test_arrows_go_from_date_to_date(visit: Open) -> None:
    page = visit().page
    tip = page.locator("#tip")
    assert tip.is_hidden()
    stops = page.locator(STOPS)
    assert 20 <= stops.count() <= 40
    stops.first.focus()
    told = []
    for _ in range(stops.count()):
        assert tip.is_visible()
        assert (
            page.evaluate("document.querySelectorAll('.picture.wide .stop[tabindex=\"0\"]').length")
            == 1
        )
        told.append(tip.inner_text())
        page.keyboard.press("ArrowRight")
    assert len(set(told)) == len(told)
    assert [text[:10] for text in told] == sorted(text[:10] for text in told)
    assert re.fullmatch(
        r"2025-1\d-\d\d: [\d.]+ MiB; artifacts [\d.]+ MiB \(\d+ %\); [\d.]+ MiB of them since .*",
        told[-1],
    )
    assert tip.inner_text() == told[-1]  # there is nothing after the last one
    page.keyboard.press("Home")
    assert tip.inner_text() == told[0]
    page.keyboard.press("ArrowLeft")
    assert tip.inner_text() == told[0]
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert tip.inner_text() == told[-2]
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.keyboard.press("Tab")
    assert page.evaluate(WHERE) == "cell"


def test_arrows_reach_every_directory(visit: Open) -> None:
    page = visit().page
    count = page.locator(CELLS).count()
    assert 20 < count <= 160
    active = f"[...document.querySelectorAll('{CELLS}')].indexOf(document.activeElement)"
    reached = {0}
    waiting = [0]
    while waiting:
        number = waiting.pop()
        for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            page.evaluate(f"document.querySelectorAll('{CELLS}')[{number}].focus()")
            page.keyboard.press(key)
            found = page.evaluate(active)
            if found not in reached:
                reached.add(found)
                waiting.append(found)
    assert reached == set(range(count))


def test_enter_on_a_directory_leads_to_its_row(visit: Open) -> None:
    page = visit().page
    page.locator(CELLS).first.focus()
    page.keyboard.press("End")
    label = page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    row = page.locator("tr:target")
    assert row.locator("th").inner_text() == "the root\nnohup.out"
    assert label.startswith("the root: ")
    box = row.bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= 900 - box["height"]


def test_the_mouse_gets_the_same_answers(visit: Open) -> None:
    for width, kind in ((1280, "wide"), (360, "narrow")):
        page = visit(width=width).page
        for part in (".stop", "a"):
            target = page.locator(f".picture.{kind} {part}").nth(2)
            target.scroll_into_view_if_needed()
            target.locator(".edge").hover()
            tip = page.locator("#tip")
            assert tip.inner_text() == target.get_attribute("aria-label")
            box = tip.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] >= 0
        page.locator("h1").hover()
        assert page.locator("#tip").is_hidden()


# Tables.

COLUMN = """([table, column]) => [...document.querySelectorAll("table")[table].tBodies[0].rows]
    .map((row) => row.cells[column].dataset.value)"""
SORTS = """(table) => [...document.querySelectorAll("table")[table].tHead.rows[0].cells]
    .map((head) => head.getAttribute("aria-sort"))"""


@pytest.mark.parametrize("key", ["Enter", " "])
def test_keys_sort_the_tables(visit: Open, key: str) -> None:
    page = visit().page
    table = page.locator("table").nth(1)
    button = table.locator("th button", has_text="Unpacked")
    button.focus()
    page.keyboard.press(key)
    sizes = [int(value) for value in page.evaluate(COLUMN, [1, 3])]
    assert sizes == sorted(sizes, reverse=True)
    assert page.evaluate(SORTS, 1) == ["none"] * 3 + ["descending"] + ["none"] * 4
    assert page.evaluate("document.activeElement.textContent") == "Unpacked"
    page.keyboard.press(key)
    assert [int(value) for value in page.evaluate(COLUMN, [1, 3])] == sorted(sizes)
    assert page.evaluate(SORTS, 1)[3] == "ascending"
    status = page.locator("[role=status]")
    assert status.inner_text() == "Artifacts per directory, sorted by Unpacked, ascending"
    # The others are as they were.
    assert page.evaluate(SORTS, 0)[3] == "descending"


def test_names_sort_as_names(visit: Open) -> None:
    page = visit().page
    table = page.locator("table").nth(1)
    table.locator("th button", has_text="Directory").click()
    names = page.evaluate(COLUMN, [1, 0])
    assert names == sorted(names, key=lambda name: name.encode("utf-16-be"))
    assert len(names) == table.locator("tbody tr").count() > 20
    assert page.evaluate(SORTS, 1)[0] == "ascending"


def test_a_browser_knows_the_tables_as_tables(visit: Open) -> None:
    for width in (1280, 360):
        page = visit(width=width).page
        table = page.get_by_role("table", name="Artifacts per rule")
        assert table.is_visible()
        assert table.get_by_role("columnheader").count() == 7
        assert table.get_by_role("rowheader").count() == 4
        assert table.get_by_role("row").count() == 5
        assert table.get_by_role("cell").count() == 4 * 6


# What else people set.


def test_motion_only_where_it_is_welcome(visit: Open) -> None:
    ask = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").page.evaluate(ask) == "auto"
    assert visit(reduced_motion="no-preference").page.evaluate(ask) == "smooth"


def test_it_prints_in_ink_on_paper(visit: Open) -> None:
    page = visit(color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    assert page.locator("#growth .picture.wide").is_visible()
    assert page.locator("#growth .picture.narrow").is_hidden()
    assert page.locator(".hint").first.is_hidden()
    for text, colour, behind in page.evaluate(TEXTS):
        for ground in behind:
            assert contrast(colour, ground) >= 4.5, (text, colour, ground)
    assert page.pdf(format="A4").startswith(b"%PDF-")


@pytest.mark.parametrize("width", [360, 700, 1280])
def test_it_prints_as_tables_however_narrow_the_paper(visit: Open, width: int) -> None:
    page = visit(width=width).page
    page.emulate_media(media="print")
    shown = page.evaluate(
        """() => ["table", "thead", "tr", "th", "td"].map((name) =>
            getComputedStyle(document.querySelector(`#tables ${name}`)).display)"""
    )
    assert shown == ["table", "table-header-group", "table-row", "table-cell", "table-cell"]
    # No cell says again what the head of its column says.
    before = "getComputedStyle(document.querySelector('#tables td'), '::before').content"
    assert page.evaluate(before) in ("none", "normal")


def test_the_map_shows_what_differs_as_its_name_says_it(visit: Open) -> None:
    for width, kind in ((1280, "wide"), (360, "narrow")):
        cells = visit(width=width).page.locator(f".picture.{kind} a")
        said = cells.evaluate_all(
            """(cells) => cells.map((cell) => [cell.getAttribute("aria-label"),
                [...cell.querySelectorAll("text")].map((text) => text.textContent)])"""
        )
        shown = [(name, text.rstrip("…")) for name, texts in said for text in texts]
        assert len(shown) > 5
        assert all(text in name for name, text in shown)
        assert {"vit/", "resnet/"} <= {text for _, text in shown}


def test_without_scripts_all_figures_are_there(visit: Open) -> None:
    for width in (1280, 360):
        page = visit(java_script_enabled=False, width=width).page
        assert page.locator("table").nth(1).locator("tbody tr").count() > 20
        assert page.locator(".picture:visible").count() == 2
        assert page.locator(".hint:visible").count() == 0


@pytest.mark.parametrize("width", [1280, 360])
def test_with_colours_of_the_system(visit: Open, width: int) -> None:
    page = visit(forced_colors="active", width=width).page
    assert page.locator(".picture:visible").count() == 2
    fills = page.evaluate(
        """() => ["rest", "there"].map((name) =>
            getComputedStyle(document.querySelector(`#growth .picture .${name}`)).fill)"""
    )
    assert len(set(fills)) == 2
    # What is drawn on a shape of any colour has the paper around its letters.
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".picture text")].map((text) => {
            const style = getComputedStyle(text);
            return [style.fill, style.stroke, style.paintOrder, parseFloat(style.strokeWidth)];
        })"""
    )
    assert len(drawn) > 10
    for fill, stroke, order, thickness in drawn:
        assert contrast(fill, stroke) >= 4.5
        assert (order.split()[0], thickness >= 3) == ("stroke", True)
    for text, colour, behind in page.evaluate(TEXTS):
        assert contrast(colour, behind[0]) >= 4.5, (text, colour, behind)
