"""The server in the test's own event loop, and clients that write and read bytes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11

from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies
from tidegate.server.server import Server, serving

App = Callable[[Any, Any, Any], Awaitable[None]]

QUICK = ConnectionLimits(
    head_seconds=0.3, body_seconds=0.4, idle_seconds=0.5, linger_seconds=0.3, stall_seconds=0.4, tick_seconds=0.02
)
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def post(body: bytes, *lines: bytes) -> bytes:
    """A request with that body and more header lines."""
    head = [b"POST / HTTP/1.1", b"host: a", b"content-length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Running:
    """A server on a port of this machine."""

    def __init__(self, server: Server, port: int) -> None:
        self.server, self.port = server, port

    async def open(self, sent: bytes = b"", **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        writer.write(sent)
        return reader, writer

    async def all_of(self, sent: bytes) -> bytes:
        """What the server answers until it closes the connection."""
        reader, writer = await self.open(sent)
        answer = await until_closed(reader)
        writer.close()
        return answer

    async def replies(self, sent: bytes, *methods: bytes) -> list[tuple[int, dict[bytes, bytes], bytes]]:
        """The replies to as many requests as there are methods, as h11 understands them."""
        reader, writer = await self.open(sent)
        replies = await read_replies(reader, methods)
        writer.close()
        return replies

    @property
    def connections(self) -> int:
        return len(self.server.state.connections)


@asynccontextmanager
async def running(
    app: App, limits: ConnectionLimits | None = None, proxies: TrustedProxies | None = None, grace_seconds: float = 3.0
) -> AsyncIterator[Running]:
    """Serve until the test is over, at most 20 seconds."""
    async with asyncio.timeout(20):
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(with_lifespan(app), limits=limits, proxies=proxies, grace_seconds=grace_seconds)
        async with serving(server, listener) as (_, port):
            yield Running(server, port)


def with_lifespan(app: App) -> App:
    """The application of requests, with a start that leaves `{"started": True}` for each."""

    async def whole(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return Choosing(whole, app.app_of) if hasattr(app, "app_of") else whole


class Choosing:
    """An application, and how it chooses who answers a request."""

    def __init__(self, app: App, app_of: Callable[[Any], App]) -> None:
        self._app, self.app_of = app, app_of

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """The rest of what the server sends. It may reset a connection whose client still sends."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


async def read_replies(
    reader: asyncio.StreamReader, methods: tuple[bytes, ...]
) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Read one reply for each method."""
    replies: list[tuple[int, dict[bytes, bytes], bytes]] = []
    rest = b""
    for method in methods:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        client.send(h11.EndOfMessage())
        if rest:
            client.receive_data(rest)
        status, headers, body = 0, dict[bytes, bytes](), b""
        while True:
            match client.next_event():
                case h11.NEED_DATA:
                    client.receive_data(await reader.read(65536))
                case h11.Response(status_code=status, headers=raw):
                    headers = dict(raw)
                case h11.Data(data=data):
                    body += bytes(data)
                case h11.EndOfMessage():
                    break
                case event:
                    assert isinstance(event, h11.InformationalResponse), event
        rest = client.trailing_data[0]
        replies.append((status, headers, body))
    return replies


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer else 0


def error_code(answer: bytes) -> str:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]


async def read_body(receive: Any) -> bytes:
    """The whole body of a request."""
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


async def answer(send: Any, body: bytes = b"", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Send a whole reply with its length."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with the method, the path, and the body of the request."""
    body = await read_body(receive)
    await answer(send, b"%b %b " % (scope["method"].encode(), scope["raw_path"]) + body)


async def turns(count: int = 20) -> None:
    """Whatever can go on without waiting does."""
    for _ in range(count):
        await asyncio.sleep(0)


class KeptTransport:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.ended, "written after the end"
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def write_eof(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
