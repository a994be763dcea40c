"""The end of the server: calls that are cancelled are settled before the gateway closes.

uvicorn cancels what runs for too long and closes the application at once, and it ends the process by the signal that
it was sent: both would lose records.
"""

import asyncio
import contextlib
import signal
from collections.abc import Generator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SETTLE_SECONDS = 10.0


class Settling:
    """`app`, whose shutdown waits for the calls that were cancelled."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: set[asyncio.Task[object]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, lambda: self._settled(receive), send)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # an application runs in a task
        self._running.add(task)
        try:
            # Nobody is left to hear of the cancellation: the server is ending.
            with contextlib.suppress(asyncio.CancelledError):
                await self._app(scope, receive, send)
        finally:
            self._running.discard(task)

    async def _settled(self, receive: Receive) -> Message:
        message = await receive()
        if message["type"] == "lifespan.shutdown" and self._running:
            await asyncio.wait(self._running, timeout=SETTLE_SECONDS)
        return message


class Server(uvicorn.Server):
    """Ends with `run` returning, whichever signal ended it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True
