"""Time limits that the HTTP libraries lack: for the first byte of a response, and between two bytes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Protocol, cast

from tidegate.errors import ProviderTimeout
from tidegate.transport.base import HttpRequest, HttpResponse, StreamedResponse, Timeouts, Transport


def open_with_timeouts(transport: Transport, request: HttpRequest, timeouts: Timeouts) -> "TimedRequest":
    """Open the request as `Transport.open` does, and enforce `timeouts.first_byte` and `timeouts.between` as well.

    Raises `ProviderTimeout` also while the body is read. Time that the reader takes between two chunks does not count.
    """
    return TimedRequest(transport, request, timeouts)


class TimedRequest:
    """The context of `open_with_timeouts`. A generator would cost more, and every call enters one."""

    __slots__ = ("_context", "_silence_timer")

    def __init__(self, transport: Transport, request: HttpRequest, timeouts: Timeouts) -> None:
        self._silence_timer = SilenceTimer(timeouts)
        self._context = transport.open(request, timeouts)

    async def __aenter__(self) -> "TimedResponse":
        silence_timer = self._silence_timer
        if silence_timer.first_byte_deadline is None:
            return TimedResponse(await self._context.__aenter__(), silence_timer)
        # asyncio's timeout, not anyio's: pyreqwest raises a new CancelledError, which anyio's scopes do not recognise.
        timeout = asyncio.timeout_at(silence_timer.first_byte_deadline)
        try:
            async with timeout:
                return TimedResponse(await self._context.__aenter__(), silence_timer)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise silence_timer.timeout_error() from None

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._silence_timer.cancel()
        await self._context.__aexit__(kind, exception, traceback)


class SilenceTimer:
    """Cancels the reading task when the provider is silent for too long.

    One timer serves all waits of a response. It checks the time when it fires, so that a new wait need not move it.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._first_byte_seconds = timeouts.first_byte
        self._between_seconds = timeouts.between
        self.first_byte_deadline = None if timeouts.first_byte is None else self._loop.time() + timeouts.first_byte
        self._has_first_byte = False
        self._waiting_since: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._other_cancellations = 0
        self._has_expired = False
        self._response: ArrivalResponse | None = None

    def start_waiting(self) -> None:
        """Begin a wait of the running task."""
        self._waiting_since = self._time()
        self._task = task = asyncio.current_task(self._loop)
        self._other_cancellations = task.cancelling() if task is not None else 0
        if self._timer is None:
            self._schedule()

    def watch(self, response: "ArrivalResponse") -> None:
        """Begin a wait of the running task that ends when `response` has been silent for too long."""
        self._response = response
        self.start_waiting()

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
        if self._has_first_byte:
            return ProviderTimeout(f"The provider stopped sending for {self._between_seconds:g} seconds.")
        return ProviderTimeout(f"The provider did not start to respond within {self._first_byte_seconds:g} seconds.")

    def _schedule(self) -> None:
        deadline = self._deadline()
        if deadline is None and self._response is not None and self._between_seconds is not None:
            deadline = self._time() + self._between_seconds  # to see whether content has arrived until then
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _deadline(self) -> float | None:
        if not self._has_first_byte:
            return self.first_byte_deadline
        if self._between_seconds is None or self._waiting_since is None:
            return None
        return self._waiting_since + self._between_seconds

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiting_since is None or self._task is None:
            return
        if self._response is not None and self._response.content_at is not None:
            self._has_first_byte, self._waiting_since = True, max(self._waiting_since, self._response.content_at)
        deadline = self._deadline()
        if deadline is not None and deadline <= self._loop.time():
            self._has_expired = True
            self._task.cancel()
        else:
            self._schedule()


class ArrivalResponse(Protocol):
    """A response that tells when its last content arrived, by the clock of the event loop; None before."""

    @property
    def content_at(self) -> float | None: ...

    async def read(self, limit: int) -> bytes: ...


class PushedResponse(ArrivalResponse, Protocol):
    """A response that can push its content."""

    async def push_chunks(self, take: Callable[[bytes], bool]) -> bool:
        """Call `take` with the content as it arrives, until it returns False: return True then, and False at the end.

        What arrives in the meantime waits for the next call. Raises what `chunks` raises, and what `take` raises.
        """
        ...


class TimedResponse(StreamedResponse):
    """A response whose chunks the silence timer watches. `record` is called with each of them."""

    record: Callable[[bytes], None] | None = None

    def __init__(self, response: HttpResponse, silence_timer: SilenceTimer) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._silence_timer = silence_timer
        self._open_chunks: AsyncGenerator[bytes] | None = None

    async def read(self, limit: int) -> bytes:
        """See `HttpResponse.read`. Raises `ProviderTimeout` when the provider is silent for too long."""
        response, silence_timer = self._response, self._silence_timer
        if self.record is not None or not hasattr(response, "content_at"):
            return await super().read(limit)
        arriving = cast("ArrivalResponse", response)
        silence_timer.watch(arriving)
        try:
            return await arriving.read(limit)
        except asyncio.CancelledError:
            if silence_timer.absorb_cancellation():
                raise silence_timer.timeout_error() from None
            raise
        finally:
            silence_timer.cancel()

    async def next_chunk(self) -> bytes | None:
        """Return the content that has arrived since the last one; None at the end. `close_chunks` ends it early.

        Raises what `chunks` raises.
        """
        silence_timer, record, chunks = self._silence_timer, self.record, self._open_chunks
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
        if record is not None and chunk is not None:
            record(chunk)
        return chunk

    async def push_chunks(self, take: Callable[[bytes], bool]) -> bool:
        """See `PushedResponse.push_chunks`. A response that cannot push its content is read."""
        if self.record is not None or not hasattr(self._response, "push_chunks"):
            while (chunk := await self.next_chunk()) is not None:
                if not take(chunk):
                    return True
            return False
        pushed, silence_timer = cast("PushedResponse", self._response), self._silence_timer
        silence_timer.watch(pushed)
        try:
            return await pushed.push_chunks(take)
        except asyncio.CancelledError:
            if silence_timer.absorb_cancellation():
                raise silence_timer.timeout_error() from None
            raise
        finally:
            silence_timer.cancel()

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
