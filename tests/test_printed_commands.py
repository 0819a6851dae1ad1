"""Each command that is printed runs as it stands, in every shell, and ends what was refused.

The source is searched for commands: one that neither a scene here nor a named test runs fails.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import fx_hooks
from fx_hooks import check_best_models, check_range, sync_gitignore
from fx_hooks.cli import add_milestone, init
from tests.contract_support import META, METADATA, MODEL, MODULE, STATE, approve
from tests.support import Repo, Result, mostly_slow, run, run_main, working_directory
from tests.weight_files import malicious

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the shells are those of POSIX")
SHELLS = (("bash",), ("dash",), ("zsh", "-f"), ("busybox", "sh"))
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A refusal: what leads to it, what refuses, and the commands that it prints, by their heads.

    After them *refuses* has to pass; ``from_folder`` is where the user stands.
    """

    prepare: Callable[[Repo], None]
    refuses: Callable[[Path], Result]
    heads: tuple[str, ...]
    passes: bool = True
    from_folder: str = "."


def artifacts(*arguments: str) -> Callable[[Path], Result]:
    def start(folder: Path) -> Result:
        with working_directory(folder):
            return run_main(list(arguments))

    return start


def of(main: Callable[..., int], *arguments: str) -> Callable[[Path], Result]:
    return lambda folder: run(main, *arguments, cwd=folder)


def in_folder(repo: Repo) -> None:
    repo.stage("src/a.py")
    repo.commit()


def staged(repo: Repo) -> None:
    in_folder(repo)
    for name in ("a b.pt", "=x.pt", "[1].pt", "$HOME.pt", "gone.pt"):
        repo.stage(name)
    repo.remove("gone.pt")


def tracked(repo: Repo) -> None:
    in_folder(repo)
    repo.stage("outputs/2024-01-31/12-00-00/a.csv")
    repo.stage("it's.pt")
    repo.commit()


def new_model(repo: Repo) -> None:
    in_folder(repo)
    repo.write("m.pt", STATE)
    repo.write(METADATA, META)


def new_module(repo: Repo) -> None:
    new_model(repo)
    repo.write("m.pt", MODULE)


def unapproved(repo: Repo) -> None:
    in_folder(repo)
    repo.stage(MODEL, STATE)
    repo.stage(METADATA, META)


def unsafe(repo: Repo) -> None:
    in_folder(repo)
    repo.stage(MODEL, malicious()["zip-os-system"])
    repo.stage(METADATA, META)


def without_a_digest(repo: Repo) -> None:
    approve(repo, sha256=None)
    in_folder(repo)


def without_figures(repo: Repo) -> None:
    in_folder(repo)
    repo.write("m.pt", STATE)
    repo.write(METADATA, '{"config": {}}')


def retrained_model(repo: Repo) -> None:
    approve(repo)
    in_folder(repo)
    repo.write(MODEL, (Path(__file__).parent / "data/weights/checkpoint.pth").read_bytes())


def metadata_of_another(repo: Repo) -> None:
    approve(repo)
    in_folder(repo)
    repo.stage(METADATA, META[:-1] + f', "sha256": "{"0" * 64}"}}')


def changed_model(repo: Repo) -> None:
    approve(repo)
    in_folder(repo)
    repo.stage(MODEL, (Path(__file__).parent / "data/weights/checkpoint.pth").read_bytes())


def foreign(repo: Repo) -> None:
    in_folder(repo)
    repo.stage("best_models/x.bin")


def stale(repo: Repo) -> None:
    approve(repo)
    in_folder(repo)
    repo.git("rm", "-q", "--cached", MODEL)


def gone(repo: Repo) -> None:
    approve(repo)
    in_folder(repo)
    repo.git("rm", "-q", MODEL)


def last_commit(repo: Repo) -> None:
    in_folder(repo)
    repo.stage("m.pt", STATE)
    repo.commit()


def retrained(repo: Repo) -> None:
    in_folder(repo)
    repo.stage("page.pt", b"\0binary")
    repo.commit()
    repo.stage("page.pt", "{{ template }}\n")
    repo.commit()


def tagged(repo: Repo) -> None:
    last_commit(repo)
    repo.git("tag", "v1")
    repo.git("reset", "-q", "--hard", "HEAD~1")


def stashed(repo: Repo) -> None:
    in_folder(repo)
    repo.stage("m.pt", STATE)
    repo.git("stash", "-q")


def stashed_untracked(repo: Repo) -> None:
    in_folder(repo)
    repo.write("outputs/2025-01-01/12-00-00/a.csv", "1\n")
    repo.git("stash", "-q", "-u")
    repo.git("init", "-q", "--bare", "-b", "main", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.git("push", "-q", "origin", "main")


def stashed_twice(repo: Repo) -> None:
    stashed(repo)
    repo.write("src/a.py", "a = 1\n")
    repo.git("stash", "-q")


def stashed_and_published(repo: Repo) -> None:
    stashed_untracked(repo)
    repo.stage("later.pt", STATE)
    repo.commit()


def detached(repo: Repo) -> None:
    last_commit(repo)
    repo.git("branch", "topic")
    repo.git("reset", "-q", "--hard", "HEAD~1")


def pushed(repo: Repo) -> None:
    in_folder(repo)
    repo.git("init", "-q", "--bare", "-b", "main", "../remote.git")
    repo.git("remote", "add", "origin", "../remote.git")
    repo.git("push", "-q", "origin", "main")
    repo.git("checkout", "-q", "-b", "topic")
    repo.stage("m.pt", STATE)
    repo.commit()
    repo.git("push", "-q", "-u", "origin", "topic")


def below_the_last(repo: Repo) -> None:
    last_commit(repo)
    repo.stage("src/b.py", "b = 1\n")
    repo.commit()


def pushed_below_the_last(repo: Repo) -> None:
    pushed(repo)
    repo.stage("src/b.py", "b = 1\n")
    repo.commit()
    repo.git("push", "-q", "origin", "topic")


def debt(repo: Repo) -> None:
    in_folder(repo)
    repo.git("commit", "-q", "--allow-empty", "-m", "x")
    repo.stage("best_models/old_meta.json", '{"acc": 1}')
    repo.commit()


def last(folder: Path) -> Result:
    return run(check_range.main, "HEAD~1..HEAD", cwd=folder)


def older_stash(folder: Path) -> Result:
    words = ("git", "stash", "list")
    there = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
    if there.count("\n") < 2:
        return Result(0, "", "")
    return run(check_range.main, "main..stash@{1}", cwd=folder)


def tag_is_gone(folder: Path) -> Result:
    there = subprocess.run(
        ("git", "tag"), cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return run(check_range.main, "main..v1", cwd=folder) if there else Result(0, "", "")


SCENES = {
    "unstage": Scene(
        prepare=staged,
        refuses=artifacts(),
        heads=("git checkout-index -q", "git --literal-pathspecs reset -q"),
    ),
    "unstage-below": Scene(
        prepare=staged, refuses=artifacts(), heads=("git -C .. ",), from_folder="src"
    ),
    "untrack": Scene(
        prepare=tracked, refuses=artifacts("--all-files"), heads=("git rm -r -q --cached",)
    ),
    "gitignore": Scene(
        prepare=in_folder, refuses=of(sync_gitignore.main), heads=("git add .gitignore",)
    ),
    "milestone": Scene(
        prepare=new_model,
        refuses=of(add_milestone.main, "../m.pt", "--why", "x"),
        heads=("git -C .. add -f -- best_models/m.pt",),
        passes=False,
        from_folder="src",
    ),
    "unapproved": Scene(
        prepare=unapproved,
        refuses=artifacts(),
        heads=("git reset -q", "fx-add-milestone best_models/m.pt --why TEXT"),
    ),
    "not-allowed": Scene(
        prepare=new_module,
        refuses=of(add_milestone.main, "m.pt", "--why", "x"),
        heads=("fx-add-milestone m.pt --why x --allow-global",),
        passes=False,
    ),
    "changed": Scene(
        prepare=changed_model,
        refuses=of(check_best_models.main, "--all-files"),
        heads=("git checkout HEAD -- best_models/m.pt",
               "fx-add-milestone --replace best_models/m.pt --metric NAME=VALUE"),
    ),
    "figures-before": Scene(
        prepare=retrained_model,
        refuses=of(add_milestone.main, "--replace", "../best_models/m.pt"),
        heads=("git -C .. add", "fx-add-milestone --replace ../best_models/m.pt --metric NAME"),
        passes=False,
        from_folder="src",
    ),
    "metadata-of-another": Scene(
        prepare=metadata_of_another,
        refuses=of(check_best_models.main),
        heads=("fx-add-milestone --replace best_models/m.pt --metric NAME=VALUE",),
        passes=False,
    ),
    "unlisted": Scene(
        prepare=unapproved,
        refuses=of(check_best_models.main),
        heads=("fx-add-milestone best_models/m.pt --why TEXT",
               "git rm -q -f --cached --ignore-unmatch -- best_models/m.pt"),
    ),
    "unsafe": Scene(
        prepare=unsafe,
        refuses=of(check_best_models.main),
        heads=("git rm -q -f --cached --ignore-unmatch -- best_models/m.pt",),
    ),
    "entry": Scene(
        prepare=without_a_digest,
        refuses=of(check_best_models.main),
        heads=("fx-add-milestone --replace best_models/m.pt --why TEXT",),
        passes=False,
    ),
    "no-metric": Scene(
        prepare=without_figures,
        refuses=of(add_milestone.main, "m.pt", "--why", "x"),
        heads=("fx-add-milestone m.pt --why x --metric NAME=VALUE",),
        passes=False,
    ),
    "foreign": Scene(
        prepare=foreign,
        refuses=of(check_best_models.main),
        heads=("git rm -q -f --cached --ignore-unmatch -- best_models/x.bin",),
    ),
    "stale": Scene(
        prepare=stale, refuses=of(check_best_models.main), heads=("git add -f -- best_models",)
    ),
    "stale-and-gone": Scene(
        prepare=gone,
        refuses=of(check_best_models.main),
        heads=("git checkout HEAD -- best_models/m.pt",),
    ),
    "amend": Scene(
        prepare=last_commit,
        refuses=last,
        heads=("git rm -r -q --cached -f", "git commit --amend --no-edit"),
    ),
    "filter-repo": Scene(
        prepare=retrained,
        refuses=of(check_range.main),
        heads=("git diff --stat --exit-code HEAD && printf",),
    ),
    "rebase": Scene(
        prepare=below_the_last,
        refuses=of(check_range.main, "HEAD~2..HEAD"),
        heads=("git diff --stat --exit-code HEAD && git checkout -q",),
    ),
    "pull-request-rebase": Scene(
        prepare=pushed_below_the_last,
        refuses=of(check_range.main, "origin/main..HEAD"),
        heads=("(cd .. && git diff --stat --exit-code HEAD && git checkout -q",
               "git -C .. push --force-with-lease origin topic"),
        from_folder="src",
    ),
    "tag": Scene(prepare=tagged, refuses=tag_is_gone, heads=("git tag -d v1",)),
    "stash": Scene(
        prepare=stashed, refuses=of(check_range.main, "--all"), heads=("git stash pop",)
    ),
    "stash-untracked": Scene(
        prepare=stashed_untracked,
        refuses=of(check_range.main, "--all"),
        heads=("git stash pop",),
        from_folder="src",
    ),
    "stash-older": Scene(
        prepare=stashed_twice, refuses=older_stash, heads=("git stash pop -q 'stash@{1}'",)
    ),
    "audit-unpublished": Scene(
        prepare=stashed_and_published,
        refuses=of(check_range.main, "--all"),
        heads=("fx-check-range", "git stash pop"),
        passes=False,
    ),
    "branch": Scene(
        prepare=detached,
        refuses=of(check_range.main, "main..topic~0"),
        heads=("git branch --contains",),
        passes=False,
    ),
    "pull-request": Scene(
        prepare=pushed,
        refuses=of(check_range.main, "origin/main..HEAD"),
        heads=("git commit --amend", "git push --force-with-lease origin topic"),
    ),
    "debt": Scene(
        prepare=debt,
        refuses=of(init.main, "--yes"),
        heads=("git add .gitignore .pre-commit-config.yaml", "pre-commit install",
               "fx-check-best-models --all-files", "fx-init --baseline --yes"),
    ),
}  # fmt: skip
# Commands that a test of another file runs, or why none can.
ELSEWHERE = {
    "git add ": "test_init.py::test_changes_of_the_policy_that_are_not_staged",
    "git checkout -q ": "test_range_advice.py::test_a_branch_that_is_not_checked_out",
    "git rebase ": "test_range_advice.py::test_an_artifact_that_stays_is_taken_out_by_a_rebase",
    "git filter-repo": "test_range_advice.py::test_what_a_rebase_would_stop_at",
    "git push -q --force ": "test_range_advice.py::test_what_a_remote_has",
    "prek install ": "test_init.py::test_prek_toml",
    "fx-init --try": "test_init.py::test_a_trial_starts_what_git_starts",
    "pre-commit uninstall ": "test_init.py::test_undo_leaves_a_repository_that_takes_commits",
    "prek uninstall ": "test_init.py::test_undo_leaves_a_repository_that_takes_commits",
    "lefthook install": "test_other_runners.py::test_what_is_said_of_lefthook_leads_to_green",
    "git lfs ": "Git LFS is not installed where the tests run",
    "git fsck": "test_damaged_objects.py::test_each_error_says_once_what_helps",
    "git fetch --refetch ": "of a partial clone: it fetches from a server",
    "git cat-file -e ": "of a partial clone: it fetches from a server",
    "wandb ": "it asks a server",
    "fx-clean-runs --older-than ": "test_report_space_text.py::test_commands_may_be_copied",
    "git gc": "it is git's own",
    "git mv -f": "test_near_misses.py::test_what_mends_it_works_for_files_that_are_not_tracked",
    "git rm -f": "test_near_misses.py::test_what_mends_it_works_for_files_that_are_not_tracked",
}
# Text that only begins like one.
PROSE = re.compile(
    r"fx-hooks (keeps|completion|rules)|git (tracks|is|was|cannot|has) |fx-add-milestone approves"
    r"|wandb sync\Z|git -C \Z"
)
_COMMAND = re.compile(
    r"\s*((?:git|pre-commit|prek|lefthook|wandb|fx-[a-z]+(?:-[a-z]+)*) [-a-z'%].*)", re.DOTALL
)


def written_in_the_source() -> Iterator[tuple[str, str]]:
    """Yield each text of the package that begins like a command, and its place."""
    root = Path(fx_hooks.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = None
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Command"):
                words = [
                    str(arg.value) if isinstance(arg, ast.Constant) else "*" for arg in node.args
                ]
                text = " ".join(words).partition(" *")[0]
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                text = str(node.values[0].value)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            match = _COMMAND.match(text) if text is not None else None
            if match is not None:
                yield match[1], f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"


def test_every_printed_command_is_run() -> None:
    heads = [head for scene in SCENES.values() for head in scene.heads]
    unknown = []
    for text, place in written_in_the_source():
        known = any(head.startswith(text) or text.startswith(head) for head in heads)
        known |= any(f" {text}" in f" {head}" for head in heads)
        if not known and not text.startswith(tuple(ELSEWHERE)) and not PROSE.match(text):
            unknown.append(f"{place}: {text}")
    assert unknown == []


def test_the_named_tests_are_there() -> None:
    for where in ELSEWHERE.values():
        name, _, test = where.partition("::")
        if test:
            assert f"def {test}(" in (Path(__file__).parent / name).read_text("utf-8"), where


def commands_of(result: Result) -> list[str]:
    text = (result.out + result.err).replace("\\\n", "")
    pattern = r"^    ((?:\(cd|git|fx-[a-z-]+|pre-commit|prek|printf)(?: .*)?)$"
    return re.findall(pattern, text, re.MULTILINE)


@pytest.mark.parametrize("name", mostly_slow(SCENES, 2))
@pytest.mark.parametrize(
    "shell",
    [pytest.param(words, id=words[0], marks=[pytest.mark.slow] * (words != SHELLS[0]))
     for words in SHELLS],
)  # fmt: skip
def test_what_is_printed_leads_to_green(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, shell: tuple[str, ...], name: str
) -> None:
    try:
        subprocess.run((*shell, "-c", ":"), check=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {shell[0]}")
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    scene = SCENES[name]
    scene.prepare(repo)
    folder = repo.root / scene.from_folder
    first = scene.refuses(folder)
    for head in scene.heads:
        assert any(command.startswith(head) for command in commands_of(first)), (head, first)
    follow(scene, first, folder, shell)


# Those that name a file from where the user stands.
FROM_ROOT = {"not-allowed", "no-metric"}


@pytest.mark.parametrize("name", mostly_slow(sorted(SCENES.keys() - FROM_ROOT), 4))
def test_it_does_so_from_below_the_root(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}")
    scene = SCENES[name]
    scene.prepare(repo)
    folder = repo.root / "src"
    follow(scene, scene.refuses(folder), folder, SHELLS[0])


def follow(scene: Scene, first: Result, folder: Path, shell: tuple[str, ...]) -> None:
    """Run what *first* prints in *folder*, and see that *scene* refuses no more."""
    commands = commands_of(first)
    assert commands, first
    for text in commands:
        command = text.replace("NAME=VALUE", "accuracy=0.9")  # the user's own
        done = subprocess.run(
            (*shell, "-c", command),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A check may have something left to say; nothing else may fail.
        wanted = (0, 1) if command.startswith("fx-check-") else (0,)
        assert done.returncode in wanted, (command, done.stdout)
    if scene.passes:
        after = scene.refuses(folder)
        assert after.code == 0, (commands, after)
