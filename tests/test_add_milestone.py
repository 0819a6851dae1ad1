"""fx-add-milestone: what it writes, and what it refuses before it writes anything."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fx_hooks import sync_gitignore
from fx_hooks.cli import add_milestone
from fx_hooks.weights.content import inspect
from tests.contract_support import (
    LISTING,
    META,
    METADATA,
    MODEL,
    MODULE,
    SCRIPTED,
    STATE,
    WEIGHTS,
    add,
    approve,
    check,
    pointer,
    sha256,
)
from tests.faults import Work, killed_at_every_step, needs_fork
from tests.support import CLEAN, Repo, Result, run
from tests.weight_files import malicious

SCRIPTS = Path(sys.executable).parent
RUN = "outputs/2024-01-31/23-59-58"


@pytest.fixture
def ran(repo: Repo) -> Repo:
    """A repository with one Hydra run."""
    repo.write(f"{RUN}/.hydra/config.yaml", "seed: 0\nlr: 1e-3\nday: 2024-01-31\nnone: null\n")
    repo.write(f"{RUN}/.hydra/overrides.yaml", "- seed=0\n")
    repo.write(f"{RUN}/checkpoints/m.pt", STATE)
    return repo


FILE = f"{RUN}/checkpoints/m.pt"
FIGURE = ("--metric", "accuracy=0.9")


def written(repo: Repo, path: str = METADATA) -> dict[str, object]:
    value: dict[str, object] = json.loads((repo.root / path).read_text("utf-8"))
    return value


def test_a_run(ran: Repo) -> None:
    result = add(ran, FILE, "--why", "the  first", *FIGURE, "--metric", "steps=3")
    assert (result.code, result.err) == (0, "")
    assert (ran.root / MODEL).read_bytes() == STATE
    (entry,) = yaml.safe_load((ran.root / LISTING).read_text())["milestones"].items()
    assert entry[0] == MODEL
    assert entry[1]["sha256"] == sha256(STATE)
    assert (entry[1]["why"], entry[1]["format"]) == ("the first", "torch")
    value = written(ran)
    assert value["performance"] == {"accuracy": 0.9, "steps": 3}
    assert value["config"] == {"seed": 0, "lr": 0.001, "day": "2024-01-31", "none": None}
    assert value["hydra"] == {"overrides": ["seed=0"]}
    assert value["git"] == {"commit": ran.git("rev-parse", "HEAD").strip()}
    ran.git(*result.commands[0].split()[1:])
    assert check(ran) == CLEAN
    assert os.stat(ran.root / MODEL).st_mode & 0o777 == 0o644


@pytest.mark.slow
@needs_fork
def test_an_interruption_is_made_up_for(ran: Repo, tmp_path: Path) -> None:
    ran.write(".gitattributes", "*.txt text\n")
    (ran.root / ".gitattributes").chmod(0o600)
    kept = tmp_path / "kept"
    shutil.copytree(ran.root, kept)
    before = set(ran.on_disk())

    def prepare() -> Work:
        shutil.rmtree(ran.root)
        shutil.copytree(kept, ran.root)
        return lambda: add(ran, FILE, "--why", "x", *FIGURE, "--lfs").code

    for outcome in killed_at_every_step(prepare):
        again = add(ran, FILE, "--why", "x", *FIGURE, "--lfs")
        if again.code:
            assert "is listed in best_models/milestones.yaml" in again.err, outcome
        new = {os.path.relpath(os.fsdecode(path), ran.root) for path in set(ran.on_disk()) - before}
        assert new == {LISTING, METADATA, MODEL}
        assert (ran.root / ".gitattributes").stat().st_mode & 0o777 == 0o600
    assert outcome.code == 0


@pytest.mark.parametrize("seconds", [-(10**11), 10**15])
def test_a_model_of_no_time(ran: Repo, seconds: int) -> None:
    if not os.path.isdir("/dev/shm"):
        pytest.skip("other file systems keep no such time")
    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".pt") as file:
        file.write(STATE)
        file.flush()
        os.utime(file.name, (0, seconds))
        said = add(ran, file.name, "--why", "x", *FIGURE)
    assert said.err == (
        f"fx-add-milestone: error: {file.name}: no calendar has the time of this file: touch it"
        " first\n"
    )


def test_what_is_configured_counts_before_what_is_composed(ran: Repo) -> None:
    ran.write(f"{RUN}/config_used.yaml", f"data: {ran.root}/data\nhome: /home/somebody/x\n")
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    assert written(ran)["config"] == {"data": "data", "home": "~/x"}


def test_secrets_stay_out(ran: Repo) -> None:
    ran.write(f"{RUN}/config_used.yaml", f"api_key: {'a1' * 20}\nhost: gpu17\nnan: .nan\n")
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    expected = {"api_key": "<redacted>", "host": "<redacted>", "nan": ".nan"}
    assert written(ran)["config"] == expected
    ran.stage_all()
    assert check(ran, "--all-files") == CLEAN


def test_existing_metadata_is_kept_and_completed(ran: Repo) -> None:
    ran.write(METADATA, '{"note": "mine", "performance": {"f1": 1}, "config": {"mine": true}}')
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    value = written(ran)
    assert list(value)[-3:] != ["note"]
    assert (value["note"], value["config"]) == ("mine", {"mine": True})
    assert value["performance"] == {"f1": 1, "accuracy": 0.9}
    assert value["sha256"] == sha256(STATE)


def test_a_file_that_is_there_already(repo: Repo) -> None:
    repo.write(MODEL, STATE)
    repo.write(METADATA, META)
    assert add(repo, MODEL, "--why", "x").code == 0
    repo.stage_all()
    assert check(repo) == CLEAN


def test_from_a_subfolder_and_from_elsewhere(ran: Repo, tmp_path: Path) -> None:
    assert add(ran, "m.pt", "--why", "x", *FIGURE, cwd=f"{RUN}/checkpoints").code == 0
    outside = tmp_path / "elsewhere.pt"
    outside.write_bytes(STATE)
    ran.write("best_models/sub/n_meta.json", META)
    assert add(ran, str(outside), "--why", "x", "--as", "sub/n").code == 0
    assert (ran.root / "best_models/sub/n.pt").read_bytes() == STATE


def test_replace(ran: Repo) -> None:
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    again = add(ran, FILE, "--why", "y", *FIGURE)
    assert "is listed in best_models/milestones.yaml: approve it again with --replace" in again.err
    changed = STATE[:700] + bytes([STATE[700] ^ 1]) + STATE[701:]
    ran.write(MODEL, changed)
    assert add(ran, MODEL, "--replace").code == 0
    (entry,) = yaml.safe_load((ran.root / LISTING).read_text())["milestones"].values()
    assert (entry["sha256"], entry["why"]) == (sha256(changed), "x")
    assert written(ran)["sha256"] == sha256(changed)
    assert add(ran, FILE, "--replace").code == 0
    assert (ran.root / MODEL).read_bytes() == STATE


CHANGED = STATE[:700] + bytes([STATE[700] ^ 1]) + STATE[701:]
OLD_FIGURES = f"""\
The figures in {METADATA} are those of the old file. Give new ones:
    fx-add-milestone --replace {MODEL} --metric NAME=VALUE
"""


def test_figures_of_the_file_before_are_called_so(ran: Repo) -> None:
    assert add(ran, FILE, "--why", "x", *FIGURE, "--metric", "f1=1").code == 0
    ran.stage_all()
    ran.commit()
    first = written(ran)
    ran.commit()
    ran.write(MODEL, CHANGED)
    os.utime(ran.root / MODEL, (1_600_000_000, 1_600_000_000))
    dry = add(ran, MODEL, "--replace", "--dry-run")
    for result in (dry, add(ran, MODEL, "--replace"), add(ran, MODEL, "--replace")):
        assert result.code == 0
        assert result.out.endswith(OLD_FIGURES)
    value = written(ran)
    assert (value["performance"], value["config"]) == (first["performance"], first["config"])
    assert (value["sha256"], value["performance_sha256"]) == (sha256(CHANGED), sha256(STATE))
    assert value["created"] == "2020-09-13T12:26:40Z"
    assert "git" in first
    assert "git" not in value  # the reflog does not go back to 2020
    ran.stage_all()
    assert check(ran) == CLEAN
    result = add(ran, MODEL, "--replace", "--metric", "accuracy=0.8")
    assert (result.code, "file before" in result.out) == (0, False)
    assert written(ran)["performance"] == {"accuracy": 0.8}
    assert "performance_sha256" not in written(ran)


@pytest.mark.parametrize("reflog", [True, False])
def test_the_commit_is_that_of_the_time_of_the_model(
    ran: Repo, monkeypatch: pytest.MonkeyPatch, reflog: bool
) -> None:
    """What was committed since did not make it; without a reflog nobody knows."""
    now = int(time.time())
    commits = []
    for ago in (300, 100):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{now - ago} +0000")
        ran.git("commit", "-q", "--allow-empty", "-m", "code")
        commits.append(ran.git("rev-parse", "HEAD").strip())
    os.utime(ran.root / FILE, (now - 200, now - 200))
    if not reflog:
        shutil.rmtree(ran.git_directory / "logs")
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    assert written(ran).get("git") == ({"commit": commits[0]} if reflog else None)


def test_figures_that_somebody_has_written_since_are_of_the_new_file(ran: Repo) -> None:
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    ran.stage_all()
    ran.commit()
    ran.write(MODEL, CHANGED)
    ran.write(METADATA, json.dumps({**written(ran), "performance": {"accuracy": 0.7}}))
    result = add(ran, MODEL, "--replace")
    assert (result.code, "file before" in result.out) == (0, False)
    assert written(ran)["performance"] == {"accuracy": 0.7}


def test_another_run_says_all_anew(ran: Repo) -> None:
    other = "outputs/2024-02-01/10-00-00"
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    ran.write(METADATA, json.dumps({**written(ran), "wandb": {"id": "old"}, "note": "mine"}))
    ran.write(f"{other}/.hydra/config.yaml", "seed: 1\n")
    ran.write(f"{other}/m.pt", CHANGED)
    result = add(ran, f"{other}/m.pt", "--replace", "--metric", "accuracy=0.8")
    assert (result.code, "file before" in result.out) == (0, False)
    value = written(ran)
    assert (value["performance"], value["config"]) == ({"accuracy": 0.8}, {"seed": 1})
    assert (value["note"], "wandb" in value, "hydra" in value) == ("mine", False, False)
    assert value["run"] == {"path": other, "checkpoint": f"{other}/m.pt"}


@pytest.mark.parametrize("from_digest", [False, True])
def test_metadata_without_a_digest(repo: Repo, from_digest: bool) -> None:
    approve(repo)
    repo.commit()
    repo.write(MODEL, CHANGED if from_digest else STATE)
    result = add(repo, MODEL, "--replace")
    assert (result.code, result.out.endswith(OLD_FIGURES)) == (0, from_digest)


def test_what_is_missing_is_asked_for_with_the_whole_command(ran: Repo) -> None:
    refused = add(ran, FILE)
    head, command = refused.err.splitlines()
    assert f"{FILE}: has no reason" in head
    assert command == f"    fx-add-milestone {FILE} --why TEXT --metric NAME=VALUE"
    done = add(ran, *command.replace("NAME=VALUE", "f1=1").split()[1:])
    assert done.code == 0
    ran.write("deep/x.pt", STATE)
    refused = add(ran, "x.pt", "--why", "x", cwd="deep")
    head, command = refused.err.splitlines()
    assert "write ../best_models/x_meta.json, such as" in head
    example = head.partition("such as ")[2].partition(", then")[0]
    ran.write("best_models/x_meta.json", example)
    assert add(ran, *command.replace("=VALUE", "=1").split()[1:], cwd="deep").code == 0


def test_an_entry_that_says_too_little_is_mended(ran: Repo) -> None:
    ran.write(LISTING, f"milestones:\n  {MODEL}:\n    why: old\n")
    assert "no reason" in add(ran, FILE, "--replace", *FIGURE).err
    assert add(ran, FILE, "--replace", "--why", "new", *FIGURE).code == 0
    ran.stage_all()
    assert check(ran, "--all-files") == CLEAN
    ran.write(
        LISTING, f"milestones:\n  best_models/x.pt:\n    why: old\n  {MODEL}:\n    why: old\n"
    )
    refused = add(ran, FILE, "--replace", "--why", "x", *FIGURE)
    assert "best_models/x.pt: has no 'sha256'" in refused.err
    assert refused.err.endswith("\n    fx-add-milestone --replace best_models/x.pt --why TEXT\n")
    ran.write(LISTING, b"\xff")
    assert "is not UTF-8" in add(ran, FILE, "--why", "x").err


def test_what_an_entry_allows_is_kept(ran: Repo) -> None:
    ran.write(FILE, MODULE)
    refused = add(ran, FILE, "--why", "x", *FIGURE)
    assert "needs torch.nn.modules.linear.Linear, which torch.load(weights_only" in refused.err
    assert "Best: save model.state_dict(). If you trust the file:\n" in refused.err
    assert refused.err.endswith(
        f"    fx-add-milestone {FILE} --why x --metric accuracy=0.9"
        " --allow-global torch.nn.modules.linear.Linear\n"
    )
    allow = ("--allow-global", "torch.nn.modules.linear.Linear")
    assert add(ran, FILE, "--why", "x", *FIGURE, *allow).code == 0
    ran.write(MODEL, MODULE)
    assert add(ran, MODEL, "--replace").code == 0
    ran.stage_all()
    assert check(ran, "--all-files") == CLEAN


def test_torchscript_is_named(ran: Repo) -> None:
    ran.write(FILE, SCRIPTED)
    refused = add(ran, FILE, "--why", "x", *FIGURE)
    assert refused.code == 2
    assert refused.err.endswith(
        f"    fx-add-milestone {FILE} --why x --metric accuracy=0.9 --format torchscript\n"
    )
    assert not (ran.root / MODEL).exists()
    assert add(ran, FILE, "--why", "x", *FIGURE, "--format", "pt2").code == 2
    assert add(ran, FILE, "--why", "x", *FIGURE, "--format", "torchscript").code == 0
    assert "format: torchscript" in (ran.root / LISTING).read_text()
    # Whoever said so once need not say it again.
    assert add(ran, FILE, "--replace", *FIGURE).code == 0
    assert "format: torchscript" in (ran.root / LISTING).read_text()


def test_safetensors(ran: Repo) -> None:
    result = add(ran, FILE, "--why", "x", *FIGURE, "--safetensors")
    assert (result.code, result.err) == (0, "")
    ran.git(*result.commands[0].split()[1:])
    assert check(ran, "--all-files") == CLEAN
    assert not (ran.root / MODEL).exists()
    content = (ran.root / "best_models/m.safetensors").read_bytes()
    assert inspect(io.BytesIO(content)).parameters == inspect(io.BytesIO(STATE)).parameters
    assert written(ran)["format"] == "safetensors"
    ran.write(FILE, SCRIPTED)
    refused = add(ran, FILE, "--why", "x", *FIGURE, "--safetensors", "--as", "other")
    assert "is not a file that torch.save wrote" in refused.err


@pytest.mark.parametrize("name", ["best.pth.tar", "pytorch_model.bin"])
def test_other_names_of_torch_files(ran: Repo, name: str) -> None:
    ran.write(f"{RUN}/{name}", STATE)
    result = add(ran, f"{RUN}/{name}", "--why", "x", *FIGURE)
    assert result.code == 0
    ran.git(*result.commands[0].split()[1:])
    assert check(ran, "--all-files") == CLEAN


def test_lfs(ran: Repo) -> None:
    ran.write(".gitattributes", "*.bin -text")
    assert add(ran, FILE, "--why", "x", *FIGURE, "--lfs", "--as", "a [b].pt").code == 0
    assert (ran.root / ".gitattributes").read_text() == (
        "*.bin -text\n/best_models/a[[:space:]]\\[b].pt filter=lfs diff=lfs merge=lfs -text\n"
    )
    assert "lfs" in ran.git("check-attr", "filter", "--", "best_models/a [b].pt")
    before = (ran.root / ".gitattributes").read_text()
    assert add(ran, FILE, "--replace", "--why", "x", *FIGURE, "--lfs", "--as", "a [b].pt").code == 0
    assert (ran.root / ".gitattributes").read_text() == before


def test_dry_run(ran: Repo) -> None:
    before = ran.on_disk()
    result = add(ran, FILE, "--why", "x", *FIGURE, "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert '"accuracy": 0.9' in result.out
    assert "why: x" in result.out
    assert ran.on_disk() == before


REFUSED: list[tuple[str, Callable[[Repo], object], tuple[str, ...], str]] = [
    ("no-why", lambda _: 0, (FILE, *FIGURE), "no reason: say with --why"),
    ("no-file", lambda _: 0, ("missing.pt", "--why", "x"), "missing.pt: cannot be read"),
    ("folder", lambda _: 0, (RUN, "--why", "x", "--as", "x.pt"), "is a folder: name"),
    ("plain-folder", lambda _: 0, (RUN, "--why", "x"), f"{RUN}: is a folder: name the model"),
    (
        "text", lambda r: r.write("readme.txt", "text\n"), ("readme.txt", "--why", "x"),
        "error: readme.txt: is not a model file, but text",
    ),
    (
        "empty", lambda r: r.write("e.pt", b""), ("e.pt", "--why", "x"),
        "error: e.pt: is not a model file, but empty",
    ),
    (
        "no-figures", lambda _: 0, (FILE, "--why", "x"),
        f"error: {FILE}: comes from the run {RUN}, which logged no metric: add --metric",
    ),
    (
        "no-run", lambda r: r.write("x.pt", STATE), ("x.pt", "--why", "x"),
        'x.pt: lies in no run that has a config: write best_models/x_meta.json, such as {"config":',
    ),
    ("bad-metric", lambda _: 0, (FILE, "--why", "x", "--metric", "a"), "write NAME=VALUE"),
    ("nan", lambda _: 0, (FILE, "--why", "x", "--metric", "a=nan"), "write NAME=VALUE"),
    ("name", lambda _: 0, (FILE, "--why", "x", "--as", "../x.pt"), "choose a plain name"),
    (
        "suffix", lambda r: r.write("x.bin", STATE), ("x.bin", "--why", "x"),
        "error: x.bin: a milestone is called",
    ),
    ("taken", lambda r: r.write(MODEL, b"x"), (FILE, "--why", "x", *FIGURE), "is there already"),
    (
        "rubbish", lambda r: r.write(FILE, b"\0" * 99), (FILE, "--why", "x", *FIGURE),
        "is in none of the formats",
    ),
    (
        "malicious", lambda r: r.write(FILE, malicious()["zip-os-system"]),
        (FILE, "--why", "x", *FIGURE), "(imports os.system), which no option allows",
    ),
    ("alias", lambda r: r.link(MODEL, f"../{FILE}"), (MODEL, "--why", "x"), "is a symbolic link"),
    (
        "pointer", lambda r: r.write(FILE, pointer(STATE)), (FILE, "--why", "x", *FIGURE),
        "is a Git LFS pointer",
    ),
    (
        "metadata", lambda r: r.write(METADATA, "{"), (FILE, "--why", "x", *FIGURE),
        "is not JSON",
    ),
    (
        "other-metadata", lambda r: r.write(METADATA, '{"sha256": "0"}'),
        (FILE, "--why", "x", *FIGURE), "is about another model",
    ),
    (
        "listing", lambda r: r.write(LISTING, "milestones: 1"), (FILE, "--why", "x", *FIGURE),
        "milestones: must be a mapping",
    ),
    (
        "config", lambda r: r.write(f"{RUN}/config_used.yaml", "a: ["),
        (FILE, "--why", "x", *FIGURE), "config_used.yaml:1:4: YAML: the '[' that begins",
    ),
    (
        "bomb",
        lambda r: r.write(
            f"{RUN}/config_used.yaml",
            "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 9)),
        ),
        (FILE, "--why", "x", *FIGURE), "has more than 100,000 values",
    ),
    (
        "link", lambda r: r.link("best_models", "elsewhere"), (FILE, "--why", "x", *FIGURE),
        "is not a directory of its own",
    ),
    (
        "lfs-required", lambda r: r.write(".fx-hooks.yaml", "best_models: {lfs: required}"),
        (FILE, "--why", "x", *FIGURE), "best_models.lfs is required",
    ),
    (
        "lfs-forbidden", lambda r: r.write(".fx-hooks.yaml", "best_models: {lfs: forbidden}"),
        (FILE, "--why", "x", *FIGURE, "--lfs"), "best_models.lfs is forbidden",
    ),
    (
        "size", lambda r: r.write(".fx-hooks.yaml", "best_models: {max_size: 1000}"),
        (FILE, "--why", "x", *FIGURE), "best_models.max_size is 1000 B",
    ),
    (
        "large-config", lambda r: r.write(f"{RUN}/config_used.yaml", "a: " + "x" * 999_990),
        (FILE, "--why", "x", *FIGURE), "would have more than 1,000,000 bytes",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "arguments", "fault"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_refused_before_anything_is_written(
    ran: Repo, before: Callable[[Repo], object], arguments: tuple[str, ...], fault: str
) -> None:
    before(ran)
    disk = ran.on_disk()
    result = add(ran, *arguments)
    assert (result.code, result.out) == (2, "")
    assert fault in result.err
    first, *more = result.err.splitlines()
    assert first.startswith("fx-add-milestone: error: ")
    assert all(line.startswith("    fx-add-milestone ") for line in more)
    assert ran.on_disk() == disk


def test_a_failure_half_way_leaves_no_entry(ran: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace
    moved: list[str] = []

    def fails(source: str, target: str) -> None:
        if moved:
            raise OSError(28, "No space left on device", target)
        moved.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", fails)
    result = add(ran, FILE, "--why", "x", *FIGURE)
    assert result.code == 2
    assert "cannot be written: No space left on device" in result.err
    assert sorted(os.listdir(ran.root / "best_models")) == ["m.pt"]


def test_a_file_that_is_still_written(ran: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter(["0" * 64, "1" * 64])
    monkeypatch.setattr(add_milestone, "digest", lambda _: next(digests))
    result = add(ran, FILE, "--why", "x", *FIGURE)
    assert "is being written: wait until it is done" in result.err
    assert os.listdir(ran.root / "best_models") == []


def test_another_existing_entry_is_untouched(repo: Repo) -> None:
    approve(repo)
    before = (repo.root / LISTING).read_text()
    repo.write("best_models/n.pt", STATE)
    repo.write("best_models/n_meta.json", META)
    assert add(repo, "best_models/n.pt", "--why", "x").code == 0
    assert (repo.root / LISTING).read_text().startswith(before)


@pytest.mark.parametrize("cwd", [".", "src/deep"])
def test_one_command_and_one_commit(ran: Repo, cwd: str) -> None:
    """The list, the metadata and the block are staged by what is printed, from where it is."""
    ran.stage("src/deep/a.py")
    assert sync(ran).code == 1
    ran.git("add", ".gitignore")
    ran.commit()
    result = add(ran, str(ran.root / FILE), "--why", "x", *FIGURE, cwd=cwd)
    assert result.code == 0
    (command,) = result.commands
    subprocess.run(("sh", "-c", command), cwd=ran.root / cwd, check=True)
    staged = ran.staged().splitlines()
    assert staged == [
        "M  .gitignore", f"A  {MODEL}", f"A  {METADATA}", f"A  {LISTING}"
    ]  # fmt: skip
    assert sync(ran) == CLEAN
    assert check(ran) == CLEAN
    assert ran.check() == CLEAN
    assert ran.git("status", "--porcelain", "--untracked-files=no").split()[::2] == ["M", *"AAA"]


def test_without_a_block_there_is_none_afterwards(ran: Repo) -> None:
    ran.write(".gitignore", "*.tmp\n")
    assert add(ran, FILE, "--why", "x", *FIGURE).code == 0
    assert (ran.root / ".gitignore").read_text() == "*.tmp\n"


def test_an_edited_block_is_refused_before_anything_is_written(ran: Repo) -> None:
    assert sync(ran).code == 1
    text = (ran.root / ".gitignore").read_text()
    ran.write(".gitignore", text.replace("/wandb\n", "/mine\n", 1))
    disk = ran.on_disk()
    result = add(ran, FILE, "--why", "x", *FIGURE)
    assert (result.code, ran.on_disk()) == (2, disk)
    assert "fx-sync-gitignore --force" in result.err


def sync(repo: Repo) -> Result:
    return run(sync_gitignore.main, cwd=repo.root)


LIGHTNING = (WEIGHTS / "many_names.ckpt").read_bytes()
OWN = [f"mine.part{number}.Setting{number}" for number in range(17)]


def test_everything_that_is_missing_is_said_at_once(repo: Repo) -> None:
    """A checkpoint of Lightning says its figures and configuration, and imports 17 names."""
    repo.write("-last.ckpt", LIGHTNING)
    refused = add(repo, "./-last.ckpt", "--as", "last")
    assert refused.code == 2
    first, command = refused.err.splitlines()
    assert "has no reason" in first
    assert first.endswith("If you trust the file:")
    assert all(name in first for name in OWN)
    done = subprocess.run(("sh", "-c", f"{SCRIPTS}/{command.strip()}"), cwd=repo.root, check=True)
    assert done.returncode == 0
    value = written(repo, "best_models/last_meta.json")
    assert value["performance"] == {"epoch": 3, "global_step": 12}
    assert value["config"] == {f"k{number}": name for number, name in enumerate(OWN)} | {
        "deep": {"lr": 0.1, "layers": [1, None]},
        "bad": "nan",
    }
    # Of the model alone: the optimizer has twice as many numbers.
    assert value["parameters"] == 8


def test_an_entry_that_is_nowhere_has_no_line(repo: Repo) -> None:
    repo.write("m.pt", SCRIPTED)
    refused = add(repo, "m.pt", "--why", "x", *FIGURE)
    assert "milestones.yaml:0" not in refused.err
    assert "into best_models/milestones.yaml" in refused.err


def test_a_list_that_git_cannot_read(ran: Repo) -> None:
    ran.write(".gitignore", "*.tmp\n".encode("utf-16"))
    result = add(ran, FILE, "--why", "x", *FIGURE)
    assert (result.code, "save it as UTF-8" in result.err) == (2, True)
