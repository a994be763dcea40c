"""Single flight: of equal calls that run at the same time in this process, one leads, and the others get its result."""

import asyncio
from collections import deque


class _Flight:
    __slots__ = ("result", "waiters")

    def __init__(self) -> None:
        self.result: bytes | None = None
        self.waiters: deque[asyncio.Future[bytes | None]] = deque()


class SingleFlight:
    """Flights by key. The call that leads a flight must `leave` it, and may `resolve` it before.

    Example:
        if (reply := await flights.join(key, seconds)) is None:
            try:
                flights.resolve(key, await ask())
            finally:
                flights.leave(key)
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: str, seconds: float) -> bytes | None:
        """Return the result of the flight, or None if the caller leads: as the first, or after a leader without one.

        Raises `TimeoutError` after `seconds`.
        """
        flight = self._flights.get(key)
        if flight is None:
            self._flights[key] = _Flight()
            return None
        if flight.result is not None:
            return flight.result
        waiter: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        flight.waiters.append(waiter)
        is_resolved = False
        try:
            async with asyncio.timeout(seconds):
                result = await waiter
            is_resolved = True
            return result
        finally:
            # A waiter that is cancelled just as it becomes the leader hands over; `leave` skips those cancelled before.
            if not is_resolved and waiter.done() and not waiter.cancelled() and waiter.result() is None:
                self.leave(key)

    def resolve(self, key: str, result: bytes) -> None:
        """Give the result to all waiters, and to those that join until the leader leaves."""
        flight = self._flights[key]
        flight.result = result
        while flight.waiters:
            waiter = flight.waiters.popleft()
            if not waiter.done():
                waiter.set_result(result)

    def leave(self, key: str) -> None:
        """Forget the flight, or make the first waiter its leader if there is no result yet."""
        waiters = self._flights[key].waiters
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._flights[key]
