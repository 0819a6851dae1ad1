"""A server for W&B clients of any version, which refuses or fails as it is told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from threading import Event
from typing import Any

from tests.realruns.json_server import JsonHandler, listening

# What each does with the history (/file_stream) and with files.
MODES = {
    "ok": "the server takes everything",
    "400": "the history is refused (400)",
    "403": "files are refused (403)",
    "404": "the history is not found (404)",
    "500": "the server fails (500)",
    "slow": "the server does not answer",
}
_FILES = ("config.yaml", "wandb-summary.json")
_STEPS = 3


class Server:
    """Listens while it is a context; what it has got is asked at the end."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.rows: set[int] = set()
        self.files: set[str] = set()
        self.complete = False
        self.stopped = Event()

    def __enter__(self) -> Server:
        handler = type("Handler", (_Handler,), {"owner": self})
        self._listening = listening(handler)
        self.url = self._listening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._listening.__exit__(None, None, None)

    def has(self, more: Sequence[str] = ()) -> str:
        """Return how much the server has: all of a run with *more* files, a part, or nothing."""
        time.sleep(0.2)
        files = (*_FILES, *more)
        if len(self.rows) == _STEPS and self.complete and self.files.issuperset(files):
            return "all"
        return "part" if self.rows or self.files else "nothing"


class _Handler(JsonHandler):
    owner: Server

    def post(self, body: bytes) -> None:
        if self.path.endswith("/graphql"):
            question = json.loads(body)
            self.answer({"data": self._data(question)})
        elif "file_stream" in self.path:
            status = {"400": 400, "404": 404, "500": 500}.get(self.owner.mode, 200)
            if self._waits():
                return
            if status == 200:
                self._take(json.loads(body))
            self.answer({"error": "no"} if status != 200 else {}, status)
        else:
            self.answer({})

    def put(self, body: bytes) -> None:  # noqa: ARG002
        if self._waits():
            return
        status = {"403": 403, "500": 500}.get(self.owner.mode, 200)
        if status == 200:
            self.owner.files.add(self.path.removeprefix("/storage/").partition("?")[0])
        self.answer({}, status)

    def _waits(self) -> bool:
        if self.owner.mode != "slow":
            return False
        self.owner.stopped.wait(120)
        self.close_connection = True
        return True

    def _take(self, sent: dict[str, Any]) -> None:
        if sent.get("complete"):
            self.owner.complete = True
        history = (sent.get("files") or {}).get("wandb-history.jsonl") or {}
        for number, _ in enumerate(history.get("content") or (), history.get("offset") or 0):
            self.owner.rows.add(number)

    def _data(self, question: dict[str, Any]) -> dict[str, Any]:
        query, variables = question.get("query") or "", question.get("variables") or {}
        if "upsertBucket" in query:
            return {"upsertBucket": {"bucket": self._bucket(variables), "inserted": True}}
        if "createRunFiles" in query:
            files = [
                {"name": name, "uploadUrl": self._storage(name)} for name in variables["files"]
            ]
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}
        if "uploadHeaders" in query:
            edges = [
                {"node": {"name": name, "url": self._storage(name), "updatedAt": None}}
                for name in variables.get("files") or ()
            ]
            listed = {"uploadHeaders": [], "edges": edges}
            return {"model": {"bucket": {"id": "1", "files": listed}}}
        if "viewer" in query:
            viewer = {"id": "1", "entity": "me", "username": "me", "flags": "{}",
                      "teams": {"edges": []}, "capabilities": []}  # fmt: skip
            return {"viewer": viewer, "serverInfo": _SERVER}
        if "serverInfo" in query:
            return {"serverInfo": _SERVER}
        if "__type" in query:
            return {name: {"fields": [], "inputFields": []} for name in _TYPES.findall(query)}
        return {"model": None, "project": None}

    def _bucket(self, variables: dict[str, Any]) -> dict[str, Any]:
        entity = {"id": "1", "name": "me"}
        run = variables.get("name") or variables.get("id") or "run1"
        return {
            "id": "1", "name": run, "displayName": run, "description": "", "config": "{}",
            "sweepName": None, "project": {"id": "1", "name": "toy", "entity": entity},
            "historyLineCount": 0,
        }  # fmt: skip

    def _storage(self, name: str) -> str:
        return f"{self.owner.url}/storage/{name}"


_TYPES = re.compile(r"(\w+):\s*__type")
_SERVER: dict[str, Any] = {
    "features": [],
    "cliVersionInfo": {"max_cli_version": "9.9.9"},
    "latestLocalVersionInfo": None,
}
