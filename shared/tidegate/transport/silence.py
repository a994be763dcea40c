"""Waiting for a provider no longer than it is given: for its first byte, and from one byte to the next."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager

from tidegate.errors import ProviderTimeout
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport, read_all


@asynccontextmanager
async def open_with_timeouts(
    transport: Transport, request: HttpRequest, timeouts: Timeouts
) -> AsyncGenerator[HttpResponse]:
    """As `Transport.open`, whose `connect` and `total` it leaves to the transport; `first_byte` and `between` are ours.

    Raises `ProviderTimeout` also while the body is read. A reader that is slow itself is not the provider's silence.
    """
    silence_timer = SilenceTimer(timeouts)
    context = transport.open(request, timeouts)
    async with (
        context
        if silence_timer.first_byte_deadline is None
        else _enter_before_first_byte(context, silence_timer) as response
    ):
        try:
            yield _TimedResponse(response, silence_timer)
        finally:
            silence_timer.cancel()


@asynccontextmanager
async def _enter_before_first_byte(
    context: AbstractAsyncContextManager[HttpResponse], silence_timer: "SilenceTimer"
) -> AsyncGenerator[HttpResponse]:
    # Not anyio's: pyreqwest raises a cancellation of its own, which anyio's scopes do not know for theirs.
    timeout = asyncio.timeout_at(silence_timer.first_byte_deadline)
    async with AsyncExitStack() as stack:
        try:
            async with timeout:
                response = await stack.enter_async_context(context)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise silence_timer.timeout_error() from None
        yield response


class SilenceTimer:
    """Ends a wait that takes too long.

    One timer serves all waits of an answer: it looks at the clock when it rings, so that a wait that begins moves
    nothing.
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

    def start_waiting(self) -> None:
        """The running task waits from now on."""
        self._waiting_since = self._time()
        self._task = task = asyncio.current_task(self._loop)
        self._other_cancellations = task.cancelling() if task is not None else 0
        if self._timer is None:
            self._schedule()

    def stop_waiting(self) -> None:
        """Something came, and nobody waits until the next `begin`."""
        self._waiting_since = None
        if not self._has_first_byte:
            self.cancel()
            self._has_first_byte = True

    def cancel(self) -> None:
        self._waiting_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def absorb_cancellation(self) -> bool:
        """Whether the cancellation that came is this watch's, and nobody else's as well; then it is taken back."""
        if not self._has_expired or self._task is None:
            return False
        self._has_expired = False
        return self._task.uncancel() <= self._other_cancellations

    def timeout_error(self) -> ProviderTimeout:
        if self._has_first_byte:
            return ProviderTimeout(f"The provider fell silent for {self._between_seconds:g} seconds within its answer.")
        return ProviderTimeout(f"The provider did not begin to answer within {self._first_byte_seconds:g} seconds.")

    def _schedule(self) -> None:
        ends_at = self._deadline()
        if ends_at is not None:
            self._timer = self._loop.call_at(ends_at, self._on_timer)

    def _deadline(self) -> float | None:
        if not self._has_first_byte:
            return self.first_byte_deadline
        return (
            None
            if self._between_seconds is None or self._waiting_since is None
            else self._waiting_since + self._between_seconds
        )

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


class _TimedResponse:
    """A response whose reader waits under the watch."""

    def __init__(self, response: HttpResponse, silence_timer: SilenceTimer) -> None:
        self._response = response
        self._silence_timer = silence_timer
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit: int) -> bytes:
        return await read_all(self.chunks(), limit)

    async def chunks(self) -> AsyncGenerator[bytes]:
        silence_timer = self._silence_timer
        async with aclosing(self._response.chunks()) as chunks:
            silence_timer.start_waiting()
            try:
                async for chunk in chunks:
                    silence_timer.stop_waiting()
                    yield chunk
                    silence_timer.start_waiting()
            except asyncio.CancelledError:
                if silence_timer.absorb_cancellation():
                    raise silence_timer.timeout_error() from None
                raise
            finally:
                silence_timer.cancel()
