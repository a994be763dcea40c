"""Messages of the batch engine in a heap, for one process."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from tidegate.batch.messages import Message
from tidegate.batch.ports import MAX_QUEUE_DELAY_SECONDS


class _Delivery(NamedTuple):
    """A message and the time from which it is delivered. Numbers keep the order of messages that are due at once."""

    due_at: float
    number: int
    message: Message


class MemoryBatchQueue:
    """The port `BatchQueue`, with the reading end. Several readers may wait, each gets other messages.

    It belongs to no event loop until a reader waits. A message that was received is gone: a reader that fails must
    send it again.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._numbers = count()
        self._deliveries: list[_Delivery] = []
        self._readers: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        """The number of messages, due or not."""
        return len(self._deliveries)

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        """See `BatchQueue.send`."""
        delay_seconds = min(max(delay_seconds, 0.0), MAX_QUEUE_DELAY_SECONDS)
        heappush(self._deliveries, _Delivery(self._clock() + delay_seconds, next(self._numbers), message))
        for reader in self._readers:
            if not reader.done():
                reader.set_result(None)

    async def receive(self) -> Message:
        """Wait for the next message that is due, and take it."""
        while True:
            seconds = self._seconds_to_next()
            if seconds is not None and seconds <= 0:
                return heappop(self._deliveries).message
            await self._wait(seconds)

    def take_due(self, now: float) -> list[Message]:
        """Take all messages that are due at that time."""
        due: list[Message] = []
        while self._deliveries and self._deliveries[0].due_at <= now:
            due.append(heappop(self._deliveries).message)
        return due

    def _seconds_to_next(self) -> float | None:
        return self._deliveries[0].due_at - self._clock() if self._deliveries else None

    async def _wait(self, seconds: float | None) -> None:
        """Wait until a message is sent, at most `seconds`."""
        reader = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await reader
        finally:
            self._readers.remove(reader)
