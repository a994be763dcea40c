"""Equal calls that are under way at once in this process: the first is made, the others wait for what it comes to."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Flights(Generic[_T]):
    """By what is asked for. Whoever leads a flight must `end` it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[_T | None]]] = {}

    async def join(self, place: str, seconds: float) -> _T | None:
        """What the call that is under way comes to. None: there is none, or it came to nothing, and the caller leads.

        Raises `TimeoutError`.
        """
        waiting = self._waiting.get(place)
        if waiting is None:
            self._waiting[place] = deque()
            return None
        turn: asyncio.Future[_T | None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        came = False
        try:
            async with asyncio.timeout(seconds):
                result = await turn
            came = True
            return result
        finally:
            # Whoever left just when it was to lead hands over; whoever left before is passed over when its turn comes.
            if not came and turn.done() and not turn.cancelled() and turn.result() is None:
                self.end(place, None)

    def end(self, place: str, result: _T | None) -> None:
        """Give all who wait the result; where there is none, let the first of them lead."""
        waiting = self._waiting[place]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(result)
                if result is None:
                    return
        del self._waiting[place]

    def __len__(self) -> int:
        return len(self._waiting)
