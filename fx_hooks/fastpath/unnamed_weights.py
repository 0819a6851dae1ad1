"""Files that could be weights although no rule says so: large ones, and some names.

The size is that in the index, never the one on disk: what was staged may be gone from there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fx_hooks.fastpath.index_bytes import Index
    from fx_hooks.fastpath.listed_index import ListedIndex

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


def gives_reason(path: bytes) -> bool:
    """Return True if a small file of that name is looked into."""
    name = path[path.rfind(b"/") + 1 :].lower()
    if name[name.rfind(b".") :] in _WRITTEN:
        return name == b"monitor.csv"
    return any(word in name for word in _WORDS)


def doubtful(paths: "list[bytes]", index: "Index | ListedIndex") -> "list[bytes]":
    """Return those of *paths* of which *index* does not say that they are small or no files."""
    return [
        path
        for path, (mode, size, _, _) in index.entries(paths).items()
        # No size at all: of a file that git meant to look at again, or that is not there yet.
        if mode & 0o170000 == 0o100000 and (not 0 < size < LARGE or gives_reason(path))
    ]
