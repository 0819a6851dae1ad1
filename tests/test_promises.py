"""What users rely on stays as it is: whatever was recorded is still there.

Only additions may change ``tests/data/promises.json``, by `python -m tests.promises --update`.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from fx_hooks.policy.loader import rule_origins
from tests.promises import (
    ADDRESS,
    ARCHIVE,
    DATA,
    ROOT,
    RULES,
    SECTIONS,
    WEIGHTS,
    Folder,
    merged,
    missing,
    recorded,
    repository,
    with_artifacts,
)
from tests.verdicts import FINE, read_corpus

HOOK_TYPES = ("--hook-type", "pre-commit", "--hook-type", "pre-merge-commit")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="git hooks and signals of POSIX")


@pytest.mark.parametrize(
    "section",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("exit codes", "reports") else ())
        for name in SECTIONS
    ],
)
def test_what_was_promised_is_there(section: str, tmp_path: Path) -> None:
    assert missing(recorded()[section], SECTIONS[section](tmp_path)) == []


def test_every_rule_is_recorded() -> None:
    assert RULES.keys() == rule_origins().keys()


def test_all_sections_are_recorded() -> None:
    assert set(recorded()) == set(SECTIONS)
    assert len(recorded()["rules"]) >= 25
    assert len(recorded()["commands"]) >= 10


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        pytest.param({"a": {"b": ["x", "y"]}, "c": 1}, [], id="the same"),
        pytest.param({"a": {"b": ["z", "y", "x"], "n": 1}, "c": 1, "d": 2}, [], id="more"),
        pytest.param({"a": {"b": ["x", "y"]}}, ["c: is gone"], id="a key is gone"),
        pytest.param({"a": {"b": ["x"]}, "c": 1}, ["a > b: 'y' is gone"], id="a member is gone"),
        pytest.param({"a": {"b": ["x", "y"]}, "c": 2}, ["c: 1 has become 2"], id="another value"),
        pytest.param({"a": {}, "c": 1}, ["a > b: is gone"], id="a key within is gone"),
        pytest.param({"a": [], "c": 1}, ["a: {'b': ['x', 'y']} has become []"], id="another type"),
    ],
)
def test_only_additions_are_fine(now: object, lost: list[str]) -> None:
    promised = {"a": {"b": ["x", "y"]}, "c": 1}
    assert missing(promised, now) == lost
    # The record itself never loses anything.
    assert missing(promised, merged(promised, now)) == []


def test_the_archive_of_the_first_release(tmp_path: Path) -> None:
    place = Folder(tmp_path / "project", tmp_path / "home")
    run = "outputs/2026-11-23/15-11-52"
    assert f"\n{run}\n" in place.run("fx-archive-runs", "--list", str(ARCHIVE))
    text = place.run("fx-archive-runs", "--list", str(ARCHIVE), "--format", "json")
    (packed,) = json.loads(text)["runs"]
    place.run("fx-archive-runs", "--restore", str(ARCHIVE), run)
    types = {entry["type"] for entry in packed["files"]}
    assert types == {"file", "directory", "link", "hard link"}
    for entry in packed["files"]:
        path = place.root / run / entry["path"]
        if entry["type"] == "link":
            assert str(path.readlink()) == entry["target"]
        elif entry["type"] == "directory":
            assert path.is_dir()
        else:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
    assert (place.root / run / "again.log").samefile(place.root / run / "train.log")
    # It is an archive that tar reads, too.
    other = Folder(tmp_path / "tar", tmp_path / "home")
    other.run("tar", "-xzf", str(ARCHIVE))
    assert (other.root / run / "model.pt").read_bytes() == (
        place.root / run / "model.pt"
    ).read_bytes()


def test_a_cache_of_another_policy_or_version_is_not_trusted(tmp_path: Path) -> None:
    lax, strict = repository(tmp_path / "lax"), repository(tmp_path / "strict")
    lax.write(".fx-hooks.yaml", "disable: [weights]\n")
    for repo in (lax, strict):
        repo.write("model.pt", WEIGHTS)
        # The policy of one is not staged: no object id in the tables tells the two apart.
        repo.git("add", "-f", "model.pt")
    lax.run("fx-check-artifacts")
    strict.run("fx-check-artifacts", code=1)
    tables = strict.root / ".git" / "fx-hooks.tables"
    own, foreign = tables.read_bytes(), (lax.root / ".git" / "fx-hooks.tables").read_bytes()

    def judged_with(content: bytes) -> None:
        tables.write_bytes(content)
        tables.chmod(0o600)
        assert "weights" in strict.run("fx-check-artifacts", code=1)

    judged_with(foreign)
    # What a version before this one may have left: its tables let through other files.
    version = strict.run("fx-check-artifacts", "--version").split()[1].encode()
    length = int.from_bytes(own[20:28], "big")
    key, content = own[28 : 28 + length], foreign[28 + int.from_bytes(foreign[20:28], "big") :]
    assert version in key
    older = key.replace(version, b"0.0.0"[: len(version)], 1)
    rest = len(older).to_bytes(8, "big") + older + content
    judged_with(own[:16] + binascii.crc32(rest).to_bytes(4, "big") + rest)


def test_the_fingerprints_of_a_contract(tmp_path: Path) -> None:
    """Each is made of the rule, the path and what is wrong, without the numbers in it."""
    repo = with_artifacts(tmp_path)
    repo.write("best_models/broken.json", '{"a": 1, "a": 2}')
    repo.git("add", "-f", "best_models")
    call = ("fx-check-best-models", "--all-files", "--format")
    findings = json.loads(repo.run(*call, "json", code=1))["findings"]
    expected = set()
    for finding in findings:
        own = re.sub(r"\b(?:[0-9a-f]{7,}|[\d,.]+)\b", "#", finding["why"])
        text = "\0".join((finding["rule"], finding["group"], own, "1"))
        expected.add(hashlib.sha256(text.encode()).hexdigest()[:32])
    entries = json.loads(repo.run(*call, "gitlab", code=1))
    assert len(entries) > 1
    assert {entry["fingerprint"] for entry in entries} == expected
    (run,) = json.loads(repo.run(*call, "sarif", code=1))["runs"]
    assert {
        result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]
    } == {f"{fingerprint}:1" for fingerprint in expected}


def test_variables_that_users_set(tmp_path: Path) -> None:
    repo = with_artifacts(tmp_path)
    call = ("fx-check-artifacts", "--all-files")
    # In a log of GitHub's, the name of a file is not a command.
    named = ("fx-check-artifacts", "--", "::error::x.pt")
    repo.write("::error::x.pt", WEIGHTS)
    assert "::stop-commands::" not in repo.run(*named, code=1)
    actions = {"GITHUB_ACTIONS": "true"}
    assert "::stop-commands::" in repo.run(*named, code=1, variables=actions)
    for colour, variables in (
        (True, {"TERM": "xterm"}),
        (False, {"TERM": "xterm", "NO_COLOR": "1"}),
        (False, {"TERM": "dumb"}),
    ):
        assert (b"\x1b[" in _on_terminal(repo, call, variables)) == colour
    refs = {"PRE_COMMIT_FROM_REF": "HEAD~1", "PRE_COMMIT_TO_REF": "HEAD"}
    remote = {"PRE_COMMIT_REMOTE_NAME": "origin"}
    repo.run("fx-check-range", "--given-only", code=1, variables={**refs, **remote})
    repo.run("fx-check-range", variables={**refs, "PRE_COMMIT_FROM_REF": "HEAD"})
    other = {"GIT_INDEX_FILE": str(tmp_path / "index")}
    repo.run("git", "read-tree", "HEAD~1", variables=other)
    repo.run(*call, variables=other)
    repo.run(*call, code=1)


def _on_terminal(repo: Folder, command: tuple[str, ...], variables: dict[str, str]) -> bytes:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {**repo.environment, **variables}
    process = subprocess.Popen(command, cwd=repo.root, env=environment, stdout=theirs)
    os.close(theirs)
    printed = b""
    try:
        while chunk := os.read(ours, 65536):
            printed += chunk
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(ours)
    assert process.wait() == 1
    return printed


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    """A repository as the first release has set it up, with the hooks of today.

    The address in its configuration leads to a clone of this work tree, whose manifest runs
    what is installed here: nothing is fetched, and all else is what the runner does anyway.
    """
    hooks = Folder(tmp_path / "hooks", tmp_path / "home")
    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    hooks.write(".pre-commit-hooks.yaml", manifest.replace("language: python", "language: system"))
    hooks.git("init", "-q", "-b", "main")
    hooks.git("add", "-A")
    hooks.commit("hooks")
    hooks.git("tag", "v0.1.0")
    place = Folder(tmp_path / "project", tmp_path / "home")
    # The runner takes all GIT_ variables away but reads this file.
    Path(place.environment["HOME"], ".gitconfig").write_text(
        f'[url "{hooks.root}"]\n\tinsteadOf = https://github.com/fx-hooks/fx-hooks\n'
        "[user]\n\tname = A Person\n\temail = person@example.org\n"
    )
    del place.environment["GIT_CONFIG_GLOBAL"]
    kept = DATA / "promises" / "repository"
    for path in kept.rglob("*"):
        if path.is_file():
            name = path.relative_to(kept).as_posix()
            place.write(name.replace("dot.", ".", 1), path.read_bytes())
    place.git("init", "-q", "-b", "main")
    place.run("pre-commit", "install", *HOOK_TYPES)
    return place


@pytest.mark.slow
def test_a_repository_that_was_set_up_still_commits_and_pushes(
    project: Folder, tmp_path: Path
) -> None:
    project.git("add", "-A")
    names = set(project.git("ls-files").splitlines())
    assert {"best_models/2026-11-baseline.pt", "best_models/2026-11-baseline_meta.json"} < names
    # Once after an upgrade, the block is written anew; the second commit has it.
    first = project.ended("git", "commit", "-m", "all of it")
    assert first.returncode == 1
    assert first.stderr.count(b"Failed\n") == 1
    assert b".gitignore: rewritten" in first.stderr
    project.git("add", ".gitignore")
    printed = project.ended("git", "commit", "-m", "all of it")
    assert printed.returncode == 0, printed.stderr
    # No hook was left out, but that of the stage `manual`.
    assert printed.stderr.count(b"Passed\n") == 3
    assert "Passed" in project.run("pre-commit", "run", "--hook-stage", "manual", "fx-check-tree")
    # An artifact is refused, by the hook and not only by .gitignore.
    project.write("experiments/1/x.txt", "")
    project.write("model.pt", WEIGHTS)
    project.write("assets/tokenizer.pt", WEIGHTS)
    assert project.git("status", "--porcelain") == "?? assets/\n"
    project.git("add", "-A", "-f")
    refused = project.ended("git", "commit", "-m", "an artifact")
    assert refused.returncode == 1
    assert b"\nweights: " in refused.stderr
    assert b"\nhydra-run-dir: " in refused.stderr
    assert b"tokenizer" not in refused.stderr
    # The milestone is held to what was approved.
    project.git("reset", "-q")
    project.write("best_models/2026-11-baseline.pt", b"changed")
    project.git("add", "-f", "best_models")
    refused = project.ended("git", "commit", "-m", "another model")
    assert refused.returncode == 1
    assert b"best_models/2026-11-baseline.pt: was changed after it was" in refused.stderr
    project.git("reset", "-q", "--hard")

    project.run("git", "init", "-q", "--bare", str(tmp_path / "bare.git"))
    project.git("remote", "add", "origin", str(tmp_path / "bare.git"))
    hook = project.root / ".git" / "hooks" / "pre-push"
    hook.write_text('#!/bin/sh\nexec fx-check-range --pre-push "$@"\n')
    hook.chmod(0o755)
    project.git("push", "-q", "origin", "main")
    project.write("model.pt", WEIGHTS)
    project.git("add", "-f", "model.pt")
    project.commit("an artifact, past the hook")
    pushed = project.ended("git", "push", "origin", "main")
    assert pushed.returncode == 1
    assert b"weights" in pushed.stdout + pushed.stderr


def _ignored_artifacts(project: Folder) -> set[str]:
    """The artifacts of the corpus that git ignores in *project*."""
    trees = read_corpus(["head", "past"]).values()
    paths = {path for tree in trees for path, label in tree.items() if label != FINE}
    printed = project.ended(
        "git", "check-ignore", "--no-index", "-z", "--stdin", stdin=os.fsencode("\0".join(paths))
    ).stdout
    return set(os.fsdecode(printed).split("\0")) - {""}


def _around_the_block(gitignore: str) -> tuple[str, str]:
    """What is the user's own in a `.gitignore`."""
    before, _, rest = gitignore.partition("# >>> fx-hooks ")
    return before, rest.partition("# <<< fx-hooks")[2]


@pytest.mark.slow
def test_what_an_upgrade_rewrites(project: Folder) -> None:
    project.git("add", "-A")
    project.commit("as it was")
    head = "# yaml-language-server: $schema="
    for name in (".fx-hooks.yaml", "best_models/milestones.yaml"):
        address = (project.root / name).read_text().splitlines()[0].removeprefix(head)
        # What an editor asks for there is what is in the repository at this path.
        assert (ROOT / address.removeprefix(ADDRESS)).is_file()
    gitignore = project.root / ".gitignore"
    before = gitignore.read_text()
    ignored = _ignored_artifacts(project)
    project.run("fx-sync-gitignore", code=1)
    project.run("fx-init", "--yes")
    # Only the block is written anew, and it goes on to ignore what it did. CHANGELOG.md names
    # the exception: what `wandb init` says to commit.
    assert _around_the_block(gitignore.read_text()) == _around_the_block(before)
    assert ignored - _ignored_artifacts(project) == {"wandb/settings"}
    status = project.git("status", "--porcelain", "--untracked-files=all")
    assert status == " M .gitignore\n"
    # The runner's own upgrade changes the revision, finds the same hooks, and commits.
    hooks = project.root.parent / "hooks"
    project.run("git", "-C", str(hooks), "commit", "-q", "--allow-empty", "-m", "the next one")
    project.run("git", "-C", str(hooks), "tag", "v99.0.0")
    before = (project.root / ".pre-commit-config.yaml").read_text()
    project.run("pre-commit", "autoupdate")
    after = (project.root / ".pre-commit-config.yaml").read_text()
    assert after == before.replace("rev: v0.1.0", "rev: v99.0.0") != before
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "upgraded")
