"""``fx-clean-runs``, killed at every step: what goes is in the log, what was not judged is back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from fx_hooks.cli import clean_runs, show_run
from tests.faults import (
    Work,
    demoted,
    give_to_nobody,
    interrupted_at_every_step,
    killed_at_every_step,
    needs_fork,
    run,
)
from tests.run_trees import Seen, seen, write
from tests.support import IS_ROOT, Repo, working_directory

pytestmark = needs_fork

DAY = 86_400
OLD = ("outputs/2025-05-01/12-00-00", "outputs/2025-05-02/12-00-00")
NEW = "outputs/2025-05-03/12-00-00"


def a_job(root: Path, path: str, days: int) -> None:
    then = time.time_ns() - days * DAY * 1_000_000_000
    for name in ("config",):
        write(root / path / f".hydra/{name}.yaml", "a: 1\n", mtime=then)
    write(root / path / "model.pt", os.urandom(3000), mtime=then)
    os.symlink("/nowhere", root / path / "link")
    os.utime(root / path / "link", ns=(then, then), follow_symlinks=False)
    (root / path / "empty").mkdir(mode=0o500)


class IndexCheck:
    """A repository with two old jobs and a new one, which is put back before each fault."""

    def __init__(self, repo: Repo, folder: Path) -> None:
        self.root = repo.root
        self.template = folder / "template"
        a_job(self.template, OLD[0], 60)
        a_job(self.template, OLD[1], 40)
        a_job(self.template, NEW, 0)
        self.expected = {path: seen(self.template / path) for path in (*OLD, NEW)}

    def work(self, *options: str) -> int:
        with working_directory(self.root):
            return clean_runs.main(["--yes", "--older-than", "1d", *options])

    def prepare(self, *options: str) -> Work:
        shutil.rmtree(self.root / "outputs", ignore_errors=True)
        shutil.copytree(self.template / "outputs", self.root / "outputs", symlinks=True)
        (self.root / ".git/fx-hooks.deleted.jsonl").unlink(missing_ok=True)
        return lambda: self.work(*options)

    def in_place(self) -> set[str]:
        """The runs in their places, which have to be whole."""
        found = {path for path in self.expected if (self.root / path).exists()}
        for path in found:
            assert seen(self.root / path) == self.expected[path]
        assert NEW in found
        return found

    def aside(self) -> list[Path]:
        return [path for path in self.root.rglob(".fx-*") if ".git" not in path.parts]

    def whole_aside(self) -> int:
        """How many runs lie aside, whole."""
        runs: list[dict[bytes, Seen]] = [seen(place) for place in self.aside()]
        return sum(found in self.expected.values() for found in runs)

    def finish(self) -> None:
        """Started once more, it does the rest and leaves nothing lying about."""
        done = run(lambda: self.work())
        assert done.code == 0, done
        assert self.in_place() == {NEW}
        assert self.aside() == []


@pytest.fixture
def scene(repo: Repo, tmp_path: Path) -> IndexCheck:
    return IndexCheck(repo, tmp_path)


def log_of(scene: IndexCheck) -> str:
    log = scene.root / ".git/fx-hooks.deleted.jsonl"
    return log.read_text() if log.exists() else ""


@pytest.mark.slow
def test_deleting_killed_at_every_step(scene: IndexCheck) -> None:
    calls = set()
    put_back = 0
    for outcome in killed_at_every_step(scene.prepare):
        calls.add(outcome.call)
        gone = set(OLD) - scene.in_place()
        # What is neither in its place nor whole aside was decided on, and is in the log.
        logged = {path for path in OLD if path in log_of(scene)}
        assert len(gone - logged) <= scene.whole_aside()
        put_back += len(gone - logged)
        scene.finish()
    assert outcome.code == 0
    assert calls >= {"rename", "unlink", "rmdir", "write"}
    assert put_back > 0


@pytest.mark.slow
def test_deleting_interrupted_at_every_step(scene: IndexCheck) -> None:
    for outcome in interrupted_at_every_step(scene.prepare):
        if not outcome.step:
            break
        assert outcome.code == 130, outcome
        begun = [place for place in scene.aside() if place.name.startswith(".fx-gone")]
        # What was not decided on is in its place again, and nothing goes on.
        assert scene.aside() == begun
        assert all(path in log_of(scene) for path in set(OLD) - scene.in_place())
        if begun:
            assert "--yes finishes what was begun" in outcome.err
        scene.finish()
    assert outcome.code == 0


@pytest.mark.slow
def test_a_run_that_nobody_has_judged_yet_is_put_back(scene: IndexCheck) -> None:
    """Killed right after it was put aside, by whoever comes first, and however late."""
    for outcome in killed_at_every_step(scene.prepare):
        if outcome.call == "rename" or not scene.whole_aside():
            continue
        logged = {path for path in OLD if path in log_of(scene)}
        done = run(lambda: scene.work("--keep-last", "2"))  # nothing is to go
        assert done.code in (0, 1), done
        assert scene.in_place() >= {*OLD, NEW} - logged
        if not logged:
            break
    else:
        pytest.fail("no run was aside at any step")


# --- mounts -------------------------------------------------------------------------------


def with_mounts(scene: IndexCheck, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The command after the mounts of a shell *script*, in a namespace of its own.

    ``$root`` is the repository, ``$other`` a folder next to it.
    """
    if sys.platform != "linux":
        pytest.skip("mounts in a namespace of its own")
    other = scene.root.parent / "other"
    other.mkdir(exist_ok=True)
    command = (sys.executable, "-m", "fx_hooks.cli.clean_runs", *options)
    done = subprocess.run(
        ("unshare", "-rm", "sh", "-c", f'{{ {script}; }} || exit 77; cd "$root"; exec "$@"', "sh",
         *command),
        env={**os.environ, "root": str(scene.root), "other": str(other)},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    return done


@pytest.mark.parametrize("with_archive", [False, True])
def test_a_file_system_that_is_read_only(scene: IndexCheck, with_archive: bool) -> None:
    scene.prepare()
    archive = ("--archive", str(scene.root.parent / "a.tar.gz")) if with_archive else ()
    before = seen(scene.root)
    script = 'mount --bind "$root" "$root" && mount -o remount,ro,bind "$root"'
    done = with_mounts(scene, script, "--yes", "--older-than", "1d", *archive)
    assert (done.returncode, done.stderr) == (1, "")
    for path in OLD:
        assert f"  {path}: it cannot be renamed: Read-only file system\n" in done.stdout
    assert "Deleted 0 runs" in done.stdout
    assert seen(scene.root) == before
    if with_archive:
        (scene.root.parent / "a.tar.gz").unlink()
        inside = ("--archive", "a.tar.gz")
        done = with_mounts(scene, script, "--yes", "--older-than", "1d", *inside)
        assert done.returncode == 2
        assert "a.tar.gz: cannot be written: Read-only file system" in done.stderr
        assert seen(scene.root) == before


def test_nothing_behind_a_mount_goes(scene: IndexCheck) -> None:
    """Another file system, and another folder of the same one: in a run, and around one."""
    scene.prepare()
    other = scene.root.parent / "other"
    a_job(other, "12-00-00", 60)
    a_job(other, "deep/precious", 60)
    a_job(scene.root, "outputs/2025-05-04/12-00-00", 60)
    a_job(scene.root, "outputs/2025-05-05/12-00-00", 60)
    (scene.root / OLD[0] / "bound").mkdir()
    (scene.root / OLD[1] / "tmp").mkdir()
    (scene.root / "outputs/2025-05-06").mkdir()
    then = time.time() - 50 * DAY
    for path in (scene.root / OLD[0] / "bound", scene.root / OLD[1] / "tmp"):
        os.utime(path, (then, then))
    before, outside = seen(scene.root / "outputs"), seen(other)
    script = (
        f'mount --bind "$other/deep" "$root/{OLD[0]}/bound"'
        f' && mount -t tmpfs none "$root/{OLD[1]}/tmp"'
        ' && mount --bind "$other" "$root/outputs/2025-05-06"'
        ' && mount --bind "$root/outputs/2025-05-05" "$root/outputs/2025-05-05"'
    )
    done = with_mounts(scene, script, "--yes", ".", "--older-than", "1d")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"  {OLD[0]}: another folder is mounted in it: {OLD[0]}/bound\n" in done.stdout
    assert f"  {OLD[1]}: another file system is mounted in it: {OLD[1]}/tmp\n" in done.stdout
    for day in ("05", "06"):
        line = f"  outputs/2025-05-{day}/12-00-00: another folder is mounted around it: "
        assert f"{line}outputs/2025-05-{day}\n" in done.stdout
    assert seen(other) == outside
    gone = {path for path in before if path.startswith(b"2025-05-04")}
    assert seen(scene.root / "outputs").keys() == before.keys() - gone


# --- permissions --------------------------------------------------------------------------


@pytest.mark.skipif(not IS_ROOT, reason="needs another user")
def test_permission_denied(scene: IndexCheck) -> None:
    """What somebody else made stays, whole and named; our own goes, however closed it is."""
    # It imports as it goes, and the other user may not be able to read what is installed here.
    assert scene.prepare()() == 0
    scene.prepare()
    foreign = [f"outputs/2025-05-0{day}/12-00-00" for day in (4, 5, 6)]
    for path in foreign:
        a_job(scene.root, path, 60)
    closed = scene.root / OLD[0]
    closed.chmod(0o555)
    give_to_nobody(scene.root.parent)
    unread = scene.root / foreign[0] / "empty"
    inner = scene.root / foreign[1] / ".hydra"
    day = scene.root / os.path.dirname(foreign[2])
    for place in (unread, inner, day):
        os.chown(place, 0, 0)
    unread.chmod(0o700)
    before = seen(scene.root)
    whole = {path: seen(scene.root / path) for path in foreign}
    done = demoted(lambda: scene.work())
    assert (done.code, done.err) == (1, "")
    for path, reason in zip(
        foreign,
        (
            f"{foreign[0]}/empty cannot be read: Permission denied",
            ".hydra belongs to another user: what is in it cannot be deleted",
            "it cannot be renamed: Permission denied",
        ),
        strict=True,
    ):
        assert f"  {path}: {reason}\n" in done.out
    after = seen(scene.root)
    gone = {os.path.dirname(path).encode() for path in OLD}
    assert {path.split(b"/12-00-00")[0] for path in before.keys() - after.keys()} == gone
    assert {path: seen(scene.root / path) for path in foreign} == whole


@pytest.mark.skipif(not IS_ROOT, reason="needs another user")
def test_what_cannot_be_looked_into_is_told(scene: IndexCheck) -> None:
    assert scene.prepare()() == 0  # it imports as it goes
    scene.prepare()
    give_to_nobody(scene.root.parent)
    day = scene.root / os.path.dirname(OLD[0])
    place = day / ".fx-aside-12-00-00.0123abcd"
    (scene.root / OLD[0]).rename(place)
    day.chmod(0)
    os.chown(day, 0, 0)

    def work(main: Callable[[Sequence[str]], int], *arguments: str) -> Work:
        def in_root() -> int:
            with working_directory(scene.root):
                return main(arguments)

        return in_root

    undone = demoted(work(clean_runs.main, "--undo"))
    name = os.path.relpath(day, scene.root)
    assert (undone.code, undone.out) == (
        1,
        f"note: {name} cannot be looked into: Permission denied\n"
        "Nothing was left aside, as far as that can be seen.\n",
    )
    shown = demoted(work(show_run.main, OLD[0]))
    assert shown.code == 2
    assert shown.err.endswith(
        f". But {name} cannot be read, and there may be runs in it: Permission denied\n"
    )
    assert place.exists()


def test_a_run_that_is_a_link_to_the_home_folder(scene: IndexCheck, home: Path) -> None:
    scene.prepare()
    a_job(home, "precious", 60)
    a_job(home, "outputs/precious", 60)
    os.symlink(home / "precious", scene.root / "outputs/link")
    os.symlink(home / "outputs", scene.root / "multirun")
    os.symlink(home, scene.root / OLD[0] / "home")
    os.utime(scene.root / OLD[0] / "home", (1e9, 1e9), follow_symlinks=False)
    before = seen(home)
    for name in ("outputs/link", "multirun/precious"):
        done = run(partial(scene.work, name))
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"fx-clean-runs: error: {name}: ")
    done = run(lambda: scene.work())
    assert (done.code, done.err) == (0, "")
    assert not (scene.root / OLD[0]).exists()
    assert (scene.root / "outputs/link").is_symlink()
    assert seen(home) == before
