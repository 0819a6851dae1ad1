"""A small repository around real git, and the command started in it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest

from fx_hooks.check_artifacts import main
from fx_hooks.fastpath import artifacts, looked_into

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

SCRIPT = Path(sys.executable).with_name("fx-check-artifacts")
# Root may read and write everything, and become somebody else; Windows knows no root.
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
# What torch.save writes today begins like this.
WEIGHTS = b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl"
TABLES = "fx-hooks.tables"
# How to unpack an archive of ours: Debian 12's Python 3.11.2 and the like know no filters yet.
PLAINLY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def commands(self) -> list[str]:
        """The commands that the report prints."""
        return [line[4:] for line in self.out.splitlines() if line.startswith("    ")]


CLEAN = Result(0, "", "")


def git_version() -> tuple[int, ...]:
    """The first two numbers of git's version."""
    words = subprocess.check_output(("git", "version"), text=True).split()
    return tuple(int(number) for number in words[2].split(".")[:2])


def mostly_slow(cases: Iterable[Any], one_in: int) -> list[ParameterSet]:
    """Mark all *cases* of one kind as slow, but the first of each *one_in*."""
    marks = ((), (pytest.mark.slow,))
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks[n % one_in > 0])
        for n, case in enumerate(cases)
    ]


@contextmanager
def working_directory(path: str | bytes | Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def exit_code(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as exc:  # of argparse
        return int(exc.code or 0)


def run_main(arguments: list[str]) -> Result:
    """``fx-check-artifacts`` in this process."""
    printed = (io.BytesIO(), io.BytesIO())
    out, err = (io.TextIOWrapper(buffer, "utf-8", write_through=True) for buffer in printed)
    with redirect_stdout(out), redirect_stderr(err):
        code = exit_code(main, arguments)
    return Result(code, printed[0].getvalue().decode(), printed[1].getvalue().decode())


def run(main: Callable[[Sequence[str]], int], *arguments: str, cwd: str | Path) -> Result:
    """The command *main* in this process, started in *cwd*."""
    out, err = io.StringIO(), io.StringIO()
    with working_directory(cwd), redirect_stdout(out), redirect_stderr(err):
        code = exit_code(main, arguments)
    return Result(code, out.getvalue(), err.getvalue())


def captured(
    capfd: pytest.CaptureFixture[str],
    main: Callable[[Sequence[str]], int],
    *arguments: str,
    cwd: Path,
) -> Result:
    """The same, with what the programs print that it starts."""
    capfd.readouterr()
    with working_directory(cwd):
        code = exit_code(main, arguments)
    return Result(code, *capfd.readouterr())


class Repo:
    """A work tree; *root* may hold one already."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def init(cls, root: Path, *options: str) -> Repo:
        root.mkdir(parents=True, exist_ok=True)
        repo = cls(root)
        repo.git("init", "-q", "-b", "main", *options)
        return repo

    def git(
        self, *arguments: str | bytes, fails: bool = False, stdin: bytes = b"", cwd: str = "."
    ) -> str:
        """What git prints, errors too; *fails* says how it has to end."""
        result = subprocess.run(
            ("git", *arguments),
            cwd=self.root / cwd,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        text = result.stdout.decode("utf-8", "replace")
        assert (result.returncode != 0) == fails, text
        return text

    def path(self, name: str | bytes) -> bytes:
        return os.path.join(os.fsencode(self.root), os.fsencode(name))

    def write(self, name: str | bytes, content: str | bytes = b"\x00content") -> None:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    def link(self, name: str, target: str | Path) -> None:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(os.fsencode(target), path)

    def remove(self, name: str | bytes) -> None:
        os.unlink(self.path(name))

    def stage(self, name: str | bytes, content: str | bytes = b"\x00content") -> None:
        """Write one file and stage it, whatever an ignore file says."""
        self.write(name, content)
        self.git("--literal-pathspecs", "add", "-f", "--", name)

    def stage_all(self) -> None:
        self.git("add", "-A", "-f", ".")

    def commit(self, *arguments: str) -> None:
        # A look for what could be packed takes half of the time of a commit.
        plain = ("-c", "maintenance.auto=false", "commit", "-q", "--no-verify", "--allow-empty")
        self.git(*plain, "-m", "a commit", *arguments)

    def gitlink(self, name: str) -> None:
        """Stage a submodule whose folder is not there."""
        self.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{name}")

    def hook(self, name: str, *arguments: str) -> None:
        """A plain shell hook that starts the installed command."""
        folder = self.root / self.git("rev-parse", "--git-path", "hooks").rstrip("\n")
        folder.mkdir(exist_ok=True)
        path = folder / name
        words = " ".join(f"'{word}'" for word in (str(SCRIPT), *arguments))
        path.write_text(f"#!/bin/sh\nexec {words}\n")
        path.chmod(0o755)

    def tracked(self) -> set[bytes]:
        """The paths in the index."""
        result = subprocess.run(
            ("git", "ls-files", "-z"), cwd=self.root, stdout=subprocess.PIPE, check=True
        )
        return set(result.stdout.split(b"\0")[:-1])

    def staged(self) -> str:
        """The staged changes, as git prints them."""
        return self.git("status", "--porcelain", "--untracked-files=no")

    def on_disk(self) -> dict[bytes, bytes]:
        """Every file and link of the work tree with its content or target."""
        found = {}
        for folder, folders, files in os.walk(os.fsencode(self.root)):
            folders[:] = [name for name in folders if name != b".git"]
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    found[path] = b"-> " + os.readlink(path)
                elif name in files:
                    with open(path, "rb") as file:
                        found[path] = file.read()
        return found

    @property
    def git_directory(self) -> Path:
        place = self.root / ".git"
        if place.is_file():
            return self.root / place.read_text().removeprefix("gitdir: ").rstrip("\n")
        return place

    @property
    def tables(self) -> Path:
        """The file that keeps the compiled policy."""
        return self.git_directory / TABLES

    @property
    def looks(self) -> Path:
        """The file with what was looked into."""
        return self.git_directory / looked_into.NAME

    def forget_looks(self) -> None:
        self.looks.unlink(missing_ok=True)

    def forget_tables(self) -> None:
        if self.tables.is_dir() and not self.tables.is_symlink():
            shutil.rmtree(self.tables)
        self.tables.unlink(missing_ok=True)
        shutil.rmtree(Path(os.environ["HOME"]) / ".cache", ignore_errors=True)

    def check(self, *arguments: str | bytes, cwd: str = ".") -> Result:
        """``fx-check-artifacts`` in full, and the fast path asked again with the tables it left.

        So every test also shows that the fast path is never sure of what the command refuses.
        """
        self.forget_tables()
        with mock.patch.object(artifacts, "proven_clean", return_value=False):
            result = self.check_once(*arguments, cwd=cwd)
        if self.fast_path(*arguments, cwd=cwd):
            assert result == CLEAN
        return result

    def check_once(self, *arguments: str | bytes, cwd: str = ".") -> Result:
        """``fx-check-artifacts``, with the tables that happen to be there."""
        with working_directory(self.root / cwd):
            return run_main([os.fsdecode(argument) for argument in arguments])

    def fast_path(self, *arguments: str | bytes, cwd: str = ".") -> bool:
        """What the fast path alone says."""
        with working_directory(self.root / cwd):
            return artifacts.proven_clean([os.fsdecode(argument) for argument in arguments])

    def follow(self, result: Result, cwd: str = ".") -> None:
        """Do literally what the report says; no file on disk may change or go away."""
        assert result.commands, result
        before = self.on_disk()
        done = subprocess.run(
            ("bash", "-e"),
            cwd=self.root / cwd,
            input="\n".join(result.commands).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (done.returncode, done.stdout.decode()) == (0, "")
        assert self.on_disk().items() >= before.items()

    def mend(self, *arguments: str | bytes) -> set[bytes]:
        """Follow the report of a check that fails; return what has left the index.

        Afterwards the check passes.
        """
        before = self.tracked()
        result = self.check(*arguments)
        assert result.code == 1, result
        self.follow(result)
        assert self.check(*(arguments if "--all-files" in arguments else ())) == CLEAN
        after = self.tracked()
        assert after <= before
        return before - after


def unmeasured() -> dict[str, str]:
    """Return the environment without coverage, which makes Python slower and imports more."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE", "COV_"))
    }
