"""Pieces of a reply that its client's connection is given to write at once: the bytes of as many messages."""

import asyncio
import re
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, running

PIECES = (b"a", b"bc", b"", b"d" * 70_000)
REQUESTS = {
    "one request": GET,
    "two sent ahead": GET * 2,
    "HEAD, then another": b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n" + GET,
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "a client that closes": b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
}


def writing(*headers: tuple[bytes, bytes], begins: bool = False) -> Any:
    """An application that writes the parts of its reply at once; also its beginning, if it `begins`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        if begins:
            assert client.begin_reply(200, b"".join(b"\r\n%b: %b" % header for header in headers))
        else:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in PIECES:
            client.write(piece)
        await send({"type": "http.response.body", "body": b"end"})
        assert client.write(b"too late")

    return app


def sending(*headers: tuple[bytes, bytes]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    return app


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("headers", [(), ((b"content-length", b"%d" % (len(b"".join(PIECES)) + 3)),)])
async def test_written_pieces_have_the_bytes_of_messages(
    request_: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    received: list[bytes] = []
    for make in (writing, sending):
        async with running(make(*headers), QUICK) as server:
            received.append(re.sub(rb"date: [^\r]+\r\n", b"", await server.all_of(request_)))
    assert received[0] == received[1] != b""


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_reply_begun_with_lines_has_the_bytes_of_messages(request_: bytes) -> None:
    received: list[bytes] = []
    headers = ((b"content-type", b"text/plain"), (b"x-id", b"a"))
    for app in (writing(*headers, begins=True), sending(*headers)):
        async with running(app, QUICK) as server:
            received.append(re.sub(rb"date: [^\r]+\r\n", b"", await server.all_of(request_)))
    assert received[0] == received[1] != b""


async def test_a_client_that_reads_nothing_is_slow_until_it_reads() -> None:
    is_slow, reads = asyncio.Event(), asyncio.Event()
    steps: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            if not client.write(b"x" * 100_000):
                break
            await asyncio.sleep(0)
        is_slow.set()
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        steps.append("goes on")
        assert reads.is_set()
        await send({"type": "http.response.body", "body": b"end"})

    async with running(app) as server, asyncio.timeout(20):
        reader, writer = await server.open(GET)
        await is_slow.wait()
        await asyncio.sleep(0.1)
        assert steps == []
        reads.set()
        while not (await reader.read(1_000_000)).endswith(b"end\r\n0\r\n\r\n"):
            pass
        writer.close()
    assert steps == ["goes on"]


async def test_what_is_written_to_a_client_that_has_gone_is_dropped() -> None:
    written = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = scope["extensions"]["tidegate.client"]
        left = asyncio.Event()
        client.watch(left.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert client.write(b"a")
        await left.wait()
        assert client.write(b"b")
        written.set()

    async with running(app) as server, asyncio.timeout(5):
        reader, writer = await server.open(GET)
        await reader.readuntil(b"a")
        writer.close()
        await written.wait()
