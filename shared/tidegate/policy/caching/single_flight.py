"""Equal calls that are under way at once in this process: the first is made, the others wait for what it comes to."""

import asyncio
from collections import deque


class _Flight:
    __slots__ = ("result", "waiting")

    def __init__(self) -> None:
        self.result: bytes | None = None
        self.waiting: deque[asyncio.Future[bytes | None]] = deque()


class SingleFlight:
    """By what is asked for. Whoever leads a flight must `end` it, and may `land` it before."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: str, seconds: float) -> bytes | None:
        """What the call that is under way comes to. None: there is none, or it came to nothing, and the caller leads.

        Raises `TimeoutError`.
        """
        flight = self._flights.get(key)
        if flight is None:
            self._flights[key] = _Flight()
            return None
        if flight.result is not None:
            return flight.result
        waiter: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        flight.waiting.append(waiter)
        is_resolved = False
        try:
            async with asyncio.timeout(seconds):
                result = await waiter
            is_resolved = True
            return result
        finally:
            # Whoever left just when it was to lead hands over; whoever left before is passed over when its turn comes.
            if not is_resolved and waiter.done() and not waiter.cancelled() and waiter.result() is None:
                self.leave(key)

    def resolve(self, key: str, result: bytes) -> None:
        """Give it to all who wait, and to those who come until the flight ends."""
        flight = self._flights[key]
        flight.result = result
        while flight.waiting:
            waiter = flight.waiting.popleft()
            if not waiter.done():
                waiter.set_result(result)

    def leave(self, key: str) -> None:
        """Forget the flight; or where it has not landed, let the first of those who wait lead it."""
        waiters = self._flights[key].waiting
        while waiters:
            waiter = waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        del self._flights[key]
