"""As much of an HTTP/1.1 client as the Runtime API needs: one request at a time, both framings.

Source: RFC 9112. The Runtime API is plain HTTP on the loopback interface, so there is no TLS, proxy or redirect here.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

Fields = Sequence[tuple[str, str]]

_SLOW_BYTES = 64 * 1024
"""The bytes from which on asyncio lets writers wait."""


class ConnectionLost(OSError):
    """The other side closed, or answered something that is not HTTP."""


class Reply(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    """Names in lower case; of a repeated name, the last value."""
    body: bytes


class Connection:
    """A connection that opens when it is first used, and again after it was closed."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Connect, unless connected. Raises `OSError`."""
        if self._streams is not None and self._writer.is_closing():
            self.close()
        if self._streams is None:
            host, _, port = self._authority.rpartition(":")
            self._streams = await asyncio.open_connection(host.strip("[]"), int(port))

    async def request(self, method: str, path: str, fields: Fields = (), body: bytes = b"") -> Reply:
        """Send a whole request and wait for its reply, however long it takes."""
        await self.open()
        length = [("Content-Length", str(len(body)))] if method != "GET" else []
        self.write_head(method, path, [*fields, *length])
        self.write(body)
        reply = await self.reply()
        if reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def write_head(self, method: str, path: str, fields: Fields) -> None:
        """Begin a request on the open connection."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in fields]
        self.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def write_chunk(self, data: bytes) -> None:
        """One chunk of a chunked body; an empty one would end it, so it is left out."""
        if data:
            self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write_last_chunk(self, trailers: Fields = ()) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
        self._writer.write(b"0\r\n" + lines.encode("latin-1") + b"\r\n")

    @property
    def is_slow(self) -> bool:
        """True if the other side has not taken much of what was written."""
        return self._writer.transport.get_write_buffer_size() > _SLOW_BYTES

    async def drain(self) -> None:
        """Wait until the other side takes more. Raises `OSError` once the connection is lost."""
        await self._writer.drain()

    async def reply(self) -> Reply:
        """Read one reply. Raises `ConnectionLost`."""
        try:
            return await _read_reply(self._reader)
        except (EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            self.close()
            raise ConnectionLost("the Runtime API closed the connection before its reply was complete") from error

    async def closed_by_peer(self) -> None:
        """Wait until the other side closes; whatever it still sends is dropped."""
        while self._streams is not None and await self._reader.read(65536):
            pass

    def close(self) -> None:
        if self._streams is not None:
            self._writer.close()
            self._streams = None

    @property
    def _reader(self) -> asyncio.StreamReader:
        return self._opened[0]

    @property
    def _writer(self) -> asyncio.StreamWriter:
        return self._opened[1]

    @property
    def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise ConnectionLost("the connection to the Runtime API is closed")
        return self._streams


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    status = int(start.split(" ", 2)[1])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(status, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)
