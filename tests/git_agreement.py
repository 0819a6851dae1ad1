"""The fast paths under every setting of git: `python -m tests.git_agreement`.

What they are sure of, the command has to say as well.

Settings are what ``git help --config`` lists, and the environment variables that the program
knows; ``tests/data/git_settings.json`` records which were tried, with which git, and what came of
it. A setting that a newer git adds is not in it, and the tests say so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from fx_hooks.cli import check_artifacts, check_best_models, check_range, sync_gitignore
from fx_hooks.fastpath import artifacts, best_models, commit_range, gitignore
from tests.support import WEIGHTS, Repo, working_directory

RECORD = Path(__file__).parent / "data" / "git_settings.json"
VALUES = ("true", "false", "off")
# What git prints, reads or walks by; every other section gets one value.
PRINTED = {
    "core", "diff", "log", "status", "index", "feature", "splitIndex", "submodule", "extensions",
    "format", "notes", "pretty", "i18n", "filter", "branch", "remote", "uploadpack", "commitGraph",
}  # fmt: skip
# Values that mean something of their own, next to the others.
OWN_VALUES = {
    "core.attributesFile": ("/dev/null",),
    "core.commentChar": ("#",),
    "core.excludesFile": ("/dev/null",),
    "core.quotePath": ("true", "false"),
    "diff.external": ("/bin/true",),
    "diff.ignoreSubmodules": ("all", "dirty", "none"),
    "diff.orderFile": ("/dev/null",),
    "diff.renames": ("copies",),
    "diff.submodule": ("log", "short", "diff"),
    "extensions.objectFormat": ("sha1",),
    "extensions.worktreeConfig": ("true",),
    "format.pretty": ("oneline", "%H"),
    "index.version": ("2", "3", "4"),
    "log.date": ("relative", "raw"),
    "log.decorate": ("full", "short"),
    "log.diffMerges": ("off", "none", "first-parent", "separate", "combined", "dense-combined"),
    "status.renames": ("copies",),
    "status.showUntrackedFiles": ("no", "all"),
}
# These say where things are, or whose word counts: the states and kinds are about them.
ELSEWHERE = {
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH", "GIT_NAMESPACE",
    "core.worktree", "core.bare", "include.path", "includeIf.condition.path",
}  # fmt: skip


class Setting(NamedTuple):
    """A configuration value, or one of an environment variable."""

    name: str
    value: str

    @property
    def is_variable(self) -> bool:
        return self.name.startswith("GIT_")


class Question(NamedTuple):
    """What the fast path and the command are asked."""

    name: str
    fast: Callable[[list[str]], bool]
    command: Callable[[Sequence[str]], int]
    arguments: list[str]


def questions(old: str, staged: str) -> list[Question]:
    """Return all questions; *old* is the commit that the range stands on, *staged* a file."""
    files: list[list[str]] = [
        [], ["--", "pkg/fine.py", staged], ["pkg/fine.py", staged], ["--all-files"],
    ]  # fmt: skip
    found = [Question("artifacts", artifacts.proven_clean, check_artifacts.main, a) for a in files]

    def untouched(_: list[str]) -> bool:
        return best_models.proven_untouched(best_models.staged_names())

    found.append(Question("best-models", untouched, check_best_models.main, []))
    ends = f"{old}..HEAD"
    found.append(Question("range", commit_range.proven_clean, check_range.main, [ends]))
    found.append(Question("gitignore", gitignore.proven_in_step, sync_gitignore.main, []))
    return found


class Scene(NamedTuple):
    """A repository with what is asked of it; in a refused one, some answers are no."""

    repo: Repo
    refused: bool
    old: str

    def questions(self) -> list[Question]:
        return questions(self.old, "pkg/x.pt" if self.refused else "pkg/other.py")

    def disagreements(self, *, always: bool = False) -> Iterator[str]:
        """Yield what the fast path is sure of and the command is not.

        Where all is clean the command is asked only if *always*.
        """
        with working_directory(self.repo.root):
            for question in self.questions():
                if not question.fast(question.arguments):
                    continue
                if self.refused or always:
                    code, said = run(question)
                    if (code, said) != (0, ""):
                        words = " ".join(question.arguments)
                        yield f"{question.name} {words}: {code} {said.strip()[:300]}"


def run(question: Question) -> tuple[int, str]:
    """Return the exit code of the command, without its fast path, and all that it prints."""
    printed = TextIOWrapper(BytesIO(), "utf-8", write_through=True)
    with (
        mock.patch.object(artifacts, "proven_clean", return_value=False),
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        code = question.command(question.arguments)
    printed.seek(0)
    return code, printed.read()


def names_of_settings() -> list[str]:
    """Return all settings that the installed git knows, and its environment variables."""
    listed = subprocess.check_output(("git", "help", "--config"), text=True).split("\n\n")[0]
    program = Path(subprocess.check_output(("git", "--exec-path"), text=True).strip(), "git")
    variables = {
        found.decode()
        for found in re.findall(rb"\bGIT_[A-Z0-9_]+(?=\0)", program.read_bytes())
        if not found.startswith(b"GIT_TEST")
    }
    names = [re.sub(r"<([a-z-]+)>", r"\1", name) for name in listed.split()]
    return sorted({name.removesuffix(".*") for name in names if "." in name} | variables)


def values_of(name: str) -> tuple[str, ...]:
    return (VALUES if matters(name) else VALUES[:1]) + OWN_VALUES.get(name, ())


def matters(name: str) -> bool:
    """Return True if it can change what git prints: then the command is asked in any case."""
    return name.startswith("GIT_") or name.partition(".")[0] in PRINTED


@contextmanager
def applied(scene: Scene, settings: Sequence[Setting]) -> Iterator[None]:
    """The scene under these settings, in its configuration or in the environment."""
    config = scene.repo.git_directory / "config"
    common = scene.repo.git_directory / "commondir"
    if common.exists():
        config = scene.repo.git_directory / common.read_text().strip() / "config"
    before = config.read_bytes()
    text = before.decode()
    variables = {}
    for name, value in settings:
        if name.startswith("GIT_"):
            variables[name] = value
            continue
        section, _, key = name.rpartition(".")
        section, _, below = section.partition(".")
        place = f'{section} "{below}"' if below else section
        text += f"[{place}]\n\t{key} = {value}\n"
    config.write_text(text)
    try:
        with mock.patch.dict(os.environ, variables):
            yield
    finally:
        config.write_bytes(before)


def git_accepts(scene: Scene) -> bool:
    """Return True if git can make a commit here at all; otherwise no hook is started."""
    command = ("git", "commit", "--dry-run", "-q", "--no-verify", "-m", "1")
    done = subprocess.run(command, cwd=scene.repo.root, capture_output=True)
    return done.returncode in (0, 1) and b"fatal" not in done.stderr


def make_scene(root: Path, *, refused: bool) -> Scene:
    """Make a repository with a policy, chosen models and a merge, and something staged."""
    repo = Repo.init(root)
    repo.stage(".fx-hooks.yaml", "best_models: {folder: chosen}\nkeep: [good.pt]\n")
    for number in range(12):
        repo.stage(f"pkg/m{number}.py", "x = 1\n")
    repo.stage("good.pt", WEIGHTS)
    repo.stage("chosen/README.md", "# Models\n")
    repo.commit()
    old = repo.git("rev-parse", "HEAD").strip()
    repo.git("checkout", "-q", "-b", "theirs")
    repo.stage("pkg/theirs.py", "x = 1\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.stage("pkg/ours.py", "x = 1\n")
    repo.commit()
    repo.git("merge", "-q", "--no-commit", "theirs")
    if refused:
        repo.stage("merged.pt", WEIGHTS)
    repo.commit()
    repo.stage("pkg/fine.py", "x = 1\n")
    repo.stage("pkg/other.py", "x = 1\n")
    scene = Scene(repo, refused, old)
    with working_directory(repo.root):
        run(Question("gitignore", gitignore.proven_in_step, sync_gitignore.main, []))
        repo.stage(".gitignore", Path(".gitignore").read_bytes())
        # It is large enough to be looked into while it is new.
        repo.git("commit", "-q", "--no-verify", "-m", "the block", "--only", "--", ".gitignore")
        for question in scene.questions():
            run(question)
        if refused:
            repo.stage("pkg/x.pt", WEIGHTS)
            repo.stage("chosen/x.pt", WEIGHTS)
            repo.write(".gitignore", "nothing\n")
    return scene


def lonely() -> dict[str, str]:
    """Return an environment in which git knows nothing but a name."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    for role in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{role}_NAME": "A Person", f"GIT_{role}_EMAIL": "person@example.org"}
    return kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def try_all(names: Sequence[str], base: Path) -> Mapping[str, object]:
    """Return what came of every value of each setting: how many, and all disagreements."""
    scenes = [make_scene(base / f"{refused}", refused=refused) for refused in (False, True)]
    tried = 0
    found: list[str] = []
    unaccepted: list[str] = []
    for number, name in enumerate(names):
        if name in ELSEWHERE:
            continue
        if number % 50 == 0:
            print(f"{number:,} of {len(names):,}: {name}", file=sys.stderr, flush=True)
        for place, value in enumerate(values_of(name)):
            setting = Setting(name, value)
            for scene in scenes:
                with applied(scene, (setting,)):
                    tried += 1
                    for said in scene.disagreements(always=place == 0 and matters(name)):
                        if git_accepts(scene):
                            found.append(f"{name}={value}: {said}")
                            print(found[-1], file=sys.stderr, flush=True)
                        else:
                            unaccepted.append(f"{name}={value}")
    return {"tried": tried, "disagreements": found, "refused by git": sorted(set(unaccepted))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="settings whose name has this")
    parser.add_argument("--update", action="store_true", help="write the record")
    options = parser.parse_args()
    names = [name for name in names_of_settings() if (options.only or "") in name]
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {**lonely(), "HOME": folder}, clear=True),
    ):
        result = try_all(names, Path(folder))
    print(json.dumps(result, indent=1))
    if options.update:
        version = subprocess.check_output(("git", "version"), text=True).split()[2]
        record = {"git": version, "settings": names, **result}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if result["disagreements"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
