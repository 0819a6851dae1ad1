"""The policy and the milestones in force in a repository.

What the index holds counts, so that a commit and CI never differ; a policy file that
git does not track yet counts as it is on disk. Milestones always have to be staged.
"""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fx_hooks.fastpath import table_cache, work_tree
from fx_hooks.fastpath.projects import differences
from fx_hooks.git.commands import from_folder, staging
from fx_hooks.git.repository import (
    LINK_MODE,
    SUBMODULE_MODE,
    IndexEntry,
    ObjectStore,
    Repository,
)
from fx_hooks.policy.baseline import BASELINE_NAME, Baseline, parse_baseline
from fx_hooks.policy.baseline import MAX_BYTES as BASELINE_BYTES
from fx_hooks.policy.compiled import packed, tables_of, unpacked
from fx_hooks.policy.model import POLICY_NAME, Policy, with_milestones
from fx_hooks.util.errors import FatalError

if TYPE_CHECKING:
    from fx_hooks.fastpath.matcher import Tables
    from fx_hooks.fastpath.projects import Content as ProjectsContent
    from fx_hooks.policy.project_policies import ProjectFile, Projects


class PolicyInForce(NamedTuple):
    """The policy that counts here.

    ``text`` is that of the policy file, None where there is none; ``blob`` its object
    id in the index, None where git does not track it; ``notes`` say in a line each what
    may have been meant to count and does not. ``on_disk`` says that the policy file
    on disk is the one that counts; ``milestones_blob`` is the object id of the milestones'
    file in the index, None where git does not track one. ``kept`` says that all of it comes from
    the compiled policy that an earlier command has left behind.
    """

    policy: Policy
    text: bytes | None
    blob: str | None
    notes: tuple[str, ...]
    on_disk: bool
    milestones_blob: str | None = None
    kept: bool = False


def policy_in_force(
    repository: Repository, index: Mapping[bytes, IndexEntry], policy_file: str | None = None
) -> PolicyInForce:
    """Return the policy for *repository*, whose merged *index* entries are given by path.

    With *policy_file* that file counts, wherever it is, in place of the repository's.
    """
    kept = None if policy_file is not None else _kept_policy(repository, index)
    if kept is not None:
        return kept
    entry = index.get(POLICY_NAME.encode())
    notes = []
    blob = None
    on_disk = True
    if policy_file is not None:
        text: bytes | None = read_policy_file(policy_file)
        source = policy_file
    else:
        source = POLICY_NAME
        place = os.fsdecode(os.path.join(repository.root, POLICY_NAME.encode()))
        if entry is None:
            text = read_policy_file(place, POLICY_NAME, missing_ok=True)
        else:
            text = staged_text(repository, entry)
            blob = entry.blob
            unstaged = _read_or_none(place)
            on_disk = _is_staged(repository, blob, unstaged)
            if on_disk:
                # The same content, with the line ends that the fast path will see.
                text = unstaged
            elif unstaged is not None:
                add = from_here(repository, f"git add {POLICY_NAME}")
                notes.append(
                    f"{POLICY_NAME} has changes that are not staged; the staged version counts:"
                    f" {add}"
                )
    policy, milestones = _complete(repository, index, text, source)
    listed = None if milestones is None else milestones.blob
    notes += _milestones_note(repository, policy, listed)
    return PolicyInForce(policy, text, blob, tuple(notes), on_disk, listed)


def _kept_policy(repository: Repository, index: Mapping[bytes, IndexEntry]) -> PolicyInForce | None:
    """Return what an earlier command has compiled of the same policy and milestones, or None."""
    entry = index.get(POLICY_NAME.encode())
    if entry is not None and (entry.stage or entry.mode == LINK_MODE):
        return None
    try:
        place = os.fsdecode(os.path.join(repository.root, POLICY_NAME.encode()))
        text = read_policy_file(place, missing_ok=entry is None)
    except FatalError:
        return None
    key = table_cache.cache_key(text)
    content = table_cache.read(table_cache.places(repository.git_directory, key), key)
    if content is None or not content[6]:
        return None
    _, _, tracked, milestones_file, listed, _, whole = content
    milestones = index.get(milestones_file)
    if milestones is not None and (milestones.stage or milestones.mode == LINK_MODE):
        return None
    blobs = [None if found is None else found.blob for found in (entry, milestones)]
    if [tracked, listed] != [bytes.fromhex(blob or "") for blob in blobs]:
        return None
    policy = unpacked(whole)
    notes = _milestones_note(repository, policy, blobs[1])
    return PolicyInForce(policy, text, blobs[0], tuple(notes), True, blobs[1], kept=True)


def _milestones_note(repository: Repository, policy: Policy, listed: str | None) -> list[str]:
    name = policy.best_models.milestones_file
    if listed is not None or not os.path.lexists(os.path.join(repository.root, name.encode())):
        return []
    (add,) = staging(repository, (os.fsencode(name),))
    return [f"{name} is not staged and does not count: {add}"]


def from_here(store: ObjectStore, command: str) -> str:
    """Return *command*, whose paths count from the root, for where the user is."""
    return from_folder([command], store.path_to_root())[0]


def baseline_in_force(repository: Repository, index: Mapping[bytes, IndexEntry]) -> Baseline:
    """Return the staged baseline; if git does not track the file, that on disk counts."""
    entry = index.get(BASELINE_NAME.encode())
    if entry is not None:
        return parse_baseline(staged_text(repository, entry))
    place = os.path.join(repository.root, BASELINE_NAME.encode())
    try:
        if not stat.S_ISREG(os.lstat(place).st_mode):
            raise FatalError(f"{BASELINE_NAME}: is not a regular file: put one in its place")
        with open(place, "rb") as file:
            return parse_baseline(file.read(BASELINE_BYTES + 1))
    except FileNotFoundError:
        return Baseline()
    except OSError as exc:
        raise FatalError(f"{BASELINE_NAME}: cannot be read: {exc.strerror}") from exc


def baseline_of_commit(store: ObjectStore, commit: str, name: str) -> Baseline:
    """Return the baseline that *commit*, which people call *name*, has."""
    text, _ = _committed(store, commit, name, BASELINE_NAME)
    return Baseline() if text is None else parse_baseline(text, f"{name}:{BASELINE_NAME}")


def policy_of_text(
    repository: Repository, index: Mapping[bytes, IndexEntry], text: bytes | None
) -> Policy:
    """Return what :func:`policy_in_force` would if *text* were the policy file."""
    return _complete(repository, index, text, POLICY_NAME)[0]


def _complete(
    repository: Repository, index: Mapping[bytes, IndexEntry], text: bytes | None, source: str
) -> tuple[Policy, IndexEntry | None]:
    """Return the policy of *text* with projects and milestones, and the entry of their file."""
    from fx_hooks.policy.loader import load_policy
    from fx_hooks.policy.milestone_list import load_milestones
    from fx_hooks.policy.project_policies import ProjectFile, Projects

    policy = load_policy(text, source)
    if policy.folders:

        @functools.cache
        def texts() -> dict[str, bytes]:
            return _texts_of_projects(repository, index, projects)

        def read(path: bytes) -> ProjectFile | None:
            entry = index.get(path)
            if entry is not None:
                text = texts().get(entry.blob) if entry.mode != LINK_MODE else None
                return ProjectFile(text or staged_text(repository, entry), entry.blob)
            if path.rpartition(b"/")[2] != POLICY_NAME.encode():
                return None  # milestones always have to be staged
            place = os.fsdecode(os.path.join(repository.root, path))
            found = read_policy_file(place, os.fsdecode(path), missing_ok=True)
            return None if found is None else ProjectFile(found, None)

        projects = Projects(policy, text, source, read)
        policy = policy._replace(projects=projects)
    milestones_file = policy.best_models.milestones_file
    entry = index.get(milestones_file.encode())
    if entry is None:
        return policy, None
    lines = load_milestones(staged_text(repository, entry), policy.best_models)
    return with_milestones(policy, lines, milestones_file), entry


def _texts_of_projects(
    repository: Repository, index: Mapping[bytes, IndexEntry], projects: Projects
) -> dict[str, bytes]:
    """Return by its blob the content of what says how to judge in projects, in one question."""
    names = (b"/" + POLICY_NAME.encode(), b"/milestones.yaml")
    return repository.contents(
        entry.blob
        for path, entry in index.items()
        if path.endswith(names)
        and entry.mode not in (LINK_MODE, SUBMODULE_MODE)
        and projects.around(path)
    )


def _is_staged(repository: Repository, blob: str, content: bytes | None) -> bool:
    import hashlib

    # Not what git says of changes: it can be told not to look.
    if content is not None and b"\r" not in content:
        plain = hashlib.new("sha1" if len(blob) == 40 else "sha256", b"blob %d\0" % len(content))
        plain.update(content)
        if plain.hexdigest() == blob:
            return True
    return content is not None and repository.blob_id(POLICY_NAME, content) == blob


def refuse_unstaged(repository: Repository, index: Mapping[bytes, IndexEntry]) -> None:
    """Refuse to go on where the policy on disk is not the staged one.

    A command that writes the policy, and what follows from it, would be contradicted by the
    next hook. Raises :class:`~fx_hooks.util.errors.FatalError`.
    """
    entry = index.get(POLICY_NAME.encode())
    place = os.fsdecode(os.path.join(repository.root, POLICY_NAME.encode()))
    if entry is None or entry.mode == LINK_MODE:
        return
    if not _is_staged(repository, entry.blob, _read_or_none(place)):
        command = from_here(repository, f"git add {POLICY_NAME}")
        raise FatalError(
            f"{POLICY_NAME}: has changes that are not staged, and the staged version is what"
            f" counts: {command}, then run again"
        )


def refuse_unmerged(index: Mapping[bytes, IndexEntry], policy: Policy | None = None) -> None:
    """Raise :class:`~fx_hooks.util.errors.FatalError` where a merge has left open what counts.

    That is the policy file, or with *policy* the file of its milestones, and both of each of
    its projects.
    """
    names = [POLICY_NAME if policy is None else policy.best_models.milestones_file]
    if policy is not None and policy.projects is not None:
        for project in policy.projects.among(index):
            names.append(f"{os.fsdecode(project)}/{POLICY_NAME}")
            names.append(policy.best_models_of(project).below(project).milestones_file)
    for name in names:
        entry = index.get(os.fsencode(name))
        if entry is not None and entry.stage:
            raise FatalError(
                f"{name}: is unmerged: resolve the conflict and git add it, then run again"
            )


def policy_on_disk(policy_file: str | None = None) -> PolicyInForce:
    """Return the policy of the current directory, outside any repository."""
    if policy_file is None:
        source = POLICY_NAME
        text = read_policy_file(POLICY_NAME, missing_ok=True)
    else:
        source = policy_file
        text = read_policy_file(policy_file)
    from fx_hooks.policy.loader import load_policy
    from fx_hooks.policy.milestone_list import load_milestones
    from fx_hooks.policy.project_policies import ProjectFile, Projects

    policy = load_policy(text, source)
    if policy.folders:

        def read(path: bytes) -> ProjectFile | None:
            found = read_policy_file(os.fsdecode(path), missing_ok=True)
            return None if found is None else ProjectFile(found, None)

        policy = policy._replace(projects=Projects(policy, text, source, read))
    milestones_file = policy.best_models.milestones_file
    milestones = read_policy_file(milestones_file, missing_ok=True)
    if milestones is not None:
        lines = load_milestones(milestones, policy.best_models)
        policy = with_milestones(policy, lines, milestones_file)
    return PolicyInForce(policy, text, None, (), on_disk=True)


def policy_of_commit(store: ObjectStore, commit: str, name: str) -> PolicyInForce:
    """Return the policy and the milestones that *commit*, which people call *name*, has.

    Raises :class:`~fx_hooks.util.errors.FatalError` if they are invalid, links, or not in this
    clone.
    """
    text, blob = _committed(store, commit, name, POLICY_NAME)
    source = f"{name}:{POLICY_NAME}"
    kept = _kept_policy_of_commit(store, commit, source, text, blob)
    if kept is not None:
        return kept
    from fx_hooks.policy.loader import load_policy
    from fx_hooks.policy.milestone_list import load_milestones
    from fx_hooks.policy.project_policies import ProjectFile, Projects

    policy = load_policy(text, source)
    if policy.folders:

        def read(path: bytes) -> ProjectFile | None:
            content, found = _committed(store, commit, name, os.fsdecode(path))
            return None if content is None else ProjectFile(content, found)

        policy = policy._replace(projects=Projects(policy, text, source, read))
    milestones_file = policy.best_models.milestones_file
    listed, milestones_blob = _committed(store, commit, name, milestones_file)
    if listed is not None:
        try:
            lines = load_milestones(listed, policy.best_models)
        except FatalError as exc:
            raise FatalError(f"{name}:{exc}") from exc
        policy = with_milestones(policy, lines, milestones_file)
    # The fast path looks at the folder that it is started in.
    on_disk = work_tree.find_git_directory() is not None and work_tree.read_policy() == text
    return PolicyInForce(policy, text, blob, (), on_disk, milestones_blob)


def _kept_policy_of_commit(
    store: ObjectStore, commit: str, source: str, text: bytes | None, blob: str | None
) -> PolicyInForce | None:
    """Return what an earlier command has compiled of the same policy and milestones, or None."""
    key = table_cache.cache_key(text)
    content = table_cache.read(table_cache.places(store.git_directory, key), key)
    if content is None or not content[6]:
        return None
    _, _, tracked, milestones_file, listed, _, whole = content
    milestones = store.entry(commit, milestones_file)
    if milestones is not None and not stat.S_ISREG(milestones.mode):
        return None
    of_list = None if milestones is None else milestones.blob
    if [tracked, listed] != [bytes.fromhex(one or "") for one in (blob, of_list)]:
        return None
    return PolicyInForce(unpacked(whole, source), text, blob, (), False, of_list, kept=True)


def _committed(
    store: ObjectStore, commit: str, name: str, path: str
) -> tuple[bytes, str] | tuple[None, None]:
    """Return the content and the object id of the regular file that *commit* has at *path*."""
    entry = store.entry(commit, os.fsencode(path))
    if entry is None:
        return None, None
    if not stat.S_ISREG(entry.mode):
        raise FatalError(f"{name}:{path}: is {_kind(entry.mode)}: commit a regular file")
    content = store.contents((entry.blob,)).get(entry.blob)
    if content is None:
        raise store.not_here(f"{name}:{path}: its content", entry.blob)
    return content, entry.blob


def _kind(mode: int) -> str:
    """Return what git has at a path with a *mode* that is not that of a regular file."""
    return {LINK_MODE: "a symbolic link", SUBMODULE_MODE: "a submodule"}.get(mode, "a folder")


def keep_tables(
    git_directory: str,
    in_force: PolicyInForce,
    index: Mapping[bytes, IndexEntry] | None = None,
) -> bool:
    """Keep the compiled policy for the fast paths, if what is on disk is what counts.

    With projects, those that *index* has something of are kept, too. Return True if it was not
    there before, and is now.
    """
    projects = in_force.policy.projects
    if in_force.kept or not in_force.on_disk or (projects is not None and not index):
        return False
    key = table_cache.cache_key(in_force.text)
    places = table_cache.places(git_directory, key)
    ids = (
        bytes.fromhex(in_force.blob or ""),
        os.fsencode(in_force.policy.best_models.milestones_file),
        bytes.fromhex(in_force.milestones_blob or ""),
    )
    index = index or {}
    content = table_cache.read(places, key)
    if (
        content is not None
        and content[2:5] == ids
        and (projects is None or _still_holds(content[5], projects, index))
    ):
        return False
    kept = None if projects is None else _kept_projects(projects, index, ids[1])
    from fx_hooks.policy.loader import load_policy

    policy = load_policy(in_force.text)
    whole = b"" if policy.folders else packed(_as_on_disk(policy, in_force.policy))
    content = *_tables(policy), *ids, kept, whole
    return table_cache.write(places, key, content) is not None


def _as_on_disk(policy: Policy, in_force: Policy) -> Policy:
    """Return *policy* with the milestones of *in_force*, which may be read from a commit."""
    milestones = in_force.entries[len(policy.entries) :]
    source = policy.best_models.milestones_file
    return policy._replace(
        entries=policy.entries + tuple(entry._replace(source=source) for entry in milestones)
    )


def _patterns(policy: Policy) -> tuple[object, ...]:
    return tuple(policy.patterns()), tuple(mark.path for mark in policy.run_marks)


def _tables(policy: Policy) -> tuple[Tables, tuple[bytes, ...]]:
    marks = tuple(dict.fromkeys(os.fsencode(mark.path) for mark in policy.run_marks))
    return tables_of(policy), marks


def _still_holds(
    kept: ProjectsContent, projects: Projects, index: Mapping[bytes, IndexEntry]
) -> bool:
    """Return True if what is *kept* knows each project in *index* as it is now.

    None of them is read for that: only what its files are called in the index.
    """
    _, _, known, milestones, *_ = kept
    for folder in projects.among(index):
        if folder not in known:
            return False
        own, listing, listed, _ = known[folder] or (b"", milestones, b"", 0)
        before = folder + b"/"
        for path, blob in ((before + POLICY_NAME.encode(), own), (before + listing, listed)):
            entry = index.get(path)
            if (b"" if entry is None else bytes.fromhex(entry.blob)) != blob:
                return False
    return True


def _kept_projects(
    projects: Projects, paths: Collection[bytes], milestones: bytes
) -> ProjectsContent:
    """Return what the fast paths have to know of the projects that *paths* are in."""
    known: dict[bytes, tuple[bytes, bytes, bytes, int] | tuple[()]] = {}
    numbers = {_patterns(projects.root): 0}
    kept: list[tuple[int, ...]] = []
    pool: dict[bytes, int] = {}
    base, _ = _tables(projects.root)
    for folder in projects.among(paths):
        try:
            project = projects.at(folder)
        except FatalError:
            continue  # what is in it is refused with the reason
        if project.own is not None and project.own.blob is None:
            continue  # a file that git does not track changes, and goes away, without a trace
        policy = project.without_milestones
        patterns = _patterns(policy)
        if patterns not in numbers:
            numbers[patterns] = len(numbers)
            tables, marks = _tables(policy)
            parts = [table_cache.packed(part) for part in (*differences(base, tables), marks)]
            kept.append(tuple([pool.setdefault(part, len(pool)) for part in parts]))
        facts = (
            bytes.fromhex("" if project.own is None else project.own.blob or ""),
            os.fsencode(policy.best_models.milestones_file),
            bytes.fromhex((project.milestones and project.milestones.blob) or ""),
            numbers[patterns],
        )
        known[folder] = facts if facts != (b"", milestones, b"", 0) else ()
    named = tuple(projects.named)
    return (named, projects.globs, known, milestones, tuple(kept), tuple(pool))


def read_policy_file(
    path: str, source: str | None = None, *, missing_ok: bool = False
) -> bytes | None:
    """Return the bytes of a regular file on disk; None if it is missing and *missing_ok*.

    With *source*, the repository's name for it, the user has not named the file.
    """
    name = source or path
    mend = "put a file in its place" if source else "name a policy file"
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode) and not path.startswith("/dev/"):
            raise FatalError(f"{name}: is a pipe: name a regular file")
        with open(path, "rb") as file:
            # One byte more than a policy may have, so that the loader can say so.
            return file.read(table_cache.MAX_BYTES + 1)
    except FileNotFoundError as exc:
        if not os.path.lexists(path):
            if missing_ok:
                return None
            raise FatalError(f"{name}: this policy file does not exist") from exc
        raise FatalError(f"{name}: is a symbolic link that leads nowhere: {mend}") from exc
    except IsADirectoryError as exc:
        raise FatalError(f"{name}: is a folder: {mend}") from exc
    except OSError as exc:
        raise FatalError(f"{name}: cannot be read: {exc.strerror}") from exc


def _read_or_none(path: str) -> bytes | None:
    try:
        return read_policy_file(path)
    except FatalError:
        return None


def staged_text(repository: Repository, entry: IndexEntry) -> bytes:
    """Return the content of a staged regular file that commands cannot do without."""
    name = os.fsdecode(entry.path)
    if not stat.S_ISREG(entry.mode):
        raise FatalError(f"{name}: is {_kind(entry.mode)} in the index: stage a regular file")
    content = repository.contents((entry.blob,)).get(entry.blob)
    if content is None:
        raise repository.not_here(f"{name}: its staged version", entry.blob)
    return content
