"""Policies that do nothing: files that are not read, and projects that are not there.

Nobody who wrote it sees that: it is named where something is refused, explained
or set up. Where it stands at the root or in a project, the check of everything does not go on
without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from fx_hooks.policy.in_force import from_here, read_policy_file
from fx_hooks.policy.model import POLICY_NAME
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import parents, quoted, shown

if TYPE_CHECKING:
    from fx_hooks.git.repository import IndexEntry, ObjectStore, Repository
    from fx_hooks.policy.model import Policy

    # Returns the contents of files by their paths.
    _Read: TypeAlias = Callable[[list[bytes]], Mapping[bytes, bytes]]

# Other spellings of the name, as git tells them apart.
_SPELLING = re.compile(
    rb"(?:\.?fx[-_]?hooks\.ya?ml|\.fx[-_]?hooks(?:\.(?:toml|json|cfg|ini))?)\Z", re.IGNORECASE
)
# Where Python's tools keep their settings, and how a section of ours would look there.
_SECTIONS = {
    b"pyproject.toml": (
        rb"(?m)^[ \t]*\[?[ \t]*tool[ \t]*\.[ \t]*(?P<name>[\"']?fx[-_]?hooks[\"']?)[ \t]*[].=]"
    ),
    b"setup.cfg": rb"(?m)^\[(?:tool:)?(?P<name>fx[-_]?hooks)\]",
}


class NearMiss(NamedTuple):
    """A file that is not read: ``text`` says so, with the command that mends it.

    ``is_policy`` says that nothing but the name or the format is wrong: it was meant to count.
    """

    text: str
    is_policy: bool


def of_index(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> list[NearMiss]:
    """Return the near misses in the index, and those at the root that are not tracked yet."""
    root = repository.root
    read = _reader(repository, index)
    missing = _missing_projects(index, read, policy, root)
    return [*_found(index, read, policy, repository, root), *missing]


def missing_projects(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy: Policy
) -> tuple[str, ...]:
    """Return what to say of the projects alone: a line for each that is not there."""
    missing = _missing_projects(index, _reader(repository, index), policy, repository.root)
    return tuple(one.text for one in missing)


def _reader(repository: Repository, index: Mapping[bytes, IndexEntry]) -> _Read:
    def read(paths: list[bytes]) -> dict[bytes, bytes]:
        blobs = {path: index[path].blob for path in paths if path in index}
        contents = repository.contents(blobs.values())
        texts = {path: contents.get(blob, b"") for path, blob in blobs.items()}
        for path in paths:
            if path not in index:
                place = os.fsdecode(os.path.join(repository.root, path))
                text = read_policy_file(place, os.fsdecode(path))
                texts[path] = text or b""
        return texts

    return read


def _missing_projects(
    paths: Collection[bytes], read: _Read, policy: Policy, root: bytes | None
) -> Iterator[NearMiss]:
    projects = policy.projects
    if projects is None:
        return
    tracked = {folder for path in paths for folder in parents(path)}
    missing = list(projects.missing(tracked, root))
    if not missing:
        return
    # Few have a project that is not there.
    from fx_hooks.policy.policy_file import read_policy_file as parsed
    from fx_hooks.util.strict_yaml import did_you_mean

    name = POLICY_NAME.encode()
    lines = {one.text: one.line for one in parsed(read([name])[name], POLICY_NAME).folders}
    for folder in missing:
        what = "matches no folder yet"
        if os.fsencode(folder) in projects.named:
            close = did_you_mean(folder, sorted(map(os.fsdecode, tracked)))
            what = f"is not a folder here{f' ({close})' if close else ''}"
        place = f"{POLICY_NAME}:{lines[folder]}"
        yield NearMiss(f"{place}: projects: {shown(os.fsencode(folder))} {what}", False)


def of_commit(store: ObjectStore, commit: str, policy: Policy) -> list[NearMiss]:
    """Return the near misses in the tree of *commit*."""
    listed = store.run("ls-tree", "-r", "-z", "--full-tree", commit)
    blobs = {}
    for record in listed.split(b"\0")[:-1]:
        about, _, path = record.partition(b"\t")
        blobs[path] = about.split()[2].decode()

    def read(paths: list[bytes]) -> dict[bytes, bytes]:
        contents = store.contents([blobs[path] for path in paths])
        return {path: contents.get(blobs[path], b"") for path in paths}

    return [*_found(blobs, read, policy, store), *_missing_projects(blobs, read, policy, None)]


def refuse_policies(found: Sequence[NearMiss]) -> None:
    """Raise :class:`FatalError` for what was meant to be a policy, and does not count."""
    texts = [one.text for one in found if one.is_policy]
    if texts:
        raise FatalError(texts[0])


def _found(
    tracked: Collection[bytes],
    read: _Read,
    policy: Policy,
    store: ObjectStore,
    root: bytes | None = None,
) -> Iterator[NearMiss]:
    """Yield what is among *tracked* files; with *root*, also what is on disk right there."""
    names = [] if root is None else os.listdir(root)
    places = {name: os.path.join(root or b"", name) for name in names if name not in tracked}
    fresh = [name for name, place in places.items() if os.path.isfile(place)]
    projects = policy.projects
    sections = []
    for path in sorted({*tracked, *fresh}):
        folder, _, name = path.rpartition(b"/")
        is_place = not folder or (projects is not None and projects.finder.at(folder) == folder)
        if name == POLICY_NAME.encode():
            if not is_place:
                yield _in_no_project(path, folder)
        elif is_place and name in _SECTIONS:
            sections.append(path)
        elif is_place and _SPELLING.match(name):
            right = (folder + b"/" if folder else b"") + POLICY_NAME.encode()
            there = right in tracked or (root is not None and _has_policy(root, folder))
            yield _misspelt(path, right, store, tracked=path in tracked, there=there)
    texts = read(sections) if sections else {}
    for path in sections:
        match = re.search(_SECTIONS[path.rpartition(b"/")[2]], texts[path])
        if match is not None:
            yield _in_section(path, match)


def _in_no_project(path: bytes, folder: bytes) -> NearMiss:
    return NearMiss(
        f"{shown(path)} is not read: {shown(folder)} is not a project; to make it one, write"
        f" `projects: [{shown(folder)}]` into {POLICY_NAME}",
        False,
    )


def _has_policy(root: bytes, folder: bytes) -> bool:
    """Return True if the file is there by that very name, which some file systems spell freely."""
    try:
        return POLICY_NAME.encode() in os.listdir(os.path.join(root, folder))
    except OSError:
        return False


def _misspelt(
    path: bytes, right: bytes, store: ObjectStore, *, tracked: bool, there: bool
) -> NearMiss:
    """Return what to do with the file at *path*, whose *right* place may have a policy already."""
    if not there and path.lower().endswith((b".yml", b".yaml")):
        move = "git mv -f" if tracked else "mv"
        mend = from_here(store, f"{move} {quoted(path)} {quoted(right)}")
    else:
        # What is staged and in no commit yet, git removes with -f alone.
        remove = from_here(store, f"{'git rm -f' if tracked else 'rm'} {quoted(path)}")
        as_yaml = "" if there else ", as YAML"
        mend = f"say it in {shown(right)}{as_yaml}, then {remove}"
    return NearMiss(
        f"{shown(path)} is not read, because the policy is called {POLICY_NAME}: {mend}", True
    )


def _in_section(path: bytes, match: re.Match[bytes]) -> NearMiss:
    line = match.string.count(b"\n", 0, match.start("name")) + 1
    folder = path.rpartition(b"/")[0]
    right = (folder + b"/" if folder else b"") + POLICY_NAME.encode()
    return NearMiss(
        f"{shown(path)}:{line}: this section of fx-hooks is not read: say it in {shown(right)},"
        " as YAML, and take it out here",
        True,
    )
