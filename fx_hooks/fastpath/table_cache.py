"""Compiled tables, kept in one small file between two commits.

Loading the YAML and compiling it takes several times as long as all the rest of a clean
commit, so the result is kept where only its owner can write: the work tree's own git
directory, or the user's cache directory. The file is

    magic, CRC-32 of all that follows, length of the key, key, marshalled content

and the key is what the content was made from: the version, the interpreter's cache tag,
the repository's policy, and the state of what reads and compiles it and the built-in one, for
installations that change without a new version (:func:`state_of`).
Nothing is unmarshalled before all of that fits: marshal has no checks of its own, and
with flipped bits it crashes the interpreter or loads something else. A file that is
missing, stale, foreign, damaged or cannot be written costs time and changes nothing.
"""

import binascii
import marshal
import os
import sys

from fx_hooks import __version__
from fx_hooks.fastpath.matcher import FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, TypeAlias

    from fx_hooks.fastpath.matcher import Tables
    from fx_hooks.fastpath.projects import Content as ProjectsContent

    # The tables; the files that make their directory a run; the object id of the policy
    # file in the index; the path of the milestones' file and its object id; the projects, None
    # where there are none; the whole policy with its milestones (:mod:`fx_hooks.policy.compiled`),
    # empty where there are projects. An id is empty where git does not track the file.
    Content: TypeAlias = tuple[
        Tables, tuple[bytes, ...], bytes, bytes, bytes, ProjectsContent | None, bytes
    ]

MAGIC = b"fx-hooks tables\n"
MAX_BYTES = 1 << 24  # no policy that a person wrote has larger tables
NAME = "fx-hooks.tables"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Who installs a wheel writes this list of its files (PEP 376). A checkout has none.
_INSTALLED = f"{_PACKAGE}-{__version__}.dist-info/RECORD"
_SOURCES = (
    "frameworks/__init__.py", "policy/builtin.yaml", "policy/compiled.py", "policy/compiler.py",
    "policy/loader.py", "policy/model.py", "policy/patterns.py", "policy/policy_file.py",
    "policy/project_policies.py", "policy/source_names.py", "util/strict_yaml.py",
    "util/yaml_keys.py",
)  # fmt: skip


def cache_key(policy: "bytes | None") -> bytes:
    """Everything that tables for the repository's *policy* (None: no file) depend on."""
    return f"{FORMAT} {policy is None} {state_of(_sources())}\n".encode() + (policy or b"")


def _sources() -> "Iterator[str]":
    yield from _SOURCES
    for name in sorted(os.listdir(f"{_PACKAGE}/frameworks")):
        if "." not in name:
            yield f"frameworks/{name}/rules.yaml"


def state_of(sources: "Iterable[str]") -> str:
    """Return what changes with the version, the interpreter, or one of these files of ours.

    That is where they are, and size and time of each; or of the list of installed files, which is
    written anew with them: one look in place of a hundred, for each commit.
    """
    state = f"{__version__} {sys.implementation.cache_tag} {_PACKAGE!a}"
    try:
        status = os.stat(_INSTALLED)
    except OSError:
        pass
    else:
        return f"{state} {status.st_size} {status.st_mtime_ns}"
    for name in sources:
        try:
            status = os.stat(f"{_PACKAGE}/{name}")
        except OSError:
            continue  # __pycache__ is in frameworks/ and no tool; in an archive the version says it
        state += f" {status.st_size} {status.st_mtime_ns}"
    return state


def places(git_directory: "str | None", key: bytes) -> "list[str]":
    """Return the places where the tables for *key* may be kept, the best one first."""
    found = [] if git_directory is None else [os.path.join(git_directory, NAME)]
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    if not base:
        home = os.environ.get("HOME")
        base = os.path.join(home, ".cache") if home else None
    if base and os.path.isabs(base):
        found.append(os.path.join(base, "fx-hooks", f"{binascii.crc32(key):08x}.tables"))
    return found


def read(paths: "Sequence[str]", key: bytes, magic: bytes = MAGIC) -> "Any | None":
    """Return the content of the first of *paths* that holds what is for *key*, or None.

    Each kind of content has a *magic* of its own, of 16 bytes: that of tables is MAGIC.
    """
    for path in paths:
        data = own_file(path)
        if data is not None and data.startswith(magic):
            head = len(key).to_bytes(8, "big") + key
            rest = memoryview(data)[20:]  # which copies nothing
            if data.startswith(head, 20) and binascii.crc32(rest).to_bytes(4, "big") == data[16:20]:
                return marshal.loads(rest[len(head) :])
    return None


def write(paths: "Sequence[str]", key: bytes, content: "Any", magic: bytes = MAGIC) -> "str | None":
    """Keep *content* in the first of *paths* that can be written; say which, or None."""
    from fx_hooks.util.files import replace_file  # not on the path of a clean commit

    rest = len(key).to_bytes(8, "big") + key + marshal.dumps(content)
    data = magic + binascii.crc32(rest).to_bytes(4, "big") + rest
    for path in paths:
        try:
            if os.path.basename(path) != NAME:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            replace_file(path, data, 0o600)
        except OSError:
            continue
        return path
    return None


def packed(what: "Any") -> bytes:
    """Return tables and the like as bytes, which are read in much less time."""
    return marshal.dumps(what)


def unpacked(data: bytes) -> "Any":
    """Return what :func:`packed` was given; *data* comes from :func:`read`."""
    return marshal.loads(data)


def own_file(path: str) -> "bytes | None":
    """Return the bytes of a regular file that only this user can have written."""
    try:
        # Not through a link, and never waiting for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        state = os.fstat(descriptor)
        if state.st_mode & 0o170000 != 0o100000 or state.st_size > MAX_BYTES:
            return None
        if sys.platform != "win32" and (state.st_uid != os.geteuid() or state.st_mode & 0o022):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError:  # pragma: no cover
        return None  # a disk that fails while it is read
    finally:
        os.close(descriptor)
