"""The files of a milestone: read, and written all together or not at all."""

from __future__ import annotations

import io
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from fx_hooks.best_models.staged_models import digest
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import Repository, lfs_pointer
from fx_hooks.policy.in_force import read_policy_file
from fx_hooks.util import files
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import from_root
from fx_hooks.util.temporary import nameless_file
from fx_hooks.util.terminal import command_lines
from fx_hooks.weights.convert import NotConvertible, write_safetensors

if TYPE_CHECKING:
    from fx_hooks.policy.model import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Files to write, by their root-relative paths, and the model to copy."""

    model: str
    copy_from: str | None
    texts: Mapping[str, bytes]
    safetensors: bool = False

    def print_texts(self) -> None:
        """Show what would be written."""
        for path, text in self.texts.items():
            print(f"{path}:\n{text.decode('utf-8', 'surrogateescape')}")


def opened_model(file: str, called: str = "") -> io.BufferedReader:
    """Open the model in *file*, which has to be one, and no pointer to one.

    Errors name it as it was *called*, where that is not its path.
    """
    called = called or file
    try:
        # A named pipe would wait for a writer.
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise FatalError(f"{called}: is not a regular file")
        opened = open(file, "rb")  # noqa: SIM115
    except OSError as exc:
        raise FatalError(f"{called}: cannot be read: {exc.strerror}") from exc
    if lfs_pointer(opened.read(1024)) is not None:
        opened.close()
        raise FatalError(f"{called}: is a Git LFS pointer: get the model with git lfs pull")
    return opened


@contextmanager
def as_chosen(
    original: io.BufferedReader, called: str, safetensors: bool
) -> Iterator[io.BufferedReader | BinaryIO]:
    """Yield the model that becomes the milestone: the file, or its tensors as safetensors.

    Errors name it as it was *called*.
    """
    if not safetensors:
        yield original
        return
    with nameless_file() as converted:
        try:
            write_safetensors(original, converted)
        except NotConvertible as exc:
            raise FatalError(f"{called}: {exc}: there is no safetensors file to be made") from exc
        yield converted


def read_beside(root: str, path: str) -> bytes | None:
    """Return the content of the file at *path*, from the *root*; None where there is none."""
    return read_policy_file(os.path.join(root, path), path, missing_ok=True)


def write_plan(root: str, plan: Plan, sha256: str, seen: Mapping[str, bytes | None]) -> None:
    """Write everything next to its place first, then move it there, the entry last.

    Nothing is replaced that is not as it was *seen*.
    """
    ready: list[tuple[_Beside, str]] = []
    try:
        with ExitStack() as stack:
            if plan.copy_from is not None:
                target = os.path.join(root, plan.model)
                copy = stack.enter_context(_Beside(target))
                ready.append((copy, target))
                with (
                    opened_model(plan.copy_from) as original,
                    as_chosen(original, plan.copy_from, plan.safetensors) as source,
                ):
                    source.seek(0)
                    shutil.copyfileobj(source, copy.file, 1 << 20)
                    if digest(copy.file) != sha256:
                        raise FatalError(
                            f"{plan.copy_from}: is being written: wait until it is done"
                        )
            for path, text in plan.texts.items():
                target = os.path.join(root, path)
                beside = stack.enter_context(_Beside(target))
                ready.append((beside, target))
                beside.file.write(text)
            for path in plan.texts:
                if read_beside(root, path) != seen[path]:
                    raise FatalError(f"{path}: it has just been changed: run this again")
            for beside, _ in ready:
                beside.file.close()  # a full disk may only say so now
            for beside, target in ready:
                os.replace(beside.path, target)
    except OSError as exc:
        raise FatalError(f"{exc.filename or root}: cannot be written: {exc.strerror}") from exc


class _Beside:
    """An empty file in the directory of *target*, with the mode that it should have.

    It goes at the end, unless it was moved. What a process that was killed has left goes first.
    """

    def __init__(self, target: str) -> None:
        place = os.fsencode(target)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        files.remove_left_over(place)
        self.path = files.name_beside(place)
        self.file: BinaryIO = os.fdopen(files.create(self.path), "w+b")
        with suppress(OSError):
            os.chmod(self.path, stat.S_IMODE(os.stat(place).st_mode))

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.file.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def project_of(file: str, policy: Policy, root: bytes) -> bytes:
    """Return the project of *file*, or that in which the user is where it lies elsewhere."""
    if policy.projects is None:
        return b""
    try:
        path = from_root(file, root)
    except FatalError:
        path = from_root("./x", root)
    return policy.projects.around(path)


def from_here(path: str, root: str) -> str:
    """Return *path*, which is from the *root*, as it is from where the user is."""
    return os.path.relpath(os.path.join(root, path), os.path.realpath(os.getcwd()))


def print_staging(paths: Sequence[str], repository: Repository) -> None:
    """Print the commands that stage files, from where the user is."""
    commands = git_commands.stage([os.fsencode(path) for path in paths], force=True)
    lines = command_lines(git_commands.from_folder(commands, repository.path_to_root()))
    print("\n".join(("Stage it:", *lines)))
