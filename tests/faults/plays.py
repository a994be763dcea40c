"""What can be done with a request, in bytes: whole answers, answers that begin well, and ways to end them."""

import json
from typing import Any

from tests.faults.upstream import Exchange, Play

JSON, SSE, HTML = "application/json", "text/event-stream", "text/html"
PAGE = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
MEBIBYTE = 1024 * 1024


def head(status: int, content_type: str, length: int | None, **more: str) -> bytes:
    """The head of a reply. Without a length its body comes in chunks."""
    framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    named = [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", f"content-type: {content_type}", framing, *named, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"


async def well(exchange: Exchange) -> None:
    """The answer, as if nothing were wrong."""
    if exchange.streams:
        await exchange.send(head(200, SSE, None) + b"".join(map(chunk, exchange.dialect.events)) + LAST)
    else:
        await replying(200, exchange.dialect.completion)(exchange)


def replying(status: int, body: Any, content_type: str = JSON, **headers: str) -> Play:
    """A whole reply; `body` is bytes, or goes as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def play(exchange: Exchange) -> None:
        await exchange.send(head(status, content_type, len(data), **headers) + data)

    return play


def failing(status: int, **headers: str) -> Play:
    """The dialect's own error with that status."""

    async def play(exchange: Exchange) -> None:
        await replying(status, exchange.dialect.error, **headers)(exchange)

    return play


def raw(data: bytes, then: Play) -> Play:
    """Bytes as they are, then something else."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(data)
        await then(exchange)

    return play


def begun(then: Play) -> Play:
    """The head of a good answer, and none of its body."""

    async def play(exchange: Exchange) -> None:
        await exchange.send(_head(exchange))
        await then(exchange)

    return play


def midway(then: Play) -> Play:
    """Half of a good answer. Of a stream that is its first word, and the client has read it before `then`."""

    async def play(exchange: Exchange) -> None:
        if exchange.streams:
            told = exchange.dialect.events[: exchange.dialect.begun]
            await exchange.send(_head(exchange) + b"".join(map(chunk, told)))
            await exchange.passed_on.wait()
        else:
            body = _body(exchange)
            await exchange.send(_head(exchange) + body[: len(body) // 2])
        await then(exchange)

    return play


def _head(exchange: Exchange) -> bytes:
    return head(200, SSE, None) if exchange.streams else head(200, JSON, len(_body(exchange)))


def _body(exchange: Exchange) -> bytes:
    return json.dumps(exchange.dialect.completion).encode()


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def close(exchange: Exchange) -> None:
    exchange.close()


async def silence(exchange: Exchange) -> None:
    await exchange.left()


async def end(exchange: Exchange) -> None:
    """The proper end of a body in chunks."""
    await exchange.send(LAST)


def also(data: bytes, then: Play = end) -> Play:
    """One more piece of a body in chunks."""
    return raw(chunk(data), then)


def rest(leave_out: int) -> Play:
    """The other events of a stream, but for that many at its end, and a proper end of the body."""

    async def play(exchange: Exchange) -> None:
        events = exchange.dialect.events
        told = events[exchange.dialect.begun : len(events) - leave_out]
        await exchange.send(b"".join(map(chunk, told)) + LAST)

    return play


async def error_event(exchange: Exchange) -> None:
    await exchange.send(chunk(exchange.dialect.failure) + LAST)


async def huge_reply(exchange: Exchange) -> None:
    """More JSON than any provider's answer has: 80 MiB."""
    blank = b" " * MEBIBYTE
    await exchange.send(head(200, JSON, 80 * MEBIBYTE))
    for _ in range(80):
        await exchange.send(blank)


async def huge_event(exchange: Exchange) -> None:
    """One event of 80 MiB, in chunks."""
    piece = chunk(b"x" * MEBIBYTE)
    await exchange.send(chunk(b"data: "))
    for _ in range(80):
        await exchange.send(piece)
    await exchange.send(chunk(b"\n\n") + LAST)
