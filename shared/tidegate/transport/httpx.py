"""The transport on httpx: slower than the others, but tests can replace its network, and many people maintain it."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx

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


class HttpxTransport:
    """A transport whose network `inner` replaces in tests: `HttpxTransport(httpx.MockTransport(handler))`."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        certificates = inner is not None or httpx.create_ssl_context()  # 20 ms, so that both clients share it
        self._pooled = _client(inner, certificates, httpx.Limits(max_keepalive_connections=100, max_connections=1000))
        self._unpooled = _client(inner, certificates, httpx.Limits(max_keepalive_connections=0))
        self._stale_connections = StaleConnections(clock)

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        """See `Transport.open`. A pooled connection that went stale is replaced, once."""
        deadline = asyncio.get_running_loop().time() + timeouts.total
        send = partial(self._send, request, timeouts, deadline)
        try:
            if request.address is None:
                response = await self._stale_connections.send_with_reconnect(
                    origin_of(request.url), send, httpx.HTTPError, _is_dropped
                )
            else:
                response = await send(True)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise _translate(error, request) from None
        try:
            yield _HttpxResponse(response, request, deadline)
        finally:
            await response.aclose()

    async def _send(
        self, request: HttpRequest, timeouts: Timeouts, deadline: float, on_new_connection: bool
    ) -> httpx.Response:
        client = self._unpooled if on_new_connection else self._pooled
        connect = httpx.Timeout(None, connect=timeouts.connect or DEFAULT_CONNECT_SECONDS)
        url, headers, extensions = httpx.URL(request.url), dict(request.headers), dict[str, object]()
        if request.address is not None:
            headers["host"] = url.netloc.decode()
            extensions["sni_hostname"] = url.host
            url = url.copy_with(host=request.address)
        http_request = client.build_request(
            request.method, url, headers=headers, content=request.body, timeout=connect, extensions=extensions
        )
        async with asyncio.timeout_at(deadline):
            return await client.send(http_request, stream=True)

    async def close(self) -> None:
        await self._pooled.aclose()
        await self._unpooled.aclose()


class _HttpxResponse(StreamedResponse):
    def __init__(self, response: httpx.Response, request: HttpRequest, deadline: float) -> None:
        super().__init__(response.status_code, response.headers.items())
        self._response = response
        self._request = request
        self._deadline = deadline

    async def chunks(self) -> AsyncGenerator[bytes]:
        body = self._response.aiter_bytes()
        try:
            while True:
                async with asyncio.timeout_at(self._deadline):
                    chunk = await anext(body, None)
                if chunk is None:
                    return
                yield chunk
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
            raise _translate(error, self._request) from None


def _is_dropped(error: httpx.HTTPError) -> bool:
    return isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)


def _client(
    inner: httpx.AsyncBaseTransport | None, certificates: ssl.SSLContext | bool, limits: httpx.Limits
) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=inner,
        verify=certificates,
        follow_redirects=False,
        # `_send` and `chunks` enforce each request's deadline, so that httpx's own timeouts are off.
        timeout=None,  # noqa: S113
        limits=limits,
    )


def _translate(error: Exception, request: HttpRequest) -> UpstreamError:
    # httpx quotes what it refuses to send, for example a key with a line break.
    reason = "the request is not valid HTTP" if isinstance(error, httpx.LocalProtocolError) else str(error)
    connecting = isinstance(
        error, httpx.ConnectTimeout | httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol
    )
    timed_out = isinstance(error, httpx.TimeoutException | TimeoutError)
    return connection_failure(request, reason, connecting=connecting, timed_out=timed_out)
