"""Time limits that the HTTP libraries lack: for the first byte of a response, and between two bytes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, TypeAlias

from tidegate.errors import ProviderTimeout
from tidegate.transport.base import HttpRequest, HttpResponse, StreamedResponse, Timeouts, Transport

Receive: TypeAlias = Callable[[bytes], bool]
"""Takes a chunk. Returns False if no more shall come."""

Recording: TypeAlias = Callable[[Receive], Receive]
"""Makes of what receives chunks what records each of them first, too: in one function, not two for each chunk."""


class TimedResponse(HttpResponse, Protocol):
    """A response that raises `ProviderTimeout` when the provider is silent for too long.

    Time that the reader takes between two chunks does not count. `recording` records each chunk.
    """

    recording: Recording | None

    def take_whole(self, limit: int) -> bytes | None:
        """Return the whole body, and leave the response's context; None if it has not arrived yet, or must be read."""
        ...

    async def next_chunk(self) -> bytes | None:
        """Return the content that has arrived since the last one; None at the end. Raises what `chunks` raises."""
        ...

    async def push_chunks(self, receive: Receive) -> bool:
        """Call `receive` with the content as it arrives until it returns False: return True then, and False at the end.

        What arrives in the meantime waits for the next call. Raises what `chunks` raises, and what `receive` raises.
        """
        ...


class SelfTimed:
    """Base of the context of a response that enforces all its time limits itself."""

    __slots__ = ()

    async def __aenter__(self) -> TimedResponse:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raise NotImplementedError


def open_with_timeouts(
    transport: Transport, request: HttpRequest, timeouts: Timeouts
) -> AbstractAsyncContextManager[TimedResponse]:
    """Open the request as `Transport.open` does, and enforce `timeouts.first_byte` and `timeouts.between` as well."""
    context = transport.open(request, timeouts)
    return context if isinstance(context, SelfTimed) else _WatchedRequest(context, timeouts)


def receive_any(_: bytes) -> bool:
    """Receive a chunk that somebody pulls."""
    return True


def silence_message(timeouts: Timeouts, has_first_byte: bool) -> str:
    """Say which of the two limits has passed."""
    if has_first_byte:
        return f"The provider stopped sending for {timeouts.between:g} seconds."
    return f"The provider did not start to respond within {timeouts.first_byte:g} seconds."


class _WatchedRequest:
    """The context of a library's response, and the timer that watches it. A generator would cost more."""

    __slots__ = ("_context", "_response", "_silence_timer")

    def __init__(self, context: AbstractAsyncContextManager[HttpResponse], timeouts: Timeouts) -> None:
        self._context = context
        self._silence_timer = _SilenceTimer(timeouts)
        self._response: _WatchedResponse | None = None

    async def __aenter__(self) -> TimedResponse:
        response = await self._enter()
        self._response = watched = _WatchedResponse(response, self._silence_timer)
        return watched

    async def _enter(self) -> HttpResponse:
        silence_timer = self._silence_timer
        if silence_timer.first_byte_deadline is None:
            return await self._context.__aenter__()
        # asyncio's timeout, not anyio's: pyreqwest raises a new CancelledError, which anyio's scopes do not recognise.
        timeout = asyncio.timeout_at(silence_timer.first_byte_deadline)
        try:
            async with timeout:
                return await self._context.__aenter__()
        except TimeoutError:
            if not timeout.expired():
                raise
            raise silence_timer.timeout_error() from None

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._response is not None:
                await self._response.close_chunks()
        finally:
            await self._context.__aexit__(kind, exception, traceback)


class _SilenceTimer:
    """Cancels the reading task when the provider is silent for too long.

    One timer serves all waits of a response. It checks the time when it fires, so that a new wait need not move it.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._timeouts = timeouts
        self.first_byte_deadline = None if timeouts.first_byte is None else self._loop.time() + timeouts.first_byte
        self._has_first_byte = False
        self._waiting_since: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._other_cancellations = 0
        self._has_expired = False

    def start_waiting(self) -> None:
        """Begin a wait of the running task."""
        self._waiting_since = self._time()
        self._task = task = asyncio.current_task(self._loop)
        self._other_cancellations = task.cancelling() if task is not None else 0
        if self._timer is None:
            self._schedule()

    def stop_waiting(self) -> None:
        """End the wait, because a chunk arrived."""
        self._waiting_since = None
        if not self._has_first_byte:
            self.cancel()
            self._has_first_byte = True

    def cancel(self) -> None:
        """End the wait and stop the timer."""
        self._waiting_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def absorb_cancellation(self) -> bool:
        """Undo this timer's cancellation of the task. True if nothing else has cancelled the task as well."""
        if not self._has_expired or self._task is None:
            return False
        self._has_expired = False
        return self._task.uncancel() <= self._other_cancellations

    def timeout_error(self) -> ProviderTimeout:
        return ProviderTimeout(silence_message(self._timeouts, self._has_first_byte))

    def _schedule(self) -> None:
        deadline = self._deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _deadline(self) -> float | None:
        if not self._has_first_byte:
            return self.first_byte_deadline
        if self._timeouts.between is None or self._waiting_since is None:
            return None
        return self._waiting_since + self._timeouts.between

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiting_since is None or self._task is None:
            return
        deadline = self._deadline()
        if deadline is not None and deadline <= self._loop.time():
            self._has_expired = True
            self._task.cancel()
        else:
            self._schedule()


class _WatchedResponse(StreamedResponse):
    """A response whose chunks the silence timer watches. See `TimedResponse`."""

    def __init__(self, response: HttpResponse, silence_timer: _SilenceTimer) -> None:
        self.recording: Recording | None = None
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._silence_timer = silence_timer
        self._open_chunks: AsyncGenerator[bytes] | None = None

    def take_whole(self, limit: int) -> bytes | None:
        """See `TimedResponse.take_whole`. No library says what has arrived."""
        return None

    async def next_chunk(self) -> bytes | None:
        """See `TimedResponse.next_chunk`. `close_chunks` ends it early."""
        silence_timer, chunks = self._silence_timer, self._open_chunks
        if chunks is None:
            chunks = self._open_chunks = self._response.chunks()
        silence_timer.start_waiting()
        try:
            chunk = await anext(chunks, None)
        except asyncio.CancelledError:
            if silence_timer.absorb_cancellation():
                raise silence_timer.timeout_error() from None
            raise
        silence_timer.stop_waiting()
        if self.recording is not None and chunk is not None:
            self.recording(receive_any)(chunk)
        return chunk

    async def push_chunks(self, receive: Receive) -> bool:
        """See `TimedResponse.push_chunks`."""
        while (chunk := await self.next_chunk()) is not None:
            if not receive(chunk):
                return True
        return False

    async def close_chunks(self) -> None:
        """Close the content that `next_chunk` reads."""
        self._silence_timer.cancel()
        if self._open_chunks is not None:
            await self._open_chunks.aclose()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """See `HttpResponse.chunks`. Raises `ProviderTimeout` when the provider is silent for too long."""
        try:
            while (chunk := await self.next_chunk()) is not None:
                yield chunk
        finally:
            await self.close_chunks()
