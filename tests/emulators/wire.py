"""The server side of HTTP/1.1, as little of it as the gateway model needs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

Handler = Callable[["Head", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Head:
    method: str
    target: str
    pairs: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header, its name in lower case."""
        return next((value for key, value in self.pairs if key.lower() == name), default)


async def read_head(reader: asyncio.StreamReader) -> Head:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = start.split(" ")
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Head(method, target, pairs)


async def read_body(head: Head, reader: asyncio.StreamReader) -> bytes:
    if head.get("transfer-encoding").lower() == "chunked":
        body = b"".join([chunk async for chunk in read_chunks(reader)])
        await read_trailers(reader)
        return body
    return await reader.readexactly(int(head.get("content-length", "0")))


async def read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The chunks up to the last; the trailers are still to be read."""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def read_trailers(reader: asyncio.StreamReader) -> dict[str, str]:
    trailers: dict[str, str] = {}
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip().lower()] = value.strip()
    return trailers


def write_reply(
    writer: asyncio.StreamWriter, status: int, body: bytes = b"", pairs: list[tuple[str, str]] | None = None
) -> None:
    lines = [f"HTTP/1.1 {status} Reply", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in pairs or []]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


@asynccontextmanager
async def listening(handler: Handler, port: int = 0) -> AsyncIterator[int]:
    """Answer every request on 127.0.0.1 with `handler`; yields the port."""
    writers: set[asyncio.StreamWriter] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        writers.add(writer)
        tasks.add(task)
        with suppress(EOFError, ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                await handler(await read_head(reader), reader, writer)
                await writer.drain()
        writers.discard(writer)
        tasks.discard(task)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)
        await server.wait_closed()
