"""As much of W&B's server as a run needs to be online, and `wandb sync` to sync.

It says yes to what `wandb-core` asks (core/internal/runupserter, filestream and
filetransfer in W&B's repository), and keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.realruns.json_server import JsonHandler, listening

# A run of this name gets no bucket: what happens to one without a permission.
REFUSED = "refused"


@contextmanager
def cloud(*, takes_files: bool = True) -> Iterator[dict[str, str]]:
    """The environment in which runs are online with a server of their own."""
    with listening(_Handler if takes_files else _WithoutFiles) as address:
        yield {
            "WANDB_MODE": "online",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_BASE_URL": address,
            "no_proxy": "127.0.0.1",
        }


class _Handler(JsonHandler):
    def post(self, body: bytes) -> None:
        if self.path != "/graphql":
            self.answer({})
            return
        question = json.loads(body)
        name, variables = question["operationName"], question.get("variables") or {}
        if name == "UpsertBucket" and variables["name"] == REFUSED:
            self.answer({"errors": [{"message": "permission denied"}]}, status=403)
        else:
            self.answer({"data": self._data(name, variables)})

    def _data(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        if name == "Viewer":
            teams: dict[str, Any] = {"edges": []}
            return {"viewer": {"id": "1", "entity": "me", "username": "me", "teams": teams}}
        if name == "UpsertBucket":
            entity = {"id": "1", "name": "me"}
            project = {"id": "1", "name": "toy", "entity": entity}
            run = variables["name"]
            bucket = {"id": "1", "name": run, "displayName": run, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            host = self.headers["Host"]
            files = [
                {"name": file, "uploadUrl": f"http://{host}/files/{number}"}
                for number, file in enumerate(variables["files"])
            ]
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}
        return {"serverInfo": {"features": []}}


class _WithoutFiles(_Handler):
    """Whose storage is full, or forbidden."""

    def put(self, body: bytes) -> None:  # noqa: ARG002
        self.answer({}, status=403)
