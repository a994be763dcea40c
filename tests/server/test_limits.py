"""Connections of strangers, over real sockets, before the gateway: what they may hold, and for how long."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.server.serving import QUICK, Running, answer, error_code, read_body, running, status, until_closed
from tests.world import SECRET, USER, world
from tidegate.domain.server_options import ServerOptions
from tidegate.json import encode
from tidegate.server.limits import ConnectionLimits
from tidegate.server.server import Server
from tidegate.server.server import serving as serving_on

MEGABYTE = 1 << 20
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
WRONG = HEAD + b"authorization: Bearer nobody\r\n"
VALID = HEAD + b"authorization: Bearer " + SECRET.encode() + b"\r\n"
BODY = encode({"model": "openai/gpt-4.1-mini", "messages": USER})
CALL = VALID + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
HEALTH = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n"


@asynccontextmanager
async def serving(limits: ConnectionLimits = QUICK) -> AsyncIterator[Running]:
    """A gateway behind the server."""
    async with asyncio.timeout(20), world(options=ServerOptions(max_body_bytes=10 * MEGABYTE)) as client:
        server = Server(client.app, limits=limits)
        async with serving_on(server, socket.create_server(("127.0.0.1", 0))) as (_, port):
            yield Running(server, port)


def held_bytes(served: Running) -> int:
    connections: Any = served.server.state.connections
    exchanges = [exchange for each in connections for exchange in (each._exchange, each._incoming, *each._queue)]
    return sum(exchange.buffered_bytes for exchange in exchanges if exchange is not None)


async def test_a_good_call_passes_and_so_does_the_next_one_of_its_connection() -> None:
    async with serving() as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as client:
            headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
            for _ in range(2):
                assert (await client.post("/v1/chat/completions", content=BODY, headers=headers)).status_code == 200
            assert served.connections == 1


@pytest.mark.parametrize("framing", [b"content-length: 10485760\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
async def test_a_stranger_is_refused_before_the_body_has_come(framing: bytes) -> None:
    async with serving() as served:
        began = time.monotonic()
        reader, writer = await served.open(WRONG + framing)
        assert status(await reader.readline()) == 401
        await reader.read()  # until the server closes
        assert 0.25 < time.monotonic() - began < 10
        writer.close()


async def test_bodies_of_strangers_are_not_held() -> None:
    """Twenty bodies of 10 MB, of which the last ten bytes never come."""
    async with serving() as served:
        flood = b"x" * (10 * MEGABYTE - 10)
        opened = [await served.open(WRONG + b"content-length: 10485760\r\n\r\n") for _ in range(20)]
        replies = asyncio.gather(*(reader.readline() for reader, _ in opened))
        for _, writer in opened:
            writer.write(flood)
        peak = 0
        assert {status(reply) for reply in await replies} == {401}
        closing = asyncio.gather(*(until_closed(reader) for reader, _ in opened))
        while not closing.done():
            peak = max(peak, held_bytes(served))
            await asyncio.sleep(0.01)
        for _, writer in opened:
            writer.close()
        assert peak < 20 * 400_000
        assert held_bytes(served) == 0


@pytest.mark.parametrize("half", [b"", b"POST /v1/ch", WRONG, b"\r\n", b"GET /health HTTP/1.1\r\nhost: a\r\n"])
async def test_half_a_head_is_closed_after_a_while(half: bytes) -> None:
    async with serving() as served:
        began = time.monotonic()
        received = await served.all_of(half)
        assert (status(received), error_code(received)) == (408, "request_timeout")
        assert 0.25 < time.monotonic() - began < 10


@pytest.mark.parametrize("first", [b"", HEALTH], ids=["first", "further"])
async def test_a_head_that_trickles_gets_no_more_time(first: bytes) -> None:
    async with serving() as served:
        reader, writer = await served.open(first)
        if first:
            assert status(await reader.readline()) == 200
        began = time.monotonic()
        reading = asyncio.ensure_future(until_closed(reader))
        for byte in HEAD:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
            if reading.done():
                break
        assert b" 408 " in await reading or not first
        assert time.monotonic() - began < 0.02 * len(HEAD)
        writer.close()


async def test_a_second_request_of_a_connection_has_the_same_time() -> None:
    async with serving() as served:
        reader, writer = await served.open(HEALTH)
        assert status(await reader.readline()) == 200
        await asyncio.sleep(0.05)  # until the reply is complete
        writer.write(b"\r\n")  # nothing of a request, and yet something
        assert b" 408 " in await reader.read()
        writer.close()


async def test_half_a_head_behind_a_request_has_the_same_time() -> None:
    async with serving() as served:
        received = await served.all_of(HEALTH + b"GET /hea")
        assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]


async def test_a_connection_without_a_further_request_is_closed_without_an_error() -> None:
    async with serving() as served:
        began = time.monotonic()
        received = await served.all_of(HEALTH)
        assert received.count(b"HTTP/1.1 ") == 1
        assert 0.45 < time.monotonic() - began < 10


async def test_a_body_that_a_caller_withholds_is_a_408() -> None:
    async with serving() as served:
        began = time.monotonic()
        received = await served.all_of(VALID + b"content-length: 10485760\r\n\r\n" + b"x" * (MEGABYTE))
        assert (status(received), error_code(received)) == (408, "request_timeout")
        assert 0.35 < time.monotonic() - began < 10


async def test_a_body_that_the_application_does_not_read_yet_is_not_late() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer(send, b"%d" % len(await read_body(receive)))

    async with running(app, QUICK) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n")
        writer.write(b"x" * 3_000_000)
        await asyncio.sleep(0.6)
        go.set()
        assert status(await reader.readline()) == 200
        writer.close()


async def test_a_body_over_the_limit_is_refused_before_it_has_come() -> None:
    async with serving() as served:
        reader, writer = await served.open(VALID + b"content-length: 10485761\r\n\r\n")
        assert status(await reader.readline()) == 413
        writer.close()


@pytest.mark.parametrize(
    "start",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nx: ",
        WRONG + b"transfer-encoding: chunked\r\n\r\n1;",
        WRONG + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx: ",
    ],
    ids=["target", "header", "chunk", "trailer"],
)
async def test_endless_heads_chunks_and_trailers_are_cut_off(start: bytes) -> None:
    limits = ConnectionLimits(linger_seconds=0.3, tick_seconds=0.02)
    async with serving(limits) as served:
        reader, writer = await served.open(start)
        sent = 0
        reading = asyncio.ensure_future(until_closed(reader))
        while not reading.done():
            writer.write(b"y" * 8192)
            sent += 8192
            await asyncio.sleep(0.002)
            assert sent < 4 * MEGABYTE
        assert status(reading.result()) in (0, 401, 431)
        writer.close()


@pytest.mark.parametrize("in_one_piece", [True, False])
async def test_a_head_of_exactly_as_many_bytes_as_are_allowed(in_one_piece: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)

    start, end = b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"\r\n\r\n"
    # Of the head, the target and the headers count.
    fitting = QUICK.max_head_bytes - len(b"/host: a\r\nx: \r\n")
    async with running(app, QUICK) as server:
        for length, expected in ((fitting - 100, 200), (fitting + 100, 431)):
            request = start + b"y" * length + end
            reader, writer = await server.open()
            for piece in (
                [request] if in_one_piece else [request[at : at + 5000] for at in range(0, len(request), 5000)]
            ):
                writer.write(piece)
                await asyncio.sleep(0)
            assert status(await reader.readuntil(b"\r\n\r\n")) == expected
            writer.close()


@pytest.mark.parametrize(("count", "expected"), [(127, 200), (128, 431)])
async def test_a_head_may_have_so_many_headers(count: int, expected: int) -> None:
    async with serving() as served:
        reader, writer = await served.open(HEALTH[:-2] + b"".join(b"x-%d: y\r\n" % at for at in range(count)) + b"\r\n")
        assert status(await reader.readline()) == expected
        writer.close()


async def test_many_headers_are_cut_off_like_a_long_one() -> None:
    async with serving(ConnectionLimits(linger_seconds=0.3, tick_seconds=0.02)) as served:
        reader, writer = await served.open(HEAD)
        reading = asyncio.ensure_future(until_closed(reader))
        sent = 0
        while not reading.done():
            writer.write(b"".join(b"x-%09d: y\r\n" % number for number in range(500)))
            sent += 8000
            await asyncio.sleep(0.002)
            assert sent < 4 * MEGABYTE
        assert status(reading.result()) in (0, 431)
        writer.close()


async def test_requests_that_are_sent_ahead_are_few() -> None:
    async with serving() as served:
        received = await served.all_of(HEALTH * 1000)
        assert received.count(b"HTTP/1.1 200") == QUICK.max_pipelined + 1


async def test_of_too_many_waiting_connections_the_oldest_is_closed() -> None:
    async with serving(ConnectionLimits(max_waiting=5, tick_seconds=60)) as served:
        opened: list[Any] = []
        for _ in range(8):
            opened.append(await served.open(b"POST /"))
            await asyncio.sleep(0.02)
        closed = [await asyncio.wait_for(reader.read(), 2) for reader, _ in opened[:3]]
        assert closed == [b"", b"", b""]
        assert served.connections == 5
        call = await served.open(CALL)
        assert status(await call[0].readline()) == 200
        for _, writer in [*opened, call]:
            writer.close()


async def test_connections_that_wait_again_after_their_reply_are_counted_too() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer(send)

    async with running(app, ConnectionLimits(max_waiting=2, tick_seconds=0.02)) as server:
        opened = [await server.open(HEALTH) for _ in range(5)]
        await asyncio.sleep(0.1)
        assert (server.connections, len(server.server.state.waiting)) == (5, 0)
        go.set()
        await asyncio.sleep(0.1)
        assert server.connections == len(server.server.state.waiting) == 2
        for reader, writer in opened:
            assert status(await reader.readline()) == 200
            writer.close()


async def test_a_request_waits_while_too_many_are_answered_and_not_ended() -> None:
    begun: list[asyncio.Event] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        recorded = asyncio.Event()
        begun.append(recorded)
        await answer(send)
        await recorded.wait()

    async with running(app, ConnectionLimits(max_unsettled=2)) as server:
        opened = [await server.open(HEALTH) for _ in range(5)]
        for ended in range(3):
            await asyncio.sleep(0.05)
            assert (len(begun), server.server.state.unsettled) == (2 + ended, 2)
            begun[ended].set()
        await asyncio.sleep(0.05)
        assert len(begun) == 5
        for recorded in begun:
            recorded.set()
        assert [status(await reader.readline()) for reader, _ in opened] == [200] * 5
        await asyncio.sleep(0.05)
        assert server.server.state.unsettled == 0
        for _, writer in opened:
            writer.close()


@pytest.mark.parametrize("failure", ["a crash", "no reply", "a client that goes"])
async def test_a_request_without_a_reply_leaves_nothing_unsettled(failure: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if failure == "a crash":
            raise ValueError
        if failure == "a client that goes":
            while (await receive())["type"] != "http.disconnect":
                pass

    async with running(app, ConnectionLimits(max_unsettled=1)) as server:
        for _ in range(3):
            reader, writer = await server.open(HEALTH)
            if failure != "a client that goes":
                assert status(await until_closed(reader)) == 500
            writer.close()
        await asyncio.sleep(0.05)
        assert (server.server.state.unsettled, server.server.state.exchanges) == (0, set())


async def test_a_running_call_is_not_limited() -> None:
    """The limits end with the request's body."""
    async with serving(replace(QUICK, body_seconds=0.01)) as served:
        reader, writer = await served.open(CALL)
        await asyncio.sleep(0.1)
        assert status(await reader.readline()) == 200
        writer.close()


async def test_a_websocket_is_not_offered() -> None:
    async with serving() as served:
        upgrade = (
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        for path, expected in ((b"/health", 200), (b"/v1/responses", 426)):
            reader, writer = await served.open(b"GET %b HTTP/1.1\r\nhost: a\r\n" % path + upgrade)
            assert status(await reader.readline()) == expected
            writer.close()


async def test_all_deadlines_share_one_timer() -> None:
    async with serving(ConnectionLimits()) as served:
        opened = [await served.open(half) for half in (b"", b"POST /", HEALTH, WRONG + b"content-length: 9\r\n\r\n")]
        await asyncio.sleep(0.1)
        loop: Any = asyncio.get_running_loop()
        timers = [repr(each) for each in loop._scheduled if not each.cancelled()]
        own = [timer for timer in timers if "Timeout._on_timeout" not in timer]  # the test has a timeout
        assert len(own) == 1 and "Server._tick" in own[0]
        for _, writer in opened:
            writer.close()
