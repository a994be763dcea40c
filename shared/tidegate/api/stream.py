"""A streamed reply: events as they come, keep-alive comments in between, and the end when the client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from starlette.types import Message

from tidegate.api.disconnect import ClientReply
from tidegate.api.reply import HeaderLines
from tidegate.domain.operation import ReplyChunk
from tidegate.domain.surface import SurfaceStream
from tidegate.errors import TidegateError
from tidegate.timer import LOOP_TIMERS

Push: TypeAlias = Callable[[Callable[[Sequence[ReplyChunk]], bool], Callable[[], Awaitable[None]]], Awaitable[None]]
"""See `pipeline.respond.StampedStream.push`."""

EventRecorder: TypeAlias = Callable[[], Callable[[bytes], None] | None]
"""See `pipeline.respond.StampedStream.event_recorder`."""

_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_FIRST_LINES: HeaderLines = b"\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\ncontent-type: "

_DUE_SHARE = 15 / 16
"""A comment is due when this share of `keep_alive_seconds` has passed: many silent streams then get theirs at once."""


def error_end(stream: SurfaceStream, error: TidegateError) -> Message:
    """Return the message that ends a stream which has failed."""
    return {"type": "http.response.body", "body": stream.error(error), "more_body": False}


class EventStream:
    """One streamed reply. In its context, a keep-alive comment follows `keep_alive_seconds` without an event.

    A comment before the first event begins the reply with `lines` alone: those of the answer are not known yet.
    `before_end` is awaited before the end of a complete stream is sent. If the client leaves, the context is cancelled,
    and ends without an error.
    """

    __slots__ = (
        *("_before_end", "_began", "_client", "_comment", "_is_sending", "_keep_alive_seconds"),
        *("_last_sent", "_lines", "_record", "_surface_stream", "_timer", "_unsent", "_write_more"),
    )
    _write_more: Callable[[bytes], bool]
    """Set while batches are pushed."""

    def __init__(
        self,
        surface_stream: SurfaceStream,
        client: ClientReply,
        lines: HeaderLines,
        keep_alive_seconds: float,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._surface_stream = surface_stream
        self._client = client
        # Only a stream that is not made of server-sent events names its type.
        self._lines = _FIRST_LINES + getattr(surface_stream, "content_type", _EVENT_STREAM) + lines
        self._keep_alive_seconds = keep_alive_seconds
        self._before_end = before_end
        self._timer = LOOP_TIMERS[asyncio.get_running_loop()]
        self._last_sent = self._timer.time()
        self._began = self._is_sending = False
        self._comment: asyncio.Task[None] | None = None
        self._unsent = b""
        self._record: Callable[[bytes], None] | None = None

    def __enter__(self) -> Self:
        self._client.__enter__()
        timer, due = self._timer, self._last_sent + self._keep_alive_seconds
        timer.watched.add(self)
        if due < timer.fires_at:
            timer.fire_at(due)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self._timer.watched.discard(self)
        if self._comment is not None:
            self._comment.cancel()
        return self._client.__exit__(kind, error, traceback)

    async def run(self, lines: HeaderLines, batches: AsyncGenerator[Sequence[ReplyChunk]]) -> None:
        """Send all batches and the end of the stream, or an error event.

        The reply's head gets `lines` too, unless a keep-alive comment has begun the reply.
        """
        try:
            await self._begin(self._lines + lines)
            del lines  # an open stream keeps nothing that was sent
            self._lines = b""
            push: Push | None = getattr(batches, "push", None)
            write_more = self._client.write
            try:
                if push is not None and write_more is not None:
                    self._write_more = write_more
                    event_recorder: EventRecorder | None = getattr(batches, "event_recorder", None)
                    if event_recorder is not None and getattr(self._surface_stream, "sends_chunks", False):
                        self._record = event_recorder()
                    await push(self._write_at_once, self._drain)
                else:
                    async for batch in batches:
                        await self._write(self._surface_stream.events(batch))
            finally:
                await batches.aclose()
        except TidegateError as error:
            await self._write(self._surface_stream.error(error), more=False)
        else:
            end = self._surface_stream.end()
            if self._before_end is not None:
                await self._before_end()
            await self._write(end, more=False)

    def check_time(self, now: float) -> float:
        """See `timer.Watched`: send a comment if it is due."""
        if self._is_sending:  # a slow client has not yet taken the last message
            self._last_sent = now
        seconds = self._keep_alive_seconds
        if now - self._last_sent >= seconds * _DUE_SHARE:
            self._last_sent = now
            self._comment = asyncio.get_running_loop().create_task(self._send_comment())
        return self._last_sent + seconds

    async def _send_comment(self) -> None:
        self._is_sending, self._last_sent = True, self._timer.time()
        try:
            if not self._began:
                await self._send_head(self._lines)
            await self._client.send(_body(self._surface_stream.keep_alive, more=True))
        finally:
            self._is_sending = False

    async def _begin(self, lines: HeaderLines) -> None:
        if self._comment is not None and not self._comment.done():
            await asyncio.wait({self._comment})
        if not self._began:
            await self._send_head(lines)

    async def _send_head(self, lines: HeaderLines) -> None:
        self._began = True
        await self._client.begin(200, lines)

    def _write_at_once(self, batch: Sequence[ReplyChunk]) -> bool:
        """Send a batch without waiting. Return False if `_drain` must be awaited before the next one."""
        if not batch:
            return True
        data = self._surface_stream.events(batch)
        if self._record is not None:
            self._record(data)
        if self._unsent or (self._comment is not None and not self._comment.done()):
            self._unsent += data  # `_drain` is awaited, except at the end of a stream
            return False
        self._last_sent = self._timer.time()
        return self._write_more(data)

    async def _drain(self) -> None:
        await self._write(b"")

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        # A comment that waits for a slow client must not follow the end of the stream.
        if self._comment is not None and not self._comment.done():
            await asyncio.wait({self._comment})
        data, self._unsent = self._unsent + data, b""
        self._is_sending, self._last_sent = True, self._timer.time()
        try:
            await self._client.send(_body(data, more=more))
        finally:
            self._is_sending = False
        if not more:
            self._timer.watched.discard(self)
            self._client.stop()


def _body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
