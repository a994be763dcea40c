"""A provider that keeps its caller waiting, so that tests see when its connection is closed."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Held:
    """`begun` counts the calls that arrived, `closed` those that the caller left. `silent`: not even a first word."""

    port: int
    silent: bool = False
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def forget(self) -> None:
        """Begin to count anew; what began before does not count any more."""
        self.begun, self.closed, self.silent = threading.Semaphore(0), threading.Semaphore(0), False


@contextmanager
def held_provider() -> Iterator[Held]:
    """For a stream two chunks, for a plain call nothing; then silence until the caller hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        held = Held(door.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(door, held), daemon=True)
        thread.start()
        yield held
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(door: socket.socket, held: Held) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(caller, held), daemon=True).start()


def _answer(caller: socket.socket, held: Held) -> None:
    begun, closed = held.begun, held.closed
    with caller:
        body = _body(caller)
        if not body:  # it lists no models
            return
        if json.loads(body).get("stream") and not held.silent:
            caller.sendall(_HEAD + _event({"role": "assistant", "content": ""}) + _event({"content": "The tide "}))
        begun.release()
        with suppress(OSError):
            caller.recv(1)
        closed.release()


def _body(caller: socket.socket) -> bytes:
    head, asked = b"", b""
    while not head:
        asked += caller.recv(65536)
        head, _, body = asked.rpartition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    if found is None:
        return b""
    while len(body) < int(found[1]):
        body += caller.recv(65536)
    return body


def _event(delta: dict[str, str]) -> bytes:
    event = b"data: " + json.dumps(_chunk(delta)).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _chunk(delta: dict[str, str]) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return {"id": "held", "object": "chat.completion.chunk", "created": 1, "model": "held", "choices": [choice]}
