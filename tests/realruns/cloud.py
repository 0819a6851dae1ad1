"""As much of W&B's server as a run needs to be online, and `wandb sync` to sync.

It says yes to what `wandb-core` asks (core/internal/runupserter, filestream and
filetransfer in W&B's repository), and keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

# A run of this name gets no bucket: what happens to one without a permission.
REFUSED = "refused"


@contextmanager
def cloud(*, takes_files: bool = True) -> Iterator[dict[str, str]]:
    """The environment in which runs are online with a server of their own."""
    server = _Server(("127.0.0.1", 0), _Handler if takes_files else _WithoutFiles)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield {
            "WANDB_MODE": "online",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}",
            "no_proxy": "127.0.0.1",
        }
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed run hangs up in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.path != "/graphql":
            self._answer({})
            return
        question = json.loads(body)
        name, variables = question["operationName"], question.get("variables") or {}
        if name == "UpsertBucket" and variables["name"] == REFUSED:
            self._answer({"errors": [{"message": "permission denied"}]}, status=403)
        else:
            self._answer({"data": self._data(name, variables)})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_GET(self) -> None:
        self._answer({})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""

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

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, content: object, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _WithoutFiles(_Handler):
    """Whose storage is full, or forbidden."""

    def do_PUT(self) -> None:
        self._body()
        self._answer({}, status=403)
