"""A run is found wherever it is, through the real command."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fx_hooks.cli import add_milestone, archive_runs, clean_runs, show_run
from tests.run_trees import write
from tests.support import SCRIPT, Repo, working_directory
from tests.test_kept_runs import JOB, ago
from tests.wandb_records import field, item, log
from tests.weight_files import torch_zip

SETTINGS = """\
hydra:
  overrides: {task: [lr=0.1, "name=a b"]}
  job: {name: train, config_name: config}
  runtime: {cwd: CWD, output_dir: CWD/outputs/2026-01-05/10-00-00}
"""


pytestmark = pytest.mark.usefixtures("no_processes")


@pytest.fixture
def job(repo: Repo) -> Path:
    repo.stage("train.py", "print('trained')\n")
    repo.commit()
    settings = SETTINGS.replace("CWD", repo.root.as_posix())
    then = ago(40)
    for name, text in (
        (".hydra/config.yaml", "lr: 0.1\nname: a b\n"),
        (".hydra/overrides.yaml", "- lr=0.1\n- name=a b\n"),
        (".hydra/hydra.yaml", settings),
        ("train.log", "epoch 1\n"),
    ):
        write(repo.root / JOB / name, text, mtime=then)
    write(repo.root / JOB / "model.pt", torch_file(), mtime=then)
    return repo.root / JOB


def torch_file() -> bytes:
    return torch_zip(pickle.dumps({"weight": [0.5]}, protocol=2))


def wandb_run(folder: Path) -> Path:
    place = folder / "wandb" / "run-20260105_100001-abc"
    run = field(1, "abc") + field(2, "team") + field(3, "toy") + field(21, field(2, "c0ffee"))
    content = log(field(17, run), field(3, item("val/acc", 0.9)))
    write(place / "run-abc.wandb", content, mtime=ago(40))
    write(place / "files" / "wandb-summary.json", '{"loss": NaN}', mtime=ago(40))
    return place


def show(
    repo: Repo, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0, at: str = "."
) -> str:
    capsys.readouterr()
    with working_directory(repo.root / at):
        assert show_run.main(arguments) == code
    output = capsys.readouterr()
    return output.err if code else output.out


def record(
    repo: Repo, capsys: pytest.CaptureFixture[str], *arguments: str, at: str = "."
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        show(repo, capsys, *arguments, "--format", "json", at=at), parse_constant=pytest.fail
    )
    return found


def test_a_run_on_disk(repo: Repo, job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wandb_run(job)
    found = record(repo, capsys, JOB)
    assert found == record(repo, capsys, f"{JOB}/model.pt")
    assert (found["path"], found["kind"], found["on_disk"]) == (JOB, "Hydra job", True)
    assert found["config"] == {"lr": 0.1, "name": "a b"}
    assert found["overrides"] == ["lr=0.1", "name=a b"]
    assert (found["metrics"], found["commit"]) == ({"val/acc": 0.9, "loss": "nan"}, "c0ffee")
    assert found["wandb"]["url"] == "https://wandb.ai/team/toy/runs/abc"
    assert found["runs"] == [f"{JOB}/wandb/run-20260105_100001-abc"]
    assert found["command"] == ["python", "train.py", "--config-name=config", "lr=0.1", "name=a b"]
    text = show(repo, capsys, JOB)
    for word in ("on disk", "https://wandb.ai/team/toy/runs/abc", "val/acc 0.9", "  lr: 0.1"):
        assert word in text


def test_a_server_of_ones_own(
    repo: Repo, job: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb_run(job)
    for base, host in (
        ("https://wandb.example.org/", "https://wandb.example.org"),
        ("https://api.wandb.ai", "https://wandb.ai"),
    ):
        monkeypatch.setenv("WANDB_BASE_URL", base)
        assert record(repo, capsys, JOB)["wandb"]["url"] == f"{host}/team/toy/runs/abc"


@pytest.mark.skipif(sys.platform == "win32", reason="commands are for a POSIX shell")
@pytest.mark.parametrize("at", [".", "src"])
def test_the_command_runs(
    repo: Repo,
    job: Path,
    capsys: pytest.CaptureFixture[str],
    at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As where an environment is activated; Debian has no `python` otherwise.
    monkeypatch.setenv("PATH", f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}")
    (repo.root / "src").mkdir()
    text = show(repo, capsys, os.path.relpath(job, repo.root / at), at=at)
    command = text.partition("Run it again:\n")[2].strip()
    done = subprocess.run(
        ("sh", "-c", command), cwd=repo.root / at, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), (command, done.stderr)


@pytest.mark.usefixtures("job")
def test_programs_in_folders(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.git("rm", "-q", "train.py")
    assert record(repo, capsys, JOB)["command"] == []
    repo.stage("src/train.py", "")
    assert record(repo, capsys, JOB)["command"][1] == "src/train.py"
    repo.stage("lib/train.py", "")
    assert record(repo, capsys, JOB)["command"] == [], "it may be the one or the other"
    assert "Run it again" not in show(repo, capsys, JOB)


def test_a_run_in_an_archive(
    repo: Repo, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wandb_run(job)
    before = record(repo, capsys, JOB)
    place = tmp_path / "old.tar.gz"
    with working_directory(repo.root):
        clean = ("--yes", "--accept-unproven", JOB, "--archive", str(place), JOB)
        assert clean_runs.main(clean) == 0
    assert not job.exists()
    found = record(repo, capsys, JOB)
    assert (found["on_disk"], found["archives"]) == (False, [str(place)])
    assert found["deleted"]
    for key in (
        "config",
        "overrides",
        "metrics",
        "commit",
        "wandb",
        "command",
        "directory",
        "kind",
    ):
        assert found[key] == before[key], key
    inner = record(repo, capsys, before["runs"][0])
    assert (inner["kind"], inner["wandb"]) == ("W&B run", before["wandb"])
    assert "old.tar.gz" in show(repo, capsys, JOB)
    # Without its log only who names the archive finds it; and what is broken is said.
    os.unlink(repo.root / ".git" / "fx-hooks.deleted.jsonl")
    assert "is neither a run nor" in show(repo, capsys, JOB, code=2)
    assert record(repo, capsys, JOB, "--archive", str(place))["archives"] == [str(place)]
    shutil.copy(place, repo.root)
    shutil.copy(f"{place}.manifest.json", repo.root)
    assert record(repo, capsys, JOB)["archives"] == [str(repo.root / "old.tar.gz")]
    (repo.root / "old.tar.gz").write_bytes(b"half")
    assert "old.tar.gz" in show(repo, capsys, JOB, code=2)


@pytest.mark.usefixtures("job")
def test_a_run_that_was_deleted(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    with working_directory(repo.root):
        assert clean_runs.main(("--yes", JOB)) == 0
    found = record(repo, capsys, JOB)
    assert (found["kind"], found["on_disk"], found["archives"]) == ("Hydra job", False, [])
    assert "deleted by fx-clean-runs on 20" in show(repo, capsys, JOB)


@pytest.mark.parametrize("name", ["best_models/a.pt", "best_models/a_meta.json"])
@pytest.mark.parametrize("then", ["there", "moved", "archived", "gone"])
def test_the_run_of_a_milestone(
    repo: Repo, job: Path, capsys: pytest.CaptureFixture[str], name: str, then: str
) -> None:
    wandb_run(job)
    with working_directory(repo.root):
        model = f"{JOB}/model.pt"
        assert (
            add_milestone.main((model, "--as", "a.pt", "--why", "best", "--metric", "acc=1")) == 0
        )
        if then == "archived":
            assert archive_runs.main((JOB, "old.tar.gz")) == 0
    expected = JOB
    if then == "moved":
        expected = "outputs/kept/10-00-00"
        (repo.root / expected).parent.mkdir()
        job.rename(repo.root / expected)
    elif then != "there":
        shutil.rmtree(job)
    found = record(repo, capsys, name)
    assert (found["path"], found["on_disk"]) == (expected, then in ("there", "moved"))
    assert found["archives"] == ([str(repo.root / "old.tar.gz")] if then == "archived" else [])
    assert found["config"]["lr"] == 0.1
    assert found["overrides"] == ["lr=0.1", "name=a b"]
    assert found["milestones"] == [name]
    assert ("in no archive" in show(repo, capsys, name)) is (then == "gone")


@pytest.mark.usefixtures("job")
def test_the_run_of_a_milestone_of_a_project(
    repo: Repo, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".fx-hooks.yaml", "projects: [packages/*]\n")
    run = f"packages/ml/{JOB}"
    write(repo.root / run / ".hydra/config.yaml", "lr: 0.1\n", mtime=ago(40))
    write(repo.root / run / "model.pt", torch_file(), mtime=ago(40))
    place = "packages/ml/best_models/first.pt"
    with working_directory(repo.root / "packages/ml"):
        options = ("--as", "first", "--why", "x", "--metric", "acc=0.9")
        assert add_milestone.main((f"{JOB}/model.pt", *options)) == 0
    found = [
        record(repo, capsys, place),
        record(repo, capsys, place.replace(".pt", "_meta.json")),
        record(repo, capsys, "best_models/first.pt", at="packages/ml"),
        record(repo, capsys, run),
    ]
    for one in found:
        assert (one["path"], one["milestones"][0][:20]) == (run, "packages/ml/best_mod")
    shutil.rmtree(repo.root / run)
    gone = record(repo, capsys, place)
    assert (gone["path"], gone["on_disk"], gone["config"]) == (run, False, {"lr": 0.1})


def test_a_configuration_that_contains_itself(
    repo: Repo, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.stage("conf/config.yaml", "dir: &a {b: *a}\n")
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    repo.stage("conf/laughs.yaml", f"dir: &l0 x\n{laughs}")
    deep = "".join(f"d{n}: &d{n} {'[' * 15}*d{n - 1}{']' * 15}\n" for n in range(1, 99))
    for text in ("a: &a [*a]\n", "a: &a {b: *a}\n", f"d0: &d0 x\n{deep}"):
        write(job / ".hydra/config.yaml", text, mtime=ago(40))
        assert record(repo, capsys, JOB)["config"] is None


def test_half_of_a_pair_of_surrogates(
    repo: Repo, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No path has one, but JSON may."""
    noted = wandb_run(job) / "files/wandb-metadata.json"
    write(noted, '{"codePath": "train.py", "args": ["a=\\ud800"]}', mtime=ago(40))
    shutil.rmtree(job / ".hydra")
    archive = str(tmp_path / "a.tar.gz")
    run_ = os.path.relpath(noted.parent.parent, repo.root)
    with working_directory(repo.root):
        assert archive_runs.main([run_, archive]) == 0
    for more in ((), ("--archive", archive)):
        assert record(repo, capsys, run_, *more)["command"] == ["python", "train.py", "a=\ud800"]
        assert "Run it again" in show(repo, capsys, run_, *more)
    repo.write("best_models/m_meta.json", '{"run": {"path": "\\ud800"}}')
    assert record(repo, capsys, "best_models/m.pt")["path"] == "\udced\udca0\udc80"
    repo.write(".git/fx-hooks.deleted.jsonl", '{"path": "\\ud800", "run_id": "xyz"}\n')
    repo.write("best_models/m_meta.json", '{"wandb": {"id": "xyz"}}')
    assert "not on disk" in show(repo, capsys, "best_models/m.pt")


def test_what_is_no_run(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.write("best_models/b_meta.json", "{")
    repo.write("best_models/c.pt", torch_file())
    for name, why in (
        ("train.py", "is neither a run nor a milestone"),
        ("gone", "is neither a run nor a milestone"),
        ("best_models/c.pt", "is neither a run nor a milestone"),
        ("best_models/b.pt", "best_models/b_meta.json: cannot be read"),
        ("..", "outside the repository"),
    ):
        assert why in show(repo, capsys, name, code=2), name


@pytest.mark.usefixtures("job")
def test_odd_logs(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    place = repo.root / ".git" / "fx-hooks.deleted.jsonl"
    place.write_text('{"path": 1}\n[]\nx\n{"path": "outputs/x", "run_id": 3, "archive": 7}\n')
    assert record(repo, capsys, "outputs/x")["kind"] is None
    place.unlink()
    place.mkdir()
    assert "cannot be read" in show(repo, capsys, JOB, code=2)


def test_names_say_nothing_to_a_forge(
    repo: Repo, job: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(job / ".hydra" / "overrides.yaml", '- "::error::x"\n- "\\e[31m"\n', mtime=ago(40))
    write(job / ".hydra" / "config.yaml", '"::error::x": "##[error]"\n', mtime=ago(40))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    text = show(repo, capsys, JOB)
    assert text.startswith("::stop-commands::")
    assert "\x1b" not in text
