"""The transport on aiohttp: fast once it is loaded, and kept by many people; its import takes 120 ms."""

import asyncio
import io
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from yarl import URL

from tidegate.errors import UpstreamError
from tidegate.transport.base import (
    DEFAULT_CONNECT_SECONDS,
    HttpRequest,
    HttpResponse,
    StreamedResponse,
    Timeouts,
    connection_failure,
    origin_of,
)
from tidegate.transport.stale_connections import StaleConnections

KEEPALIVE_SECONDS = 60.0
"""How long an unused connection stays in the pool."""

CHECK_SECONDS = 1.0
"""How often a response without data is checked for a closed connection."""

MAX_HEADER_BYTES = 64 * 1024

LARGE_BODY_BYTES = 1024 * 1024
"""aiohttp warns of larger bodies in one piece."""


class AiohttpTransport:
    """Must be created in the event loop that uses it. `root_certificate_pem` is trusted besides certifi's."""

    def __init__(self, *, root_certificate_pem: bytes | None = None, clock: Callable[[], float] = time.time) -> None:
        ssl_context = ssl.create_default_context()
        ssl_context.load_verify_locations(certifi.where())
        if root_certificate_pem:
            ssl_context.load_verify_locations(cadata=root_certificate_pem.decode())
        self._pooled = _session(aiohttp.TCPConnector(limit=0, ssl=ssl_context, keepalive_timeout=KEEPALIVE_SECONDS))
        self._unpooled = _session(aiohttp.TCPConnector(limit=0, ssl=ssl_context, force_close=True))
        self._proxies = getproxies()
        self._stale_connections = StaleConnections(clock)

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        """See `Transport.open`. A pooled connection that went stale is replaced, once."""
        deadline = asyncio.get_running_loop().time() + timeouts.total
        try:
            url = URL(request.url, encoded=True)  # the signature covers the URL as it is written
            if request.address is None:
                send = partial(self._send, request, url, timeouts, deadline)
                response = await self._stale_connections.send_with_reconnect(
                    origin_of(request.url), send, aiohttp.ClientError, _is_dropped
                )
            else:
                response = await self._send(request, url, timeouts, deadline, True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translate(error, request) from None
        try:
            yield _AiohttpResponse(response, request, deadline)
        finally:
            response.close()  # after a complete read, the connection is in the pool already

    async def _send(
        self, request: HttpRequest, url: URL, timeouts: Timeouts, deadline: float, on_new_connection: bool
    ) -> aiohttp.ClientResponse:
        session = self._unpooled if on_new_connection else self._pooled
        headers, host, proxy = dict(request.headers), None, None
        if request.address is not None:
            headers["host"], host = url.raw_authority, url.host
            url = url.with_host(request.address)
        elif self._proxies and not proxy_bypass(url.authority):
            proxy = self._proxies.get(url.scheme)
        async with asyncio.timeout_at(deadline):
            return await session.request(
                request.method,
                url,
                headers=headers,
                data=_payload(request.body),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect or DEFAULT_CONNECT_SECONDS),
                proxy=proxy,
                server_hostname=host,
            )

    async def close(self) -> None:
        await self._pooled.close()
        await self._unpooled.close()


class _AiohttpResponse(StreamedResponse):
    def __init__(self, response: aiohttp.ClientResponse, request: HttpRequest, deadline: float) -> None:
        super().__init__(response.status, response.headers.items())
        self._response = response
        self._request = request
        self._deadline = deadline

    async def chunks(self) -> AsyncGenerator[bytes]:
        """See `HttpResponse.chunks`. Each chunk is all that has arrived. What was not read yet is lost on a failure."""
        try:
            while chunk := await self._next_chunk():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translate(error, self._request) from None

    async def _next_chunk(self) -> bytes:
        """The bytes that have arrived; empty at the end of the body.

        aiohttp 3.14 closes a connection with malformed chunks without an error, so the connection is checked as well.
        """
        loop, content = asyncio.get_running_loop(), self._response.content
        while True:
            try:
                async with asyncio.timeout_at(min(self._deadline, loop.time() + CHECK_SECONDS)):
                    return await content.readany()
            except TimeoutError:
                if loop.time() >= self._deadline:
                    raise
                connection = self._response.connection
                if connection is None or connection.transport is None or connection.transport.is_closing():
                    raise aiohttp.ClientPayloadError from None


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    """The body, from which aiohttp writes a large one in pieces if it is a file: other calls need the event loop."""
    return io.BytesIO(body) if len(body) > LARGE_BODY_BYTES else body or None


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": "tidegate"},
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


def _is_dropped(error: aiohttp.ClientError) -> bool:
    is_lost = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    return is_lost and not isinstance(error, aiohttp.ClientConnectorError)


def _translate(error: Exception, request: HttpRequest) -> UpstreamError:
    connecting = isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError | ValueError)
    timed_out = isinstance(error, TimeoutError)
    return connection_failure(request, _reason(error), connecting=connecting, timed_out=timed_out)


def _reason(error: Exception) -> str:
    # aiohttp's own messages quote the request and the response.
    match error:
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientPayloadError():
            return "the body is incomplete"
        case aiohttp.ClientResponseError():
            return "the response is not valid HTTP"
        case OSError():
            return error.strerror or "the connection broke"
        case _:
            return "the request is not valid HTTP"
