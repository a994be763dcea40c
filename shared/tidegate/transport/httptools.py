"""The transport on a client of our own: asyncio's protocols, and httptools as the parser of responses.

It costs the least processor time, in calls and in chunks. `pool_of` gives calls that prepare their requests what is
below this transport: pools, and exchanges without tasks and timers.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from types import TracebackType

from tidegate.errors import UpstreamError
from tidegate.transport.base import (
    DEFAULT_CONNECT_SECONDS,
    HttpRequest,
    StreamedResponse,
    Timeouts,
    connection_failure,
)
from tidegate.transport.connection import Connection
from tidegate.transport.connection_pool import ConnectionPool, LoopPools
from tidegate.transport.dialer import Dialer, DialLimits
from tidegate.transport.exchange import Exchange, ExchangeError
from tidegate.transport.origin import Origin, parse_origin, split_url
from tidegate.transport.proxies import read_proxies


class HttptoolsTransport:
    """Pools of connections for the life of the process, for each event loop its own.

    A child of a fork has another event loop, so that it never uses its parent's connections. `root_certificate_pem` is
    trusted besides the system's and certifi's authorities.
    """

    def __init__(
        self,
        *,
        connect_seconds: float = DEFAULT_CONNECT_SECONDS,
        root_certificate_pem: bytes | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connect_seconds = connect_seconds
        self._dialer = Dialer(root_certificate_pem)
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pools: LoopPools | None = None
        self._pools_by_loop: dict[asyncio.AbstractEventLoop, LoopPools] = {}
        self._proxies = read_proxies()

    def open(self, request: HttpRequest, timeouts: Timeouts) -> "HttptoolsResponse":
        """See `Transport.open`. A pooled connection that went stale is replaced, once."""
        return HttptoolsResponse(self, request, timeouts)

    def pool_of(self, url: str) -> ConnectionPool:
        """The pool of a URL without a path, in the running event loop. Raises `ValueError`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._pools is None:
            self._loop, self._pools = loop, self._pools_of(loop)
        return self._pools.find(url, self._parse_origin)

    async def send_to_address(self, exchange: Exchange, request: HttpRequest, url: str, limits: DialLimits) -> None:
        """Send the exchange of `request` on a connection of its own to the request's address, past all proxies."""
        origin = parse_origin(url)
        connection = await self._dialer.connect(origin, limits, lambda: Connection(None), request.address)
        connection.start(exchange)
        await exchange.wait()
        exchange.check()

    def encode_head(self, request: HttpRequest, url: str, target: str) -> bytes:
        """The request's head. Raises `ValueError`."""
        origin = parse_origin(url) if request.address is not None else self.pool_of(url).origin
        return origin.encode_head(request.method, target, request.headers)

    async def close(self) -> None:
        """Close the connections of the running event loop, and forget those of closed ones."""
        pools = self._pools_by_loop.pop(asyncio.get_running_loop(), None)
        self._loop = self._pools = None
        if pools is not None:
            await pools.close()

    def _pools_of(self, loop: asyncio.AbstractEventLoop) -> LoopPools:
        for other in [other for other in self._pools_by_loop if other.is_closed()]:
            del self._pools_by_loop[other]
        pools = self._pools_by_loop.get(loop)
        if pools is None:
            pools = self._pools_by_loop[loop] = LoopPools(loop, self._dialer, self._clock)
        return pools

    def _parse_origin(self, url: str) -> Origin:
        origin = parse_origin(url)
        proxy = self._proxies.find_proxy(origin)
        return origin if proxy is None else parse_origin(url, proxy)


class HttptoolsResponse(StreamedResponse):
    """The context of `HttptoolsTransport.open`, and the response that it gives. A generator would cost more."""

    _exchange: Exchange
    _timer: asyncio.TimerHandle

    def __init__(self, transport: HttptoolsTransport, request: HttpRequest, timeouts: Timeouts) -> None:
        self._transport = transport
        self._request = request
        self._timeouts = timeouts

    async def __aenter__(self) -> "HttptoolsResponse":
        request, timeouts = self._request, self._timeouts
        try:
            url, target = split_url(request.url)
            exchange = Exchange(self._transport.encode_head(request, url, target), request.body)
        except ValueError as error:
            raise connection_failure(request, str(error), connecting=True) from None
        self._exchange = exchange
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeouts.total
        self._timer = loop.call_at(deadline, self._expire)
        limits = DialLimits(timeouts.connect or self._transport.connect_seconds, deadline)
        try:
            if request.address is None:
                await self._transport.pool_of(url).send(exchange, limits)
            else:
                await self._transport.send_to_address(exchange, request, url, limits)
        except ExchangeError as error:
            self._leave()
            raise self._translate(error) from None
        except BaseException:
            self._leave()
            raise
        super().__init__(exchange.status, [(name.decode(), _decode(value)) for name, value in exchange.fields])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def content_at(self) -> float | None:
        """When the last content arrived, by the clock of the event loop; None before."""
        return self._exchange.content_at

    async def read(self, limit: int) -> bytes:
        try:
            return await self._exchange.read(limit)
        except ExchangeError as error:
            raise self._translate(error) from None

    async def chunks(self) -> AsyncGenerator[bytes]:
        """See `HttpResponse.chunks`. Each chunk is all that has arrived."""
        try:
            while chunk := await self._exchange.read_chunk():
                yield chunk
        except ExchangeError as error:
            raise self._translate(error) from None

    async def push_chunks(self, take: Callable[[bytes], bool]) -> bool:
        """See `PushedResponse.push_chunks`."""
        push = _Push(self._exchange, take)
        try:
            self._exchange.push_to(push)
            return await push.ended
        except ExchangeError as error:
            raise self._translate(error) from None
        finally:
            self._exchange.hold()
            del push  # an error in it refers to this frame

    def _expire(self) -> None:
        self._exchange.fail(ExchangeError("the deadline passed", timed_out=True))

    def _leave(self) -> None:
        self._timer.cancel()
        self._exchange.close()

    def _translate(self, error: ExchangeError) -> UpstreamError:
        return connection_failure(self._request, error.reason, connecting=not error.was_sent, timed_out=error.timed_out)


class _Push:
    """The `Receiver` of `push_chunks`. `ended` is True if `take` wanted no more, False at the end of the content."""

    __slots__ = ("_exchange", "_take", "ended")

    def __init__(self, exchange: Exchange, take: Callable[[bytes], bool]) -> None:
        self._exchange = exchange
        self._take = take
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def on_chunk(self, chunk: bytes) -> None:
        try:
            wants_more = self._take(chunk)
        except BaseException as error:  # who awaits `ended` gets it, and not the event loop
            self._exchange.hold()
            self.on_error(error)
        else:
            if not wants_more:
                self._exchange.hold()
                self._end(True)

    def on_end(self) -> None:
        self._end(False)

    def on_error(self, error: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def _end(self, wants_no_more: bool) -> None:
        if not self.ended.done():
            self.ended.set_result(wants_no_more)


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
