"""A server whose every byte the test decides, and the transports that ask it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tidegate.transport.aiohttp import AiohttpTransport
from tidegate.transport.base import Transport
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.httpx import HttpxTransport
from tidegate.transport.reqwest import ReqwestTransport
from tidegate.transport.silence import Receive, Recording

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: Value\r\n\r\nok"
Behaviour = Callable[[int, int, asyncio.StreamWriter], Awaitable[None]]
transports = pytest.mark.parametrize("make", [HttptoolsTransport, ReqwestTransport, AiohttpTransport, HttpxTransport])


@asynccontextmanager
async def server(answer: Behaviour) -> AsyncIterator[str]:
    """A server that reads requests and lets `answer(connection, request, writer)` reply; counts from 0."""
    connections = 0
    tasks = set[asyncio.Task[object]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        mine, requests = connections, 0
        connections += 1
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                length = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(length[0] if length else 0)
                await answer(mine, requests, writer)
                await writer.drain()
                requests += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/x"
    finally:
        listening.close()
        for task in tasks:  # some behaviours wait forever
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def serving(make: Callable[[], Transport], answer: Behaviour) -> AsyncIterator[tuple[Transport, str]]:
    """A transport, and the URL of a server that answers so."""
    transport = make()
    try:
        async with server(answer) as url:
            yield transport, url
    finally:
        await transport.close()


async def always_ok(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def recording(record: Callable[[bytes], object]) -> Recording:
    """Return a `Recording` that gives each chunk to `record`, before it is received."""

    def recorded(receive: Receive) -> Receive:
        def record_and_receive(chunk: bytes) -> bool:
            record(chunk)
            return receive(chunk)

        return record_and_receive

    return recorded
