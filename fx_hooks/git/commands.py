"""The commands that take artifacts out of Git and leave the files on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from fx_hooks.util.paths import parents, quoted

if TYPE_CHECKING:
    from fx_hooks.git.repository import Repository

# What `git lfs track` writes, and what takes it back.
LFS_ATTRIBUTES = "filter=lfs diff=lfs merge=lfs -text"
NO_LFS_ATTRIBUTES = "!filter !diff !merge !text"
# One command line stays readable and below every shell's limit.
_LINE = 4000


class Command(str):
    """A command as every shell takes it; ``arguments`` are its words."""

    __slots__ = ("arguments",)
    arguments: tuple[str, ...]

    def __new__(cls, *arguments: str) -> Command:
        made = super().__new__(cls, " ".join(quoted(os.fsencode(word)) for word in arguments))
        made.arguments = arguments
        return made


def cover(chosen: Collection[bytes], everything: Iterable[bytes]) -> list[bytes]:
    """Return the fewest paths, files or whole directories, that stand for *chosen* alone.

    A directory stands for its files only if all of *everything* below it is chosen, and
    nothing else has been in its place.
    """
    rest = [path for path in everything if path not in chosen]
    closed = {*rest, *(folder for path in rest for folder in parents(path))}
    covering = set()
    for path in chosen:
        whole = (folder for folder in parents(path) if folder not in closed)
        covering.add(next(whole, path))
    return sorted(covering)


def from_folder(commands: Iterable[str], path_to_root: str) -> list[str]:
    """Return *commands*, whose paths count from the root, for a user who stands below it."""
    if not path_to_root:
        return list(commands)
    found: list[str] = []
    for command in commands:
        if isinstance(command, Command):
            found.append(Command("git", "-C", path_to_root, *command.arguments[1:]))
        elif command.startswith("git ") and "&&" not in command and "|" not in command:
            found.append(f"git -C {path_to_root} {command.removeprefix('git ')}")
        else:
            # In a shell of its own, so that the user's stays where it is.
            found.append(f"(cd {path_to_root} && {command})")
    return found


def put_back(paths: Sequence[bytes]) -> list[Command]:
    """Commands that write the staged version of *paths* to disk."""
    # These are taken by the letter; checkout-index knows no patterns.
    return _commands("checkout-index -q --", paths, literal=True)


def stage(paths: Sequence[bytes], *, force: bool = False) -> list[Command]:
    """Commands that stage *paths*, with *force* even what git ignores."""
    options = ["-f"] * force + ["--"] * (force or any(path.startswith(b"-") for path in paths))
    return _commands(" ".join(("add", *options)), paths)


def staging(repository: Repository, paths: Sequence[bytes]) -> list[str]:
    """Return the commands that stage *paths*, whatever ignore files say, from where the user is."""
    ignored = any(line.ignores for line in repository.ignore_lines(paths).values())
    return from_folder(stage(paths, force=ignored), repository.path_to_root())


def unstage(paths: Sequence[bytes]) -> list[Command]:
    """Commands that take newly added *paths* out of the index.

    ``git reset -- PATH`` rather than ``git restore --staged``: it also works before the
    first commit, and saying it twice (two batches may print it) is not an error.
    """
    return _commands("reset -q --", paths)


def untrack(
    paths: Sequence[bytes], *, force: bool, sparse: bool, repeatable: bool
) -> list[Command]:
    """Commands that take tracked *paths* out of the index.

    git wants *force* for a submodule, and for a file whose staged version is neither
    that of ``HEAD`` nor the one on disk; with ``--cached`` the file stays all the same.
    In a *sparse* work tree it wants to be told that paths outside are meant, too. A
    *repeatable* command may find that another one has done its work.
    """
    options = ["-r", "-q", "--cached"]
    options += ["-f"] * force + ["--sparse"] * sparse + ["--ignore-unmatch"] * repeatable
    return _commands(f"rm {' '.join(options)} --", paths)


def git_for(*paths: bytes) -> str:
    """Return how a command begins that takes *paths* by the letter, whatever git would read in."""
    magic = any(path.startswith(b":") or set(path) & set(b"*?[\\") for path in paths)
    return "git --literal-pathspecs" if magic else "git"


def attributes_line(path: bytes, attributes: str) -> bytes:
    """Return the line of the root's ``.gitattributes`` that gives *attributes* to *path* alone.

    git reads a quoted pattern as it writes names (gitattributes(5)). git-lfs, which reads the
    file as well, wants blanks as a set.
    """
    pattern = b"/" + re.sub(rb"([*?[\\])", rb"\\\1", path)
    if re.search(rb"[\x00-\x1f\x7f\"]", pattern):
        escaped = re.sub(rb"([\"\\])", rb"\\\1", pattern)
        octal = re.sub(rb"[\x00-\x1f\x7f]", lambda found: b"\\%03o" % found[0][0], escaped)
        return b'"%b" %b' % (octal, attributes.encode())
    return b"%b %b" % (pattern.replace(b" ", b"[[:space:]]"), attributes.encode())


def add_attributes(path: bytes, attributes: str) -> str:
    """Return the command that adds that line, and stages the file."""
    line = quoted(attributes_line(path, attributes))
    return f"printf '%s\\n' {line} >> .gitattributes && git add .gitattributes"


def _commands(verb: str, paths: Sequence[bytes], *, literal: bool = False) -> list[Command]:
    head = (*("git" if literal else git_for(*paths)).split(), *verb.split())
    commands: list[list[str]] = []
    length = _LINE
    for path in paths:
        word = len(quoted(path)) + 1
        if length + word > _LINE:
            commands.append([])
            length = sum(map(len, head)) + len(head) - 1
        length += word
        commands[-1].append(os.fsdecode(path))
    return [Command(*head, *names) for names in commands]
