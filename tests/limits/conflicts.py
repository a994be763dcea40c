"""DynamoDB's conflicts, which no emulator has: a proxy that refuses what touches an item within a transaction.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html (transaction conflict
handling), read on 2026-11-21: a write of an item that is in an ongoing transaction is refused, and so is a transaction.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.aws.script import cancelled, fault

_Keys = set[tuple[str, str]]


class Conflicts:
    """The items that are in transactions now, and how often that was in somebody's way."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._busy: _Keys = set()
        self._lock = threading.Lock()

    def begin(self, action: str, body: Any) -> tuple[_Keys, tuple[int, object] | None]:
        """What the request keeps busy until it has ended, and what it is refused with."""
        keys = [_key(write) for write in _writes(action, body)]
        with self._lock:
            if not self._busy.isdisjoint(keys):
                self.met[action] += 1
                codes = ("TransactionConflict" if key in self._busy else "None" for key in keys)
                whole = action == "TransactWriteItems"
                return set(), cancelled(*codes) if whole else fault("TransactionConflictException")
            mine = set(keys) if action == "TransactWriteItems" else set()
            self._busy |= mine
            return mine, None

    def end(self, mine: _Keys) -> None:
        with self._lock:
            self._busy -= mine


def _writes(action: str, body: Any) -> Iterator[Any]:
    match action:
        case "TransactWriteItems":
            for item in body["TransactItems"]:
                yield from item.values()
        case "PutItem" | "UpdateItem" | "DeleteItem":
            yield body


def _key(write: Any) -> tuple[str, str]:
    item = write.get("Key") or write["Item"]
    return item["pk"]["S"], item["sk"]["S"]


@contextmanager
def conflicting(upstream: str) -> Iterator[tuple[str, Conflicts]]:
    """The address of a proxy to the DynamoDB at `upstream`."""
    conflicts = Conflicts()
    host = urlsplit(upstream).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            action = self.headers["X-Amz-Target"].partition(".")[2]
            mine, refusal = conflicts.begin(action, json.loads(body))
            if refusal is not None:
                self._answer(refusal[0], json.dumps(refusal[1]).encode())
                return
            try:
                status, answer = self._forward(body)
            finally:
                conflicts.end(mine)
            self._answer(status, answer)

        def _forward(self, body: bytes) -> tuple[int, bytes]:
            line = HTTPConnection(host)
            line.request("POST", "/", body, {**self.headers, "Connection": "close"})
            with line.getresponse() as response:
                return response.status, response.read()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", conflicts
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
