"""Cleaners, a trainer, git and whoever chooses models, in any order, with SIGKILL at any step.

After each step every run is whole in its place, or whole and aside, or whole in an archive, or it
was one that may go: it had ended, nothing was in it that anybody needs, and what W&B knows of it
is at W&B.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fx_hooks.cli import add_milestone, archive_runs, clean_runs
from tests.faults import Work, killed, needs_fork, run
from tests.run_trees import DAY, Seen, mark_as_synced, seen, write
from tests.support import working_directory
from tests.wandb_records import ended_with, field, log

JOBS = [f"outputs/2026-01-0{number}/10-00-00" for number in range(1, 6)]
PLAIN, SYNCED, UNSYNCED, NOTES = "plain", "synced", "unsynced", "notes"
CHANCE = st.randoms(use_true_random=False)


class Runs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp(prefix="fx-states-"))
        self.root = self.top / "repo"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        write(self.root / ".gitignore", "outputs\nwandb\n*.pt\n*.tar.gz\n")
        self.git("add", ".gitignore")
        self.git("commit", "-qm", "i")
        self.expected: dict[str, dict[bytes, Seen]] = {}
        self.kinds: dict[str, str] = {}
        self.chosen: set[str] = set()
        self.could_go: set[str] = set()
        self.archives = 0
        self.commits = 0

    def teardown(self) -> None:
        shutil.rmtree(self.top, ignore_errors=True)

    def git(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            ("git", *arguments), cwd=self.root, capture_output=True, text=True, check=False
        )
        assert done.returncode in codes, (arguments, done.stderr)
        return done.stdout

    def there(self) -> list[str]:
        return [path for path in self.kinds if (self.root / path).exists()]

    def look(self) -> None:
        """Take the runs as they are: whoever has changed them is not a program of ours."""
        for path in self.there():
            self.expected[path] = seen(self.root / path)

    def may_go(self, path: str, *, archived: bool = False) -> bool:
        """Say so by what was done here, not by what the program says."""
        kind = self.kinds[path]
        newest = max(one.mtime for one in self.expected[path].values() if one.type == stat.S_IFREG)
        return (
            kind != UNSYNCED
            and (kind != NOTES or archived)
            and newest < time.time_ns() - 3_600_000_000_000
            and path not in self.chosen
            and not self.git("ls-files", "--", path)
        )

    def work(self, *arguments: str) -> Work:
        def command() -> int:
            with working_directory(self.root):
                return clean_runs.main(arguments)

        return command

    @contextlib.contextmanager
    def cleaning(self, *, archived: bool = False) -> Iterator[None]:
        """Let those go that may go now; those that are in their place later have to stay whole."""
        self.could_go |= {path for path in self.there() if self.may_go(path, archived=archived)}
        yield
        self.could_go.difference_update(self.there())

    # What people and their programs do.

    @precondition(lambda self: len(self.kinds) < len(JOBS))
    @rule(kind=st.sampled_from([PLAIN, PLAIN, SYNCED, UNSYNCED, NOTES]))
    def make(self, kind: str) -> None:
        path = JOBS[len(self.kinds)]
        then = time.time_ns() - 40 * DAY
        write(self.root / path / ".hydra" / "config.yaml", "lr: 0.1\n", mtime=then)
        write(self.root / path / "train.log", "epoch 1\n", mtime=then)
        weights = os.urandom(64)
        head = json.dumps({"w": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}).encode()
        head += b" " * (-len(head) % 8)
        content = struct.pack("<Q", len(head)) + head + weights
        write(self.root / path / "model.safetensors", content, mtime=then)
        if kind == NOTES:
            write(self.root / path / "notes.md", "by hand\n", mtime=then)
        if kind in (SYNCED, UNSYNCED):
            place = self.root / path / "wandb" / f"offline-run-20260101_100000-r{len(self.kinds)}"
            name = f"run-r{len(self.kinds)}"
            record = log(field(17, field(1, name[4:])), ended_with(0))
            write(place / f"{name}.wandb", record, mtime=then)
            if kind == SYNCED:
                mark_as_synced(place, self.root, mtime=then + 60_000_000_000)
        self.kinds[path] = kind
        self.look()

    @precondition(lambda self: self.there())
    @rule(chance=CHANCE, name=st.sampled_from(["train.log", "new.ckpt"]))
    def train(self, chance: object, name: str) -> None:
        path = self.one(chance)
        with (self.root / path / name).open("a") as file:
            file.write("more\n")
        self.look()

    @precondition(lambda self: self.there())
    @rule(chance=CHANCE)
    def wait(self, chance: object) -> None:
        """Let a month go by."""
        path = self.one(chance)
        for folder, folders, files in os.walk(self.root / path, topdown=False):
            for name in (*files, *folders):
                then = time.time_ns() - 30 * DAY
                os.utime(os.path.join(folder, name), ns=(then, then))
        self.look()

    @precondition(lambda self: self.there())
    @rule(chance=CHANCE)
    def add(self, chance: object) -> None:
        self.git("add", "-f", f"{self.one(chance)}/train.log", codes=(0, 128))

    @rule(
        how=st.sampled_from(
            [
                ("commit", "-qam", "c"), ("stash", "-q"), ("stash", "pop", "-q"),
                ("switch", "-q", "-c", "other"), ("switch", "-q", "main"), ("reset", "-q"),
                ("tag", "-f", "t"), ("worktree", "add", "-q", "../other", "HEAD"),
            ]
        )
    )  # fmt: skip
    def git_does(self, how: tuple[str, ...]) -> None:
        self.git(*how, codes=(0, 1, 128, 255))
        self.look()

    @precondition(lambda self: self.there())
    @rule(chance=CHANCE, staged=st.booleans())
    def choose(self, chance: object, staged: bool) -> None:
        path = self.one(chance)
        if path in self.chosen:
            return
        if run(self.chooses(path)).code == 0:
            self.chosen.add(path)
            if staged:
                self.git("add", "-f", "best_models")
        self.look()

    def chooses(self, path: str) -> Work:
        options = ("--as", f"m{JOBS.index(path)}", "--why", "w", "--metric", "a=1")

        def command() -> int:
            with working_directory(self.root):
                return add_milestone.main([f"{path}/model.safetensors", *options])

        return command

    def one(self, chance: object) -> str:
        return chance.choice(self.there())  # type: ignore[attr-defined, no-any-return]

    # What our programs do.

    @rule(step=st.integers(1, 260), chosen=st.sampled_from([".", "outputs", "*"]))
    def clean(self, step: int, chosen: str) -> None:
        """With SIGKILL in it, unless it is done before."""
        with self.cleaning():
            outcome = killed(self.work("--yes", chosen), step)
        assert "Traceback" not in outcome.err

    @rule()
    def clean_to_the_end(self) -> None:
        with self.cleaning():
            outcome = run(self.work("--yes", "."))
        assert outcome.code in (0, 1), outcome

    @rule(number=st.integers(1, 2))
    def clean_at_once(self, number: int) -> None:
        """Two at a time, or one while somebody chooses a model."""
        command = (sys.executable, "-m", "fx_hooks.cli.clean_runs", "--yes", ".")
        with self.cleaning():
            processes = [
                subprocess.Popen(
                    command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                for _ in range(number)
            ]
            path = self.there()[-1] if number == 1 and self.there() else None
            if path is not None and path not in self.chosen and run(self.chooses(path)).code == 0:
                self.chosen.add(path)
            for process in processes:
                _, err = process.communicate()
                assert b"Traceback" not in err
        # Who was told that the model is approved has its run.
        assert path not in self.chosen or (self.root / path).exists()

    @rule(step=st.integers(1, 400))
    def clean_into_an_archive(self, step: int) -> None:
        self.archives += 1
        target = str(self.top / f"{self.archives}.tar.gz")
        with self.cleaning(archived=True):
            killed(self.work("--yes", "--archive", target, "."), step)

    @rule()
    def archive(self) -> None:
        self.archives += 1
        target = str(self.top / f"{self.archives}.tar.gz")

        def command() -> int:
            with working_directory(self.root):
                return archive_runs.main(["--older-than", "1d", target])

        run(command)

    @rule()
    def undo(self) -> None:
        outcome = run(self.work("--undo"))
        assert outcome.code in (0, 1), outcome

    @invariant()
    def nothing_is_lost(self) -> None:
        aside = [
            seen(os.path.join(folder, name))
            for folder, folders, _ in os.walk(self.root)
            for name in folders
            if name.startswith(".fx-")
        ]
        for path, content in self.expected.items():
            if (self.root / path).exists():
                assert seen(self.root / path) == content, path
            elif content not in aside and path not in self.could_go:
                assert self.is_archived(content), path

    def is_archived(self, content: dict[bytes, Seen]) -> bool:
        """Return True if all files of a run are in one archive."""
        wanted = {one.content for one in content.values() if one.type == stat.S_IFREG}
        for number in range(1, self.archives + 1):
            place = self.top / f"{number}.tar.gz"
            if place.exists():
                with tarfile.open(place) as archive:
                    found = set()
                    for member in archive:
                        file = archive.extractfile(member)
                        if file is not None:
                            digest = hashlib.sha256(file.read()).hexdigest()
                            found.add(f"{member.size} {digest}")
                if wanted <= found:
                    return True
        return False


@pytest.fixture(autouse=True)
def quiet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.delenv("WANDB_DIR", raising=False)


@needs_fork
@pytest.mark.slow
def test_no_order_of_events_loses_a_run() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Runs,
        settings=settings(
            max_examples=int(os.environ.get("FX_HOOKS_STATES", "12")),
            stateful_step_count=12,
            deadline=None,
            # To make an example shorter would take an hour.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
