"""Every command ends with 130 when it is interrupted, whenever that is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import WEIGHTS, Repo, mostly_slow, unmeasured

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a signal of POSIX")

SCRIPTS = Path(sys.executable).parent
RUN = "wandb/offline-run-20240131_235959-abc"
# Loaded by Python before the script begins. It counts what the audit hook tells (imports, files
# that are opened, processes that are started) from where a module of ours imports another one,
# and sends the signal at the wanted number.
CUSTOMIZE = """\
import os, signal, sys

COUNT, SENT = int(os.environ["INTERRUPT_AT"]), os.environ["INTERRUPT_SENT"]
FIRST = ("fx_hooks.fastpath", "fx_hooks.cli")
seen = None
# Who starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def hook(event, arguments):
    global seen
    if seen is None:
        if event != "import" or not arguments[0].startswith(FIRST):
            return
        seen = 0
    seen += 1
    if seen == COUNT and not event.startswith("cpython."):
        os.close(os.open(SENT, os.O_CREAT | os.O_WRONLY))
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(hook)
"""
CALLS = [
    "fx-add-milestone best_models/m.pt",
    "fx-archive-runs --all --output runs.fxa",
    "fx-check-artifacts",
    "fx-check-artifacts -- a.py",
    "fx-check-best-models",
    "fx-check-range HEAD",
    "fx-clean-runs --all",
    "fx-explain a.pt",
    "fx-hooks",
    "fx-hooks explain a.pt",
    "fx-hooks rules",
    "fx-init",
    "fx-report-space",
    "fx-show-run a.pt",
    "fx-sync-gitignore",
]
MOMENTS = [1, 3, 13, 55, 233, 610, 1597]


@pytest.fixture
def here(repo: Repo, tmp_path: Path) -> Repo:
    customize = tmp_path / "customize" / "sitecustomize.py"
    customize.parent.mkdir()
    customize.write_text(CUSTOMIZE)
    repo.stage("a.pt", WEIGHTS)
    repo.write("best_models/m.pt", WEIGHTS)
    repo.write(f"{RUN}/files/output.log", "x\n")
    return repo


@pytest.mark.parametrize("call", mostly_slow(CALLS, 2))
def test_interrupted(here: Repo, tmp_path: Path, call: str) -> None:
    name, *arguments = call.split()
    sent = tmp_path / "sent"
    interrupted = 0
    for moment in MOMENTS:
        sent.unlink(missing_ok=True)
        done = subprocess.run(
            (SCRIPTS / name, *arguments),
            cwd=here.root,
            env={
                **unmeasured(),
                "PYTHONPATH": str(tmp_path / "customize"),
                "INTERRUPT_AT": str(moment),
                "INTERRUPT_SENT": str(sent),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if not sent.exists():
            break  # it was done before
        interrupted += 1
        assert done.returncode == 130, (moment, done)
        assert "Traceback" not in done.stderr, (moment, done)
        names = {name, call, f"fx-{arguments[0]}" if arguments else name}
        assert done.stderr in {"", *(f"{one}: interrupted\n" for one in names)}, moment
    assert interrupted > 2


def test_each_command_is_interrupted() -> None:
    from importlib.metadata import distribution

    scripts = distribution("fx-hooks").entry_points.select(group="console_scripts")
    assert {call.split()[0] for call in CALLS} == {script.name for script in scripts}
