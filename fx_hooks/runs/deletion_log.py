"""The log of deleted runs, in the git directory that all work trees share."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fx_hooks.runs.archive.manifest import as_text
from fx_hooks.util import files

if TYPE_CHECKING:
    from fx_hooks.runs.inventory import Run

NAME = b"fx-hooks.deleted.jsonl"


class CleanLog:
    """One JSON object a line. Raises :class:`OSError`, and then no half of a line is there."""

    def __init__(self, git_directory: bytes, rule: str) -> None:
        self.path = os.path.join(git_directory, NAME)
        self._rule = rule

    def add(self, run: Run, archive: str | None) -> None:
        """Note that *run* goes now."""
        self._write(
            {
                "path": as_text(run.path),
                "kind": run.kind,
                "state": run.state,
                "reason": run.reason,
                "disk": run.size.disk,
                "files": run.size.files,
                "last_write": run.last_write,
                "run_id": run.run_id,
                "archive": archive,
            }
        )

    def add_rest(self, path: bytes) -> None:
        """Note that what an interruption has left of the run at *path* goes now."""
        self._write({"path": as_text(path), "reason": "the rest of an interrupted deletion"})

    def _write(self, values: Mapping[str, Any]) -> None:
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"time": now, **values, "rule": self._rule}).encode() + b"\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                files.write_all(descriptor, line)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
