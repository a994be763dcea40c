"""Kept connections to one origin, and the pools of all origins that one event loop asks."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from tidegate.transport.connection import Connection
from tidegate.transport.dialer import Dialer, DialLimits
from tidegate.transport.exchange import Exchange
from tidegate.transport.origin import Origin
from tidegate.transport.stale_connections import IDLE_SECONDS

KEEPALIVE_SECONDS = 60.0
"""How long an unused connection is kept."""

MAX_IDLE = 100
"""Unused connections to one origin. Connections in use have no limit here: callers' limits are the gateway's."""


class ConnectionPool:
    """Connections to one origin. `clock` gives wall time: Lambda may stop the monotonic clock."""

    __slots__ = ("_clock", "_dialer", "_idle", "_on_idle", "_open", "origin")

    def __init__(self, origin: Origin, dialer: Dialer, clock: Callable[[], float], on_idle: Callable[[], None]) -> None:
        self.origin = origin
        self._dialer = dialer
        self._clock = clock
        self._on_idle = on_idle
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()

    @property
    def is_empty(self) -> bool:
        return not self._open

    def encode_head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """The head of an `Exchange`, for any number of them. Raises `ValueError` for what HTTP does not allow."""
        return self.origin.encode_head(method, target, headers)

    async def send(self, exchange: Exchange, limits: DialLimits) -> None:
        """Send the request; return once the exchange has its head, or with `max_bytes` the whole response.

        A request is sent again, once, when its connection had been unused for more than `IDLE_SECONDS` and ended
        before a byte of the response: the server has closed it meanwhile. Raises `ExchangeError`, and
        `ProviderMalformed` beyond `max_bytes`; closes the exchange then, and when it is cancelled.
        """
        connection = self._take_idle()
        if connection is not None:
            was_idle = self._clock() - connection.idle_since > IDLE_SECONDS
            connection.start(exchange)
            await exchange.wait()
            if not was_idle or not exchange.was_dropped:
                exchange.check()
                return
            exchange.restart()
        connection = await self._dialer.connect(self.origin, limits, self._make)
        connection.start(exchange)
        await exchange.wait()
        exchange.check()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose exchange has ended."""
        connection.idle_since = self._clock()
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE:
            self._idle.popleft().abort()
        self._on_idle()

    def forget(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close_expired(self) -> bool:
        """Close connections that were unused for `KEEPALIVE_SECONDS`. True if unused ones are left."""
        expired_before = self._clock() - KEEPALIVE_SECONDS
        while self._idle and self._idle[0].idle_since < expired_before:
            self._idle.popleft().abort()
        return bool(self._idle)

    def close(self) -> None:
        """Close all connections, also those in use: their exchanges fail."""
        self._idle.clear()
        for connection in tuple(self._open):
            connection.end()

    def _make(self) -> Connection:
        connection = Connection(self)
        self._open.add(connection)
        return connection

    def _take_idle(self) -> Connection | None:
        expired_before = self._clock() - KEEPALIVE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since >= expired_before:
                return connection
            connection.abort()
        return None


class LoopPools:
    """The pools of one event loop, and the timer that closes their unused connections."""

    __slots__ = ("_clock", "_dialer", "_loop", "_pools", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, dialer: Dialer, clock: Callable[[], float] = time.time) -> None:
        self._loop = loop
        self._dialer = dialer
        self._clock = clock
        self._pools: dict[str, ConnectionPool] = {}
        self._timer: asyncio.TimerHandle | None = None

    def find(self, url: str, parse: Callable[[str], Origin]) -> ConnectionPool:
        """The pool of a URL without a path, whose origin `parse` returns if it is new."""
        pool = self._pools.get(url)
        if pool is None:
            pool = self._pools[url] = ConnectionPool(parse(url), self._dialer, self._clock, self._start_timer)
        return pool

    async def close(self) -> None:
        """Close all connections, also those in use."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pools = tuple(self._pools.values())
        self._pools.clear()
        for pool in pools:
            pool.close()
        for _ in range(10):  # a connection over TLS ends some turns of the loop later
            if all(pool.is_empty for pool in pools):
                break
            await asyncio.sleep(0)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(KEEPALIVE_SECONDS / 2, self._close_expired)

    def _close_expired(self) -> None:
        self._timer = None
        are_left = [pool.close_expired() for pool in self._pools.values()]
        if any(are_left):
            self._start_timer()
