"""``fx-clean-runs``, killed at every step: what goes is in the log, what was not judged is back."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from fx_hooks.tools import clean_runs
from tests.faults import (
    Work,
    killed_at_every_step,
    needs_fork,
    run,
)
from tests.run_trees import Seen, seen, write
from tests.support import Repo, working_directory

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


class Scene:
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
def scene(repo: Repo, tmp_path: Path) -> Scene:
    return Scene(repo, tmp_path)


def log_of(scene: Scene) -> str:
    log = scene.root / ".git/fx-hooks.deleted.jsonl"
    return log.read_text() if log.exists() else ""


def test_deleting_killed_at_every_step(scene: Scene) -> None:
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


def test_a_run_that_nobody_has_judged_yet_is_put_back(scene: Scene) -> None:
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
