"""What real W&B clients leave, and what that proves of their uploads.

``data/wandb/runs.tar.gz`` has the work trees of real runs against a local server, without what
is not read; ``runs.tsv`` says of each what was done, and what the server has.
"""

from __future__ import annotations

import csv
import json
import os
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fx_hooks.best_models.provenance import find_provenance
from fx_hooks.cli import clean_runs, report_space
from fx_hooks.frameworks.wandb.sync_logs import Syncs
from fx_hooks.frameworks.wandb.uploads import TABLE
from fx_hooks.git.repository import Repository
from fx_hooks.runs import inventory
from fx_hooks.runs.inventory import Run, kept_because, survey
from fx_hooks.runs.liveness import Processes
from fx_hooks.util.disk import Folder, scan
from tests.run_trees import mark_as_synced
from tests.wandb_records import ended_with, field
from tests.wandb_records import log as written_log

if TYPE_CHECKING:
    from tests.support import Repo

DATA = Path(__file__).parent / "data" / "wandb"
LOST, FULL, UNPROVEN = "lost", "full", "unproven"
with (DATA / "runs.tsv").open() as told:
    TRUTH = {row["# name"]: row["state"] for row in csv.DictReader(told, delimiter="\t")}


@pytest.fixture(autouse=True)
def unused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Looking at all processes takes long, and none has to do with the runs."""
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setattr(inventory, "find_processes", lambda _: Processes((), frozenset()))


def unpack(repo: Repo, name: str) -> list[str]:
    """Lay the runs of that name out, ten days old; return their paths."""
    with tarfile.open(DATA / "runs.tar.gz") as archive:
        for member in archive:
            prefix = f"./{name}/repo/"
            if member.isfile() and member.name.startswith(prefix):
                content = archive.extractfile(member)
                assert content is not None
                repo.write(member.name.removeprefix(prefix), content.read())
    then = time.time() - 10 * 86_400
    for folder, folders, files in os.walk(repo.root / "wandb", topdown=False):
        for entry in (*files, *folders):
            os.utime(os.path.join(folder, entry), (then, then))
    runs = (repo.root / "wandb").glob("*run-*")
    return sorted(path.relative_to(repo.root).as_posix() for path in runs)


def look(*accepted: str) -> dict[str, Run]:
    found = survey(Repository(), accepted=[os.fsencode(path) for path in accepted])
    return {os.fsdecode(run.path): run for run in found.runs}


@pytest.mark.parametrize("name", TRUTH)
def test_what_real_clients_left(
    repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo.root)
    paths = unpack(repo, name)
    runs = look()
    assert list(runs) == paths
    for path, run in runs.items():
        why = kept_because(run)
        proofs = {str(evidence.proves) for evidence in run.evidence}
        if TRUTH[name] == FULL:
            assert (why, "uploaded" in proofs) == (None, True)
            continue
        if TRUTH[name] == LOST:
            assert run.state == "unsynced"
            assert "not uploaded" in proofs
            assert "uploaded" not in proofs
        # Only what nothing speaks against can be accepted.
        accepted = look(path)[path]
        assert (kept_because(accepted) is None) == (TRUTH[name] == UNPROVEN)
        if why is not None:
            assert clean_runs.main([path]) in (0, 1)  # a plan
            out = capfd.readouterr().out
            hint = f"\n    fx-clean-runs --accept-unproven {path}\n"
            assert (hint in out) == (TRUTH[name] == UNPROVEN)


def test_the_id_is_in_the_record(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a folder of that name is there already, W&B adds a number to the name alone."""
    monkeypatch.chdir(repo.root)
    paths = unpack(repo, "id-ok-031")
    assert [path.rpartition("-same")[2] for path in paths] == ["", "-1", "-2"]
    assert {run.run_id for run in look().values()} == {"same"}
    for path in paths:
        repo.write(f"{path}/model.pt", b"x")
        found = find_provenance(str(repo.root / path / "model.pt"), str(repo.root))
        assert found.wandb["id"] == "same"


def test_a_run_is_accepted_alone(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo.root)
    monkeypatch.setattr(clean_runs, "find_processes", lambda _: None)
    (lost,) = unpack(repo, "online-400-017")
    _, other = unpack(repo, "online-ok-015")
    first, *_ = sorted(set(unpack(repo, "online-ok-017")) - {lost, other})
    assert clean_runs.main(["--yes", "--accept-unproven", "wandb/none", "."]) == 2
    assert "wandb/none: is not a run" in capfd.readouterr().err
    # A folder above does not stand for what is in it.
    assert clean_runs.main(["--yes", "--accept-unproven", "wandb", "."]) == 2
    assert clean_runs.main(["--yes", "--accept-unproven", first, "."]) == 1
    assert [path for path in (first, other, lost) if os.path.exists(path)] == [other, lost]
    # By itself, it is also what is meant.
    assert clean_runs.main(["--yes", "--accept-unproven", other]) == 0
    assert clean_runs.main(["--yes", "--accept-unproven", lost]) == 1
    assert [path for path in (first, other, lost) if os.path.exists(path)] == [lost]


def test_what_was_read_is_shown(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repo.root)
    (path,) = unpack(repo, "sync-400-inside-031")
    log = "wandb/wandb/logs/debug-sync.20261019.165918.log"
    assert clean_runs.main(["--explain", path]) == 0
    out = capfd.readouterr().out
    assert out.startswith(f"{path}: it stays: unsynced: not all of its files could be uploaded")
    assert f"    {log}: the server refused some of it (proves: not uploaded)\n" in out
    assert report_space.main(["--format", "json"]) == 0
    items = {item["path"]: item for item in json.loads(capfd.readouterr().out)["items"]}
    assert {
        "run": path, "read": log, "says": "the server refused some of it",
        "proves": "not uploaded",
    } in items[path]["evidence"]  # fmt: skip
    assert next(item["evidence"] for item in items.values() if item["state"] is None) == []
    assert clean_runs.main(["--explain", "wandb/none"]) == 2


def test_a_mark_alone_proves_nothing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that was refused leaves it, too, and its log may lie anywhere."""
    monkeypatch.chdir(repo.root)
    (path,) = unpack(repo, "sync-ok-031")
    (log,) = (repo.root / "wandb" / "logs").iterdir()
    content = log.read_text()
    log.unlink()
    run = look()[path]
    assert (run.state, run.unproven) == ("unsynced", True)
    # In WANDB_DIR it is found.
    elsewhere = repo.root.parent / "elsewhere"
    (elsewhere / "wandb" / "logs").mkdir(parents=True)
    (elsewhere / "wandb" / "logs" / log.name).write_text(content)
    monkeypatch.setenv("WANDB_DIR", str(elsewhere))
    assert kept_because(look()[path]) is None


@pytest.mark.parametrize(
    ("line", "harmless"),
    [
        ('"level":"ERROR+4","msg":"filestream: fatal error: x"', False),
        ('"level":"ERROR","msg":"runfiles: CreateRunFiles returned 404"', False),
        ('"level":"ERROR","msg":"api: HTTP error","status":404,"url":"http://h/up/a"', False),
        ('"level":"ERROR","msg":"api: HTTP error","status":400,"url":"http://h/graphql"', True),
        ('"level":"ERROR","msg":"sender: received exit more than once, ignoring"', True),
        ('"level":"INFO","msg":"file transfer: upload: failed"', True),
    ],
)
def test_errors_in_the_log_of_an_online_run(
    repo: Repo, line: str, harmless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.root)
    (path,) = unpack(repo, "online-ok-031")
    log = repo.root / path / "logs" / "debug-internal.log"
    then = log.stat().st_mtime
    log.write_text("{" + line + "}\n" + log.read_text())
    os.utime(log, (then, then))
    assert (kept_because(look()[path]) is None) == harmless


@pytest.mark.parametrize("time_", [b"2024-99-99 99:99:99", b"0000-01-01 00:00:00"])
def test_a_sync_at_a_time_that_is_none(repo: Repo, time_: bytes) -> None:
    """What the server refused before is not forgotten for it."""
    run = "run-20260105_100001-abc/run-abc.wandb"
    began = f"2026-01-05 10:00:00 INFO open for scan: {run}\n".encode()
    lines = (began, b"2026-01-05 10:00:01 ERROR dropped chunk\n", began.replace(began[:19], time_))
    repo.write("wandb/debug-cli.me.log", b"".join(lines))
    syncs = Syncs(scan(os.fsencode(repo.root)))
    found = syncs.last(Folder(run.encode().partition(b"/")[0], None, 0, 0, 0), b"run-abc.wandb")
    assert found is not None
    assert found.refused


def test_what_was_added_after_a_sync(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later sync whose log is not found says nothing of what came between."""
    monkeypatch.chdir(repo.root)
    (path,) = unpack(repo, "sync-ok-031")
    (log,) = (repo.root / path).glob("*.wandb")
    # It has no end any more, as a run that went on.
    content = log.read_bytes()
    log.write_bytes(content[: len(content) // 2])
    then = log.with_name(f"{log.name}.synced").stat().st_mtime
    os.utime(log, (then, then))
    assert look()[path].state == "unsynced"
    mark_as_synced(repo.root / path, repo.root, mtime=int(then * 1e9))
    assert look()[path].state == "synced"


def test_the_table_in_the_documentation() -> None:
    page = (Path(__file__).parent.parent / "docs" / "fx-clean-runs.md").read_text(encoding="utf-8")
    for row in TABLE:
        for cell in row:
            assert cell in page, cell


@pytest.mark.parametrize(
    ("name", "told", "sent"),
    [
        pytest.param("files/note.txt", "", False, id="put into files/"),
        pytest.param("files/results/a.csv", "", False, id="in a folder of its own"),
        pytest.param("results.csv", "", False, id="beside files/"),
        pytest.param("files/note.txt", "note.txt", True, id="given to wandb.save"),
        pytest.param("files/a[1].txt", "a[[]1].txt", True, id="with a name that is a pattern"),
        pytest.param("files/note.txt", "other.txt", False, id="another one was given"),
        pytest.param("files/media/images/a.png", "", True, id="media"),
        pytest.param("files/output.log", "", True, id="W&B's own"),
        pytest.param("logs/debug.log", "", True, id="a log"),
    ],
)
def test_what_w_and_b_was_not_told_to_send(
    repo: Repo, name: str, told: str, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since 0.18 what a program writes into W&B's folder of the run is not sent by itself."""
    monkeypatch.chdir(repo.root)
    (path,) = unpack(repo, "online-ok-031")
    (log,) = (repo.root / path).glob("*.wandb")
    then = log.stat().st_mtime
    if told:
        record = field(6, field(1, field(1, told)))
        log.write_bytes(written_log(field(17, field(1, "run1")), record, ended_with(0)))
    repo.write(f"{path}/{name}", b"x\n")
    for folder, _, files in os.walk(path):
        for file in files:
            os.utime(os.path.join(folder, file), (then, then))
    run = look()[path]
    assert (kept_because(run) is None) is sent
    assert run.unproven is not sent
    assert (kept_because(look(path)[path]) is None) is True
