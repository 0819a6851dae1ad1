"""`fx-check-range --merge`: the audits of several repositories as one page."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fx_hooks.cli import check_range, init
from fx_hooks.history.audit.figures import Point, Repository, Weight
from fx_hooks.history.audit.merged import merged
from tests.support import Repo, working_directory


@pytest.fixture
def audited(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:  # noqa: ARG001
    return partial(_audited, tmp_path, monkeypatch)


def _audited(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, *sizes: int) -> str:
    """Make a repository with an artifact of each size, a month apart; return its audit's path."""
    repo = Repo.init(folder / name)
    for number, size in enumerate(sizes, 1):
        repo.stage(f"m{number}.ckpt", bytes((n * n * 31 + number) % 251 for n in range(size)))
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"2025-0{number}-01T00:00:00+0000")
        repo.commit()
    repo.stage("a.py", "x = 1\n")
    repo.commit()
    path = folder / f"{name}.json"
    with working_directory(repo.root):
        check_range.main(["--all", "--format", "json", "--output", str(path)])
    return str(path)


class Cells(HTMLParser):
    """The texts of the rows of all tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "th") or (self._in_cell and tag in ("button", "wbr", "span"))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def test_who_carries_what(
    audited: Callable[..., str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    files = [audited("light", 2_000), audited("heavy", 90_000, 70_000)]
    files.append(audited("<clean>"))
    capfd.readouterr()
    page = tmp_path / "page.html"
    assert check_range.main(["--merge", *files, "--html", str(page)]) == 0
    out = capfd.readouterr().out.splitlines()
    assert [line.split()[-1] for line in out] == ["heavy", "light", "<clean>", "them"]
    rows = Cells(page.read_text("utf-8")).rows
    names = [row[0] for row in rows if row]
    assert names == [
        *("Repository", "heavy", "light", "<clean>"),
        *("Repository", "heavy", "light"),
    ]
    heavy = rows[1]
    audit = json.loads(Path(files[1]).read_text("utf-8"))["audit"]
    assert heavy[1] == "2" == str(audit["artifacts"]["blobs"])
    assert heavy[2] == "156.2 KiB"
    assert heavy[5] == "yes"
    assert heavy[7] == "3"
    assert "<clean>" not in page.read_text("utf-8")
    assert "fx-check-range --merge --html" in page.read_text("utf-8")


def test_the_growth_is_the_sum_of_all() -> None:
    def one(name: str, *points: tuple[int, int, int, int]) -> Repository:
        weight = Weight(1, 1, 1)
        return Repository(
            name, 2, 1, weight, weight, weight, (), tuple(Point(*each) for each in points)
        )

    both = merged([one("a", (10, 1, 0, 0), (30, 2, 5, 0)), one("b", (20, 100, 0, 7))])
    assert [tuple(point) for point in both.growth.points] == [
        (10, 1, 0, 0),
        (20, 101, 0, 7),
        (30, 102, 5, 7),
    ]
    assert (both.commits, both.refs, both.artifacts) == (4, 2, Weight(2, 2, 2))


def test_what_the_baselines_accept(
    audited: Callable[..., str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [audited("one", 2_000), audited("other", 3_000)]
    for path in files:
        with working_directory(Path(path).with_suffix("")):
            assert init.main(["--baseline", "--yes"]) == 0
            repo = Repo(Path.cwd())
            repo.stage_all()
            repo.commit()
            check_range.main(["--all", "--format", "json", "--output", path])
    # As it was written before there were baselines.
    document = json.loads(Path(audited("old")).read_text("utf-8"))
    del document["audit"]["accepted"]
    (tmp_path / "old.json").write_text(json.dumps(document))
    capfd.readouterr()
    files.append(str(tmp_path / "old.json"))
    assert check_range.main(["--merge", *files]) == 0
    *rows, note = capfd.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["nothing"] * 4
    assert note.startswith(
        "Accepted by .fx-hooks-baseline, and not counted as artifacts: 2 blobs, "
    )
    page = tmp_path / "page.html"
    assert check_range.main(["--merge", *files[:2], "--html", str(page)]) == 0
    *rows, note = capfd.readouterr().out.splitlines()
    assert note in unescape(page.read_text("utf-8"))
    assert "No artifacts but what .fx-hooks-baseline accepts." in page.read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", "{}", '{"version": 1}', '{"version": 1, "audit": 3}', "[" * 100_000),
        '{"version": 2, "audit": {"repository": "x"}}',
        '{"version": 1, "findings": [], "notes": []}',
    ],
)
def test_what_is_no_audit(
    tmp_path: Path, text: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.json").write_text(text)
    assert check_range.main(["--merge", "x.json", "--html", "page.html"]) == 2
    assert "x.json: is not an audit: write one with" in capfd.readouterr().err
    assert not (tmp_path / "page.html").exists()
    assert check_range.main(["--merge", "none.json"]) == 2


@pytest.mark.parametrize("change", ["commits", "points", "weights", "text"])
def test_figures_that_are_none(
    audited: Callable[..., str],
    change: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = Path(audited("one", 2_000))
    document = json.loads(file.read_text("utf-8"))
    audit = document["audit"]
    if change == "commits":
        audit["commits"] = 1e400
    elif change == "points":
        audit["growth"].append({"time": 1, "rest": 0, "there": 0, "gone": 0})
    elif change == "weights":
        audit["artifacts"]["packed"] = -1
    else:
        audit["rules"][0]["rule"] = ["<script>"]
    file.write_text(json.dumps(document))
    assert check_range.main(["--merge", str(file)]) == 2
    assert "is not an audit" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [("--merge", "x.json", "--all"), ("--merge", "x", "--format", "json"), ("--html", "x.html")],
)
def test_usage(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_range.main(list(words)) == 2
