"""Files that could be weights although no rule says so: large ones, and some names.

The size is that in the index, never the one on disk: what was staged may be gone from there. It is
the size of the file modulo 4 GiB, and that before a filter: see SECURITY.md.
Nearly all of them begin like nothing that is looked for, and a look at a few bytes tells.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fx_hooks.fastpath.index_bytes import Entry

LARGE = 1 << 14
# Of smaller files only these are looked into, and not those that people write.
_WORDS = (
    b"epoch", b"step", b"iter", b"ckpt", b"checkpoint", b"weight", b"model", b"best", b"last",
    b"final", b"optim", b"scheduler", b"state", b"params", b"net", b"normalize", b".db", b".sqlite",
)  # fmt: skip
_WRITTEN = frozenset(
    b".c .cc .cfg .conf .cpp .css .csv .go .h .html .ini .ipynb .java .js .json .jsonl .lock .md"
    b" .png .proto .py .pyi .r .rs .rst .sh .sql .svg .tex .toml .ts .tsv .tsx .txt .xml .yaml"
    b" .yml".split()
)
# Pickles are of any size, and so are what YOLOv7 knows of the labels, boosters and profiles.
_OF_ANY_SIZE = frozenset(
    b".bin .bst .cache .gz .h5 .hdf5 .joblib .p .params .pck .pickle .pkl .prof .pstats .sav .th"
    b" .tflite .ubj .z .zip".split()
)
# How all begin whose rest is looked into; :mod:`fx_hooks.weights.magic` and
# :mod:`fx_hooks.frameworks.stores` say what they are.
_BEGINNINGS = (
    b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"GGUF", b"CBM1",
    b"\x89HDF\r\n\x1a\n",
    b"{L\0\0\0\0\0\0\0\x07", b'{"learner":{"', b"tree\nversion=v", b"\x08", b"SQLite format 3",
    b'#{"t_start":', b"\xba\x16\x4f\x2f",
    b"{)\x03", b"{\xa9\x03", b"\xfb)\x03", b"\xfb\xa9\x03",
    b"x\x01", b"x^", b"x\x9c", b"x\xda", b"\x1f\x8b\x08", b"mmap lm http://k",
    b"\x12\x01\0\0\0\0\0\0", b"lmgg", b"fmgg", b"tjgg",
)  # fmt: skip
SIGNS = 16  # bytes that are enough for a first look


def least_size(path: bytes) -> int:
    """Return from how many bytes on a file at *path* is looked into."""
    return 1 if gives_reason(path) else LARGE


def may_be_one(head: bytes, size: int) -> bool:
    """Return True unless what begins with *head* and has *size* bytes is surely none."""
    if head.startswith(_BEGINNINGS):
        return True
    # TensorFlow Lite: an offset stands before it. Ultralytics' engines: the length of the JSON.
    if head[4:8] == b"TFL3" or head[4:6] == b'{"':
        return True
    # Graphs of TensorFlow: a node, whose length stands before it, and its name.
    if head[:1] == b"\n" and b"\n" in head[2:6]:
        return True
    # safetensors: the length of the header, and the header.
    return head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8


def gives_reason(path: bytes) -> bool:
    """Return True if a small file of that name is looked into."""
    name = path[path.rfind(b"/") + 1 :].lower()
    suffix = name[name.rfind(b".") :]
    if suffix in _WRITTEN:
        return name == b"monitor.csv"
    return suffix in _OF_ANY_SIZE or any(word in name for word in _WORDS)


def doubtful(entries: "dict[bytes, Entry]") -> "list[bytes]":
    """Return the paths of which *entries* do not say that they are small or no files."""
    return [
        path
        for path, (mode, size, _, _) in entries.items()
        # No size at all: of a file that git meant to look at again, or that is not there yet.
        if mode & 0o170000 == 0o100000 and (not 0 < size < LARGE or gives_reason(path))
    ]
