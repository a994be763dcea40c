"""What is refused before an application sees it: requests that two servers could understand in two ways, and junk."""

import asyncio
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, echo, error_code, post, read_replies, running, status, until_closed

POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"

MALFORMED = {
    "both lengths": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
    "both lengths, turned": POST + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc",
    "the same length twice": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +3\r\n\r\nabc",
    "a hexadecimal length": POST + b"content-length: 0x3\r\n\r\nabc",
    "an empty length": POST + b"content-length:\r\n\r\n",
    "a huge length": POST + b"content-length: 99999999999999999999\r\n\r\n",
    "a compressed transfer": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another transfer": POST + b"transfer-encoding: identity\r\n\r\n",
    "a transfer like chunked": POST + b"transfer-encoding: xchunked\r\n\r\n",
    "two transfers": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    "a transfer in two lines": POST + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a folded header": POST + b"x: a\r\n b\r\n\r\n",
    "a line feed alone": b"GET / HTTP/1.1\nhost: a\n\n",
    "a header that ends with a line feed": POST + b"x: a\n\r\n",
    "a carriage return in a header": POST + b"x: a\rb\r\n\r\n",
    "a space before the colon": POST + b"content-length : 3\r\n\r\nabc",
    "a NUL": POST + b"x: a\0b\r\n\r\n",
    "a header without a name": POST + b": a\r\n\r\n",
    "a header without a colon": POST + b"x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
    "an unknown method": b"TIDE / HTTP/1.1\r\nhost: a\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\nhost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    "CONNECT with a path": b"CONNECT /a HTTP/1.1\r\nhost: a\r\n\r\n",
    "a target without a slash": b"GET a HTTP/1.1\r\nhost: a\r\n\r\n",
    "another scheme": b"GET ftp://a/b HTTP/1.1\r\nhost: a\r\n\r\n",
    "a byte beyond ASCII": b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    "a broken address": b"GET http://[a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    "TLS": bytes.fromhex("16030100f8010000f40303"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a reply": b"HTTP/1.1 200 OK\r\n\r\n",
    "junk": b"\x00\x01\x02\x03",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_is_a_400_in_the_envelope_and_the_last_one(name: str) -> None:
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)
        await echo(scope, receive, send)

    async with running(app, QUICK) as server:
        received = await server.all_of(MALFORMED[name] + GET)
    assert (status(received), error_code(received), reached) == (400, "malformed_request", [])
    assert received.count(b"HTTP/1.1 ") == 1 and b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize("version", [b"2.0", b"0.9", b"1.2"])
async def test_another_version_is_refused(version: bytes) -> None:
    async with running(echo, QUICK) as server:
        assert status(await server.all_of(b"GET / HTTP/%b\r\nhost: a\r\n\r\n" % version)) in (400, 505)


BROKEN_CHUNKS = {
    "a size that is not a number": b"3\r\nabc\r\nzz\r\n",
    "a signed size": b"3\r\nabc\r\n+1\r\n",
    "a space before the size": b"3\r\nabc\r\n 1\r\n",
    "a size that overflows": b"3\r\nabc\r\nfffffffffffffffff\r\n",
    "a line feed alone": b"3\r\nabc\r\n1\na\r\n",
    "no line break behind the data": b"3\r\nabcd\r\n",
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
async def test_a_body_that_breaks_is_a_400_and_a_disconnect_for_the_application(name: str) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            pass
        seen.append(message["type"])

    async with running(app, QUICK) as server:
        reader, writer = await server.open(CHUNKED)
        await asyncio.sleep(0.02)
        writer.write(BROKEN_CHUNKS[name])
        received = await until_closed(reader)
        writer.close()
    assert (status(received), error_code(received), seen) == (400, "malformed_request", ["http.disconnect"])


async def test_a_body_that_breaks_after_the_reply_only_closes_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with running(app, QUICK) as server:
        reader, writer = await server.open(CHUNKED)
        assert status(await reader.readuntil(b"\r\n\r\n")) == 401
        writer.write(b"zz\r\n")
        assert await until_closed(reader) == b""
        writer.close()


async def test_a_malformed_request_waits_for_the_replies_before_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    async with running(app, QUICK) as server:
        received = await server.all_of(post(b"one") + post(b"two") + b"junk\r\n\r\n")
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]
    assert received.index(b"one") < received.index(b"two") < received.index(b"malformed_request")


async def test_the_broken_body_of_a_request_that_waits_does_not_harm_the_one_before_it() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await echo(scope, receive, send)

    async with running(app, QUICK) as server:
        reader, writer = await server.open(post(b"one") + CHUNKED + b"zz\r\n")
        await asyncio.sleep(0.05)
        go.set()
        received = await until_closed(reader)
        writer.close()
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


async def test_what_follows_the_last_request_is_not_read() -> None:
    async with running(echo, QUICK) as server:
        last = b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        received = await server.all_of(GET + last + GET + b"junk")
    assert received.count(b"HTTP/1.1 200") == 2 and b"GET /last" in received


async def test_a_sender_of_too_much_can_still_read_why() -> None:
    """The server closes its half, and drops what comes: a reset would take the error from the client."""
    async with running(echo, QUICK) as server:
        reader, writer = await server.open(b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: " + b"y" * 100_000)
        for _ in range(20):
            writer.write(b"y" * 100_000)
            await asyncio.sleep(0.005)
        assert status(await reader.read()) == 431
        writer.close()


async def test_a_refusal_of_head_has_no_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError

    async with running(app, QUICK) as server:
        reader, writer = await server.open(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
        ((number, _, _),) = await read_replies(reader, (b"HEAD",))
        assert (number, await until_closed(reader)) == (500, b"")
        writer.close()
