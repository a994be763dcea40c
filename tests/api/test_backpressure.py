"""A provider that is faster than its reader, over real sockets: what is on its way stays little, and nothing is lost.

The reader takes nothing until the provider cannot send any more. What fits between them are the kernel's buffers, some
10 MB on Linux, and a piece in each hand.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.emulators.requests import rest_event
from tests.emulators.wire import Head, read_body, read_head
from tests.world import KEY, SECRET, USER, WORKSPACE, delta, sse
from tidegate.api.app import build_app
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.runtime.environment import Environment
from tidegate.runtime.loop import run, start
from tidegate.server.server import Server, serving
from tidegate.settings import Settings

pytestmark = pytest.mark.slow

EVENT = sse(delta("tide " * 13_000))
EVENTS = 1000
MOST = 32 * 1024 * 1024
"""Bytes: half of what the provider would send."""

CALL = json.dumps({"model": "openai/gpt-4.1-mini", "messages": USER, "stream": True}).encode()
HEADERS = [("content-type", "application/json"), ("authorization", f"Bearer {SECRET}")]


class Flood:
    """A provider that sends as fast as it can. `sent` counts its events."""

    def __init__(self) -> None:
        self.sent = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await read_body(await read_head(reader), reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for _ in range(EVENTS):
                writer.write(EVENT)
                await writer.drain()
                self.sent += 1
            writer.write(sse(delta(finish="stop"), "[DONE]"))
            await writer.drain()
        writer.close()

    async def stuck(self) -> int:
        """How many events it could send, once it could send no more for a second."""
        before, still = 0, 0
        while still < 20:
            still = still + 1 if self.sent == before > 0 else 0
            before = self.sent
            await asyncio.sleep(0.05)
        return before


@asynccontextmanager
async def flooded(transport: str) -> AsyncIterator[tuple[Any, Flood]]:
    """A gateway whose provider is a flood."""
    flood = Flood()

    async def seed(tenants: Tenants, keys: Keys) -> None:
        await tenants.put_workspace(WORKSPACE)
        await keys.put_key(KEY)

    server = await asyncio.start_server(flood.answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        settings = Settings.from_env(
            {
                "TIDEGATE_TABLE": "t",
                "AWS_REGION": "us-east-1",
                "TIDEGATE_TRANSPORT": transport,
                "OPENAI_API_KEY": "provider-secret-1",
                "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            }
        )
        yield build_app(lambda: open_memory_gateway(settings, seed=seed), settings.server_options()), flood


def narrow(port: int) -> socket.socket:
    """A connection that holds little by itself."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    reader.connect(("127.0.0.1", port))
    return reader


async def read_all(reader: asyncio.StreamReader) -> int:
    """How many events there were, of a stream that ends as it should."""
    count, tail = 0, b""
    while piece := await reader.read(1 << 20):
        count += (tail + piece).count(b'"tide ') - tail.count(b'"tide ')
        tail = (tail + piece)[-40:]
    assert b"data: [DONE]" in tail
    return count


@pytest.mark.parametrize("transport", ["httptools", "pyreqwest", "aiohttp", "httpx"])
async def test_the_local_server_reads_no_faster_than_its_client(transport: str) -> None:
    async with flooded(transport) as (app, flood):
        listener = socket.create_server(("127.0.0.1", 0))
        async with serving(Server(app), listener) as (_, port):
            assert await read_slowly(port, flood) == EVENTS


async def read_slowly(port: int, flood: Flood) -> int:
    reader, writer = await asyncio.open_connection(sock=narrow(port))
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: gateway", f"content-length: {len(CALL)}"]
    lines += ["connection: close", *(f"{name}: {value}" for name, value in HEADERS)]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + CALL)
    stuck = await flood.stuck()
    assert 0 < stuck * len(EVENT) < MOST
    count = await read_all(reader)
    writer.close()
    return count


class RuntimeApi:
    """One invocation, whose response is not read until `reads`."""

    def __init__(self, event: bytes) -> None:
        self._event = event
        self.reads = asyncio.Event()
        self.response: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
                if line.startswith(b"GET "):
                    await self._next(writer)
                else:
                    await self._take(reader, writer)
        writer.close()

    async def _next(self, writer: asyncio.StreamWriter) -> None:
        if not self._event:
            await asyncio.Event().wait()
        event, self._event = self._event, b""
        fields = [f"Lambda-Runtime-Deadline-Ms: {(time.time() + 300) * 1000:.0f}", "Lambda-Runtime-Aws-Request-Id: 1"]
        fields += ["Lambda-Runtime-Invoked-Function-Arn: arn", f"Content-Length: {len(event)}"]
        writer.write("\r\n".join(["HTTP/1.1 200 OK", *fields]).encode() + b"\r\n\r\n" + event)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.reads.wait()
        count, tail = 0, b""
        while not tail.endswith(b"0\r\n\r\n"):
            piece = await reader.read(1 << 20)
            count += (tail + piece).count(b'"tide ') - tail.count(b'"tide ')
            tail = (tail + piece)[-40:]
        assert b"data: [DONE]" in tail
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        self.response.set_result(count)


async def test_the_runtime_reads_no_faster_than_lambda_takes() -> None:
    async with flooded("pyreqwest") as (app, flood):
        head = Head("POST", "/v1/chat/completions", HEADERS)
        api = RuntimeApi(json.dumps(rest_event(head, CALL)).encode())
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        door.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(api.serve, sock=door)
        where = f"127.0.0.1:{door.getsockname()[1]}"
        lifespan, service = await start(app, Environment(where, ".", 1, False, False))
        stop = asyncio.Event()
        serving = asyncio.create_task(run(lifespan, service, 1, stop))
        stuck = await flood.stuck()
        assert 0 < stuck * len(EVENT) < MOST
        api.reads.set()
        assert await api.response == EVENTS
        stop.set()
        await serving
        server.close()
