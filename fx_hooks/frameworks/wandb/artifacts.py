"""The files elsewhere that the artifacts of a W&B run refer to.

``Artifact.add_reference("file://...")`` sends the address alone, and ``add_file`` with
``policy="immutable"`` leaves a file where it is until it is sent.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO
from urllib.parse import unquote

from fx_hooks.frameworks.wandb.details import log_at
from fx_hooks.frameworks.wandb.record import BLOCK, HEADER_BYTES, read_wandb_entries
from fx_hooks.util.disk import files_not_links

_SCHEME = "file://"
_WORDS = (b"file:", b".manifest_contents.")
_MOST = 1 << 28  # of a list of entries


def needed_files(place: bytes, is_sent: bool) -> Iterable[bytes]:
    """Return the places of the files that the artifacts of the run at *place* need."""
    name = log_at(place)
    if name is None:
        return ()
    log = os.path.join(place, name)
    found: set[bytes] = set()
    try:
        with open(log, "rb", opener=files_not_links) as file:
            if is_sent and not _mentions(file):
                return ()
            for reference, local, listed_in in read_wandb_entries(file):
                entries = [{"ref": reference, "local_path": local}]
                for entry in _listed(listed_in) if listed_in else entries:
                    found.update(_places(entry, is_sent=is_sent))
    except OSError:
        pass
    return found


def _mentions(file: BinaryIO) -> bool:
    """Return True if an artifact may refer to a file; most have none, and logs may be long."""
    before = b""
    while block := file.read(BLOCK):
        # A record that goes on in the next block is cut there by a head.
        text = before + block[HEADER_BYTES:]
        if any(word in text for word in _WORDS):
            return True
        before = text[-len(_WORDS[-1]) :]
    return False


def _listed(place: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a long manifest (interface.py, _write_artifact_manifest_file)."""
    try:
        with gzip.open(place, "rb") as file:
            for line in file.read(_MOST).splitlines():
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry
    except (OSError, EOFError, ValueError, RecursionError, zlib.error):
        return


def _places(entry: dict[str, Any], *, is_sent: bool) -> Iterator[bytes]:
    reference, local = entry.get("ref"), entry.get("local_path")
    if isinstance(reference, str) and reference.startswith(_SCHEME):
        for path in {reference[len(_SCHEME) :], unquote(reference[len(_SCHEME) :])}:
            # file:///C:/x
            yield os.fsencode(path[1:] if path[2:3] == ":" and os.name == "nt" else path)
    if not is_sent and isinstance(local, str) and local:
        yield os.fsencode(local)
