"""The transport on a client of our own: asyncio's protocols, and httptools as the parser of responses.

It costs the least processor time, in calls and in chunks. `pool_of` gives calls that prepare their requests what is
below this transport: pools, and exchanges without tasks and timers.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType

from tidegate.errors import ProviderMalformed, ProviderTimeout, UpstreamError
from tidegate.transport.base import (
    DEFAULT_CONNECT_SECONDS,
    HttpRequest,
    Timeouts,
    connection_failure,
    read_chunks,
)
from tidegate.transport.connection_pool import ConnectionPool, LoopPools
from tidegate.transport.dialer import Dialer, DialLimits
from tidegate.transport.exchange import Exchange, ExchangeError
from tidegate.transport.origin import Origin, parse_origin, split_url
from tidegate.transport.proxies import read_proxies
from tidegate.transport.silence import Receive, Recording, SelfTimed, receive_any, silence_message


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
        try:
            pool, head = self.prepare(request)
        except ValueError as error:
            raise connection_failure(request, str(error), connecting=True) from None
        return HttptoolsResponse(pool, head, request, timeouts)

    def pool_of(self, url: str) -> ConnectionPool:
        """The pool of a URL without a path, in the running event loop. Raises `ValueError`."""
        return self._enter_loop(asyncio.get_running_loop()).find(url, self._parse_origin)

    def prepare(self, request: HttpRequest) -> tuple[ConnectionPool, bytes]:
        """The pool for the request, in the running event loop, and the request's head. Raises `ValueError`."""
        loop, remembered, pools = asyncio.get_running_loop(), request.remembered_head, self._pools
        if loop is not self._loop or pools is None:
            pools = self._enter_loop(loop)
        if remembered is not None:
            pool = remembered.pool
            if isinstance(pool, ConnectionPool) and pool.pools is pools:
                return pool, remembered.head
        url, target = split_url(request.url)
        if request.address is None:
            pool = pools.find(url, self._parse_origin)
        else:
            pool = ConnectionPool(pools, parse_origin(url), request.address)
        head = pool.encode_head(request.method, target, request.headers)
        if remembered is not None:
            remembered.pool, remembered.head = pool, head
        return pool, head

    async def close(self) -> None:
        """Close the connections of the running event loop, and forget those of closed ones."""
        pools = self._pools_by_loop.pop(asyncio.get_running_loop(), None)
        self._loop = self._pools = None
        if pools is not None:
            await pools.close()

    def _enter_loop(self, loop: asyncio.AbstractEventLoop) -> LoopPools:
        """The pools of the running event loop, which `prepare` finds at once from now on."""
        for other in [other for other in self._pools_by_loop if other.is_closed()]:
            del self._pools_by_loop[other]
        pools = self._pools_by_loop.get(loop)
        if pools is None:
            pools = self._pools_by_loop[loop] = LoopPools(loop, self._dialer, self._clock, self.connect_seconds)
        self._loop, self._pools = loop, pools
        return pools

    def _parse_origin(self, url: str) -> Origin:
        origin = parse_origin(url)
        proxy = self._proxies.find_proxy(origin)
        return origin if proxy is None else parse_origin(url, proxy)


class HttptoolsResponse(Exchange, SelfTimed):
    """The context of `HttptoolsTransport.open`, and the response that it gives. Implements `silence.TimedResponse`."""

    __slots__ = (*("_is_waiting", "_opened_at", "_pool", "_request", "_timeouts", "_timer", "recording"),)

    def __init__(self, pool: ConnectionPool, head: bytes, request: HttpRequest, timeouts: Timeouts) -> None:
        super().__init__(head, request.body)
        self._pool = pool
        self._timer = pool.pools.timer
        self._request = request
        self._timeouts = timeouts
        self._is_waiting = True
        self.recording: Recording | None = None

    async def __aenter__(self) -> "HttptoolsResponse":
        pool, timer, timeouts = self._pool, self._timer, self._timeouts
        self._opened_at = limit = timer.time()
        limit += timeouts.total if timeouts.first_byte is None else min(timeouts.total, timeouts.first_byte)
        if limit < timer.fires_at:
            timer.fire_at(limit)
        timer.watched.add(self)
        try:
            # As `ConnectionPool.send` does, which would be a coroutine more.
            connection = pool.start(self)
            if connection is not None:
                await self.wait()
            if connection is None or self.failure is not None:
                connect_seconds = timeouts.connect or pool.pools.connect_seconds
                await pool.go_on(self, connection, DialLimits(connect_seconds, limit))
        except BaseException as error:
            timer.watched.discard(self)
            self.close()
            if isinstance(error, ExchangeError):
                raise self._translate(error) from None
            raise
        self._is_waiting = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.watched.discard(self)
        if not self.is_complete:
            self.close()

    def take_whole(self, limit: int) -> bytes | None:
        """See `TimedResponse.take_whole`."""
        if not self.is_complete or self.size > limit or self.recording is not None:
            return None
        self._timer.watched.discard(self)
        return b"".join(self.pieces)  # a single piece is not copied

    @property
    def headers(self) -> Mapping[str, str]:
        """See `HttpResponse.headers`. They are decoded when they are asked for."""
        return {name.decode().lower(): _decode(value) for name, value in self.fields}

    async def read(self, limit: int) -> bytes:
        """See `HttpResponse.read`."""
        if self.recording is not None:
            return await read_chunks(self.chunks(), limit)
        if self.is_complete and self.size <= limit:
            return self.take()
        if not self.is_complete:
            self._start_waiting(times_arrivals=True)
        try:
            return await super().read(limit)
        except ExchangeError as error:
            raise self._translate(error) from None
        finally:
            self._is_waiting = False

    async def next_chunk(self) -> bytes | None:
        """See `TimedResponse.next_chunk`. Each chunk is all that has arrived."""
        if not self.pieces:
            self._start_waiting(times_arrivals=False)
        try:
            chunk = await self.read_chunk()
        except ExchangeError as error:
            raise self._translate(error) from None
        finally:
            self._is_waiting = False
        if not chunk:
            return None
        if self.recording is not None:
            self.recording(receive_any)(chunk)
        return chunk

    async def chunks(self) -> AsyncGenerator[bytes]:
        """See `HttpResponse.chunks`."""
        while (chunk := await self.next_chunk()) is not None:
            yield chunk

    async def push_chunks(self, receive: Receive) -> bool:
        """See `TimedResponse.push_chunks`."""
        if self.recording is not None:
            receive = self.recording(receive)
        self._start_waiting(times_arrivals=True)
        try:
            await self.start_pushing(receive)
        finally:
            wants_no_more = self.stop_pushing()
            self._is_waiting = False
        if self.failure is not None and not wants_no_more:
            raise self._translate(self.failure) from None
        return wants_no_more

    def check_time(self, now: float) -> float:
        """See `timer.Watched`: fail if the time is up."""
        if self.is_complete or self.failure is not None:
            return math.inf
        deadline = self._opened_at + self._timeouts.total
        if now >= deadline:
            self.fail(ExchangeError("the deadline passed", timed_out=True))
            return math.inf
        limit = self._silence_limit(now) if self._is_waiting else math.inf
        if now >= limit:
            self.fail(_Silence(silence_message(self._timeouts, self.has_content), timed_out=True))
            return math.inf
        return min(limit, deadline)

    def _silence_limit(self, now: float) -> float:
        """When the server has been silent for too long, or, before its first byte, when to look again."""
        timeouts = self._timeouts
        if not self.has_content and timeouts.first_byte is not None:
            return self._opened_at + timeouts.first_byte
        if timeouts.between is None:
            return math.inf
        return (self.silent_since if self.has_content else now) + timeouts.between

    def _start_waiting(self, *, times_arrivals: bool) -> None:
        """Begin a wait for content. With `times_arrivals`, it goes on when something has arrived."""
        timer = self._timer
        self._is_waiting, self.times_arrivals = True, times_arrivals
        self.silent_since = now = timer.time()
        limit = self._silence_limit(now)
        if limit < timer.fires_at:
            timer.fire_at(limit)

    def _translate(self, error: ExchangeError | ProviderMalformed) -> UpstreamError:
        if isinstance(error, ProviderMalformed):
            return error
        if isinstance(self.failure, _Silence):
            return ProviderTimeout(self.failure.reason)
        return connection_failure(self._request, error.reason, connecting=not error.was_sent, timed_out=error.timed_out)


class _Silence(ExchangeError):
    """The server was silent for too long. `reason` is for callers."""


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
