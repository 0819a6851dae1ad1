"""``fx-archive-runs`` as people start it."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from fx_hooks import sync_gitignore
from fx_hooks.cli import archive_runs
from fx_hooks.git.repository import Repository
from fx_hooks.runs.archive import byte_progress
from fx_hooks.runs.archive import listing as run_listing
from fx_hooks.runs.archive.about import about
from fx_hooks.runs.archive.manifest import Manifest, PackedRun
from fx_hooks.runs.archive.reader import Archive
from fx_hooks.runs.inventory import survey
from tests import support
from tests.realruns.states import States, live_run
from tests.run_trees import seen, write
from tests.support import Repo, Result, run_main, working_directory

DAY = 86_400
ONE, TWO, NEW = "outputs/2025-05-01/12-00-00", "outputs/2025-05-02/12-00-00", "outputs/new/job"


def run(folder: Path, *arguments: str) -> Result:
    """``fx-archive-runs`` in this process."""
    return support.run(archive_runs.main, *arguments, cwd=folder)


def a_job(root: Path, path: str, days: float) -> None:
    """What Hydra leaves of a job that was done so many days ago."""
    then = time.time_ns() - int(days * DAY) * 1_000_000_000
    write(
        root / path / ".hydra/config.yaml", "lr: 0.1\napi_key: abcdef0123456789abcd\n", mtime=then
    )
    write(root / path / ".hydra/overrides.yaml", "- lr=0.1\n", mtime=then)
    write(root / path / ".hydra/hydra.yaml", "hydra: {}\n", mtime=then)
    write(root / path / "model.pt", bytes(range(256)) * 40, mtime=then)
    write(root / path / "train.log", "done\n", mtime=then)


@pytest.fixture
def jobs(repo: Repo) -> Path:
    """A repository with an old job, an older one, and one that was written just now."""
    a_job(repo.root, ONE, 60)
    a_job(repo.root, TWO, 40)
    a_job(repo.root, NEW, 0)
    return repo.root


def test_packing_listing_and_restoring(jobs: Path, tmp_path: Path) -> None:
    done = run(jobs, "a.tar.gz")
    assert done.code == 1
    size = (jobs / "a.tar.gz").stat().st_size
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0] == f"a.tar.gz: 2 runs, 20.1 KiB in {size / 1024:.1f} KiB, read back and whole"
    assert lines[1:4] == [f"  10.1 KiB  {ONE}", f"  10.1 KiB  {TWO}", (
        "Left out, and still in its place:"
    )]  # fmt: skip
    assert lines[4].startswith(f"  {NEW}: live: ")
    assert len(lines) == 5

    done = run(jobs, "--list", "a.tar.gz")
    assert (done.code, done.err) == (0, "")
    blocks = done.out.rstrip("\n").split("\n\n")
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert blocks[0].startswith("a.tar.gz: 2 runs, packed ")
    assert blocks[0].endswith(f" into {size / 1024:.1f} KiB, 20.1 KiB in 10 files")
    alone = run(jobs, "--list", "a.tar.gz", TWO).out
    assert alone.startswith("a.tar.gz: 1 of 2 runs, packed ")
    assert (
        alone.partition("\n\n")[2]
        == done.out.partition(f"\n\n{TWO}")[1][2:] + (done.out.partition(f"\n\n{TWO}")[2])
    )
    assert today[:7] in blocks[0]
    assert blocks[1].startswith(f"{ONE}\n  Hydra job, finished, 10.1 KiB in 5 files, last written ")

    there = tmp_path / "there"
    there.mkdir()
    done = run(there, "--restore", str(jobs / "a.tar.gz"), "--dry-run", TWO)
    assert done == Result(0, f"Would restore 1 run:\n  10.1 KiB  {TWO}\n", "")
    assert os.listdir(there) == []
    done = run(there, "--restore", str(jobs / "a.tar.gz"), TWO)
    assert done == Result(0, f"Restored 1 run:\n  10.1 KiB  {TWO}\n", "")
    assert seen(there / TWO) == seen(jobs / TWO)
    assert not (there / ONE).exists()


def test_the_manifest_is_read_without_unpacking(jobs: Path) -> None:
    run(jobs, "a.tar.zst")
    done = run(jobs, "--list", "a.tar.zst", "--format", "json")
    assert (done.code, done.err) == (0, "")
    assert done.out == (jobs / "a.tar.zst.manifest.json").read_text()
    first, second = json.loads(done.out)["runs"]
    about = first["about"]
    assert (about["kind"], about["state"]) == ("Hydra job", "finished")
    assert about["config"] == {"lr": 0.1, "api_key": "<redacted>"}
    assert about["overrides"] == ["lr=0.1"]
    assert about["last_write"] < second["about"]["last_write"] < time.strftime("%Y-%m-%d")
    alone = run(jobs, "--list", "a.tar.zst", "--format", "json", TWO)
    assert json.loads(alone.out)["runs"] == [second]


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        pytest.param([ONE], [ONE], id="path"),
        pytest.param([f"{ONE}/"], [ONE], id="path as completed"),
        pytest.param(["outputs/2025-05-0[12]/*"], [ONE, TWO], id="glob"),
        pytest.param(["--older-than", "50d"], [ONE], id="age"),
        pytest.param(["--before", "2000-01-01"], [], id="none"),
    ],
)
def test_choosing(jobs: Path, arguments: list[str], paths: list[str]) -> None:
    plan = run(jobs, "--dry-run", *arguments, "a.tar.gz")
    assert (plan.code, plan.err) == (0, "")
    done = run(jobs, *arguments, "a.tar.gz")
    assert (done.code, done.err) == (0, "")
    for path in (ONE, TWO, NEW):
        assert (f"10.1 KiB  {path}\n" in plan.out) == (path in paths)
        assert (f"10.1 KiB  {path}\n" in done.out) == (path in paths)
    assert (jobs / "a.tar.gz").exists() == bool(paths)
    if not paths:
        assert done.out.startswith("Nothing was packed: there is no run to pack.")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([".", "--older-than", "1d", "a.tar.gz"], id="between"),
        pytest.param([".", "a.tar.gz", "--older-than", "1d"], id="behind"),
        pytest.param(["--older-than", "1d", "--", ".", "a.tar.gz"], id="two dashes"),
    ],
)
def test_options_stand_anywhere(jobs: Path, arguments: list[str]) -> None:
    assert run(jobs, *arguments).code == 0
    with Archive(os.fsencode(jobs / "a.tar.gz")) as archive:
        assert [packed.path.decode() for packed in archive.manifest.runs] == [ONE, TWO]
    done = run(jobs, ONE, "--list", "a.tar.gz", "--format", "json", TWO)
    assert [each["path"] for each in json.loads(done.out)["runs"]] == [ONE, TWO]


def test_a_name_that_looks_like_an_option(jobs: Path) -> None:
    done = run(jobs, "--older-than", "1d", "--", "--failed.tar.gz")
    assert (done.code, done.err) == (0, "")
    assert (jobs / "--failed.tar.gz").exists()


def test_live_runs_alone(jobs: Path) -> None:
    for options in ((), ("--dry-run",)):
        done = run(jobs, *options, NEW, "a.tar.gz")
        assert done.code == 1
        assert f"  {NEW}: live: " in done.out
    assert not (jobs / "a.tar.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "name an archive: NAME.tar.gz or NAME.tar.zst", id="nothing"),
        pytest.param(["a.zip"], "an archive is called NAME.tar.gz or NAME.tar.zst", id="name"),
        pytest.param(["outputs"], "an archive is called", id="only a run"),
        pytest.param(["b.tar.gz", ONE], "the archive comes last: b.tar.gz", id="as for tar"),
        pytest.param(["--list", "a", "--restore", "b"], "do not go together", id="both"),
        pytest.param(["--format", "json", "a.tar.gz"], "--format goes with --list", id="format"),
        pytest.param(["--list", "no.tar.gz"], "no.tar.gz: cannot be read: No such", id="missing"),
        pytest.param(["--restore", "no.tar.gz"], "cannot be read: No such", id="missing too"),
        pytest.param([f"{ONE}/a.tar.gz"], f"lies in {ONE}, which is to be packed", id="within"),
        pytest.param(["old.tar.gz"], "old.tar.gz: is there already", id="there"),
        pytest.param(["--dry-run", "old.tar.gz"], "old.tar.gz: is there already", id="plan"),
        pytest.param(["nowhere/a.tar.gz"], "nowhere: is not a directory", id="folder"),
        pytest.param(["no-run", "a.tar.gz"], "no-run", id="no such run"),
        pytest.param(["--lis", "a.tar.gz"], "unrecognized arguments: --lis", id="abbreviated"),
    ],
)
def test_what_cannot_be_done(jobs: Path, arguments: list[str], message: str) -> None:
    (jobs / "old.tar.gz").write_bytes(b"precious")
    before = seen(jobs)
    done = run(jobs, *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.splitlines()[-1].startswith("fx-archive-runs: error: ")
    assert seen(jobs) == before


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace of its own")
@pytest.mark.parametrize("plan", [True, False])
def test_a_file_system_that_is_mounted_in_a_run(jobs: Path, plan: bool) -> None:
    (jobs / ONE / "tmp").mkdir()
    arguments = (ONE, TWO, "a.tar.gz", *["--dry-run"] * plan)
    script = f'mount -t tmpfs none "{jobs / ONE}/tmp" || exit 77; exec "$@"'
    done = subprocess.run(
        ("unshare", "-rm", "sh", "-c", script, "sh",
         sys.executable, "-m", "fx_hooks.cli.archive_runs", *arguments),
        cwd=jobs, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(
        "Left out, and still in its place:\n"
        f"  {ONE}: another file system is mounted in it: {ONE}/tmp\n"
    )
    assert f"  {TWO}\n" in done.stdout


def test_what_was_replaced_is_told(jobs: Path, tmp_path: Path) -> None:
    run(jobs, ONE, str(tmp_path / "a.tar.gz"))
    write(jobs / ONE / "notes.txt", "by hand")
    done = run(jobs, "--restore", str(tmp_path / "a.tar.gz"), "--force", "--dry-run")
    assert done.code == 0
    done = run(jobs, "--restore", str(tmp_path / "a.tar.gz"), "--force")
    (kept,) = (jobs / ONE).parent.glob("*.replaced-*")
    assert done == Result(
        0,
        f"Restored 1 run:\n  10.1 KiB  {ONE}\n"
        f"note: {ONE}: what was there is kept as {kept.relative_to(jobs)}: the archive does not"
        " have its notes.txt\n",
        "",
    )
    assert (kept / "notes.txt").read_text() == "by hand"


def test_what_failed_is_packed_before_it_is_synced(states: States, tmp_path: Path) -> None:
    path = os.fsdecode(states.places["failed_wandb"])
    archive = str(tmp_path / "a.tar.gz")
    packed = run(states.root, "--failed", path, archive)
    assert (packed.code, packed.err) == (0, "")
    assert f"  {path}\n" in packed.out
    other = str(tmp_path / "b.tar.gz")
    none = run(states.root, "--failed", "lightning_logs", other)
    assert none.out.startswith("None of these runs says that it failed. Nothing was packed: ")
    assert run(
        states.root, "--failed", "--force", "--before", "1999-01-01", archive
    ).out.startswith("Nothing was packed: ")


@pytest.mark.parametrize("is_ignored", [False, True], ids=["", "with our .gitignore"])
@pytest.mark.parametrize("name", ["old.tar.gz", "kept/old.tar.zst"])
def test_no_hook_lets_an_archive_in(repo: Repo, name: str, is_ignored: bool) -> None:
    repo.stage("README.md", "x\n")
    repo.commit()
    write(repo.root / "outputs/a/.hydra/config.yaml")
    write(repo.root / "kept/data.zip")
    with working_directory(repo.root):
        if is_ignored:
            assert sync_gitignore.main(()) == 1
        assert archive_runs.main(("outputs/a", name)) == 0
        repo.git("add", "-A", "--", ".", ":!outputs")
        staged = {name} if is_ignored else {name, f"{name}.manifest.json"}
        found = run_main(["--format", "json"])
    assert found.code == 1
    refused = json.loads(found.out)["findings"]
    assert {one["path"]: one["rule"] for one in refused} == dict.fromkeys(staged, "run-archives")


@pytest.mark.parametrize(
    ("member", "is_refused"),
    [
        ("outputs/a/.hydra/config.yaml", True),
        (f"{'long/' * 30}.hydra/overrides.yaml", True),
        ("wandb/offline-run-20240101_000000-abc/run-abc.wandb", True),
        ("run-20240101_000000-abc/files/config.yaml", True),
        ("outputs/a/train.log", False),
        ("a.hydra/config.yaml", False),
        ("docs/run-2024.md", False),
    ],
)
@pytest.mark.parametrize("name", ["kept.tar.gz", "kept.tgz"])
def test_an_archive_without_its_manifest(
    repo: Repo, name: str, member: str, is_refused: bool
) -> None:
    with tarfile.open(repo.root / name, "w:gz", format=tarfile.USTAR_FORMAT) as packed:
        packed.addfile(tarfile.TarInfo("first"), io.BytesIO())
        info = tarfile.TarInfo(member)
        info.size = 40_000
        packed.addfile(info, io.BytesIO(os.urandom(info.size)))
    repo.git("add", "-A")
    found = repo.check("--format", "json")
    rules = [one["rule"] for one in json.loads(found.out)["findings"]]
    assert rules == ["run-archives"] * is_refused
    assert repo.check_once().code == is_refused
    for path in (f"tests/data/{name}", f"tests/{name}"):
        repo.stage(path, (repo.root / name).read_bytes())
    repo.git("rm", "-q", "--cached", name)
    assert repo.check_once().code == 0


def test_an_archive_of_ours_without_its_manifest(jobs: Path, repo: Repo, tmp_path: Path) -> None:
    made = tmp_path / "old.tar.gz"
    assert run(jobs, ONE, str(made)).code == 0
    repo.stage("backup.tar.gz", made.read_bytes())
    found = json.loads(repo.check("--format", "json").out)["findings"]
    assert [one["rule"] for one in found] == ["run-archives"]


def test_what_is_no_archive_of_runs(repo: Repo) -> None:
    repo.stage("cut.tar.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + os.urandom(20_000))
    repo.stage("text.gz", gzip.compress(b"outputs/a/.hydra/config.yaml\n" * 9_000))
    assert repo.check_once().code == 0


def test_outside_of_a_repository(tmp_path: Path, jobs: Path) -> None:
    done = run(tmp_path, "a.tar.gz")
    assert (done.code, done.out) == (2, "")
    assert "not in a git repository" in done.err
    # An archive can be read anywhere.
    run(jobs, str(tmp_path / "b.tar.gz"))
    assert run(tmp_path, "--list", "b.tar.gz").code == 0


def test_an_archive_without_runs(tmp_path: Path) -> None:
    from tests.test_run_restore import forge

    forge(tmp_path / "a.tar.gz")
    done = run(tmp_path, "--restore", "a.tar.gz")
    assert done == Result(2, "", "fx-archive-runs: error: a.tar.gz: has no runs\n")
    done = run(tmp_path, "--list", "a.tar.gz")
    assert done.out.startswith("a.tar.gz: 0 runs, packed ")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files on Windows")
def test_times_that_no_calendar_has(jobs: Path) -> None:
    """Some file systems keep them as they are, others take the nearest that they have."""
    with working_directory(jobs):
        found = survey(Repository())
    told = [
        about(found, found.runs[0]._replace(started=years * 365 * 86_400.0))["started"]
        for years in (-3_000_000, -2_000, -100, 100, 9_000, 3_000_000)
    ]
    assert told == [None, None, "1870-01-25T00:00:00Z", "2069-12-07T00:00:00Z", None, None]


def test_odd_files_and_names(jobs: Path) -> None:
    odd = os.fsencode(jobs / ONE) + b"/od\n\xff"
    write(odd, b"x", mtime=1)
    os.mkfifo(jobs / ONE / "pipe")
    old = (time.time() - 60 * DAY,) * 2
    os.utime(jobs / ONE / "pipe", old)
    done = run(jobs, ONE, "a.tar.gz")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == f"note: {ONE}/pipe: holds no data, and is left out"
    with Archive(os.fsencode(jobs / "a.tar.gz")) as archive:
        assert b"od\n\xff" in [entry.path for entry in archive.manifest.runs[0].entries]


def test_what_windows_does_not_allow_is_told(
    jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.symlink("model.pt", jobs / ONE / "best.pt")
    os.utime(jobs / ONE / "best.pt", (1, 1), follow_symlinks=False)
    run(jobs, ONE, "a.tar.gz")

    def symlink(*_: object) -> None:
        raise OSError(1314, "A required privilege is not held by the client")

    monkeypatch.setattr("fx_hooks.runs.archive.restore.WINDOWS", True)
    monkeypatch.setattr(os, "symlink", symlink)
    (tmp_path / "there").mkdir()
    done = run(tmp_path / "there", "--restore", str(jobs / "a.tar.gz"))
    if sys.platform == "win32":
        assert done.code == 1
        assert f"note: {ONE}/best.pt: link to model.pt left out: A required" in done.out


def test_what_is_not_looked_at_is_told(jobs: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    os.symlink(tmp_path / "scratch", jobs / "multirun")
    done = run(jobs, "--dry-run", ONE, "a.tar.gz")
    assert done.code == 0
    assert done.out.startswith(f"note: multirun is a link to {tmp_path}/scratch: runs behind it")


def a_packed_run(**about: object) -> PackedRun:
    return PackedRun(b"multirun/a", about, (), (), 0, 1)


@pytest.mark.parametrize(
    ("about", "lines"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"metrics": {"loss": 1}}, ["loss 1"], id="own"),
        pytest.param(
            {"runs": [{"path": "wandb/x", "metrics": {"loss": 1}}]}, ["loss 1"], id="its only one"
        ),
        pytest.param(
            {
                "metrics": {"loss": 1},
                "runs": [{"path": "wandb/x", "metrics": {"loss": 2}}, {"path": "y"}, 3],
            },
            ["loss 1", "wandb/x: loss 2"],
            id="both",
        ),
        pytest.param(
            {"runs": [{"path": f"multirun/a/{n}", "metrics": {"n": n}} for n in range(12)]},
            [*(f"{n}: n {n}" for n in range(10)), "and 2 more runs"],
            id="a sweep",
        ),
        pytest.param({"runs": "?", "metrics": "?", "kind": 3}, [], id="nonsense"),
    ],
)
def test_results(about: dict[str, object], lines: list[str]) -> None:
    manifest = Manifest("2026", "", (a_packed_run(**about),))
    found = run_listing.listing("a", 1, manifest, manifest.runs, 100)
    assert found[4:] == [f"  {line}" for line in lines]
    assert found[2:4] == ["multirun/a", "  0 B in 0 files"]


# --- what Hydra and W&B really leave -----------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the made runs need links")
def test_real_runs_come_back(states: States, tmp_path: Path) -> None:
    with live_run(states.root, states.home, name="live") as live:
        done = run(states.root, str(tmp_path / "a.tar.zst"))
        assert (done.code, done.err) == (1, "")
        left_out = done.out.partition("Left out, and still in their place:\n")[2].splitlines()
    assert len(left_out) == 2
    for path, line in zip(sorted((live.job, live.wandb)), left_out, strict=True):
        assert line.startswith(f"  {path.decode()}: live: ")
    there = tmp_path / "there"
    there.mkdir()
    assert run(there, "--restore", str(tmp_path / "a.tar.zst")).code == 0
    inner = {"sweep_0", "sweep_1", "chdir_wandb"}
    for name in states.places.keys() - inner:
        assert seen(there / os.fsdecode(states.places[name])) == seen(states.path(name)), name
    link = there / os.fsdecode(states.places["job_wandb"]) / "files/docs/usage.md"
    assert os.path.isabs(os.readlink(link))
    for path in (live.job, live.wandb):
        assert not (there / os.fsdecode(path)).exists()

    listed = run(tmp_path, "--list", "a.tar.zst", "--format", "json")
    runs = {found["path"]: found["about"] for found in json.loads(listed.out)["runs"]}
    about = {name: runs.get(os.fsdecode(path)) for name, path in states.places.items()}
    job, sweep, synced, failed = (about[name] for name in ("job", "sweep", "synced", "failed"))
    assert job is not None
    assert job["config"]["seed"] == job["runs"][0]["config"]["seed"]
    assert job["runs"][0]["path"] == os.fsdecode(states.places["job_wandb"])
    assert job["runs"][0]["metrics"]
    assert sweep is not None
    assert [inner["path"] for inner in sweep["runs"] if inner["kind"] == "Hydra job"] == [
        os.fsdecode(states.places[name]) for name in ("sweep_0", "sweep_1")
    ]
    assert synced is not None
    assert failed is not None
    assert (synced["state"], job["state"]) == ("synced", "unsynced")
    text = run(tmp_path, "--list", "a.tar.zst", os.fsdecode(states.places["sweep"])).out
    assert text.count("loss ") == 2
    assert str(states.home) not in (tmp_path / "a.tar.zst.manifest.json").read_text()


# --- on a terminal -----------------------------------------------------------------------


def on_terminal(folder: Path, *arguments: str, columns: int, **environment: str) -> tuple[int, str]:
    """The exit code and all that a terminal of that width gets."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    command = (sys.executable, "-m", "fx_hooks.cli.archive_runs", *arguments)
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **environment},
    )
    os.close(follower)
    text = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:  # Linux says so where a terminal is closed
            break
        if not data:
            break
        text += data
    os.close(leader)
    return process.wait(), text.decode().replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
@pytest.mark.parametrize("columns", [40, 80])
def test_progress_on_a_terminal(jobs: Path, columns: int) -> None:
    code, text = on_terminal(jobs, ONE, "a.tar.gz", columns=columns)
    assert code == 0
    assert "packing" in text
    assert "verifying" in text
    assert ("KiB" in text.partition("a.tar.gz: ")[0]) == (columns >= 70)  # how much of how much
    code, text = on_terminal(jobs, "--list", "a.tar.gz", columns=columns)
    assert code == 0
    assert all(len(line) <= columns for line in text.splitlines()[2:])
    code, text = on_terminal(jobs, ONE, "b.tar.gz", columns=columns, NO_COLOR="1")
    assert "\x1b[3" not in text


def test_without_rich_there_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with byte_progress.shown_progress() as progress:
        assert progress is None


def test_progress_is_throttled() -> None:
    calls: list[object] = []
    watch = byte_progress.Throttled(lambda *_, **__: 1, lambda *_, **options: calls.append(options))
    for done in range(1000):
        watch("packing", done, 1000)
    watch("packing", 1000, 1000)
    assert 2 <= len(calls) < 10
    assert calls[-1] == {"completed": 1000, "total": 1000}


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        pytest.param(None, "", id="none"),
        pytest.param({"loss": 0.123456, "epoch": 3}, "loss 0.1235, epoch 3", id="plain"),
        pytest.param({"val": {"acc": 1.0}, "_step": 3}, "val.acc 1", id="nested"),
        pytest.param({"ok": True, "name": "x"}, "", id="no numbers"),
        pytest.param({"a": float("inf"), "b": 10**20}, "a inf, b 1e+20", id="odd"),
        pytest.param(
            {str(number): number for number in range(10)},
            "0 0, 1 1, 2 2, 3 3, 4 4, 5 5, 6 6, 7 7, and 2 more",
            id="many",
        ),
    ],
)
def test_figures(metrics: object, text: str) -> None:
    assert run_listing.figures(metrics) == text
