"""`python -m tests.bench.upstream`: a provider that answers with bytes rendered beforehand, as cheaply as Python can.

It prints its port. The field `user` of a request picks the stream: each of `STREAMS` is a list of writes.
Streams of other dialects, by the path, come in as many writes as they have events.
"""

import asyncio
from typing import cast

import uvloop

from tests.bench import replies

LONG_CHUNKS = 500
PAUSE_SECONDS = 0.003
"""Between the first token of a `paced` stream and the rest: what follows a token shall not delay it."""

LONG_PAUSE_SECONDS = 0.001
"""Between two writes of a `long` stream, so that each arrives by itself, as those of a model do."""

APART_PAUSE_SECONDS = 0.005
"""Between two writes of an `apart` stream, and of those of other dialects: a gateway under load reads each by itself.
Chunks that it reads together would cost it a third."""

SLOW_PAUSE_SECONDS = 0.25
"""Between two writes of a `slow` stream."""


_KEPT_PIECES = 4
"""The pieces of a request that are read. More are only counted: to join and search 10 MB takes 20 ms, in which no
stream would get a chunk (2026-11)."""


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(content_type: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n".encode()


def _pieces(content_type: str, events: list[bytes]) -> list[bytes]:
    """Return a stream as writes: the head with the first event, and then an event in each."""
    first, *rest = map(_chunk, events)
    return [_head(content_type, "Transfer-Encoding: chunked") + first, *rest, b"0\r\n\r\n"]


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_COMPLETION = replies.completion()
COMPLETION = _head("application/json", f"Content-Length: {len(_COMPLETION)}") + _COMPLETION
_PIECES = _pieces(replies.SSE, replies.openai())
STREAMS = {
    b"whole": [b"".join(_PIECES)],
    b"pieces": _PIECES,
    b"long": _pieces(replies.SSE, replies.openai(LONG_CHUNKS)),
    b"apart": _PIECES,
    b"slow": _PIECES,
    b"paced": [b"".join(_PIECES[:2]), b"".join(_PIECES[2:])],
}
_PAUSES = {b"long": LONG_PAUSE_SECONDS, b"apart": APART_PAUSE_SECONDS, b"slow": SLOW_PAUSE_SECONDS}
OTHER_DIALECTS = {
    ending.encode(): _pieces(content_type, render(replies.CHUNKS))
    for ending, (content_type, render) in replies.STREAMS.items()
    if ending != "/chat/completions"
}


class Upstream(asyncio.Protocol):
    """One connection. Requests come one after the other, with a length."""

    def __init__(self) -> None:
        self._head: bytes | None = None
        self._body: list[bytes] = []
        self._missing = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            head, found, data = b"".join((*self._body, data)).partition(b"\r\n\r\n")
            if not found:
                self._body = [head]
                return
            self._head, self._body = head, []
            self._missing = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or b"0")
        self._missing -= len(data)
        if len(self._body) < _KEPT_PIECES:
            self._body.append(data)
        if self._missing <= 0:
            path, body = self._head.split(b" ", 2)[1].partition(b"?")[0], b"".join(self._body)
            self._head, self._body = None, []
            self._answer(path, body)

    def _answer(self, path: bytes, body: bytes) -> None:
        assert self._transport is not None
        if not body:  # gateways that look for models or health
            self._transport.write(_NOT_FOUND)
            return
        for ending, pieces in OTHER_DIALECTS.items():
            if path.endswith(ending):
                self._send(pieces, APART_PAUSE_SECONDS)
                return
        if b'"stream":true' not in body:
            self._transport.write(COMPLETION)
            return
        name = body.partition(b'"user":"')[2].partition(b'"')[0]
        if name == b"paced":
            first, *rest = STREAMS[name]
            self._transport.write(first)
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._write, rest, 0)
        else:
            self._send(STREAMS[name], _PAUSES.get(name, 0.0))

    def _send(self, pieces: list[bytes], pause_seconds: float) -> None:
        assert self._transport is not None
        self._transport.write(pieces[0])
        if len(pieces) > 1:
            asyncio.get_running_loop().call_soon(self._write, pieces, 1, pause_seconds)

    def _write(self, pieces: list[bytes], at: int, pause_seconds: float = 0.0) -> None:
        """One write for each turn of the loop: two in one turn would leave as one."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(pieces[at])
        if at + 1 < len(pieces):
            asyncio.get_running_loop().call_later(pause_seconds, self._write, pieces, at + 1, pause_seconds)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
