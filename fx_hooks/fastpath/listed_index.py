"""The entries of the index as git lists them, where its file is none to read directly."""

import os

from fx_hooks.fastpath import fast_git
from fx_hooks.fastpath.index_bytes import NotSureError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from fx_hooks.fastpath.index_bytes import Entry

_SUBMODULE = 0o160000
_MANY = 200  # pathspecs: git compares each of them with each entry


class ListedIndex:
    """An :class:`~fx_hooks.fastpath.index_bytes.Index` made of a list from git."""

    __slots__ = ("_entries",)

    def __init__(self, listing: bytes) -> None:
        """Read *listing*, the output of ``git ls-files -s -z``."""
        self._entries: dict[bytes, Entry] = {}
        for record in listing.split(b"\0")[:-1]:
            head, _, path = record.partition(b"\t")
            mode, blob, stage = head.split(b" ")
            flags = int(stage) << 12
            self._entries[path] = (int(mode, 8), -1, bytes.fromhex(blob.decode()), flags)

    @property
    def all_paths(self) -> "list[bytes]":
        """All paths in it, in git's order."""
        return list(self._entries)

    def entries(self, paths: "Iterable[bytes]", holding: bytes = b"") -> "dict[bytes, Entry]":  # noqa: ARG002
        """Return the entries of those of *paths* that have one, whatever they are *holding*."""
        known = self._entries
        found = {path: known[path] for path in paths if path in known}
        if any(entry[3] for entry in found.values()):
            raise NotSureError
        return found

    def submodules(self) -> "list[bytes]":
        """Return the paths of all submodules that are listed."""
        return [path for path, entry in self._entries.items() if entry[0] == _SUBMODULE]

    def any_below(self, folders: "list[bytes]") -> bool:
        """Return True if a path lies in one of *folders*, each with its slash."""
        known = tuple(folders)
        return any(path.startswith(known) for path in self._entries)

    def has_in_any_folder(self, directories: "list[bytes]", tail: bytes) -> bool:
        """Return True if a folder right in one of *directories* has *tail*, with its slash."""
        folders = frozenset(directories)
        inner = [path[: -len(tail)].rpartition(b"/")[0] for path in self._entries
                 if path.endswith(tail)]  # fmt: skip
        return not folders.isdisjoint(inner)


def listed_index(paths: "list[bytes] | None") -> "ListedIndex | None":
    """Return the entries at and below *paths*, or all; None if git does not list them."""
    wanted: tuple[str, ...] = ()
    if paths is not None and len(paths) <= _MANY:
        wanted = tuple([os.fsdecode(path) for path in paths])
    listing = fast_git.output("--literal-pathspecs", "ls-files", "-s", "-z", "--", *wanted)
    return None if listing is None else ListedIndex(listing)
