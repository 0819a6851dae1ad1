"""Files that could be weights although no rule says so: large ones, and some names.

The size is that in the index, never the one on disk: what was staged may be gone from there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LARGE = 1 << 14
# Of smaller files only these are looked into, and not those that people write.
_WORDS = (
    b"epoch", b"step", b"iter", b"ckpt", b"checkpoint", b"weight", b"model", b"best", b"last",
    b"final", b"optim", b"scheduler", b"state", b"params", b"net", b".db", b".sqlite",
)  # fmt: skip
_WRITTEN = frozenset(
    b".c .cc .cfg .conf .cpp .css .csv .go .h .html .ini .ipynb .java .js .json .jsonl .lock .md"
    b" .png .proto .py .pyi .r .rs .rst .sh .sql .svg .tex .toml .ts .tsv .tsx .txt .xml .yaml"
    b" .yml".split()
)
_MODES = (b"\0\0\x81\xa4", b"\0\0\x81\xed", b"\0\0\xa0\0", b"\0\0\xe0\0")
_NO_CONTENT = _MODES[2:]


def gives_reason(path: bytes) -> bool:
    """Return True if a small file of that name is looked into."""
    name = path[path.rfind(b"/") + 1 :].lower()
    if name[name.rfind(b".") :] in _WRITTEN:
        return name == b"monitor.csv"
    return any(word in name for word in _WORDS)


def doubtful(paths: "Iterable[bytes]", index: bytes) -> "list[bytes]":
    """Return those of *paths* of which *index* does not say that they are small or no files."""
    found = []
    place = 0
    # Both are sorted, so that one search through the index finds all of them.
    for path in sorted(paths):
        entry = len(path).to_bytes(2, "big") + path + b"\0"
        position = index.find(entry, place)
        if position < 0:
            # With other flags, or not in the index at all.
            if path + b"\0" in index:
                found.append(path)
            continue
        place = position
        # Where the object id has 20 bytes, or 32: mode, user, group, size, id, flags, path.
        for digest in (20, 32):
            start = position - digest - 16
            mode = index[start : start + 4] if start > 0 else b""
            if mode in _MODES:
                break
        else:
            found.append(path)
            continue
        size = int.from_bytes(index[start + 12 : start + 16], "big")
        # No size at all: of a file that git meant to look at again, or that is not there yet.
        if mode not in _NO_CONTENT and (not 0 < size < LARGE or gives_reason(path)):
            found.append(path)
    return found
