"""Make a work tree as real runs leave it: the toy project, run with the real Hydra and W&B."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "project"
WEIGHTS = HERE.parent / "data" / "weights"

# these runs all go to `outputs/DATE/TIME/`, so they take turns
DATED_RUNS = ((), ("hydra.job.chdir=true",), ("hydra.output_subdir=null",))
OTHER_RUNS = (("-m", "seed=1,2"), ("hydra.run.dir=experiments/first",))
ROOT_RUN = ("hydra.run.dir=.",)


def make_runs(target: Path, *, python: str = sys.executable, in_root: bool = False) -> None:
    """Copy the project to `target`, which may exist, and run it there in several ways.

    `python` needs hydra-core and wandb. Nothing leaves the machine. What the tools keep in the home
    folder goes to `TARGET-home`, beside the target. With `in_root`, one more run writes straight
    into the root of the project.
    """
    shutil.copytree(
        PROJECT, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    env = environment(home=target.parent / f"{target.name}-home")

    def run(args: Sequence[str]) -> None:
        command = (python, "train.py", *args)
        done = subprocess.run(
            command, cwd=target, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            output = done.stdout.decode(errors="replace")
            raise RuntimeError(f"{command} exited with {done.returncode}:\n{output}")

    def run_dated() -> None:
        for args in DATED_RUNS:
            _wait_for_a_new_second(target / "outputs")
            run(args)

    def run_others() -> None:
        for args in (*OTHER_RUNS, ROOT_RUN) if in_root else OTHER_RUNS:
            run(args)

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(run_dated), pool.submit(run_others)]:
            future.result()


def expected(target: Path) -> tuple[set[str], set[str]]:
    """Return the paths of all (artifacts, legitimate) files and symlinks in a made tree.

    No policy decides this: what the template holds is legitimate, all else came from the runs. The
    folder `.git` of the target counts as neither.
    """
    legitimate = {path for path in _files(PROJECT) if "__pycache__" not in path.split("/")}
    return _files(target) - legitimate, legitimate


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the runs: offline, and with a home of their own."""
    foreign = ("GIT_", "HYDRA_", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "WANDB_", "XDG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    folders = {
        "HOME": home,
        "WANDB_CACHE_DIR": home / "cache",
        "WANDB_CONFIG_DIR": home / "config",
        "WANDB_DATA_DIR": home / "data",
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        env[name] = str(folder)
    env["TOY_WEIGHTS"] = str(WEIGHTS)
    env["WANDB_ERROR_REPORTING"] = "false"
    env["WANDB_MODE"] = "offline"
    env["WANDB_SILENT"] = "true"
    return env


def _wait_for_a_new_second(outputs: Path) -> None:
    """Wait until Hydra's next `outputs/DATE/TIME/` is another one than the last."""
    last = max((path.relative_to(outputs).as_posix() for path in outputs.glob("*/*")), default="")
    while time.strftime("%Y-%m-%d/%H-%M-%S") <= last:
        time.sleep(0.05)


def _files(root: Path) -> set[str]:
    """Return the paths of all files and symlinks below `root`, but not of what is in `.git`."""
    found = set()
    for folder, folders, files in os.walk(root):
        if folder == str(root) and ".git" in folders:
            folders.remove(".git")
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found |= {Path(folder, name).relative_to(root).as_posix() for name in (*files, *links)}
    return found
