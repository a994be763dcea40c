"""The transport on aiohttp: the quickest, once it is loaded, which takes too long for a cold start.

It takes a request back at any time: the connection of one that is cancelled is closed at once. That is why
`python -m tidegate serve` uses it, to whom a client that leaves is known.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from yarl import URL

from tidegate.errors import ProviderTimeout, ProviderUnreachable, UpstreamError
from tidegate.transport.base import DEFAULT_CONNECT_SECONDS, HttpRequest, HttpResponse, Timeouts, read_all
from tidegate.transport.stale_connections import StaleConnections, origin_of

KEEPALIVE_SECONDS = 60.0
"""What a connection is kept for."""

CHECK_SECONDS = 1.0
"""How often a silent connection is looked at."""

MAX_HEADER_BYTES = 64 * 1024


class AiohttpTransport:
    """Made within the loop that it is used in. `root_certificate_pem` is trusted beside the usual ones."""

    def __init__(self, *, root_certificate_pem: bytes | None = None, clock: Callable[[], float] = time.time) -> None:
        ssl_context = ssl.create_default_context()
        ssl_context.load_verify_locations(certifi.where())
        if root_certificate_pem:
            ssl_context.load_verify_locations(cadata=root_certificate_pem.decode())
        self._pooled = _session(aiohttp.TCPConnector(limit=0, ssl=ssl_context, keepalive_timeout=KEEPALIVE_SECONDS))
        self._fresh = _session(aiohttp.TCPConnector(limit=0, ssl=ssl_context, force_close=True))
        self._proxies = getproxies()
        self._stale_connections = StaleConnections(clock)

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        """See `Transport.open`. A connection that has died while its origin was idle is replaced, once."""
        deadline = asyncio.get_running_loop().time() + timeouts.total
        try:
            url = URL(request.url, encoded=True)  # a signature is of the very characters
            if request.address is None:
                send = partial(self._send, request, url, timeouts, deadline)
                response = await self._stale_connections.send_with_reconnect(
                    origin_of(request.url), send, aiohttp.ClientError, _is_dropped
                )
            else:
                response = await self._send(request, url, timeouts, deadline, True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translate(error, request.url) from None
        try:
            yield _AiohttpResponse(response, request.url, deadline)
        finally:
            response.close()  # where it was read to its end, the connection is in the pool already

    async def _send(
        self, request: HttpRequest, url: URL, timeouts: Timeouts, deadline: float, is_fresh: bool
    ) -> aiohttp.ClientResponse:
        session = self._fresh if is_fresh else self._pooled
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
                data=request.body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect or DEFAULT_CONNECT_SECONDS),
                proxy=proxy,
                server_hostname=host,
            )

    async def close(self) -> None:
        await self._pooled.close()
        await self._fresh.close()


class _AiohttpResponse:
    def __init__(self, response: aiohttp.ClientResponse, url: str, deadline: float) -> None:
        self._response = response
        self._url = url
        self._deadline = deadline
        self.status: int = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self, limit: int) -> bytes:
        return await read_all(self.chunks(), limit)

    async def chunks(self) -> AsyncGenerator[bytes]:
        """All that has come since, as one piece. What a slow reader has not taken yet is lost with the connection."""
        try:
            while chunk := await self._next_chunk():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _translate(error, self._url) from None

    async def _next_chunk(self) -> bytes:
        """What has come; nothing at the end. A connection of malformed chunks aiohttp 3.14 closes, and tells nobody."""
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


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"user-agent": "tidegate"},
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


def _is_dropped(error: aiohttp.ClientError) -> bool:
    return isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(
        error, aiohttp.ClientConnectorError
    )


def _translate(error: Exception, url: str) -> UpstreamError:
    """Facts for the caller; the URL is cut to its origin, whose path might name an account."""
    try:
        origin = origin_of(url)
    except ValueError:
        return ProviderUnreachable("The provider's URL is not valid.")
    if isinstance(error, TimeoutError):
        step = "could not be reached" if isinstance(error, aiohttp.ConnectionTimeoutError) else "did not answer"
        return ProviderTimeout(f"The provider at {origin} {step} in time.")
    return ProviderUnreachable(f"The connection to the provider at {origin} failed: {_reason(error)}.")


def _reason(error: Exception) -> str:
    # aiohttp quotes what it was given, and what it got.
    match error:
        case aiohttp.ClientConnectorError():
            return str(error.os_error)
        case aiohttp.ServerDisconnectedError():
            return "the server closed it"
        case aiohttp.ClientPayloadError():
            return "the body broke off"
        case aiohttp.ClientResponseError():
            return "the answer is no valid HTTP"
        case OSError():
            return error.strerror or "it broke"
        case _:
            return "the request is no valid HTTP"
