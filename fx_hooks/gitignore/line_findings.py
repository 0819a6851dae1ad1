"""Problems in the lines around the managed block of ``.gitignore``.

git is asked about paths of four kinds: those that are there, an example of what each line
of every ``.gitignore`` is about, the same in the folders that the policy blocks and in one
that it says nothing of, and an example of what each ``keep`` and milestone lets in. Where
its answer is not the policy's, the line that gives it is at fault.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.artifacts.classifier import Classifier, Verdict
from fx_hooks.artifacts.index_check import rm_needs_force
from fx_hooks.artifacts.tree_reader import Tree
from fx_hooks.fastpath.gitignore import FILE
from fx_hooks.git import commands as git_commands
from fx_hooks.git.repository import SUBMODULE_MODE, IgnoreLine, IndexEntry, Repository
from fx_hooks.gitignore import file as ignore_file
from fx_hooks.gitignore.block import parse, patterns_of
from fx_hooks.gitignore.globs import example, example_of, is_literal
from fx_hooks.gitignore.policy_lines import decides
from fx_hooks.policy.model import BUILTIN_SOURCE
from fx_hooks.policy.patterns import problem, split
from fx_hooks.reporting.finding import Finding
from fx_hooks.reporting.layout import plural, them_staying
from fx_hooks.reporting.text import grouped
from fx_hooks.util.paths import parents, shown
from fx_hooks.util.terminal import command_lines

if TYPE_CHECKING:
    from fx_hooks.policy.model import Entry, Policy


BLOCK, LINE, TRACKED = "gitignore-block", "gitignore-line", "gitignore-tracked"
# What each rule is about; what a finding says is about one line or file.
RULES = {
    BLOCK: "The managed block of .gitignore follows the policy.",
    LINE: "No line around the managed block contradicts the policy, or has no effect.",
    TRACKED: "What is ignored is not tracked.",
}
LINES_ADVICE = (
    "Remove these lines. If the policy should differ, change .fx-hooks.yaml (keep, ignore)."
)


# A folder that nothing is said of. Patterns have examples made of x; one of them may be this one.
_NEUTRAL = b"x/"


class Place(NamedTuple):
    """A line of an ignore file, counted from 1."""

    file: bytes
    number: int


class _Example(NamedTuple):
    """The pattern of a line, whether the line ignores it, and paths that it is about."""

    pattern: str
    ignores: bool
    paths: list[bytes]


def findings_around(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> list[Finding]:
    """Return each line at fault with its place, and what is tracked although ignored.

    Raises :class:`~fx_hooks.util.errors.FatalError`.
    """
    block = parse(ignore_file.read(repository.root) or b"")
    inside = range(block.start + 1, block.stop + 1)
    examples = _examples(repository, index, policy, inside)
    existing = [
        path for path in (*index, *repository.untracked()) if _can_be_asked(repository, index, path)
    ]
    kept = [path for path in _let_in(policy) if _can_be_asked(repository, index, path)]
    paths = list(
        dict.fromkeys([*existing, *kept, *(p for e in examples.values() for p in e.paths)])
    )
    verdicts = dict(zip(paths, Classifier(policy).classify(paths, Tree({}, ())), strict=True))
    idle = {
        place: example.paths
        for place, example in examples.items()
        if place.file == FILE.encode()
        and place.number < inside.start
        and all(verdicts[path].entry is not None for path in example.paths)
        and decides(policy, example.pattern)
        # What lets in the file that the policy lets in, too, does no harm.
        and (example.ignores or any(verdicts[path].blocked for path in example.paths[:1]))
    }
    # git holds every path against every line: it is asked only what can be wrong, or a file of
    # thousands of lines takes minutes.
    asked = dict.fromkeys([*existing, *kept, *(path for found in idle.values() for path in found)])
    for about in examples.values():
        for path in about.paths:
            verdict, above = verdicts[path], os.path.dirname(path)
            if verdict.entry is None or verdict.blocked == about.ignores:
                continue
            if about.ignores and verdict.entry.source == BUILTIN_SOURCE:
                continue  # what the built-in rules except is not the user's wish
            # What the policy and the line let in is a file; no folder has that name.
            is_in_file = not about.ignores and above in about.paths and _lets_in(verdicts[above])
            if not is_in_file:
                asked[path] = None
    paths = list(asked)
    decided = repository.ignore_lines(paths)
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
    let_in = [path for path in paths if verdicts[path].blocked and path not in decided]
    for path, line in _openers(repository, let_in).items():
        place = Place(line.file, line.number)
        if place.file != FILE.encode() or place.number not in inside:
            at_fault.setdefault(place, _contradiction(path, line, verdicts[path]) or "")
    for place, found in idle.items():
        by = [decided.get(path) for path in found]
        if by and all(
            line is not None and line.file == FILE.encode() and line.number in inside for line in by
        ):
            at_fault.setdefault(place, "has no effect: the block below it decides")
    lines = [
        Finding(place.file, LINE, fault, "", place.file, None, True, line=place.number)
        for place, fault in sorted(at_fault.items())
    ]
    return [*lines, *_tracked(repository, index, verdicts)]


def text(findings: Sequence[Finding], untrack: Sequence[str]) -> list[str]:
    """Return *findings* for people, with the commands of :func:`untracking`."""
    lines = [f"{shown(f.path)}:{f.line}: {f.why}" for f in findings if f.rule == LINE]
    lines += [LINES_ADVICE] * bool(lines)
    tracked = [finding for finding in findings if finding.rule == TRACKED]
    if not tracked:
        return lines
    noun = "file is" if len(tracked) == 1 else "files are"
    lines.append(f"{len(tracked)} {noun} tracked although ignored:")
    for group, files in grouped(tracked, (), verbose=False):
        folder = "/" * (files[0].path != group)
        lines.append(f"  {shown(group)}{folder}  {plural(len(files), 'file')}")
    for path in sorted({finding.path for finding in tracked if _keeps_folder(finding.path)}):
        folder = shown(path.rpartition(b"/")[0])
        lines.append(
            f"{shown(path)} keeps its folder in Git: in place of the line that ignores it, write"
            f" '/{folder}/*' and '!/{shown(path)}'"
        )
    if untrack:
        them, staying = them_staying(len(tracked))
        lines.append(f"Stop tracking {them} ({staying} on disk), or let {them} in with `keep`:")
    return [*lines, *command_lines(untrack)]


def _keeps_folder(path: bytes) -> bool:
    """Return True if the file is there so that git keeps its folder."""
    return b"/" in path and path.rpartition(b"/")[2] in (b".gitkeep", b".keep", b".gitignore")


def untracking(repository: Repository, findings: Sequence[Finding]) -> list[str]:
    """Return the commands that stop tracking what is tracked although ignored."""
    every = [finding for finding in findings if finding.rule == TRACKED]
    held = {finding.group for finding in every if _keeps_folder(finding.path)}
    tracked = [finding for finding in every if not _keeps_folder(finding.path)]
    if not tracked:
        return []
    groups = list(dict.fromkeys(f.path if f.group in held else f.group for f in tracked))
    paths = {finding.path for finding in tracked}
    sparse = repository.needs_sparse(paths)
    staged = repository.staged_by_path()
    force = rm_needs_force(repository, staged, paths)
    commands = git_commands.untrack(groups, force=force, sparse=sparse, repeatable=False)
    return git_commands.from_folder(commands, repository.path_to_root())


def _openers(repository: Repository, paths: Sequence[bytes]) -> dict[bytes, IgnoreLine]:
    """Return the lines that open a folder above each of *paths*, which have no line themselves.

    git takes what does not exist for a file, so it is asked in a tree of empty folders.
    """
    above = list(dict.fromkeys(folder for path in paths for folder in parents(path)))
    if not above:
        return {}
    with tempfile.TemporaryDirectory(prefix="fx-hooks-") as name:
        tree = os.fsencode(name)
        for folder in (b"", *above):
            os.makedirs(os.path.join(tree, folder), exist_ok=True)
            source = os.path.join(repository.root, folder, FILE.encode())
            if os.path.isfile(source):
                shutil.copyfile(source, os.path.join(tree, folder, FILE.encode()))
        lines = repository.ignore_lines(above, tree=tree)
    found = {}
    for path in paths:
        for folder in reversed(parents(path)):
            line = lines.get(folder)
            if line is not None and not line.ignores:
                found[path] = line
                break
    return found


def _lets_in(verdict: Verdict) -> bool:
    return verdict.entry is not None and not verdict.blocked


def _contradiction(path: bytes, line: IgnoreLine, verdict: Verdict) -> str | None:
    name = line.pattern.decode("utf-8", "backslashreplace")
    if verdict.blocked and not line.ignores and verdict.entry is not None:
        return f"'{name}' lets in {shown(path)}, which the policy blocks ({verdict.entry.rule})"
    if line.ignores and verdict.entry is not None and not verdict.blocked:
        return f"'{name}' ignores {shown(path)}, which the policy lets in ({verdict.entry.rule})"
    return None


def _examples(
    repository: Repository,
    index: Mapping[bytes, IndexEntry],
    policy: Policy,
    inside: Collection[int],
) -> dict[Place, _Example]:
    """For each line outside the block, paths that it is about."""
    tops = [example(split(entry.pattern).parts) for entry in policy.alone() if _is_top(entry)]
    names = [path for path in index if os.path.basename(path) == FILE.encode()]
    names += repository.untracked(f":(glob)**/{FILE}")
    found: dict[Place, _Example] = {}
    for name in dict.fromkeys((FILE.encode(), *names)):
        folder = name[: -len(FILE)]
        try:
            with open(os.path.join(repository.root, name), "rb") as file:
                text = file.read(ignore_file.MAX_BYTES + 1)
        except OSError:
            continue
        patterns = patterns_of(ignore_file.limited(text, shown(name)))
        for number, line in enumerate(patterns, 1):
            place = Place(name, number)
            pattern = line.removeprefix("!")
            if (folder or number not in inside) and not problem(pattern):
                paths = _paths_of(pattern, folder, tops)
                paths = [path for path in paths if _can_be_asked(repository, index, path)]
                found[place] = _Example(pattern, pattern == line, paths)
    return found


def _let_in(policy: Policy) -> list[bytes]:
    """Return the paths that the repository admits by name, and the metadata of models."""
    own = [entry for entry in policy.entries if not entry.blocks and entry.source != BUILTIN_SOURCE]
    best_models = policy.best_models
    folder = os.fsencode(best_models.folder) + b"/"
    metadata = [folder + example_of(pattern) for pattern in best_models.metadata]
    return [*(example_of(entry.pattern) for entry in own), *metadata]


def _paths_of(pattern: str, folder: bytes, tops: Sequence[bytes]) -> list[bytes]:
    path = folder + example_of(pattern)
    # A line that opens all that is in a folder opens weights.
    above, slash, _ = path.rpartition(b"/")
    paths = [path, path + b"/x", above + slash + b"x.pt"]
    if split(pattern).floating and not folder:
        paths += [_NEUTRAL + path, *(top + b"/" + path for top in tops)]
    return paths


def _is_top(entry: Entry) -> bool:
    """Return True if *entry* blocks one folder of the root."""
    parts, floating, _ = split(entry.pattern)
    return entry.blocks and not floating and len(parts) == 1 and is_literal(parts[0])


def _can_be_asked(repository: Repository, index: Mapping[bytes, IndexEntry], path: bytes) -> bool:
    """Return False for a path behind a link or in a submodule: git says nothing of it."""
    for folder in parents(path):
        entry = index.get(folder)
        if entry is not None and entry.mode == SUBMODULE_MODE:
            return False
        if os.path.islink(os.path.join(repository.root, folder)):
            return False
    return True


def _tracked(
    repository: Repository, index: Mapping[bytes, IndexEntry], verdicts: Mapping[bytes, Verdict]
) -> list[Finding]:
    paths = set()
    for path in repository.tracked_and_ignored():
        verdict = verdicts.get(path)
        # What the policy lets in stays; the line that ignores it has to go.
        if verdict is None or verdict.blocked or verdict.entry is None:
            paths.add(path)
    chosen = set(git_commands.cover(paths, index))
    sizes = repository.sizes(index[path].blob for path in paths)
    found = []
    for path in sorted(paths):
        group = next(above for above in (*parents(path), path) if above in chosen)
        size = sizes.get(index[path].blob)
        found.append(Finding(path, TRACKED, "is tracked although ignored", "", group, size, True))
    return found
