"""The runs that chosen models came from.

All that counts as chosen, wherever it is: in the work tree and the index, in every branch, tag
and stash, and in the other work trees of the repository.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes

from fx_hooks.best_models.metadata import SUFFIX
from fx_hooks.best_models.run_identity import identity_of
from fx_hooks.best_models.staged_models import digest
from fx_hooks.git.index_sum import damaged_indices
from fx_hooks.git.repository import (
    LINK_MODE,
    REPAIR,
    SUBMODULE_MODE,
    WITH_CONTENT,
    IndexEntry,
    Repository,
    lfs_pointer,
    zsplit,
)
from fx_hooks.policy.in_force import policy_in_force, staged_text
from fx_hooks.policy.model import POLICY_NAME
from fx_hooks.util.disk import NoFileError, files_not_links, files_only
from fx_hooks.util.errors import FatalError
from fx_hooks.util.paths import encoded, shown

if TYPE_CHECKING:
    from fx_hooks.policy.model import BestModels, Policy
    from fx_hooks.runs.layouts import FoundRun
    from fx_hooks.util.disk import Folder

_SUFFIX = SUFFIX.encode()
_WEIGHTS = (
    b".ckpt", b".pt", b".pth", b".pt2", b".safetensors", b".bin", b".h5", b".keras", b".onnx",
    b".pkl", b".joblib", b".npz", b".gguf", b".model", b".tar",
)  # fmt: skip
_MAX_METADATA = 1 << 20
_MAX_READ = 1 << 26
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_SHA256 = re.compile(rb'"?sha256"?\s*:\s*"?\'?([0-9a-f]{64})\b')
# What git itself is in the middle of; names of commits, like HEAD.
_HEADS = ("HEAD", "MERGE_HEAD", "ORIG_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
# The stashes that it makes itself then.
_AUTOSTASHES = ("MERGE_AUTOSTASH", "rebase-merge/autostash", "rebase-apply/autostash")
_ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
# One, or both halves of a pair.
_ESCAPES = re.compile(rb'(?:\\u[0-9a-fA-F]{4})+|\\["\\/bfnrt]')


class _Model(NamedTuple):
    """A chosen model; ``size`` is None where nothing says it."""

    path: bytes
    sha256: str
    size: int | None


_LACKING = (
    "this clone lacks metadata of milestones in other branches, and one of them may have come from"
    " it: "
)


class Chosen(NamedTuple):
    """The chosen models, what is written about them, and the folders that they are in.

    ``unknown`` says why there may be more, and is mostly empty.
    """

    models: frozenset[_Model]
    metadata: Mapping[bytes, frozenset[bytes]]
    folders: frozenset[bytes]
    unknown: str = ""

    def with_others(self, others: Chosen) -> Chosen:
        """Return what is chosen here or among *others*."""
        names = {*self.metadata, *others.metadata}
        nothing: frozenset[bytes] = frozenset()
        return Chosen(
            self.models | others.models,
            {
                name: self.metadata.get(name, nothing) | others.metadata.get(name, nothing)
                for name in sorted(names)
            },
            self.folders | others.folders,
            self.unknown or others.unknown,
        )

    def of_run(
        self, path: bytes, wandb_id: str, folder: Folder, root: bytes, place: bytes | None = None
    ) -> list[bytes]:
        """Those that came from the run at *path*; *place* is where it is now, if elsewhere.

        Their metadata names the run, by its path, by W&B's id or address, or by its identity;
        or the run still has the file itself, by its digest, or by its size if that cannot be
        read. Where the identity cannot be read, any may be meant.
        """
        if not self.models and not self.metadata:
            return []
        here = os.path.join(root, path) if place is None else place
        identity: str | None = None
        found = []
        for name, contents in self.metadata.items():
            for content in contents:
                if b'"identity"' in content and identity is None:
                    try:
                        identity = identity_of(os.fsdecode(here)) or ""
                    except OSError:
                        identity = '"identity"'
                if _names_run(content, path, wandb_id) or (
                    identity and identity.encode() in content
                ):
                    found += self._about(name)
                    break
        return sorted({*found, *self._held(folder, here)})

    def _about(self, metadata: bytes) -> list[bytes]:
        """Return the models that the file *metadata* is about."""
        stem = metadata[: -len(_SUFFIX)]
        return sorted(
            {model.path for model in self.models if os.path.splitext(model.path)[0] == stem}
        ) or [metadata]

    def _held(self, top: Folder, place: bytes) -> Iterator[bytes]:
        """Those whose content is in *top*, which is at *place*."""
        sizes = {model.size for model in self.models}
        base = len(top.path)
        for folder in top.walk() if sizes else ():
            for name, size, _, _, mode in folder.files:
                if not stat.S_ISREG(mode) or (
                    size not in sizes and not (None in sizes and name.endswith(_WEIGHTS))
                ):
                    continue
                found = None
                below = folder.path[base:].lstrip(b"/")
                with (
                    contextlib.suppress(OSError),
                    open(os.path.join(place, below, name), "rb", opener=files_not_links) as file,
                ):
                    found = digest(file)
                for model in self.models:
                    if found == model.sha256 or (found is None and size == model.size):
                        yield model.path


def milestones_of_runs(
    chosen: Chosen, found: Sequence[FoundRun], root: bytes
) -> dict[bytes, list[bytes]]:
    """By run, the chosen models that came from it."""
    models = {run.path: chosen.of_run(run.path, run.wandb_id, run.folder, root) for run in found}
    return {path: some for path, some in models.items() if some}


def find_chosen(repository: Repository, index: Mapping[bytes, IndexEntry]) -> Chosen:
    """All that is chosen anywhere in *repository*.

    Where ``git replace`` shows something else than there is, both count. Raises
    :class:`~fx_hooks.util.errors.FatalError` for metadata that cannot be read, which may name a
    run.
    """
    found = _find_chosen(repository, index)
    if repository.run("replace", "--list"):
        found = found.with_others(_find_chosen(repository.as_shown(), index))
    return found


def _find_chosen(repository: Repository, index: Mapping[bytes, IndexEntry]) -> Chosen:
    policy = policy_in_force(repository, index).policy
    _look_at_sums(repository.git_directory, os.environ.get("GIT_INDEX_FILE"))
    gathered = _Gathered()
    of_refs, others = _other_commits(repository)
    gathered.lacks = repository.tips_lack_folders(others)
    folders = {}
    for project in _projects(policy, index, repository.root):
        one = gathered.take(policy.best_models_of(project), project)
        folders[one.folder] = one
        listing = index.get(os.fsencode(one.milestones_file))
        if listing is not None:
            gathered.list_strictly(staged_text(repository, listing), one)
    _look_at_submodules(repository.root, index.values(), folders)
    gathered.add_blobs(repository, index.values(), folders)
    trees = [*of_refs, *others]
    known = list(folders)
    policies, *of_folders = gathered.ids(repository, trees, (POLICY_NAME, *known))
    texts = repository.contents(policies) if policies else {}
    gathered.lacks = gathered.lacks or len(texts) < len(policies)
    for text in texts.values():
        from fx_hooks.policy.loader import load_policy  # reads YAML: slow to load
        from fx_hooks.policy.project_policies import named_folders

        with contextlib.suppress(FatalError):  # another branch's own affair
            other = load_policy(text)
            for project in (b"", *named_folders(other.folders)):
                one = gathered.take(other.best_models, project)
                folders.setdefault(one.folder, one)
    more = [folder for folder in folders if folder not in known]
    if more:
        of_folders += gathered.ids(repository, trees, more)
    for folder, ids in zip((*known, *more), of_folders, strict=True):
        gathered.add_trees(repository, folder, ids, folders)
    for git_directory, root in _work_trees(repository):
        if git_directory is not None:
            records = _index_of(repository, git_directory, root)
            gathered.add_blobs(repository, _entries(records, folders), folders)
        for one in folders.values():
            gathered.add_folder(root, one)
    return gathered.chosen(repository, folders)


def _look_at_submodules(root: bytes, index: Iterable[IndexEntry], folders: Iterable[str]) -> None:
    """Raise :class:`~fx_hooks.util.errors.FatalError` where models are in one that is not there."""
    places = [os.fsencode(folder) + b"/" for folder in folders]
    for path in (entry.path for entry in index if entry.mode == SUBMODULE_MODE):
        start = path + b"/"
        if any(start.startswith(place) or place.startswith(start) for place in places) and not (
            os.path.lexists(os.path.join(root, path, b".git"))
        ):
            raise FatalError(
                f"{shown(path)}: is a submodule that is not checked out, so nobody knows which runs"
                " the models in it came from"
            )


def _projects(policy: Policy, index: Iterable[bytes], root: bytes) -> list[bytes]:
    """Return the projects of *policy* that are tracked or on disk, the root first."""
    projects = policy.projects
    return [b""] if projects is None else [b"", *{*projects.among(index), *projects.on_disk(root)}]


class _Gathered:
    """The files that have been read so far."""

    def __init__(self) -> None:
        # How a project's own list names the models, by the folder.
        self._listed_in: dict[str, tuple[BestModels, bytes]] = {}
        self._models: set[_Model] = set()
        self._metadata: dict[bytes, set[bytes]] = {}
        # Sizes of the models next to the metadata, by path.
        self._sizes: dict[bytes, set[int]] = {}
        self.lacks = False
        # Why there may be more than what was read; empty where nothing says so.
        self._unread = ""

    def ids(
        self, repository: Repository, trees: Sequence[str], paths: Sequence[str]
    ) -> list[dict[str, None]]:
        """Return for each of *paths* the ids of what the commits *trees* have there."""
        found = _ids(repository, trees, paths)
        self.lacks = self.lacks or found is None
        return [{} for _ in paths] if found is None else found

    def take(self, best_models: BestModels, project: bytes) -> BestModels:
        """Return *best_models* of *project* with the folder from the root of the repository."""
        full = best_models.below(project)
        self._listed_in.setdefault(full.folder, (best_models, project))
        return full

    def list_strictly(self, text: bytes, best_models: BestModels) -> None:
        from fx_hooks.best_models.milestones import load_contract  # reads YAML: slow to load

        listed_in, project = self._listed_in.get(best_models.folder, (best_models, b""))
        self._models |= {
            _Model(os.fsencode(path), one.sha256, one.size)
            for path, one in load_contract(text, listed_in, project).items()
        }

    def list(self, text: bytes, best_models: BestModels) -> None:
        """Take what *text* lists; of a text that is not in order yet all that are digests."""
        text = self._as_utf8(best_models.milestones_file.encode(), text)
        try:
            self.list_strictly(text, best_models)
        except FatalError:
            name = best_models.milestones_file.encode()
            self._models |= {
                _Model(name, found[0].decode(), None) for found in _DIGEST.finditer(text)
            }

    def describe(self, path: bytes, content: bytes) -> None:
        text = self._as_utf8(path, content)
        found = self._metadata.setdefault(path, set())
        found.add(text)
        if b"\\" in text:
            # Each letter may be written as an escape, also where the rest is not JSON.
            found.add(_ESCAPES.sub(_unescaped, text))

    def _as_utf8(self, path: bytes, content: bytes) -> bytes:
        """Return *content* in UTF-8, whatever of Unicode it is in; note where it is in none."""
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(json.detect_encoding(content))
            if "\0" not in text:
                return text.encode()
        self._note(f"{shown(path)} is not text in UTF-8", "save it as UTF-8")
        return content

    def _note(self, what: str, mend: str) -> None:
        """Note that what is not read may keep any run."""
        self._unread = self._unread or (
            f"{what}, and may say that a milestone came from it: {mend}"
        )

    def _note_link(self, path: bytes) -> None:
        self._note(
            f"{shown(path)} is a link to nothing that is here",
            "bring back what it leads to, or take it out",
        )

    def _linked(
        self,
        repository: Repository,
        entry: IndexEntry,
        target: bytes,
        entries: Mapping[bytes, IndexEntry],
    ) -> bytes | None:
        """Return what the link *entry* leads to: one of *entries*, or a file on disk."""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), target))
        other = entries.get(place)
        if other is not None and other.mode != LINK_MODE:
            return repository.contents([other.blob]).get(other.blob)
        with (
            contextlib.suppress(OSError, ValueError),
            open(os.path.join(repository.root, place), "rb", opener=files_only) as file,
        ):
            return file.read(_MAX_READ)
        return None

    def add_blobs(
        self,
        repository: Repository,
        entries: Iterable[IndexEntry],
        folders: Mapping[str, BestModels],
    ) -> None:
        """Read what *entries* of an index, or of a tree, say in *folders*."""
        listings = {one.milestones_file.encode(): one for one in folders.values()}
        starts = tuple(folder.encode() + b"/" for folder in folders)
        wanted = [entry for entry in entries if entry.path.startswith(starts)]
        told = [entry for entry in wanted if entry.path.endswith(_SUFFIX) or entry.path in listings]
        contents = repository.contents(entry.blob for entry in told) if told else {}
        self.lacks = self.lacks or any(entry.blob not in contents for entry in told)
        by_path = {entry.path: entry for entry in wanted}
        for entry in told:
            content = contents.get(entry.blob, b"")
            if entry.mode == LINK_MODE:
                self.describe(entry.path, content)  # it may lead into the run itself
                linked = self._linked(repository, entry, content, by_path)
                if linked is None:
                    self._note_link(entry.path)
                    continue
                content = linked
            if entry.path in listings:
                self.list(content, listings[entry.path])
            else:
                self.describe(entry.path, content)
        stems = {entry.path[: -len(_SUFFIX)] for entry in told}
        models = [entry for entry in wanted if os.path.splitext(entry.path)[0] in stems]
        sizes = repository.sizes(entry.blob for entry in models) if models else {}
        small = [entry for entry in models if (sizes.get(entry.blob) or _MAX_METADATA) < 1024]
        pointers = repository.contents(entry.blob for entry in small) if small else {}
        for entry in models:
            pointer = lfs_pointer(pointers.get(entry.blob, b""))
            size = sizes.get(entry.blob) if pointer is None else pointer.size
            if size is not None:
                self._sizes.setdefault(entry.path, set()).add(size)

    def add_trees(
        self,
        repository: Repository,
        folder: str,
        trees: Iterable[str],
        folders: Mapping[str, BestModels],
    ) -> None:
        """Read what *trees*, each a state of *folder*, have."""
        for tree in trees:
            records = repository.run("ls-tree", "-r", "-z", "--full-tree", tree)
            entries = []
            for record in zsplit(records):
                head, path = record.split(b"\t", 1)
                mode, _, blob = head.decode().split()
                entries.append(IndexEntry(int(mode, 8), blob, 0, folder.encode() + b"/" + path))
            self.add_blobs(repository, entries, folders)

    def add_folder(self, root: bytes, best_models: BestModels) -> None:
        """Read what is on disk below *root*."""
        listing = best_models.milestones_file.encode()
        top = os.path.join(root, best_models.folder.encode())
        seen = set()
        for here, below, files in os.walk(top, onerror=_unread, followlinks=True):
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                below.clear()  # a link that leads back
                continue
            seen.add((status.st_dev, status.st_ino))
            for name in files:
                place = os.path.join(here, name)
                path = os.path.relpath(place, root).replace(os.fsencode(os.sep), b"/")
                told = name.endswith(_SUFFIX) or path == listing
                try:
                    if told:
                        with open(place, "rb", opener=files_only) as file:
                            content = file.read(_MAX_READ + 1)
                        if len(content) > _MAX_READ:
                            raise FatalError(
                                f"{shown(path)}: is larger than 64 MiB: it may name runs that"
                                " models came from"
                            )
                        if path == listing:
                            self.list(content, best_models)
                        else:
                            self.describe(path, content)
                    else:
                        self._sizes.setdefault(path, set()).add(os.stat(place).st_size)
                except FileNotFoundError:
                    if told and os.path.islink(place):
                        self.describe(path, os.readlink(place))
                        self._note_link(path)
                except NoFileError:
                    continue  # a pipe
                except OSError as exc:
                    _unread(exc)

    def chosen(self, repository: Repository, folders: Iterable[str]) -> Chosen:
        models = set(self._models)
        listed = {model.sha256 for model in models}
        by_stem: dict[bytes, set[int]] = {}
        for path, sizes in self._sizes.items():
            by_stem.setdefault(os.path.splitext(path)[0], set()).update(sizes)
        for path, contents in self._metadata.items():
            stem = path[: -len(_SUFFIX)]
            for content in contents:
                for found in _SHA256.finditer(content):
                    sha256 = found[1].decode()
                    if sha256 not in listed:
                        known: set[int | None] = {*by_stem.get(stem, ())}
                        models |= {_Model(path, sha256, size) for size in known or {None}}
        around = {os.path.dirname(model.path) for model in models}
        around |= {folder.encode() for folder in folders}
        return Chosen(
            frozenset(models),
            {path: frozenset(contents) for path, contents in sorted(self._metadata.items())},
            frozenset(around - {b""}),
            f"{_LACKING}{WITH_CONTENT if repository.is_partial() else REPAIR}"
            if self.lacks
            else self._unread,
        )


def _unescaped(found: re.Match[bytes]) -> bytes:
    text: str = json.loads(b'"%s"' % found[0])
    return b"".join(map(encoded, text))


def _other_commits(repository: Repository) -> tuple[list[str], list[str]]:
    """Return the commits that somebody can still reach by a name: those of refs, and others.

    The others are what git is in the middle of, in any work tree, and the parts of all stashes.
    """
    refs = repository.run("for-each-ref", "--format=%(objectname) %(refname)").decode()
    by_name = [line.partition(" ") for line in refs.splitlines()]
    stashes = [commit for commit, _, name in by_name if name == "refs/stash"]
    stashes += _stashes(repository) if stashes else ()
    heads = [*_HEADS]
    own = repository.git_directory
    for git_directory in [own, *(place for place, _ in _work_trees(repository) if place)]:
        for names, found in ((_HEADS, heads), (_AUTOSTASHES, stashes)):
            for name in names:
                found += _named_in(os.path.join(git_directory, name))
    # A commit that only such a name leads to may be gone: git takes it away in time.
    questions = "".join(f"{name}\n" for name in heads).encode()
    answers = repository.run("cat-file", "--batch-check", stdin=questions).decode()
    others = [line.split()[0] for line in answers.splitlines() if " commit " in line]
    if stashes:
        stdin = "".join(f"{commit}\n" for commit in stashes).encode()
        options = ("--no-walk", "--parents", "--stdin")
        told = repository.run("rev-list", *options, stdin=stdin, codes=(0, 128)).decode()
        # The second parent is the index, a third what was not tracked.
        others += [each for line in told.splitlines() for each in line.split()[2:]]
    refs_alone = dict.fromkeys(commit for commit, _, _ in by_name)
    return [*refs_alone], [*dict.fromkeys([*others, *stashes])]


def _stashes(repository: Repository) -> list[str]:
    """Return the ids of all stashes, also of those that are lost, where git keeps them in a file.

    git itself leaves these out without a word.
    """
    place = os.path.join(repository.common_directory(), b"logs", b"refs", b"stash")
    try:
        with open(place, "rb", opener=files_only) as file:
            words = [line.split(maxsplit=2)[1:2] for line in file if line.strip()]
    except FileNotFoundError:
        options = ("--walk-reflogs", "refs/stash", "--")
        return repository.run("rev-list", *options, codes=(0, 128)).decode().split()
    except OSError as exc:
        raise _unreadable(exc) from exc
    if not all(word and _ID.fullmatch(word[0]) for word in words):
        raise FatalError(
            f"{shown(place)}: is damaged: it may name runs that models came from: take out the"
            " lines that do not begin with two ids"
        )
    return [word.decode() for (word,) in words]


def _named_in(place: str) -> list[str]:
    """Return the ids that a file of git names, one a line; none where there is no such file."""
    lines: list[bytes] = []
    try:
        with open(place, "rb", opener=files_only) as file:
            lines = file.read(_MAX_METADATA).split()
    except (NotADirectoryError, NoFileError):
        pass
    except OSError as exc:
        _unread(exc)
    return [line.decode() for line in lines if _ID.fullmatch(line)]


def _ids(
    repository: Repository, trees: Sequence[str], paths: Sequence[str]
) -> list[dict[str, None]] | None:
    """Return for each of *paths* the ids of the files or folders that the commits *trees* have.

    None where git stops at a tree that a partial clone does not have.
    """
    questions = "".join(f"{tree}:{path}\n" for path in paths for tree in trees).encode()
    answers = repository.run("cat-file", "--batch-check", stdin=questions, codes=(0, 128))
    words = [line.split() for line in answers.decode("utf-8", "replace").split("\n")]
    if len(words) <= len(paths) * len(trees):
        return None
    found: list[dict[str, None]] = []
    for number, path in enumerate(paths):
        kind = "blob" if path == POLICY_NAME else "tree"
        some = words[number * len(trees) : (number + 1) * len(trees)]
        found.append({word[0]: None for word in some if word[1:2] == [kind] and word[-1].isdigit()})
    return found


def _index_of(repository: Repository, git_directory: str, root: bytes) -> bytes:
    """Return the records of the index of another work tree; none while it is being made.

    Raises :class:`~fx_hooks.util.errors.FatalError` where milestones in it cannot be seen.
    """
    if os.path.lexists(os.path.join(git_directory, "locked")) and not os.path.lexists(root):
        raise FatalError(
            f"{shown(root)}: this work tree is locked and not there, so nobody knows which runs its"
            " milestones came from: mount it, or git worktree unlock it if it is gone"
        )
    if os.path.lexists(os.path.join(git_directory, "index")):
        _look_at_sums(git_directory)
        return repository.run(f"--git-dir={git_directory}", "ls-files", "-s", "-z")
    return b""


def _look_at_sums(git_directory: str, index: str | None = None) -> None:
    """Raise :class:`~fx_hooks.util.errors.FatalError` where an index is damaged."""
    try:
        for place in damaged_indices(git_directory, index):
            raise FatalError(
                f"{shown(os.fsencode(place))}: is damaged: it may name runs that models came from."
                " If you delete it, git reset writes a new one, and nothing is staged any more"
            )
    except OSError as exc:
        _unread(exc)


def _entries(records: bytes, folders: Iterable[str]) -> Iterator[IndexEntry]:
    starts = tuple(folder.encode() + b"/" for folder in folders)
    for record in zsplit(records):
        head, path = record.split(b"\t", 1)
        if path.startswith(starts):
            mode, blob, stage = head.decode().split()
            yield IndexEntry(int(mode, 8), blob, int(stage), path)


def _work_trees(repository: Repository) -> Iterator[tuple[str | None, bytes]]:
    """Yield the root of each work tree and the place of its index; None for the current one."""
    yield None, repository.root
    common = repository.common_directory()
    own = os.path.realpath(os.fsencode(repository.git_directory))
    if os.path.realpath(common) != own and os.path.basename(common) == b".git":
        yield os.fsdecode(common), os.path.dirname(common)
    if b"/modules/" in own:  # of a submodule; what the repository around it has may name its runs
        around = repository.run("rev-parse", "--show-superproject-working-tree")[:-1]
        if around:
            yield None, around
    try:
        names = sorted(os.listdir(os.path.join(common, b"worktrees")))
    except OSError as exc:
        _unread(exc)
        return
    for name in names:
        git_directory = os.path.join(common, b"worktrees", name)
        if os.path.realpath(git_directory) == own:
            continue
        place = os.path.join(git_directory, b"gitdir")
        try:
            with open(place, "rb", opener=files_only) as file:
                link = file.read(1 << 16).strip()
        except OSError as exc:
            _unread(exc)
            continue
        if os.path.basename(link) != b".git":
            raise FatalError(
                f"{shown(place)}: is damaged, so nobody knows which runs the milestones of that"
                " work tree came from: mend it with git worktree repair"
            )
        yield os.fsdecode(git_directory), os.path.dirname(os.path.join(git_directory, link))


def _unread(exc: OSError) -> None:
    if not isinstance(exc, FileNotFoundError):
        raise _unreadable(exc) from exc


def _unreadable(exc: OSError) -> FatalError:
    return FatalError(
        f"{shown(os.fsencode(exc.filename))}: cannot be read: {exc.strerror}: it may name runs"
        " that models came from"
    )


def _names_run(metadata: bytes, path: bytes, wandb_id: str) -> bool:
    for spelling in _spellings(path):
        if re.search(rb"(?<![\w.-])" + re.escape(spelling) + rb"(?![\w.-])", metadata):
            return True
    # As it is, or the last part of an address: https://wandb.ai/ENTITY/PROJECT/runs/ID.
    return bool(wandb_id) and any(
        re.search(rb'["/]' + re.escape(name) + rb'(?:["/?#\\\s]|\Z)', metadata)
        for name in _spellings(os.fsencode(wandb_id))
    )


def _spellings(name: bytes) -> set[bytes]:
    """Return how a file can have *name*: as it is, as JSON writes it, or as in an address.

    And as Windows spells a path, by programs of somebody's own.
    """
    other = name.replace(b"/", b"\\")
    in_json = {json.dumps(os.fsdecode(each))[1:-1].encode() for each in (name, other)}
    return {name, other, *in_json, quote_from_bytes(name).encode()}
