"""The index as bytes, read without git.

A search through them says whether the policy
file on disk is the one that git tracks, and which directories hold the file that makes
them a run. In index versions 2 and 3 each entry's path stands there whole, between its
object id with two bytes of flags and a NUL; version 4 shares prefixes, and is "not
sure". A git call for the same would take as long as all the rest.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection


def read_index(git_directory: str) -> "bytes | None":
    """Return the index as bytes, empty where there is none yet; None if it is not plain."""
    path = os.environ.get("GIT_INDEX_FILE") or os.path.join(git_directory, "index")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return b""
    except OSError:
        return None
    if data[:8] not in (b"DIRC\0\0\0\2", b"DIRC\0\0\0\3"):
        return None
    # A split index keeps most entries in a second file; a sparse one has whole folders as
    # single entries.
    return None if b"\0link\0" in data or b"sdir\0\0\0\0" in data else data


def is_as_it_was(path: bytes, tracked: bytes, index: bytes) -> bool:
    """Return True if the index has *path* with the object id *tracked*.

    The id is from when the tables were made; empty means that it was not tracked.
    """
    if tracked:
        # Object id, two bytes of flags that hold the path's length, path.
        return tracked + len(path).to_bytes(2, "big") + path + b"\0" in index
    found = index.find(path + b"\0")
    while found >= 0:
        if index[found - 1 : found] != b"/":  # not a file of that name in a folder
            return False
        found = index.find(path + b"\0", found + 1)
    return True


def has_run(directories: "Collection[bytes]", mark: bytes, index: bytes, *, ask_disk: bool) -> bool:
    """Return True if one of *directories*, but the root, has *mark* in the index or on disk.

    Only the paths matter of the *index*, and that a NUL ends each. A mark that begins with
    ``/*/`` is in any folder of such a directory; on disk it is not looked for.
    """
    any_folder = mark.startswith(b"/*/")
    if any_folder:
        mark = mark[2:]
        ask_disk = False
    tails = []
    longest = max(map(len, directories))
    found = index.find(mark + b"\0")
    while found >= 0:
        if any_folder:
            inner = index.rfind(b"/", 0, found)
            tails.append(index[max(0, inner - longest) : max(0, inner)])
        else:
            tails.append(index[max(0, found - longest) : found])
        found = index.find(mark + b"\0", found + 1)
    for directory in directories:
        if directory:
            for tail in tails:
                if tail.endswith(directory):
                    return True
            if ask_disk and os.path.lexists(directory + mark):
                return True
    return False
