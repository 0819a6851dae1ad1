"""What W&B clients of many versions leave, and what becomes of it.

``python -m tests.realruns.clients`` has made ``data/wandb/clients.tar.gz`` with real clients
against a server that counts what it gets; ``clients.tsv`` says of each run how much that was.
"""

from __future__ import annotations

import csv
import os
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fx_hooks.cli import clean_runs
from fx_hooks.git.repository import Repository
from fx_hooks.runs import deletion, inventory
from fx_hooks.runs.inventory import Run, kept_because, survey
from fx_hooks.runs.liveness import Processes

if TYPE_CHECKING:
    from tests.support import Repo

DATA = Path(__file__).parent / "data" / "wandb"
with (DATA / "clients.tsv").open() as told:
    MADE = {row["name"]: row for row in csv.DictReader(told, delimiter="\t")}
GOES, ACCEPTED, STAYS = "goes", "goes when it is accepted", "stays"
# Whose logs say of a run that all of it was taken.
PROVES = ("0.31.0",)
# Those that say nothing of what a sync sent, or of a history that was refused.
SILENT_SYNC = ("0.19.11", "0.21.4", "0.23.1")
SILENT_HISTORY = ("0.12.21", "0.13.11", "0.14.2")
# Those that say nothing if they are interrupted while the server does not answer.
SILENT_WAIT = ("0.12.21", "0.18.7", "0.19.11", "0.21.4", "0.23.1")

# The others take a minute more.
FAST = ("-031", "-012")


@pytest.fixture(autouse=True)
def unused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Looking at all processes takes long, and none has to do with the runs."""
    monkeypatch.delenv("WANDB_DIR", raising=False)
    for module in (inventory, clean_runs, deletion):
        monkeypatch.setattr(module, "find_processes", lambda _: Processes((), frozenset()))


def unpack(repo: Repo, name: str) -> str:
    """Lay the run of that name out, ten days old; return its path."""
    with tarfile.open(DATA / "clients.tar.gz") as archive:
        for member in archive:
            if member.name.startswith(f"{name}/"):
                content = archive.extractfile(member)
                assert content is not None
                repo.write(member.name.removeprefix(f"{name}/"), content.read())
    then = time.time() - 10 * 86_400
    for folder, folders, files in os.walk(repo.root / "wandb", topdown=False):
        for entry in (*files, *folders):
            os.utime(os.path.join(folder, entry), (then, then))
    (run,) = (repo.root / "wandb").glob("*run-*")
    return run.relative_to(repo.root).as_posix()


def look(*accepted: str) -> Run:
    found = survey(Repository(), accepted=[os.fsencode(path) for path in accepted])
    (run,) = found.runs
    return run


def expected(row: dict[str, str]) -> str:
    """What has to become of a run, by what was done with it."""
    how, server, *did = row["what"].split(", ")
    version = row["version"]
    if how == "offline":
        return STAYS
    if how == "sync" and "killed" not in did and version in SILENT_SYNC:
        return ACCEPTED
    if server.startswith("the history") and how == "online" and version in SILENT_HISTORY:
        return ACCEPTED
    if server == "the server does not answer" and version in SILENT_WAIT:
        return ACCEPTED
    if server != "the server takes everything":
        return STAYS
    if "killed" in did or row["server"] != "all" or version not in PROVES:
        return ACCEPTED
    return GOES


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name.endswith(FAST) else pytest.mark.slow) for name in MADE],
)
def test_what_a_client_left(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.root)
    path = unpack(repo, name)
    run, accepted = look(), look(path)
    found = STAYS
    if kept_because(run) is None:
        found = GOES
    elif kept_because(accepted) is None:
        found = ACCEPTED
    assert found == expected(MADE[name])
    assert found != GOES or MADE[name]["server"] == "all"
    assert clean_runs.main(["--yes", path]) == (found != GOES)
    assert os.path.exists(path) is (found != GOES)
    if found != GOES:
        assert clean_runs.main(["--yes", "--accept-unproven", path]) == (found != ACCEPTED)
        assert os.path.exists(path) is (found != ACCEPTED)


def test_many_versions_and_ways_are_there() -> None:
    versions = {row["version"] for row in MADE.values()}
    assert len(versions) >= 7
    ways = {name.rpartition("-")[0] for name in MADE}
    for name in versions:
        assert sum(row["version"] == name for row in MADE.values()) == len(ways)


def test_what_programs_leave_beside_is_there() -> None:
    with tarfile.open(DATA / "clients.tar.gz") as archive:
        noted = {name.partition("/")[0] for name in archive.getnames() if "/note.txt" in name}
    assert noted == {name for name, row in MADE.items() if "a file" in row["what"]}
