"""What no writer makes, or readers read differently, is refused by every door."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fx_hooks import check_range
from fx_hooks.best_models.metadata import read_metadata
from fx_hooks.weights.content import inspect
from tests.contract_support import (
    LISTING,
    META,
    METADATA,
    MODEL,
    STATE,
    add,
    approve,
    check,
    entry,
    listing,
)
from tests.odd_files import odd_files
from tests.support import CLEAN, Repo, Result, run

FILES = odd_files()


def test_there_are_many() -> None:
    assert len(FILES) >= 250
    assert len({content for _, content in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_none_passes(name: str) -> None:
    found = inspect(io.BytesIO(FILES[name][1]))
    assert found.format is None or found.globals or found.faults


# The doors


def pushed(repo: Repo, tmp_path: Path) -> Result:
    """The range of all commits at a server that asks, before the push is taken."""
    remote = Repo.init(tmp_path / "remote.git", "--bare")
    script = f'exec "{sys.executable}" -m fx_hooks.check_range --pre-receive\n'
    hook = remote.root / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\n{script}")
    hook.chmod(0o755)
    done = subprocess.run(
        ("git", "push", "-q", str(remote.root), "HEAD:refs/heads/main"),
        cwd=repo.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Result(done.returncode, done.stdout.decode("utf-8", "replace"), "")


def by_every_door(repo: Repo, tmp_path: Path) -> Iterator[tuple[str, Result]]:
    """What each door says of a commit that was made with ``--no-verify``."""
    yield "commit", check(repo, "--all-files")
    repo.commit()
    yield "range", run(check_range.main, cwd=repo.root)
    if os.name != "nt":
        yield "server", pushed(repo, tmp_path)


def sample() -> list[str]:
    """A few of each group."""
    return list(FILES)[::12]


@pytest.mark.slow
@pytest.mark.parametrize("name", sample())
def test_by_no_door(repo: Repo, tmp_path: Path, name: str) -> None:
    suffix, content = FILES[name]
    model = f"best_models/m{suffix}"
    repo.write(f"run/m{suffix}", content)
    refused = add(repo, f"run/m{suffix}", "--why", "x", "--metric", "a=1")
    assert (refused.code, (repo.root / model).exists()) == (2, False)
    repo.stage(model, content)
    repo.stage(METADATA, META)
    repo.stage(LISTING, listing(entry(content, model)))
    for door, result in by_every_door(repo, tmp_path):
        assert result.code == 1, (door, result)
        assert "Traceback" not in result.out + result.err


def test_what_is_in_order_passes_every_door(repo: Repo, tmp_path: Path) -> None:
    approve(repo)
    for door, result in by_every_door(repo, tmp_path):
        assert result.code == 0, (door, result)


# What belongs to a model


def _link(repo: Repo, path: str, target: str) -> None:
    repo.remove(path)
    repo.link(path, target)
    repo.git("add", "-f", path)


def _digest(repo: Repo, value: object) -> None:
    repo.stage(METADATA, json.dumps({**json.loads(META), "sha256": value}))


def _submodule(repo: Repo, path: str) -> None:
    repo.git("rm", "-q", "--cached", path)
    repo.gitlink(path)


OTHERS: dict[str, tuple[Callable[[Repo], object], str]] = {
    "no-metadata": (lambda r: r.git("rm", "-q", "--cached", METADATA), "has no metadata"),
    "metadata-of-another": (lambda r: _digest(r, "0" * 64), "has another sha256"),
    "digest-list": (lambda r: _digest(r, ["x"]), "has another sha256"),
    "digest-object": (lambda r: _digest(r, {"a": 1}), "has another sha256"),
    "digest-number": (lambda r: _digest(r, 1), "has another sha256"),
    "digest-true": (lambda r: _digest(r, True), "has another sha256"),
    "digest-upper": (lambda r: _digest(r, "A" * 64), "has another sha256"),
    "metadata-link": (lambda r: _link(r, METADATA, "other.json"), "is a symbolic link"),
    "model-link": (lambda r: _link(r, MODEL, "other.pt"), "a milestone is"),
    "link-out": (lambda r: _link(r, METADATA, "../../x"), "points out of"),
    "model-submodule": (lambda r: _submodule(r, MODEL), "best_models"),
    "hdf5-document": (
        lambda r: r.stage("best_models/README.md", b"\x89HDF\r\n\x1a\n" + bytes(60)),
        "is an HDF5 file",
    ),
    "gguf-document": (
        lambda r: r.stage("best_models/README", b"GGUF" + bytes(60)), "is a GGUF file"
    ),
    "npy-document": (
        lambda r: r.stage("best_models/.keep", FILES["npy-objects"][1]), "is a NumPy array"
    ),
    "joblib-document": (
        lambda r: r.stage("best_models/a.md", FILES["joblib-gz"][1]), "is compressed data"
    ),
    "tar-document": (
        lambda r: r.stage("best_models/a.md", FILES["tar-gnu"][1]), "is a tar archive"
    ),
    "zip-behind-a-document": (
        lambda r: r.stage("best_models/a.md", b"\0# Title\n" + FILES["npz"][1]), "is a zip archive"
    ),
}  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_what_belongs_to_a_model_is_held_by_every_door(
    repo: Repo, tmp_path: Path, name: str
) -> None:
    approve(repo)
    repo.stage("best_models/other.json", "{}")
    change, words = OTHERS[name]
    change(repo)
    for door, result in by_every_door(repo, tmp_path):
        assert result.code == 1, (door, result)
        assert words in result.out, (door, result.out)


def test_a_later_commit_completes_a_milestone(repo: Repo) -> None:
    approve(repo)
    repo.git("rm", "-q", "--cached", METADATA)
    repo.commit()
    found = run(check_range.main, cwd=repo.root)
    assert found.code == 1
    assert "Complete them in a new commit:" in found.out
    assert found.commands == ["fx-add-milestone --replace best_models/m.pt"]
    repo.stage(METADATA, META)
    repo.commit()
    assert run(check_range.main, cwd=repo.root).code == 0
    # A range that takes it away again is noticed; one that does not touch the folder is not.
    repo.git("rm", "-q", "--cached", METADATA)
    repo.commit()
    assert run(check_range.main, "HEAD~1..HEAD", cwd=repo.root).code == 1
    repo.stage("train.py", "x")
    repo.commit()
    assert run(check_range.main, "HEAD~1..HEAD", cwd=repo.root) == CLEAN


JSONS: dict[str, bytes] = {
    "key-twice": b'{"performance":1,"config":1,"config":2}',
    "key-twice-escaped": b'{"performance":1,"config":1,"c\\u006fnfig":2}',
    "nan": b'{"performance":NaN,"config":1}',
    "infinity": b'{"performance":-Infinity,"config":1}',
    "too-large": b'{"performance":1e999,"config":1}',
    "long-number": b'{"performance":' + b"9" * 5_000 + b',"config":1}',
    "deep": b'{"performance":' + b"[" * 50_000 + b"]" * 50_000 + b',"config":1}',
    "bom": b"\xef\xbb\xbf" + META.encode(),
    "utf-16": META.encode("utf-16"),
    "utf-16-be": META.encode("utf-16-be"),
    "utf-32": META.encode("utf-32"),
    "latin-1": b'{"performance":"\xe9","config":1}',
    "overlong": b'{"performance":"\xc0\x80","config":1}',
    "surrogate-bytes": b'{"performance":"\xed\xa0\x80","config":1}',
    "comment": META.encode() + b"// x",
    "trailing-comma": b'{"performance":1,"config":1,}',
    "single-quotes": b"{'performance':1,'config':1}",
    "two-values": META.encode() * 2,
    "nul": META.encode() + b"\0",
    "line-break-in-text": b'{"performance":"a\nb","config":1}',
    "nothing": b"",
    "blanks": b" \n",
    "null": b"null",
    "list": b"[]",
    "text": b'"performance config"',
    "pickle": STATE,
    "yaml": b"performance: 1\nconfig: 1\n",
    "hex": b'{"performance":0x1,"config":1}',
    "plus": b'{"performance":+1,"config":1}',
    "zero": b'{"performance":01,"config":1}',
    "point": b'{"performance":.5,"config":1}',
}  # fmt: skip


@pytest.mark.parametrize("name", JSONS)
def test_metadata_that_readers_read_differently(name: str) -> None:
    assert read_metadata(JSONS[name], required=("performance", "config")).faults


LISTINGS: dict[str, str] = {
    "size-hex": entry(STATE, size=hex(len(STATE))),
    "size-float": entry(STATE, size=f"{len(STATE)}.0"),
    "size-negative": entry(STATE, size="-1"),
    "size-underscores": entry(STATE, size="1_000"),
    "digest-upper": entry(STATE, sha256='"' + "A" * 64 + '"'),
    "digest-short": entry(STATE, sha256='"abc"'),
    "digest-list": entry(STATE, sha256="[a]"),
    "path-dot": entry(STATE, "best_models/./m.pt"),
    "path-parent": entry(STATE, "best_models/../best_models/m.pt"),
    "path-twice": entry(STATE, "best_models//m.pt"),
    "path-slash": entry(STATE, "best_models/m.pt/"),
    "path-absolute": entry(STATE, "/best_models/m.pt"),
    "path-elsewhere": entry(STATE, "models/m.pt"),
    "entry-twice": entry(STATE) + entry(STATE),
    "merge-key": "  <<: {best_models/m.pt: {}}\n" + entry(STATE),
    "binary-tag": entry(STATE, why="!!binary aGk="),
    "python-tag": entry(STATE, why="!!python/object/apply:os.system [id]"),
    "unknown-key": entry(STATE, unsafe="true"),
    "format-unknown": entry(STATE, format="onnx"),
    "format-list": entry(STATE, format="[torch]"),
    "globals-system": entry(STATE, allow_globals="[os.system]"),
    "globals-inside": entry(STATE, allow_globals="[torch.serialization.os.system]"),
    "globals-star": entry(STATE, allow_globals='["*"]'),
    "globals-text": entry(STATE, allow_globals="numpy.ndarray"),
    "no-date": entry(STATE, approved="2026-99-99"),
    "why-nothing": entry(STATE, why='""'),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_lists_that_say_it_otherwise(repo: Repo, name: str) -> None:
    approve(repo)
    repo.stage(LISTING, listing(LISTINGS[name]))
    result = check(repo)
    assert result.code == 2, result
    assert result.err.startswith(f"fx-check-best-models: error: {LISTING}:")
    assert len(result.err.splitlines()) == 1
