"""What real tools leave, and what becomes of it.

``python -m tests.realruns.tools`` has made ``data/tools/TOOL.tar.gz``; ``TOOL.tsv`` says how each
run ended. Here the runs are ten days old, and nobody uses them.
"""

from __future__ import annotations

import os
import re
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fx_hooks.cli import clean_runs
from fx_hooks.frameworks.framework import Proof
from fx_hooks.frameworks.registry import KINDS
from fx_hooks.git.repository import Repository
from fx_hooks.runs import inventory
from fx_hooks.runs.inventory import FAILED, FINISHED, LIVE, Run, kept_because, survey
from fx_hooks.runs.liveness import Processes
from tests.realruns.snapshots import read_listing
from tests.support import PLAINLY

if TYPE_CHECKING:
    from tests.support import Repo

DATA = Path(__file__).parent / "data" / "tools"
DAY = 86_400.0
GOES, ARCHIVED, STAYS = "goes", "goes once it is archived", "stays"
MADE = {
    f"{listing.stem}-{row['name']}": (listing.stem, row)
    for listing in sorted(DATA.glob("*.tsv"))
    for row in read_listing(listing)
}
# The other versions leave the same.
FAST = ("-1.0.7", "-1.3.2", "-3.17.2", "-2.6.6", "-5.24.0")


class Verdict(NamedTuple):
    """What is said of a run: its kind and state, whether it says itself that it has ended."""

    kind: str
    state: str
    says_so: bool
    fate: str
    reason: str


_WRITES = "nothing writes to it any more"
_TRACEBACK = "train.log ends in a traceback"
JOB = Verdict("Hydra job", FINISHED, False, GOES, _WRITES)
FAILED_JOB = Verdict("Hydra job", FAILED, True, GOES, _TRACEBACK)
SWEEP = Verdict("Hydra sweep", FINISHED, False, GOES, _WRITES)
FAILED_SWEEP = Verdict("Hydra sweep", FAILED, False, GOES, f"RUN: {_TRACEBACK}")


LIGHTNING = Verdict("Lightning version", FINISHED, False, GOES, _WRITES)
TRAINER = Verdict("Hugging Face Trainer run", FINISHED, False, ARCHIVED, _WRITES)


def mlflow(state: str, reason: str, *, says_so: bool = True) -> set[Verdict]:
    return {Verdict("MLflow run", state, says_so, ARCHIVED, reason)}


# By what was done: what is said of what it left, in any version.
EXPECTED = {
    "hydra-job": {JOB},
    "hydra-no-subdir": {JOB},
    # Hydra prints the exception, and logs nothing.
    "hydra-failed": {JOB},
    "hydra-logged": {FAILED_JOB},
    "hydra-killed": {JOB},
    "hydra-sweep": {SWEEP, JOB},
    "hydra-sweep-failed": {SWEEP, JOB},
    "hydra-sweep-logged": {FAILED_SWEEP, FAILED_JOB},
    "hydra-sweep-killed": {SWEEP, JOB},
    "hydra-joblib": {SWEEP, JOB},
    "hydra-joblib-logged": {FAILED_SWEEP, FAILED_JOB},
    "hydra-submitit": {SWEEP, JOB},
    "hydra-submitit-failed": {SWEEP, JOB},
    "mlflow-files-finished": mlflow(FINISHED, "MLflow says that it finished"),
    "mlflow-files-failed": mlflow(FAILED, "MLflow says that it failed"),
    "mlflow-files-stopped": mlflow(FAILED, "MLflow says that it was killed"),
    "mlflow-files-killed": mlflow(FINISHED, _WRITES, says_so=False),
    # An exception outside of `with`: MLflow ends the run as Python ends.
    "mlflow-files-uncaught": mlflow(FINISHED, "MLflow says that it finished"),
    "mlflow-files-deleted": mlflow(FINISHED, "MLflow says that it finished"),
    # All but the artifacts is in the data base: it is nobody's run, and stays.
    "mlflow-sqlite-finished": set(),
    "mlflow-sqlite-failed": set(),
    "mlflow-sqlite-killed": set(),
    # Neither of these two says how a run ended.
    **{
        f"lightning-{logger}-{what}": {LIGHTNING}
        for logger in ("csv", "tensorboard")
        for what in ("finished", "linked", "failed", "killed")
    },
    **{
        f"trainer-{what}": {TRAINER}
        for what in ("finished", "saved", "tensorboard", "failed", "killed")
    },
}


pytestmark = pytest.mark.usefixtures("home", "no_processes")


def unpack(repo: Repo, tool: str, name: str) -> None:
    """Lay out what a tool left; the newest of it is ten days old."""
    with tarfile.open(DATA / f"{tool}.tar.gz") as archive:
        members = [member for member in archive if member.name.startswith(f"{name}/")]
        shift = time.time() - 10 * DAY - max(member.mtime for member in members)
        for member in members:
            member.name = member.name.removeprefix(f"{name}/")
            member.mtime += shift
            archive.extract(member, repo.root, **PLAINLY)
            times = (member.mtime, member.mtime)  # also those of links
            os.utime(repo.root / member.name, times, follow_symlinks=False)


def judged(run: Run) -> Verdict:
    fate = STAYS
    if kept_because(run) is None:
        fate = GOES
    elif kept_because(run, archived=True, with_added=True) is None:
        fate = ARCHIVED
    says_so = any(evidence.proves is Proof.ENDED for evidence in run.evidence)
    reason = run.reason
    for path in re.findall(r"^(\S+): ", run.reason):
        reason = reason.replace(path, "RUN")
    return Verdict(run.kind, run.state, says_so, fate, reason)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name.endswith(FAST) else pytest.mark.slow) for name in MADE],
)
def test_what_a_tool_left(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.root)
    tool, row = MADE[name]
    unpack(repo, tool, row["name"])
    runs = survey(Repository()).runs
    assert {judged(run) for run in runs} == EXPECTED[f"{tool}-{row['what']}"]
    monkeypatch.setattr(inventory, "find_processes", lambda _: Processes((), frozenset({None})))
    for run in survey(Repository(), now=time.time() - 8 * DAY).runs:
        if run.kind != "Hydra sweep":  # which are as their jobs
            assert (run.state == LIVE) is not judged(run).says_so


@pytest.mark.parametrize(
    "name",
    ["hydra-submitit-1.3.2", "mlflow-files-killed-3.17.2", "lightning-csv-linked-2.6.6",
     "trainer-saved-5.24.0"],
)  # fmt: skip
def test_the_command_does_so(repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.root)
    tool, row = MADE[name]
    unpack(repo, tool, row["name"])
    places = [repo.root / run.path.decode() for run in survey(Repository()).runs]
    goes = all(one.fate == GOES for one in EXPECTED[f"{tool}-{row['what']}"])
    assert clean_runs.main(["--yes", "."]) == (not goes)
    assert [place.exists() for place in places] == [not goes for _ in places]
    assert clean_runs.main(["--yes", "--archive", "runs.tar.gz", "."]) == 0
    assert not any(place.exists() for place in places)


def test_of_a_run_in_a_data_base_nothing_is_deleted(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.root)
    unpack(repo, "mlflow", "sqlite-finished-3.17.2")
    before = sorted(repo.root.glob("ml*/**/*"))
    assert any(path.name == "note.txt" for path in before)
    assert clean_runs.main(["--yes", "."]) == 0
    assert sorted(repo.root.glob("ml*/**/*")) == before


def test_every_version_is_there() -> None:
    ways = {(tool, row["what"]) for tool, row in MADE.values()}
    assert {f"{tool}-{what}" for tool, what in ways} == EXPECTED.keys()
    for tool in {tool for tool, _ in ways}:
        versions = {row["version"] for each, row in MADE.values() if each == tool}
        assert len(MADE_OF[tool]) == len(versions) * sum(each == tool for each, _ in ways)


def test_the_table_in_the_documentation() -> None:
    page = (Path(__file__).parent.parent / "docs/fx-clean-runs.md").read_text(encoding="utf-8")
    section = page.partition("## When a run has ended\n")[2].partition("\n## ")[0]
    rows = {
        cells[1]: cells[2:]
        for line in section.splitlines()
        if line.startswith("| ") and (cells := [cell.strip() for cell in line.split("|")])
    }
    del rows["runs"]
    assert rows.keys() == KINDS.keys()
    verdicts = {verdict for some in EXPECTED.values() for verdict in some}
    for name, (_, ended, failed, goes, _) in rows.items():
        assert (goes == "only with `--archive`") == KINDS[name].only_copy
        seen = {verdict for verdict in verdicts if verdict.kind == name}
        if seen:
            assert (ended == "never") is not any(verdict.says_so for verdict in seen)
            assert (failed == "never") is (FAILED not in {verdict.state for verdict in seen})
    for tool, made in MADE_OF.items():
        versions = {tuple(map(int, row["version"].split("."))) for row in made}
        for version in (min(versions), max(versions)):
            title = {"hydra": "Hydra", "mlflow": "MLflow", "trainer": "Transformers"}.get(
                tool, "Lightning"
            )
            sentence = re.search(
                rf"{title} ([0-9.]+)(?: to ([0-9.]+))?,", " ".join(section.split())
            )
            assert sentence is not None
            assert f"{version[0]}.{version[1]}" in sentence.groups(), tool


MADE_OF = {tool: [row for each, row in MADE.values() if each == tool] for tool, _ in MADE.values()}


@pytest.mark.parametrize("tool", MADE_OF)
def test_nothing_says_where_they_were_made(tool: str) -> None:
    with tarfile.open(DATA / f"{tool}.tar.gz") as archive:
        for member in archive:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            content = archive.extractfile(member)
            text = b"" if content is None else content.read()
            assert not re.search(rb"/root\b|/home/(?!anna)|/tmp/", text), member.name
            assert "vm" not in re.split(r"[._/]", member.name)
            assert set(re.findall(rb"hostname=(\w+)", text)) <= {b"ho", b"host"}, member.name
