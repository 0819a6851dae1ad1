"""The trial: git itself commits and merges a run, in a throw-away work tree."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from fx_hooks.cli._runners import CONFIG, CONFIG_YML, PREK_TOML, STAGES
from fx_hooks.git.repository import Repository, output_of, start_program
from fx_hooks.util.errors import FatalError
from fx_hooks.util.terminal import one_line

# The files of runners, which may not be committed yet.
_OF_RUNNERS = (
    CONFIG, CONFIG_YML, PREK_TOML, ".fx-hooks.yaml", ".fx-hooks-baseline", ".husky",
    *(f"{dot}lefthook{local}.{ending}" for dot in ("", ".") for local in ("", "-local")
      for ending in ("yml", "yaml", "json", "toml")),
)  # fmt: skip
_MOST_LINES = 8
_RUN = "wandb/run-20250101_000000-fxhooks0/files/config.yaml"
_NAMED = ("-c", "user.name=fx-init", "-c", "user.email=fx-init@localhost", "-c",
          "commit.gpgSign=false")  # fmt: skip


def try_hooks(repository: Repository) -> dict[str, bool]:
    """Return which of git's hooks keep a run out, as git starts them.

    It commits and merges one in a work tree of its own, at ``HEAD``, where nothing of the user's
    is. Raises :class:`~fx_hooks.util.errors.FatalError` where a clean commit is refused as well.
    """
    if repository.head() is None:
        raise FatalError("there is no commit yet to try the hooks on: commit something first")
    with _work_tree(repository) as tree:

        def git(*arguments: str) -> bool:
            return start_program(("git", *_NAMED, *arguments), tree) == 0

        def staged(name: str) -> None:
            place = os.path.join(tree, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write("a: 1\n")
            git("add", "-f", "--", name)

        # The block of .gitignore may still have to be written there.
        start_program(("fx-sync-gitignore",), tree)
        git("add", "-A")
        git("commit", "-q", "--no-verify", "--allow-empty", "-m", "start")
        staged("fx-hooks-trial.txt")
        code, said = output_of(("git", *_NAMED, "commit", "-q", "-m", "clean"), tree)
        if code:
            raise _refuses_all(said)
        staged(_RUN)
        found = {STAGES[0]: not git("commit", "-q", "-m", "run")}
        git("reset", "-q", "--hard", "HEAD")
        staged(_RUN)
        git("commit", "-q", "--no-verify", "-m", "run")
        side = os.path.basename(tree)
        git("branch", "-q", side)
        git("reset", "-q", "--hard", "HEAD~1")
        staged("fx-hooks-trial-2.txt")
        git("commit", "-q", "--no-verify", "-m", "more")
        found[STAGES[1]] = not git("merge", "-q", "--no-edit", side)
        git("branch", "-q", "-D", side)
    return found


def _refuses_all(said: str) -> FatalError:
    """Return that a clean commit is refused, with the end of what git and its hooks *said*."""
    lines = [one_line(line) for line in said.splitlines() if line.strip()]
    if not lines:
        return FatalError("the hooks refuse a clean commit, too, and do not say why")
    return FatalError("the hooks refuse a clean commit, too. They said:", *lines[-_MOST_LINES:])


@contextmanager
def _work_tree(repository: Repository) -> Iterator[str]:
    above = tempfile.mkdtemp(prefix="fx-hooks-")
    tree = os.path.join(above, f"fx-hooks-trial-{os.getpid()}")
    try:
        repository.run("worktree", "add", "-q", "--detach", tree, "HEAD")
        root = os.fsdecode(repository.root)
        for name in _OF_RUNNERS:
            source, target = os.path.join(root, name), os.path.join(tree, name)
            if os.path.isfile(source):
                shutil.copy2(source, target)
            elif os.path.isdir(source):
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        yield tree
    finally:
        repository.run("worktree", "remove", "--force", tree, codes=(0, 128))
        shutil.rmtree(above, ignore_errors=True)
