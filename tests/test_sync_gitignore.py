"""``fx-sync-gitignore``: what it writes, what it leaves alone, and what it refuses."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fx_hooks import sync_gitignore
from fx_hooks.fastpath.gitignore import proven_in_step
from fx_hooks.git.repository import Repository
from fx_hooks.gitignore.block import block_lines, rewritten
from fx_hooks.gitignore.line_findings import LINES_ADVICE
from fx_hooks.policy.loader import load_policy
from fx_hooks.util.errors import FatalError
from tests import agreement, support
from tests.support import IS_ROOT, Repo, Result, mostly_slow, working_directory

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy

BOM = b"\xef\xbb\xbf"
IN_STEP = Result(0, "", "")


def run(repo: Repo, *arguments: str, cwd: str = ".") -> Result:
    return support.run(sync_gitignore.main, *arguments, cwd=repo.root / cwd)


def staged(repo: Repo, *arguments: str, cwd: str = ".") -> Result:
    """The command once more, as soon as what it wrote is staged."""
    repo.git("add", "-f", ".gitignore")
    return run(repo, *arguments, cwd=cwd)


def text(repo: Repo) -> bytes:
    return (repo.root / ".gitignore").read_bytes()


def written(content: bytes = b"", policy: bytes = b"") -> bytes:
    return rewritten(content, block_lines(load_policy(policy)))


BLOCK = written()


def test_a_new_file(repo: Repo) -> None:
    result = run(repo)
    assert result.code == 1
    assert result.out.startswith(".gitignore: new, ")
    assert result.out.endswith("\nStage it:\n    git add .gitignore\n")
    assert text(repo) == BLOCK
    assert BLOCK.startswith(b"# >>> fx-hooks ")
    assert BLOCK.endswith(b"\n# <<< fx-hooks <<<\n")
    assert repo.staged() == ""
    assert staged(repo) == run(repo) == IN_STEP
    assert text(repo) == BLOCK


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", BLOCK, id="empty"),
        pytest.param(b"a\n!b\n", BLOCK + b"\na\n!b\n", id="own-lines"),
        pytest.param(b"a", BLOCK + b"\na", id="no-last-newline"),
        pytest.param(BOM + b"a\n", BOM + BLOCK + b"\na\n", id="bom"),
        pytest.param(BOM, BOM + BLOCK, id="only-a-bom"),
        pytest.param(b"a\r\nb\n", BLOCK.replace(b"\n", b"\r\n") + b"\r\na\r\nb\n", id="crlf"),
        pytest.param(b"\n\n a \\ \n\xff\n", BLOCK + b"\n\n\n a \\ \n\xff\n", id="odd-bytes"),
        pytest.param(b"a\n" + BLOCK + b"b\n", b"a\n" + BLOCK + b"b\n", id="where-it-stands"),
        pytest.param(BLOCK[:-1], BLOCK[:-1], id="block-without-last-newline"),
    ],
)
def test_every_other_byte_stays(repo: Repo, before: bytes, after: bytes) -> None:
    repo.write(".gitignore", before)
    run(repo)
    assert text(repo) == after
    assert staged(repo) == IN_STEP
    repo.stage(".fx-hooks.yaml", "ignore: [/scratch]\n")
    assert run(repo).code == 1
    added = written(policy=b"ignore: [/scratch]\n")
    if b"\r\n" in after:
        added = added.replace(b"\n", b"\r\n")
    old = BLOCK.replace(b"\n", b"\r\n") if b"\r\n" in after else BLOCK
    assert text(repo) == after.replace(old.rstrip(), added.rstrip())
    repo.stage(".fx-hooks.yaml", "")
    assert run(repo).code == 1
    assert text(repo) == after


def test_check_and_diff_change_nothing(repo: Repo) -> None:
    assert run(repo, "--check") == Result(1, ".gitignore: is missing: run fx-sync-gitignore\n", "")
    result = run(repo, "--diff")
    assert result.code == 1
    assert result.out.startswith("--- .gitignore\n+++ .gitignore\n@@ ")
    assert not (repo.root / ".gitignore").exists()
    run(repo)
    assert staged(repo, "--check") == run(repo, "--diff") == IN_STEP
    repo.stage(".fx-hooks.yaml", "ignore: [/scratch]\n")
    assert "+/scratch" in run(repo, "--check", "--diff").out.splitlines()
    assert text(repo) == BLOCK


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_mode_stays(repo: Repo) -> None:
    repo.write(".gitignore", "a\n")
    (repo.root / ".gitignore").chmod(0o640)
    assert run(repo).code == 1
    assert (repo.root / ".gitignore").stat().st_mode & 0o777 == 0o640


LINES = BLOCK.splitlines(keepends=True)
EDITED = BLOCK.replace(b"/wandb\n", b"/wandb\n!/wandb/mine\n")
TWICE = BLOCK + BLOCK


@pytest.mark.parametrize(
    ("before", "message", "forced"),
    [
        pytest.param(
            EDITED,
            f":{EDITED.splitlines().index(b'!/wandb/mine') + 1}: the block of fx-hooks was edited"
            " by hand, and '!/wandb/mine' would be lost: move it after the block or into"
            " .fx-hooks.yaml, or run fx-sync-gitignore --force",
            BLOCK,
            id="edited",
        ),
        pytest.param(
            b"a\n" + TWICE + b"b\n",
            f":{len(LINES) + 2}: the block of fx-hooks begins a second time (first in line 2):"
            " remove one of them, or run fx-sync-gitignore --force",
            b"a\n" + BLOCK + b"b\n",
            id="twice",
        ),
        pytest.param(
            b"a\n" + BLOCK + LINES[-1],
            f":{len(LINES) + 2}: the block of fx-hooks ends a second time (first in line"
            f" {len(LINES) + 1}): remove one of them, or run fx-sync-gitignore --force",
            b"a\n" + BLOCK,
            id="two-ends",
        ),
        pytest.param(
            b"a\n" + b"".join(LINES[:-1]) + b"b\n",
            ":2: the block of fx-hooks has no end: remove the rest of it, or run"
            " fx-sync-gitignore --force",
            b"a\n" + BLOCK + b"b\n",
            id="no-end",
        ),
        pytest.param(
            b"a\n" + b"".join(LINES[1:]) + b"b\n",
            f":{len(LINES)}: the block of fx-hooks has no beginning: remove the rest of it, or"
            " run fx-sync-gitignore --force",
            b"a\n" + BLOCK + b"b\n",
            id="no-beginning",
        ),
        pytest.param(
            b"".join(LINES[1:]) + LINES[0],
            f":{len(LINES)}: the block of fx-hooks has no end: remove the rest of it, or run"
            " fx-sync-gitignore --force",
            BLOCK,
            id="the-wrong-way-round",
        ),
    ],
)
def test_refused_unless_forced(repo: Repo, before: bytes, message: str, forced: bytes) -> None:
    repo.write(".gitignore", before)
    for arguments in ((), ("--check",), ("--diff",)):
        assert run(repo, *arguments) == Result(
            2, "", f"fx-sync-gitignore: error: .gitignore{message}\n"
        )
    assert text(repo) == before
    assert run(repo, "--force").code == 1
    assert text(repo) == forced
    assert staged(repo) == run(repo, "--force") == IN_STEP


def test_a_symbolic_link_is_refused(repo: Repo) -> None:
    repo.write("elsewhere", "a\n")
    repo.link(".gitignore", "elsewhere")
    message = "is a symbolic link, which git does not follow: put a file in its place"
    assert run(repo) == Result(2, "", f"fx-sync-gitignore: error: .gitignore: {message}\n")
    assert (repo.root / "elsewhere").read_bytes() == b"a\n"


@pytest.mark.parametrize("content", ["\n" * 20_001, "a" * 1_000_001], ids=["lines", "bytes"])
@pytest.mark.parametrize("arguments", [(), ("--check",), ("--diff",), ("--findings",)], ids=str)
@pytest.mark.parametrize("name", [".gitignore", "sub/.gitignore"])
def test_what_no_person_wrote_is_refused(
    repo: Repo, content: str, arguments: Sequence[str], name: str
) -> None:
    if name != ".gitignore" and arguments != ("--findings",):
        pytest.skip("reads that of the root alone")
    repo.stage(name, content)
    result = run(repo, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        f"fx-sync-gitignore: error: {name}: has more than 20,000 lines or 1,000,000 bytes: this is"
        " no ignore file that a person wrote\n"
    )
    assert (repo.root / name).read_text() == content


def test_a_folder_is_refused(repo: Repo) -> None:
    repo.write(".gitignore/a")
    message = "is not a regular file: put one in its place"
    assert run(repo) == Result(2, "", f"fx-sync-gitignore: error: .gitignore: {message}\n")


@pytest.mark.skipif(IS_ROOT or os.name == "nt", reason="everything may be done")
def test_what_cannot_be_read_or_written(repo: Repo) -> None:
    repo.write(".gitignore", "a\n")
    (repo.root / ".gitignore").chmod(0)
    assert ".gitignore: cannot be read: Permission denied" in run(repo).err
    (repo.root / ".gitignore").chmod(0o600)
    repo.root.chmod(0o500)
    assert ".gitignore: cannot be written: Permission denied" in run(repo).err
    repo.root.chmod(0o700)


def test_an_invalid_policy_is_no_clean_result(repo: Repo) -> None:
    run(repo)
    assert staged(repo) == IN_STEP
    repo.write(".fx-hooks.yaml", "keep: ['!a']\n")
    result = run(repo)
    assert (result.code, result.out) == (2, "")
    assert ".fx-hooks.yaml:1: keep[0]:" in result.err


def test_bad_usage(repo: Repo) -> None:
    assert run(repo, "--findings", "--check").code == 2
    assert run(repo, "--fo").code == 2
    assert run(repo, "--diff", "--format", "json").code == 2
    assert run(repo, "a").code == 2


def test_in_a_folder(repo: Repo) -> None:
    repo.write("src/a.py")
    result = run(repo, cwd="src")
    assert result.code == 1
    assert result.out.endswith("\nStage it:\n    git -C .. add .gitignore\n")
    assert text(repo) == BLOCK
    assert run(repo, cwd="src") == Result(
        1, ".gitignore: is not in the index. Stage it:\n    git -C .. add .gitignore\n", ""
    )
    assert staged(repo, cwd="src") == run(repo, cwd="src") == IN_STEP


def test_it_says_how_many_lines_it_rewrote(repo: Repo) -> None:
    count = len(BLOCK.splitlines())
    assert run(repo).out.startswith(f".gitignore: new, {count} lines added and 0 removed:\n")
    repo.write(".fx-hooks.yaml", "ignore: [/scratch]\n")
    repo.git("add", ".")
    run(repo)
    repo.write(".fx-hooks.yaml", "ignore: [/scratch, /b]\n")
    repo.git("add", ".")
    assert run(repo).out.startswith(".gitignore: rewritten, 2 lines added and 1 removed:\n")
    block = (repo.root / ".gitignore").read_text()
    (repo.root / ".gitignore").write_text(block.replace("/scratch\n", ""))
    assert run(repo).out.startswith(".gitignore: rewritten, 1 line added and 0 removed:\n")


def test_ends_of_lines_are_told(repo: Repo) -> None:
    repo.write(".gitignore", BLOCK.replace(b"/wandb\n", b"/wandb\r\n"))
    assert run(repo).out == (
        ".gitignore: rewritten, the ends of lines alone\nStage it:\n    git add .gitignore\n"
    )
    assert text(repo) == BLOCK


DELETED = ".gitignore: is not in the index. Stage it:\n    git add .gitignore\n"


@pytest.mark.parametrize("options", [("-q",), ("-q", "--cached")], ids=["deleted", "untracked"])
def test_a_deleted_file_is_noticed_until_it_is_back(repo: Repo, options: Sequence[str]) -> None:
    run(repo)
    repo.git("add", ".gitignore")
    repo.commit()
    assert run(repo) == IN_STEP
    repo.git("rm", *options, ".gitignore")
    if "--cached" not in options:
        assert run(repo).out.startswith(".gitignore: new, ")
    for _ in range(2):
        assert run(repo) == run(repo, "--diff") == Result(1, DELETED, "")
        check = ".gitignore: is not in the index: git add .gitignore\n"
        assert run(repo, "--check") == Result(1, check, "")
    assert staged(repo) == run(repo, "--check") == IN_STEP


def test_the_old_block_is_not_committed_at_the_second_try(repo: Repo) -> None:
    run(repo)
    repo.git("add", ".gitignore")
    repo.commit()
    repo.stage(".fx-hooks.yaml", "ignore: [/scratch]\n")
    assert run(repo).out.startswith(".gitignore: rewritten, ")
    fault = ".gitignore: does not follow the policy in the index. Stage it:\n"
    assert run(repo) == run(repo) == Result(1, f"{fault}    git add .gitignore\n", "")
    assert staged(repo) == IN_STEP
    # Lines of their own people may stage in parts.
    repo.write(".gitignore", text(repo) + b"\n*.swp\n")
    assert run(repo) == IN_STEP
    repo.git("rm", "-q", "-f", "--cached", ".gitignore")
    repo.git("add", "-N", ".gitignore")
    assert run(repo).out.startswith(fault)


def test_a_broken_block_in_the_index(repo: Repo) -> None:
    repo.stage(".gitignore", TWICE)
    repo.write(".gitignore", BLOCK)
    assert run(repo).out.startswith(".gitignore: does not follow the policy in the index")


def test_in_a_fresh_clone(repo: Repo, tmp_path: Path) -> None:
    run(repo)
    repo.git("add", ".gitignore")
    repo.commit()
    for number, options in enumerate(((), ("--no-checkout", "--filter=blob:none"))):
        clone = Repo(tmp_path / f"clone{number}")
        repo.git("clone", "-q", *options, f"file://{repo.root}", str(clone.root))
        if options:
            clone.git("read-tree", "HEAD")
            clone.write(".gitignore", BLOCK)
        assert run(clone, "--check") == IN_STEP


# The quick answer.


def in_step(repo: Repo) -> bool:
    with working_directory(repo.root):
        return proven_in_step([])


MILESTONES = "milestones:\n  best_models/a.pt: {}\n"


# With the exit code of that run; elsewhere the index has to change, too.
IN_STEP_AFTER_ONE_RUN = {
    "unstaged": 0, "nothing-kept": 0, "damaged": 0, "gitignore": 1, "no-gitignore": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda repo: repo.stage(".fx-hooks.yaml", "ignore: [/b]\n"), id="policy"),
        pytest.param(lambda repo: repo.write(".fx-hooks.yaml", "ignore: [/b]\n"), id="unstaged"),
        pytest.param(lambda repo: repo.git("rm", "-q", "-f", ".fx-hooks.yaml"), id="no-policy"),
        pytest.param(
            lambda repo: repo.git("rm", "-q", "-f", "best_models/milestones.yaml"),
            id="no-milestones",
        ),
        pytest.param(
            lambda repo: repo.stage("best_models/milestones.yaml", MILESTONES.replace("a.", "b.")),
            id="milestones",
        ),
        pytest.param(lambda repo: repo.write(".gitignore", "a\n"), id="gitignore"),
        pytest.param(lambda repo: repo.remove(".gitignore"), id="no-gitignore"),
        pytest.param(
            lambda repo: (repo.git_directory / "fx-hooks.gitignore").unlink(), id="nothing-kept"
        ),
        pytest.param(
            lambda repo: (repo.git_directory / "fx-hooks.gitignore").write_bytes(b"x"), id="damaged"
        ),
        pytest.param(lambda repo: (repo.git_directory / "index").write_bytes(b"x"), id="no-index"),
        pytest.param(
            lambda repo: repo.git("rm", "-q", "--cached", ".gitignore"), id="untracked-gitignore"
        ),
        pytest.param(lambda repo: repo.git("add", "-N", ".gitignore"), id="intended-gitignore"),
        pytest.param(lambda repo: stage_only(repo, b"a\n"), id="another-gitignore-is-staged"),
    ],
)
def test_every_change_is_noticed(
    repo: Repo, change: Callable[[Repo], object], request: pytest.FixtureRequest
) -> None:
    repo.stage(".fx-hooks.yaml", "ignore: [/a]\n")
    repo.stage("best_models/milestones.yaml", MILESTONES)
    run(repo)
    assert not in_step(repo)  # only what was found in step is kept
    assert run(repo).code == 1
    assert not in_step(repo)  # and staged
    assert staged(repo) == IN_STEP
    assert in_step(repo)
    repo.write("src/a.py")
    repo.stage("README.md", "what has nothing to do with it\n")
    assert in_step(repo)
    if "intended-gitignore" in request.node.name:
        repo.git("rm", "-q", "--cached", ".gitignore")
    change(repo)
    assert not in_step(repo)
    name = request.node.callspec.id
    if name == "no-index":
        return
    # What the index has is said until it is put right.
    second = 0 if name in IN_STEP_AFTER_ONE_RUN else 1
    assert (run(repo).code, run(repo).code) == (IN_STEP_AFTER_ONE_RUN.get(name, 1), second)
    if name == "unstaged":
        assert not in_step(repo)  # there is a note, which is said each time
        return
    assert in_step(repo) == (second == 0)
    assert staged(repo) == IN_STEP
    assert in_step(repo)


def stage_only(repo: Repo, content: bytes) -> None:
    """Stage another .gitignore than is on disk."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=content).strip()
    repo.git("update-index", "--cacheinfo", f"100644,{blob},.gitignore")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_the_group_may_write_it(repo: Repo) -> None:
    run(repo)
    (repo.root / ".gitignore").chmod(0o664)
    assert staged(repo) == IN_STEP
    assert in_step(repo)
    (repo.root / ".gitignore").rename(repo.root / "elsewhere")
    repo.link(".gitignore", "elsewhere")
    assert not in_step(repo)


@pytest.mark.parametrize(
    "name", ["gitignore/policy_lines.py", "gitignore/globs.py", "gitignore/block.py"]
)
def test_a_changed_program_is_noticed(
    repo: Repo, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(repo)
    assert staged(repo) == IN_STEP
    assert in_step(repo)
    stat = os.stat
    asked: list[str] = []

    def changed(path: str | bytes, **options: Any) -> Any:
        found = stat(path, **options)
        if not str(path).endswith(name):
            return found
        asked.append(name)
        return SimpleNamespace(st_size=found.st_size + 1, st_mtime_ns=found.st_mtime_ns)

    monkeypatch.setattr("os.stat", changed)
    assert not in_step(repo)
    assert asked


def test_where_nothing_can_be_kept(repo: Repo) -> None:
    run(repo)
    (repo.git_directory / "fx-hooks.gitignore").mkdir()
    assert staged(repo) == IN_STEP
    assert not in_step(repo)


def test_the_quick_answer_is_for_the_root_without_options(repo: Repo) -> None:
    run(repo)
    assert staged(repo) == IN_STEP
    with working_directory(repo.root):
        assert proven_in_step([])
        assert not proven_in_step(["--check"])
    repo.write("src/a.py")
    with working_directory(repo.root / "src"):
        assert not proven_in_step([])


# Branches.


def add_milestone(repo: Repo, *names: str) -> None:
    repo.stage("best_models/milestones.yaml", listed(sorted(names)))
    assert run(repo).code == 1
    repo.git("add", ".gitignore")
    repo.commit()


def test_two_branches_that_each_add_a_milestone(repo: Repo) -> None:
    add_milestone(repo, "d", "m", "t")
    repo.git("checkout", "-q", "-b", "side")
    add_milestone(repo, "a", "d", "m", "t")
    repo.git("checkout", "-q", "main")
    add_milestone(repo, "d", "m", "t", "x")
    repo.git("merge", "-q", "side")
    assert run(repo) == IN_STEP
    for name in "admtx":
        assert f"\n!/best_models/{name}.pt\n".encode() in text(repo)


def test_two_branches_that_add_theirs_in_the_same_place(repo: Repo) -> None:
    add_milestone(repo, "a")
    repo.git("checkout", "-q", "-b", "side")
    add_milestone(repo, "a", "b")
    repo.git("checkout", "-q", "main")
    add_milestone(repo, "a", "c")
    repo.git("merge", "-q", "side", fails=True)
    assert b"\n<<<<<<< " in text(repo)
    names = "".join(f"  best_models/{name}.pt: {{}}\n" for name in "abc")
    repo.stage("best_models/milestones.yaml", f"milestones:\n{names}")
    assert run(repo).code == 1
    assert b"<<<<<<<" not in text(repo)
    assert run(repo).out.startswith(".gitignore: is unmerged. Stage it:\n    git add .gitignore\n")
    assert staged(repo) == IN_STEP


def merge(repo: Repo, *, side: dict[str, str], main: dict[str, str], fails: bool = True) -> None:
    """Two branches, each with its files and the block for them, and the attempt to merge them."""
    repo.git("checkout", "-q", "-b", "side")
    for branch, files in (("side", side), ("main", main)):
        repo.git("checkout", "-q", branch)
        for name, content in files.items():
            repo.stage(name, content)
        run(repo)
        repo.git("add", ".gitignore")
        repo.commit()
    repo.git("merge", "-q", "side", fails=fails)


def listed(names: Iterable[str]) -> str:
    return "milestones:\n" + "".join(f"  best_models/{name}.pt: {{}}\n" for name in names)


MILESTONES_FILE = "best_models/milestones.yaml"


@pytest.mark.parametrize("staged_first", [False, True])
def test_a_milestone_that_a_merge_takes_away(repo: Repo, staged_first: bool) -> None:
    add_milestone(repo, "a")
    merge(repo, side={MILESTONES_FILE: listed("b")}, main={MILESTONES_FILE: listed("ac")})
    assert b"\n<<<<<<< " in text(repo)
    assert run(repo) == Result(
        2,
        "",
        f"fx-sync-gitignore: error: {MILESTONES_FILE}: is unmerged: resolve the conflict and git"
        " add it, then run again\n",
    )
    repo.stage(MILESTONES_FILE, listed("bc"))
    if staged_first:
        repo.git("add", ".gitignore")
    assert run(repo).code == 1
    assert text(repo) == rewritten(b"", text(repo).splitlines()[1:-1])
    assert b"a.pt" not in text(repo)
    assert b"<<<" not in text(repo).replace(b"# <<< fx-hooks <<<", b"")
    assert staged(repo) == IN_STEP


@pytest.mark.parametrize("style", mostly_slow(["merge", "diff3"], 2))
@pytest.mark.parametrize("around", ["", "# mine\n*.swp\n"])
@pytest.mark.parametrize("force", mostly_slow(["", "--force"], 2))
def test_two_branches_that_change_the_policy(
    repo: Repo, style: str, around: str, force: str
) -> None:
    repo.git("config", "merge.conflictStyle", style)
    repo.stage(".fx-hooks.yaml", "ignore: [/base]\n")
    repo.write(".gitignore", around)
    run(repo)
    repo.write(".gitignore", around.encode() + b"\n" * bool(around) + text(repo))
    repo.git("add", ".gitignore")
    repo.commit()
    merge(
        repo,
        side={".fx-hooks.yaml": "ignore: [/base, /side]\ndisable: [outputs]\n"},
        main={".fx-hooks.yaml": "ignore: [/main]\nkeep: [/wandb/mine]\n"},
    )
    assert text(repo).count(b"# >>> fx-hooks ") > 1
    assert ".fx-hooks.yaml: is unmerged: resolve the conflict" in run(repo, "--check").err
    repo.stage(".fx-hooks.yaml", "ignore: [/side, /main]\n")
    assert run(repo, "--check").code == 1
    result = run(repo, *force.split())
    assert (result.code, result.err) == (1, "")
    wanted = written(policy=b"ignore: [/side, /main]\n")
    mine = around.encode() + b"\n" * bool(around)
    assert text(repo) == mine + wanted + (b"\n" + around.encode()) * bool(around)
    assert staged(repo) == IN_STEP


def test_two_branches_that_both_begin(repo: Repo) -> None:
    repo.write("a")
    repo.stage_all()
    repo.commit()
    merge(
        repo,
        side={".fx-hooks.yaml": "ignore: [/side]\n", ".gitignore": "*.swp\n"},
        main={".fx-hooks.yaml": "ignore: [/main]\n", ".gitignore": "*.bak\n"},
    )
    repo.stage(".fx-hooks.yaml", "ignore: [/side, /main]\n")
    before = text(repo)
    result = run(repo)
    if result.code == 2:
        # One conflict has lines of both people, too.
        assert "in a merge conflict, and '*.swp' would be lost: resolve the" in result.err
        assert text(repo) == before
        assert run(repo, "--force").code == 1
    rest = text(repo).removeprefix(written(policy=b"ignore: [/side, /main]\n"))
    assert b"*.swp\n" in rest
    assert b"*.bak\n" in rest
    assert b"fx-hooks" not in rest


OWN_CONFLICT = b"<<<<<<< HEAD\na\n=======\nb\n>>>>>>> side\n"
OLD = written(policy=b"ignore: [/a]\n")


def conflict(ours: bytes, theirs: bytes) -> bytes:
    return b"<<<<<<< HEAD\n" + ours + b"=======\n" + theirs + b">>>>>>> side\n"


@pytest.mark.parametrize(
    ("before", "after", "forced"),
    [
        pytest.param(conflict(BLOCK, b""), BLOCK, BLOCK, id="ours-alone"),
        pytest.param(conflict(b"", BLOCK), BLOCK, BLOCK, id="theirs-alone"),
        pytest.param(conflict(OLD, BLOCK), BLOCK, BLOCK, id="both"),
        pytest.param(
            conflict(BLOCK, OLD).replace(b"\n", b"\r\n"),
            BLOCK.replace(b"\n", b"\r\n"),
            BLOCK.replace(b"\n", b"\r\n"),
            id="crlf",
        ),
        pytest.param(BOM + conflict(OLD, BLOCK), BOM + BLOCK, BOM + BLOCK, id="bom"),
        pytest.param(
            b"<<<<<<< HEAD\n" + BLOCK + b"=======\nx\n", BLOCK + b"x\n", BLOCK + b"x\n", id="rests"
        ),
        pytest.param(
            OWN_CONFLICT + conflict(OLD, BLOCK) + OWN_CONFLICT,
            OWN_CONFLICT + BLOCK + OWN_CONFLICT,
            OWN_CONFLICT + BLOCK + OWN_CONFLICT,
            id="own-conflicts-stay",
        ),
        pytest.param(
            conflict(BLOCK + b"a\n", b"b\n" + BLOCK),
            b":%d: the block of fx-hooks is in a merge conflict, and 'b' would be lost: resolve the"
            b" conflict, or run fx-sync-gitignore --force" % (len(LINES) + 4),
            BLOCK + b"\na\nb\n",
            id="own-lines",
        ),
        pytest.param(
            BLOCK.replace(b"/wandb\n", conflict(b"/wandb\n", b"/wandb\n!/wandb/mine\n")),
            b":%d: the block of fx-hooks is in a merge conflict, and '!/wandb/mine' would be lost:"
            b" resolve the conflict, or run fx-sync-gitignore --force"
            % (LINES.index(b"/wandb\n") + 5),
            BLOCK,
            id="edited",
        ),
        pytest.param(
            b"<<<<<<< HEAD\nc\n||||||| base\n" + BLOCK + b"=======\nd\n>>>>>>> side\n",
            b":1: the block of fx-hooks is in a merge conflict: resolve it, or run"
            b" fx-sync-gitignore --force",
            BLOCK + b"\nc\nd\n",
            id="deleted-on-both-sides",
        ),
        pytest.param(
            BLOCK.replace(b"/wandb\n", b">>>>>>> side\n/wandb\n"), BLOCK, BLOCK, id="rest-within"
        ),
    ],
)
def test_conflicts(repo: Repo, before: bytes, after: bytes, forced: bytes) -> None:
    repo.write(".gitignore", before)
    result = run(repo)
    if after.startswith(b":"):
        message = f"fx-sync-gitignore: error: .gitignore{after.decode()}\n"
        assert (result.code, result.err) == (2, message)
        assert text(repo) == before
    else:
        assert (result.code, result.err) == (1, "")
        assert text(repo) == after
        assert staged(repo) == IN_STEP
    repo.write(".gitignore", before)
    assert run(repo, "--force").code == 1
    assert text(repo) == forced


def test_the_order_of_lines_behind_the_block_is_not_decided(repo: Repo) -> None:
    ours = BLOCK + b"/own\n!/data/keep\n/data/*\n"
    theirs = BLOCK + b"/own\n/data/*\n!/data/keep\n"
    before = conflict(ours, theirs)
    repo.write(".gitignore", before)
    result = run(repo)
    assert result.code == 2
    assert "'!/data/keep' would be lost: resolve the conflict" in result.err
    assert text(repo) == before
    repo.write(".gitignore", conflict(ours, BLOCK + b"/own\n\n/data/*\n"))
    assert run(repo).code == 1
    assert text(repo) == ours


def test_a_sparse_checkout_without_the_file(repo: Repo) -> None:
    """What is not there on disk is in the index."""
    repo.write(".gitignore", BLOCK + b"/own\n")
    repo.stage("src/a.py", "pass\n")
    repo.git("add", "-f", ".gitignore")
    repo.commit()
    repo.git("sparse-checkout", "set", "--no-cone", "/src/")
    assert not (repo.root / ".gitignore").exists()
    for options in ((), ("--check",), ("--findings",)):
        assert run(repo, *options) == IN_STEP
    repo.write(".fx-hooks.yaml", "ignore: [/a]\n")
    message = "is left out by the sparse checkout, and does not follow the policy: add it (git"
    for options in ((), ("--check",), ("--force",)):
        result = run(repo, *options)
        assert (result.code, result.out) == (2, "")
        assert f"fx-sync-gitignore: error: .gitignore: {message}" in result.err
    assert not (repo.root / ".gitignore").exists()
    repo.git("sparse-checkout", "disable")
    assert run(repo).code == 1
    assert text(repo).endswith(b"\n/own\n")


def test_lines_behind_the_block_that_look_like_a_milestone_are_not_lost(repo: Repo) -> None:
    end = LINES[-1]
    ours = b"!/best_models/y.pt\n/best_models/y.pt/\n" + end + b"/own\n/b\n"
    theirs = b"!/best_models/x.pt\n/best_models/x.pt/\n" + end + b"/own\n!/zoo\n/zoo/\n"
    listed = b"# milestones: those that are listed in best_models/milestones.yaml\n"
    before = BLOCK.removesuffix(end) + listed + conflict(ours, theirs)
    repo.write(".gitignore", before)
    result = run(repo)
    assert result.code == 2
    assert "'!/zoo' would be lost: resolve the conflict" in result.err
    assert text(repo) == before


def test_markers_of_a_conflict_are_not_to_be_staged(repo: Repo) -> None:
    """Lines of two people behind the block are theirs to bring together."""
    repo.write(".gitignore", BLOCK)
    repo.git("add", ".gitignore")
    repo.commit()
    block = BLOCK.decode()
    merge(repo, side={".gitignore": f"{block}/a\n"}, main={".gitignore": f"{block}/b\n"})
    before = text(repo)
    assert b"<<<<<<< " in before
    place = f".gitignore:{len(LINES) + 1}"
    message = f"{place}: is in a merge conflict: resolve it, then git add .gitignore\n"
    for options in ((), ("--check",)):
        assert run(repo, *options) == Result(2, "", f"fx-sync-gitignore: error: {message}")
    repo.write(".gitignore", before.replace(b"/wandb\n", b"", 1))
    assert run(repo).out.endswith(f"  +/wandb\n{message}")
    repo.write(".gitignore", BLOCK + b"/a\n/b\n")
    assert staged(repo) == IN_STEP


def test_a_merged_version_with_broken_markers_vouches_for_no_line() -> None:
    edited = BLOCK.replace(b"/wandb\n", b"/wandb\n/mine\n")
    other = written(policy=b"ignore: [/mine]\n")
    assert rewritten(edited, block_lines(load_policy()), merged=(BLOCK, other)) == BLOCK
    for broken in (other + LINES[-1], LINES[-1] + b"/mine\n"):
        with pytest.raises(FatalError, match="'/mine' would be lost"):
            rewritten(edited, block_lines(load_policy()), merged=(BLOCK, broken))


def test_conflicts_of_others(repo: Repo) -> None:
    repo.stage(".gitignore", OWN_CONFLICT + BLOCK + OWN_CONFLICT)
    assert run(repo) == run(repo, "--force") == IN_STEP


@pytest.mark.parametrize(
    ("before", "message"),
    [
        pytest.param(b"# >>> fx-hooks-like note\na\n", None, id="a-note"),
        pytest.param(b"# <<< fx-hooks says so\na\n", None, id="another-note"),
        pytest.param(
            BLOCK.replace(LINES[0], b"  " + LINES[0]).replace(LINES[-1], b"\t" + LINES[-1]),
            ":1: the marker of fx-hooks is indented: remove the blanks before it, or run"
            " fx-sync-gitignore --force",
            id="indented",
        ),
        pytest.param(
            BLOCK.replace(LINES[-1], b" " + LINES[-1]),
            f":{len(LINES)}: the marker of fx-hooks is indented: remove the blanks before it, or"
            " run fx-sync-gitignore --force",
            id="indented-end",
        ),
    ],
)
def test_what_is_a_marker(repo: Repo, before: bytes, message: str | None) -> None:
    repo.write(".gitignore", before)
    if message is None:
        run(repo)
        assert text(repo) == BLOCK + b"\n" + before
        return
    assert run(repo) == Result(2, "", f"fx-sync-gitignore: error: .gitignore{message}\n")
    assert run(repo, "--force").code == 1
    assert text(repo) == BLOCK


def test_only_a_newline_ends_a_line(repo: Repo) -> None:
    repo.write(".gitignore", b"a\rb\r\n")
    assert "\n a\\rb\n" in run(repo, "--diff").out
    run(repo)
    assert text(repo) == BLOCK.replace(b"\n", b"\r\n") + b"\r\na\rb\r\n"


# Among other lines.


USER_LINES = (
    "a", "!a", "b/", "*.b", "!*.b", "/a/*", "!/a/b", "**/ab", "#a", "", "x.pt", "a/**", "build/",
    "!build/", "ab*", "!ab/", "/.*", "é",
)  # fmt: skip


def matched_by_no_pattern(case: agreement.Case) -> list[bytes]:
    matcher = agreement.matcher(case.policy)
    decided = zip(case.paths, matcher.decide(case.paths), strict=True)
    return [path for path, number in decided if number < 0]


@pytest.mark.slow
def test_what_no_pattern_matches_is_ignored_as_before(empty: Repo) -> None:
    draw = random.Random(1)
    asked, before = [], []
    cases = list(agreement.draw_cases(700, 5))
    for name in ("info/exclude", "elsewhere"):
        (empty.git_directory / name).write_text("\n".join(draw.choices(USER_LINES, k=3)) + "\n")
    empty.git("config", "core.excludesFile", str(empty.git_directory / "elsewhere"))
    for number, case in enumerate(cases):
        lines = "\n".join(draw.choices(USER_LINES, k=4)).encode() + b"\n"
        wanted = block_lines(case.policy)
        plain, whole = (f"{number}/{name}/.gitignore" for name in ("plain", "whole"))
        empty.write(plain, lines)
        # Every second block has lines before it, too.
        before_it = b"".join(lines.splitlines(keepends=True)[: 2 * (number % 2)])
        empty.write(whole, before_it + rewritten(lines.removeprefix(before_it), wanted))
        for path in matched_by_no_pattern(case):
            before.append(b"%d/plain/" % number + path)
            asked.append(b"%d/whole/" % number + path)
    old = agreement.ignored(empty.root, before)
    new = agreement.ignored(empty.root, asked)
    assert {path.replace(b"/whole/", b"/plain/", 1) for path in new} == old
    assert len(asked) > 5_000
    assert len(old) > 300


@pytest.mark.parametrize("folder", ["tests", "test", "a/unit_tests/b", "my-fixtures", "testdata"])
def test_what_people_ignore_everywhere_stays_ignored_below_tests(empty: Repo, folder: str) -> None:
    own = (
        *(".DS_Store", ".idea/", ".vscode/", ".env", ".venv/", "node_modules/", "*.swp", "*~"),
        *("*.html", ".coverage", ".tox/", "*.egg-info/"),
    )
    (empty.git_directory / "own").write_text("\n".join(own) + "\n")
    empty.git("config", "core.excludesFile", str(empty.git_directory / "own"))
    run(empty)
    names = (
        *(".DS_Store", ".idea/x", ".vscode/x", ".env", ".venv/bin/python", "node_modules/y/z.js"),
        *(".a.py.swp", "a.py~", "a/.DS_Store", "a.html", ".coverage", ".tox/x", "a.egg-info/x"),
    )
    theirs = [f"{folder}/{name}".encode() for name in names]
    assert agreement.ignored(empty.root, theirs) == set(theirs)
    let_in = [f"{folder}/{name}".encode() for name in ("a.pt", "b/.log", "c/ckpt-3.index")]
    assert not agreement.ignored(empty.root, let_in)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", [b"", BOM, b"\r\n"], ids=["plain", "bom", "crlf"])
def test_the_block_means_the_same_among_other_lines(empty: Repo, hostile: bytes) -> None:
    """Lines before it may say what they like: the block decides all that it is about."""
    cases = list(agreement.draw_cases(150, 8))
    asked, refused = [], set()
    for number, case in enumerate(cases):
        # Nothing before it may close a directory: what is in there is lost to any line.
        content = b"!*\n# a comment\n\n!x.pt\n*.unheard-of\n" + rewritten(
            b"", block_lines(case.policy)
        )
        if hostile == b"\r\n":
            content = content.replace(b"\n", b"\r\n")
        empty.write(f"{number}/.gitignore", hostile * (hostile == BOM) + content)
        asked += [b"%d/" % number + path for path in case.paths]
        refused |= {b"%d/" % number + path for path in agreement.blocked(case.policy, case.paths)}
    assert agreement.ignored(empty.root, asked) == refused


@pytest.mark.slow
def test_the_block_means_the_same_before_other_lines(empty: Repo) -> None:
    """Lines behind it have the last word about what they match, and no say otherwise."""
    draw = random.Random(3)
    asked, refused = [], set()
    for number, case in enumerate(agreement.draw_cases(400, 9)):
        lines = draw.choices(USER_LINES, k=3)
        empty.write(
            f"{number}/.gitignore",
            rewritten("\n".join(lines).encode() + b"\n", block_lines(case.policy)),
        )
        patterns = [line.lstrip("!") for line in lines if line and not line.startswith("#")]
        theirs = case._replace(policy=only_these(patterns or ["none"]))
        paths = matched_by_no_pattern(theirs)
        asked += [b"%d/" % number + path for path in paths]
        refused |= {b"%d/" % number + path for path in agreement.blocked(case.policy, paths)}
    assert agreement.ignored(empty.root, asked) == refused
    assert len(asked) > 5_000
    assert len(refused) > 1_000


def only_these(patterns: Sequence[str]) -> Policy:
    """A policy of nothing but *patterns*."""
    ignored = ", ".join(map(agreement.quoted, patterns))
    text = f"disable: [{', '.join(agreement.BUILT_IN)}]\nignore: [{ignored}]\n"
    return load_policy(f"{text}best_models: {{metadata: [], documents: []}}\n".encode())


LIGHTNING_HYDRA = """\
# Byte-compiled / optimized / DLL files
__pycache__/
*.py[cod]

### Lightning-Hydra-Template
configs/local/default.yaml
/data/
/logs/
.env

# Aim logging
.aim
"""


def test_the_template_of_lightning_and_hydra(empty: Repo) -> None:
    """Its logs/.gitkeep is tracked although ignored; others write `/logs/*`, `!logs/.gitkeep`."""
    for lines in (LIGHTNING_HYDRA, LIGHTNING_HYDRA + "/logs/*\n!/logs/\n!logs/.gitkeep\n"):
        empty.write(".gitignore", lines)
        assert run(empty).code == 1
        paths = [
            b"logs/.gitkeep", b"logs/train/runs/2024-01-31_23-59-59/train.log", b"data/x.bin",
            b"configs/local/default.yaml", b"configs/train.yaml", b"src/a.pyc", b".env",
        ]  # fmt: skip
        kept = {b"configs/train.yaml"} | ({b"logs/.gitkeep"} if "!logs" in lines else set())
        assert set(paths) - agreement.ignored(empty.root, paths) == kept
        (empty.root / ".gitignore").unlink()


# What is wrong around it.


def findings(repo: Repo, lines: str) -> tuple[int, Sequence[str]]:
    repo.write(".gitignore", lines)
    run(repo)
    result = run(repo, "--findings")
    assert result.err == ""
    return result.code, result.out.splitlines()


def place(repo: Repo, line: str) -> int:
    return text(repo).decode().splitlines().index(line) + 1


def test_nothing_is_wrong(repo: Repo) -> None:
    assert findings(repo, "*.swp\n!logs/.gitkeep\n/data/\n") == (0, [])


def test_lines_behind_the_block(repo: Repo) -> None:
    code, lines = findings(repo, "!*.pt\n!/logs/run-*\n!/wandb/run-*\n*.json\n")
    first = place(repo, "!*.pt")
    assert (code, len(lines), lines[-1]) == (1, 5, LINES_ADVICE)
    assert (
        lines[0] == f".gitignore:{first}: '!*.pt' lets in x.pt, which the policy blocks (weights)"
    )
    assert lines[1].startswith(f".gitignore:{first + 1}: '!/logs/run-*' lets in logs/run-x, which")
    assert lines[2].startswith(f".gitignore:{first + 2}: '!/wandb/run-*' lets in wandb/run-x")
    assert lines[3].startswith(
        f".gitignore:{first + 3}: '*.json' ignores best_models/x.json, which"
    )


def test_lines_behind_the_block_that_swallow_what_is_kept(repo: Repo) -> None:
    repo.write(".fx-hooks.yaml", "keep: [/assets/*.pt, /src/data/]\n")
    add_milestone(repo, "base")
    code, lines = findings(repo, "assets/\n*.pt\ndata/\n")
    first = place(repo, "assets/")
    assert (code, lines) == (
        1,
        [
            f".gitignore:{first + number}: '{line}' ignores {path}, which the policy lets in"
            f" ({rule})"
            for number, line, path, rule in (
                (0, "assets/", "assets/x.pt", "keep"),
                (1, "*.pt", "best_models/base.pt", "milestone"),
                (2, "data/", "src/data/x", "keep"),
            )
        ]
        + [LINES_ADVICE],
    )


def test_lines_before_the_block(repo: Repo) -> None:
    code, lines = findings(repo, "!x.log\n*.swp\n" + BLOCK.decode())
    assert (code, lines) == (
        1,
        [".gitignore:1: has no effect: the block below it decides", LINES_ADVICE],
    )


def test_lines_before_the_block_that_hold_elsewhere(repo: Repo) -> None:
    """The block closes /wandb; src/wandb is theirs."""
    assert findings(repo, "wandb/\noutputs/\n/wandb/\n" + BLOCK.decode()) == (
        1,
        [".gitignore:3: has no effect: the block below it decides", LINES_ADVICE],
    )


def test_lines_before_the_block_that_it_says_in_part(repo: Repo) -> None:
    assert findings(repo, "*.py[cod]\n" + BLOCK.decode()) == (0, [])


def test_lines_before_the_block_that_let_in_what_the_policy_does(repo: Repo) -> None:
    assert findings(repo, "!logs/.gitkeep\n!tests/x.pt\n" + BLOCK.decode()) == (0, [])


def test_lines_are_counted_as_git_counts_them(repo: Repo) -> None:
    first = len(LINES) + 2
    assert findings(repo, "a\rb\x0cc\r\n!*.pt\r\n")[1][0].startswith(
        f".gitignore:{first + 1}: '!*.pt'"
    )


def test_git_is_asked_only_what_can_be_wrong(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds every path against every line."""
    asked: list[bytes] = []
    ask = Repository.ignore_lines

    def counted(repository: Repository, paths: Sequence[bytes], **given: Any) -> object:
        asked.extend(paths)
        return ask(repository, paths, **given)

    monkeypatch.setattr(Repository, "ignore_lines", counted)
    own = "".join(f"/data/{number}.csv\nname{number}.tmp\n" for number in range(500))
    before = "".join(f"/old/{number}.csv\nold{number}.tmp\n" for number in range(500))
    assert findings(repo, before + BLOCK.decode() + own) == (0, [])
    assert len(asked) < 100


@pytest.mark.parametrize(
    "line", [".dmypy.json", "dmypy.json", "test-results/", "/tests/output/", "fixtures/", "tests/"]
)
def test_lines_about_what_nobody_wishes_to_have(repo: Repo, line: str) -> None:
    """The policy lets in test data and the like; that is no reason to have any."""
    assert findings(repo, f"{line}\n") == (0, [])


@pytest.mark.parametrize(
    "line",
    ["best_models/", "best_models", "/best_models", "best_models/*", "/best_models/**", "*", "/*"],
)
def test_lines_that_ignore_the_metadata_of_models(repo: Repo, line: str) -> None:
    code, lines = findings(repo, f"{line}\n")
    assert code == 1
    assert (
        f"'{line}' ignores best_models/x.json, which the policy lets in (best-models)" in lines[0]
    )


@pytest.mark.parametrize("line", ["!/src/*", "!/src/**", "!/src/**/*", "!data/**", "!*.p?"])
def test_lines_that_let_in_all_of_a_folder(repo: Repo, line: str) -> None:
    code, lines = findings(repo, f"{line}\n")
    assert (code, len(lines)) == (1, 2)
    assert f": '{line}' lets in " in lines[0]
    assert "x.pt, which the policy blocks (weights)" in lines[0]


def test_nested_ignore_files(repo: Repo) -> None:
    repo.stage("src/.gitignore", "*.swp\n!*.ckpt\n")
    repo.write("lib/.gitignore", "\n!*.pth\n")
    code, lines = findings(repo, "")
    assert code == 1
    assert lines == [
        "lib/.gitignore:2: '!*.pth' lets in lib/x.pth, which the policy blocks (weights)",
        "src/.gitignore:2: '!*.ckpt' lets in src/x.ckpt, which the policy blocks (weights)",
        LINES_ADVICE,
    ]


def test_a_nested_ignore_file_that_is_not_there(repo: Repo) -> None:
    repo.stage("src/.gitignore", "!*.ckpt\n")
    (repo.root / "src" / ".gitignore").unlink()
    assert findings(repo, "") == (0, [])


def test_tracked_although_ignored(repo: Repo) -> None:
    for name in ("outputs/a", "outputs/b/c", "src/x.pt"):
        repo.stage(name)
    repo.stage("src/a.py", "pass\n")
    repo.commit()
    code, lines = findings(repo, "")
    assert (code, lines) == (
        1,
        [
            "3 files are tracked although ignored:",
            "  outputs/a  1 file",
            "  outputs/b/c  1 file",
            "  src/x.pt  1 file",
            "Stop tracking them (the files stay on disk), or let them in with `keep`:",
            "    git rm -r -q --cached -- outputs src/x.pt",
        ],
    )
    repo.git("rm", "-r", "-q", "--cached", "--", "outputs", "src/x.pt")
    assert run(repo, "--findings") == IN_STEP


def test_what_one_person_ignores_is_no_finding(repo: Repo) -> None:
    repo.stage("foo.txt")
    repo.commit()
    with (repo.root / ".git" / "info" / "exclude").open("a") as file:
        file.write("foo.txt\n")
    assert findings(repo, "") == (0, [])


def test_what_git_untracks_only_by_force(repo: Repo) -> None:
    repo.stage("outputs/a", "staged")
    repo.write("outputs/a", "and changed")
    code, lines = findings(repo, "")
    assert (code, lines[-1]) == (1, "    git rm -r -q --cached -f -- outputs")
    repo.git(*lines[-1].split()[1:])


def test_tracked_and_let_in_by_the_policy(repo: Repo) -> None:
    """The line is at fault, not the file."""
    repo.stage("logs/.gitkeep")
    repo.stage("logs/a.txt")
    repo.commit()
    code, lines = findings(repo, "logs/\n!logs/.gitkeep\n")
    first = place(repo, "logs/")
    assert (code, lines) == (
        1,
        [
            f".gitignore:{first}: 'logs/' ignores logs/.gitkeep, which the policy lets in (logs)",
            LINES_ADVICE,
            "1 file is tracked although ignored:",
            "  logs/a.txt  1 file",
            "Stop tracking it (the file stays on disk), or let it in with `keep`:",
            "    git rm -r -q --cached -- logs/a.txt",
        ],
    )


def test_links_and_submodules_are_not_asked_through(repo: Repo, tmp_path: Path) -> None:
    repo.link("wandb", tmp_path)
    repo.gitlink("logs")
    assert findings(repo, "!x.pt\n")[0] == 1
