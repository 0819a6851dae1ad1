"""Repositories: what is asked of git, and how.

Paths are bytes relative to the root, and every call that prints them uses ``-z``. The
index is asked, never the work tree; the caller's ``GIT_INDEX_FILE`` holds (git sets one
for ``git commit -- path``).
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import IO, BinaryIO, NamedTuple

from fx_hooks.fastpath.fast_git import AS_PUSHED, ASKING, OFFLINE, QUIET
from fx_hooks.git.process import Process, Result, holding, run
from fx_hooks.util.errors import FatalError
from fx_hooks.util.temporary import nameless_file

LINK_MODE = 0o120000
SUBMODULE_MODE = 0o160000
# The specification of Git LFS has pointers below 1024 bytes.
LFS_POINTER_BYTES = 1024
# Bytes of git's output that are read at a time.
_CHUNK = 1 << 18
_MANY = 10_000  # objects whose sizes two processes of git tell
_LFS_KEYS = (b"version", b"oid", b"size")
_LFS_VERSIONS = (
    b"http://git-media.io/v/2",
    b"https://hawser.github.com/spec/v1",
    b"https://git-lfs.github.com/spec/v1",
)
# Compiled by who needs them, as many expressions here: to compile them takes longer than a commit.
_LFS_EXTENSION = rb"ext-[0-9]-\w+"
_LFS_OID = rb"[0-9a-f]{64}\Z"
_LFS_SIZE = rb"\+?[0-9]{1,18}\Z"
_KINDS = (b"blob", b"tree", b"commit", b"tag")
_FOLDER = b"40000"  # the mode of a tree in a tree
# What brings what a partial clone lacks.
WITH_CONTENT = "git fetch --refetch --no-filter (before git 2.36, clone it again in full)"
_NONE: frozenset[bytes] = frozenset()
_ANY, _BELOW = b"*", b"**"  # any folder; all folders below
_HEAD = ("-q", "--verify", "HEAD^{commit}")
REPAIR = "git fsck shows what is damaged; a fresh clone brings back what was pushed"
# The id of an empty file, by SHA-1 and by SHA-256.
_EMPTY_BLOBS = frozenset({
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
})  # fmt: skip


class IndexEntry(NamedTuple):
    """One entry of the index; *stage* is 0 except for unmerged paths."""

    mode: int
    blob: str
    stage: int
    path: bytes


class Change(NamedTuple):
    """One staged change against ``HEAD``; *mode* and *blob* are those in the index.

    ``status`` is git's letter: ``A`` added, ``M`` modified, ``D`` deleted, ``T`` type
    changed, ``U`` unmerged. Renames are a deletion and an addition.
    """

    status: str
    mode: int
    blob: str
    path: bytes


class IgnoreLine(NamedTuple):
    """The line of an ignore file that decides a path; *file* is relative to the root."""

    file: bytes
    number: int
    pattern: bytes

    @property
    def ignores(self) -> bool:
        return not self.pattern.startswith(b"!")


class LfsPointer(NamedTuple):
    """A Git LFS pointer: the content's SHA-256 and its size in bytes."""

    oid: str
    size: int


def zsplit(output: bytes) -> list[bytes]:
    """Return the fields of output that ends each of them with a NUL."""
    return output.split(b"\0")[:-1]


class ObjectStore:
    """The objects of a repository, with or without a work tree.

    Objects are taken as a commit holds them and a push sends them: what ``git replace`` and grafts
    put in their place is left out. On a server the environment says where those of a push wait.
    """

    def __init__(self, git_directory: bytes | None = None) -> None:
        """Open the repository here, or that of *git_directory*, which git has found here."""
        self.git_directory = os.fsdecode(git_directory or _place("--absolute-git-dir"))
        self._where = _HERE
        self._head: str | None = None
        self._way: str | None = None
        self._partial: bool | None = None
        self._sizes: dict[str, int] = {}
        # What was read of the commit that was asked about last: most questions are about one.
        self._read: tuple[str, dict[str, dict[bytes, tuple[bytes, bytes]]]] = "", {}

    def run(self, *arguments: str, stdin: bytes = b"", codes: Collection[int] = (0,)) -> bytes:
        """Run one git command and return its standard output."""
        result = _start(arguments, self._where, stdin)
        if result.returncode not in codes:
            raise self._failure(arguments, result.stderr)
        return result.stdout

    def head(self) -> str | None:
        """Return the commit id of ``HEAD``; None before the first commit."""
        if self._head is None:
            found = self.run("rev-parse", *_HEAD, codes=(0, 1))
            # git ends with 1 also where the commit is lost, and where the ref cannot be read.
            named = found or self.run("rev-parse", *_HEAD[:-1], "HEAD", codes=(0, 1))
            if not found and (named or not self._unborn()):
                raise lost("HEAD: its commit")
            self._head = found.decode().strip() or None
        return self._head

    def head_at(self, time: float) -> str | None:
        """Return the commit that ``HEAD`` was at *time*, in seconds since 1970, by its reflog.

        None where that does not go back so far.
        """
        spec = f"HEAD@{{@{int(time)} +0000}}^{{commit}}"
        result = _start(("rev-parse", "--verify", spec), self._where)
        # Where it has none of that time git warns, and names another one.
        if result.returncode != 0 or b"warning:" in result.stderr:
            return None
        return result.stdout.decode().strip()

    def branch(self) -> str:
        """Return the name of the branch that is checked out; empty if there is none."""
        found = os.fsdecode(self.run("symbolic-ref", "-q", "HEAD", codes=(0, 1, 128))).strip()
        return found.removeprefix("refs/heads/") if found.startswith("refs/heads/") else ""

    def _unborn(self) -> bool:
        """Return True if ``HEAD`` is a branch that has no commit yet."""
        branch = os.fsdecode(self.run("symbolic-ref", "-q", "HEAD", codes=(0, 1, 128))[:-1])
        place = self.run("rev-parse", "--git-path", branch)[:-1]
        return bool(branch) and not os.path.lexists(os.path.join(self._where.folder or b"", place))

    def remote_tags(self, remote: str) -> set[str]:
        """Return what the tags of *remote* are and lead to, as ids; the only call online.

        Raises :class:`FatalError` if it does not answer.
        """
        online = self._where._replace(online=True)
        listed = _run(("ls-remote", "-q", "--tags", "--", remote), online)
        # Of an annotated tag both are listed, the tag and its commit.
        return {line.split(b"\t")[0].decode() for line in listed.splitlines()}

    def stream(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        """Yield the fields of the output of one git command that ends each of them with a NUL.

        They come while git still runs, so that the caller need not hold all of them. Raises
        :class:`FatalError` at the end if git has failed.
        """
        for fields in self.batches(arguments, (stdin,)):
            yield from fields

    def batches(
        self, arguments: Sequence[str], stdins: Iterable[bytes]
    ) -> Iterator[Sequence[bytes]]:
        """Yield the same of a command for each of *stdins*, one after the other, in lists.

        Two of them run at once: what the second one says waits on the disk meanwhile. So there is
        work for another core, and if there are many of them, also while the caller is at work.
        """
        with ExitStack() as files:
            left = iter(stdins)
            started: deque[tuple[Process, BinaryIO | None, BinaryIO]] = deque()

            def start() -> None:
                stdin = next(left, None)
                if stdin is None:
                    return
                questions, errors = (files.enter_context(holding(text)) for text in (stdin, b""))
                answers = files.enter_context(nameless_file()) if started else None
                process = _started(arguments, self._where, questions, errors, answers)
                # If the caller wants no more, git ends at once.
                files.callback(process.stop)
                started.append((process, answers, errors))

            start()
            start()
            while started:
                process, answers, errors = started[0]
                if process.stdout is not None:
                    yield from _fields(process.stdout.fileno())
                code = process.wait()
                start()
                if answers is not None:
                    answers.seek(0)
                    yield from _fields(answers.fileno())
                if code:
                    errors.seek(0)
                    raise self._failure(arguments, errors.read())
                started.popleft()

    def path_to_root(self) -> str:
        """Return the path from the user's folder to the root: ``../..``; empty in the root.

        git starts hooks in the root, and says in ``GIT_PREFIX`` where the user is. A runner may
        start a hook elsewhere; what it was itself started from is then what the shell calls
        ``PWD``.
        """
        if self._way is None:
            # A bare repository has no such way.
            self._way = _run(("rev-parse", "--show-cdup"), codes=(0, 128)).decode().strip()
        below = os.environ.get("GIT_PREFIX")
        if below is None and "PRE_COMMIT" in os.environ:
            root = os.path.realpath(self._way or ".")
            below = os.path.relpath(os.path.realpath(os.environ.get("PWD", root)), root)
        if below is None:
            return self._way.rstrip("/")
        parts = [part for part in below.replace(os.sep, "/").split("/") if part not in ("", ".")]
        return "" if ".." in parts else "/".join(".." for _ in parts)

    def sizes(self, blobs: Iterable[str]) -> dict[str, int | None]:
        """Return the size in bytes of each object; None where it is not in this clone.

        A partial clone lacks objects, and nothing is fetched for a question: git then
        says "missing" or stops at the first such object.
        """
        wanted = [*blobs]
        new = (blob for blob in wanted if blob not in self._sizes)
        # The size on disk would let git order all objects of a pack first.
        for blob, found in self._measured(new, "%(objectsize)"):
            if found is not None:
                self._sizes[blob] = found[0]
        return {blob: self._sizes.get(blob) for blob in wanted}

    def weigh(self, blobs: Iterable[str]) -> Iterator[tuple[str, tuple[int, ...] | None]]:
        """Yield each object with its size and its size on disk, in bytes; None as in :meth:`sizes`.

        On disk it is compressed, and in a pack it may be what differs from another object.
        """
        return self._measured(blobs, "%(objectsize) %(objectsize:disk)")

    def _measured(
        self, blobs: Iterable[str], form: str
    ) -> Iterator[tuple[str, tuple[int, ...] | None]]:
        """Yield each object with the numbers that git says of it in that *form*."""
        wanted = list(dict.fromkeys(blobs))
        option = f"--batch-check={form}"
        fields = form.count("%")
        output, errors = self._ask_of_many(option, wanted)
        if errors:
            there = self._of_those_here(wanted, errors)
            yield from ((blob, None) for blob in wanted if blob not in there)
            wanted = list(there)
            output = self._answered(self._ask_of_many(option, wanted))
        if b"missing" not in output:
            numbers = map(int, output.split())
            yield from zip(wanted, zip(*[numbers] * fields, strict=True), strict=True)
        else:
            for blob, line in zip(wanted, output.split(b"\n")[:-1], strict=True):
                gone = line.endswith(b" missing")
                yield blob, None if gone else tuple(map(int, line.split()))

    def _of_those_here(self, blobs: Sequence[str], errors: bytes) -> dict[str, None]:
        """Return those of *blobs* that this clone has, where git has stopped with *errors*.

        In a partial clone some git versions stop at the first one that it lacks. Raises
        :class:`FatalError` in any other: something is damaged.
        """
        if not self.is_partial():
            raise self._failure(("cat-file",), errors)
        options = ("--batch-all-objects", "--unordered", "--buffer")
        here = {*self.run("cat-file", *options, "--batch-check=%(objectname)").decode().split()}
        return {blob: None for blob in blobs if blob in here}

    def _answered(self, answer: tuple[bytes, bytes]) -> bytes:
        output, errors = answer
        if errors:
            raise self._failure(("cat-file",), errors)
        return output

    def contents(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Return the whole content of each blob, without those that are not in this clone.

        The caller asks :meth:`sizes` first, and only for small ones here.
        """
        found: dict[str, bytes] = {}
        wanted = list(dict.fromkeys(blobs))
        output, errors = self._ask("--batch", [blob.encode() for blob in wanted])
        if errors:
            wanted = list(self._of_those_here(wanted, errors))
            output = self._answered(self._ask("--batch", [blob.encode() for blob in wanted]))
        position = 0
        while (end := output.find(b"\n", position)) >= 0:
            name, _, rest = output[position:end].decode().partition(" ")
            position = end + 1
            if not rest.startswith("missing"):
                size = int(rest.split()[1])
                found[name] = output[position : position + size]
                position += size + 1
        return found

    def heads(self, blobs: Iterable[str], most: int) -> dict[str, bytes]:
        """Return the first *most* bytes of each blob, without those that are not in this clone.

        Their sizes are known from then on, and :meth:`sizes` need not ask for them.
        """
        wanted = list(dict.fromkeys(blobs))
        found, errors = self._beginnings(wanted, most)
        if errors:
            here = self._of_those_here(wanted, errors)
            found, errors = self._beginnings(here, most)
        if errors:
            raise self._failure(("cat-file",), errors)
        return found

    def _beginnings(self, blobs: Collection[str], most: int) -> tuple[dict[str, bytes], bytes]:
        """Return the beginnings, and why git stopped early; empty if it did not."""
        found: dict[str, bytes] = {}
        if not blobs:
            return found, b""
        text = "".join(f"{blob}\n" for blob in blobs).encode()
        with holding(text) as questions, holding(b"") as errors:
            process = _started(("cat-file", "--batch"), self._where, questions, errors)
            assert process.stdout is not None
            missing = False
            try:
                while line := process.stdout.readline():
                    name, _, rest = line.decode().rstrip("\n").partition(" ")
                    if rest.startswith("missing"):
                        missing = True
                        continue
                    left = size = int(rest.split()[1])
                    head = process.stdout.read(min(left, most))
                    left -= len(head)
                    # And the end of the line.
                    while left >= 0 and (chunk := process.stdout.read(min(left + 1, _CHUNK))):
                        left -= len(chunk)
                    if left < 0:
                        found[name], self._sizes[name] = head, size
                code = process.wait()
            finally:
                process.stop()
            errors.seek(0)
            return found, self._complaint(code, errors.read(), missing)

    def found(self, commit: str, paths: Iterable[bytes]) -> dict[bytes, str]:
        """Return the ids of what *commit* has at *paths*, without those where it has nothing."""
        names: dict[bytes, list[bytes]] = {}
        for path in dict.fromkeys(paths):
            folder, _, name = path.rpartition(b"/")
            names.setdefault(folder, []).append(name)
        found: dict[bytes, str] = {}
        # Of trees alone: a partial clone may lack the blobs, and git stops at the first.
        for (_, folder), entries in self.folders((commit, folder) for folder in names):
            start = folder + b"/" if folder else b""
            there = (name for name in names[folder] if name in entries)
            found.update((start + name, entries[name].hex()) for name in there)
        return found

    def held(
        self,
        commits: Collection[str],
        folders: Collection[bytes],
        names: Iterable[bytes],
        through: Collection[bytes] = (),
    ) -> set[bytes]:
        """Return the paths that any of *commits* has: below one of *folders*, one of *names*.

        *folders* come with those above them; a name may be that of a file in a folder there, and
        begin with ``*/`` for any folder. Those of *through* are searched to the bottom.
        As :meth:`found`, for thousands of folders: commits that are near share most trees, and
        few trees have one of the names, or a folder to look into.
        """
        # Of each folder, what is looked for right there; what of these each begins with; and what
        # is looked for in any folder there.
        every = frozenset(names)
        wanted = dict.fromkeys(folders, every) | dict.fromkeys(through, every | {_BELOW})
        first: dict[frozenset[bytes], set[bytes]] = {}
        inside: dict[frozenset[bytes], frozenset[bytes]] = {}
        found: set[bytes] = set()
        level = {(b"", f"{commit}^{{tree}}") for commit in commits}
        while level:
            for here in {wanted.get(folder, _NONE) for folder, _ in level}.difference(first):
                first[here] = {name.partition(b"/")[0] for name in here} - {_ANY, _BELOW}
                any_folder = (name[2:] for name in here if name.startswith(_ANY + b"/"))
                inside[here] = frozenset(any_folder).union(here if _BELOW in here else ())
            signs = (_FOLDER + b" ", *set().union(*first.values()))
            trees = self._trees({tree for _, tree in level}, signs)
            inner: set[tuple[bytes, str]] = set()
            for folder, tree in level:
                entries = trees[tree]
                if not entries:
                    continue
                start = folder + b"/" if folder else b""
                here = wanted.get(folder, _NONE)
                for name in entries.keys() & first[here]:
                    if name in here:
                        found.add(start + name)
                    below = [one[len(name) + 1 :] for one in here if one.startswith(name + b"/")]
                    if below:
                        wanted[start + name] = wanted.get(start + name, _NONE).union(below)
                for name, (mode, blob) in entries.items():
                    place = start + name
                    if mode == _FOLDER and inside[here]:
                        wanted[place] = wanted.get(place, _NONE) | inside[here]
                    if mode == _FOLDER and place in wanted:
                        inner.add((place, blob.hex()))
            level = inner
        return found

    def _trees(
        self, objects: Collection[str], signs: Collection[bytes] = (b" ",)
    ) -> dict[str, dict[bytes, tuple[bytes, bytes]]]:
        """Return what is in the trees that *objects* are: the modes and ids, by name.

        One without any of the bytes of *signs* is not looked into, and nothing is in it.
        Raises :class:`FatalError` where a partial clone lacks one.
        """
        output, errors = self._ask("--batch", [name.encode() for name in objects])
        # All are searched as one: that takes a hundredth of what each tree for each sign takes.
        seen = sorted(place for sign in signs for place in _places(sign, output))
        seen.append(len(output))
        found: dict[str, dict[bytes, tuple[bytes, bytes]]] = {}
        position = number = 0
        for name in objects:
            end = output.find(b"\n", position)
            words = output[position:end].split(b" ")
            if errors or len(words) != 3 or words[1] != b"tree":
                raise self._failure(("cat-file",), errors)
            position = end + 1 + int(words[2])
            found[name] = {}
            while seen[number] <= end:
                number += 1
            if seen[number] < position:
                pattern = _tree_pattern_with_modes(len(words[0]) // 2)
                entries = pattern.findall(output, end + 1, position)
                found[name] = {inside: (mode, blob) for mode, inside, blob in entries}
            position += 1
        return found

    def entry(self, commit: str, path: bytes) -> IndexEntry | None:
        """Return what *commit* has at *path*; None if nothing.

        Raises :class:`FatalError` where a partial clone lacks a folder.
        """
        if self._read[0] != commit:
            self._read = commit, {}
        known = self._read[1]
        tree = f"{commit}^{{tree}}"
        mode = _FOLDER
        for name in path.split(b"/"):
            if mode != _FOLDER:
                return None
            if tree not in known:
                known.update(self._trees([tree]))
            if name not in known[tree]:
                return None
            mode, blob = known[tree][name]
            tree = blob.hex()
        return IndexEntry(int(mode, 8), tree, 0, path)

    def folders(
        self, places: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[tuple[str, bytes], dict[bytes, bytes]]]:
        """Yield the entries of folders of commits, ids by name; nothing where there is no folder.

        The ids are as trees have them, in bytes: few of thousands are asked for.

        Raises :class:`FatalError` where a partial clone lacks a folder.
        """
        wanted = list(dict.fromkeys(places))
        plain = [place for place in wanted if b"\n" not in place[1]]
        questions = [name.encode() + b":" + path for name, path in plain]
        output, errors = self._ask("--batch", questions)
        if errors:
            raise self._failure(("cat-file",), errors)
        position = 0
        for place in plain:
            end = output.find(b"\n", position)
            words = output[position:end].split(b" ")
            position = end + 1
            if len(words) < 3 or not words[-1].isdigit() or words[-2] not in _KINDS:
                continue
            size = int(words[-1])
            if words[-2] == b"tree":
                pattern = _tree_pattern(len(words[0]) // 2)
                yield place, dict(pattern.findall(output, position, position + size))
            position += size + 1
        for place in set(wanted) - set(plain):
            spec = os.fsdecode(place[0].encode() + b":" + place[1])
            records = zsplit(self.run("ls-tree", "-z", "--full-tree", spec, codes=(0, 128)))
            named = (record.split(b"\t", 1) for record in records)
            yield place, {name: bytes.fromhex(head.split()[-1].decode()) for head, name in named}

    def folders_in(self, commit: str, folder: bytes) -> list[bytes]:
        """Return the paths of the folders right in a *folder* that *commit* has."""
        spec = os.fsdecode(commit.encode() + b":" + folder)
        records = zsplit(self.run("ls-tree", "-d", "-z", "--full-tree", spec))
        start = folder + b"/" if folder else b""
        named = (record.split(b"\t", 1) for record in records)
        return [start + name for head, name in named if head.startswith(b"040000 ")]

    def copy_blob(self, blob: str, file: BinaryIO) -> bool:
        """Write the content of *blob* into *file*; False if it is not in this clone.

        It may be gigabytes: nothing of it is held in memory.
        """
        arguments = ("cat-file", "blob", blob)
        return _start(arguments, self._where, stdout=file).returncode == 0

    @contextmanager
    def blob_file(self, blob: str) -> Iterator[BinaryIO | None]:
        """Yield the content of *blob* as a file that can seek; None if it is not in this clone."""
        with nameless_file() as file:
            yield file if self.copy_blob(blob, file) else None

    @contextmanager
    def opened_blob(self, blob: str) -> Iterator[IO[bytes]]:
        """Yield the content of *blob* as a stream, empty if it is not in this clone.

        What cannot be read is cut off. Close it when you have seen enough; git ends then.
        """
        with holding(b"") as nothing, holding(b"") as errors:
            process = _started(("cat-file", "blob", blob), self._where, nothing, errors)
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.stop()

    def _ask(self, option: str, objects: Sequence[bytes]) -> tuple[bytes, bytes]:
        """Return the answers of ``git cat-file``, and why it stopped early; empty if it did not."""
        if not objects:
            return b"", b""
        stdin = b"".join(name + b"\n" for name in objects)
        result = _start(("cat-file", "--buffer", option), self._where, stdin)
        missing = b" missing\n" in result.stdout
        return result.stdout, self._complaint(result.returncode, result.stderr, missing)

    def _complaint(self, code: int, errors: bytes, missing: bool) -> bytes:
        """Return why ``git cat-file`` stopped early, or what it could not read; empty if neither.

        Of an object whose beginning is damaged it says that it is missing, and an error.
        """
        if code:
            return errors or b"?"
        return errors if missing and b"error: " in errors and not self.is_partial() else b""

    def _ask_of_many(self, option: str, objects: Sequence[str]) -> tuple[bytes, bytes]:
        """Return the same of *objects* whose answers are short.

        Of many, two processes tell half each: else there would be no work for another core.
        """
        if len(objects) < _MANY:
            return self._ask(option, ["\n".join(objects).encode()] if objects else [])
        half = len(objects) // 2
        first, second = ("\n".join(names).encode() for names in (objects[:half], objects[half:]))
        arguments = ("cat-file", "--buffer", option)
        with holding(second) as questions, holding(b"") as answers, holding(b"") as failed:
            process = _started(arguments, self._where, questions, failed, answers)
            try:
                output, errors = self._ask(option, [first])
                if errors:
                    return output, errors
                code = process.wait()
            finally:
                process.stop()
            answers.seek(0)
            failed.seek(0)
            more = answers.read()
            missing = b" missing\n" in more
            return output + more, self._complaint(code, failed.read(), missing)

    def _failure(self, arguments: Sequence[str], errors: bytes) -> FatalError:
        """Return the error that says why git, started in this repository, has failed."""
        missed = self._misses_trees()
        if missed and self.is_partial():
            return FatalError(
                "this partial clone lacks folders of its commits: git fetch --refetch"
                " --filter=blob:none (before git 2.36, clone it again with --filter=blob:none)"
            )
        failure = _failure(arguments, errors)
        # Objects are asked for by names that git itself has said. Where the file of a tree is
        # empty, git 2.55 lists what is in it: nothing.
        damaged = missed or arguments[0] == "cat-file" or b"error: object file " in errors
        return FatalError(f"{failure}: {REPAIR}") if damaged else failure

    def not_here(self, what: str, blob: str) -> FatalError:
        """Return the error for *what* cannot be done without, the content of a missing *blob*."""
        if self.is_partial():
            return FatalError(f"{what} is not in this clone: git cat-file -p {blob} fetches it")
        return lost(what)

    def tips_lack_folders(self, more: Iterable[str] = ()) -> bool:
        """Return True if a ref's commit, one of *more*, or a tree of one is not there.

        So it is in a partial clone, or where an object was damaged. Of a path in such a tree git
        may say that there is none.
        """
        stdin = "".join(f"{commit}\n" for commit in more).encode()
        return self._misses_trees("--no-walk", "--stdin", stdin=stdin)

    def is_partial(self) -> bool:
        """Return True in a partial clone: what it lacks can be fetched."""
        if self._partial is None:
            promisors = ("config", "--get-regexp", r"^remote\..*\.promisor$")
            self._partial = bool(_start(promisors, self._where).stdout)
        return self._partial

    def _misses_trees(self, *options: str, stdin: bytes = b"") -> bool:
        """Return True if a commit of a ref or one of its trees is not there, or cannot be read.

        How git ends where it misses one, and what it then says, differs between its versions.
        """
        options = ("--objects", "--filter=blob:none", "--missing=print", *options, "--all")
        answer = _start(("rev-list", *options), self._where, stdin)
        # Each object that is not there is listed with a question mark before its id.
        return answer.returncode != 0 or b"\n?" in b"\n" + answer.stdout


class Repository(ObjectStore):
    """A work tree and its index. Raises :class:`FatalError` where there is none."""

    def __init__(self) -> None:
        # All at once, for each call of git takes its time.
        options = ("--show-toplevel", "--absolute-git-dir", "--show-cdup")
        try:
            said = _place(*options, *_HEAD, codes=(0, 1)).split(b"\n")
        except _GitFailed:
            said = _place(*options).split(b"\n")  # of what is wrong with HEAD, head() speaks
        # Where a folder has a line break, each on its own.
        plain = len(said) in (3, 4) and not said[2].replace(b"../", b"")
        self.root = said[0] if plain else _place("--show-toplevel")
        super().__init__(said[1] if plain else None)
        if plain:
            self._way = said[2].decode()
            self._head = b"".join(said[3:]).decode() or None
        self._common: bytes | None = None
        # What git has found once; in the environment they may be relative to the folder that
        # we were started in, and with core.worktree nothing in the root leads to them.
        self._where = _work_tree(self.root, self.git_directory)

    def as_shown(self) -> Repository:
        """Return the same with what ``git replace`` shows in the place of its objects."""
        import copy  # seldom needed

        other = copy.copy(self)
        other._where = self._where._replace(shown=True)
        other._head, other._sizes, other._read = None, {}, ("", {})
        return other

    def merge_heads(self) -> list[str]:
        """Return the commits that are being merged; none where no merge is under way.

        Raises :class:`FatalError` where that cannot be read.
        """
        try:
            with open(os.path.join(self.git_directory, "MERGE_HEAD"), "rb") as file:
                heads = file.read().split()
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise FatalError(f"MERGE_HEAD: cannot be read: {exc.strerror}") from exc
        if not heads or not all(re.fullmatch(rb"[0-9a-f]{40,64}", head) for head in heads):
            raise FatalError("MERGE_HEAD: names no commits: finish the merge, or git merge --abort")
        return [head.decode() for head in heads]

    def merging(self) -> bool:
        """Return True while a merge is under way."""
        return os.path.lexists(os.path.join(self.git_directory, "MERGE_HEAD"))

    def index(self, *patterns: str) -> list[IndexEntry]:
        """Return all entries, sorted by path; unmerged paths come up to three times.

        With *patterns*, git's pathspecs from the root on, those alone.
        """
        entries = []
        for record in zsplit(self.run("ls-files", "-s", "-z", "--", *patterns)):
            head, path = record.split(b"\t", 1)
            mode, blob, stage = head.decode().split()
            entries.append(IndexEntry(int(mode, 8), blob, int(stage), path))
        return entries

    def index_by_path(self, *patterns: str) -> dict[bytes, IndexEntry]:
        """Return one entry per path, as :meth:`index`; of an unmerged one the highest stage."""
        return {entry.path: entry for entry in self.index(*patterns)}

    def staged_by_path(self) -> dict[bytes, Change]:
        """Return what :meth:`staged` does, by path."""
        return {change.path: change for change in self.staged()}

    def staged(self) -> list[Change]:
        """Return what a commit of the index would change against ``HEAD``."""
        return self._changes("--ita-invisible-in-index")

    def _changes(self, intended: str) -> list[Change]:
        base = self.head()
        if base is None:
            base = self.run("hash-object", "-t", "tree", "--stdin").decode().strip()
        output = self.run(
            "diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames",
            "--ignore-submodules=none", intended, base, "--",
        )  # fmt: skip
        fields = zsplit(output)
        changes = []
        for head, path in zip(fields[::2], fields[1::2], strict=True):
            _, mode, _, blob, status = head.decode().lstrip(":").split()
            changes.append(Change(status[0], int(mode, 8), blob, path))
        return changes

    def intended(
        self, index: Mapping[bytes, IndexEntry], staged: Mapping[bytes, Change]
    ) -> set[bytes]:
        """Paths with an intent-to-add entry: in the *index*, but in no commit of it.

        *staged* are the changes of a commit, in which git leaves them out.
        """
        # They have the id of the empty file, as an empty file that is tracked has.
        empty = {path for path, entry in index.items() if entry.blob in _EMPTY_BLOBS}
        if not empty.difference(path for path, change in staged.items() if change.status != "D"):
            return set()
        seen = self._changes("--ita-visible-in-index")
        return {change.path for change in {*seen}.symmetric_difference(staged.values())}

    def left_out(self) -> set[bytes]:
        """Tracked paths that a sparse checkout, or the user, has left out of the work tree."""
        records = zsplit(self.run("ls-files", "-t", "-z"))
        return {record[2:] for record in records if record.startswith(b"S ")}

    def needs_sparse(self, paths: Iterable[bytes]) -> bool:
        """Return True if ``git rm`` takes *paths* with ``--sparse`` alone.

        Since git 2.34 it wants to be told that what is left out of the work tree is meant, too;
        before, it does not know the option.
        """
        if self.left_out().isdisjoint(paths):
            return False
        version = self.run("version").split()[2].split(b".")
        return (int(version[0]), int(version[1])) >= (2, 34)

    def blob_id(self, path: str, content: bytes) -> str:
        """Return the object id that *content* would have if it were staged at *path*.

        Line ends count, as for ``git add``, and filters do not: a question starts no program.
        Nothing is written.
        """
        output = self._unfiltered("hash-object", f"--path={path}", "--stdin", stdin=content)
        return output.decode().strip()

    def ignore_lines(
        self, paths: Iterable[bytes], *, tree: bytes | None = None
    ) -> dict[bytes, IgnoreLine]:
        """Return the line that decides each of *paths*, tracked or not, where there is one.

        The folder *tree* may stand in for the work tree. No path may lie behind a symbolic
        link or in a submodule: git refuses them.
        """
        stdin = b"".join(path + b"\0" for path in paths)
        options = ("check-ignore", "--no-index", "-v", "-z", "--stdin")
        where = self._where if tree is None else _work_tree(tree, self.git_directory)
        # It ends with 1 where it has nothing to say.
        fields = zsplit(_run(options, where, stdin=stdin, codes=(0, 1)))
        return {
            path: IgnoreLine(file, int(number), pattern)
            for file, number, pattern, path in zip(*(fields[n::4] for n in range(4)), strict=True)
        }

    def tracked_and_ignored(self) -> list[bytes]:
        """Tracked paths that a ``.gitignore`` would keep out, if they were not tracked."""
        options = ("-z", "-c", "-i", "--exclude-per-directory=.gitignore")
        return zsplit(self.run("ls-files", *options))

    def untracked(self, *pathspecs: str) -> list[bytes]:
        """Paths that are neither tracked nor ignored."""
        options = ("-z", "--others", "--exclude-standard", "--")
        return zsplit(self.run("ls-files", *options, *pathspecs))

    def modified_on_disk(self) -> set[bytes]:
        """Tracked paths whose file on disk is not what the index has."""
        options = ("-z", "--name-only", "--no-renames", "--ignore-submodules=dirty")
        return set(zsplit(self._unfiltered("diff-files", *options)))

    def _unfiltered(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what git says without the filters that it would start for the content of files."""
        pattern = r"^filter\..*\.(clean|smudge|process|required)$"
        output = self.run(
            "config", "-z", "--name-only", "--get-regexp", pattern, codes=(0, 1)
        )  # it ends with 1 where there are none
        options: list[str] = []
        variables: dict[str, str] = {}
        number = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        for key in sorted({os.fsdecode(key) for key in zsplit(output)}):
            value = "false" if key.endswith("required") else ""
            if "=" not in key:
                options += ("-c", f"{key}={value}")
                continue
            # `-c` ends a key at its first "=", and git before 2.31 knows no other way.
            variables[f"GIT_CONFIG_KEY_{number}"] = key
            variables[f"GIT_CONFIG_VALUE_{number}"] = value
            number += 1
            variables["GIT_CONFIG_COUNT"] = str(number)
        where = self._where._replace(variables={**self._where.variables, **variables})
        result = _start((*options, *arguments), where, stdin)
        if result.returncode != 0:
            raise _failure(arguments, result.stderr)
        return result.stdout

    def at_head(self, path: bytes) -> bytes | None:
        """Return the content of *path* in ``HEAD``; None where it has no such file."""
        if self.head() is None:
            return None
        spec = b"HEAD:" + path
        result = _start(("cat-file", "blob", os.fsdecode(spec)), self._where)
        return result.stdout if result.returncode == 0 else None

    def sent_to_lfs(self, paths: Sequence[bytes], *, staged: bool = True) -> set[bytes]:
        """Return those of *paths* that ``.gitattributes``, *staged* or on disk, send to Git LFS."""
        stdin = b"".join(path + b"\0" for path in paths)
        where = ("--cached",) if staged else ()
        output = self.run("check-attr", *where, "-z", "--stdin", "filter", stdin=stdin)
        fields = zsplit(output)
        values = zip(fields[::3], fields[2::3], strict=True)
        return {path for path, value in values if value == b"lfs"}

    def common_directory(self) -> bytes:
        """Return the git directory that all work trees of the repository share."""
        if self._common is None:
            own = os.fsencode(self.git_directory)
            # gitrepository-layout: it is there in linked work trees alone.
            if "GIT_COMMON_DIR" in os.environ or os.path.lexists(os.path.join(own, b"commondir")):
                own = self.run("rev-parse", "--git-common-dir")[:-1]
            self._common = os.path.join(self.root, own)
        return self._common


def _places(sign: bytes, output: bytes) -> Iterator[int]:
    """Yield where *sign* is in *output*."""
    place = output.find(sign)
    while place >= 0:
        yield place
        place = output.find(sign, place + 1)


@cache
def _tree_pattern(digest: int) -> re.Pattern[bytes]:
    """Return what finds the names and ids, of *digest* bytes, in a tree: ``MODE NAME NUL ID``."""
    return re.compile(rb"[0-7]+ ([^\0]+)\0(.{%d})" % digest, re.DOTALL)


@cache
def _tree_pattern_with_modes(digest: int) -> re.Pattern[bytes]:
    return re.compile(rb"([0-7]+) ([^\0]+)\0(.{%d})" % digest, re.DOTALL)


def lfs_pointer(content: bytes) -> LfsPointer | None:
    """Parse *content* if Git LFS takes it for a pointer, else return None.

    As ``lfs/pointer.go`` of git-lfs 3.3 decodes it, which ``git lfs pointer --check`` asks:
    blanks around are nothing, empty lines are skipped, lines end as they like, three keys come
    in their order with extensions between, and the version is one of three.
    """
    lines = content[:LFS_POINTER_BYTES].strip().split(b"\n")
    values: list[bytes] = []
    for line in lines:
        line = line.removesuffix(b"\r")
        if not line:
            continue
        key, blank, value = line.partition(b" ")
        if not blank or len(values) == len(_LFS_KEYS):
            return None
        if key == _LFS_KEYS[len(values)]:
            values.append(value)
        elif not re.match(_LFS_EXTENSION, key):
            return None
    if len(values) < len(_LFS_KEYS) or values[0] not in _LFS_VERSIONS:
        return None
    kind, _, oid = values[1].partition(b":")
    if kind != b"sha256" or not re.match(_LFS_OID, oid) or not re.match(_LFS_SIZE, values[2]):
        return None
    return LfsPointer(oid.decode("ascii", "replace"), int(values[2]))


def pointer_in(file: BinaryIO) -> LfsPointer | None:
    """Return the pointer of Git LFS that all of *file* is, or None."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return lfs_pointer(file.read()) if size < LFS_POINTER_BYTES else None


def lost(what: str) -> FatalError:
    """Return the error for *what* is lost or damaged in a clone that is meant to have it."""
    return FatalError(f"{what} is lost or damaged: {REPAIR}")


class NotARepository(FatalError):
    """The current directory is in no work tree."""


class _GitFailed(FatalError):
    def __init__(self, command: str, message: str) -> None:
        super().__init__(f"git {command} failed: {message or 'it gave no reason'}")


class _Where(NamedTuple):
    """The folder that git is started in, and what its environment has in addition to ours.

    It may be *online*, and see objects as ``git replace`` has them *shown*.
    """

    folder: bytes | None = None
    variables: Mapping[str, str] = {}
    online: bool = False
    shown: bool = False


_HERE = _Where()


def _work_tree(root: bytes, git_directory: str) -> _Where:
    return _Where(root, {"GIT_DIR": git_directory, "GIT_WORK_TREE": os.fsdecode(root)})


def _run(
    arguments: Sequence[str],
    where: _Where = _HERE,
    *,
    stdin: bytes = b"",
    codes: Collection[int] = (0,),
) -> bytes:
    result = _start(arguments, where, stdin)
    if result.returncode not in codes:
        raise _failure(arguments, result.stderr)
    return result.stdout


def _place(*options: str, codes: Collection[int] = (0,)) -> bytes:
    """Return the folder that ``git rev-parse`` knows by an option; those of several, in lines.

    Raises :class:`NotARepository` where there is none. git ends with 128 then, as it does where
    it refuses a repository or cannot read its configuration, so it is asked, and looked for,
    what holds; its messages are for people.
    """
    try:
        return _run(("rev-parse", *options), codes=codes)[:-1]
    except _GitFailed:
        if not _found_by_git():
            raise NotARepository(
                "not in a git repository: change into one, or run `git init`"
            ) from None
        inside = _start(("rev-parse", "--is-inside-work-tree"), _HERE)
        if (inside.returncode, inside.stdout) == (0, b"false\n"):
            raise NotARepository(
                "not in a work tree: change into a clone that has its files checked out"
            ) from None
        raise


def _found_by_git() -> bool:
    """Return True if there is something here, or above, that git takes for a repository.

    It looks as git does ("DISCUSSION" in git(1), and ``setup.c``): for ``GIT_DIR``, else in each
    folder for ``.git``, a file or a repository, and for a repository without a work tree.
    """
    if "GIT_DIR" in os.environ:
        return True
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    try:
        folder = os.getcwd()
    except OSError:
        return True  # it is deleted, and git says so
    while True:
        git = os.path.join(folder, ".git")
        if os.path.isfile(git) or any(
            os.path.lexists(os.path.join(place, "HEAD"))
            and os.path.isdir(os.path.join(place, "objects"))
            for place in (git, folder)
        ):
            return True
        above = os.path.dirname(folder)
        if above == folder or above in ceilings:
            return False
        folder = above


def _failure(arguments: Sequence[str], errors: bytes) -> FatalError:
    import textwrap

    lines = errors.decode("utf-8", "replace").splitlines()
    # The remedy may be in a later line, as that of safe.directory is.
    words = " ".join(line for line in lines if not line.startswith("hint:")).split()
    return _GitFailed(arguments[0], textwrap.shorten(" ".join(words), 500, placeholder=" ..."))


def _start(
    arguments: Sequence[str], where: _Where, stdin: bytes = b"", stdout: BinaryIO | None = None
) -> Result:
    with _readable_failure():
        return run(
            (*ASKING, *arguments), where.folder, _environment(where), stdin=stdin, stdout=stdout
        )


def start_program(words: Sequence[str], folder: str, *, quiet: bool = True) -> int:
    """Run a program that is no part of git in *folder*, as a user would, and return its exit code.

    Raises :class:`FatalError` where there is no such program.
    """
    import subprocess  # for no question

    return _run_as_user(words, folder, subprocess.DEVNULL if quiet else None)


def output_of(words: Sequence[str], folder: str) -> tuple[int, str]:
    """Run a program like :func:`start_program`; return its exit code and all that it printed."""
    # What a hook leaves running would keep a pipe open.
    with nameless_file() as file:
        code = _run_as_user(words, folder, file)
        file.seek(0)
        return code, file.read().decode("utf-8", "backslashreplace")


def _run_as_user(words: Sequence[str], folder: str, output: BinaryIO | int | None) -> int:
    import subprocess  # for no question

    ours = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX")
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    try:
        return subprocess.run(words, cwd=folder, env=environ, stdin=subprocess.DEVNULL,
                              stdout=output, stderr=output).returncode  # fmt: skip
    except FileNotFoundError as exc:
        raise FatalError(f"{words[0]} was not found: install it, or put it on PATH") from exc


def _fields(descriptor: int) -> Iterator[list[bytes]]:
    """Yield the NUL-terminated fields read from *descriptor*, as soon as they are there."""
    rest = b""
    while chunk := os.read(descriptor, _CHUNK):
        fields = (rest + chunk).split(b"\0")
        rest = fields.pop()
        yield fields


def _started(
    arguments: Sequence[str],
    where: _Where,
    stdin: BinaryIO,
    stderr: BinaryIO,
    stdout: BinaryIO | None = None,
) -> Process:
    """Start git; without *stdout* its output comes through a pipe."""
    with _readable_failure():
        return Process(
            (*ASKING, *arguments), where.folder, _environment(where),
            stdin=stdin, stdout=stdout, stderr=stderr,
        )  # fmt: skip


def _environment(where: _Where) -> dict[str, str]:
    quiet = {**QUIET, **where.variables}
    for name in (*(OFFLINE if where.online else ()), *(AS_PUSHED if where.shown else ())):
        del quiet[name]
    return {**os.environ, **quiet}


@contextmanager
def _readable_failure() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise FatalError("git was not found: install git, or put it on PATH") from exc
    except OSError as exc:
        raise FatalError(f"git cannot be started: {exc.strerror}") from exc
