"""The commands that take artifacts out of Git and leave the files on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from fx_hooks.util.paths import parents, quoted

# One command line stays readable and below every shell's limit.
_LINE = 4000


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
    start = f"git -C {path_to_root} " if path_to_root else "git "
    return [start + command.removeprefix("git ") for command in commands]


def put_back(paths: Sequence[bytes]) -> list[str]:
    """Commands that write the staged version of *paths* to disk."""
    # These are taken by the letter; checkout-index knows no patterns.
    return _commands("checkout-index -q --", paths, literal=True)


def stage(paths: Sequence[bytes], *, force: bool = False) -> list[str]:
    """Commands that stage *paths*, with *force* even what git ignores."""
    return _commands("add -f --" if force else "add --", paths)


def unstage(paths: Sequence[bytes]) -> list[str]:
    """Commands that take newly added *paths* out of the index.

    ``git reset -- PATH`` rather than ``git restore --staged``: it also works before the
    first commit, and saying it twice (two batches may print it) is no error.
    """
    return _commands("reset -q --", paths)


def untrack(paths: Sequence[bytes], *, force: bool, sparse: bool, repeatable: bool) -> list[str]:
    """Commands that take tracked *paths* out of the index.

    git wants *force* for a submodule, and for a file whose staged version is neither
    that of ``HEAD`` nor the one on disk; with ``--cached`` the file stays all the same.
    In a *sparse* work tree it wants to be told that paths outside are meant, too. A
    *repeatable* command may find that another one has done its work.
    """
    options = ["-r", "-q", "--cached"]
    options += ["-f"] * force + ["--sparse"] * sparse + ["--ignore-unmatch"] * repeatable
    return _commands(f"rm {' '.join(options)} --", paths)


def _commands(verb: str, paths: Sequence[bytes], *, literal: bool = False) -> list[str]:
    # What git would read as a pattern has to be taken by the letter.
    magic = any(path.startswith(b":") or set(path) & set(b"*?[\\") for path in paths)
    head = f"git --literal-pathspecs {verb}" if magic and not literal else f"git {verb}"
    lines: list[str] = []
    for path in paths:
        word = quoted(path)
        if lines and len(lines[-1]) + len(word) < _LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{head} {word}")
    return lines
