"""Kept connections to one origin, and the pools of all origins that one event loop asks."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping

from tidegate.timer import LOOP_TIMERS
from tidegate.transport.base import DEFAULT_CONNECT_SECONDS, IDLE_SECONDS
from tidegate.transport.connection import Connection
from tidegate.transport.dialer import Dialer, DialLimits
from tidegate.transport.exchange import Exchange, ExchangeError
from tidegate.transport.origin import Origin

KEEPALIVE_SECONDS = 60.0
"""How long an unused connection is kept."""

MAX_IDLE = 100
"""Unused connections to one origin. Connections in use have no limit here: callers' limits are the gateway's."""


class ConnectionPool:
    """Connections to one origin. With an `address`, they go there, past all proxies, and none of them is kept."""

    __slots__ = ("_address", "_clock", "_idle", "_open", "origin", "pools")

    def __init__(self, pools: "LoopPools", origin: Origin, address: str | None = None) -> None:
        self.pools = pools
        self.origin = origin
        self._address = address
        self._clock = pools.clock
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
        try:
            connection = self.start(exchange)
            if connection is not None:
                await exchange.wait()
            if connection is None or exchange.failure is not None:
                await self.go_on(exchange, connection, limits)
        except BaseException:
            exchange.close()
            raise

    def start(self, exchange: Exchange) -> Connection | None:
        """Begin `send`: send the request on a kept connection, and return that. None: no connection was kept.

        Await the exchange's `wait()` then. Without a connection, or if the exchange has failed, `go_on`.
        """
        idle, now = self._idle, self._clock()
        while idle:
            connection = idle.pop()
            unused_seconds = now - connection.idle_since
            if unused_seconds <= KEEPALIVE_SECONDS and connection.start(exchange):
                connection.may_be_stale = unused_seconds > IDLE_SECONDS
                return connection
            connection.abort()
        return None

    async def go_on(self, exchange: Exchange, connection: Connection | None, limits: DialLimits) -> None:
        """End `send`, if `connection`, which `start` returned, had no answer: send the request on a new one."""
        if connection is not None:
            if not connection.may_be_stale or not exchange.was_dropped:
                exchange.check()
                return
            exchange.restart()
        connection = await self.pools.dialer.connect(self.origin, limits, self._make, self._address)
        if exchange.failure is not None:  # its time is up
            self.give_back(connection)
            raise exchange.failure
        if not connection.start(exchange):
            raise ExchangeError("the connection was closed", was_dropped=True)
        await exchange.wait()
        exchange.check()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose exchange has ended."""
        if self._address is not None:
            connection.abort()
            return
        connection.idle_since = self._clock()
        idle = self._idle
        idle.append(connection)
        if len(idle) > MAX_IDLE:
            idle.popleft().abort()
        if self.pools.sweep_timer is None:
            self.pools.start_sweep_timer()

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


class LoopPools:
    """The pools of one event loop, with the timer that closes unused connections, and the one of all time limits.

    `clock` gives wall time: Lambda may stop the monotonic clock. `connect_seconds` limit a new connection by default.
    """

    __slots__ = ("_loop", "_pools", "clock", "connect_seconds", "dialer", "sweep_timer", "timer")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dialer: Dialer,
        clock: Callable[[], float] = time.time,
        connect_seconds: float = DEFAULT_CONNECT_SECONDS,
    ) -> None:
        self._loop = loop
        self._pools: dict[str, ConnectionPool] = {}
        self.dialer = dialer
        self.clock = clock
        self.connect_seconds = connect_seconds
        self.sweep_timer: asyncio.TimerHandle | None = None
        self.timer = LOOP_TIMERS[loop]

    def find(self, url: str, parse: Callable[[str], Origin]) -> ConnectionPool:
        """The pool of a URL without a path, whose origin `parse` returns if it is new."""
        pool = self._pools.get(url)
        if pool is None:
            pool = self._pools[url] = ConnectionPool(self, parse(url))
        return pool

    async def close(self) -> None:
        """Close all connections, also those in use."""
        self.timer.stop_if_idle()
        if self.sweep_timer is not None:
            self.sweep_timer.cancel()
            self.sweep_timer = None
        pools = tuple(self._pools.values())
        self._pools.clear()
        for pool in pools:
            pool.close()
        for _ in range(10):  # a connection over TLS ends some turns of the loop later
            if all(pool.is_empty for pool in pools):
                break
            await asyncio.sleep(0)

    def start_sweep_timer(self) -> None:
        """Close the connections that are unused for too long, after a while. For the pools, when no timer runs."""
        self.sweep_timer = self._loop.call_later(KEEPALIVE_SECONDS / 2, self._close_expired)

    def _close_expired(self) -> None:
        self.sweep_timer = None
        are_left = [pool.close_expired() for pool in self._pools.values()]
        if any(are_left):
            self.start_sweep_timer()
