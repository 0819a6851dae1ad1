"""What is a run, and whether it lives, is judged right for real runs of every state."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fx_hooks.cli import archive_runs, clean_runs
from fx_hooks.frameworks import run_files
from fx_hooks.frameworks.lightning.runs import LIGHTNING
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.git.repository import Repository
from fx_hooks.runs import inventory as runs
from fx_hooks.runs import liveness
from fx_hooks.runs import milestone_runs as run_milestones
from fx_hooks.runs.inventory import (
    FAILED,
    FINISHED,
    HYDRA_JOB,
    HYDRA_SWEEP,
    LIVE,
    SYNCED,
    UNSYNCED,
    WANDB_RUN,
    Run,
    Survey,
    kept_because,
    outermost,
    survey,
)
from fx_hooks.runs.liveness import Processes
from fx_hooks.util.disk import Problem, Scan, scan
from fx_hooks.util.errors import FatalError
from tests.realruns.cloud import cloud
from tests.realruns.make import environment
from tests.realruns.states import AGES, DAY, States, live_run
from tests.run_trees import whole_sync
from tests.wandb_records import ended_with
from tests.wandb_records import log as log_of

STATES = {
    "job": UNSYNCED,
    "chdir": UNSYNCED,
    "sweep": UNSYNCED,
    "synced": SYNCED,
    "failed": UNSYNCED,
    "killed": UNSYNCED,
    "online": SYNCED,
    "online_failed": FAILED,
    "online_killed": UNSYNCED,
    "online_refused": UNSYNCED,
    "custom": UNSYNCED,
    "bare": UNSYNCED,
    "chosen": UNSYNCED,
}


def look(root: Path, monkeypatch: pytest.MonkeyPatch, now: float | None = None) -> Survey:
    monkeypatch.chdir(root)
    return survey(Repository(), now=now)


def by_name(states: States, found: Survey, gone: str = "") -> dict[str, Run]:
    runs = {run.path: run for run in found.runs}
    return {name: runs[path] for name, path in states.places.items() if name != gone}


def test_every_state(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    found = look(states.root, monkeypatch)
    runs = by_name(states, found)
    assert len(runs) == len(found.runs)
    assert found.notes == ()
    assert {name: runs[name].state for name in AGES} == STATES
    for name in AGES:
        if name != "sweep":
            assert runs[f"{name}_wandb"].state == STATES[name], name
            assert runs[f"{name}_wandb"].run_id
            assert runs[f"{name}_wandb"].owner == states.places[name], name
            assert runs[name].owns == (states.places[f"{name}_wandb"],), name
    assert {run.state for name, run in runs.items() if name.startswith("lightning")} == {FINISHED}
    kinds = {name: run.kind for name, run in runs.items()}
    assert kinds["sweep"] == HYDRA_SWEEP
    assert kinds["sweep_0"] == kinds["bare"] == kinds["custom"] == HYDRA_JOB
    assert kinds["lightning_1"] == LIGHTNING
    assert kinds["chdir_wandb"] == WANDB_RUN
    assert runs["chdir_wandb"].within == states.places["chdir"]
    assert runs["sweep_1"].within == states.places["sweep"]
    assert set(runs["sweep"].owns) == {states.places[f"sweep_{n}"] for n in (0, 1)}
    for number in (0, 1):
        assert runs[f"sweep_wandb_{number}"].owner == states.places[f"sweep_{number}"]
    assert states.places["sweep_0"] not in {run.path for run in outermost(found.runs)}


def test_ages_and_reasons(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = by_name(states, look(states.root, monkeypatch))
    for name, days in AGES.items():
        assert abs(time.time() - runs[name].last_write - days * DAY) < DAY / 10
        assert abs(runs[name].started - runs[name].last_write) < 600
    assert runs["job_wandb"].reason == "offline, and no run-job.wandb.synced"
    assert runs["killed"].reason.endswith("offline, and its log run-killed.wandb is empty")
    assert runs["online_failed_wandb"].reason.startswith("exit code 1; online")
    assert runs["online_killed_wandb"].reason.endswith(
        "and its log run-onlinekilled.wandb is empty"
    )
    assert "nothing says that all of it was uploaded" in runs["online_refused_wandb"].reason


def test_a_chosen_model_and_tracked_files_keep_their_run(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = states.path("online") / "train.log"
    subprocess.run(("git", "add", "-f", kept), cwd=states.root, check=True)
    runs = by_name(states, look(states.root, monkeypatch))
    model = (b"best_models/baseline.pt",)
    assert {name for name, run in runs.items() if run.milestones} == {"chosen", "chosen_wandb"}
    assert runs["chosen"].milestones == model
    assert runs["online"].tracked == (states.places["online"] + b"/train.log",)
    because = {name: kept_because(runs[name]) for name in ("online", "synced", "lightning_0")}
    assert because["synced"] is because["lightning_0"] is None
    assert because["online"] is not None
    assert because["online"].startswith("git tracks outputs/")


def test_a_model_without_metadata_is_known_by_its_content(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    (states.root / "best_models" / "baseline_meta.json").unlink()
    subprocess.run(("git", "rm", "-q", "--cached", "best_models/baseline_meta.json"),
                   cwd=states.root, check=True)  # fmt: skip
    (states.path("lightning_0") / "other.pt").write_bytes(
        (states.root / "best_models" / "baseline.pt").read_bytes()
    )
    later = time.time() + DAY
    runs = by_name(states, look(states.root, monkeypatch, now=later))
    assert kept_because(runs["lightning_0"]) == "best_models/baseline.pt came from it"
    assert runs["lightning_1"].milestones == ()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_run_under_way_and_killed(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if it had not written for two days: only the open files say that it lives.
    later = time.time() + 2 * DAY
    with live_run(states.root, states.home) as live:
        found = {run.path: run for run in look(states.root, monkeypatch, now=later).runs}
        assert found[live.wandb].state == found[live.job].state == LIVE
        assert "open" in found[live.wandb].reason
        assert "(process " in found[live.wandb].reason
        live.kill()
        end = time.monotonic() + 20
        while True:  # what it had started dies a little later
            found = {run.path: run for run in look(states.root, monkeypatch, now=later).runs}
            if found[live.wandb].state != LIVE or time.monotonic() > end:
                break
            time.sleep(0.1)
        assert found[live.wandb].state == found[live.job].state == UNSYNCED, found[live.wandb]
        found = {run.path: run for run in look(states.root, monkeypatch).runs}
        assert found[live.job].state == LIVE
        assert "written less than a minute ago" in found[live.job].reason


def test_written_after_it_was_synced(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    log = states.path("synced_wandb") / "run-synced.wandb"
    then = (log.parent / "run-synced.wandb.synced").stat().st_mtime
    os.utime(log, (then + 60, then + 60))
    run = by_name(states, look(states.root, monkeypatch))["synced_wandb"]
    assert (run.state, run.reason) == (UNSYNCED, "it was written to after it had been synced")


def test_a_run_that_went_on_while_it_was_synced(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However short the time was, and though the marker came after the last word."""
    log = states.path("synced_wandb") / "run-synced.wandb"
    mark, begun = (log.with_name(f"{log.name}.{end}") for end in ("synced", "syncstate"))

    def state(written: float, began: float | None, marked: float) -> str:
        begun.unlink(missing_ok=True)
        times = {log: written, mark: marked} | ({} if began is None else {begun: began})
        for path, seconds in times.items():
            path.touch()
            os.utime(path, (1e9 + seconds, 1e9 + seconds))
        return by_name(states, look(states.root, monkeypatch))["synced_wandb"].state

    assert state(1, 1, 1) == SYNCED
    assert state(1, None, 1) == SYNCED
    assert state(1.1, None, 1) == UNSYNCED
    assert state(5, 4, 9) == UNSYNCED
    assert state(5, 6, 4) == UNSYNCED
    # Versions that touch nothing when they sync again: their log tells.
    (synced,) = (states.root / "wandb" / "logs").glob("debug-sync.*.log")
    path = f"/elsewhere/{log.parent.name}/{log.name}"
    began = "2001-09-09T03:46:{}+02:00"  # 1e9 + 0
    synced.write_text(whole_sync(path, began.format("47.123456789")))
    assert state(5, 4, 9) == SYNCED
    assert state(5, None, 9) == SYNCED
    earlier = whole_sync(path, began.format("44"))
    (states.root / "wandb" / "logs" / "debug-core.log").write_text(earlier)
    synced.write_text(synced.read_text() + earlier)
    assert state(5, 4, 9) == SYNCED
    synced.write_text(earlier)
    assert state(5, 4, 9) == state(5, None, 9) == UNSYNCED
    synced.write_text(whole_sync(path, "yesterday") + "[runsync: starting to read\n")
    assert state(5, 4, 9) == UNSYNCED


def test_a_run_that_a_signal_ended(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    log = states.path("synced_wandb") / "run-synced.wandb"
    times = log.stat()
    log.write_bytes(log_of(ended_with(-9)))
    os.utime(log, ns=(times.st_atime_ns, times.st_mtime_ns))
    run = by_name(states, look(states.root, monkeypatch))["synced_wandb"]
    assert (run.state, run.reason) == (FAILED, "exit code -9; it has been synced")


REFUSAL = {"level": "ERROR", "msg": "file transfer: upload: failed to upload: status: 403"}


def test_a_sync_that_was_refused_files(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker is there all the same."""
    folder = states.path("synced_wandb")
    (log,) = (states.root / "wandb" / "logs").glob("debug-sync.*.log")
    clean = log.read_text()
    path = f"/elsewhere/{folder.name}/run-synced.wandb"
    refusal = {**REFUSAL, "time": "2999-01-01T00:00:00.1Z", "sync_path": path}
    others = {**refusal, "sync_path": "/x/other/run-synced.wandb"}
    harmless = {**refusal, "msg": "sender: received exit more than once, ignoring"}
    log.write_text(f"{clean}{json.dumps(others)}\n{json.dumps(harmless)}\n")
    assert by_name(states, look(states.root, monkeypatch))["synced_wandb"].state == SYNCED
    log.write_text(clean + json.dumps(refusal) + "\n")
    run = by_name(states, look(states.root, monkeypatch))["synced_wandb"]
    assert (run.state, run.reason) == (
        UNSYNCED, "not all of its files could be uploaded when it was synced",
    )  # fmt: skip
    # A later one was not.
    later = log.with_name("debug-sync.29990101.000000.log")
    whole = whole_sync(path, "2999-01-02T00:00:00Z")
    later.write_text(whole)
    assert by_name(states, look(states.root, monkeypatch))["synced_wandb"].state == SYNCED
    # W&B numbers the logs of one second, and so the second one's name comes first.
    log.write_text(clean)
    second = later.with_name("debug-sync.29990101.000000.1.log")
    second.write_text(whole)
    later.write_text(whole_sync(path, "2999-01-01T00:00:00Z") + json.dumps(refusal))
    assert by_name(states, look(states.root, monkeypatch))["synced_wandb"].state == SYNCED
    refused_again = {**refusal, "time": "2999-01-02T00:00:00.5Z"}
    second.write_text(whole + json.dumps(refused_again))
    assert by_name(states, look(states.root, monkeypatch))["synced_wandb"].state == UNSYNCED


def test_a_sync_that_was_refused_says_more_than_the_run(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = states.path("online_refused_wandb")
    (record,) = folder.glob("run-*.wandb")
    mark = record.with_name(f"{record.name}.synced")
    mark.touch()
    os.utime(mark, (record.stat().st_mtime,) * 2)
    path, then = f"/elsewhere/{folder.name}/{record.name}", "2999-01-02T00:00:00Z"
    refusal = {**REFUSAL, "time": then, "sync_path": path}
    log = states.root / "wandb" / "logs" / "debug-sync.29990101.000000.log"
    log.write_text(whole_sync(path, then) + json.dumps(refusal))
    run = by_name(states, look(states.root, monkeypatch))["online_refused_wandb"]
    reason = "not all of its files could be uploaded when it was synced"
    assert (run.state, run.reason, run.unproven) == (UNSYNCED, reason, False)


def test_what_the_real_sync_leaves_when_it_is_refused_files(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = states.path("failed_wandb")

    def synced(*options: str, takes_files: bool) -> Run:
        command = (sys.executable, "-m", "wandb", "sync", *options, str(folder))
        with cloud(takes_files=takes_files) as online:
            environ = environment(states.home) | online
            subprocess.run(command, cwd=states.root, env=environ, check=True, capture_output=True)
        later = time.time() + DAY
        return by_name(states, look(states.root, monkeypatch, now=later))["failed_wandb"]

    run = synced(takes_files=False)
    assert (folder / "run-failed.wandb.synced").exists()
    assert (run.state, run.reason) == (
        UNSYNCED, "not all of its files could be uploaded when it was synced",
    )  # fmt: skip
    time.sleep(0.1)
    run = synced("--include-synced", takes_files=True)
    assert (run.state, run.reason) == (FAILED, "exit code 1; it has been synced")


def test_an_online_run_that_was_refused_files(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = states.path("online_wandb") / "logs" / "debug-internal.log"
    times = (log.stat().st_atime, log.stat().st_mtime)
    log.write_text(json.dumps(REFUSAL, separators=(",", ":")) + "\n" + log.read_text())
    os.utime(log, times)
    run = by_name(states, look(states.root, monkeypatch))["online_wandb"]
    assert (run.state, run.reason) == (
        UNSYNCED, "online, and not all of its files could be uploaded",
    )  # fmt: skip


def test_a_run_without_its_log(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    (states.path("online_wandb") / "run-online.wandb").unlink()
    run = by_name(states, look(states.root, monkeypatch))["online_wandb"]
    assert run.state == UNSYNCED
    assert "run-online.wandb is missing" in run.reason


def test_the_summary_of_an_older_online_run_proves_nothing(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All versions write it before they have uploaded everything."""
    shutil.rmtree(states.path("online_wandb") / "logs")
    run = by_name(states, look(states.root, monkeypatch))["online_wandb"]
    assert (run.state, run.unproven) == (UNSYNCED, True)
    config = states.path("online_wandb") / "files" / "config.yaml"
    times = (config.stat().st_atime, config.stat().st_mtime)
    config.write_text("_wandb:\n  value:\n    cli_version: 0.17.9\n")
    os.utime(config, times)
    assert (states.path("online_wandb") / "files" / "wandb-summary.json").exists()
    run = by_name(states, look(states.root, monkeypatch))["online_wandb"]
    assert (run.state, run.unproven) == (UNSYNCED, True)


def test_a_job_whose_log_ends_in_a_traceback_failed(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = states.path("online") / "train.log"
    times = (log.stat().st_atime, log.stat().st_mtime)
    text = (
        "[2026-01-01 00:00:00][HYDRA] x\nTraceback (most recent call last):\n  File\nValueError\n"
    )
    log.write_text(text)
    os.utime(log, times)
    run = by_name(states, look(states.root, monkeypatch))["online"]
    assert (run.state, run.reason) == (FAILED, "train.log ends in a traceback")
    log.write_text(text + "[2026-01-01 00:00:01][HYDRA] went on\n")
    os.utime(log, times)
    assert by_name(states, look(states.root, monkeypatch))["online"].state == SYNCED


ERROR_RECORD = (
    "[2026-01-01 00:00:00,123][src.utils][ERROR] - \nTraceback (most recent call last):\n"
    "  File\nValueError: [x]\n"
)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (f"{ERROR_RECORD}[2026-01-01 00:00:00,124][src.utils][INFO] - Output dir: /x\n", FAILED),
        (
            f"{ERROR_RECORD}[2026-01-01 00:00:00,124][src.utils][INFO] - Output dir: /x\n"
            "[2026-01-01 00:00:30,124][src.utils][INFO] - Closing wandb!\n",
            FAILED,
        ),
        (f"{ERROR_RECORD}[2026-01-01 00:02:00,124][src][INFO] - epoch 2\n", SYNCED),
        (f"{ERROR_RECORD}" + "[2026-01-01 00:00:01,1][src][INFO] - epoch\n" * 4, SYNCED),
        (
            ERROR_RECORD.replace("ERROR", "WARNING")
            + "[2026-01-01 00:00:01,1][src][INFO] - done\n",
            SYNCED,
        ),
        (f"{ERROR_RECORD}[2026-13-01 00:00:01,1][src][INFO] - odd\n", SYNCED),
    ],
)
def test_last_words_after_a_traceback(
    states: States, monkeypatch: pytest.MonkeyPatch, text: str, state: str
) -> None:
    """Who logs an exception may say more before the program ends, but little and at once."""
    log = states.path("online") / "train.log"
    times = (log.stat().st_atime, log.stat().st_mtime)
    log.write_text(f"[2025-12-31 23:00:00,1][src][INFO] - begins\n{text}")
    os.utime(log, times)
    assert by_name(states, look(states.root, monkeypatch))["online"].state == state


@pytest.mark.parametrize(
    ("seconds", "ago"),
    [
        (30, "less than a minute"), (90, "1 minute"), (7_000, "116 minutes"),
        (3 * 3_600, "3 hours"), (2 * DAY, "2.0 days"),
    ],
)  # fmt: skip
def test_when_a_run_was_written(
    states: States, monkeypatch: pytest.MonkeyPatch, seconds: int, ago: str
) -> None:
    newest = max(path.stat().st_mtime for path in states.path("job").rglob("*"))
    run = by_name(states, look(states.root, monkeypatch, now=newest + seconds))["job"]
    assert f"written {ago} ago" in [evidence.says for evidence in run.evidence]


def test_without_a_look_at_processes(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = look(states.root, monkeypatch)
    assert "pip install 'fx-hooks[tools] @ git+https://" in found.notes[0]
    runs = by_name(states, found)
    # Those that may still be under way, for all that is known.
    unknown = {name: LIVE for name, days in AGES.items() if days < 7}
    assert {name: runs[name].state for name in AGES} == STATES | unknown
    # Young, without an end, and nobody to ask. One says nothing, the log of the other is lost.
    next(states.path("killed_wandb").glob("run-*.wandb")).unlink()
    for name in ("online_killed_wandb", "killed_wandb"):
        shift = (AGES[name.removesuffix("_wandb")] - 2) * DAY
        monkeypatch.chdir(states.root)
        runs = by_name(states, survey(Repository(), now=time.time() - shift))
        assert runs[name].state == LIVE
        assert "a process that cannot be seen" in runs[name].reason


def test_what_is_no_run(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {run.path for run in look(states.root, monkeypatch).runs}
    root = states.root
    (root / ".hydra").mkdir()
    (root / ".hydra" / "config.yaml").write_text("a: 1\n")
    package = root / "experiments" / "code"
    (package / ".hydra").mkdir(parents=True)
    (package / ".hydra" / "config.yaml").write_text("a: 1\n")
    (package / "model.py").write_text("")
    (root / "data" / "version_3").mkdir(parents=True)
    (root / "data" / "version_3" / "table.csv").write_text("")
    (root / "wandb" / "run-notes").mkdir()
    for name in (".fx-aside", "venv", "other"):
        target = root / name / "outputs" / "x"
        shutil.copytree(states.path("online"), target)
    (root / "venv" / "pyvenv.cfg").write_text("")
    subprocess.run(("git", "init", "-q", root / "other"), check=True)
    (root / "latest").symlink_to(states.path("online"))
    assert {run.path for run in look(root, monkeypatch).runs} == before


def test_runs_behind_a_link_are_named(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    (states.root / "runs").symlink_to(states.home)
    (note,) = look(states.root, monkeypatch).notes
    assert note == f"runs is a link to {states.home}: runs behind it are not looked at"


def test_details(made_states: States) -> None:
    def details(name: str, kind: str) -> dict[str, object]:
        return KINDS[kind].details(os.fsencode(made_states.path(name))).as_json()

    job = details("online", HYDRA_JOB)
    assert isinstance(job["config"], dict)
    assert "seed" in job["config"]
    run = details("job_wandb", WANDB_RUN)
    assert isinstance(run["metrics"], dict)
    assert isinstance(run["wandb"], dict)
    assert run["wandb"]["id"] == "job"
    assert details("lightning_0", LIGHTNING) == {"config": {"lr": "0.05"}} or details(
        "lightning_0", LIGHTNING
    ) == {"config": {"lr": 0.05}}
    assert "config" in details("sweep", HYDRA_SWEEP)
    assert KINDS[WANDB_RUN].details(b"/nowhere").as_json() == {}
    assert KINDS[HYDRA_JOB].details(b"/nowhere").as_json() == {}


def test_metadata_that_cannot_be_read_may_name_a_run(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = states.root / "best_models" / "other_meta.json"
    meta.symlink_to("nowhere")
    look(states.root, monkeypatch)  # there is nothing to read
    meta.unlink()
    meta.symlink_to(meta.name)
    with pytest.raises(FatalError, match=r"other_meta\.json: cannot be read: Too many levels"):
        look(states.root, monkeypatch)
    meta.unlink()
    real = os.scandir

    def scandir(place: Any = ".") -> Any:
        if not isinstance(place, int) and os.fsencode(place).endswith(b"best_models"):
            raise PermissionError(13, "Permission denied", place)
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(FatalError, match="best_models: cannot be read: Permission denied: it may"):
        look(states.root, monkeypatch)


def test_a_file_that_cannot_be_read_may_be_a_chosen_model(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    (states.root / "best_models" / "baseline_meta.json").unlink()
    subprocess.run(("git", "rm", "-q", "--cached", "best_models/baseline_meta.json"),
                   cwd=states.root, check=True)  # fmt: skip
    shutil.rmtree(states.path("chosen"))
    model = (states.root / "best_models" / "baseline.pt").read_bytes()
    (states.path("lightning_0") / "unread.pt").write_bytes(b"x" * len(model))
    (states.path("lightning_1") / "read.pt").write_bytes(b"x" * len(model))
    real = open

    def opened(place: Any, *arguments: Any, **options: Any) -> Any:
        if os.fsencode(place).endswith(b"/unread.pt"):
            raise PermissionError(13, "Permission denied", place)
        return real(place, *arguments, **options)

    monkeypatch.setattr(run_milestones, "open", opened, raising=False)
    runs = by_name(states, look(states.root, monkeypatch, now=time.time() + DAY), gone="chosen")
    assert runs["lightning_0"].milestones == (b"best_models/baseline.pt",)
    assert runs["lightning_1"].milestones == ()


def test_metadata_may_name_a_run_by_its_path(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = os.fsdecode(states.places["lightning_0"])
    for name, text in (
        ("other", f'{{"run": "{place}"}}'),
        ("longer", f'{{"run": "{place}1", "run_id": "no-run"}}'),
    ):
        (states.root / "best_models" / f"{name}_meta.json").write_text(text)
    found = by_name(states, look(states.root, monkeypatch))
    assert found["lightning_0"].milestones == (b"best_models/other_meta.json",)
    assert found["lightning_1"].milestones == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"url": "https://wandb.ai/me/toy/runs/online"}',
        '{"url": "https:\\/\\/wandb.ai\\/me\\/toy\\/runs\\/online?workspace=x"}',
        '{"run": "me/toy/online"}',
    ],
)
def test_metadata_may_name_a_run_by_its_address(
    states: States, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (states.root / "best_models" / "other_meta.json").write_text(text)
    found = by_name(states, look(states.root, monkeypatch))
    named = {
        name for name, run in found.items() if b"best_models/other_meta.json" in run.milestones
    }
    assert named == {"online", "online_wandb"}


def test_metadata_that_names_a_job_means_its_runs_too(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names them alone; those next to it in a sweep are meant by nobody."""
    for name in ("online", "chdir", "sweep_0"):
        text = json.dumps({"run": os.fsdecode(states.places[name]) + "/model.pt"})
        (states.root / "best_models" / f"{name}_meta.json").write_text(text)
    found = by_name(states, look(states.root, monkeypatch))
    for name in ("online_wandb", "chdir_wandb", "sweep", "sweep_wandb_0"):
        chosen = f"best_models/{name.removesuffix('_0').removesuffix('_wandb')}"
        assert any(path.startswith(chosen.encode()) for path in found[name].milestones), name
    assert found["sweep_1"].milestones == found["sweep_wandb_1"].milestones == ()


def test_a_run_that_has_the_chosen_file_stays_whoever_is_named(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = (states.root / "best_models" / "baseline.pt").read_bytes()
    (states.path("lightning_0") / "best.pt").write_bytes(model)
    found = by_name(states, look(states.root, monkeypatch))
    assert found["lightning_0"].milestones == (b"best_models/baseline.pt",)
    assert found["chosen"].milestones == (b"best_models/baseline.pt",)


def test_a_folder_that_cannot_be_read_may_hold_runs(
    states: States, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def scanned(root: bytes, **options: Any) -> Scan:
        inside = Problem(states.places["online"] + b"/x", "Permission denied")
        return scan(root, **options)._replace(
            problems=(inside, Problem(b"outputs/2020", "Permission denied"))
        )

    monkeypatch.setattr(runs, "scan", scanned)
    found = look(states.root, monkeypatch)
    (note,) = found.not_looked_into()
    said = "outputs/2020 cannot be read, and there may be runs in it: Permission denied"
    assert note == said
    monkeypatch.chdir(states.root)
    for main, arguments, code in (
        (clean_runs.main, ("lightning_logs",), 0),  # a plan alone
        (clean_runs.main, ("--yes", "--older-than", "900d"), 1),
        (archive_runs.main, ("--dry-run", "lightning_logs", "x.tar.gz"), 1),
        (archive_runs.main, ("lightning_logs", "x.tar.gz"), 1),
    ):
        assert main(arguments) == code
        assert f"note: {said}\n" in capfd.readouterr().out
    monkeypatch.setattr(runs, "scan", scan)
    assert clean_runs.main(("lightning_logs",)) == 0


def test_what_is_in_the_way(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would keep a run from being deleted, and in which words."""
    names = ("synced", "online", "online_failed", "lightning_0")
    places = {name: states.places[name] for name in names}
    real_find = liveness.find_processes

    def scanned(root: bytes, **options: Any) -> Scan:
        found = scan(root, **options)
        problem = Problem(places["online"] + b"/inner", "Permission denied")
        return found._replace(mounts=(places["synced"] + b"/data",), problems=(problem,))

    def processes_found(root: bytes) -> liveness.Processes:
        mounts = (places["lightning_0"] + b"/bound", os.path.dirname(places["online_failed"]))
        return real_find(root)._replace(mounts=mounts)

    monkeypatch.setattr(runs, "scan", scanned)
    monkeypatch.setattr(runs, "find_processes", processes_found)
    found = by_name(states, look(states.root, monkeypatch))
    text = {name: os.fsdecode(place) for name, place in places.items()}
    assert {name: kept_because(found[name]) for name in names} == {
        "synced": f"another file system is mounted in it: {text['synced']}/data",
        "online": f"{text['online']}/inner cannot be read: Permission denied",
        "online_failed": "another folder is mounted around it: "
        + os.path.dirname(text["online_failed"]),
        "lightning_0": f"another folder is mounted in it: {text['lightning_0']}/bound",
    }
    assert found["lightning_1"].in_the_way == ""


def test_a_root_that_cannot_be_read(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    def scanned(root: bytes, **_: Any) -> Scan:
        raise PermissionError(13, "Permission denied", root)

    monkeypatch.setattr(runs, "scan", scanned)
    with pytest.raises(FatalError, match="cannot be read: Permission denied"):
        look(states.root, monkeypatch)


def test_what_nobody_sees_from_here(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users' processes, and those of other machines: a note, and care with young runs."""
    owner = os.stat(states.root).st_uid
    young = time.time() - (AGES["online_killed"] - 2) * DAY
    for found, note in (
        (Processes((), frozenset({owner})), "processes of other users cannot be seen"),
        (Processes((), frozenset(), "nfs4"), "this is nfs4: processes of other machines cannot"),
    ):
        monkeypatch.setattr(runs, "find_processes", lambda _, found=found: found)
        (said,) = look(states.root, monkeypatch).notes
        assert said.startswith(note)
        judged = by_name(states, look(states.root, monkeypatch, now=young))
        assert judged["online_killed_wandb"].state == LIVE
        assert "a process that cannot be seen" in judged["online_killed_wandb"].reason
        assert judged["online_killed"].reason == judged["online_killed_wandb"].reason
        assert judged["lightning_0"].state == FINISHED
        version = time.time() - (45 - 2) * DAY
        judged = by_name(states, look(states.root, monkeypatch, now=version))
        assert judged["lightning_1"].state == LIVE


class Process:
    """What psutil says of a process that it may not look into; *user* may be unknown."""

    def __init__(self, user: int | None) -> None:
        self.pid = 1 << 30
        self.user = user

    def oneshot(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def name(self) -> str:
        psutil = pytest.importorskip("psutil")
        raise psutil.AccessDenied(self.pid)

    def uids(self) -> Any:
        if self.user is None:
            raise AttributeError("uids")  # as on Windows
        return SimpleNamespace(real=self.user)


def test_processes_that_are_not_even_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "process_iter", list)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)

    def mounted(options: str) -> Processes:
        disk = SimpleNamespace(mountpoint="/proc", fstype="proc", opts=options)
        monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [disk])
        return liveness.find_processes(os.getcwdb())

    assert mounted("rw,relatime").sees(4711)
    for options in ("rw,hidepid=2", "rw,hidepid=invisible"):
        assert not mounted(options).sees(4711)
        assert mounted(options).sees(1000)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    assert mounted("rw,hidepid=2").sees(4711)


def test_processes_that_may_not_be_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")

    def unseen(*users: int | None) -> Processes:
        monkeypatch.setattr(psutil, "process_iter", lambda: [Process(user) for user in users])
        return liveness.find_processes(os.getcwdb())

    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert unseen(4711, 1000).unseen == {4711, 1000}
    assert not unseen(4711).sees(4711)
    assert unseen(4711).sees(1000)
    assert not unseen(None).sees(1000)
    # Where users have no numbers, nothing is known of any of them.
    monkeypatch.setattr(sys, "platform", "win32")
    assert unseen(None).unseen == {None}


def test_files_that_are_odd(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is no reason to say less of the others, or to call a run synced."""
    log = states.path("synced_wandb") / "run-synced.wandb"
    log.unlink()
    log.symlink_to("nowhere")
    os.utime(log, (1e9, 1e9), follow_symlinks=False)
    internal = states.path("online_wandb") / "logs" / "debug-internal.log"
    internal.unlink()
    internal.symlink_to("nowhere")
    os.utime(internal, (1e9, 1e9), follow_symlinks=False)
    (states.root / "config" / "gone.yaml").write_text("hydra:\n  run:\n    dir: x\n")
    subprocess.run(("git", "add", "config/gone.yaml"), cwd=states.root, check=True)
    (states.root / "config" / "gone.yaml").unlink()
    found = by_name(states, look(states.root, monkeypatch))
    assert found["synced_wandb"].state == UNSYNCED
    assert "missing or cannot be read" in found["synced_wandb"].reason
    assert found["online_wandb"].state == UNSYNCED
    details = KINDS[WANDB_RUN].details(os.fsencode(states.path("synced_wandb")))
    assert details.config is None
    # A W&B name whose time is none is as old as its files.
    odd = states.root / "wandb" / "offline-run-20249931_995959-odd"
    os.rename(states.path("failed_wandb"), odd)
    os.rename(odd / "run-failed.wandb", odd / "run-odd.wandb")
    times = (odd / "run-odd.wandb").stat()
    (odd / "run-odd.wandb").write_bytes(b"")
    os.utime(odd / "run-odd.wandb", ns=(times.st_atime_ns, times.st_mtime_ns))
    (odd / "files" / "wandb-metadata.json").unlink(missing_ok=True)
    (run,) = [run for run in look(states.root, monkeypatch).runs if run.run_id == "odd"]
    assert abs(run.started - time.time() + AGES["failed"] * DAY) < DAY / 10


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, "1"])
def test_a_summary_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "wandb-summary.json").write_text(text)
    assert KINDS[WANDB_RUN].details(os.fsencode(tmp_path)).as_json() == {}


def test_a_configuration_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hydra = tmp_path / ".hydra"
    hydra.mkdir()
    (hydra / "config.yaml").write_text("a: [")
    (hydra / "overrides.yaml").symlink_to("config.yaml")
    assert KINDS[HYDRA_JOB].details(os.fsencode(tmp_path)).as_json() == {}
    (hydra / "config.yaml").write_text("a: " + "x" * (1 << 20))
    assert KINDS[HYDRA_JOB].details(os.fsencode(tmp_path)).as_json() == {}
    (hydra / "config.yaml").write_text("a: 1")
    assert KINDS[HYDRA_JOB].details(os.fsencode(tmp_path)).as_json() == {"config": {"a": 1}}

    def opened(place: Any, *_: Any, **options: Any) -> Any:  # noqa: ARG001
        raise PermissionError(13, "Permission denied", place)

    monkeypatch.setattr(run_files, "open", opened, raising=False)
    assert KINDS[HYDRA_JOB].details(os.fsencode(tmp_path)).as_json() == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = states.path("online_wandb") / "run-online.wandb"
    for place in (
        log,
        log.parent / "files" / "wandb-summary.json",
        states.path("online") / ".hydra" / "config.yaml",
        states.root / "best_models" / "a_meta.json",
        states.root / "config" / "config.yaml",
    ):
        place.unlink(missing_ok=True)
        os.mkfifo(place)
        os.utime(place, (1e9, 1e9))
    found = by_name(states, look(states.root, monkeypatch))
    assert found["online_wandb"].state == UNSYNCED
    # Of the files that are left, W&B's own note says how it was started.
    details = KINDS[WANDB_RUN].details(os.fsencode(log.parent)).as_json()
    assert set(details) == {"command", "commit"}
    assert KINDS[HYDRA_JOB].details(os.fsencode(states.path("online"))).config is None


def test_file_systems_of_several_machines() -> None:
    disks = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/local", "xfs")]
    assert liveness.shared_file_system("/home/me/work", disks) == "nfs4"
    assert liveness.shared_file_system("/home/me/local/work", disks) == ""
    assert liveness.shared_file_system("/work", disks) == ""


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs time zones")
@pytest.mark.parametrize("told", ["log", "metadata", "name"])
def test_a_run_of_another_time_zone_has_its_owner_all_the_same(
    states: States, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    folder = states.path("online_wandb")
    log, metadata = folder / "run-online.wandb", folder / "files" / "wandb-metadata.json"
    times = (log.stat().st_atime, log.stat().st_mtime)
    if told != "log":
        log.write_bytes(log.read_bytes()[:7])
        os.utime(log, times)
    if told == "name":
        metadata.write_text('{"startedAt": "yesterday"}')
        os.utime(metadata, times)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        found = by_name(states, look(states.root, monkeypatch))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found["online_wandb"].owner == states.places["online"]
    assert found["online"].state == (SYNCED if told == "log" else UNSYNCED)
    # A name tells whole seconds, of which the middle is taken.
    assert -0.5 <= found["online_wandb"].started - found["online"].started < 60


def test_a_job_that_does_not_say_when_it_began_is_found_all_the_same(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in states.path("bare").iterdir():
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime + 30))
    runs = by_name(states, look(states.root, monkeypatch))
    assert runs["bare_wandb"].owner == states.places["bare"]
    assert runs["bare"].state == UNSYNCED
