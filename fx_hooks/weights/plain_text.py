"""Text under a weights' name: page templates, Python path files, corpora. It is not a model."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Collection
from typing import IO, TYPE_CHECKING

from fx_hooks.git.repository import lfs_pointer

if TYPE_CHECKING:
    from fx_hooks.git.repository import ObjectStore

# Blobs up to here are read in one go.
_SMALL = 1 << 16
_CHUNK = 1 << 20
_CONTROL = bytes(code for code in range(32) if chr(code) not in "\t\n\f\r") + b"\x7f"
_OPERATIONS = 100_000


def is_text(stream: IO[bytes], size: int | None = None) -> bool:
    """Return True if all that can be read from *stream* is text, and so no weights.

    With *size*, it has to be so many bytes.

    A Git LFS pointer is text and stands for weights; a pickle of protocol 0 is text, too,
    and so is what an unpickler takes for one until it has called something; and a tar archive
    can be made of text alone. Nothing at all holds no weights. Of anything else only the first
    part is read.
    """
    chunk = stream.read(_CHUNK)
    if lfs_pointer(chunk) is not None:
        return False
    import tempfile  # not for a name that no look into a file can save

    with tempfile.SpooledTemporaryFile(2 * _CHUNK) as copy:
        while chunk:
            if len(chunk.translate(None, _CONTROL)) != len(chunk):
                return False
            copy.write(chunk)
            chunk = stream.read(_CHUNK)
        if size is not None and copy.tell() != size:
            return False  # damaged
        return not (_is_tar(copy) or _is_pickle(copy))


def text_blobs(store: ObjectStore, blobs: Collection[str]) -> set[str]:
    """Those of *blobs* whose content is text, and no pointer to weights."""
    sizes = store.sizes(blobs)
    small = [blob for blob, size in sizes.items() if size is not None and size <= _SMALL]
    contents = store.contents(small)
    text = {blob for blob, content in contents.items() if is_text(io.BytesIO(content))}
    for blob, size in sizes.items():
        if size is not None and size > _SMALL:
            with store.opened_blob(blob) as stream:
                if is_text(stream, size):
                    text.add(blob)
    return text


def is_text_file(path: bytes) -> bool:
    """Return True if a file on disk is text; nothing but a regular file is."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return is_text(file)
    except OSError:
        return False


def _is_tar(file: IO[bytes]) -> bool:
    from fx_hooks.weights.polyglots import is_tar

    file.seek(0)
    return is_tar(file.read(512))


def _is_pickle(file: IO[bytes]) -> bool:
    """Return True if an unpickler would do something with the text, or take all of it.

    Words can be operations by chance (a line with ``c`` and a word, another word); so an
    import counts where a call or the end follows, or where the module is one of Python's.
    """
    from fx_hooks.weights.pickles import BrokenPickle, Budget, Report, read_pickle

    budget = Budget()
    budget.operations = _OPERATIONS
    report = Report()
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    whole = False
    cut = False
    try:
        while size and file.tell() < size:
            read_pickle(file, report, budget)
            whole = True
            if report.globals:
                return True
        return whole
    except BrokenPickle:
        cut = file.tell() >= size
    modules = {name.partition(".")[0] for name in report.globals}
    return (
        budget.operations < 0
        or bool(report.faults & _COMPUTED)
        or (
            any(name.isascii() for name in report.globals)
            and bool(report.calls or report.changes or cut or modules & sys.stdlib_module_names)
        )
    )


_COMPUTED = frozenset({"imports a name that its pickle computes"})
