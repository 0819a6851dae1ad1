"""What is flagged by its name is looked at: text is no model, a pointer to one is."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from fx_hooks.weights.content import TEXT_BYTES, is_text, read_start
from tests.support import CLEAN, WEIGHTS, Repo
from tests.weight_files import SHIPPED

TEXT = ("page_template.pt", "distutils-precedence.pth")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files(repo: Repo, path: Path) -> None:
    name = path.name
    repo.stage(f"models/{name}", path.read_bytes())
    assert repo.check().code == (0 if name in TEXT else 1)
    assert repo.check("--all-files").code == (0 if name in TEXT else 1)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", True, id="empty"),
        pytest.param("<html tal:content='modèle'/>\n".encode(), True, id="utf-8"),
        pytest.param(b"mod\xe8le\r\n", True, id="latin-1"),
        pytest.param(b"a\0b", False, id="nul"),
        pytest.param(b"\x1b[0m", False, id="escape"),
        pytest.param(b"x" * TEXT_BYTES, True, id="as large as can be"),
        pytest.param(b"x" * (TEXT_BYTES + 1), False, id="too large to be looked at"),
        pytest.param(pickle.dumps({"a": [1.5]}, protocol=0), False, id="pickle in ASCII"),
        pytest.param(b"L119547037146038801333356L\n.", False, id="torch's magic in ASCII"),
        pytest.param(pickle.dumps([1], protocol=0)[:-1], True, id="half a pickle is none"),
    ],
)
def test_is_text(content: bytes, text: bool) -> None:
    assert is_text(content) is text


def test_nothing_known_is_no_text() -> None:
    assert not is_text(None)


def test_read_start(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(b"x" * (2 * TEXT_BYTES))
    (tmp_path / "link.pt").symlink_to(path)
    assert read_start(os.fsencode(path)) == b"x" * (TEXT_BYTES + 1)
    assert read_start(os.fsencode(tmp_path / "link.pt")) is None
    assert read_start(os.fsencode(tmp_path)) is None
    assert read_start(os.fsencode(tmp_path / "none.pt")) is None


def test_the_staged_version_counts(repo: Repo) -> None:
    repo.stage("page.pt", "<html/>\n")
    repo.write("page.pt", WEIGHTS)
    assert repo.check() == CLEAN
    repo.stage("page.pt", WEIGHTS)
    repo.write("page.pt", "<html/>\n")
    assert repo.check().code == 1


def test_a_named_file_that_is_not_staged(repo: Repo) -> None:
    repo.write("page.pt", "<html/>\n")
    repo.write("model.pt", WEIGHTS)
    assert repo.check("page.pt") == CLEAN
    assert repo.check("model.pt").code == 1
    assert repo.check("nowhere.pt").code == 1


def test_a_link_is_no_text(repo: Repo) -> None:
    repo.link("model.pt", "elsewhere")
    repo.stage_all()
    assert repo.check().code == 1


def test_a_submodule_is_no_text(repo: Repo) -> None:
    repo.gitlink("model.pt")
    assert repo.check().code == 1


def test_text_is_still_in_a_blocked_directory(repo: Repo) -> None:
    repo.stage("outputs/page.pt", "<html/>\n")
    assert "outputs:" in repo.check().out


def test_text_is_still_in_a_run(repo: Repo) -> None:
    repo.stage("exp/first/.hydra/config.yaml", "a: 1\n")
    repo.stage("exp/first/page.pt", "<html/>\n")
    assert "exp/first/  2 files" in repo.check().out


def test_text_does_not_get_into_best_models(repo: Repo) -> None:
    repo.stage("best_models/page.pt", "<html/>\n")
    assert "best-models:" in repo.check().out


def test_a_package_and_text_together(repo: Repo) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [{rule: a, paths: [/a], unless_source: true,"
               " binary_only: true}]\n")  # fmt: skip
    repo.stage("a/x.dat")
    assert repo.check().code == 1
    repo.stage("a/m.py", "pass\n")
    assert repo.check() == CLEAN
    assert repo.check("--all-files") == CLEAN


def test_source_that_is_not_staged_makes_no_package(repo: Repo) -> None:
    repo.stage("logs/table.csv")
    repo.write("logs/main.go", "package logs\n")
    assert repo.check().code == 1
    repo.stage("logs/main.go", "package logs\n")
    assert repo.check() == CLEAN
    # Signatures and suffixes hold in a package, too.
    repo.stage("logs/train.log")
    assert repo.check().code == 1
