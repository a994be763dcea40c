"""A streamed reply: events as they come, keep-alive comments in between, and the end when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
from starlette.types import Message, Receive, Send

from tidegate.api.reply import RawHeaders
from tidegate.domain.operation import ReplyChunk
from tidegate.domain.surface import SurfaceStream
from tidegate.errors import TidegateError

_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_HEADERS: RawHeaders = [
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def error_end(stream: SurfaceStream, error: TidegateError) -> Message:
    """Return the message that ends a stream which has failed."""
    return {"type": "http.response.body", "body": stream.error(error), "more_body": False}


class EventStream:
    """One streamed reply. After `keep_alive_seconds` without an event, it sends a keep-alive comment.

    A comment before the first event begins the reply with `headers` alone: those of the answer are not known yet.
    `before_end` is awaited before the end of a complete stream is sent.
    """

    def __init__(
        self,
        surface_stream: SurfaceStream,
        receive: Receive,
        send: Send,
        headers: RawHeaders,
        keep_alive_seconds: float,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._surface_stream = surface_stream
        self._receive = receive
        self._send = send
        # Only a stream that is not made of server-sent events names its type.
        self._headers = [(b"content-type", getattr(surface_stream, "content_type", _EVENT_STREAM)), *headers]
        self._keep_alive = keep_alive_seconds
        self._before_end = before_end
        self._clock = asyncio.get_running_loop().time
        self._last_sent = self._clock()
        self._block = anyio.CancelScope()
        self._began = False
        self._ended = False
        # A comment that waits for a slow client must not follow the end of the stream.
        self._write_lock = asyncio.Lock()

    @asynccontextmanager
    async def keep_alive(self) -> AsyncGenerator[None]:
        """Send comments while the block waits. If the client leaves, the block is cancelled, without an error."""
        watching = asyncio.ensure_future(self._watch())
        with self._block:
            try:
                yield
            finally:
                watching.cancel()
        if watching.done() and not watching.cancelled():
            watching.result()

    async def run(self, headers: RawHeaders, batches: AsyncGenerator[Sequence[ReplyChunk]]) -> None:
        """Send all batches and the end of the stream, or an error event. Stops if the client leaves.

        The reply's head gets `headers` too, unless a keep-alive comment has begun the reply.
        """
        with anyio.CancelScope() as self._block:
            try:
                await self._begin(self._headers + headers)
                async with aclosing(batches):
                    async for batch in batches:
                        await self._write(self._surface_stream.events(batch))
            except TidegateError as error:
                await self._write(self._surface_stream.error(error), more=False)
            else:
                end = self._surface_stream.end()
                if self._before_end is not None:
                    await self._before_end()
                await self._write(end, more=False)

    async def _watch(self) -> None:
        while True:
            silent_seconds = self._clock() - self._last_sent
            with anyio.move_on_after(max(0.0, self._keep_alive - silent_seconds)):
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._block.cancel()
                    return
            if self._write_lock.locked():  # a slow client has not yet taken the last message
                self._last_sent = self._clock()
            elif self._clock() - self._last_sent >= self._keep_alive:
                await self._begin(self._headers)
                await self._write(self._surface_stream.keep_alive)

    async def _begin(self, headers: RawHeaders) -> None:
        async with self._write_lock:
            if not self._began:
                self._began = True
                await self._send_or_cancel(
                    {"type": "http.response.start", "status": 200, "headers": _HEADERS + headers}
                )

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        async with self._write_lock:
            if self._ended:
                return
            self._last_sent = self._clock()
            self._ended = not more
            await self._send_or_cancel({"type": "http.response.body", "body": data, "more_body": more})

    async def _send_or_cancel(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the server's sign that the client has left
            self._block.cancel()
            await anyio.sleep_forever()
