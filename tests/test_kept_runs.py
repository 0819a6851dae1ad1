"""Runs that stay because of what people have done with them, through the real commands."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fx_hooks.best_models.run_identity import identity_of
from fx_hooks.cli import archive_runs, clean_runs
from fx_hooks.git.alone import NAME
from fx_hooks.util import files
from tests.faults import as_nobody
from tests.run_trees import DAY, write
from tests.support import Repo, git_version, mostly_slow, working_directory

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such links and locks")
JOB = "outputs/2026-01-05/10-00-00"
DIGEST = "4" * 64


pytestmark = pytest.mark.usefixtures("no_processes")


def ago(days: float) -> int:
    return time.time_ns() - int(days * DAY)


def job(root: Path, path: str = JOB, days: float = 40) -> Path:
    then = ago(days)
    write(root / path / ".hydra" / "config.yaml", "lr: 0.1\n", mtime=then)
    write(root / path / ".hydra" / "hydra.yaml", "hydra: {}\n", mtime=then)
    write(root / path / "train.log", "epoch 1\nwrote fig.pdf\n", mtime=then)
    write(root / path / "model.ckpt", os.urandom(2000), mtime=then)
    return root / path


def clean(repo: Repo, *arguments: str) -> int:
    with working_directory(repo.root):
        return clean_runs.main(("--yes", *arguments))


@pytest.mark.parametrize(
    ("name", "days", "stays"),
    [
        pytest.param("labels.csv", 20, True, id="written after the end"),
        pytest.param("labels.csv", 39.5, False, id="written within a day"),
        pytest.param("figures/a/loss.png", 20, True, id="in a folder"),
        pytest.param("last.ckpt", 39.5, False, id="a checkpoint that was going on"),
        pytest.param("other.ckpt", 20, True, id="a checkpoint of somebody else's"),
        pytest.param("notes.md", 40, True, id="a document of any time"),
        pytest.param("fig.pdf", 40, False, id="a document that the log names"),
        pytest.param("THESIS.PDF", 40, True, id="a document in capitals"),
        pytest.param("NOTES", 40, True, id="a document without an end"),
        pytest.param("ig.pdf", 40, True, id="a document whose name is a part of another"),
        pytest.param("study.db", 40, True, id="a data base"),
        pytest.param("model.pt.dvc", 40, True, id="of DVC"),
        pytest.param(".DS_Store", 1, False, id="what desktops leave"),
    ],
)
def test_what_people_put_into_a_run(repo: Repo, name: str, days: float, stays: bool) -> None:
    place = job(repo.root)
    write(place / name, "by hand\n", mtime=ago(days))
    assert clean(repo, ".") == int(stays)
    assert (place / name).exists() is stays


def test_added_files_may_go_with_their_run(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (job(repo.root, f"outputs/2026-01-0{n}/10-00-00") for n in (1, 2, 3))
    for place in (first, second, third):
        write(place / "notes.md", "x\n", mtime=ago(20))
    named = os.path.relpath(first, repo.root)
    assert clean(repo, ".", "--include-added", named) == 1
    assert (first.exists(), second.exists()) == (False, True)
    assert "10-00-00/notes.md was written long after the run had ended" in capfd.readouterr().out
    archive = tmp_path / "old.tar.gz"
    assert clean(repo, "--archive", str(archive), os.path.relpath(second, repo.root)) == 0
    assert not second.exists()
    with working_directory(repo.root):
        assert archive_runs.main(("--restore", str(archive))) == 0
    assert (second / "notes.md").read_text() == "x\n"


@pytest.mark.parametrize("marks", [(".hg/x",), (".svn/x",), ("HEAD", "objects/x", "refs/x")])
def test_repositories_in_a_run(repo: Repo, marks: tuple[str, ...]) -> None:
    place = job(repo.root)
    for mark in marks:
        write(place / "code" / mark, mtime=ago(40))
    assert clean(repo, ".") == 1
    assert place.exists()


@pytest.mark.parametrize(
    "folder", ["best_models/exp1", "pretrained/resnet", "release/v1.0", "data/teacher"]
)
def test_chosen_folders_are_no_runs(repo: Repo, folder: str) -> None:
    place = job(repo.root, folder)
    assert clean(repo, ".") == 1
    assert clean(repo, f"{folder[:-2]}*") == 1
    assert clean(repo, folder.partition("/")[0]) == 1
    assert place.exists()
    # Named itself it goes, but for what is in the folder of chosen models.
    assert clean(repo, folder) == int(folder.startswith("best_models/"))


def test_where_the_configuration_puts_runs(repo: Repo) -> None:
    repo.stage("conf/config.yaml", "hydra:\n  run:\n    dir: exp/${now:%Y-%m-%d_%H}\n")
    places = [job(repo.root, path) for path in ("exp/2026-01-05_10", f"sub/{JOB}")]
    assert clean(repo, ".") == 0
    assert not any(place.exists() for place in places)


def listed(path: str, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return (
        f"milestones:\n  {path}:\n    sha256: {sha256}\n    size: {len(content)}\n"
        "    why: good\n    approved: 2026-01-31\n"
    )


STASHES = {
    "stash": ("stash", "-q"),
    "index of a stash": ("stash", "-q"),
    "untracked files of a stash": ("stash", "-q", "-u"),
    "older stash": ("stash", "-q"),
    "autostash of a merge": ("merge", "--autostash", "other"),
    "autostash of a rebase": ("rebase", "--autostash", "other"),
    "autostash of a rebase by patches": ("rebase", "--apply", "--autostash", "other"),
}


@pytest.mark.parametrize("how", mostly_slow(["listed", "path", "digest"], 3))
@pytest.mark.parametrize("where", [*STASHES, "in another work tree"])
def test_milestones_in_stashes(repo: Repo, tmp_path: Path, where: str, how: str) -> None:
    """Also in those that git makes itself, in the middle of a merge or a rebase."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.git("switch", "-q", "-c", "other")
    repo.stage("train.py", "1\n")
    repo.commit()
    repo.git("switch", "-q", "-c", "feature", "HEAD~")
    repo.stage("train.py", "2\n")
    repo.commit()
    place = job(repo.root)
    name, text = told(place, how)
    if where == "in another work tree":
        repo.git("switch", "-q", "other")
        repo.git("worktree", "add", "-q", str(tmp_path / "other"), "feature")
        its = Repo(tmp_path / "other")
    else:
        its = repo
    its.write(f"best_models/{name}", text)
    if not where.startswith("untracked"):
        its.git("add", "-f", "best_models")
    if where.startswith("index"):
        its.remove(f"best_models/{name}")
    words = STASHES.get(where, STASHES["autostash of a rebase"])
    its.git(*words, fails=words[0] != "stash")
    if where == "older stash":
        repo.stage("train.py", "3\n")
        repo.git("stash", "-q")
    assert not (its.root / "best_models" / name).exists()
    assert clean(repo, ".") == 1
    assert place.exists()


def told(place: Path, how: str) -> tuple[str, str]:
    """Return the name and the text of what says that a milestone came from the job at *place*."""
    content = (place / "model.ckpt").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    return {
        "listed": ("milestones.yaml", listed("best_models/a.pt", content)),
        "path": ("a_meta.json", json.dumps({"run": {"path": JOB}})),
        "digest": ("a_meta.json", json.dumps({"sha256": sha256})),
    }[how]


@pytest.mark.parametrize("where", ["disk", "index", "branch", "tag", "work tree"])
@pytest.mark.parametrize("how", ["listed", "path", "digest"])
def test_milestones_anywhere(repo: Repo, tmp_path: Path, where: str, how: str) -> None:
    repo.write(".gitignore", "outputs\n")
    repo.stage_all()
    repo.commit()
    place = job(repo.root)
    name, text = told(place, how)
    if where == "work tree":
        other = tmp_path / "other"
        repo.git("worktree", "add", "-q", "-b", "other", str(other))
        write(other / "best_models" / name, text)
    else:
        repo.write(f"best_models/{name}", text)
    if where in ("branch", "tag"):
        repo.git("switch", "-q", "-c", "feature")
    if where not in ("disk", "work tree"):
        repo.git("add", "-f", "best_models")
    if where == "index":
        (repo.root / "best_models" / name).unlink()
    elif where in ("branch", "tag"):
        repo.commit()
        if where == "tag":
            repo.git("tag", "-a", "-m", "x", "v1")
        repo.git("checkout", "-q", "HEAD~")
        if where == "tag":
            repo.git("branch", "-D", "feature")
    assert clean(repo, ".") == 1
    assert place.exists()


@pytest.mark.parametrize(
    "what", ["HEAD", "HEAD^{tree}", "HEAD:best_models", "HEAD:best_models/NAME"]
)
@pytest.mark.parametrize("shows", ["nothing", "the milestone"])
@pytest.mark.parametrize("how", ["listed", "path"])
def test_milestones_that_a_replacement_hides_or_shows(
    repo: Repo, what: str, shows: str, how: str
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    name, text = told(place, how)
    what = what.replace("NAME", name)
    repo.git("switch", "-q", "-c", "feature")
    ids = []
    for content in ("{}\n" if how == "path" else "milestones:\n", text):
        repo.stage(f"best_models/{name}", content)
        repo.commit()
        ids.append(repo.git("rev-parse", what).strip())
    without, with_it = ids
    repo.git("switch", "-q", "main")
    if shows == "nothing":
        repo.git("replace", with_it, without)
    else:
        repo.git("branch", "-q", "-f", "feature", "feature~")
        repo.git("replace", without, with_it)
    assert clean(repo, ".") == 1
    assert place.exists()


@pytest.mark.parametrize("how", ["large", "by Windows", "in a linked folder", "in a loop of links"])
def test_metadata_of_many_kinds(repo: Repo, tmp_path: Path, how: str) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    folder = repo.root / "best_models"
    folder.mkdir()
    text = json.dumps({"notes": "x" * (2 << 20) * (how == "large"), "run": {"path": JOB}})
    if how == "by Windows":
        text = json.dumps({"run": JOB.replace("/", "\\")})
    if "link" in how:
        (folder / "team").symlink_to(tmp_path / "shared")
        folder = tmp_path / "shared" / "resnet"
        folder.mkdir(parents=True)
    if "loop" in how:
        (folder / "up").symlink_to("..")
    (folder / "a_meta.json").write_text(text)
    assert clean(repo, ".") == 1
    assert place.exists()


ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")


def commit_elsewhere(repo: Repo) -> None:
    """Commit what is staged in a branch that is not checked out."""
    repo.git("switch", "-q", "-c", "feature")
    repo.commit()
    repo.git("switch", "-q", "main")


@pytest.mark.parametrize("where", ["disk", "branch"])
@pytest.mark.parametrize("how", ["listed", "path", "digest", "escaped"])
@pytest.mark.parametrize("encoding", mostly_slow(ENCODINGS, 3))
def test_metadata_in_other_encodings(repo: Repo, encoding: str, how: str, where: str) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    if how == "escaped":
        name, text = "a_meta.json", json.dumps({"run": JOB})
        text = text.replace(JOB, "".join(f"\\u{ord(letter):04x}" for letter in JOB))
    else:
        name, text = told(place, how)
    if where == "disk":
        repo.write(f"best_models/{name}", text.encode(encoding))
    else:
        repo.stage(f"best_models/{name}", text.encode(encoding))
        commit_elsewhere(repo)
    assert clean(repo, ".") == 1
    assert place.exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"note": "\\ud83d", "run": "JOB"}',
        '{"note": "\\ud83d\\ude00", "run": "JOB"}',
        '{"run": "JOB", "run": null}',
        '{"run": "JOB",}',
    ],
    ids=["half a pair", "a pair", "a key twice", "no JSON"],
)
def test_escapes_hide_nothing(repo: Repo, text: str) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    escaped = "".join(f"\\u{ord(letter):04X}" for letter in JOB)
    repo.write("best_models/a_meta.json", text.replace("JOB", escaped))
    assert clean(repo, ".") == 1
    assert place.exists()


@pytest.mark.parametrize("where", ["disk", "branch"])
@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00", b'{"run": "M\xfcller"}', b"\xff\xfe{"])
def test_metadata_that_is_no_text_keeps_all_runs(
    repo: Repo, where: str, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    if where == "disk":
        repo.write("best_models/a_meta.json", content)
    else:
        repo.stage("best_models/a_meta.json", content)
        commit_elsewhere(repo)
    assert clean(repo, ".") == 1
    assert place.exists()
    assert "best_models/a_meta.json is not text in UTF-8, and may say" in capfd.readouterr().out


@POSIX
@pytest.mark.parametrize("where", ["disk", "index", "branch"])
@pytest.mark.parametrize("target", ["gone.json", "/gone/x.json", f"../{JOB}/gone.json"])
def test_metadata_that_is_a_link_to_nothing_keeps_all_runs(
    repo: Repo, where: str, target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    link = repo.root / "best_models" / "x_meta.json"
    link.parent.mkdir()
    link.symlink_to(target)
    if where != "disk":
        repo.git("add", "-f", "best_models")
        if where == "index":
            link.unlink()
        else:
            commit_elsewhere(repo)
    assert clean(repo, ".") == 1
    assert place.exists()
    said = capfd.readouterr().out
    names_it = JOB in target
    expected = (
        "came from it" if names_it else "best_models/x_meta.json is a link to nothing that is"
    )
    assert expected in said


@POSIX
@pytest.mark.parametrize("tracked", [True, False])
def test_metadata_that_is_a_link_is_read(repo: Repo, tmp_path: Path, tracked: bool) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    named, other = job(repo.root), job(repo.root, "outputs/2026-01-06/10-00-00")
    text = json.dumps({"run": {"path": JOB}})
    link = repo.root / "best_models" / "x_meta.json"
    if tracked:
        repo.stage("best_models/x.json", text)
        link.symlink_to("x.json")
    else:
        link.parent.mkdir()
        (tmp_path / "x.json").write_text(text)
        link.symlink_to(tmp_path / "x.json")
    repo.git("add", "-f", "best_models")
    commit_elsewhere(repo)
    assert clean(repo, ".") == 1
    assert (named.exists(), other.exists()) == (True, False)


def test_metadata_that_nobody_reads_to_the_end(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = job(repo.root)
    repo.write("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    monkeypatch.setattr("fx_hooks.runs.milestone_runs._MAX_READ", 8)
    assert clean(repo, ".") == 2
    assert place.exists()
    assert "best_models/a_meta.json: is larger than" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["best_models", "best_models/team"])
def test_models_in_a_submodule_that_is_not_there(
    repo: Repo, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.gitlink(path)
    repo.commit()
    place = job(repo.root)
    assert clean(repo, ".") == 2
    assert place.exists()
    assert f"{path}: is a submodule that is not checked out" in capfd.readouterr().err
    repo.write(f"{path}/.git", "gitdir: elsewhere\n")
    assert clean(repo, ".") == 0


def test_what_protects_a_run_is_asked_again(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    places = [job(repo.root, f"outputs/2026-01-0{n}/10-00-00") for n in (1, 2)]
    contents = (places[1] / "model.ckpt").read_bytes()
    remove = os.rmdir

    def choosing(*arguments: Any, **options: Any) -> None:
        repo.write("best_models/milestones.yaml", listed("best_models/a.pt", contents))
        remove(*arguments, **options)

    # While the first one is deleted.
    monkeypatch.setattr(os, "rmdir", choosing)
    assert clean(repo, ".") == 1
    assert [place.exists() for place in places] == [False, True]
    assert "best_models/a.pt came from it" in capfd.readouterr().out


@POSIX
def test_links_and_references(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    runs = [f"outputs/2026-01-0{n}/10-00-00" for n in range(1, 6)]
    places = [job(repo.root, path) for path in runs]
    (repo.root / "best.ckpt").symlink_to(f"{runs[0]}/model.ckpt")
    repo.git("add", "-f", "best.ckpt")
    (repo.root / "new.ckpt").symlink_to(repo.root / runs[1] / "model.ckpt")
    repo.stage("conf/finetune.yaml", f"resume_from: {runs[2]}/model.ckpt\n")
    repo.write("outputs/2026-01-04.dvc", "outs:\n- path: 2026-01-04\n")
    assert clean(repo, ".") == 1
    out = capfd.readouterr().out
    assert [place.exists() for place in places] == [True] * 4 + [False]
    for run, why in (
        (0, "best.ckpt is a link into it"),
        (1, "new.ckpt is a link into it"),
        (2, "conf/finetune.yaml names it"),
        (3, "DVC keeps it: outputs/2026-01-04.dvc"),
    ):
        assert f"  {runs[run]}: {why}\n" in out


@POSIX
@pytest.mark.parametrize("by_link", [False, True])
def test_unsynced_runs_on_other_storage(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_link: bool
) -> None:
    place = job(repo.root)
    scratch = tmp_path / "scratch"
    run = scratch / "wandb" / "offline-run-20260105_100000-abcd"
    write(run / "run-abcd.wandb", b":W&B\0\0\0", mtime=ago(40))
    (run / "files").mkdir()
    (run / "files" / "model.ckpt").symlink_to(place / "model.ckpt")
    if by_link:
        (repo.root / "wandb").symlink_to(scratch / "wandb")
    else:
        monkeypatch.setenv("WANDB_DIR", str(scratch))
    assert clean(repo, ".") == 1
    assert place.exists()
    (run / "files" / "model.ckpt").unlink()
    assert clean(repo, ".") == 0


def test_an_archive_keeps_the_run_that_it_lies_in(repo: Repo) -> None:
    sweep = "multirun/2026-01-02/10-00-00"
    for number in (0, 1):
        job(repo.root, f"{sweep}/{number}")
    write(repo.root / sweep / "multirun.yaml", "{}\n", mtime=ago(40))
    assert clean(repo, "--archive", f"{sweep}/old.tar.gz", f"{sweep}/0") == 0
    for path in (repo.root / sweep).iterdir():
        os.utime(path, ns=(ago(40), ago(40)))
    assert clean(repo, ".") == 1
    assert (repo.root / sweep / "old.tar.gz").exists()


def test_only_the_same_content_is_the_same_run(repo: Repo, tmp_path: Path) -> None:
    place = job(repo.root)
    archive = str(tmp_path / "a.tar.gz")
    model = place / "model.ckpt"
    content, status = model.read_bytes(), model.stat()
    with working_directory(repo.root):
        assert archive_runs.main((".", archive)) == 0
        write(place / "train.log", "epoch 1\nwrote fig.pdf\nepoch 2\n", mtime=ago(39))
        assert archive_runs.main(("--force", ".", archive)) == 0  # added to, and nothing else
        model.write_bytes(bytes(len(content)))
        os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert archive_runs.main(("--force", ".", archive)) == 2
        assert archive_runs.main(("--restore", archive, "--force")) == 0
    kept = [path.read_bytes() for path in repo.root.rglob("model.ckpt")]
    assert sorted(kept) == sorted((content, bytes(len(content))))


def test_an_interrupted_clean_is_undone(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    places = [job(repo.root, f"outputs/2026-01-0{n}/10-00-00") for n in (1, 2, 3)]
    script = (
        "import os, sys\n"
        "from fx_hooks.cli import clean_runs\n"
        "from fx_hooks.runs import deletion\n"
        "clean_runs.free = lambda *_, **__: os._exit(9)\n"
        "clean_runs.main(('--yes', '.'))\n"
    )
    done = subprocess.run((sys.executable, "-c", script), cwd=repo.root, check=False)
    assert done.returncode == 9
    assert not any(place.exists() for place in places)
    with working_directory(repo.root):
        assert clean_runs.main(("--undo",)) == 0
        assert all((place / "model.ckpt").exists() for place in places)
        assert clean_runs.main(("--undo",)) == 0
    assert capfd.readouterr().out.endswith("Nothing was left aside.\n")
    with working_directory(repo.root):
        assert clean_runs.main(("--undo", ".")) == 2


def test_a_plan_says_that_it_is_for_ever(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root)
    write(job(repo.root, "outputs/2026-01-06/10-00-00") / "notes.md", "x\n")
    with working_directory(repo.root):
        assert clean_runs.main((".",)) == 0
    assert "You cannot bring back what is deleted" in capfd.readouterr().out


@POSIX
def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path / os.fsdecode(NAME))
    with files.locked(place), pytest.raises(TimeoutError), files.locked(place, 0.1):
        raise AssertionError("nobody else can have it")
    with files.locked(place, 0):
        assert os.path.exists(place)


@POSIX
def test_a_link_is_named(repo: Repo, capfd: pytest.CaptureFixture[str]) -> None:
    job(repo.root)
    (repo.root / "latest").symlink_to(JOB)
    assert clean(repo, "latest") == 2
    assert f"latest: is a symbolic link, and no run: name what it leads to: {JOB}" in (
        capfd.readouterr().err
    )


def test_a_file_from_the_future(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    place = job(repo.root)
    write(place / "model.ckpt", "x", mtime=ago(-400))
    assert clean(repo, ".") == 1  # it was changed just now
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 30 * 86_400)
    with working_directory(repo.root):
        assert clean_runs.main((".",)) == 0


def test_immutable_files_are_found_first(repo: Repo) -> None:
    place = job(repo.root)
    fixed = place / "a" / "fixed"
    write(fixed, "x", mtime=ago(40))
    if subprocess.run(("chattr", "+i", fixed), check=False, stderr=subprocess.PIPE).returncode:
        pytest.skip("nobody can make a file immutable here")
    try:
        assert clean(repo, ".") == 1
        assert (place / "model.ckpt").exists()
    finally:
        subprocess.run(("chattr", "-i", fixed), check=True)


def test_left_overs_of_another_archive(repo: Repo, tmp_path: Path) -> None:
    job(repo.root)
    left = tmp_path / ".fx-other.tar.gz.0123abcd"
    mine = tmp_path / ".fx-other.txt.0123abcd"
    for path in (left, mine):
        path.write_bytes(b"x")
    with working_directory(repo.root):
        assert archive_runs.main((".", str(tmp_path / "a.tar.gz"))) == 0
    assert (left.exists(), mine.exists()) == (False, True)


@pytest.mark.parametrize(
    "what", ["feature^{tree}", "feature:best_models", "feature:best_models/a_meta.json"]
)
def test_what_a_damaged_repository_lacks(
    repo: Repo, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """git says of a path below a tree that is lost that there is none."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.git("branch", "-q", "other")
    repo.git("switch", "-q", "-c", "feature")
    repo.stage("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    repo.commit()
    repo.git("switch", "-q", "other")
    lose(repo, what)
    place = job(repo.root)
    with working_directory(repo.root):
        assert clean_runs.main(["--yes", "."]) == 1
    assert place.exists()
    assert "this clone lacks" in capfd.readouterr().out


LOST_OF_STASHES = {
    "stash": (),
    "index": ("^2", "^2^{tree}", "^2:best_models", "^2:best_models/a_meta.json"),
    "untracked": ("^3", "^3^{tree}", "^3:best_models", "^3:best_models/a_meta.json"),
}


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("part", "lost"),
    [(part, lost) for part, some in LOST_OF_STASHES.items() for lost in ("", *some)],
)
def test_what_a_damaged_stash_lacks(
    repo: Repo, part: str, lost: str, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.stage("train.py", "1\n")
    repo.commit()
    repo.write("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    if part != "untracked":
        repo.git("add", "-f", "best_models")
    if part == "index":
        repo.write("best_models/a_meta.json", "{}")
    repo.git("stash", "-q", "-u")
    for again in range(number):
        repo.write("train.py", f"{again + 2}\n")
        repo.git("stash", "-q")
    lose(repo, f"stash@{{{number}}}{lost}")
    place = job(repo.root)
    with working_directory(repo.root):
        assert clean_runs.main(["--yes", "."]) == 1
    assert place.exists()
    assert "this clone lacks" in capfd.readouterr().out


@pytest.mark.parametrize("lost", ["", "^{tree}", "^2", "^2^{tree}", "^2:best_models"])
@pytest.mark.parametrize("where", ["MERGE_AUTOSTASH", "rebase-merge/autostash"])
def test_what_a_damaged_autostash_lacks(
    repo: Repo, where: str, lost: str, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    texts = ["{}", json.dumps({"run": {"path": JOB}})]
    repo.stage("best_models/a_meta.json", texts.pop("^2" in lost))
    repo.write("best_models/a_meta.json", texts.pop())
    stash = repo.git("stash", "create").strip()
    repo.git("reset", "-q", "--hard")
    lose(repo, stash + lost)
    file = repo.git_directory / where
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{stash}\n")
    place = job(repo.root)
    with working_directory(repo.root):
        assert clean_runs.main(["--yes", "."]) == 1
    assert place.exists()
    assert "this clone lacks" in capfd.readouterr().out


@pytest.mark.parametrize("name", ["MERGE_HEAD", "ORIG_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"])
@pytest.mark.parametrize("lost", ["", "^{tree}", ":best_models"])
def test_what_a_damaged_head_lacks(
    repo: Repo, name: str, lost: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A commit that only ORIG_HEAD leads to is taken away by git itself, with all of it."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.stage("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    repo.commit()
    commit = repo.git("rev-parse", "HEAD").strip()
    repo.git("reset", "-q", "--hard", "HEAD~")
    repo.git("update-ref", "-d", "ORIG_HEAD")
    lose(repo, commit + lost)
    (repo.git_directory / name).write_text(f"{commit}\n")
    place = job(repo.root)
    with working_directory(repo.root):
        assert clean_runs.main(["--yes", "."]) == (1 if lost else 0)
    assert place.exists() == bool(lost)
    assert ("this clone lacks" in capfd.readouterr().out) == bool(lost)


@pytest.mark.parametrize("where", ["", "worktrees/other"])
@pytest.mark.parametrize("how", ["plain", "split"])
def test_a_damaged_index(
    repo: Repo, tmp_path: Path, where: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """git lists what is left of it, and ends with 0."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.git("worktree", "add", "-q", str(tmp_path / "other"))
    its = Repo(tmp_path / "other") if where else repo
    its.stage("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    its.remove("best_models/a_meta.json")
    if how == "split":
        its.git("update-index", "--split-index")
    place = job(repo.root)
    assert clean(repo, ".") == 1
    assert "best_models/a_meta.json came from it" in capfd.readouterr().out
    folder = repo.git_directory / where
    (index,) = folder.glob("sharedindex.*" if how == "split" else "index")
    content = index.read_bytes()
    for damaged in (content[:90], content.replace(b"a_meta", b"a_mega"), content[:10], b""):
        index.write_bytes(damaged)
        assert clean(repo, ".") == 2
        assert place.exists()
        # Ours, or git's where it sees it.
        assert "index" in capfd.readouterr().err
    index.unlink()  # as it is until the first checkout is done
    assert clean(repo, ".") == (2 if how == "split" else 0)


def test_an_index_without_a_checksum(repo: Repo) -> None:
    """As git writes it where index.skipHash is set."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    index = repo.git_directory / "index"
    index.write_bytes(index.read_bytes()[:-20] + bytes(20))
    place = job(repo.root)
    assert clean(repo, ".") == 0
    assert not place.exists()


def test_another_work_tree_that_is_not_mounted(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """git locks work trees that are not always there; others, which are gone, it takes away."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    other = tmp_path / "other"
    repo.git("worktree", "add", "-q", str(other))
    repo.git("worktree", "lock", str(other))
    other.rename(tmp_path / "elsewhere")
    place = job(repo.root)
    assert clean(repo, ".") == 2
    assert place.exists()
    assert f"{other}: this work tree is locked and not there" in capfd.readouterr().err
    repo.git("worktree", "unlock", str(other))
    assert clean(repo, ".") == 0


@POSIX
@pytest.mark.parametrize("how", ["emptied", "a pipe", "unreadable", "all unreadable"])
def test_another_work_tree_that_cannot_be_found(repo: Repo, tmp_path: Path, how: str) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    other = tmp_path / "other"
    repo.git("worktree", "add", "-q", str(other))
    write(other / "best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    place = job(repo.root)
    names = repo.git_directory / "worktrees"
    gitdir = names / "other" / "gitdir"
    if how == "emptied":
        gitdir.write_bytes(b"")
    elif how == "a pipe":
        gitdir.unlink()
        os.mkfifo(gitdir)
    else:
        (gitdir if how == "unreadable" else names).chmod(0)
    outcome = as_nobody(tmp_path, lambda: clean(repo, "."))
    names.chmod(0o755)
    assert outcome.code == 2, outcome
    assert place.exists()
    assert "gitdir" in outcome.err or "worktrees: cannot be read" in outcome.err


@POSIX
@pytest.mark.parametrize("name", ["config.yaml", "hydra.yaml"])
def test_a_moved_run_whose_identity_cannot_be_read(repo: Repo, tmp_path: Path, name: str) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    place = job(repo.root)
    write(place / ".hydra/hydra.yaml", "hydra: {runtime: {output_dir: x}}\n", mtime=ago(40))
    about = {"path": "outputs/before", "identity": identity_of(str(place))}
    write(repo.root / "best_models/a_meta.json", json.dumps({"run": about}))
    (place / ".hydra" / name).chmod(0)
    outcome = as_nobody(tmp_path, lambda: clean(repo, "."))
    assert outcome.code == 1, outcome
    assert "best_models/a_meta.json came from it" in outcome.out
    assert place.exists()


def test_models_of_the_repository_around_a_submodule(
    repo: Repo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inner = Repo.init(tmp_path / "inner")
    inner.stage(".gitignore", "outputs\n")
    inner.commit()
    add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.root), "lib")
    repo.git(*add)
    place = job(repo.root / "lib")
    about = repo.root / "best_models/a_meta.json"
    for path in (f"lib/{JOB}", JOB):
        write(about, json.dumps({"run": {"path": path}}))
        assert clean(Repo(repo.root / "lib"), ".") == 1
        assert place.exists()
        assert "best_models/a_meta.json came from it" in capfd.readouterr().out
    about.unlink()
    assert clean(Repo(repo.root / "lib"), ".") == 0


@pytest.mark.parametrize("line", [b"\0" * 60 + b"\n", b"x\n", b"\xff \xff\n"])
def test_a_damaged_list_of_stashes(
    repo: Repo, line: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.write("train.py", "2\n")
    repo.git("stash", "-q")
    place = job(repo.root)
    with (repo.git_directory / "logs/refs/stash").open("ab") as file:
        file.write(line)
    assert clean(repo, ".") == 2
    assert place.exists()
    assert "logs/refs/stash: is damaged: it may name runs" in capfd.readouterr().err


def lose(repo: Repo, what: str) -> None:
    """Take an object away, as a disk does."""
    lost = repo.git("rev-parse", what).strip()
    (repo.git_directory / "objects" / lost[:2] / lost[2:]).unlink()


@pytest.mark.parametrize("what", ["blob:none", "tree:0", "tree:1"])
def test_what_a_partial_clone_lacks(
    repo: Repo, tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another branch may have a milestone whose metadata is not here."""
    repo.stage(".gitignore", "outputs\n")
    repo.commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    main = repo.git("rev-parse", "--abbrev-ref", "HEAD").strip()
    repo.git("switch", "-q", "-c", "feature")
    repo.stage("best_models/a_meta.json", json.dumps({"run": {"path": JOB}}))
    repo.commit()
    repo.git("switch", "-q", main)
    clone = tmp_path / "clone"
    repo.git("clone", "-q", f"--filter={what}", repo.root.as_uri(), str(clone))
    place = job(clone)
    with working_directory(clone):
        assert clean_runs.main(["--yes", "."]) == 1
    assert place.exists()
    assert "this clone lacks" in capfd.readouterr().out
    if git_version() < (2, 36):
        return  # it cannot fetch again what it thinks that it has
    repo.git("-C", str(clone), "fetch", "-q", "--refetch", "--no-filter")
    with working_directory(clone):
        assert clean_runs.main(["--yes", "."]) == 1
    assert "best_models/a_meta.json came from it" in capfd.readouterr().out
