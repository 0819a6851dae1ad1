"""`fx-archive-runs --find`: conditions, and what is searched, whatever became of the catalogue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.memory import MemoryFile
from hypothesis import given
from hypothesis import strategies as st

from fx_hooks.cli import archive_runs, clean_runs
from fx_hooks.runs.archive import catalogue, writer
from fx_hooks.runs.archive.storage import Upload
from fx_hooks.runs.archive.writer import Item
from fx_hooks.runs.query import parse_query
from fx_hooks.util.errors import FatalError
from tests.run_trees import write
from tests.support import run
from tests.test_kept_runs import job as make_job
from tests.test_storage import ObjectStore, Server, alone

if TYPE_CHECKING:
    from tests.support import Repo, Result

__all__ = ["alone"]  # it empties the storage

METRICS = {"val/acc": 0.9, "loss": -1e-3, "epochs": 3, "nested": {"f1": 0.5}, "odd": float("nan")}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("val/acc > 0.9", False),
        ("val/acc > 0.8 and not (loss >= 1 or epochs < 3)", True),
        ("val/acc >= .9", True),
        ("val.acc=0.9", True),
        ("epochs==3", True),
        ("epochs != 3", False),
        ("loss < -0.0005", True),
        ("loss<=-1E-3", True),
        ("nested.f1 > 0.4 and epochs > 2", True),
        ("nested.f1 > 0.4 and epochs > 3", False),
        ("epochs > 3 or epochs < 4", True),
        ("not epochs > 3", True),
        ("not (epochs > 3 or loss > 0)", True),
        ("not not epochs > 3", False),
        # `and` binds closer than `or`.
        ("epochs > 2 or epochs > 9 and loss > 0", True),
        ("(epochs > 2 or epochs > 9) and loss > 0", False),
        ("'val/acc' > 0", True),
        ('"odd name" > 0', None),
        # What is not there is neither more nor less.
        ("f1 > 0", None),
        ("not f1 > 0", None),
        ("odd > 0", None),
        ("f1 > 0 and epochs > 9", False),
        ("f1 > 0 and epochs > 2", None),
        ("f1 > 0 or epochs > 2", True),
    ],
)
def test_conditions(text: str, truth: bool | None) -> None:
    assert parse_query(text).test(METRICS) is truth


@pytest.mark.parametrize(
    "text",
    [
        "", "acc", "acc >", "> 1", "acc > x", "acc > 1 2", "acc > 1 and", "(acc > 1", "acc > 1)",
        "not", "1 > acc", "acc > 1 or or b > 1", "acc > nan", "acc > 1e", "acc > 1.2.3",
        "acc > 0x1", "__import__('os').system('x')", "acc > 1; x", "acc >< 1",
         "a b > 1", "acc > inf", "'a > 1",
        "acc > " + "9" * 101, "(" * 60 + "a > 1" + ")" * 60, "not " * 60 + "a > 1",
        "a > 1 or " * 150 + "a > 1", "a" * 2001,
    ],
)  # fmt: skip
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(FatalError):
        parse_query(text)


@given(st.text(alphabet="ab.><=!()'\" 019-+e/notadr", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except FatalError:
        return
    assert query.test(METRICS) in (True, False, None)


def test_reading_takes_linear_time() -> None:
    """Nothing that is refused late has been read many times."""

    def seconds(text: str) -> float:
        best = 9.0
        for _ in range(5):
            start = time.process_time()
            with pytest.raises(FatalError):
                parse_query(text)
            best = min(best, time.process_time() - start)
        return best

    for part in ("9", "a", "'", "(", " ", "a.", "1e", "not ", "a>1 or "):
        short, long = part * (250 // len(part)), part * (2000 // len(part))
        assert seconds(f"{long} ~") < 40 * seconds(f"{short} ~") + 0.002


def pack(repo: Repo, folder: str, name: str, accuracy: float | None, **more: Any) -> str:
    """Archive a run with these figures; return the archive."""
    path = f"outputs/2026-01-{len(os.listdir(repo.root)) + 10}/10-00-00"
    make_job(repo.root, path)
    metrics = {} if accuracy is None else {"val/acc": accuracy}
    about = {"kind": "Hydra job", "metrics": metrics, **more}
    target = f"{folder}/{name}"
    writer.write(os.fsencode(repo.root), [Item(path.encode(), about)], target.encode(), force=True)
    return path


@pytest.fixture(params=["disk", "oss://bucket", "tosftp://host/dir"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        (tmp_path / "archives").mkdir()
        return str(tmp_path / "archives")
    Server().makedirs("/host/dir", exist_ok=True)
    return str(request.param)


def find(repo: Repo, *words: str) -> Result:
    return run(archive_runs.main, "--find", *words, cwd=repo.root)


def test_all_archives_are_searched(repo: Repo, folder: str) -> None:
    good = pack(repo, folder, "a.tar.gz", 0.95)
    pack(repo, folder, "b.tar.zst", 0.5)
    pack(repo, folder, "c.tar.gz", None)
    inner = [{"path": "wandb/run-1", "metrics": {"val/acc": 0.99}}, {"path": "wandb/run-2"}]
    job = pack(repo, folder, "d.tar.gz", None, runs=inner)
    done = find(repo, "val/acc > 0.9", folder)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "2 runs of 5 in 4 archives",
        f"{folder}/a.tar.gz:",
        f"  {good}: val/acc 0.95",
        f"{folder}/d.tar.gz:",
        f"  {job}: wandb/run-1: val/acc 0.99",
        "note: 2 runs without val/acc: not decided",
    ]
    found = json.loads(find(repo, "val/acc > 0.9", "--format", "json", folder).out)
    assert [run["path"] for run in found["runs"]] == [good, "wandb/run-1"]
    assert [run["archived"] for run in found["runs"]] == [good, job]
    assert found["runs"][0]["archive"] == f"{folder}/a.tar.gz"
    assert (found["archives"], found["searched"], found["undecided"]) == (4, 5, 2)
    # One archive alone.
    alone = find(repo, "val/acc < 0.9", f"{folder}/b.tar.zst")
    assert alone.out.startswith("1 run of 1 in 1 archive\n")


def test_what_an_archive_says_of_a_run_does_not_say_where_it_is(repo: Repo, tmp_path: Path) -> None:
    inner = [{"path": "\ud800", "metrics": {"a": 1}, "archive": "/elsewhere", "archived": "x"}]
    job = pack(repo, str(tmp_path), "a.tar.gz", 0.5, runs=inner, archive="x", archived="y")
    done = find(repo, "a = 1", str(tmp_path))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[2] == rf"  {job}: '\xed\xa0\x80': a 1"
    for condition, path in (("a = 1", "\ud800"), ("val/acc = 0.5", job)):
        (found,) = json.loads(find(repo, condition, "--format", "json", str(tmp_path)).out)["runs"]
        where = (found["archive"], found["archived"], found["path"])
        assert where == (f"{tmp_path}/a.tar.gz", job, path)


@pytest.mark.parametrize("with_tracker", [False, True])
def test_what_is_found_can_be_restored(repo: Repo, tmp_path: Path, with_tracker: bool) -> None:
    """A job's figures are those of the W&B run that it started, be that packed as well or not."""
    tracker, job, sweep = "wandb/offline-run-1", "outputs/2026-01-01/10-00-00", "multirun/a/b"
    told: dict[str, Any] = {"kind": "W&B run", "metrics": {"val/acc": 0.7}}
    inner = [{"path": tracker, **told}]
    items = [
        Item(job.encode(), {"kind": "Hydra job", "runs": inner}),
        Item(sweep.encode(), {"kind": "Hydra sweep", "runs": [{"path": f"{sweep}/0", **told}]}),
        *[Item(tracker.encode(), told)] * with_tracker,
    ]
    for item in items:
        write(repo.root / os.fsdecode(item.path) / "x.txt")
    archive = tmp_path / "a.tar.gz"
    writer.write(os.fsencode(repo.root), items, os.fsencode(archive), force=False)
    count, _, *lines = find(repo, "val/acc > 0.6", str(archive)).out.splitlines()
    assert count == f"{len(items)} runs of {len(items)} in 1 archive"
    assert lines == [
        f"  {sweep}: 0: val/acc 0.7",
        f"  {job}: {tracker}: val/acc 0.7",
        *[f"  {tracker}: val/acc 0.7"] * with_tracker,
    ]
    there = tmp_path / "there"
    there.mkdir()
    for line in lines:
        path = line.strip().partition(": ")[0]
        assert run(archive_runs.main, "--restore", str(archive), path, cwd=there).code == 0
        assert (there / path / "x.txt").exists()


def content(folder: str, name: str, change: Callable[[bytes], bytes | None]) -> None:
    """Change a file as somebody else might; None removes it."""
    if "://" not in folder:
        path = Path(folder, name)
        data = change(path.read_bytes())
        path.unlink() if data is None else path.write_bytes(data)
        return
    system = (ObjectStore if folder.startswith("oss") else Server)()
    (place,) = (key for key in system.store if key.endswith(f"/{name}"))
    data = change(system.store.pop(place).getvalue())
    if data is not None:
        system.store[place] = MemoryFile(None, place, data)


COPY = "a.tar.gz.manifest.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda _: None, "the copy of its manifest is missing", id="missing"),
        pytest.param(lambda data: data[:-9], "is damaged", id="cut"),
        pytest.param(lambda _: b"", "is damaged", id="empty"),
        pytest.param(
            lambda data: data.replace(b'"version": 1', b'"version": 7'), "is damaged", id="foreign"
        ),
    ],
)
def test_a_copy_that_is_not_believed(
    repo: Repo,
    folder: str,
    change: Callable[[bytes], bytes | None],
    said: str,
) -> None:
    """Then the archive itself is read: nothing is missed, and that is said."""
    good = pack(repo, folder, "a.tar.gz", 0.95)
    content(folder, COPY, change)
    done = find(repo, "val/acc > 0.9", folder)
    assert done.code == 0
    assert good in done.out
    assert said in done.out
    assert "the archive itself was read" in done.out
    # Without either there is no search.
    content(folder, "a.tar.gz", lambda data: data[: len(data) // 2])
    content(folder, COPY, change) if change(b"x") is not None else None
    pack(repo, folder, "b.tar.gz", 0.96)
    done = find(repo, "val/acc > 0.9", folder)
    assert done.code == 1
    assert "b.tar.gz" in done.out
    assert f"not searched: {folder}/a.tar.gz: " in done.out
    found = json.loads(find(repo, "val/acc > 0.9", folder, "--format", "json").out)
    assert [one["archive"] for one in found["unread"]] == [f"{folder}/a.tar.gz"]


def test_a_copy_that_is_older_than_its_archive(repo: Repo, tmp_path: Path) -> None:
    """As where somebody puts another archive in its place."""
    folder = str(tmp_path)
    pack(repo, folder, "a.tar.gz", 0.5)
    good = pack(repo, folder, "b.tar.gz", 0.95)
    time.sleep(0.01)
    os.replace(tmp_path / "b.tar.gz", tmp_path / "a.tar.gz")
    os.utime(tmp_path / "a.tar.gz")
    os.unlink(tmp_path / "b.tar.gz.manifest.json")
    done = find(repo, "val/acc > 0.9", folder)
    assert good in done.out
    assert "the copy of its manifest is older: the archive itself was read" in done.out


def test_what_replaces_an_archive_takes_its_copy_away_first(
    repo: Repo, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends it in between, no copy is that of another archive."""
    first = pack(repo, folder, "a.tar.gz", 0.95)

    def fails(*_: Any, **__: Any) -> None:
        raise FatalError("the machine is gone")

    real = writer._output
    monkeypatch.setattr(Upload, "close", lambda _: None)  # as if it had been killed
    monkeypatch.setattr(
        writer, "_output", lambda place: fails() if place.endswith(b".json") else real(place)
    )
    with pytest.raises(FatalError):
        pack(repo, folder, "a.tar.gz", 0.5)
    done = find(repo, "val/acc > 0", folder)
    if "oss" in folder:  # the upload was complete
        assert "val/acc 0.5" in done.out
    else:
        assert first in done.out


def test_archives_that_are_known_here(repo: Repo, tmp_path: Path) -> None:
    assert "no archive is known here" in find(repo, "a > 1").err
    path = "outputs/2026-01-06/10-00-00"
    make_job(repo.root, path)
    words = ("--yes", "--archive", "oss://bucket/x.tar.gz", ".")
    assert run(clean_runs.main, *words, cwd=repo.root).code == 0
    (tmp_path / "repo" / "kept").mkdir(exist_ok=True, parents=True)
    (repo.root / "kept").mkdir(exist_ok=True)
    pack(repo, str(repo.root / "kept"), "y.tar.gz", 0.95)
    done = find(repo, "val/acc > 0.9")
    assert "1 run of 2 in 2 archives" in done.out
    assert catalogue.folder_of("oss://bucket/x.tar.gz") == "oss://bucket"


def test_places_that_cannot_be_searched(repo: Repo, tmp_path: Path) -> None:
    assert find(repo, "a > 1", str(tmp_path / "none")).code == 2
    assert find(repo, "a > 1", "oss://none/x").code == 2
    assert find(repo, "a >", str(tmp_path)).code == 2
    (tmp_path / "all").mkdir()
    done = find(repo, "a > 1", str(tmp_path / "none"), str(tmp_path / "all"))
    assert done.code == 1
    assert f"not searched: {tmp_path}/none: cannot be listed: No such file" in done.out
    done = find(repo, "a > 1", str(tmp_path / "none.tar.gz"))
    assert done.code == 1
    assert "not searched: " in done.out
    for words in (("--list", "x.tar.gz"), ("--restore", "x.tar.gz")):
        assert "do not go together" in find(repo, "a > 1", *words).err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("words", [("--find", "a > 1"), ("--list",), ("--restore",)])
def test_a_pipe_is_no_archive(repo: Repo, words: tuple[str, ...]) -> None:
    """Nobody writes to it: whoever opened it would wait for ever."""
    os.mkfifo(repo.root / "x.tar.gz")
    done = subprocess.run(
        (sys.executable, "-m", "fx_hooks", "archive-runs", *words, "x.tar.gz"),
        cwd=repo.root, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.returncode == (1 if words[0] == "--find" else 2)
    assert "cannot be read: it is not a file" in done.stdout + done.stderr


def test_a_link_that_leads_nowhere_stops_nobody(repo: Repo, tmp_path: Path) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "latest").symlink_to("nowhere")
    (folder / "old.tar.gz").symlink_to("nowhere.tar.gz")
    pack(repo, str(folder), "y.tar.gz", 0.95)
    done = find(repo, "val/acc > 0.9", str(folder))
    assert done.code == 1
    assert "1 run of 1 in 2 archives" in done.out
    assert f"not searched: {folder}/old.tar.gz: " in done.out
