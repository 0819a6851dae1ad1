"""The log of deleted runs, in the git directory that all work trees share."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fx_hooks import temporary
from fx_hooks.archive.manifest import as_text

if TYPE_CHECKING:
    from fx_hooks.runs.survey import Run

NAME = b"fx-hooks.deleted.jsonl"


class CleanLog:
    """One JSON object a line. What a full disk does not take yet waits for room."""

    def __init__(self, git_directory: bytes, rule: str) -> None:
        self.path = os.path.join(git_directory, NAME)
        self._rule = rule
        self._waiting: list[bytes] = []

    def add(self, run: Run, archive: str | None) -> None:
        """Note that *run* goes now."""
        line = {
            "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "path": as_text(run.path),
            "kind": run.kind,
            "state": run.state,
            "reason": run.reason,
            "disk": run.size.disk,
            "files": run.size.files,
            "last_write": run.last_write,
            "run_id": run.run_id,
            "rule": self._rule,
            "archive": archive,
        }
        self._waiting.append(json.dumps(line).encode() + b"\n")
        self.write()

    def write(self) -> str | None:
        """Write what waits; why it cannot be written, if so."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        while self._waiting:
            try:
                descriptor = os.open(self.path, flags, 0o600)
                try:
                    size = os.fstat(descriptor).st_size
                    try:
                        temporary.write_all(descriptor, self._waiting[0])
                    except OSError:
                        os.ftruncate(descriptor, size)  # no half a line
                        raise
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as exc:
                return exc.strerror or str(exc)
            self._waiting.pop(0)
        return None
