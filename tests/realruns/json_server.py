"""What the servers of the tests have in common: they take a body, and answer with JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class JsonHandler(BaseHTTPRequestHandler):
    """Says nothing to the terminal; a client may send its body in chunks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.post(self.body())

    def do_PUT(self) -> None:
        self.put(self.body())

    def do_GET(self) -> None:
        self.get()

    def post(self, body: bytes) -> None:  # noqa: ARG002
        self.answer({})

    def put(self, body: bytes) -> None:  # noqa: ARG002
        self.answer({})

    def get(self) -> None:
        self.answer({})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed client hangs up in the middle."""


@contextmanager
def listening(handler: type[JsonHandler]) -> Iterator[str]:
    """Answer with *handler* on a free port of this machine; yield the address."""
    server = _Server(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
