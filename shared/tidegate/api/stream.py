"""A stream towards a client: events as they come, comments while nothing comes, and the end when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import anyio
from starlette.types import Message, Receive, Send

from tidegate.api.errors import envelope
from tidegate.chat.completion import Chunk
from tidegate.chat.sse import DONE, KEEP_ALIVE, events
from tidegate.errors import TidegateError


def last_event(error: TidegateError) -> Message:
    """The end of a stream that has failed: the error as an event, and no `[DONE]`."""
    return {"type": "http.response.body", "body": events([envelope(error)]), "more_body": False}


class EventStream:
    """One streamed reply. `keep_alive_seconds` without an event are followed by a comment line."""

    def __init__(self, receive: Receive, send: Send, keep_alive_seconds: float, clock: Callable[[], float]) -> None:
        self._receive = receive
        self._send = send
        self._keep_alive = keep_alive_seconds
        self._clock = clock
        self._last_sent = clock()
        self._ended = False
        # A comment that waits for a slow client must not follow the end of the stream.
        self._turn = asyncio.Lock()

    async def run(self, batches: AsyncGenerator[list[Chunk]]) -> None:
        """Send everything, then `[DONE]`, or a failure's error event instead. A client that leaves ends it early."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            await self._pump(batches)
            tasks.cancel_scope.cancel()

    async def _pump(self, batches: AsyncGenerator[list[Chunk]]) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    await self._write(events(batch))
        except TidegateError as error:
            await self._write(events([envelope(error)]), more=False)
        else:
            await self._write(DONE, more=False)

    async def _watch(self, pump: anyio.CancelScope) -> None:
        while True:
            silent = self._clock() - self._last_sent
            with anyio.move_on_after(max(0.0, self._keep_alive - silent)):
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    pump.cancel()
                    return
            if self._clock() - self._last_sent >= self._keep_alive:
                await self._write(KEEP_ALIVE)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        async with self._turn:
            if self._ended:
                return
            self._last_sent = self._clock()
            self._ended = not more
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
