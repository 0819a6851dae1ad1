"""Milestones from W&B's artifacts: a real client fetches from a server that has them, or fails."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from fx_hooks.frameworks.wandb import client, registry
from fx_hooks.frameworks.wandb.address import parse
from tests.contract_support import LISTING, METADATA, MODEL, SCRIPTED, STATE, add, check, sha256
from tests.realruns.public_api import PublicApi, ServerArtifact, ServerRun
from tests.support import CLEAN, Repo, Result
from tests.weight_files import pickled_call, torch_zip

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

OLDER = version("wandb").startswith("0.19")
ADDRESS = "wandb:me/toy/model:latest"
WHY = ("--why", "the best one")


class Place:
    """A repository, and a server with a run and an artifact of it."""

    def __init__(self, repo: Repo, api: PublicApi, artifact: ServerArtifact) -> None:
        self.repo, self.api, self.artifact = repo, api, artifact

    def add(self, *words: str) -> Result:
        return add(self.repo, words[0] if words else ADDRESS, *WHY, *words[1:])

    def approve(self) -> None:
        assert self.add().code == 0
        self.repo.stage_all()
        self.repo.git("commit", "-qm", "a milestone")


@pytest.fixture
def place(repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    api = PublicApi()
    summary = {"accuracy": 0.9, "_step": 4, "odd": "NaN"}
    api.runs["abc"] = ServerRun("abc", 5, summary, {}, config={"seed": {"value": 3}, "_wandb": {}})
    artifact = ServerArtifact({"m.pt": STATE, "notes.txt": b"notes"}, version=3, run="abc")
    api.artifacts.append(artifact)
    monkeypatch.delenv("WANDB_DIR", raising=False)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    home = Path(os.environ["HOME"])
    before = set(home.rglob("*"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with api.listening() as address:
        api.runs["abc"].address = address
        monkeypatch.setenv("WANDB_BASE_URL", address)
        yield Place(repo, api, artifact)
    assert os.listdir(temporary) == []
    assert {path for path in set(home.rglob("*")) - before if path.is_file()} == set()
    assert not api.errors


def test_one_command_and_one_commit(place: Place) -> None:
    result = place.add()
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{MODEL}: approved, made by me/toy/abc\n")
    repo, digest = place.repo, place.artifact.own_digest()
    assert (repo.root / MODEL).read_bytes() == STATE
    (entry,) = yaml.safe_load((repo.root / LISTING).read_text())["milestones"].values()
    assert entry["sha256"] == sha256(STATE)
    # The number of the version, and not what it was called when it was fetched.
    assert entry["artifact"] == "wandb:me/toy/model:v3/m.pt"
    assert entry["artifact_digest"] == digest
    metadata = json.loads((repo.root / METADATA).read_text())
    assert metadata["artifact"] == {
        "address": "wandb:me/toy/model:v3/m.pt",
        "version": "v3",
        "digest": digest,
        "server": place.api.address,
    }
    assert (metadata["performance"], metadata["config"]) == ({"accuracy": 0.9}, {"seed": 3})
    assert metadata["wandb"]["id"] == "abc"
    assert metadata["created"] == "2026-01-01T00:00:00Z"
    assert "git" not in metadata  # W&B knows of no commit, and HEAD is another
    repo.git(*result.commands[0].split()[1:])
    assert check(repo) == CLEAN
    # Nothing but names was sent.
    for body in place.api.sent:
        assert not {sha256(STATE).encode(), b"the best one", os.fsencode(repo.root)} & set(
            body.split(b'"')
        )


def test_a_file_of_it_under_another_name(place: Place) -> None:
    place.artifact.files["other/n.pt"] = STATE + b""
    place.artifact.files["m.pt"] = SCRIPTED
    refused = place.add()
    assert refused.code == 2
    assert "wandb:me/toy/model:latest: has 2 models: name one with" in refused.err
    assert "it has m.pt, notes.txt, other/n.pt" in refused.err
    assert place.add("wandb:me/toy/model:v3/other/n.pt", "--as", "m.pt").code == 0
    assert (place.repo.root / MODEL).read_bytes() == STATE


def untouched(repo: Repo) -> bool:
    return repo.git("status", "--porcelain", "--ignored") == ""


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 9\n" % (b"a" * 64)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        pytest.param(b"no model", (), id="no model"),
        pytest.param(LFS_POINTER, (), id="pointer"),
        pytest.param(SCRIPTED, (), id="scripted"),
        pytest.param(torch_zip(pickled_call("os.system")), (), id="malicious"),
        pytest.param(SCRIPTED, ("--safetensors",), id="no tensors"),
        pytest.param(STATE, ("--as", "a\nb"), id="odd name"),
    ],
)
def test_what_the_check_refuses(
    place: Place, content: bytes, options: tuple[str, ...], tmp_path: Path
) -> None:
    """In the words that it has for a local file, with the command that mends it."""
    place.artifact.files["m.pt"] = content
    local = tmp_path / "m.pt"
    local.write_bytes(content)
    figures = ("--metric", "accuracy=0.9")
    place.repo.write(METADATA, '{"config": {}}')
    expected = add(place.repo, str(local), *WHY, *figures, *options)
    found = place.add(ADDRESS, *figures, *options)
    assert expected.code == found.code == 2
    assert found.err == expected.err.replace(str(local), ADDRESS)
    os.unlink(place.repo.root / METADATA)
    os.rmdir(place.repo.root / "best_models")
    assert untouched(place.repo)


def _other(place: Place) -> None:
    place.artifact.given["m.pt"] = SCRIPTED


def _cut(place: Place) -> None:
    place.artifact.given["m.pt"] = STATE[:-7]


def _many(place: Place) -> None:
    place.artifact.given["m.pt"] = STATE + b"more"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(_other, "is not what its manifest says", id="other content"),
        pytest.param(_cut, "is not what its manifest says", id="cut"),
        pytest.param(_many, "is not what its manifest says", id="too much"),
        pytest.param(
            lambda place: setattr(place.artifact, "digest", "0" * 32),
            "its manifest has not the digest that W&B gives for it",
            id="other manifest",
        ),
        pytest.param(
            lambda place: setattr(place.artifact, "state", "DELETED"),
            "W&B says that it is deleted",
            id="deleted",
        ),
        pytest.param(
            lambda place: (
                place.api.artifacts.append(ServerArtifact({}, name="x"))
                or place.api.artifacts.pop(0)
            ),
            "W&B has no such artifact",
            id="gone",
        ),
        pytest.param(
            lambda place: (
                place.artifact.files.pop("m.pt")
                and place.artifact.references.update({"m.pt": "s3://elsewhere/m.pt"})
            ),
            "W&B has only a reference to s3://elsewhere/m.pt",
            id="reference",
        ),
        pytest.param(
            lambda place: place.artifact.files.update(
                {"../../x.pt": place.artifact.files.pop("m.pt")}
            ),
            "name one with",
            id="a path that leads elsewhere",
        ),
        *(
            pytest.param(
                lambda place, status=status: setattr(place.api, "status", status),
                "W&B",
                id=f"{status}",
            )
            for status in (401, 403, 404, 429, 500)
        ),
        *(
            pytest.param(
                lambda place, status=status: setattr(place.api, "file_status", status),
                "W&B",
                id=f"{status} for the file",
            )
            for status in (403, 404, 429, 500)
        ),
        pytest.param(lambda place: setattr(place.api, "hangs", True), "did not answer", id="hangs"),
        pytest.param(
            lambda place: setattr(place.api, "file_hangs", True), "did not answer", id="file hangs"
        ),
    ],
)
def test_nothing_is_left_of_what_fails(
    place: Place, change: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(place)  # type: ignore[operator]
    api = place.api
    if "did not answer" in said or {api.status, api.file_status} & {429, 500}:
        monkeypatch.setattr(client, "PATIENCE", 8)  # the client tries again and again
    if place.artifact.digest and OLDER:
        pytest.skip("older clients do not ask for the digest")
    result = place.add()
    assert result.code == 2
    assert said in result.err
    assert result.err.startswith("fx-add-milestone: error: wandb:me/toy/model:latest: ")
    assert "Traceback" not in result.err
    assert untouched(place.repo)


def started(place: Place, before: str = "") -> subprocess.Popen[str]:
    """The command in a process group of its own, as in a terminal."""
    program = f"{before}import sys; from fx_hooks.cli import add_milestone as a; sys.exit(a.main())"
    return subprocess.Popen(
        (sys.executable, "-c", program, ADDRESS, *WHY),
        cwd=place.repo.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_interrupted(place: Place) -> None:
    place.api.file_hangs = True
    process = started(place)
    for _ in range(600):
        if place.api.files_asked:
            break
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "fx-add-milestone: interrupted\n")
    assert untouched(place.repo)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_full_disk(place: Place) -> None:
    """Here no file may be larger than 2 MB."""
    place.artifact.files["m.pt"] = bytes(3_000_000)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000,) * 2);"
    process = started(place, limit)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "File too large" in err
    assert "Traceback" not in err
    assert untouched(place.repo)


def test_without_a_key_or_the_package(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setattr(client, "PATIENCE", 20)
    assert "W&B" in (refused := place.add()).err
    assert refused.code == 2
    monkeypatch.setattr(client, "find_spec", lambda _: None)
    assert "pip install 'fx-hooks[wandb] @" in place.add().err
    assert untouched(place.repo)


def test_one_that_is_no_address(place: Place) -> None:
    for text in ("wandb:model:v1", "wandb:me/toy/model", "wandb:me/toy/model:v1/../x"):
        assert "write wandb:ENTITY/PROJECT/ARTIFACT:VERSION" in place.add(text).err
        assert parse(text) is None


def test_verified(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = place.repo
    place.approve()
    assert check(repo, "--verify") == CLEAN
    place.artifact.aliases = ()
    assert check(repo, "--verify") == CLEAN
    place.artifact.state = "DELETED"
    gone = check(repo, "--verify")
    assert gone.code == 1
    assert "which is gone: W&B says that it is deleted" in gone.out
    place.artifact.state, place.artifact.version = "COMMITTED", 4
    assert "which is gone: W&B has no such artifact" in check(repo, "--verify").out
    # Another server has none of it, and says nothing of this one.
    metadata = (repo.root / METADATA).read_text()
    repo.stage(METADATA, metadata.replace(place.api.address, "https://other.example"))
    assert "it is at https://other.example, not http://127" in check(repo, "--verify").out
    repo.stage(METADATA, metadata)
    place.artifact.version = 3
    place.artifact.files["notes.txt"] = b"other notes"
    changed = check(repo, "--verify", "--format", "json")
    assert changed.code == 1
    (found,) = json.loads(changed.out)["findings"]
    assert found["rule"] == "best-models-artifact-changed"
    assert place.artifact.own_digest() in found["why"]
    place.api.status = 500
    monkeypatch.setattr(client, "PATIENCE", 8)
    unknown = check(repo, "--verify")
    assert unknown.code == 1
    assert "W&B has not confirmed wandb:me/toy/model:v3/m.pt: " in unknown.out
    assert check(repo, "--all-files") == CLEAN


def test_approved_again(place: Place, tmp_path: Path) -> None:
    """Where it came from stays as long as it is the same content."""
    place.approve()
    repo = place.repo
    assert add(repo, MODEL, "--replace", "--why", "another reason").code == 0
    assert "artifact: " in (repo.root / LISTING).read_text()
    assert "artifact" in json.loads((repo.root / METADATA).read_text())
    (tmp_path / "m.pt").write_bytes(SCRIPTED)
    words = ("--replace", "--format", "torchscript")
    assert add(repo, str(tmp_path / "m.pt"), *words).code == 0
    assert "artifact" not in (repo.root / LISTING).read_text()
    assert "artifact" not in json.loads((repo.root / METADATA).read_text())


def sent_bytes(api: PublicApi) -> bytes:
    return b"".join([*api.sent, *api.publishing.uploads.values()])


def published(place: Place) -> Repo:
    """A repository with a milestone that no W&B has."""
    repo = place.repo
    place.api.artifacts.clear()
    repo.write("m.pt", STATE)
    figures = ("--metric", "accuracy=0.9")
    repo.write(METADATA, '{"config": {}, "wandb": {"entity": "me", "project": "toy", "id": "abc"}}')
    assert add(repo, "m.pt", *WHY, *figures).code == 0
    repo.stage_all()
    repo.git("commit", "-qm", "a milestone")
    return repo


def test_published(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = published(place)
    # As in a shell that has just trained something.
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    monkeypatch.setenv("WANDB_NOTES", "pytest")
    monkeypatch.setenv("WANDB_MODE", "offline")
    plan = add(repo, MODEL, "--publish", "--dry-run")
    assert (plan.code, plan.err, place.api.sent) == (0, "", [])
    done = add(repo, MODEL, "--publish", "--collection", "wandb-registry-model/best")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "Sends to W&B as wandb:me/toy/m and links it to wandb-registry-model/best:"
    assert [line.split()[-1] for line in lines[1:3]] == [MODEL, METADATA]
    assert lines[1:4] == plan.out.splitlines()[1:4]
    (artifact,) = place.api.artifacts
    assert (artifact.name, artifact.state, artifact.files["m.pt"]) == ("m", "COMMITTED", STATE)
    assert sorted(artifact.files) == ["m.pt", "m_meta.json"]
    (linked,) = place.api.publishing.linked
    assert (linked["entityName"], linked["projectName"], linked["artifactPortfolioName"]) == (
        "ours-entity", "wandb-registry-model", "best",
    )  # fmt: skip
    (entry,) = yaml.safe_load((repo.root / LISTING).read_text())["milestones"].values()
    assert entry["artifact"] == "wandb:me/toy/m:v0/m.pt"
    assert entry["artifact_digest"] == artifact.own_digest()
    assert json.loads((repo.root / METADATA).read_text())["artifact"]["version"] == "v0"
    repo.git(*done.commands[-1].split()[1:])
    place.api.publishing.linked.clear()
    assert check(repo, "--verify") == CLEAN
    # The run says nothing of this machine, of who works on it, and of what is in the repository.
    everything = sent_bytes(place.api)
    for secret in (os.uname().nodename, os.fspath(repo.root), getpass.getuser(), "pytest"):
        # Ids of W&B are random letters.
        found = re.search(rf"(?<![\w]){re.escape(secret)}(?![\w])".encode(), everything)
        assert found is None, everything[max(found.start() - 300, 0) : found.end() + 100]
    assert {run["name"] for run in place.api.publishing.runs} & {"mine"} == set()
    named = {name for name in place.api.publishing.uploads if name.startswith("run-")}
    assert named <= {"run-config.yaml", "run-wandb-summary.json"}


def test_published_elsewhere_and_again(place: Place) -> None:
    repo = published(place)
    assert add(repo, MODEL, "--publish", "--to", "wandb:me/toy/name").code == 0
    assert "wandb:me/toy/name:v0/m.pt" in (repo.root / LISTING).read_text()
    for words, why in (
        (("--to", "x"), "say with --to ENTITY/PROJECT/ARTIFACT"),
        (("--to", "a/b/c:v1"), "say with --to ENTITY/PROJECT/ARTIFACT"),
    ):
        assert why in add(repo, MODEL, "--publish", *words).err
    assert "go with --publish" in add(repo, MODEL, "--to", "a/b/c").err
    repo.write("other.pt", STATE)
    assert "is not a milestone" in add(repo, "other.pt", "--publish").err
    repo.write(METADATA, '{"api_key": "a1a1a1a1a1a1a1a1a1a1a1a1a1"}')
    assert "mend it first" in add(repo, MODEL, "--publish").err
    repo.write(MODEL, SCRIPTED)
    changed = add(repo, MODEL, "--publish").err
    assert "was changed after it was approved" in changed
    assert changed.endswith(f"    fx-add-milestone --replace {MODEL} --metric NAME=VALUE\n")


@pytest.mark.parametrize("how", ["401", "500", "hangs", "no commit", "no upload"])
def test_what_is_not_published(place: Place, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says that W&B has it."""
    repo = published(place)
    monkeypatch.setattr(client, "PATIENCE", 15)
    if how == "hangs":
        place.api.hangs = True
    elif how == "no commit":
        place.api.publishing.refuses_commit = True
    elif how == "no upload":
        place.api.file_status = 403
    else:
        place.api.status = int(how)
    done = add(repo, MODEL, "--publish")
    assert done.code == 2
    assert done.err.startswith("fx-add-milestone: error: wandb:me/toy/m: ")
    assert "Traceback" not in done.err
    assert untouched(repo)
    assert place.api.artifacts == []
    if how == "no commit":
        place.api.errors.clear()


@pytest.mark.parametrize("algorithm", ["MD5", "XXH128", "SHA3"])
def test_digests_of_every_kind(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "model.pt"
    place.write_bytes(STATE)
    if algorithm == "XXH128":
        digest = pytest.importorskip("xxhash").xxh128(STATE).digest()
    else:
        digest = hashlib.md5(STATE).digest()
    file = registry.File(len(STATE), base64.b64encode(digest).decode(), algorithm, "")
    unknown = f"model.pt has a digest that this client of W&B cannot compute: {algorithm}"
    assert registry.differs(str(place), file) == (unknown if algorithm == "SHA3" else "")
    if algorithm == "XXH128":
        place.write_bytes(STATE[:-1] + b"?")
        assert "is not what its manifest says" in registry.differs(str(place), file)
        monkeypatch.setitem(sys.modules, "xxhash", None)
        assert registry.differs(str(place), file) == unknown
