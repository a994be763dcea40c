"""`python -m tests.bench.upstream`: a provider that answers with bytes rendered beforehand, as cheaply as Python can.

It prints its port. The field `user` of a request picks the stream: each of `STREAMS` is a list of writes.
"""

import asyncio
import json
from typing import cast

import uvloop

CHUNKS = 50
LONG_CHUNKS = 500
PAUSE_SECONDS = 0.003
"""Between the first token of a `paced` stream and the rest: what follows a token shall not delay it."""

LONG_PAUSE_SECONDS = 0.001
"""Between two writes of a `long` stream, so that each arrives by itself, as those of a model do."""

TOKEN = "tide "
ENVELOPE = {"id": "chatcmpl-bench", "created": 1_790_000_000, "model": "gpt-4o-mini", "system_fingerprint": "fp_bench"}


def _usage(chunks: int) -> dict[str, int]:
    return {"prompt_tokens": 12, "completion_tokens": chunks, "total_tokens": 12 + chunks}


def _completion() -> bytes:
    message = {"role": "assistant", "content": TOKEN * CHUNKS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = _json({**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": _usage(CHUNKS)})
    return _head("application/json", f"Content-Length: {len(body)}") + body


def _events(chunks: int) -> list[bytes]:
    """A role, so many tokens, a finish, usage and `[DONE]`, each as one chunk of the transfer coding."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": TOKEN} for _ in range(chunks)), {}]
    ends = [*(None for _ in deltas[1:]), "stop"]
    choices = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]
        for delta, end in zip(deltas, ends, strict=True)
    ]
    head = {**ENVELOPE, "object": "chat.completion.chunk"}
    events: list[object] = [{**head, "choices": choice, "usage": None} for choice in choices]
    events.append({**head, "choices": [], "usage": _usage(chunks)})
    return [_chunk(b"data: %b\n\n" % text) for text in [*map(_json, events), b"[DONE]"]]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(content_type: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n".encode()


_HEAD = _head("text/event-stream", "Transfer-Encoding: chunked")
_EVENTS = [*_events(CHUNKS), b"0\r\n\r\n"]
COMPLETION = _completion()
STREAMS = {
    b"whole": [_HEAD + b"".join(_EVENTS)],
    b"pieces": [_HEAD + _EVENTS[0], *_EVENTS[1:]],
    b"long": [_HEAD, *_events(LONG_CHUNKS), b"0\r\n\r\n"],
    b"paced": [_HEAD + b"".join(_EVENTS[:2]), b"".join(_EVENTS[2:])],
}


class Upstream(asyncio.Protocol):
    """One connection. Requests come one after the other, with a length."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(body) >= length:
            self._buffer = b""
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        if b'"stream":true' not in body:
            self._transport.write(COMPLETION)
            return
        name = body.partition(b'"user":"')[2].partition(b'"')[0]
        loop = asyncio.get_running_loop()
        first, *rest = STREAMS[name]
        self._transport.write(first)
        if name == b"paced":
            loop.call_later(PAUSE_SECONDS, self._write, rest, 0)
        elif rest:
            loop.call_soon(self._write, rest, 0, LONG_PAUSE_SECONDS if name == b"long" else 0.0)

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
