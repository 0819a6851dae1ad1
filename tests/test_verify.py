"""`--verify`: a real W&B client asks a server that has all of a run, a part, or does not answer."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks.cli import clean_runs, report_space
from fx_hooks.frameworks.wandb import client
from fx_hooks.runs import confirmed, inventory
from fx_hooks.runs.liveness import Processes
from tests.realruns.public_api import PublicApi, ServerRun, contents_of, old

if TYPE_CHECKING:
    from tests.support import Repo

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

# What was logged is known: nothing of ours is asked for the truth.
STEPS = 5
TRAINING = f"""
import json
import wandb
from pathlib import Path
run = wandb.init(project="toy", entity="me", mode="offline", id="abc")
for step in range({STEPS}):
    run.log({{"loss": 1 / (step + 1)}})
run.summary["best"] = 0.2
run.summary["odd"] = float("nan")
notes = Path(run.dir, "notes.txt")
notes.write_text("notes")
wandb.save(str(notes), base_path=run.dir, policy="end")
artifact = wandb.Artifact("model", type="model")
artifact.add_file(str(notes))
run.log_artifact(artifact)
run.finish()
print(json.dumps([artifact.digest, artifact.manifest.to_manifest_json()]))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, object]:
    """A real offline run, the digest of its artifact, and what that consists of."""
    folder = tmp_path_factory.mktemp("trained")
    environment = {**os.environ, "HOME": str(folder), "WANDB_SILENT": "true"}
    environment = {key: value for key, value in environment.items() if key != "WANDB_DIR"}
    done = subprocess.run(
        (sys.executable, "-c", TRAINING),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    digest, manifest = json.loads(done.stdout.splitlines()[-1])
    return folder / "wandb", digest, manifest


class Place:
    """A repository with the run, and a server that has all of it."""

    def __init__(self, repo: Repo, api: PublicApi, run: str) -> None:
        self.repo, self.api, self.run = repo, api, run

    @property
    def known(self) -> ServerRun:
        return self.api.runs["abc"]

    def clean(self, *words: str) -> int:
        return clean_runs.main([*words, "--verify", self.run])


@pytest.fixture
def place(
    repo: Repo, trained: tuple[Path, str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    folder, digest, manifest = trained
    (repo.root / "wandb").mkdir()
    (found,) = folder.glob("offline-run-*")
    run = repo.root / "wandb" / found.name
    subprocess.run(("cp", "-a", found, run), check=True)
    # As clients save the program, and send it with the other files.
    repo.write(f"wandb/{found.name}/files/code/train.py", "x = 1\n")
    old(run)
    api = PublicApi()
    summary = {"loss": 0.2, "best": 0.2, "odd": "NaN", "_step": STEPS - 1}
    api.runs["abc"] = ServerRun(
        "abc", STEPS, summary, contents_of(run / "files"), {digest: "COMMITTED"}
    )
    monkeypatch.chdir(repo.root)
    monkeypatch.setattr(inventory, "find_processes", lambda _: Processes((), frozenset()))
    monkeypatch.setattr(clean_runs, "find_processes", lambda _: None)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    api.manifests[digest] = manifest
    with api.listening() as address:
        api.runs["abc"].address = address
        monkeypatch.setenv("WANDB_BASE_URL", address)
        yield Place(repo, api, f"wandb/{found.name}")
    assert os.listdir(temporary) == []


def test_what_is_confirmed_may_go(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    # Without being asked for, an offline run that was not synced here stays.
    assert clean_runs.main([place.run]) == 0
    assert "Nothing would go." in capfd.readouterr().out
    assert place.clean() == 0
    assert "1 run would go" in capfd.readouterr().out
    assert place.clean("--yes") == 0
    assert not (place.repo.root / place.run).exists()
    assert not place.api.errors
    # The plan and its --yes ask once; what the client makes for itself is not left here.
    assert place.api.asked == 3  # the run, its files, its artifacts
    assert sorted(os.listdir(place.repo.root / "wandb")) == []


def test_a_plan_says_what_was_confirmed(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert clean_runs.main(["--explain", place.run, "--verify"]) == 0
    out = capfd.readouterr().out
    assert "it may go: synced, W&B has confirmed it: 5 steps and " in out
    assert "the server: W&B has confirmed it" in out
    assert report_space.main(["--format", "json", "--verify"]) == 0
    assert "W&B has confirmed it" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda known: setattr(known, "steps", 4), "W&B has 4 of 5 steps", id="steps"),
        pytest.param(
            lambda known: setattr(known, "state", "running"), "says that it is running", id="live"
        ),
        pytest.param(
            lambda known: known.summary.pop("best"), "W&B's summary has no best", id="no-summary"
        ),
        pytest.param(
            lambda known: known.summary.update(best=0.3),
            "W&B's summary has another best",
            id="other-summary",
        ),
        pytest.param(
            lambda known: known.files.pop("notes.txt"), "W&B has no notes.txt", id="no-file"
        ),
        pytest.param(
            lambda known: known.files.update({"notes.txt": b"not"}),
            "W&B has 3 of 5 bytes of notes.txt",
            id="short-file",
        ),
        pytest.param(
            lambda known: known.files.update({"notes.txt": b"other"}),
            "W&B has other content of notes.txt",
            id="other-file",
        ),
        pytest.param(
            lambda known: known.files.pop("code/train.py"), "W&B has no code/train.py", id="no-code"
        ),
        pytest.param(
            lambda known: known.artifacts.clear(),
            "W&B has no such artifact model",
            id="no-artifact",
        ),
        pytest.param(
            lambda known: known.artifacts.update(dict.fromkeys(known.artifacts, "DELETED")),
            "W&B has no such artifact model, or has not committed it",
            id="deleted-artifact",
        ),
    ],
)
def test_a_difference_keeps_it(
    place: Place, change: object, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change(place.known)  # type: ignore[operator]
    assert place.clean("--yes") == 1
    assert said in capfd.readouterr().out
    assert (place.repo.root / place.run).exists()
    assert place.clean() == 1
    assert not place.api.errors


def test_one_that_the_server_has_not(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.api.runs.clear()
    assert place.clean("--yes") == 1
    assert "W&B has no such run" in capfd.readouterr().out
    # What W&B denies cannot be accepted; and it is asked again once the run has changed.
    assert place.clean("--yes", "--accept-unproven", place.run) == 1
    assert (place.repo.root / place.run).exists()


@pytest.mark.parametrize("place_of", ["in the middle", "behind the end"])
def test_a_log_that_cannot_be_read_to_its_end(
    place: Place, place_of: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server has all that can be read here, and that is not proof of the rest."""
    log = place.repo.root / place.run / "run-abc.wandb"
    content = bytearray(log.read_bytes())
    if place_of == "in the middle":
        # The kind of the third record: seven bytes of a head each, the length in two of them.
        position = 7
        for _ in range(2):
            position += 7 + int.from_bytes(content[position + 4 : position + 6], "little")
        content[position + 6] = 9
    else:
        content += bytes(100)
    log.write_bytes(content)
    old(place.repo.root / place.run)
    place.known.steps = 10**6
    assert place.clean("--yes") == 1
    assert "its log cannot be read to its end" in capfd.readouterr().out
    assert log.exists()


@pytest.mark.parametrize("status", [401, 403, 429, 500, "hangs", "nobody", "no-key"])
def test_no_answer_is_no_confirmation(
    place: Place,
    status: int | str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (place.repo.root / f"{place.run}/run-abc.wandb.synced").touch()
    old(place.repo.root / place.run)
    monkeypatch.setattr(client, "PATIENCE", 8)
    if status == "hangs":
        place.api.hangs = True
    elif status == "nobody":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    elif status == "no-key":
        monkeypatch.delenv("WANDB_API_KEY")
    else:
        place.api.status = int(status)
    assert place.clean("--yes") == 1
    said = capfd.readouterr()
    assert "W&B has not confirmed it: " in said.out
    assert "Traceback" not in said.err
    assert (place.repo.root / place.run).exists()
    # That is not remembered.
    assert not (place.repo.root / ".git" / os.fsdecode(confirmed.NAME)).exists()


@pytest.mark.parametrize("started", [False, True])
def test_an_interruption_as_the_client_starts(
    monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    process = multiprocessing.get_context("spawn").Process
    real = process.start

    def start(self: Any) -> None:
        if started:
            real(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "start", start)
    with pytest.raises(KeyboardInterrupt), client.client(print):
        raise AssertionError("it goes on")
    assert multiprocessing.active_children() == []


def test_without_the_package(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "find_spec", lambda _: None)
    assert place.clean("--yes") == 2
    assert "pip install 'fx-hooks[wandb] @" in capfd.readouterr().err


def test_what_is_live_is_not_asked_for(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    os.utime(place.repo.root / place.run / "run-abc.wandb")
    assert place.clean() == 0
    assert ": live: written less than a minute ago" in capfd.readouterr().out
    assert place.api.asked == 0


@pytest.mark.parametrize("kind", ["old", "foreign", "damaged", "changed"])
def test_what_is_remembered_is_not_trusted_for_ever(place: Place, kind: str) -> None:
    assert place.clean() == 0
    kept = place.repo.root / ".git" / os.fsdecode(confirmed.NAME)
    asked = place.api.asked
    place.known.steps = 1
    if kind == "old":
        answers = json.loads(kept.read_bytes())
        for entry in answers.values():
            entry[1] -= confirmed.KEPT
        kept.write_text(json.dumps(answers))
    elif kind == "foreign":
        kept.chmod(0o666)
    elif kind == "damaged":
        kept.write_bytes(kept.read_bytes()[:-3])
    else:
        (place.repo.root / place.run / "files/notes.txt").write_text("other")
        old(place.repo.root / place.run)
    assert place.clean() == 1
    assert place.api.asked > asked
