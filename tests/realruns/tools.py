"""Make run folders with Hydra, MLflow, Lightning and the Trainer: `python -m tests.realruns.tools`.

Each version of a tool has a virtual environment of its own, with a Python that it runs on
(`--pythons`, a folder with one `VERSION/bin/python` each, such as pyenv's). The programs are in
`tests/realruns/programs/`. Name tools to make only theirs, and versions by `--only`.

`tests/data/tools/TOOL.tar.gz` and `TOOL.tsv` are the results; `tests/test_tool_runs.py` reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.realruns.snapshots import DATA, entries_in, environment, keep, pack

PROGRAMS = Path(__file__).resolve().parent / "programs"
_SECONDS = 120
_MAX_BYTES = 1 << 20


class Tool(NamedTuple):
    """A tool: its program, the Python and packages by version, and commands by what happens.

    What is called ``killed`` is, as soon as the program says "logged". *config* are files
    beside the program, *kept* the folders and files that the tool writes.
    """

    program: str
    versions: Mapping[str, tuple[str, tuple[str, ...]]]
    cases: Mapping[str, tuple[str, ...]]
    kept: tuple[str, ...]
    config: Mapping[str, str] = {}
    environ: Mapping[str, str] = {}


_LAUNCHERS = ("hydra-joblib-launcher", "hydra-submitit-launcher", "setuptools")
_SWEEP = ("-m", "lr=0.1,0.2")
_FILES, _SQLITE = "file:./mlruns", "sqlite:///mlflow.db"
TOOLS = {
    "hydra": Tool(
        "hydra_job.py",
        {
            "1.0.7": ("3.8", ("hydra-core==1.0.7", "submitit==1.4.5", *_LAUNCHERS)),
            "1.1.2": ("3.9", ("hydra-core==1.1.2", "submitit==1.4.5", *_LAUNCHERS)),
            "1.2.0": ("3.10", ("hydra-core==1.2.0", *_LAUNCHERS)),
            "1.3.2": ("3.12", ("hydra-core==1.3.2", *_LAUNCHERS)),
        },
        {
            "job": (),
            "no-subdir": ("hydra.output_subdir=null",),
            "failed": ("what=failed",),
            "logged": ("what=logged",),
            "killed": ("what=killed",),
            "sweep": _SWEEP,
            "sweep-failed": (*_SWEEP, "what=failed"),
            "sweep-logged": (*_SWEEP, "what=logged"),
            "sweep-killed": (*_SWEEP, "what=killed"),
            "joblib": (*_SWEEP, "hydra/launcher=joblib"),
            "joblib-logged": (*_SWEEP, "hydra/launcher=joblib", "what=logged"),
            "submitit": (*_SWEEP, "hydra/launcher=submitit_local"),
            "submitit-failed": (*_SWEEP, "hydra/launcher=submitit_local", "what=failed"),
        },
        kept=("outputs", "multirun"),
        config={"conf/config.yaml": "lr: 0.1\nwhat: job\n"},
    ),
    "mlflow": Tool(
        "mlflow_run.py",
        {
            "1.30.1": (
                "3.8",
                ("mlflow-skinny==1.30.1", "sqlalchemy<2", "alembic", "sqlparse", "numpy", "pandas",
                 "setuptools<70"),
            ),
            "2.22.1": ("3.10", ("mlflow-skinny==2.22.1", "sqlalchemy", "alembic", "sqlparse")),
            "3.17.2": ("3.12", ("mlflow-skinny==3.17.2", "sqlalchemy", "alembic", "sqlparse")),
        },
        {
            **{
                f"{store}-{what}": (uri, what)
                for store, uri in (("files", _FILES), ("sqlite", _SQLITE))
                for what in ("finished", "failed", "killed")
            },
            "files-uncaught": (_FILES, "uncaught"),
            "files-stopped": (_FILES, "stopped"),
            "files-deleted": (_FILES, "deleted"),
        },
        kept=("mlruns", "mlartifacts", "mlflow.db"),
        environ={"MLFLOW_ALLOW_FILE_STORE": "true"},
    ),
    "lightning": Tool(
        "lightning_fit.py",
        {
            "2.6.6": (
                "3.12",
                ("lightning==2.6.6", "torch==2.8.0", "numpy", "tensorboard"),
            ),
        },
        {
            f"{logger}-{what}": (logger, what)
            for logger in ("csv", "tensorboard")
            for what in ("finished", "linked", "failed", "killed")
        },
        kept=("lightning_logs", "checkpoints"),
    ),
    "trainer": Tool(
        "trainer_run.py",
        {
            "5.24.0": (
                "3.12",
                ("transformers==5.24.0", "torch==2.8.0", "numpy", "accelerate", "tensorboard"),
            ),
        },
        {what: (what,) for what in ("finished", "saved", "tensorboard", "failed", "killed")},
        kept=("results", "runs"),
        environ={"HF_HUB_OFFLINE": "1"},
    ),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs of the given tools, or of all; the others' stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument("--pythons", type=Path, default=Path.home() / ".pyenv" / "versions")
    parser.add_argument("--venvs", type=Path, default=Path(".venvs"))
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args(argv)
    for name in options.tools:
        if name not in TOOLS:
            parser.error(f"{name}: there are {', '.join(TOOLS)}")
    for name in options.tools or TOOLS:
        _make_all(name, options)
    return 0


def _make_all(name: str, options: argparse.Namespace) -> None:
    tool, rows = TOOLS[name], []
    with tempfile.TemporaryDirectory(prefix="fx-tools-") as folder:
        top = Path(folder)
        for version, (needs, packages) in tool.versions.items():
            wanted = {f"{what}-{version}": what for what in tool.cases}
            wanted = {case: what for case, what in wanted.items() if options.only in case}
            if not wanted:
                continue
            python = environment(
                f"{name}-{version}", packages, needs=needs, venvs=options.venvs,
                pythons=options.pythons,
            )  # fmt: skip
            for case, what in wanted.items():
                code = _make(tool, what, python, top / case)
                rows.append({"name": case, "version": version, "what": what, "code": str(code)})
                print(f"{name} {case}: {code}", flush=True)
                places = {str(options.venvs.resolve()): "/venvs", str(options.pythons): "/pythons"}
                _keep(top, case, tool, {**places, str(top / case): "/work"})
        if rows:
            pack(DATA / "tools" / f"{name}.tsv", rows, top / "kept")


def _make(tool: Tool, what: str, python: str, place: Path) -> int:
    """Make a run in ``place/repo``; return the exit code of the program."""
    repo, home = place / "repo", place / "home"
    repo.mkdir(parents=True)
    home.mkdir()
    shutil.copy(PROGRAMS / tool.program, repo / "train.py")
    for path, text in tool.config.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_text(text)
    environ = {
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home), "USER": "anna", "LOGNAME": "anna", "USERNAME": "anna", "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1", **tool.environ,
    }  # fmt: skip
    output = place / "output.txt"
    with output.open("wb") as written:
        process = subprocess.Popen(
            (python, "train.py", *tool.cases[what]), cwd=repo, env=environ, stdout=written,
            stderr=subprocess.STDOUT, stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)
        if "killed" in what and b"logged" in output.read_bytes():
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    should_fail = not {"failed", "logged", "killed", "uncaught"}.isdisjoint(what.split("-"))
    if bool(process.returncode) != should_fail:
        raise RuntimeError(f"{what} exited with {process.returncode}:\n{output.read_text()}")
    return process.returncode


def _keep(top: Path, case: str, tool: Tool, places: Mapping[str, str]) -> None:
    repo = top / case / "repo"
    for path in entries_in(repo):
        inside = path.relative_to(repo)
        if inside.parts[0] in tool.kept:
            if path.lstat().st_size > _MAX_BYTES:
                raise RuntimeError(f"{case}: {inside} is large")
            # TensorBoard's files and folders have the name of the machine in theirs.
            name = re.sub(
                rf"([._]){re.escape(socket.gethostname())}(?=[./])", r"\1host", str(inside)
            )
            keep(path, top / "kept" / case / name, places)


if __name__ == "__main__":
    raise SystemExit(main())
