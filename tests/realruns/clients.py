"""Make run folders with real W&B clients of many versions: `python -m tests.realruns.clients`.

Each version has a virtual environment of its own, with a Python that it runs on (`--pythons`, a
folder with one `VERSION/bin/python` each, such as pyenv's). Each run talks to a server on this
machine (:class:`tests.realruns.refusals.Server`), which takes everything, refuses something, or
fails. What the server has got at the end is written down, not guessed.

The result is `tests/data/wandb/clients.tar.gz` and `clients.tsv`, which the other tests read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.realruns.refusals import MODES, Server
from tests.realruns.snapshots import DATA, entries_in, environment, keep, pack

LISTING = DATA / "wandb" / "clients.tsv"
# Old clients need an old Python, and a protobuf of their time.
CLIENTS = {
    "0.12.21": ("3.8", "protobuf<3.21"),
    "0.13.11": ("3.9", "protobuf<4"),
    "0.14.2": ("3.9", "protobuf<4"),
    "0.15.12": ("3.9", "protobuf<5"),
    "0.16.6": ("3.10", "protobuf<5"),
    "0.17.9": ("3.10", "protobuf<6"),
    "0.18.7": ("3.11", ""),
    "0.19.11": ("3.11", ""),
    "0.21.4": ("3.12", ""),
    "0.23.1": ("3.12", ""),
    "0.31.0": ("3.12", ""),
}
_TRAIN = """\
import os, sys, wandb
run = wandb.init(project="toy", id=sys.argv[1], config={"lr": 0.1}, dir=".")
for step in range(3):
    wandb.log({"loss": 1.0 / (step + 1)})
if "note" in sys.argv or "saved" in sys.argv:
    with open(os.path.join(wandb.run.dir, "note.txt"), "w") as file:
        file.write("some words\\n")
if "saved" in sys.argv:
    wandb.save(os.path.join(wandb.run.dir, "note.txt"), base_path=wandb.run.dir)
print("logged", flush=True)
if "killed" in sys.argv:
    input()
wandb.finish()
print("finished", flush=True)
"""
_ENDINGS = {
    "": "",
    "killed": ", killed",
    "intr": ", Ctrl-C",
    "note": ", with a file in its folder",
    "saved": ", with a file given to wandb.save",
}
_SECONDS = 60  # for a client that goes on and on
_KEPT = re.compile(
    r".*\.wandb(?:\.synced|\.syncstate)?|debug-(?:cli|sync|internal).*\.log"
    r"|config\.yaml|wandb-(?:summary|metadata)\.json|note\.txt",
    re.DOTALL,
)


class Case(NamedTuple):
    """A run of one version. *how*: online, offline, or offline and then synced.

    *ending*: by itself, or killed, or by Ctrl-C; or with a note that the program writes into
    W&B's folder of the run, and perhaps hands over by ``wandb.save``.
    """

    version: str
    how: str
    mode: str
    ending: str = ""

    @property
    def name(self) -> str:
        short = "".join(part.zfill(2) for part in self.version.split(".")[:2])
        return "-".join(filter(None, (self.how, self.mode, self.ending, short[1:])))


def cases(versions: Sequence[str]) -> list[Case]:
    """Return all cases of these versions."""
    found = []
    for version in versions:
        found += [Case(version, "online", mode) for mode in MODES if mode not in ("500", "slow")]
        found += [Case(version, "online", "500", ending) for ending in ("killed", "intr")]
        found += [Case(version, "online", "slow", "intr"), Case(version, "online", "ok", "killed")]
        found += [Case(version, "offline", "ok"), Case(version, "offline", "ok", "killed")]
        found += [Case(version, "sync", mode) for mode in MODES if mode not in ("500", "slow")]
        found += [Case(version, "sync", "500", "killed")]
        found += [Case(version, how, "ok", "note") for how in ("online", "sync")]
        found += [Case(version, how, "ok", "saved") for how in ("online", "sync")]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Make the runs of the given versions, or of all; the others' stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=", ".join(CLIENTS))
    parser.add_argument("--pythons", type=Path, default=Path.home() / ".pyenv" / "versions")
    parser.add_argument("--venvs", type=Path, default=Path(".venvs"))
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    options = parser.parse_args(argv)
    for version in options.versions:
        if version not in CLIENTS:
            parser.error(f"{version}: there are {', '.join(CLIENTS)}")
    python = {
        version: environment(
            version,
            [f"wandb=={version}", *filter(None, (CLIENTS[version][1],))],
            needs=CLIENTS[version][0],
            venvs=options.venvs,
            pythons=options.pythons,
        )
        for version in options.versions or CLIENTS
    }
    wanted = [case for case in cases(list(python)) if options.only in case.name]
    with tempfile.TemporaryDirectory(prefix="fx-clients-") as folder, ThreadPoolExecutor(3) as pool:
        top = Path(folder)
        made = pool.map(lambda case: make(case, python[case.version], top / case.name), wanted)
        told = {}
        for case, has in zip(wanted, made, strict=True):
            told[case.name] = (case, has)
            print(f"{case.name}: {has}", flush=True)
        places = {str(options.venvs.resolve()): "/venvs", str(options.pythons): "/pythons"}
        _pack(top, told, places)
    return 0


def make(case: Case, python: str, place: Path) -> str:
    """Make the run of *case* in ``place/repo``; return how much of it the server has."""
    repo, home = place / "repo", place / "home"
    repo.mkdir(parents=True)
    home.mkdir()
    (place / "train.py").write_text(_TRAIN)
    with Server(case.mode) as server:
        environ = {
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home), "USER": "anna", "LOGNAME": "anna", "USERNAME": "anna",
            "WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": server.url, "WANDB_ERROR_REPORTING": "0",
            "WANDB_DISABLE_CODE": "true", "WANDB_DISABLE_GIT": "true", "WANDB_HOST": "host",
            "WANDB_CONSOLE": "off", "WANDB_CACHE_DIR": str(home), "WANDB_CONFIG_DIR": str(home),
            "WANDB_DATA_DIR": str(home), "no_proxy": "127.0.0.1", "TZ": "UTC",
            "WANDB__DISABLE_STATS": "true", "WANDB__DISABLE_META": "true",
        }  # fmt: skip
        mode = "online" if case.how == "online" else "offline"
        is_synced = case.how == "sync"
        ending = "" if is_synced and case.ending == "killed" else case.ending
        command: tuple[str, ...] = (python, str(place / "train.py"), "run1", ending)
        _run(command, repo, {**environ, "WANDB_MODE": mode}, ending)
        if is_synced:
            (run,) = (repo / "wandb").glob("offline-run-*")
            command = (python, "-m", "wandb", "sync", str(run))
            _run(command, repo, environ, case.ending)
        return server.has(("note.txt",) if case.ending in ("note", "saved") else ())


def _run(command: Sequence[str], cwd: Path, environ: dict[str, str], ending: str) -> None:
    """Run *command*, and end it so: by itself, killed, or by Ctrl-C while it uploads."""
    output = cwd.parent / "output.txt"
    with output.open("ab") as written:
        process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdin=subprocess.PIPE, stdout=written,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + _SECONDS
    logged: float | None = None
    interrupted = False
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
        if logged is None and (b"logged" in output.read_bytes() or "sync" in command):
            logged = time.monotonic()
        waited = 0.0 if logged is None else time.monotonic() - logged
        if ending == "killed" and waited > 6:
            break
        if ending == "intr" and waited > 6 and not interrupted:
            os.killpg(process.pid, signal.SIGINT)
            interrupted = True
        if interrupted and waited > 20:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(0.5)


def _pack(top: Path, told: dict[str, tuple[Case, str]], places: Mapping[str, str]) -> None:
    """Put what counts of each run into the archive, in the place of what it had of those."""
    rows = []
    for name, (case, has) in told.items():
        version, how, mode, ending = case
        did = f"{how}, {MODES[mode]}" + _ENDINGS[ending]
        rows.append({"name": name, "version": version, "what": did, "server": has})
        repo = top / name / "repo"
        for path in entries_in(repo):
            if _KEPT.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                target = top / "kept" / name / path.relative_to(repo)
                keep(path, target, {**places, str(top / name): "/work"})
    pack(LISTING, rows, top / "kept")


if __name__ == "__main__":
    raise SystemExit(main())
