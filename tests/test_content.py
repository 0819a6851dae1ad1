"""What is flagged by its name is looked at: text is not a model, a pointer to one is."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import pytest

from fx_hooks.git.repository import lfs_pointer
from fx_hooks.weights.plain_text import is_text, is_text_file
from tests.support import CLEAN, WEIGHTS, Repo
from tests.weight_files import SHIPPED

TEXT = ("page_template.pt", "distutils-precedence.pth")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files(repo: Repo, path: Path) -> None:
    name = path.name
    repo.stage(f"models/{name}", path.read_bytes())
    assert repo.check().code == (0 if name in TEXT else 1)
    assert repo.check("--all-files").code == (0 if name in TEXT else 1)


PAGE = b"<tr tal:repeat='row rows'><td tal:content='row/c'>\xc3\xa9</td></tr>\n" * 40_000
WORDS = "".join(f"rua{number}\nágua{number}\n" for number in range(2000)).encode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", True, id="empty"),
        pytest.param("<html tal:content='modèle'/>\n".encode(), True, id="utf-8"),
        pytest.param(b"mod\xe8le\r\n", True, id="latin-1"),
        pytest.param(b"a\0b", False, id="nul"),
        pytest.param(b"\x1b[0m", False, id="escape"),
        pytest.param(PAGE, True, id="megabytes"),
        pytest.param(PAGE + b"\0", False, id="a byte behind megabytes"),
        pytest.param(WORDS, True, id="words"),
        pytest.param(b"cat\ndog\nbird\n", True, id="words that begin like an import"),
        pytest.param(b"import a\n", True, id="a Python path file"),
        pytest.param(pickle.dumps({"a": [1.5]}, protocol=0), False, id="pickle in ASCII"),
        pytest.param(b"L119547037146038801333356L\n.", False, id="torch's magic in ASCII"),
        pytest.param(pickle.dumps([1], protocol=0)[:-1], True, id="half a pickle is none"),
        pytest.param(b"N. America\n", True, id="two operations, then words"),
        pytest.param(b'cos\nsystem\n(S"touch MARK"\ntR', False, id="cut behind a call"),
        pytest.param(b"cos\nsystem\n(Vtouch MARK\n", False, id="cut before a call"),
        pytest.param(b"cos\nsystem\n(Vtouch MARK\ntR0# notes\n", False, id="notes behind a call"),
        pytest.param(b"cos\nsystem\n(Vtouch MARK\ntR.\nwords\n", False, id="words behind a pickle"),
        pytest.param(b"(Vtouch MARK\nios\nsystem\n.", False, id="INST"),
        pytest.param(b"(cos\nsystem\nVtouch MARK\no# notes", False, id="OBJ"),
        pytest.param(b"Vos\nVsystem\n\x93(Vx\ntR.", False, id="STACK_GLOBAL"),
        pytest.param(b"N.cos\nsystem\n(Vtouch MARK\ntR.", False, id="in the second pickle"),
        pytest.param(b"cmine\nrun\n(Vx\ntR# notes", False, id="a module that nobody knows"),
        pytest.param(b"N0" * 200_000, False, id="operations without end"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", True, id="half a pointer"),
    ],
)
def test_is_text(content: bytes, text: bool) -> None:
    assert is_text(io.BytesIO(content)) is text


OID = "oid sha256:" + "0123456789abcdef" * 4 + "\nsize 12345\n"
LFS = "version https://git-lfs.github.com/spec/v1\n"
POINTERS = [
    LFS + OID,
    "version https://hawser.github.com/spec/v1\n" + OID,
    "version http://git-media.io/v/2\n" + OID,
    (LFS + OID).replace("\n", "\r\n"),
    "\n \n" + LFS + OID + "\n\n",
    LFS + "\n" + OID,
    LFS + "ext-0-foo sha256:" + "a" * 64 + "\n" + OID,
    LFS + OID.replace("abcdef", "ABCDEF"),
    LFS + OID.replace("\nsize", "zzz\nsize"),
    LFS + OID.replace("12345", "+5"),
    LFS + OID + " " * 2000 + "words behind what is read",
    LFS + OID + "more words\n",
    LFS + OID.replace("12345", "-5"),
    LFS + OID.replace("12345", ""),
    LFS + OID.replace("sha256", "sha512"),
    LFS + OID.replace("f\n", "\n", 1),
    LFS + "ext-a sha256:x\n" + OID,
    "\ufeff" + LFS + OID,
    "version https://git-lfs.github.com/spec/v2\n" + OID,
    OID + LFS,
    LFS,
    LFS.replace("\n", " \n") + OID,
    " " + LFS + OID,
    LFS + " " + OID,
]


@pytest.mark.parametrize("pointer", POINTERS)
def test_pointers_are_those_of_git_lfs(tmp_path: Path, pointer: str) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    path = tmp_path / "pointer"
    path.write_bytes(pointer.encode())
    command = ("git", "lfs", "pointer", "--check", "--file", str(path))
    theirs = subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    assert (lfs_pointer(pointer.encode()) is not None) is theirs
    if theirs:
        assert not is_text_file(os.fsencode(path))


def test_is_text_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(b"x" * 200_000)
    (tmp_path / "link.pt").symlink_to(path)
    assert is_text_file(os.fsencode(path))
    for name in ("link.pt", ".", "none.pt"):
        assert not is_text_file(os.fsencode(tmp_path / name))


def test_a_large_page_is_text(repo: Repo) -> None:
    repo.stage("templates/page.pt", PAGE)
    assert repo.check() == CLEAN
    repo.stage("templates/model.pt", PAGE + b"\0")
    assert repo.check().code == 1


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
    found = repo.check().out
    assert "2 files do not belong in Git" in found
    assert "exp/first/page.pt" in found


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
