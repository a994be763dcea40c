"""A wire between clients and the gateway that remembers what passed, so that every reply can be checked.

It forwards bytes and closings unchanged; only reading the record interprets them.
"""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h11

_PIECE = 65536


@dataclass
class Wire:
    """One connection: the bytes of both directions so far."""

    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class Exchange:
    """One request and its reply; `complete` is False where the reply broke off or has not ended."""

    method: str
    path: str
    asked: bytes
    asked_headers: dict[str, str]
    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool

    @property
    def request(self) -> Any:
        try:
            return json.loads(self.asked)
        except ValueError:
            return None


class Tap:
    """Listens on `port`; `exchanges()` reads the record, `forget()` clears it."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._wires: list[Wire] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def exchanges(self) -> list[Exchange]:
        return [exchange for wire in self._wires for exchange in _read(wire)]

    def forget(self) -> None:
        for wire in self._wires:
            wire.asked.clear()
            wire.answered.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        wire = Wire()
        self._wires.append(wire)
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=_pump, args=(server, client, wire.answered), daemon=True)
            back.start()
            _pump(client, server, wire.asked)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            # Before it is passed on: whoever has seen a reply finds it in the record.
            record += piece
            sink.sendall(piece)
    for end in (sink, source):
        with suppress(OSError):
            end.shutdown(socket.SHUT_WR if end is sink else socket.SHUT_RD)


@contextmanager
def tapped(target: tuple[str, int]) -> Iterator[Tap]:
    tap = Tap(target)
    try:
        yield tap
    finally:
        tap.close()


def _read(wire: Wire) -> Iterator[Exchange]:
    asking, answering = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    for connection, record in ((asking, wire.asked), (answering, wire.answered)):
        if record:  # no bytes would mean the end of the connection
            connection.receive_data(bytes(record))
    while True:
        head = asking.next_event()
        if not isinstance(head, h11.Request):
            return
        asked, _ = _body(asking)
        answering.send(h11.Request(method=head.method, target=head.target, headers=[("host", "tap")]))
        answering.send(h11.EndOfMessage())
        reply = answering.next_event()
        while isinstance(reply, h11.InformationalResponse):
            reply = answering.next_event()
        if not isinstance(reply, h11.Response):
            return
        body, complete = _body(answering)
        wanted, headers = _texts(head.headers), _texts(reply.headers)
        place = head.method.decode(), head.target.decode()
        yield Exchange(*place, asked, wanted, reply.status_code, headers, body, complete)
        if not complete or answering.their_state is not h11.DONE:
            return
        # What the gateway answered is known to be whole: this side's own answer only moves the state machine on.
        asking.send(h11.Response(status_code=204, headers=[]))
        asking.send(h11.EndOfMessage())
        if asking.our_state is not h11.DONE or asking.their_state is not h11.DONE:
            return
        asking.start_next_cycle()
        answering.start_next_cycle()


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}


def _body(connection: h11.Connection) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
        else:
            return b"".join(pieces), isinstance(event, h11.EndOfMessage)
