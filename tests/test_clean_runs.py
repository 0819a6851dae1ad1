"""Deleting runs: what goes, what stays, and that nothing is lost whatever happens."""

from __future__ import annotations

import errno
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from fx_hooks.cli import clean_runs
from fx_hooks.runs import deletion as run_removal
from fx_hooks.runs import inventory as runs
from fx_hooks.runs.archive import writer
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.liveness import Processes
from fx_hooks.util import files
from fx_hooks.util.paths import human_size
from tests.faults import (
    CHANGES,
    WRITES,
    Work,
    failing_at_every_step,
    killed_at_every_step,
    needs_fork,
)
from tests.faults import run as in_fork
from tests.realruns.states import States, live_run
from tests.run_trees import Seen, mark_as_synced, restore, seen, write
from tests.support import Repo, Result, captured

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX file systems")
DAY = 86_400_000_000_000
pytestmark = pytest.mark.usefixtures("home")


def job(root: Path, path: str | bytes, days: float = 30, size: int = 9000, **files: str) -> bytes:
    """A Hydra job of *days* ago."""
    top = os.path.join(os.fsencode(root), os.fsencode(path))
    then = time.time_ns() - int(days * DAY)
    write(top + b"/.hydra/config.yaml", "seed: 1\n", mtime=then)
    write(top + b"/model.ckpt", b"\1" * size, mtime=then)
    for name, content in files.items():
        write(top + b"/" + name.encode(), content, mtime=then)
    return os.fsencode(path)


def wandb(
    root: Path, run_id: str, days: float, summary: Mapping[str, float] = MappingProxyType({})
) -> bytes:
    """A W&B run of *days* ago that has been offline, and synced since."""
    then = time.time_ns() - int(days * DAY)
    stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(then / 1e9))
    path = f"wandb/offline-run-{stamp}-{run_id}"
    write(root / path / f"run-{run_id}.wandb", b":W&B\0\0\0", mtime=then)
    write(root / path / "files" / "wandb-summary.json", json.dumps(dict(summary)), mtime=then)
    write(root / path / "logs" / "debug.log", "x\n", mtime=then)
    mark_as_synced(root / path, root, mtime=then + 1)
    return path.encode()


def run(root: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> Result:
    return captured(capfd, clean_runs.main, *arguments, cwd=root)


def nobody(root: bytes) -> Processes:  # noqa: ARG001
    """Looking at all processes takes long, and here none of them has to do with the runs."""
    return Processes((), frozenset())


def du(root: Path) -> int:
    done = subprocess.run(("du", "-s", "-B1", root), stdout=subprocess.PIPE, check=True)
    return int(done.stdout.split()[0])


def test_the_plan_says_why_and_does_nothing(
    states: States, capfd: pytest.CaptureFixture[str]
) -> None:
    before = seen(states.root)
    result = run(states.root, capfd, ".")
    assert (result.code, result.err) == (0, "")
    assert seen(states.root) == before
    goes, _, stays = result.out.partition(" stay:\n")
    places = {name: os.fsdecode(path) for name, path in states.places.items()}
    for name in ("synced", "online", "online_failed"):
        assert places[name] in goes
        assert places[f"{name}_wandb"] in goes
    for name in ("job", "killed", "online_killed", "online_refused", "chosen"):
        assert f"  {places[f'{name}_wandb']}: unsynced: " in stays
        assert places[name] not in goes
    assert f"    wandb sync {places['job_wandb']}\n" in stays
    assert f"    wandb sync --include-online {places['online_refused_wandb']}\n" in stays
    # W&B fails at it, and at all that is named with it.
    assert f"    # {places['killed_wandb']}: its log is empty, so there is" in stays
    assert result.out.endswith("\nNothing was deleted. To do it:\n    fx-clean-runs --yes .\n")


@POSIX
def test_what_may_go_goes(states: States, capfd: pytest.CaptureFixture[str]) -> None:
    latest = states.root / "wandb" / "latest-run"
    online = os.fsdecode(states.places["online_wandb"]).partition("/")[2]
    latest.unlink()
    latest.symlink_to(online)
    before, room = seen(states.root), du(states.root)
    result = run(states.root, capfd, ".", "--yes")
    assert result.code == 1, result  # for the others that were meant
    gone = {
        states.places[name]
        for name in (
            "synced", "synced_wandb", "online", "online_wandb", "online_failed",
            "online_failed_wandb", "lightning_0", "lightning_1",
        )
    }  # fmt: skip
    after = seen(states.root)
    lost = {path for path in before.keys() - after.keys() if not path.startswith(b".git/")}
    tops = {path for path in lost if os.path.dirname(path) not in lost}
    # The day that is empty now has gone with its only run.
    days = {os.path.dirname(path) for path in gone if path.startswith(b"outputs/")}
    assert tops == {path for path in gone if not path.startswith(b"outputs/")} | days
    log = (states.root / ".git" / "fx-hooks.deleted.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in log]
    assert {os.fsencode(record["path"]) for record in records} == gone
    assert {record["rule"] for record in records} == {". --yes"}
    freed = human_size(sum(record["disk"] for record in records))
    assert f"\nDeleted 8 runs, which freed {freed}.\n" in result.out
    assert sum(record["disk"] for record in records) <= room - du(states.root) + 20_000
    # The newest that is left.
    assert os.readlink(latest) == os.path.basename(os.fsdecode(states.places["chosen_wandb"]))


def test_what_failed_is_told_before_it_is_synced(
    states: States, repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    path = os.fsdecode(states.places["failed_wandb"])
    told = run(states.root, capfd, "--failed", path).out
    assert told.startswith(f"Nothing would go.\n\n1 run stays:\n  {path}: unsynced: offline, ")
    killed = os.fsdecode(states.places["online_killed_wandb"])
    assert run(states.root, capfd, "--failed", killed).out == (
        "None of these runs says that it failed. Nothing would go.\n"
    )
    job(repo.root, "outputs/a")
    assert run(repo.root, capfd, "--failed").out == (
        "No run says that it failed. Nothing would go.\n"
    )
    assert run(repo.root, capfd, "--failed", "--yes").out == (
        "No run says that it failed. Nothing goes.\n"
    )


def test_a_live_run_stays(states: States, capfd: pytest.CaptureFixture[str]) -> None:
    with live_run(states.root, states.home) as live:
        before = seen(states.root / os.fsdecode(live.job))
        result = run(states.root, capfd, "outputs/live", os.fsdecode(live.wandb), "--yes")
        assert seen(states.root / os.fsdecode(live.job)) == before
    assert result.code == 1
    for path in (live.job, live.wandb):
        assert f"  {os.fsdecode(path)}: live: " in result.out


def test_options_stand_anywhere(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root, "outputs/a", 40)
    job(repo.root, "outputs/b", 40)
    job(repo.root, "outputs/c", 2)
    result = run(repo.root, capfd, "outputs/a", "--older-than", "30d", "outputs/c", "--yes")
    assert (result.code, result.err) == (0, "")
    assert sorted(os.listdir(repo.root / "outputs")) == ["b", "c"]


def test_a_sync_that_has_to_be_made_again(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    """W&B passes over what has a marker, without a word."""
    path = wandb(repo.root, "abc", 30)
    mark = repo.root / os.fsdecode(path) / "run-abc.wandb.synced"
    os.utime(mark, (1e9, 1e9))
    result = run(repo.root, capfd, "wandb")
    assert f"{os.fsdecode(path)}: unsynced: it was written to after it had been" in result.out
    assert "its log is empty" in result.out
    write(mark.with_suffix(""), b":W&B\0\0\0" + bytes(100), mtime=time.time_ns() - 30 * DAY)
    result = run(repo.root, capfd, "wandb")
    assert f"\n    wandb sync --include-synced {os.fsdecode(path)}\n" in result.out


def test_only_what_is_meant_goes(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root, "outputs/old", 40)
    job(repo.root, "outputs/new", 2)
    job(repo.root, "outputs/now", 0)
    result = run(repo.root, capfd, "--older-than", "30d", "--yes")
    assert result.code == 0
    assert sorted(os.listdir(repo.root / "outputs")) == ["new", "now"]
    assert (
        "\n2 runs are not old enough:\n"
        "  outputs/new: written to 2d ago\n"
        "  outputs/now: written to just now\n"
    ) in result.out
    date = time.strftime("%Y-%m-%d at %H:%M", time.localtime(time.time() - 2 * 86_400))
    result = run(repo.root, capfd, "--before", "2020-01-01", "outputs/new")
    assert f"\n1 run is not old enough:\n  outputs/new: last written on {date[:-2]}" in result.out
    result = run(repo.root, capfd, "outputs/now", "--yes")
    assert (result.code, os.path.isdir(repo.root / "outputs/now")) == (1, True)
    assert "outputs/now: live: written less than a minute ago" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which runs"),
        (["--yes"], "say which runs"),
        (["outputs/none", "--yes"], "there is no such run"),
        (["train.py", "--yes"], "is not a run"),
        ([".", "--force"], "--force goes with --archive"),
        ([".", "--keep-last", "x"], "is not a number of runs"),
        ([".", "--keep-best", "score", "--yes"], "write score:min or score:max"),
        ([".", "--keep-best", "neg_mse"], "write neg_mse:min or neg_mse:max"),
        (
            [".", "--keep-best", "accuracy", "--yes"],
            "none of the chosen runs has such a metric, nor any other",
        ),
        ([".", "--archive", "x.zip", "--yes"], "x.zip"),
        (["../..", "--yes"], "outside the repository"),
    ],
)
def test_bad_options(
    repo: Repo, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    job(repo.root, "outputs/a")
    before = seen(repo.root)
    result = run(repo.root, capfd, *arguments)
    assert result.code == 2
    assert message in result.err
    assert seen(repo.root) == before


def test_the_last_and_the_best_are_kept(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [
        wandb(repo.root, f"run{n}", 40 - n, {"val/loss": loss, "acc": 1 - loss})
        for n, loss in enumerate((0.5, 0.1, 0.3, 0.7))
    ]
    result = run(repo.root, capfd, ".", "--keep-best", "val/loss")
    assert f"{os.fsdecode(paths[1])}: kept: the smallest val/loss, 0.1" in result.out
    summary = repo.root / os.fsdecode(paths[3]) / "files" / "wandb-summary.json"
    whole = summary.read_text()
    for text in (
        '{"acc": {"max": 2, "value": 0.3}}',
        '{"acc": "none"}',
        '{"acc": true}',
        "{",
        whole,
    ):
        times = (summary.stat().st_atime, summary.stat().st_mtime)
        summary.write_text(text)
        os.utime(summary, times)
        result = run(repo.root, capfd, ".", "--keep-best", "acc:min")
        value, kept = ("0.3", paths[3]) if "0.3" in text else ("0.5", paths[0])
        assert f"{os.fsdecode(kept)}: kept: the smallest acc, {value}\n" in result.out
    result = run(repo.root, capfd, ".", "--keep-best", "acc")
    assert f"{os.fsdecode(paths[1])}: kept: the largest acc, 0.9" in result.out
    result = run(repo.root, capfd, ".", "--keep-best", "val/loss:max", "--keep-last", "2", "--yes")
    assert result.code == 0
    left = [path for path in paths if (repo.root / os.fsdecode(path)).exists()]
    assert left == paths[2:]
    # Nothing goes, as it was asked for.
    assert run(repo.root, capfd, ".", "--keep-last", "2", "--yes").code == 0


def test_the_best_by_the_name_that_a_listing_shows(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    summaries: list[Any] = [{"val": {"answer_accuracy": value}} for value in (0.2, 0.9, 0.5)]
    paths = [wandb(repo.root, f"run{n}", 40 - n, each) for n, each in enumerate(summaries)]
    for name in ("val.answer_accuracy", "val/answer_accuracy"):
        result = run(repo.root, capfd, ".", "--keep-best", name)
        assert f"{os.fsdecode(paths[1])}: kept: the largest {name}, 0.9\n" in result.out
    result = run(repo.root, capfd, ".", "--keep-best", "accuracy")
    assert result.err.endswith(": none of the chosen runs has such a metric: they have"
                               " val.answer_accuracy\n")  # fmt: skip
    wandb(repo.root, "more", 50, {f"loss{n}": n for n in range(9)})
    result = run(repo.root, capfd, ".", "--keep-best", "accuracy")
    assert result.err.endswith("loss5, loss6, loss7 and 2 more\n")


def test_the_last_are_counted_with_what_they_started(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """A job and its W&B run, which lies elsewhere, are one."""
    for number in range(4):
        job(repo.root, f"outputs/{number}", 40 - number)
        wandb(repo.root, f"run{number}", 40 - number)
    result = run(repo.root, capfd, ".", "--keep-last", "2")
    kept = [line.split(":")[0] for line in result.out.splitlines() if "one of the last 2" in line]
    assert [name[-1] for name in kept] == ["2", "3", "2", "3"]
    assert result.out.startswith("4 runs would go, which would free ")
    # Where no job is meant, W&B's runs count as they are.
    result = run(repo.root, capfd, "wandb", "--keep-last", "3")
    assert result.out.startswith("1 run would go, which would free ")


def test_what_can_be_synced_is_told_apart(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    """W&B's own rules: by its name a run is offline, and without a log there is nothing."""
    then = time.time_ns() - 3 * DAY
    whole = {
        "wandb/offline-run-20240101_000000-a": "wandb sync {}",
        "wandb/dryrun-20240101_000000-b": "wandb sync --include-online {}",
        "wandb/offline-run-20240101_000000-c": "wandb sync --include-synced {}",
        "wandb/offline-run-20240101_000000-d": "# {}: its log is missing, so there is nothing to"
        " sync: only you can delete it, by hand",
        "wandb/run-20240101_000000-e": "# {}: its log is empty, so there is nothing to sync",
    }  # fmt: skip
    for path in whole:
        run_id = path[-1]
        write(repo.root / path / "files/x", "x", mtime=then)
        if run_id != "d":
            content = b":W&B\0\0\0" + b"x" * 9 * (run_id != "e")
            write(repo.root / path / f"run-{run_id}.wandb", content, mtime=then)
    write(repo.root / "wandb/offline-run-20240101_000000-c/run-c.wandb.synced", "", mtime=then // 2)
    result = run(repo.root, capfd, ".")
    waiting = (
        "\nW&B does not have all of these. Sync them, and an hour later you can delete them:\n"
    )
    others = "\nW&B does not have all of these yet, and a sync alone does not let them go:\n"
    lines = [f"    {line.format(path)}\n" for path, line in whole.items()]
    assert "run-e.wandb is empty\n" in result.out
    assert f"    fx-clean-runs --accept-unproven {[*whole][-1]}\n" in result.out
    assert waiting + "".join(sorted(lines[:3], key=lambda line: line.split()[-1])) in result.out
    assert others + "".join(lines[3:]) in result.out
    # Git tracks something: no sync lets it go.
    repo.git("add", "-f", "wandb/offline-run-20240101_000000-a/files/x")
    result = run(repo.root, capfd, "wandb/offline-run-20240101_000000-a")
    assert waiting not in result.out
    stays = "    # then it stays: git tracks wandb/offline-run-20240101_000000-a/files/x\n"
    assert others + lines[0] + stays in result.out


@POSIX
@pytest.mark.parametrize("failed", [False, True])
def test_the_log_says_that_a_job_was_accepted(
    repo: Repo, capfd: pytest.CaptureFixture[str], failed: bool
) -> None:
    tracker = os.fsdecode(wandb(repo.root, "x", 30))
    shutil.rmtree(repo.root / "wandb/logs")  # what proves that it is synced
    last = "Traceback (most recent call last):\nValueError\n" if failed else "done\n"
    place = os.fsdecode(job(repo.root, "outputs/a", 30, 9000, **{"train.log": last}))
    refused = run(repo.root, capfd, place, "--accept-unproven", place)
    assert (
        "\n--accept-unproven does not count for these. It is for runs that W&B may have:\n"
        f"  {place}: is not a run of W&B, and there is none in it\n"
    ) in refused.out
    assert "Sync them first" not in refused.out
    result = run(repo.root, capfd, place, tracker, "--accept-unproven", tracker, "--yes")
    assert (result.code, "does not count" in result.out) == (0, False), result
    lines = (repo.root / ".git/fx-hooks.deleted.jsonl").read_text().splitlines()
    told = {record["path"]: record["reason"] for record in map(json.loads, lines)}
    assert told[tracker].startswith("accepted without a proof that it is uploaded: ")
    before = "train.log ends in a traceback; " if failed else ""
    assert told[place] == f"{before}{tracker}: {told[tracker]}"


def test_what_cannot_be_accepted_is_told(states: States, capfd: pytest.CaptureFixture[str]) -> None:
    path = os.fsdecode(states.places["job_wandb"])
    told = run(states.root, capfd, path, "--accept-unproven", path).out
    said = told[told.index("--accept-unproven does not") :]
    name = path.rpartition("-")[2]
    assert said == (
        "--accept-unproven does not count for these. It is for runs that W&B may have:\n"
        f"  {path}: unsynced: offline, and no run-{name}.wandb.synced\n"
        "Sync them first. If you never will, pack them with fx-archive-runs, and delete their"
        " folders by hand.\n"
    )
    assert run(states.root, capfd, "--explain", path, "--accept-unproven", path).out.endswith(said)


def test_links_of_wandb_are_mended(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [wandb(repo.root, f"run{n}", 40 - n) for n in range(3)]
    names = [os.path.basename(path) for path in paths]
    here = repo.root / "wandb"
    for link, tail in (("latest-run", b""), ("debug.log", b"/logs/debug.log")):
        os.symlink(names[2] + tail, os.fsencode(here / link))
    assert run(repo.root, capfd, os.fsdecode(paths[2]), "--yes").code == 0
    assert os.readlink(os.fsencode(here / "latest-run")) == names[1]
    assert os.readlink(os.fsencode(here / "debug.log")) == names[1] + b"/logs/debug.log"
    assert run(repo.root, capfd, ".", "--yes").code == 0
    assert os.listdir(here) == ["logs"]


@POSIX
@pytest.mark.parametrize("name", ["new\nline", "-rf", "*", "실험", b"\xff\xfe", "a" * 150])
def test_odd_names(repo: Repo, capfd: pytest.CaptureFixture[str], name: str | bytes) -> None:
    path = job(repo.root, b"outputs/" + os.fsencode(name))
    job(repo.root, "outputs/other", 1)
    result = run(repo.root, capfd, "--older-than", "20d", "--yes")
    assert result.code == 0, result
    assert os.listdir(repo.root / "outputs") == ["other"]
    (line,) = (repo.root / ".git" / "fx-hooks.deleted.jsonl").read_text().splitlines()
    assert os.fsencode(json.loads(line)["path"]) == path


@POSIX
def test_a_name_that_cannot_be_put_aside(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root, "outputs/" + "a" * 250)
    result = run(repo.root, capfd, ".", "--yes")
    assert result.code == 1
    assert "its name is too long to be put aside" in result.out
    assert os.listdir(repo.root / "outputs") == ["a" * 250]


def test_what_git_tracks_stays(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root, "outputs/a")
    repo.git("add", "-f", "outputs/a/model.ckpt")
    result = run(repo.root, capfd, ".", "--yes")
    assert result.code == 1
    assert "outputs/a: git tracks outputs/a/model.ckpt" in result.out
    assert (repo.root / "outputs/a/model.ckpt").exists()


@POSIX
def test_nothing_behind_links_goes(
    repo: Repo, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the home folder, in a run, above it, and in its place from one moment on."""
    job(home, "outputs/mine")
    job(home, "a")
    kept = seen(home)
    job(repo.root, "outputs/a")
    os.symlink(home, repo.root / "outputs" / "a" / "home")
    os.utime(repo.root / "outputs" / "a" / "home", (1e9, 1e9), follow_symlinks=False)
    os.symlink(home, repo.root / "multirun")
    assert run(repo.root, capfd, "multirun/outputs/mine", "--yes").code == 2
    assert run(repo.root, capfd, ".", "--yes").code == 0
    assert seen(home) == kept
    assert not (repo.root / "outputs" / "a").exists()
    # Between the plan and the deed, somebody puts a link in place of the folder.
    job(repo.root, "outputs/a")
    real = runs.survey

    def survey(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        shutil.rmtree(repo.root / "outputs")
        os.symlink(home, repo.root / "outputs")
        return found

    monkeypatch.setattr(clean_runs, "survey", survey)
    result = run(repo.root, capfd, ".", "--yes")
    assert result.code == 1
    assert "outputs is a link by now" in result.out
    assert seen(home) == kept


def test_a_run_that_changes_meanwhile_stays(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is put aside, and after: it is whole in its place with what was written."""
    job(repo.root, "outputs/a")
    job(repo.root, "outputs/b")
    real_survey, real_rename = runs.survey, os.rename

    def late(place: str | bytes) -> None:
        write(os.path.join(os.fsdecode(place), "new.txt"), "late", mtime=time.time_ns())

    def survey(*arguments: Any, **options: Any) -> Any:
        found = real_survey(*arguments, **options)
        late(os.path.join(repo.root, "outputs/a"))
        return found

    def rename(old: bytes, new: bytes, **options: Any) -> None:
        real_rename(old, new, **options)
        if os.path.basename(old) == b"a":
            late(new)

    for place, name, change in ((clean_runs, "survey", survey), (os, "rename", rename)):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, change)
            result = run(repo.root, capfd, "outputs/a", "--yes")
        assert result.code == 1
        assert "outputs/a: it has changed meanwhile" in result.out
        assert (repo.root / "outputs/a/new.txt").read_text() == "late"
        assert (repo.root / "outputs/a/model.ckpt").exists()
        assert sorted(os.listdir(repo.root / "outputs")) == ["a", "b"]
        (repo.root / "outputs/a/new.txt").unlink()


@POSIX
@pytest.mark.parametrize(
    ("place", "said", "left"),
    [
        ("fx_hooks.runs.archive.writer.write", "nothing was deleted", ["a", "b"]),
        ("fx_hooks.cli.clean_runs.put_aside", "nothing was deleted", ["a", "b"]),
        (
            "fx_hooks.cli.clean_runs.free",
            "1 run was deleted; --yes finishes what was begun; --undo puts back what was moved"
            " aside",
            [".fx-aside-b"],
        ),
    ],
    ids=["packing", "putting aside", "deleting"],
)
def test_an_interruption_says_what_was_deleted(
    repo: Repo,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    said: str,
    left: list[str],
) -> None:
    for name in "ab":
        job(repo.root, f"outputs/{name}")
    real = pkgutil.resolve_name(place)
    calls = []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2 or "write" in place:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(place, interrupted)
    result = run(repo.root, capfd, ".", "--archive", str(tmp_path / "a.tar.gz"), "--yes")
    assert (result.code, result.err) == (130, f"fx-clean-runs: interrupted: {said}\n")
    names = os.listdir(repo.root / "outputs")
    assert sorted(os.path.splitext(name)[0] for name in names) == left


@POSIX
def test_a_process_that_comes_meanwhile(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job(repo.root, "outputs/a")
    real = runs.survey
    started: list[subprocess.Popen[bytes]] = []

    def survey(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        code = "import time; f = open('outputs/a/model.ckpt'); print(flush=True); time.sleep(60)"
        process = subprocess.Popen(
            (sys.executable, "-c", code), cwd=repo.root, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        started.append(process)
        return found

    monkeypatch.setattr(clean_runs, "survey", survey)
    try:
        result = run(repo.root, capfd, ".", "--yes")
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert result.code == 1
    assert f"(process {started[0].pid}) uses it" in result.out
    assert (repo.root / "outputs/a/model.ckpt").exists()


class Faulty:
    """Two runs that are to go, with all that may come between; they are made anew each time."""

    names = ("outputs/a", "outputs/b")

    def __init__(self, root: Path, archive: Path | None, out: Path) -> None:
        self.root = root
        self.out = out
        self.archive = archive
        self.log = root / ".git" / "fx-hooks.deleted.jsonl"
        self.expected: dict[bytes, Seen] = {}

    def prepare(self) -> Work:
        for folder in (self.root / "outputs", self.out):
            shutil.rmtree(folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)
        self.out.mkdir()
        for name in self.names:
            job(self.root, name, 30, 3000)
            (self.root / name / ".hydra").chmod(0o555)  # it is opened, or as closed as before
            for place, _, names in os.walk(self.root / name):
                for file in names:
                    os.utime(os.path.join(place, file), (1.6e9, 1.6e9))
        self.expected = outputs(self.root)
        options = ("--archive", str(self.archive)) if self.archive else ()
        return lambda: clean_runs.main((".", "--yes", *options))

    def in_place(self) -> set[str]:
        """The runs that are in their place, whole, down to the permissions of their folders."""
        there = outputs(self.root) if (self.root / "outputs").exists() else {}
        found = set()
        for name in self.names:
            left = below(there, name)
            if left:
                assert left == below(self.expected, name)
                found.add(name)
        return found

    def aside(self) -> set[str]:
        """Those that somebody who was stopped has left on their way out."""
        left = (self.root / "outputs").glob(".fx-*") if (self.root / "outputs").exists() else ()
        return {f"outputs/{place.name.split('-', 2)[2].rpartition('.')[0]}" for place in left}

    def logged(self) -> set[str]:
        """Those that the log has a whole line of."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return {json.loads(line)["path"] for line in lines}

    def check(self) -> set[str]:
        """Nothing is lost: what is not in its place is meant to go, and in the archive.

        The next cleaner then leaves no trace of what was interrupted. Gives what was left.
        """
        left = self.in_place()
        for name in self.names:
            if name not in left and self.archive is not None:
                assert in_archive(self.archive, name, below(self.expected, name))
        again = in_fork(lambda: clean_runs.main((".", "--yes")))
        assert (again.code, again.err) == (0, ""), again
        assert not (self.root / "outputs").exists() or os.listdir(self.root / "outputs") == []
        return left


@pytest.fixture(params=["", "a.tar.gz", "a.tar.zst"], ids=["deleting", "packing", "packing zst"])
def faulty(
    request: pytest.FixtureRequest, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Faulty:
    monkeypatch.setattr(run_removal, "find_processes", nobody)
    monkeypatch.setattr(runs, "find_processes", nobody)
    monkeypatch.setattr(clean_runs, "find_processes", nobody)
    monkeypatch.setattr(writer, "CHUNK", 1000)  # what is packed is written while it is packed
    monkeypatch.chdir(repo.root)
    out = tmp_path / "out"
    return Faulty(repo.root, out / request.param if request.param else None, out)


@pytest.mark.slow
@needs_fork
def test_killed_at_every_step(faulty: Faulty) -> None:
    """Each run is whole in its place, or all of it is on its way out (and in the archive)."""
    codes = set()
    for outcome in killed_at_every_step(faulty.prepare):
        codes.add(outcome.code)
        faulty.check()
    assert codes == {None, 0}


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize(
    ("error", "once", "calls"),
    [
        pytest.param(errno.ENOSPC, False, WRITES, id="full disk"),
        pytest.param(errno.ENOSPC, True, WRITES, id="full for a moment"),
        pytest.param(errno.EACCES, True, CHANGES, id="denied"),
        pytest.param(errno.EROFS, True, CHANGES, id="read-only"),
    ],
)
def test_failing_at_every_step(
    faulty: Faulty, error: int, once: bool, calls: tuple[str, ...]
) -> None:
    """The exit code says whether all have gone, and what has not is named."""
    codes = set()
    for outcome in failing_at_every_step(faulty.prepare, error, calls, once=once):
        codes.add(outcome.code)
        assert "Traceback" not in outcome.err
        aside = faulty.aside()
        whole_line = faulty.logged()
        left = faulty.check()
        gone = set(faulty.names) - left
        if outcome.code == 0:
            assert (left, aside, whole_line) == (set(), set(), gone)
        else:
            assert outcome.code in (1, 2)
            assert os.strerror(error) in outcome.out + outcome.err
            assert all(f"  {name}: " in outcome.out for name in left | aside) or outcome.code == 2
        if outcome.code == 2:  # nothing was packed, so nothing has gone
            assert faulty.archive is not None, outcome
            assert (left, aside) == (set(faulty.names), set())
    # A line of the log that finds no room comes with the next one.
    is_caught_up = once and calls == WRITES
    assert codes == {0} | (set() if is_caught_up else {1}) | ({2} if faulty.archive else set())


def below(found: Mapping[bytes, Seen], name: str) -> dict[bytes, Seen]:
    return {path: entry for path, entry in found.items() if path.startswith(name.encode())}


def outputs(root: Path) -> dict[bytes, Seen]:
    return {path: found for path, found in seen(root).items() if path.startswith(b"outputs/")}


def in_archive(place: Path, name: str, own: dict[bytes, Seen]) -> bool:
    with Archive(os.fsencode(place)) as archive:
        assert name.encode() in {run.path for run in archive.manifest.runs}
    again = place.with_name("again")
    shutil.rmtree(again, ignore_errors=True)
    restore(place, again)
    found = {p: e for p, e in seen(again).items() if p.startswith(name.encode())}
    return found == own


@pytest.mark.slow
@POSIX
def test_two_cleaners_at_once(repo: Repo) -> None:
    for number in range(40):
        job(repo.root, f"outputs/{number:02}", 30, 100)
    command = (sys.executable, "-m", "fx_hooks.cli.clean_runs", ".", "--yes")
    both = [
        subprocess.Popen(command, cwd=repo.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1)
        assert err == b""
    assert os.listdir(repo.root / "outputs") == []
    log = (repo.root / ".git" / "fx-hooks.deleted.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["path"] for line in log) == [
        f"outputs/{number:02}" for number in range(40)
    ]


def test_without_psutil_nothing_goes(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job(repo.root, "outputs/a")
    monkeypatch.setitem(sys.modules, "psutil", None)
    result = run(repo.root, capfd, ".", "--yes")
    assert result.code == 2
    assert "pip install 'fx-hooks[tools] @ git+https://" in result.err
    assert (repo.root / "outputs/a/model.ckpt").exists()


def test_a_log_that_cannot_be_written(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk what is deleted makes room for its line; else nothing goes without one."""
    log = repo.root / ".git" / "fx-hooks.deleted.jsonl"
    log.write_text("{}\n")
    for name in "abc":
        job(repo.root, f"outputs/{name}")
    real = files.write_all
    count = iter(range(9))

    def half(descriptor: int, data: bytes) -> None:
        if next(count) < 3:
            real(descriptor, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, data)

    monkeypatch.setattr(files, "write_all", half)
    result = run(repo.root, capfd, "outputs/a", "outputs/b", "outputs/c", "--yes")
    (left,) = (repo.root / "outputs").glob(".fx-gone-a.*")
    assert result.code == 1
    assert result.out.endswith(
        "\nMoved aside, and not deleted yet (fx-clean-runs --yes tries again):\n"
        "  outputs/a: the log cannot be written: No space left on device; until then its folder is"
        f" {left.name}\n"
    )
    assert run(repo.root, capfd, ".", "--yes").out.startswith(
        "note: the rest of outputs/a is deleted\n"
    )
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.get("path") for line in lines] == [None, "outputs/b", "outputs/c", "outputs/a"]
    assert lines[-1]["reason"] == "the rest of an interrupted deletion"
    monkeypatch.undo()
    job(repo.root, "outputs/d")
    before = seen(repo.root / "outputs/d")
    log.unlink()
    log.mkdir()
    result = run(repo.root, capfd, "outputs/d", "--yes")
    assert (result.code, result.err) == (1, "")
    assert result.out.endswith(
        "Deleted 0 runs, which freed 0 B.\n\nStill in its place:\n"
        "  outputs/d: the log cannot be written: Is a directory\n"
    )
    assert seen(repo.root / "outputs/d") == before


@POSIX
def test_what_cannot_be_deleted_is_named_each_time(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An immutable file: the rest of its run is neither whole in its place nor gone."""
    job(repo.root, "outputs/a", keep="x")
    real = os.unlink

    def unlink(path: Any, **options: Any) -> None:
        if path == "keep":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    result = run(repo.root, capfd, ".", "--yes")
    assert result.code == 1
    (left,) = os.listdir(repo.root / "outputs")
    reason = f"only a part of it could be deleted: Operation not permitted; the rest is {left}"
    assert result.out.endswith(
        "Deleted 0 runs, which freed 0 B.\n\n"
        "Moved aside, and not deleted yet (fx-clean-runs --yes tries again):\n"
        f"  outputs/a: {reason}\n"
    )
    result = run(repo.root, capfd, ".", "--yes")
    assert result == Result(
        1, f"note: outputs/{left} is the rest of a deleted run: {reason}\nNothing goes.\n", ""
    )
    monkeypatch.undo()
    assert run(repo.root, capfd, ".", "--yes").code == 0
    assert os.listdir(repo.root / "outputs") == []


@POSIX
def test_what_somebody_else_deletes_meanwhile(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job(repo.root, "outputs/day/a")
    job(repo.root, "outputs/b")
    real = runs.survey

    def survey(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        shutil.rmtree(repo.root / "outputs/day")
        return found

    monkeypatch.setattr(clean_runs, "survey", survey)
    result = run(repo.root, capfd, ".", "--yes")
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith(
        "\n\nNot there any more:\n  outputs/day/a: it has been removed meanwhile\n"
    )


@POSIX
def test_what_is_freed_is_what_du_says(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    """Also of files with names in several runs, and in what stays."""
    for name in "abcd":
        job(repo.root, f"outputs/{name}", 30, 300_000)
    outputs_ = repo.root / "outputs"
    then = time.time() - 30 * 86_400
    for first, second in (("a", "b"), ("b", "c"), ("c", "d")):
        write(outputs_ / first / f"{second}.bin", b"x" * 500_000)
        os.link(outputs_ / first / f"{second}.bin", outputs_ / second / "same.bin")
        os.link(outputs_ / first / f"{second}.bin", outputs_ / second / "again.bin")
    for place in outputs_.rglob("*"):
        os.utime(place, (then, then))
    before = du(repo.root / "outputs")
    names = ("outputs/a", "outputs/b", "outputs/c")
    plan = run(repo.root, capfd, *names)
    assert before == du(repo.root / "outputs")
    result = run(repo.root, capfd, *names, "--yes")
    freed = human_size(before - du(repo.root / "outputs"))
    assert plan.out.startswith(f"3 runs would go, which would free {freed}:\n")
    assert f"\nDeleted 3 runs, which freed {freed}.\n" in result.out
    run(repo.root, capfd, "outputs/d", "--yes")
    assert os.listdir(outputs_) == []


@POSIX
def test_what_an_interruption_left_is_told_and_finished(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    job(repo.root, "outputs/.fx-aside-a.01234567")
    assert run(repo.root, capfd, ".").out == (
        "note: outputs/.fx-aside-a.01234567 is left from an interruption:"
        " --yes finishes that, too\n"
        "Nothing would go.\n"
    )
    job(repo.root, "outputs/.fx-gone-b.01234567")
    job(repo.root, "outputs/.fx-gone-c.01234567")
    repo.git("add", "-f", "outputs/.fx-gone-c.01234567")
    before = seen(repo.root)
    result = run(repo.root, capfd, ".")
    assert result.out == (
        "note: 2 folders are left from an interruption, such as outputs/.fx-aside-a.01234567:"
        " --yes finishes them, too\n"
        "Nothing would go.\n"
    )
    assert seen(repo.root) == before
    # Another process is at it.
    descriptors = [os.open(place, os.O_RDONLY) for place in (repo.root / "outputs").iterdir()]
    for descriptor in descriptors:
        files.lock(descriptor)
    result = run(repo.root, capfd, ".", "--yes")
    assert (result.code, result.out) == (0, "Nothing goes.\n")
    assert seen(repo.root) == before
    for descriptor in descriptors:
        os.close(descriptor)
    result = run(repo.root, capfd, ".", "--keep-last", "1", "--yes")
    assert result.out.startswith(
        "note: outputs/a was to be deleted, and is back in its place\n"
        "note: the rest of outputs/b is deleted\n"
        "Nothing goes.\n\n1 run stays:\n  outputs/a: kept: one of the last 1\n"
    )
    assert sorted(os.listdir(repo.root / "outputs")) == [".fx-gone-c.01234567", "a"]


def test_a_run_that_cannot_be_packed_stays(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        job(repo.root, f"outputs/{name}")
    real = writer.write

    def write_late(root: bytes, *arguments: Any, **options: Any) -> Any:
        os.rename(os.path.join(root, b"outputs/a"), os.path.join(root, b"outputs/c"))
        written = real(root, *arguments, **options)
        os.rename(os.path.join(root, b"outputs/c"), os.path.join(root, b"outputs/a"))
        return written

    monkeypatch.setattr(writer, "write", write_late)
    result = run(repo.root, capfd, ".", "--archive", str(tmp_path / "a.tar.gz"), "--yes")
    assert result.code == 1
    assert (
        "outputs/a: it is gone, or something in it is"
        in result.out.partition("Still in its place:")[2]
    )
    assert os.listdir(repo.root / "outputs") == ["a"]


def test_a_run_that_is_written_to_after_it_was_packed_stays(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same size and time as before: only what was packed tells."""
    job(repo.root, "outputs/a")
    place = repo.root / "outputs" / "a" / "model.ckpt"
    real = writer.write

    def write_and_more(*arguments: Any, **options: Any) -> Any:
        written = real(*arguments, **options)
        place.chmod(0o600)
        return written

    monkeypatch.setattr(writer, "write", write_and_more)
    result = run(repo.root, capfd, ".", "--archive", str(tmp_path / "a.tar.gz"), "--yes")
    assert result.code == 1
    assert "outputs/a: it has changed since it was packed: model.ckpt has changed\n" in result.out
    assert place.exists()


@pytest.mark.parametrize(
    ("target", "around"),
    [
        pytest.param("multirun/s/old.tar.gz", ["multirun/s"], id="in the sweep of a job"),
        pytest.param(
            "multirun/s/1/old.tar.gz", ["multirun/s", "multirun/s/1"], id="in another job"
        ),
        pytest.param("multirun/old.tar.gz", [], id="next to it"),
    ],
)
def test_an_archive_in_a_run_that_is_there_keeps_it(
    repo: Repo, capfd: pytest.CaptureFixture[str], target: str, around: list[str]
) -> None:
    for name in "01":
        job(repo.root, f"multirun/s/{name}")
    write(repo.root / "multirun/s/multirun.yaml", "seed: 1\n", mtime=time.time_ns() - 30 * DAY)
    for options in ((), ("--yes",)):
        result = run(repo.root, capfd, "multirun/s/0", "--archive", target, *options)
        assert result.code == 0
        notes = [line for line in result.out.splitlines() if line.startswith("note: ")]
        assert notes == [
            f"note: {target} lies in the run {path}, which stays until you move the archive"
            for path in around
        ]
    assert not (repo.root / "multirun/s/0").exists()
    assert run(repo.root, capfd, "multirun/s", "--yes").code == bool(around)
    assert (repo.root / target).exists()


def test_packed_and_then_deleted(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job(repo.root, "outputs/a")
    before = outputs(repo.root)
    target = tmp_path / "old.tar.gz"
    result = run(repo.root, capfd, ".", "--archive", str(target), "--yes")
    assert result.code == 0
    assert f"{target}: 1 run, read back and whole" in result.out
    assert os.listdir(repo.root / "outputs") == []
    restore(target, repo.root)
    assert outputs(repo.root) == before
    (line,) = (repo.root / ".git" / "fx-hooks.deleted.jsonl").read_text().splitlines()
    assert json.loads(line)["archive"] == str(target)
    again = run(repo.root, capfd, ".", "--archive", str(target), "--yes")
    assert again.code == 2
    assert "is there already" in again.err
    assert outputs(repo.root) == before
    # It holds the only copy by then.
    run(repo.root, capfd, ".", "--yes")
    job(repo.root, "outputs/b")
    before = outputs(repo.root)
    for options in ((), ("--yes",)):
        again = run(repo.root, capfd, ".", "--archive", str(target), "--force", *options)
        assert again.code == 2
        assert f"{target}: may hold the only copy of outputs/a: it is not replaced" in again.err
    assert outputs(repo.root) == before
