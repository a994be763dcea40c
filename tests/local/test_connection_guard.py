"""Connections of strangers, over real sockets: what they may hold, and for how long."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import httpx
import pytest
import uvicorn

from tests.world import SECRET, USER, world
from tidegate.domain.server_options import ServerOptions
from tidegate.json import encode
from tidegate.local import connection_guard
from tidegate.local.connection_guard import ConnectionGuard
from tidegate.local.listener import listen

MEGABYTE = 1 << 20
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
WRONG = HEAD + b"authorization: Bearer nobody\r\n"
VALID = HEAD + b"authorization: Bearer " + SECRET.encode() + b"\r\n"
BODY = encode({"model": "openai/gpt-4.1-mini", "messages": USER})
CALL = VALID + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)


class QuickGuard(ConnectionGuard):
    head_seconds: ClassVar[float] = 0.3
    body_seconds: ClassVar[float] = 0.4
    linger_seconds: ClassVar[float] = 0.3


class Served:
    """A gateway behind uvicorn with the guard."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server, self.port = server, port

    async def open(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        return reader, writer

    async def all_of(self, sent: bytes) -> bytes:
        """What the server answers until it closes the connection."""
        reader, writer = await self.open(sent)
        answer = await reader.read()
        writer.close()
        return answer

    @property
    def held_bytes(self) -> int:
        return sum(len(each.cycle.body) for each in self.server.server_state.connections if each.cycle)


@asynccontextmanager
async def serving(guard: type[ConnectionGuard] = QuickGuard) -> AsyncIterator[Served]:
    async with asyncio.timeout(20), world(options=ServerOptions(max_body_bytes=10 * MEGABYTE)) as client:
        with listen("127.0.0.1", 0) as listener:
            config = uvicorn.Config(client.app, http=guard, ws="none", lifespan="on", log_level="critical")
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield Served(server, listener.getsockname()[1])
            server.should_exit = True
            await task


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """The rest of what the server sends. It may reset a connection whose client still sends."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer else 0


async def test_a_good_call_passes_and_so_does_the_next_one_of_its_connection() -> None:
    async with serving() as served:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as client:
            headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
            for _ in range(2):
                assert (await client.post("/v1/chat/completions", content=BODY, headers=headers)).status_code == 200
            assert len(served.server.server_state.connections) == 1


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
            peak = max(peak, served.held_bytes)
            await asyncio.sleep(0.01)
        for _, writer in opened:
            writer.close()
        assert peak < 20 * 400_000
        assert served.held_bytes == 0


@pytest.mark.parametrize("half", [b"", b"POST /v1/ch", WRONG, b"\r\n", b"GET /health HTTP/1.1\r\nhost: a\r\n"])
async def test_half_a_head_is_closed_after_a_while(half: bytes) -> None:
    async with serving() as served:
        began = time.monotonic()
        assert status(await served.all_of(half)) == 408
        assert 0.25 < time.monotonic() - began < 10


async def test_a_head_that_trickles_gets_no_more_time() -> None:
    async with serving() as served:
        began = time.monotonic()
        reader, writer = await served.open()
        reading = asyncio.ensure_future(until_closed(reader))
        for byte in HEAD:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
            if reading.done():
                break
        assert status(await reading) in (0, 408)
        assert time.monotonic() - began < 0.02 * len(HEAD)
        writer.close()


async def test_a_second_request_of_a_connection_has_the_same_time() -> None:
    async with serving() as served:
        reader, writer = await served.open(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
        assert status(await reader.readline()) == 200
        await asyncio.sleep(0.05)  # until the reply is complete
        writer.write(b"\r\n")  # nothing of a request, and yet something
        assert b" 408 " in await reader.read()
        writer.close()


async def test_a_body_that_a_caller_withholds_is_a_408() -> None:
    async with serving() as served:
        began = time.monotonic()
        answer = await served.all_of(VALID + b"content-length: 10485760\r\n\r\n" + b"x" * (MEGABYTE))
        assert (status(answer), b'"code":"request_timeout"' in answer) == (408, True)
        assert 0.35 < time.monotonic() - began < 10


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
    async with serving(ConnectionGuard) as served:
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


async def test_many_headers_are_cut_off_like_a_long_one() -> None:
    async with serving(ConnectionGuard) as served:
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
        answer = await served.all_of(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n" * 1000)
        assert answer.count(b"HTTP/1.1 200") <= connection_guard.MAX_PIPELINED + 1


async def test_of_too_many_waiting_connections_the_oldest_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_guard, "MAX_WAITING", 5)
    async with serving(ConnectionGuard) as served:
        opened: list[Any] = []
        for _ in range(8):
            opened.append(await served.open(b"POST /"))
            await asyncio.sleep(0.02)
        closed = [await asyncio.wait_for(reader.read(), 2) for reader, _ in opened[:3]]
        assert closed == [b"", b"", b""]
        assert len(served.server.server_state.connections) == 5
        answer = await served.open(CALL)
        assert status(await answer[0].readline()) == 200
        for _, writer in [*opened, answer]:
            writer.close()


async def test_a_running_call_is_not_limited() -> None:
    """The guard's times end with the request's body."""

    class Short(QuickGuard):
        body_seconds: ClassVar[float] = 0.01

    async with serving(Short) as served:
        reader, writer = await served.open(CALL)
        await asyncio.sleep(0.05)
        assert status(await reader.readline()) == 200
        writer.close()


async def test_a_websocket_is_not_offered() -> None:
    async with serving() as served:
        upgrade = (
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n"
        )
        reader, writer = await served.open(b"GET /health HTTP/1.1\r\nhost: a\r\n" + upgrade + b"\r\n")
        assert status(await reader.readline()) == 200
        writer.close()
