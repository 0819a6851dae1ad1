"""The made runs of every state are what the other tests believe them to be."""

from __future__ import annotations

import os
import stat
import time
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from fx_hooks.frameworks.wandb.record import read_wandb_log
from tests.realruns.states import AGES, DAY, FAILED, KILLED, States, live_run, run_id


def wandb_log(states: States, name: str) -> Path:
    (log,) = states.path(name).glob("*.wandb")
    return log


def test_every_run_is_there(made_states: States) -> None:
    for name in made_states.places:
        assert made_states.path(name).is_dir(), name
    runs = {name for name in made_states.places if "_wandb" in name}
    assert len(runs) == len(AGES) + 1
    for name in runs:
        log = wandb_log(made_states, name)
        assert log.read_bytes().startswith(b":W&B"), name


@pytest.mark.parametrize("name", AGES)
def test_each_is_as_old_as_it_says(made_states: States, name: str) -> None:
    newest = max(
        os.lstat(os.path.join(folder, file)).st_mtime
        for folder, _, files in os.walk(made_states.path(name))
        for file in files
    )
    assert abs(time.time() - newest - AGES[name] * DAY) < DAY / 10
    if name != "sweep":
        stamp = made_states.path(f"{name}_wandb").name.partition("run-")[2][:15]
        assert abs(datetime.strptime(stamp, "%Y%m%d_%H%M%S").timestamp() - newest) < DAY / 10


def test_runs_ended_as_their_names_say(made_states: States) -> None:
    for name in AGES:
        result = made_states.path(name) / "metrics.json"
        last = made_states.path("sweep_1") / "metrics.json" if name == "sweep" else result
        assert last.exists() == (name not in FAILED + KILLED), name
    killed = wandb_log(made_states, "killed_wandb")
    finished = wandb_log(made_states, "job_wandb")
    assert killed.stat().st_size < finished.stat().st_size
    with finished.open("rb") as file:
        assert read_wandb_log(file).run_id == "job"


def test_the_real_sync_left_its_marker(made_states: States) -> None:
    marks = {
        name for name in made_states.places if list(made_states.path(name).glob("*.wandb.synced"))
    }
    assert marks == {"synced_wandb"}
    log = wandb_log(made_states, "synced_wandb")
    assert log.with_name("run-synced.wandb.synced").stat().st_size == 0


def test_online_runs_are_what_the_uploader_leaves(made_states: States) -> None:
    written = {"config.yaml", "wandb-metadata.json", "wandb-summary.json"}
    for name in ("online", "online_failed", "online_killed", "online_refused", "job"):
        files = {path.name for path in (made_states.path(f"{name}_wandb") / "files").iterdir()}
        expected = written if name in ("online", "online_failed") else set()
        assert files & written == (expected or files & {"wandb-metadata.json"}), name
    log = made_states.path("online_wandb") / "logs" / "debug-internal.log"
    assert '"complete":true,"exit_code":0' in log.read_text()
    log = made_states.path("online_refused_wandb") / "logs" / "debug-internal.log"
    assert "failed to init run" in log.read_text()


def test_a_milestone_names_its_run(made_states: States) -> None:
    metadata = (made_states.root / "best_models" / "baseline_meta.json").read_text()
    assert f'"id": "{run_id("chosen")}"' in metadata


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX links")
def test_a_copy_keeps_times_and_links(made_states: States, tmp_path: Path) -> None:
    copy = made_states.copy(tmp_path)
    seen = 0
    for folder, folders, files in os.walk(made_states.root):
        if ".git" in folders:
            folders.remove(".git")
        for name in (*folders, *files):
            path = Path(folder, name)
            other = copy.root / path.relative_to(made_states.root)
            before, after = path.lstat(), other.lstat()
            assert before.st_mtime_ns == after.st_mtime_ns
            assert before.st_mode == after.st_mode
            if stat.S_ISLNK(before.st_mode):
                seen += 1
                assert os.readlink(path) == os.readlink(other)
    assert seen > 10


@pytest.mark.parametrize("kill", [False, True])
def test_a_live_run_lives(states: States, kill: bool) -> None:
    with live_run(states.root, states.home) as run:
        writers = psutil.Process(run.process.pid)
        family = [writers, *writers.children(recursive=True)]
        held = {file.path for process in family for file in process.open_files()}
        folder = os.path.join(os.fsencode(states.root), run.wandb)
        assert any(os.fsencode(path).startswith(folder) for path in held)
        if kill:
            run.kill()
    assert (states.root / "outputs/live/live/metrics.json").exists() == (not kill)
