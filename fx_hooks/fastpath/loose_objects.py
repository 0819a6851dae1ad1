"""The beginnings of blobs that git was just given: each lies in a file, not in a pack yet."""

import os

from fx_hooks.fastpath.looked_into import common_directory
from fx_hooks.fastpath.unnamed_weights import SIGNS

_READ = 1 << 10  # bytes of the file, which is compressed
_HEAD = 64 + SIGNS  # bytes of the object, which has its kind and size before its content


def beginning(git_directory: str, blob: bytes) -> "tuple[bytes, int] | None":
    """Return the first bytes of *blob*, an object id, and its size; None if it is elsewhere."""
    import zlib  # for the few commits that need it

    name = blob.hex()
    place = os.path.join("objects", name[:2], name[2:])
    try:
        try:
            compressed = _start_of(os.path.join(git_directory, place))
        except FileNotFoundError:
            compressed = _start_of(os.path.join(common_directory(git_directory), place))
        data = zlib.decompressobj().decompress(compressed, _HEAD)
    except (OSError, zlib.error):
        return None
    head, end, content = data.partition(b"\0")
    kind, _, size = head.partition(b" ")
    if kind != b"blob" or not end or not size.isdigit():
        return None
    whole = int(size)
    return (content[:SIGNS], whole) if len(content) >= min(whole, SIGNS) else None


def _start_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_READ)
