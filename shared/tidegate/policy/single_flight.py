"""Single flight: of equal calls that run at the same time in this process, one leads, and the others get its result."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


class _Flight(Generic[_Result]):
    result: _Result | None = None
    waiters: deque[asyncio.Future[_Result | None]] | None = None
    """None while nobody waits."""


class SingleFlight(Generic[_Key, _Result]):
    """Flights by key. The call that leads a flight must `leave` it, and may `resolve` or `fail` it before.

    Example, which `run` does in one call:
        if (reply := await flights.join(key, seconds)) is None:
            try:
                flights.resolve(key, await ask())
            finally:
                flights.leave(key)
    """

    def __init__(self) -> None:
        self._flights: dict[_Key, _Flight[_Result]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def run(self, key: _Key, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return the result of `work`, which equal calls share, as well as an error that it raises.

        If the call that does the work is cancelled, the next one does it.
        """
        result = await self.join(key, None)
        if result is not None:
            return result
        try:
            result = await work()
            self.resolve(key, result)
            return result
        except BaseException as error:
            if isinstance(error, Exception):
                self.fail(key, error)
            raise
        finally:
            self.leave(key)

    def lead(self, key: _Key) -> bool:
        """Make the caller the leader of a new flight; False if there is a flight already, which it may `join`."""
        if key in self._flights:
            return False
        self._flights[key] = _Flight()
        return True

    async def join(self, key: _Key, seconds: float | None) -> _Result | None:
        """Return the result of the flight, or None if the caller leads: as the first, or after a leader without one.

        Raises `TimeoutError` after `seconds`, and the error that the flight fails with.
        """
        if self.lead(key):
            return None
        flight = self._flights[key]
        if flight.result is not None:
            return flight.result
        waiter: asyncio.Future[_Result | None] = asyncio.get_running_loop().create_future()
        if flight.waiters is None:
            flight.waiters = deque()
        flight.waiters.append(waiter)
        has_ended = False
        try:
            async with asyncio.timeout(seconds):
                result = await waiter
            has_ended = True
            return result
        finally:
            # A waiter that is cancelled just as it becomes the leader hands over; `leave` skips those cancelled before.
            if not has_ended and _is_leader(waiter):
                self.leave(key)

    def resolve(self, key: _Key, result: _Result) -> None:
        """Give the result to all waiters, and to those that join until the leader leaves."""
        flight = self._flights[key]
        flight.result = result
        while flight.waiters:
            waiter = flight.waiters.popleft()
            if not waiter.done():
                waiter.set_result(result)

    def fail(self, key: _Key, error: Exception) -> None:
        """Raise the error in all waiters."""
        waiters = self._flights[key].waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def leave(self, key: _Key) -> None:
        """Forget the flight, or make the first waiter its leader if there is no result yet."""
        waiters = self._flights[key].waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._flights[key]


def _is_leader(waiter: asyncio.Future[_Result | None]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None and waiter.result() is None
