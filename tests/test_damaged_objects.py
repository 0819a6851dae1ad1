"""What git cannot read is an error, or refused; never clean, and nothing of it is remembered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fx_hooks.cli import explain, init, report_space
from fx_hooks.git.repository import REPAIR
from tests.support import WEIGHTS, Repo, mostly_slow, run
from tests.test_check_range import check
from tests.trees import content_of

TORCH = content_of("torch.pt")
# Bytes that are left of an object; below zero, one in the middle is another.
CUTS = [-1, 200, 30, 10, 0]


def loose(repo: Repo, spec: str) -> Path:
    name = repo.git("rev-parse", spec).strip()
    return repo.git_directory / "objects" / name[:2] / name[2:]


def damage(place: Path, left: int) -> bytes:
    """Cut an object off, or change a byte of it; return what it was."""
    before = place.read_bytes()
    place.chmod(0o644)
    changed = bytearray(before)
    changed[len(before) // 2] ^= 0xFF
    place.write_bytes(changed if left < 0 else before[:left])
    return before


@pytest.mark.parametrize("left", CUTS)
@pytest.mark.parametrize("arguments", [(), ("--all-files",)])
def test_weights_that_cannot_be_read_are_not_clean(
    repo: Repo, left: int, arguments: tuple[str, ...]
) -> None:
    repo.stage("res/thing", TORCH)
    place = loose(repo, ":res/thing")
    before = damage(place, left)
    for _ in range(2):
        assert repo.check_once(*arguments).code == 2
    # Nothing of it was remembered.
    place.write_bytes(before)
    assert repo.check_once(*arguments).code == 1


@pytest.mark.parametrize("left", CUTS)
def test_a_policy_that_cannot_be_read(repo: Repo, left: int) -> None:
    comment = os.urandom(300).hex()
    repo.stage(".fx-hooks.yaml", f"# {comment}\nignore: ['*.foo']\n")
    repo.stage("a.foo", "1")
    # On disk there is another one: that in the index counts.
    repo.write(".fx-hooks.yaml", "{}\n")
    damage(loose(repo, ":.fx-hooks.yaml"), left)
    assert repo.check_once().code == 2
    assert repo.check_once("--all-files").code == 2
    repo.git("commit", "-q", "--no-verify", "-m", "bad")
    assert check(repo, "HEAD~1..HEAD").code == 2


@pytest.mark.parametrize("left", CUTS)
def test_a_page_under_a_name_of_weights(repo: Repo, left: int) -> None:
    """Text is let in; what can be read of it is text, but not all of it can be read."""
    repo.stage("page.pt", "".join(f"<p>{number}</p>\n" for number in range(1 << 17)))
    assert repo.check_once().code == 0
    place = loose(repo, ":page.pt")
    damage(place, place.stat().st_size // 2 if left > 99 else left)
    repo.forget_tables()
    assert repo.check_once().code != 0


@pytest.mark.parametrize("arguments", [(), ("--all-files",)])
def test_what_a_complete_clone_lacks(repo: Repo, arguments: tuple[str, ...]) -> None:
    repo.stage("res/thing", TORCH)
    loose(repo, ":res/thing").unlink()
    result = repo.check_once(*arguments)
    assert result.code == 2
    assert f"res/thing: its content is lost or damaged: {REPAIR}\n" in result.err
    repo.stage("model.pt", WEIGHTS)
    repo.git("rm", "-q", "--cached", "res/thing")
    loose(repo, ":model.pt").unlink()
    assert repo.check_once(*arguments).code == 1  # its name is enough


DAMAGED = ("HEAD", "HEAD^{tree}", "HEAD~2^{tree}", "HEAD~2:src", ":res/thing", ":.fx-hooks.yaml")


@pytest.mark.parametrize("left", [None, 30, 0])
@pytest.mark.parametrize("spec", mostly_slow(DAMAGED, 3))
def test_each_error_says_once_what_helps(
    repo: Repo, spec: str, left: int | None, tmp_path: Path
) -> None:
    repo.stage(".fx-hooks.yaml", "keep: [/x.log]\n")
    for number in range(3):
        repo.stage("src/a.py", f"x = {number}\n")
        repo.stage("res/thing", TORCH if number == 2 else b"\0" * 20_000)
        repo.commit()
    other = tmp_path / "origin"
    repo.git("clone", "-q", "--bare", "--no-hardlinks", str(repo.root), str(other))
    name = repo.git("rev-parse", spec).strip()
    place = loose(repo, spec)
    if left is None:
        place.unlink()
    else:
        damage(place, left)
    found = [
        repo.check_once(),
        repo.check_once("--all-files"),
        check(repo, "HEAD~2..HEAD"),
        check(repo, "--all"),
        run(explain.main, "res/thing", cwd=repo.root),
        run(init.main, "--dry-run", cwd=repo.root),
        run(report_space.main, cwd=repo.root),
    ]
    failed = [result for result in found if result.code == 2]
    assert failed
    for result in failed:
        assert result.err.endswith(f": {REPAIR}\n"), result.err
        assert result.err.count("git f") == 1
        assert "git clone" not in result.err
    assert name in repo.git("fsck", fails=True)
    repo.git("clone", "-q", str(other), str(tmp_path / "fresh"))
    Repo(tmp_path / "fresh").git("cat-file", "-e", name)


def test_a_head_that_is_lost(repo: Repo) -> None:
    assert repo.check("--all-files").code == 0
    assert repo.fast_path("--all-files")
    loose(repo, "HEAD").unlink()
    assert not repo.fast_path("--all-files")
    assert repo.check("--all-files").code == 2
