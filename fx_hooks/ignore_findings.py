"""What is wrong around the managed block of ``.gitignore``.

git is asked about paths of three kinds: those that are there, an example of what each line
of every ``.gitignore`` is about, and the same in the folders that the policy blocks. Where
its answer is not the policy's, the line that gives it is at fault.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks import ignore_file, remedy
from fx_hooks.artifacts import Judge, Tree, Verdict, parents
from fx_hooks.git import SUBMODULE_MODE, IgnoreLine, IndexEntry, Repository
from fx_hooks.ignore_block import parse
from fx_hooks.ignore_state import FILE
from fx_hooks.paths import shown
from fx_hooks.policy.globs import Glob, example, is_literal
from fx_hooks.policy.patterns import problem, split

if TYPE_CHECKING:
    from fx_hooks.policy.load import Entry, Policy


class Place(NamedTuple):
    """A line of an ignore file, counted from 1."""

    file: bytes
    number: int


def findings_around(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> list[str]:
    """What to print: each line at fault with its place, then what is tracked although ignored.

    Raises :class:`~fx_hooks.errors.FatalError`.
    """
    block = parse(ignore_file.read(repository.root) or b"")
    inside = range(block.start + 1, block.stop + 1)
    examples = _examples(repository, index, policy, inside)
    existing = [
        path for path in (*index, *repository.untracked()) if _can_be_asked(repository, index, path)
    ]
    paths = list(
        dict.fromkeys([*existing, *(path for found in examples.values() for path in found)])
    )
    decided = repository.ignore_lines(paths)
    verdicts = dict(zip(paths, Judge(policy).judge(paths, Tree({}, ())), strict=True))
    at_fault: dict[Place, str] = {}
    for path in paths:
        line = decided.get(path)
        if line is None or os.path.basename(line.file) != FILE.encode():
            continue
        place = Place(line.file, line.number)
        if place.file == FILE.encode() and place.number in inside:
            continue
        fault = _contradiction(path, line, verdicts[path])
        if fault:
            at_fault.setdefault(place, fault)
    for place, found in examples.items():
        if place.file == FILE.encode() and place.number < inside.start:
            by = [decided.get(path) for path in found]
            if by and all(
                line is not None and line.file == FILE.encode() and line.number in inside
                for line in by
            ):
                at_fault.setdefault(place, "has lost its effect: the block behind it decides")
    lines = [
        f"{shown(place.file)}:{place.number}: {fault}" for place, fault in sorted(at_fault.items())
    ]
    return [*lines, *_tracked(repository, index)]


def _contradiction(path: bytes, line: IgnoreLine, verdict: Verdict) -> str | None:
    name = line.pattern.decode("utf-8", "backslashreplace")
    if verdict.blocked and not line.ignores and verdict.entry is not None:
        return f"'{name}' lets in {shown(path)}, which the policy blocks ({verdict.entry.rule})"
    if line.ignores and not verdict.blocked and verdict.entry is not None:
        return f"'{name}' ignores {shown(path)}, which the policy lets in ({verdict.entry.rule})"
    return None


def _examples(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: Policy,
    inside: Collection[int],
) -> dict[Place, list[bytes]]:
    """For each line outside the block, paths that it is about."""
    tops = [example(split(entry.pattern).parts) for entry in policy.entries if _is_top(entry)]
    names = [path for path in index if os.path.basename(path) == FILE.encode()]
    names += repository.untracked(f":(glob)**/{FILE}")
    found: dict[Place, list[bytes]] = {}
    for name in dict.fromkeys((FILE.encode(), *names)):
        folder = name[: -len(FILE)]
        try:
            with open(os.path.join(repository.root, name), "rb") as file:
                lines = file.read().removeprefix(b"\xef\xbb\xbf").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            place = Place(name, number)
            pattern = os.fsdecode(line.rstrip().removeprefix(b"!"))
            if (folder or number not in inside) and not problem(pattern):
                paths = _paths_of(pattern, folder, tops)
                found[place] = [path for path in paths if _can_be_asked(repository, index, path)]
    return found


def _paths_of(pattern: str, folder: bytes, tops: Sequence[bytes]) -> list[bytes]:
    parts, floating, beneath = split(pattern)
    glob: Glob = (*parts, "*") if beneath or not parts else parts
    path = folder + example(glob)
    paths = [path, path + b"/x"]
    if floating and not folder:
        paths += [top + b"/" + path for top in tops]
    return paths


def _is_top(entry: Entry) -> bool:
    """Whether *entry* blocks one folder of the root."""
    parts, floating, _ = split(entry.pattern)
    return entry.blocks and not floating and len(parts) == 1 and is_literal(parts[0])


def _can_be_asked(repository: Repository, index: Mapping[bytes, IndexEntry], path: bytes) -> bool:
    """git answers nothing of paths behind links and in submodules."""
    for folder in parents(path):
        entry = index.get(folder)
        if entry is not None and entry.mode == SUBMODULE_MODE:
            return False
        if os.path.islink(os.path.join(repository.root, folder)):
            return False
    return True


def _tracked(repository: Repository, index: Mapping[bytes, IndexEntry]) -> list[str]:
    paths = set(repository.tracked_and_ignored())
    if not paths:
        return []
    groups = remedy.cover(paths, index)
    chosen = set(groups)
    counts = Counter(above for path in paths for above in (*parents(path), path) if above in chosen)
    lines = []
    for group in groups:
        folder = "/" * (group not in paths)
        count = counts[group]
        lines.append(f"  {shown(group)}{folder}  {count} file{'s' * (count != 1)}")
    noun = "file is" if len(paths) == 1 else "files are"
    sparse = not paths.isdisjoint(repository.left_out())
    commands = remedy.untrack(groups, force=False, sparse=sparse, repeatable=False)
    commands = remedy.from_folder(commands, repository.way_to_root())
    return [
        f"{len(paths)} {noun} tracked although ignored:",
        *lines,
        "Stop tracking them (the files stay on disk), or let them in with `keep`:",
        *(f"    {command}" for command in commands),
    ]
