"""Equal calls that are under way at once in this process: the first is made, the others wait for what it comes to."""

import asyncio
from collections import deque


class _Flight:
    __slots__ = ("result", "waiting")

    def __init__(self) -> None:
        self.result: bytes | None = None
        self.waiting: deque[asyncio.Future[bytes | None]] = deque()


class Flights:
    """By what is asked for. Whoever leads a flight must `end` it, and may `land` it before."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, place: str, seconds: float) -> bytes | None:
        """What the call that is under way comes to. None: there is none, or it came to nothing, and the caller leads.

        Raises `TimeoutError`.
        """
        flight = self._flights.get(place)
        if flight is None:
            self._flights[place] = _Flight()
            return None
        if flight.result is not None:
            return flight.result
        turn: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        flight.waiting.append(turn)
        came = False
        try:
            async with asyncio.timeout(seconds):
                result = await turn
            came = True
            return result
        finally:
            # Whoever left just when it was to lead hands over; whoever left before is passed over when its turn comes.
            if not came and turn.done() and not turn.cancelled() and turn.result() is None:
                self.end(place)

    def land(self, place: str, result: bytes) -> None:
        """Give it to all who wait, and to those who come until the flight ends."""
        flight = self._flights[place]
        flight.result = result
        while flight.waiting:
            turn = flight.waiting.popleft()
            if not turn.done():
                turn.set_result(result)

    def end(self, place: str) -> None:
        """Forget the flight; or where it has not landed, let the first of those who wait lead it."""
        waiting = self._flights[place].waiting
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._flights[place]
