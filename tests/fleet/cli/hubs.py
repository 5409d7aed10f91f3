"""A hub of canned answers on loopback, for what the command line makes of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "an-operator-token-of-a-test"


class CannedHub:
    """Answers by path, one after another, the last one again and again; keeps what was asked."""

    def __init__(self, answers: dict[str, list[tuple[int, Any]]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Any]] = []
        self.tokens: set[str] = set()
        self.url = ""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """The next answer for a path."""
        self.asked.append((method, path, body))
        left = self.answers.get(path.partition("?")[0])
        if not left:
            return 404, {"code": "no-such-route", "what": f"nothing at {path}"}
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def canned(**answers: list[tuple[int, Any]]) -> Iterator[CannedHub]:
    """A hub that answers `/v1/<name>`, `__` in a name being a slash."""
    hub = CannedHub({"/v1/" + k.replace("__", "/"): list(v) for k, v in answers.items()})

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            hub.tokens.add(self.headers.get("Authorization", ""))
            status, document = hub.answer(self.command, self.path, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
