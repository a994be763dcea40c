"""Waiting for a provider no longer than it is given: for its first byte, and from one byte to the next."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager

from tidegate.errors import ProviderTimeout
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport, gathered


@asynccontextmanager
async def opened(transport: Transport, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
    """As `Transport.open`, whose `connect` and `total` it leaves to the transport; `first_byte` and `between` are ours.

    Raises `ProviderTimeout` also while the body is read. A reader that is slow itself is not the provider's silence.
    """
    watch = Watch(timeouts)
    opening = transport.open(request, timeouts)
    async with opening if watch.first_at is None else _begun(opening, watch) as response:
        try:
            yield _Watched(response, watch)
        finally:
            watch.end()


@asynccontextmanager
async def _begun(opening: AbstractAsyncContextManager[HttpResponse], watch: "Watch") -> AsyncGenerator[HttpResponse]:
    # Not anyio's: pyreqwest raises a cancellation of its own, which anyio's scopes do not know for theirs.
    limit = asyncio.timeout_at(watch.first_at)
    async with AsyncExitStack() as stack:
        try:
            async with limit:
                response = await stack.enter_async_context(opening)
        except TimeoutError:
            if not limit.expired():
                raise
            raise watch.silence() from None
        yield response


class Watch:
    """Ends a wait that takes too long.

    One timer serves all waits of an answer: it looks at the clock when it rings, so that a wait that begins moves
    nothing.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._first = timeouts.first_byte
        self._between = timeouts.between
        self.first_at = None if timeouts.first_byte is None else self._loop.time() + timeouts.first_byte
        self._has_first = False
        self._began: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._others = 0
        self._rang = False

    def begin(self) -> None:
        """The running task waits from now on."""
        self._began = self._time()
        self._task = task = asyncio.current_task(self._loop)
        self._others = task.cancelling() if task is not None else 0
        if self._timer is None:
            self._set()

    def pause(self) -> None:
        """Something came, and nobody waits until the next `begin`."""
        self._began = None
        if not self._has_first:
            self.end()
            self._has_first = True

    def end(self) -> None:
        self._began = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def has_rung(self) -> bool:
        """Whether the cancellation that came is this watch's, and nobody else's as well; then it is taken back."""
        if not self._rang or self._task is None:
            return False
        self._rang = False
        return self._task.uncancel() <= self._others

    def silence(self) -> ProviderTimeout:
        if self._has_first:
            return ProviderTimeout(f"The provider fell silent for {self._between:g} seconds within its answer.")
        return ProviderTimeout(f"The provider did not begin to answer within {self._first:g} seconds.")

    def _set(self) -> None:
        ends_at = self._ends_at()
        if ends_at is not None:
            self._timer = self._loop.call_at(ends_at, self._ring)

    def _ends_at(self) -> float | None:
        if not self._has_first:
            return self.first_at
        return None if self._between is None or self._began is None else self._began + self._between

    def _ring(self) -> None:
        self._timer = None
        if self._began is None or self._task is None:
            return
        ends_at = self._ends_at()
        if ends_at is not None and ends_at <= self._loop.time():
            self._rang = True
            self._task.cancel()
        else:
            self._set()


class _Watched:
    """A response whose reader waits under the watch."""

    def __init__(self, response: HttpResponse, watch: Watch) -> None:
        self._response = response
        self._watch = watch
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self, limit: int) -> bytes:
        return await gathered(self.chunks(), limit)

    async def chunks(self) -> AsyncGenerator[bytes]:
        watch = self._watch
        async with aclosing(self._response.chunks()) as pieces:
            watch.begin()
            try:
                async for piece in pieces:
                    watch.pause()
                    yield piece
                    watch.begin()
            except asyncio.CancelledError:
                if watch.has_rung():
                    raise watch.silence() from None
                raise
            finally:
                watch.end()
