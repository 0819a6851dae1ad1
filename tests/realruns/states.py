"""A repository with a real run of every state, all made by the real Hydra and W&B.

Each run has a name here, and *its* age: the clock of its process is put back, and so are
the times of its files afterwards. Nothing leaves the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.realruns.cloud import REFUSED, cloud
from tests.realruns.make import PROJECT, WEIGHTS, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAY = 86_400
# How many days ago each run was made.
AGES = {
    "job": 40,
    "chdir": 35,
    "sweep": 30,
    "synced": 25,
    "failed": 20,
    "killed": 15,
    "online": 12,
    "online_failed": 11,
    "online_killed": 10,
    "online_refused": 9,
    "custom": 8,
    "bare": 7,
    "chosen": 5,
}
# W&B's names and file times follow `time.time`; `${now:}` does not, so Hydra's folders are named.
_CLOCK = """\
import os, time
if "TOY_SECONDS_AGO" in os.environ:
    time.time = lambda now=time.time, ago=float(os.environ["TOY_SECONDS_AGO"]): now() - ago
"""
# A repository that sends its runs elsewhere; `bare` ones have nothing else that says so.
_CUSTOM = """\
defaults: [config, _self_]
hydra:
  run:
    dir: experiments/${now:%Y}/${hydra.job.name}_${seed}
"""
_TIMEOUT = 60


FAILED = ("failed", "online_failed", "online_refused")
KILLED = ("killed", "online_killed")


def run_id(name: str) -> str:
    """W&B's ID of the run of that name; those of a sweep are chance."""
    return REFUSED if name == "online_refused" else name.replace("_", "")


class States(NamedTuple):
    """The repository at *root*; ``places`` has each run's path, relative to it.

    A Hydra job is called like its key in :data:`AGES`, its W&B run ``NAME_wandb``.
    ``home`` is what the runs had for a home folder.
    """

    root: Path
    home: Path
    places: Mapping[str, bytes]

    def path(self, name: str) -> Path:
        return self.root / os.fsdecode(self.places[name])

    def to_json(self) -> str:
        return json.dumps({name: os.fsdecode(path) for name, path in self.places.items()})

    @classmethod
    def from_json(cls, target: Path, text: str) -> States:
        """What was made in *target*."""
        places = json.loads(text)
        if "error" in places:
            raise RuntimeError(f"the runs could not be made: {places['error']}")
        found = {name: os.fsencode(path) for name, path in places.items()}
        return cls(target / "work", target / "work-home", found)

    def copy(self, target: Path) -> States:
        """The same in *target*: links stay links, times stay. Absolute paths do not follow."""
        root, home = target / "work", target / "work-home"
        shutil.copytree(self.root, root, symlinks=True)
        shutil.copytree(self.home, home, symlinks=True)
        return States(root, home, self.places)


class LiveRun(NamedTuple):
    """A run in another process: its Hydra job and its W&B run, relative to the root."""

    job: bytes
    wandb: bytes
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """SIGKILL for all of it, as the kernel out of memory or a cluster's scheduler does."""
        if os.name == "nt":
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def make_states(target: Path, python: str = sys.executable) -> States:
    """Make the repository ``target/work``; *target* is empty. Takes a few seconds."""
    root, home = target / "work", target / "work-home"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "config" / "custom.yaml").write_text(_CUSTOM)
    (target / "clock").mkdir()
    (target / "clock" / "sitecustomize.py").write_text(_CLOCK)
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", "The project")
    with cloud() as online, ThreadPoolExecutor(3) as pool:
        maker = _Maker(root, home, target / "clock", python, online)
        for future in [pool.submit(maker.make, name) for name in AGES]:
            future.result()
    maker.move_times()
    maker.write_lightning()
    maker.choose()
    return States(root, home, maker.places())


@contextmanager
def live_run(
    root: Path, home: Path, *overrides: str, name: str = "live", python: str = sys.executable
) -> Iterator[LiveRun]:
    """A run that is under way in *root* as long as the context lasts, unless it is killed.

    Its job is ``outputs/live/NAME``. At the end it finishes like any other.
    """
    hold = home / f"hold-{name}"
    hold.parent.mkdir(parents=True, exist_ok=True)
    hold.touch()
    job = f"outputs/live/{name}"
    process = _start(
        root,
        {**environment(home), "WANDB_RUN_ID": name, "TOY_HOLD": str(hold)},
        (python, "train.py", f"hydra.run.dir={job}", *overrides),
    )
    try:
        _wait_until(root, job, process)
        (run,) = root.glob(f"**/offline-run-*-{name}")
        yield LiveRun(job.encode(), run.relative_to(root).as_posix().encode(), process)
    finally:
        hold.unlink()
        _ended(process)


def _wait_until(root: Path, job: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the last step of a held run is in its log."""
    end = time.monotonic() + _TIMEOUT
    log = root / job / "train.log"
    while not (log.exists() and b"step 2" in log.read_bytes()):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{job} does not run:\n{_ended(process)}")
        time.sleep(0.02)


class _Maker:
    def __init__(
        self, root: Path, home: Path, clock: Path, python: str, online: Mapping[str, str]
    ) -> None:
        self.root = root
        self.home = home
        self.python = python
        self.clock = clock
        self.online = dict(online)
        self.now = time.time()

    def make(self, name: str) -> None:
        """Run the project as *name* says; how it has to end is checked."""
        environ = {
            **environment(self.home),
            "PYTHONPATH": str(self.clock),
            "TOY_SECONDS_AGO": str(AGES[name] * DAY),
        }
        if name != "sweep":
            environ["WANDB_RUN_ID"] = run_id(name)
        if name.startswith("online"):
            environ |= self.online
        options: tuple[str, ...] = (f"hydra.run.dir={self.job(name)}",)
        if name == "sweep":
            options = ("-m", "seed=1,2", f"hydra.sweep.dir={self.job(name)}")
        elif name == "chdir":
            options += ("hydra.job.chdir=true",)
        elif name in ("failed", "online_failed"):
            options += ("model.slope=steep",)  # a text cannot be multiplied
        elif name in ("custom", "bare"):
            options = ("--config-name=custom", f"seed={AGES[name]}")
        if name == "bare":
            options += ("hydra.output_subdir=null",)
        if name == "job":
            environ["TOY_SAVE"] = str(self.root / "docs" / "usage.md")
        if name in KILLED:
            environ["TOY_HOLD"] = __file__
        process = _start(self.root, environ, (self.python, "train.py", *options))
        if name in KILLED:
            _wait_until(self.root, self.job(name), process)
            LiveRun(b"", b"", process).kill()
        output = _ended(process)
        if (process.returncode == 0) == (name in FAILED or name in KILLED):
            raise RuntimeError(f"{name} exited with {process.returncode}:\n{output}")
        if name == "synced":
            (run,) = self.wandb(name)
            command = (self.python, "-m", "wandb", "sync", str(run))
            _run(command, self.root, environ | self.online)

    def job(self, name: str) -> str:
        if name in ("custom", "bare"):
            return time.strftime(f"experiments/%Y/train_{AGES[name]}")
        folder = "multirun" if name == "sweep" else "outputs"
        made = datetime.fromtimestamp(self.now - AGES[name] * DAY)
        return made.strftime(f"{folder}/%Y-%m-%d/%H-%M-%S")

    def wandb(self, name: str) -> list[Path]:
        """The W&B runs of a job, in the order in which they were made.

        A folder's name says no more than the second, in which a sweep begins two of them.
        """
        if name != "sweep":
            return list(self.root.glob(f"**/*run-*-{run_id(name)}"))
        runs = self.root.glob("wandb/offline-run-*")
        others = {run_id(name) for name in AGES}
        found = [run for run in runs if run.name.rpartition("-")[2] not in others]
        return sorted(found, key=lambda run: next(run.glob("*.wandb")).stat().st_mtime_ns)

    def move_times(self) -> None:
        for name, days in AGES.items():
            job = self.root / self.job(name)
            for place in (job, *self.wandb(name)):
                if place == job or job not in place.parents:
                    _age(place, days * DAY)

    def write_lightning(self) -> None:
        """What Lightning's default logger and checkpoints leave, by structure."""
        for version, days in enumerate((50, 45)):
            folder = self.root / "lightning_logs" / f"version_{version}"
            (folder / "checkpoints").mkdir(parents=True)
            shutil.copy(WEIGHTS / "lightning.ckpt", folder / "checkpoints" / "epoch=0-step=10.ckpt")
            (folder / "hparams.yaml").write_text("lr: 0.05\n")
            made = int(self.now) - days * DAY
            (folder / f"events.out.tfevents.{made}.host.4711.0").write_bytes(b"\x18\0\0\0\0\0\0\0")
            _age(folder, days * DAY)

    def choose(self) -> None:
        """Approve the model of one run, and commit it.

        It is its own: what the others write is all alike, and would all be chosen.
        """
        model = self.root / self.job("chosen") / "model.pt"
        times = model.stat()
        shutil.copyfile(WEIGHTS / "legacy_state_dict.pth", model)
        os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
        command = (
            self.python, "-m", "fx_hooks.cli.add_milestone", f"{self.job('chosen')}/model.pt",
            "--as", "baseline", "--why", "the model of the paper",
        )  # fmt: skip
        _run(command, self.root, {**os.environ, **_GIT})
        _git(self.root, "add", "-f", "best_models")
        _git(self.root, "commit", "-q", "-m", "Approve the baseline")

    def places(self) -> dict[str, bytes]:
        found = {name: Path(self.job(name)) for name in AGES}
        for name in AGES:
            for number, run in enumerate(self.wandb(name)):
                key = f"{name}_wandb" + f"_{number}" * (name == "sweep")
                found[key] = run.relative_to(self.root)
        for number in (0, 1):
            found[f"sweep_{number}"] = found["sweep"] / str(number)
            found[f"lightning_{number}"] = Path("lightning_logs", f"version_{number}")
        return {name: path.as_posix().encode() for name, path in found.items()}


_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
}


def _git(root: Path, *arguments: str) -> None:
    foreign = {name for name in os.environ if name.startswith("GIT_")}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    _run(("git", *arguments), root, {**kept, **_GIT})


def _run(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise RuntimeError(f"{command} exited with {done.returncode}:\n{done.stdout.decode()}")


def _start(
    root: Path, environ: Mapping[str, str], command: Sequence[str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=os.name != "nt",
    )


def _ended(process: subprocess.Popen[bytes]) -> str:
    try:
        output, _ = process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return output.decode(errors="replace")


def _age(place: Path, seconds: float) -> None:
    """Put the times of *place* and of all in it back; links themselves, too."""
    for folder, folders, files in os.walk(place, topdown=False):
        for name in (*files, *folders):
            _put_back(Path(folder, name), seconds)
    _put_back(place, seconds)


def _put_back(path: Path, seconds: float) -> None:
    found = path.lstat()
    follow = os.utime not in os.supports_follow_symlinks
    if follow and path.is_symlink():
        return
    shift = int(seconds * 1e9)
    times = (found.st_atime_ns - shift, found.st_mtime_ns - shift)
    os.utime(path, ns=times, follow_symlinks=follow)
