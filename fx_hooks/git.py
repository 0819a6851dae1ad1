"""What git says: the only module (with :mod:`fx_hooks.quickgit`) that starts it.

Paths are bytes relative to the root, and every call that prints them uses ``-z``. The
index is asked, never the work tree; the caller's ``GIT_INDEX_FILE`` holds (git sets one
for ``git commit -- path``).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Iterable, Sequence
from typing import BinaryIO, NamedTuple

from fx_hooks.errors import FatalError

LINK_MODE = 0o120000
SUBMODULE_MODE = 0o160000
# The specification of Git LFS has pointers below 1024 bytes.
LFS_POINTER_BYTES = 1024
_LFS_VERSION = b"version https://git-lfs.github.com/spec/v1\n"


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
    """What a Git LFS pointer stands for: the content's SHA-256 and bytes."""

    oid: str
    size: int


def zsplit(output: bytes) -> list[bytes]:
    """The fields of output that ends each of them with a NUL."""
    return output.split(b"\0")[:-1]


class Repository:
    """A work tree and its index. Raises :class:`FatalError` where there is none."""

    def __init__(self) -> None:
        self.root = _run(("rev-parse", "--show-toplevel"), cwd=None)[:-1]
        git_directory = _run(("rev-parse", "--absolute-git-dir"), cwd=None)[:-1]
        self.git_directory = os.fsdecode(git_directory)
        self._head: str | None = None

    def run(self, *arguments: str, stdin: bytes = b"", codes: Collection[int] = (0,)) -> bytes:
        """Standard output of one git command, started in the root."""
        return _run(
            arguments, cwd=self.root, git_directory=self.git_directory, stdin=stdin, codes=codes
        )

    def head(self) -> str | None:
        """The commit id of ``HEAD``; None before the first commit."""
        if self._head is None:
            try:
                self._head = (
                    self.run("rev-parse", "-q", "--verify", "HEAD^{commit}").decode().strip()
                )
            except _GitFailed as exc:
                if exc.message:
                    raise
                return None
        return self._head

    def way_to_root(self) -> str:
        """The way from the user's folder to the root: ``../..``; empty in the root itself.

        git starts hooks in the root, and says in ``GIT_PREFIX`` where the user is.
        """
        here = os.path.realpath(os.getcwdb())
        below = os.path.relpath(here, os.path.realpath(self.root))
        if below == b".":
            below = os.fsencode(os.environ.get("GIT_PREFIX", "").rstrip("/"))
        return "/".join([".."] * len(below.replace(b"\\", b"/").split(b"/"))) if below else ""

    def merging(self) -> bool:
        """Whether a merge is under way."""
        return os.path.lexists(os.path.join(self.git_directory, "MERGE_HEAD"))

    def index(self) -> list[IndexEntry]:
        """All entries, sorted by path; unmerged paths come up to three times."""
        entries = []
        for record in zsplit(self.run("ls-files", "-s", "-z")):
            head, path = record.split(b"\t", 1)
            mode, blob, stage = head.decode().split()
            entries.append(IndexEntry(int(mode, 8), blob, int(stage), path))
        return entries

    def staged(self) -> list[Change]:
        """What a commit of the index would change against ``HEAD``."""
        base = self.head()
        if base is None:
            base = self.run("hash-object", "-t", "tree", "--stdin").decode().strip()
        output = self.run(
            "diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames",
            "--ignore-submodules=none", "--ita-invisible-in-index", base, "--",
        )  # fmt: skip
        fields = zsplit(output)
        changes = []
        for head, path in zip(fields[::2], fields[1::2], strict=True):
            _, mode, _, blob, status = head.decode().lstrip(":").split()
            changes.append(Change(status[0], int(mode, 8), blob, path))
        return changes

    def intended(self) -> set[bytes]:
        """Paths with an intent-to-add entry: in the index, but in no commit of it."""
        options = ("--name-only", "-z", "--diff-filter=A", "--ita-invisible-in-index")
        return set(zsplit(self.run("diff-files", *options)))

    def left_out(self) -> set[bytes]:
        """Tracked paths that a sparse checkout, or somebody, has left out of the work tree."""
        records = zsplit(self.run("ls-files", "-t", "-z"))
        return {record[2:] for record in records if record.startswith(b"S ")}

    def blob_id(self, path: str, content: bytes) -> str:
        """The object id that *content* would have if it were staged at *path*.

        Line ends and filters count, as for ``git add``; nothing is written.
        """
        output = self.run("hash-object", f"--path={path}", "--stdin", stdin=content)
        return output.decode().strip()

    def ignore_lines(self, paths: Iterable[bytes]) -> dict[bytes, IgnoreLine]:
        """The line that decides each of *paths*, tracked or not, where there is one.

        No path may lie behind a symbolic link or in a submodule: git refuses them.
        """
        stdin = b"".join(path + b"\0" for path in paths)
        options = ("check-ignore", "--no-index", "-v", "-z", "--stdin")
        # It ends with 1 where it has nothing to say.
        fields = zsplit(self.run(*options, stdin=stdin, codes=(0, 1)))
        return {
            path: IgnoreLine(file, int(number), pattern)
            for file, number, pattern, path in zip(*(fields[n::4] for n in range(4)), strict=True)
        }

    def tracked_and_ignored(self) -> list[bytes]:
        """Tracked paths that an ignore file would keep out, if they were not tracked."""
        return zsplit(self.run("ls-files", "-z", "-c", "-i", "--exclude-standard"))

    def untracked(self, *pathspecs: str) -> list[bytes]:
        """Paths that are neither tracked nor ignored."""
        options = ("-z", "--others", "--exclude-standard", "--")
        return zsplit(self.run("ls-files", *options, *pathspecs))

    def modified_on_disk(self) -> set[bytes]:
        """Tracked paths whose file on disk is not what the index has."""
        return set(zsplit(self.run("diff-files", "-z", "--name-only", "--no-renames")))

    def sizes(self, blobs: Iterable[str]) -> dict[str, int | None]:
        """The size in bytes of each object; None where it is not in this clone.

        A partial clone lacks objects, and nothing is fetched for a question: git then
        says "missing" or stops at the first such object.
        """
        wanted = list(dict.fromkeys(blobs))
        sizes: dict[str, int | None] = dict.fromkeys(wanted)
        # One object after which git stopped a round; in a partial clone it may be many.
        for _ in range(4):
            output, complete = self._batch("--batch-check", wanted)
            lines = output.decode().splitlines()
            for line in lines:
                name, _, rest = line.partition(" ")
                if not rest.startswith("missing"):
                    sizes[name] = int(rest.split()[1])
            wanted = wanted[len(lines) + 1 :]
            if complete or not wanted:
                break
        return sizes

    def contents(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """The whole content of each blob, without those that are not in this clone.

        The caller asks :meth:`sizes` first, and only for small ones here.
        """
        found: dict[str, bytes] = {}
        output, _ = self._batch("--batch", list(dict.fromkeys(blobs)))
        position = 0
        while (end := output.find(b"\n", position)) >= 0:
            name, _, rest = output[position:end].decode().partition(" ")
            position = end + 1
            if not rest.startswith("missing"):
                size = int(rest.split()[1])
                found[name] = output[position : position + size]
                position += size + 1
        return found

    def copy_blob(self, blob: str, file: BinaryIO) -> bool:
        """Write the content of *blob* into *file*; False if it is not in this clone.

        It may be gigabytes: nothing of it is held in memory.
        """
        arguments = ("cat-file", "blob", blob)
        return _start(arguments, self.root, self.git_directory, stdout=file).returncode == 0

    def at_head(self, path: bytes) -> bytes | None:
        """The content of *path* in ``HEAD``; None where it has no such file."""
        if self.head() is None:
            return None
        spec = b"HEAD:" + path
        result = _start(("cat-file", "blob", os.fsdecode(spec)), self.root, self.git_directory)
        return result.stdout if result.returncode == 0 else None

    def sent_to_lfs(self, paths: Sequence[bytes], *, staged: bool = True) -> set[bytes]:
        """Those of *paths* that ``.gitattributes``, *staged* or on disk, send to Git LFS."""
        stdin = b"".join(path + b"\0" for path in paths)
        where = ("--cached",) if staged else ()
        output = self.run("check-attr", *where, "-z", "--stdin", "filter", stdin=stdin)
        fields = zsplit(output)
        values = zip(fields[::3], fields[2::3], strict=True)
        return {path for path, value in values if value == b"lfs"}

    def common_directory(self) -> bytes:
        """The git directory that all work trees of the repository share."""
        found = self.run("rev-parse", "--git-common-dir")[:-1]
        return os.path.join(self.root, found)

    def _batch(self, option: str, blobs: Sequence[str]) -> tuple[bytes, bool]:
        stdin = "".join(f"{blob}\n" for blob in blobs).encode()
        result = _start(("cat-file", "--buffer", option), self.root, self.git_directory, stdin)
        return result.stdout, result.returncode == 0


def lfs_pointer(content: bytes) -> LfsPointer | None:
    """What *content* points to if it is a Git LFS pointer, else None.

    The format is that of the Git LFS specification (docs/spec.md): ``key value``
    lines, the version first.
    """
    if not content.startswith(_LFS_VERSION) or len(content) >= LFS_POINTER_BYTES:
        return None
    values = dict(line.partition(b" ")[::2] for line in content.splitlines())
    kind, _, oid = values.get(b"oid", b"").partition(b":")
    size = values.get(b"size", b"")
    if kind != b"sha256" or not size.isdigit():
        return None
    return LfsPointer(oid.decode("ascii", "replace"), int(size))


class NotARepository(FatalError):
    """The current directory is in no work tree."""


class _GitFailed(FatalError):
    def __init__(self, command: str, message: str) -> None:
        super().__init__(f"git {command} failed: {message or 'it gave no reason'}")
        self.message = message


def _run(
    arguments: Sequence[str],
    *,
    cwd: bytes | None,
    git_directory: str | None = None,
    stdin: bytes = b"",
    codes: Collection[int] = (0,),
) -> bytes:
    result = _start(arguments, cwd, git_directory, stdin)
    if result.returncode not in codes:
        message = result.stderr.decode("utf-8", "replace").strip()
        if "not a git repository" in message:
            raise NotARepository("not in a git repository: change into one, or run `git init`")
        if "must be run in a work tree" in message:
            raise NotARepository(
                "not in a work tree: change into a clone that has its files checked out"
            )
        raise _GitFailed(arguments[0], " ".join(message.split("\n", 1)[0].split()))
    return result.stdout


def _start(
    arguments: Sequence[str],
    cwd: bytes | None,
    git_directory: str | None,
    stdin: bytes = b"",
    stdout: int | BinaryIO = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    environment = dict(os.environ, LC_ALL="C", GIT_NO_LAZY_FETCH="1", GIT_OPTIONAL_LOCKS="0")
    if git_directory is not None and cwd is not None:
        # What git has found once; in the environment they may be relative to the folder that
        # we were started in, and with core.worktree nothing in the root leads to them.
        environment.update(GIT_DIR=git_directory, GIT_WORK_TREE=os.fsdecode(cwd))
    try:
        return subprocess.run(
            ("git", *arguments),
            cwd=cwd,
            env=environment,
            input=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as exc:
        raise FatalError("git was not found: install git, or put it on PATH") from exc
    except OSError as exc:
        raise FatalError(f"git cannot be started: {exc.strerror}") from exc
