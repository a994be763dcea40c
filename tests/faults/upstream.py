"""A provider that does what it should not: a real HTTP server on 127.0.0.1 whose every byte a fault decides."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tests.faults.replies import Dialect, dialect_of

_MAX_HEAD_BYTES = 1024 * 1024


@dataclass
class Exchange:
    """One request, and the wire back. `number` counts the requests of this upstream from 1."""

    number: int
    path: str
    body: Any
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    passed_on: asyncio.Event

    @property
    def dialect(self) -> Dialect:
        return dialect_of(self.path)

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream")) or "streamGenerateContent" in self.path

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Say nothing until the caller hangs up."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        self.close()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End the connection with a TCP reset: what the caller has not read yet is lost."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Play: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""What is done with one request. A connection that is left open takes the next one."""


@dataclass
class Upstream:
    """`asked` are the requests' bodies, in order; `passed_on` tells the fault that the client has read a first word."""

    port: int
    asked: list[Any] = field(default_factory=list[Any])
    passed_on: asyncio.Event = field(default_factory=asyncio.Event)
    open: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])


@asynccontextmanager
async def hostile(play: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """The upstream for as long as the block lasts: afterwards no connection and no task of it is left."""
    upstream = Upstream(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        upstream.open.add(task)
        try:
            await _serve(upstream, play, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            upstream.open.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=_MAX_HEAD_BYTES)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in upstream.open:
            task.cancel()
        await asyncio.gather(*upstream.open)


async def _serve(upstream: Upstream, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [line[15:] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        body = json.loads(await reader.readexactly(int(lengths[0]) if lengths else 0) or b"{}")
        upstream.asked.append(body)
        await play(Exchange(len(upstream.asked), head.split(" ")[1], body, reader, writer, upstream.passed_on))
