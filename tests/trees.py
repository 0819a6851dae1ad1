"""Small trees with what is to be refused in them, built from lines of text.

`case NAME` begins a tree. A line is VERDICT PATH [CONTENT]: R to be refused, P to pass, - there
and not judged. CONTENT is the name of a file in tests/data/trees (what torch, Keras, ONNX and
others wrote, most with 2 MiB of zeros), or one of `bin:N` (N bytes), `text:...` (`\\n` is a line
end), `x:...` (the same, executable), `link:TARGET`, `sqlite:TABLE,TABLE`, `csvzip`.
"""

from __future__ import annotations

import gzip
import io
import random
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "data" / "trees"


class File(NamedTuple):
    """One file of a tree, and what is to be said of it."""

    verdict: str
    path: str
    content: str


def read_trees(name: str = "trees.txt") -> Iterator[tuple[str, list[File]]]:
    """Yield the trees of a file by their names."""
    case = ""
    files: list[File] = []
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if line.startswith("case "):
            if files:
                yield case, files
            case, files = line[5:], []
        elif line and not line.startswith("#"):
            files.append(File(*(*line.split(None, 2), "")[:3]))
    yield case, files


def build(root: Path, files: list[File]) -> None:
    """Write *files* below *root*."""
    for _, name, content in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("link:"):
            path.symlink_to(content[5:])
            continue
        path.write_bytes(content_of(content))
        if content.startswith("x:"):
            path.chmod(0o755)


def content_of(text: str) -> bytes:
    """Return the bytes that the last word of a line stands for."""
    kind, _, rest = text.partition(":")
    if kind in ("text", "x"):
        return rest.replace("\\n", "\n").replace("\\t", "\t").encode() + b"\n"
    if kind == "bin":
        return random.Random(rest).randbytes(int(rest))
    if text == "csvzip":
        return _zip()
    if kind == "sqlite":
        return _sqlite(rest.split(","))
    return gzip.decompress((FOLDER / f"{text}.gz").read_bytes()) if text else b"a line of text\n"


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(20):
            rows = "".join(f"{row},{row % 90}\n" for row in range(1500))
            archive.writestr(f"survey/part{number}.csv", f"id,age\n{rows}")
    return file.getvalue()


def _sqlite(tables: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.db")
        database = sqlite3.connect(path)
        for table in tables:
            database.execute(f"create table {table} (id integer primary key, name text)")
            rows = [(f"n{number}",) for number in range(2000)]
            database.executemany(f"insert into {table} (name) values (?)", rows)
        database.commit()
        database.close()
        return path.read_bytes()
