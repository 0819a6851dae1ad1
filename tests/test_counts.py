"""What a command starts, imports and asks the system for: counts, which no busy machine changes.

How long it takes is for the benchmarks to say. A limit here is what is needed now; who needs more
says why in the same commit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.contract_support import META, METADATA, approve
from tests.support import SCRIPT, Repo, git_version

RUN = "wandb/run-20240101_000000-abcdefgh"
# What takes milliseconds to import, and what no such commit has to do.
HEAVY = frozenset({
    "argparse", "dataclasses", "difflib", "inspect", "json", "logging", "pathspec", "pathlib",
    "re", "shutil", "subprocess", "tempfile", "threading", "yaml",
    "fx_hooks.policy.loader", "fx_hooks.weights.pickles",
})  # fmt: skip


IMPORT = """
import sys
for name in sys.argv[1:]:
    try:
        __import__(name)
    except ImportError:
        pass
"""


class Counts(NamedTuple):
    """Calls of git, modules of ours, and system calls beyond those of imports."""

    git: int
    modules: int
    system: int


def environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "COV_", "PYTHON"))
    }


def run(*command: str, cwd: Path, code: int, path: str = "") -> str:
    variables = environment()
    variables["PATH"] = path + variables["PATH"]
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def modules(*command: str, cwd: Path, code: int = 0) -> set[str]:
    said = run(sys.executable, "-X", "importtime", *command, cwd=cwd, code=code)
    return set(re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", said, re.M))


def git_calls(*command: str, cwd: Path, code: int, base: Path) -> list[str]:
    """Return the calls of git, by a git of our own in front of the real one."""
    real = shutil.which("git")
    (base / "bin").mkdir(exist_ok=True)
    log, own = base / "calls", base / "bin" / "git"
    log.write_text("")
    own.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{real}" "$@"\n')
    own.chmod(0o755)
    run(*command, cwd=cwd, code=code, path=f"{own.parent}{os.pathsep}")
    return log.read_text().splitlines()


def system_calls(*command: str, cwd: Path, code: int = 0, base: Path) -> int:
    """Return how often all processes of *command* ask the system for something; 0 if unknown."""
    log = base / "strace"
    watched = ("strace", "-f", "-q", "-c", "-U", "calls,name", "-o", str(log), *command)
    if (
        shutil.which("strace") is None
        or subprocess.run(("strace", "-o", "/dev/null", "true"), capture_output=True).returncode
    ):
        return 0
    run(*watched, cwd=cwd, code=code)
    return sum(int(line.split()[0]) for line in log.read_text().splitlines()
               if re.match(r" *\d+ (?!total)", line))  # fmt: skip


def clean(repo: Repo) -> tuple[str, ...]:
    repo.stage("src/model.py", "x = 1\n")
    return "check_artifacts", "--", "src/model.py"


def many(repo: Repo) -> tuple[str, ...]:
    names = [f"src/pkg_{number % 7}/module_{number}.py" for number in range(200)]
    for name in names:
        repo.write(name, "x = 1\n")
    repo.stage_all()
    return "check_artifacts", "--", *names


def in_project(repo: Repo) -> tuple[str, ...]:
    repo.stage(".fx-hooks.yaml", "projects: [packages/*, 'libs/*/m?']\n")
    repo.stage("packages/one/.fx-hooks.yaml", "ignore: ['/data/*/raw/*.bin']\n")
    names = ["packages/one/src/train.py", "packages/one/data/1/raw/a.csv", "libs/two/ml/a.py"]
    for name in names:
        repo.stage(name, "x = 1\n")
    return "check_artifacts", "--", *names


def refused(repo: Repo) -> tuple[str, ...]:
    names = [f"{RUN}/{name}" for name in ("files/config.yaml", "files/output.log", "run-a.wandb")]
    for name in names:
        repo.stage(name, "a: 1\n")
    return "check_artifacts", "--", *names


def explained(repo: Repo) -> tuple[str, ...]:
    return "cli.explain", refused(repo)[2]


def metadata(repo: Repo) -> tuple[str, ...]:
    approve(repo)
    repo.commit()
    repo.stage(METADATA, META + " ")
    return ("check_best_models",)


def clean_range(repo: Repo) -> tuple[str, ...]:
    for number in range(3):
        repo.stage(f"src/model_{number}.py", f"x = {number}\n")
        repo.commit()
    return "check_range", "HEAD~2..HEAD"


def refused_range(repo: Repo) -> tuple[str, ...]:
    refused(repo)
    repo.commit()
    return "check_range", "HEAD~1..HEAD"


START = """
import sys
from fx_hooks.{} import main
sys.exit(main())
"""
NEEDED: dict[Callable[[Repo], tuple[str, ...]], set[str]] = {
    # typing imports re
    refused: {"re"},
    explained: {"re"},
    metadata: {"json", "re"},
    refused_range: {"argparse", "json", "re", "shutil", "tempfile"},
}
# Each start of git by posix_spawn asks the system for what each of 64 signals does.
SCENES = [
    pytest.param(clean, 0, Counts(git=0, modules=11, system=160), id="clean"),
    pytest.param(many, 0, Counts(git=0, modules=11, system=240), id="many-names"),
    pytest.param(in_project, 0, Counts(git=0, modules=12, system=210), id="in-project"),
    pytest.param(refused, 1, Counts(git=4, modules=62, system=1780), id="refused"),
    pytest.param(explained, 0, Counts(git=3, modules=53, system=1200), id="explained"),
    pytest.param(metadata, 0, Counts(git=5, modules=63, system=1980), id="metadata"),
    pytest.param(clean_range, 0, Counts(git=2, modules=12, system=1050), id="clean-range"),
    pytest.param(refused_range, 1, Counts(git=23, modules=84, system=9000), id="refused-range"),
]


@pytest.mark.skipif(sys.platform == "win32", reason="git is a script of ours")
@pytest.mark.parametrize(("scene", "code", "most"), SCENES)
def test_counts(
    repo: Repo, tmp_path: Path, scene: Callable[[Repo], tuple[str, ...]], code: int, most: Counts
) -> None:
    module, *arguments = scene(repo)
    # Not by the installed script, which some versions of pip let import more.
    command = ("-c", START.format(module), *arguments)
    for _ in range(2):  # leaves tables behind
        subprocess.run(SCRIPT, cwd=repo.root, env=environment(), capture_output=True)
        run(sys.executable, *command, cwd=repo.root, code=code)
    bare = modules("-c", "pass", cwd=repo.root)
    found = modules(*command, cwd=repo.root, code=code) - bare
    assert found & HEAVY - bare <= NEEDED.get(scene, set())
    calls = git_calls(sys.executable, *command, cwd=repo.root, code=code, base=tmp_path)
    system = system_calls(sys.executable, *command, cwd=repo.root, code=code, base=tmp_path)
    # How often an import looks where depends on how we are installed.
    system -= system_calls(sys.executable, "-c", IMPORT, *found, cwd=repo.root, base=tmp_path)
    ours = sum(name.startswith("fx_hooks") for name in found)
    # The limits hold for git 2.39: an older one asks for more itself.
    counts = Counts(len(calls), ours, max(system, 0) if git_version() >= (2, 39) else 0)
    assert all(count <= limit for count, limit in zip(counts, most, strict=True)), (counts, calls)
