"""Replies as clients get them: heads, framings, backpressure, and what follows an application's mistakes."""

import asyncio
import logging
import re
import socket
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.server.serving import (
    GET,
    QUICK,
    answer,
    echo,
    error_code,
    read_body,
    read_replies,
    running,
    status,
    turns,
    until_closed,
)
from tidegate.server.limits import ConnectionLimits

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
WITH_LENGTH = START | {"headers": [(b"content-length", b"5")]}


def piece(body: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def sending(*messages: dict[str, Any]) -> Any:
    """An application that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


async def raw(app: Any, request: bytes = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) -> bytes:
    async with running(app, QUICK) as server:
        return await server.all_of(request)


async def test_a_reply_has_a_date_and_the_headers_of_the_application_in_one_segment() -> None:
    async with running(echo) as server:
        reader, writer = await server.open(GET)
        received = await reader.read(65536)
        writer.close()
    date = re.search(rb"date: ([^\r]+)\r\n", received)
    assert date is not None and parsedate_to_datetime(date[1].decode()).tzinfo is not None
    assert received.replace(date[0], b"") == b"HTTP/1.1 200 OK\r\nserver: tidegate\r\ncontent-length: 6\r\n\r\nGET / "


@pytest.mark.parametrize(("number", "line"), [(200, b"200 OK"), (404, b"404 Not Found"), (599, b"599 ")])
async def test_a_status_line(number: int, line: bytes) -> None:
    assert (await raw(sending(START | {"status": number}, piece()))).startswith(b"HTTP/1.1 " + line + b"\r\n")


async def test_a_reply_without_a_length_is_sent_in_chunks() -> None:
    app = sending(START, piece(b"The ", more=True), piece(b"", more=True), piece(b"tide", more=True), piece())
    received = await raw(app)
    assert b"\r\ntransfer-encoding: chunked\r\n" in received
    assert received.partition(b"\r\n\r\n")[2] == b"4\r\nThe \r\n4\r\ntide\r\n0\r\n\r\n"


async def test_a_client_of_http_1_0_gets_the_body_as_it_is_and_a_closed_connection() -> None:
    received = await raw(sending(START, piece(b"The ", more=True), piece(b"tide")), b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    assert (body, b"chunked" in head, head.endswith(b"\r\nconnection: close")) == (b"The tide", False, True)


async def test_a_head_is_sent_with_the_first_piece_and_each_piece_at_once() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"one", more=True))
        await go.wait()
        await send(piece(b"two"))

    async with running(app) as server:
        reader, writer = await server.open(GET)
        assert (await reader.read(65536)).endswith(b"\r\n\r\n3\r\none\r\n")
        go.set()
        assert await reader.read(65536) == b"3\r\ntwo\r\n0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize("headers", [[(b"content-length", b"5")], []])
async def test_head_gets_no_body_and_the_connection_is_used_again(headers: Any) -> None:
    app = sending(START | {"headers": headers}, piece(b"tides"))
    async with running(app) as server:
        replies = await server.replies(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n" * 2, b"HEAD", b"HEAD")
    assert [(reply[0], reply[2]) for reply in replies] == [(200, b"")] * 2
    assert replies[0][1].get(b"content-length") == (b"5" if headers else None)


@pytest.mark.parametrize("number", [204, 304])
async def test_a_status_that_forbids_a_body_has_none(number: int) -> None:
    async with running(sending(START | {"status": number}, piece(b""))) as server:
        replies = await server.replies(GET * 2, b"GET", b"GET")
    assert [(reply[0], reply[1].get(b"transfer-encoding"), reply[2]) for reply in replies] == [(number, None, b"")] * 2


@pytest.mark.parametrize(
    ("request_line", "own", "closes"),
    [
        (b"", (), False),
        (b"connection: keep-alive\r\n", (), False),
        (b"connection: close\r\n", (), True),
        (b"Connection: Keep-Alive, Close\r\n", (), True),
        (b"", ((b"connection", b"close"),), True),
        (b"", ((b"connection", b"keep-alive"),), False),
        (b"", ((b"transfer-encoding", b"chunked"),), False),
    ],
)
async def test_a_connection_is_closed_if_either_side_wants_it(request_line: bytes, own: Any, closes: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"tide", 200, *own)

    async with running(app, QUICK) as server:
        reader, writer = await server.open(b"GET / HTTP/1.1\r\nhost: a\r\n" + request_line + b"\r\n" + GET)
        (reply,) = await read_replies(reader, (b"GET",)) if closes else (await read_replies(reader, (b"GET",) * 2))[:1]
        assert (reply[2], reply[1].get(b"connection")) == (b"tide", b"close" if closes else None)
        if closes:
            assert await until_closed(reader) == b""
        writer.close()


async def test_an_upper_case_close_of_the_application_counts() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"", 200, (b"Connection", b"Close"))

    assert (await raw(app, GET)).count(b"onnection: close") == 1


async def test_a_long_body_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    for start in (START, START | {"headers": [(b"content-length", b"%d" % len(body))]}):
        async with running(sending(start, piece(body))) as server:
            assert [reply[2] == body for reply in await server.replies(GET * 2, b"GET", b"GET")] == [True, True]


CRASHES: dict[str, tuple[Any, ...]] = {
    "before the head": (),
    "after the head": (START,),
    "a header with a line break": (START | {"headers": [(b"x", b"a\r\nset-cookie: b")]}, piece()),
    "a header with a bare line feed": (START | {"headers": [(b"x", b"a\nb: c")]}, piece()),
    "a name with a line break": (START | {"headers": [(b"x: y\r\nz", b"a")]}, piece()),
    "a NUL": (START | {"headers": [(b"x", b"a\0")]}, piece()),
    "a body before the head": (piece(b"x"),),
    "two heads": (START, START),
    "an unknown status": (START | {"status": 99}, piece()),
    "a body that is too long": (WITH_LENGTH, piece(b"123456")),
    "a body that is too short": (WITH_LENGTH, piece(b"1234")),
}


@pytest.mark.parametrize("name", CRASHES)
async def test_a_crash_before_the_reply_has_begun_is_a_500_in_the_envelope(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    messages = CRASHES[name]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(*messages)(scope, receive, send)
        raise ValueError("the prompt")

    received = await raw(app, GET)
    assert (status(received), error_code(received)) == (500, "internal_error")
    assert b"the prompt" not in received and b"set-cookie" not in received
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["application.crashed"]


@pytest.mark.parametrize("crashes", [True, False])
async def test_a_reply_that_breaks_off_is_not_complete(crashes: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sending(START, piece(b"The", more=True))(scope, receive, send)
        if crashes:
            raise ValueError

    received = await raw(app, GET)
    assert received.endswith(b"3\r\nThe\r\n")
    assert [record.message for record in caplog.records] == ["application.crashed" if crashes else "reply.incomplete"]


async def test_an_application_that_goes_on_after_its_reply_does_not_delay_the_next_one() -> None:
    settled = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"tide")
        await settled.wait()

    async with running(app) as server:
        assert len(await server.replies(GET * 3, b"GET", b"GET", b"GET")) == 3
        assert len(server.server.state.exchanges) == 3
        settled.set()
        await turns()
        assert server.server.state.exchanges == set()


async def test_a_message_after_the_reply_is_an_error_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    assert status(await raw(sending(START, piece(), piece()))) == 200
    assert [record.message for record in caplog.records] == ["application.crashed"]


def narrow(port: int) -> socket.socket:
    """A connection that takes little before it is read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


class Flood:
    """An application that writes 10 MB in pieces, as fast as it may."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await read_body(receive)
            await send(START)
            for _ in range(1000):
                await send(piece(b"x" * 10_000, more=True))
                self.sent += 10_000
            await send(piece())
        finally:
            self.ended.set()


async def test_a_client_that_reads_nothing_stops_the_application() -> None:
    flood = Flood()
    async with running(flood) as server:
        reader, writer = await asyncio.open_connection(sock=narrow(server.port))
        writer.write(GET)
        await asyncio.sleep(0.3)
        stuck = flood.sent
        await asyncio.sleep(0.2)
        assert flood.sent == stuck < 9_000_000
        (connection,) = server.server.state.connections
        unsent = connection._transport.get_write_buffer_size()  # type: ignore[attr-defined]
        assert 0 < unsent < 100_000
        ((_, _, body),) = await read_replies(reader, (b"GET",))
        assert (len(body), flood.sent) == (10_000_000, 10_000_000)
        writer.close()


@pytest.mark.parametrize("whole", [True, False], ids=["a whole reply", "a stream"])
async def test_a_client_that_takes_nothing_for_long_loses_its_connection(whole: bool) -> None:
    flood = Flood()
    app = sending(START, piece(b"x" * 50_000_000)) if whole else flood
    async with running(app, QUICK) as server:
        client = narrow(server.port)
        client.send(GET)
        await asyncio.sleep(0.2)
        assert server.connections == 1
        async with asyncio.timeout(3):
            while server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            if not whole:
                await flood.ended.wait()
        assert server.server.state.exchanges == set()
        client.close()


async def test_a_client_that_reads_slowly_keeps_its_connection() -> None:
    flood = Flood()
    limits = ConnectionLimits(stall_seconds=0.5, tick_seconds=0.02)
    async with running(flood, limits) as server:
        reader, writer = await asyncio.open_connection(sock=narrow(server.port), limit=4096)
        writer.write(GET)
        for _ in range(20):
            await reader.readexactly(100_000)
            await asyncio.sleep(0.05)
        assert server.connections == 1
        writer.close()
