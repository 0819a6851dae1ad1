"""What takes the space: as exact as `du`, nothing touched, every amount as promised."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.cli import report_space
from fx_hooks.frameworks.wandb.outside import (
    WANDB_ARTIFACTS,
    WANDB_DIR,
    WANDB_LOGS,
    WANDB_STAGING,
    wandb_folders,
)
from fx_hooks.runs.usage import outside
from fx_hooks.util.disk import Scan, scan
from tests.realruns.cloud import cloud
from tests.realruns.make import environment
from tests.realruns.states import DAY, States, live_run
from tests.support import Repo, Result, captured

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = Path(sys.executable).with_name("fx-report-space")
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX file systems")


def run(root: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> Result:
    """The command in *root*, in this process."""
    return captured(capfd, report_space.main, *arguments, cwd=root)


def record(root: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    result = run(root, capfd, "--format", "json", *arguments)
    assert (result.code, result.err) == (0, "")
    found: dict[str, Any] = json.loads(result.out)
    return found


def du(*arguments: str | Path) -> int:
    done = subprocess.run(("du", "-s", "-B1", *arguments), stdout=subprocess.PIPE, check=True)
    return int(done.stdout.split()[0])


def apparent(root: Path) -> int:
    """What `du --apparent-size` says, without the folders' own sizes (as coreutils 9.2 does)."""
    total = du("--apparent-size", root)
    for folder, _, _ in os.walk(os.fsencode(root)):
        total -= 0 if _du_leaves_folders_out() else os.lstat(folder).st_size
    return total


def _du_leaves_folders_out() -> bool:
    version = subprocess.run(("du", "--version"), stdout=subprocess.PIPE, check=True).stdout
    number = version.split(b"\n")[0].split()[-1].split(b".")
    return (int(number[0]), int(number[1])) >= (9, 2)


def snapshot(*roots: Path) -> dict[bytes, tuple[Any, ...]]:
    """Every name below *roots*, with all that would change if anybody wrote."""
    found = {}
    for root in roots:
        for folder, folders, files in os.walk(os.fsencode(root)):
            for name in (b"", *folders, *files):
                path = os.path.join(folder, name)
                status = os.lstat(path)
                found[path] = (
                    status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns,
                    status.st_ino, os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
                )  # fmt: skip
    return found


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, also for W&B."""
    for name in os.environ:
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    return home


@pytest.fixture
def odd(repo: Repo) -> Repo:
    """Links, hard links, sparse files and odd names, in runs and next to them."""
    run = "outputs/2024-01-31/23-59-59"
    repo.write(f"{run}/.hydra/config.yaml", "a: 1\n")
    repo.write(f"{run}/model.ckpt", b"\0" * 100_000)
    repo.write(f"{run}/new\nline\x1b[31m.txt", b"x" * 5000)
    repo.write(os.fsencode(f"{run}/") + b"\xff.bin", b"x" * 5000)
    repo.link(f"{run}/here", "model.ckpt")
    repo.write("data/kept.bin", b"d" * 70_000)
    os.link(repo.path(f"{run}/model.ckpt"), repo.path("data/same.ckpt"))
    os.link(repo.path("data/kept.bin"), repo.path("data/again.bin"))
    with open(repo.path("data/sparse.bin"), "wb") as file:
        file.truncate(50_000_000)
        file.seek(10_000_000)
        file.write(b"x" * 9000)
    repo.write("src/__pycache__/a.pyc", b"c" * 3000)
    repo.write(".mypy_cache/3.11/x.json", b"{}")
    repo.write("train.log", b"l" * 9000)
    repo.write("loose/model.pt", b"PK\3\4" + b"\0" * 20_000)
    repo.write(".venv/pyvenv.cfg", "home = /usr\n")
    repo.write(".venv/lib/x.py", "pass\n" * 2000)
    repo.write(".venv/lib/__pycache__/x.pyc", b"c" * 3000)
    os.makedirs(repo.path("empty/folder"))
    return repo


@POSIX
@pytest.mark.skipif(shutil.which("du") is None, reason="needs du")
def test_totals_are_those_of_du(odd: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    found = record(odd.root, capfd)
    assert found["complete"]
    assert found["total"]["disk"] == du(odd.root)
    assert found["total"]["bytes"] == apparent(odd.root)
    for key in ("disk", "bytes", "files"):
        assert sum(kind[key] for kind in found["kinds"]) == found["total"][key]
    names = sum(len(files) for _, _, files in os.walk(odd.root))
    links = [path for path in odd.root.rglob("*") if path.is_symlink() and path.is_dir()]
    assert found["total"]["files"] == names + len(links)


def test_each_thing_has_its_kind(odd: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    odd.stage("logs/old.log", b"o" * 1000)
    found = record(odd.root, capfd)
    assert {(item["path"], item["kind"]) for item in found["items"]} == {
        ("outputs/2024-01-31/23-59-59", "Hydra job"),
        ("src/__pycache__", "caches"),
        (".mypy_cache", "caches"),
        ("train.log", "other artifacts"),
        ("loose/model.pt", "other artifacts"),
        ("data/same.ckpt", "other artifacts"),
        ("logs", "tracked artifacts"),
        (".venv", "environments"),
        *((name, "everything else") for name in ("data", "empty", "loose", "logs", "outputs")),
        *((name, "everything else") for name in ("src", "")),
        (".git", "git"),
        (".git/objects", "git"),
    }
    assert found["tracked"] == ["logs/old.log"]
    (job,) = [item for item in found["items"] if item["kind"] == "Hydra job"]
    assert job["checkpoints"]["bytes"] == 100_000
    assert job["files"] == 5
    # Counted with the run already.
    (same,) = [item for item in found["items"] if item["path"] == "data/same.ckpt"]
    assert (same["disk"], same["files"]) == (0, 1)


def test_checkpoints_are_known_by_their_names_and_those_of_folders(
    repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name counts in one folder and not in another; each name is decided once."""
    monkeypatch.setattr("fx_hooks.runs.usage.measure._MOST_NAMES", 2)
    for number in (1, 2):
        job = f"outputs/2024-01-31/23-59-5{number}"
        repo.write(f"{job}/.hydra/config.yaml", b"a: 1\n")
        for name, size in {
            "a.pt": 1, "test/a.pt": 10, "models/x.index": 100, "models/x.csv": 1000,
            "one.ckpt/plain.txt": 10_000, "plain.txt": 100_000, "saved_model.pb": 1_000_000,
        }.items():  # fmt: skip
            repo.write(f"{job}/{name}", b"x" * size)
    found = record(repo.root, capfd)
    sizes = [item["checkpoints"]["bytes"] for item in found["items"] if item["kind"] == "Hydra job"]
    assert sizes == [1_010_101] * 2


@pytest.mark.slow
@POSIX
def test_nothing_is_written(
    states: States, at_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(states.home / "cache", at_home / ".cache", symlinks=True)
    before = snapshot(states.root, at_home)
    for arguments in ((), ("--format", "json"), ("--older-than", "10d", "--sort", "age")):
        assert run(states.root, capfd, *arguments).code == 0
    assert snapshot(states.root, at_home) == before


@POSIX
def test_what_lies_behind_links_is_told_apart(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scratch = Repo(tmp_path / "scratch")
    scratch.write("outputs/2024-01-31/23-59-59/.hydra/config.yaml", "a: 1\n")
    scratch.write("outputs/2024-01-31/23-59-59/model.ckpt", b"\0" * 100_000)
    scratch.write("models/last.ckpt", b"\0" * 50_000)
    repo.link("outputs", scratch.root / "outputs")
    repo.link("wandb", "nowhere")
    repo.link("multirun", "src")
    repo.write("src/x.py")
    # A link in a run, and a second way to the same folder.
    repo.write("experiments/one/.hydra/config.yaml", "a: 1\n")
    repo.link("experiments/one/checkpoints", scratch.root / "models")
    repo.link("logs", scratch.root / "outputs" / "2024-01-31")
    result = run(repo.root, capfd, "--format", "json")
    found = json.loads(result.out)
    assert result.code == 0
    assert "outputs is a link" in result.err
    outside = {item["path"]: item for item in found["items"] if item["outside"]}
    assert set(outside) == {"outputs", "experiments/one/checkpoints"}
    assert outside["outputs"]["target"] == str(scratch.root / "outputs")
    assert outside["outputs"]["disk"] == du(scratch.root / "outputs")
    assert outside["outputs"]["note"] == "1 run"
    assert found["total"]["disk"] == du(repo.root)
    text = run(repo.root, capfd).out
    assert f"outputs -> {scratch.root / 'outputs'}" in text.partition("Outside")[2]


@POSIX
def test_other_file_systems_are_told_apart(
    repo: Repo,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo.write("outputs/note.txt", b"x" * 5000)
    repo.write("data/set.bin", b"x" * 5000)

    def without(root: bytes, **options: Any) -> Scan:
        found = scan(root, **options)
        for name in (b"outputs", b"data"):
            del found.top.folders[name]
        return found._replace(mounts=(b"data", b"outputs"))

    monkeypatch.setattr("fx_hooks.runs.inventory.scan", without)
    result = run(repo.root, capfd, "--format", "json")
    found = json.loads(result.out)
    (outside,) = [item for item in found["items"] if item["outside"]]
    assert (outside["kind"], outside["path"]) == ("another file system", "outputs")
    assert outside["disk"] == du(repo.root / "outputs")
    assert "data/ is on another file system: it is not counted" in result.err
    assert found["notes"] == ["data/ is on another file system: it is not counted"]


def test_folders_of_wandb_are_those_that_wandb_uses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = pytest.importorskip("wandb.env")

    def asked() -> list[str]:
        cache = env.get_cache_dir()
        return [str(cache / "artifacts"), os.path.join(env.get_data_dir(), "artifacts", "staging")]

    def ours() -> dict[str, str]:
        return {folder.kind: os.fsdecode(folder.path) for folder in wandb_folders()}

    assert [ours()[WANDB_ARTIFACTS], ours()[WANDB_STAGING]] == asked()
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
        assert [ours()[WANDB_ARTIFACTS], ours()[WANDB_STAGING]] == asked()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    assert ours()[WANDB_DIR] == str(tmp_path / "elsewhere" / "wandb")


@POSIX
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_folders_of_wandb_on_each_platform(platform: str) -> None:
    pytest.importorskip("platformdirs")
    module, name = {"linux": ("unix", "Unix"), "darwin": ("macos", "MacOS")}[platform]
    dirs = getattr(import_module(f"platformdirs.{module}"), name)("wandb")
    folders = {folder.kind: os.fsdecode(folder.path) for folder in wandb_folders(platform=platform)}
    assert folders == {
        WANDB_ARTIFACTS: os.path.join(dirs.user_cache_dir, "artifacts"),
        WANDB_LOGS: os.path.join(dirs.user_cache_dir, "logs"),
        WANDB_STAGING: os.path.join(dirs.user_data_dir, "artifacts", "staging"),
    }


def test_folders_of_wandb_on_windows() -> None:
    # platformdirs.windows asks the system itself, and adds the author's name.
    folders = wandb_folders({"LOCALAPPDATA": "/local"}, "win32")
    assert [os.fsdecode(folder.path) for folder in folders] == [
        os.path.abspath(os.path.join("/local", "wandb", "wandb", *names))
        for names in (("Cache", "artifacts"), ("Cache", "logs"), ("artifacts", "staging"))
    ]


@POSIX
def test_wandb_at_home(
    repo: Repo, at_home: Path, capfd: pytest.CaptureFixture[str], states: States
) -> None:
    cache = at_home / ".cache" / "wandb"
    shutil.copytree(states.home / "cache" / "wandb" / "logs", cache / "logs", symlinks=True)
    for name in ("obj/md5/ab/cdef", "tmp/half"):
        (cache / "artifacts" / name).parent.mkdir(parents=True)
        (cache / "artifacts" / name).write_bytes(b"a" * 9000)
    staging = at_home / ".local/share/wandb/artifacts/staging"
    staging.mkdir(parents=True)
    (staging / "tmpabc").write_bytes(b"s" * 9000)
    found = record(repo.root, capfd)
    outside = {item["kind"]: item for item in found["items"] if item["outside"]}
    assert set(outside) == {"W&B artifact cache", "W&B logs", "W&B staging"}
    assert outside["W&B logs"]["disk"] == du(cache / "logs")
    commands = [command for remedy in found["remedies"] for command in remedy["commands"]]
    clean = "wandb artifact cache cleanup --remove-temp 0GB"
    assert set(commands) == {clean, f"rm -r -- {cache / 'logs'}"}
    # Nothing proposes to throw away what offline runs still have to upload.
    assert not any("staging" in command for command in commands)
    for remedy in found["remedies"]:
        before = du(at_home)
        follow(remedy["commands"], repo.root, at_home)
        # W&B's command leaves a log of its own.
        (at_home / ".config/wandb/settings").unlink(missing_ok=True)
        assert before - du(at_home) == remedy["frees"], remedy


def follow(commands: Sequence[str], root: Path, home: Path, **environ: str) -> str:
    """Do what the report says; the commands are those of this environment."""
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ("bash", "-ec", "\n".join(commands)),
        cwd=root,
        env={**os.environ, **environ, "HOME": str(home), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    # 1 says that others that were meant are still there, for they have a remedy of their own.
    may_leave_some = any(command.startswith("fx-clean-runs ") for command in commands[-1:])
    assert done.returncode in (0, may_leave_some), done.stdout.decode()
    return done.stdout.decode()


def test_only_what_is_old(
    states: States,
    capfd: pytest.CaptureFixture[str],
) -> None:
    everything = record(states.root, capfd)
    old = record(states.root, capfd, "--older-than", "18d")
    expected = [
        item
        for item in everything["items"]
        if item["newest"] is not None and item["newest"] < time.time() - 18 * DAY
    ]
    assert old["items"] == expected
    assert {os.fsencode(item["path"]) for item in expected} == {
        states.places[name]
        for name in (
            "job", "job_wandb", "chdir", "sweep", "sweep_wandb_0", "sweep_wandb_1", "synced",
            "synced_wandb", "failed", "failed_wandb", "lightning_0", "lightning_1",
        )
    }  # fmt: skip
    for kind in old["kinds"]:
        members = [item["disk"] for item in expected if item["kind"] == kind["kind"]]
        assert (kind["items"], kind["disk"]) == (len(members), sum(members))
    assert old["total"] == everything["total"]
    text = run(states.root, capfd, "--older-than", "18d", "--top", "0").out
    assert "Older than 18d:" in text


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("size", lambda item: (-item["disk"], os.fsencode(item["path"]))),
        ("age", lambda item: (item["newest"] or 0.0, os.fsencode(item["path"]))),
        ("name", lambda item: os.fsencode(item["path"])),
    ],
)
def test_in_order(states: States, capfd: pytest.CaptureFixture[str], sort: str, key: Any) -> None:
    items = record(states.root, capfd, "--sort", sort)["items"]
    assert items == sorted(items, key=key)
    text = run(states.root, capfd, "--sort", sort, "--top", "3").out
    listed = text.partition("One by one:")[2].splitlines()[2:]
    assert [line.split()[-1].rstrip("/") for line in listed[:3]] == [
        item["path"] or "here)" for item in items[:3]
    ]
    assert f"and {len(items) - 3} more (--top 0 shows all)" in text


@POSIX
def test_what_cannot_be_read_is_said(
    repo: Repo,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(25):
        repo.write(f"data/{number:02}/x.bin", b"x" * 5000)
    real = os.open

    def closed(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if os.path.dirname(os.fsencode(path)).endswith(b"/data"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", closed)
    result = run(repo.root, capfd)
    assert result.code == 1
    assert "at least: not all of it could be read" in result.out.splitlines()[0]
    lines = result.err.splitlines()
    assert len(lines) == 21
    assert "fx-report-space: not counted: data/07: Permission denied" in lines
    assert lines[-1] == "fx-report-space: not counted: 5 more (--format json names them)"
    result = run(repo.root, capfd, "--format", "json")
    found = json.loads(result.out)
    assert (result.code, found["complete"], len(found["problems"])) == (1, False, 25)


@POSIX
def test_git_is_counted_where_it_lies(
    repo: Repo, at_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "second"))
    found = record(tmp_path / "second", capfd)
    old = record(tmp_path / "second", capfd, "--older-than", "0m")
    assert "git" in {item["kind"] for item in old["items"] if item["outside"]}
    assert {kind["kind"] for kind in old["kinds"]} == {"git", "everything else"}
    assert sum(kind["disk"] for kind in old["kinds"]) <= du(tmp_path / "second")
    assert found["total"]["disk"] == du(tmp_path / "second")
    outside = {item["path"]: item for item in found["items"] if item["outside"]}
    parts = {path: item for path, item in outside.items() if item["kind"] == "git"}
    assert sum(item["disk"] for item in parts.values()) == du(repo.root / ".git")
    assert str(repo.root / ".git" / "objects") in parts
    # Loose objects that git packs.
    for number in range(300):
        repo.write(f"src/{number}.txt", os.urandom(5000))
    repo.stage_all()
    repo.commit()
    os.makedirs(repo.root / ".git/lfs/objects/ab")
    (repo.root / ".git/lfs/objects/ab/cd").write_bytes(b"x" * 70_000)
    found = record(repo.root, capfd)
    assert found["total"]["disk"] == du(repo.root)
    notes = {item["note"]: item["disk"] for item in found["items"] if item["kind"] == "git"}
    assert notes["Git LFS"] == du(repo.root / ".git/lfs")
    (gc,) = [remedy for remedy in found["remedies"] if remedy["commands"] == ["git gc"]]
    assert (gc["frees"], gc["at_most"]) == (notes["loose objects"], True)
    before = du(repo.root / ".git")
    follow(["git gc -q"], repo.root, at_home)
    assert before - du(repo.root / ".git") <= gc["frees"]
    found = record(repo.root, capfd)
    assert "packed history" in {item["note"] for item in found["items"]}
    assert ["git gc"] not in [remedy["commands"] for remedy in found["remedies"]]


@POSIX
def test_other_repositories_are_not_sorted(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    other = Repo.init(repo.root / "libs" / "other")
    other.write("outputs/2024-01-31/23-59-59/.hydra/config.yaml", "a: 1\n")
    other.write("__pycache__/x.pyc")
    found = record(repo.root, capfd)
    assert {item["kind"] for item in found["items"]} == {"everything else", "git"}
    assert found["total"]["disk"] == du(repo.root)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "-1"], "--top: a number of lines, or 0 for all"),
        (["--older-than", "soon"], "--older-than"),
        (["--older"], "unrecognized arguments"),
        (["--sort", "colour"], "invalid choice"),
        (["--policy", "missing.yaml"], "missing.yaml"),
    ],
)
def test_bad_options(
    repo: Repo, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    result = run(repo.root, capfd, *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_outside_a_repository(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = run(tmp_path, capfd)
    assert (result.code, result.out) == (2, "")
    assert "not in a git repository" in result.err


@pytest.mark.slow
@POSIX
def test_the_commands_free_what_they_promise(
    states: States, at_home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """All of them, literally, one after the other, from a subfolder."""
    (states.root / "train.log").write_text("old\n")
    Repo(states.root).git("add", "-f", "train.log")
    Repo(states.root).commit()
    here = states.root / "src"
    found = record(here, capfd)
    commands = [command for remedy in found["remedies"] for command in remedy["commands"]]
    assert any(command.startswith("wandb sync --include-online ") for command in commands)
    assert "git -C .. rm -r -q --cached -- train.log" in commands
    of_runs = [remedy for remedy in found["remedies"] if "fx-clean-runs" in remedy["commands"][-1]]
    assert len(of_runs) == 2
    for remedy in found["remedies"]:
        if remedy not in of_runs:
            before = du(states.root)
            follow(remedy["commands"], here, at_home)
            assert before - du(states.root) == remedy["frees"], remedy
    before = du(states.root)
    with cloud() as online:
        for remedy in of_runs:
            syncs = [command for command in remedy["commands"] if command.startswith("wandb sync")]
            follow(syncs, here, at_home, **{**environment(at_home), **online})
    # An hour later.
    for folder, _, files in os.walk(states.root / "wandb"):
        for name in files:
            path = os.path.join(folder, name)
            then = os.lstat(path).st_mtime - 2 * 3600
            os.utime(path, (then, then), follow_symlinks=False)
    for folder, _, files in os.walk(states.root / "outputs"):
        for name in files:
            path = os.path.join(folder, name)
            then = os.lstat(path).st_mtime - 2 * 3600
            os.utime(path, (then, then), follow_symlinks=False)
    # A plan is all that it does without being told.
    for command in dict.fromkeys(remedy["commands"][-1] for remedy in of_runs):
        follow([f"{command} --yes"], here, at_home)
    assert b"train.log" not in Repo(states.root).tracked()
    left = [item for item in record(here, capfd)["items"] if item["state"] is not None]
    never = {
        os.fsdecode(states.places[f"{name}{end}"])
        for name in ("chosen", "killed", "online_killed")
        for end in ("", "_wandb")
    }
    # The server refuses one; and its job, or one with a new marker in it, may wait for that.
    refused = [item for item in left if item["path"] not in never]
    assert os.fsdecode(states.places["online_refused_wandb"]) in {item["path"] for item in refused}
    assert len(refused) <= 3
    promised = sum(remedy["frees"] for remedy in of_runs) - sum(item["disk"] for item in refused)
    # The markers are new, and W&B's and our own log; the folders of days go with their runs,
    # and so does the job of a run that another job is taken for the owner of.
    assert -60_000 < before - du(states.root) - promised < 100_000


def test_what_cannot_be_synced_has_no_command(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    """W&B finds no run in a folder without a log; an old dry run is an online one to it."""
    for name, log in (("a", b""), ("b", b":W&B\0\0\0" + b"x" * 20), ("c", b"")):
        folder = repo.root / f"wandb/dryrun-20240101_000000-{name}"
        (folder / "files").mkdir(parents=True)
        (folder / "files/x").write_text("x")
        if name != "c":
            (folder / f"run-{name}.wandb").write_bytes(log)
        for path in folder.rglob("*"):
            os.utime(path, (1.7e9, 1.7e9))
    commands = [each for remedy in record(repo.root, capfd)["remedies"]
                for each in remedy["commands"]]  # fmt: skip
    assert commands == [
        "wandb sync --include-online wandb/dryrun-20240101_000000-b",
        "fx-clean-runs wandb/dryrun-20240101_000000-b",
    ]


@POSIX
def test_git_keeps_its_objects_elsewhere(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    objects = repo.root / ".git" / "objects"
    objects.rename(tmp_path / "objects")
    objects.symlink_to(tmp_path / "objects")
    found = record(repo.root, capfd)
    assert found["total"]["disk"] == du(repo.root)
    assert {item["path"] for item in found["items"] if item["kind"] == "git"} == {".git"}


def test_a_cache_of_dvc_is_not_deleted_by_hand(
    repo: Repo, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.write(".dvc/cache/files/md5/ab/cdef", b"d" * 9000)
    repo.write("src/__pycache__/a.pyc", b"c" * 3000)
    remedies = {
        tuple(remedy["commands"]): remedy["at_most"]
        for remedy in record(repo.root, capfd)["remedies"]
    }
    assert remedies == {("dvc gc --workspace",): True, ("rm -r -- src/__pycache__",): False}


def test_many_old_runs_have_one_command(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    then = time.time() - 40 * DAY
    for number in range(30):
        path = f"outputs/2024-01-31/23-59-{number:02}/.hydra/config.yaml"
        repo.write(path, "a: 1\n")
        os.utime(repo.path(path), (then, then))
    assert commands_of(repo, capfd) == ["fx-clean-runs ."]
    assert commands_of(repo, capfd, "--older-than", "30d") == ["fx-clean-runs --older-than 30d"]
    assert commands_of(repo, capfd, "--older-than", "50d") == []
    text = run(repo.root, capfd, "--older-than", "50d").out
    assert "Older than 50d" not in text
    assert "What frees it" not in text


def commands_of(repo: Repo, capfd: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    found = record(repo.root, capfd, *arguments)
    return [command for remedy in found["remedies"] for command in remedy["commands"]]


@POSIX
def test_what_goes_away_while_it_is_counted(
    odd: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other names of files, files as large as those, and `.git` of a linked work tree."""
    odd.write("data/as_large.bin", b"e" * 70_000)
    odd.commit()
    odd.git("worktree", "add", "-q", str(tmp_path / "second"))
    total = record(odd.root, capfd)["total"]["disk"]
    real = os.lstat

    def lstat(path: Any, **options: Any) -> os.stat_result:
        if os.fsencode(path).endswith((b"data/again.bin", b"second/.git")):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path, **options)

    monkeypatch.setattr(os, "lstat", lstat)
    found = record(odd.root, capfd)
    assert found["total"]["disk"] == total
    second = record(tmp_path / "second", capfd)
    assert ".git" not in {item["path"] for item in second["items"]}


@POSIX
def test_what_cannot_be_read_outside_is_said(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    repo.link("outputs", tmp_path / "scratch")

    def scanned(root: bytes, **_: Any) -> Scan:
        raise PermissionError(13, "Permission denied", root)

    monkeypatch.setattr(outside, "scan", scanned)
    result = run(repo.root, capfd)
    assert result.code == 1
    assert "fx-report-space: not counted: outputs: Permission denied\n" in result.err


def test_a_live_run_is_left_alone(states: States, capfd: pytest.CaptureFixture[str]) -> None:
    with live_run(states.root, states.home) as live:
        found = record(states.root, capfd)
    items = {item["path"]: item for item in found["items"]}
    for path in (live.job, live.wandb):
        assert items[os.fsdecode(path)]["state"] == "live"
    commands = " ".join(command for remedy in found["remedies"] for command in remedy["commands"])
    assert os.fsdecode(live.job) not in commands
    assert os.fsdecode(live.wandb) not in commands


def test_what_git_untracks_only_by_force(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    repo.stage("logs/a.log", "\0staged")
    repo.write("logs/a.log", "\0and changed")
    commands = record(repo.root, capfd)["remedies"][-1]["commands"]
    assert commands == ["git rm -r -q --cached -f -- logs"]
    repo.git(*commands[0].split()[1:])
    assert b"logs/a.log" not in repo.tracked()
