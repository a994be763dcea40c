"""Graceful shutdown: every answered call is settled before the process ends, however slow the embedded table is.

A server cancels slow calls, and then closes the application: without the guard, records would be lost.
"""

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SETTLE_SECONDS = 10.0

MAX_UNSETTLED = 32
"""Calls that may be answered but not settled. The embedded table takes about 40 writes a second: with more calls
waiting, their writes would time out and their records would be lost.
"""


class SettlementGuard:
    """ASGI middleware: new calls wait while too many are unsettled, and the shutdown waits for running calls."""

    def __init__(self, app: ASGIApp, max_unsettled: int = MAX_UNSETTLED) -> None:
        self._app = app
        self._max_unsettled = max_unsettled
        self._running: set[asyncio.Task[object]] = set()
        self._unsettled: set[asyncio.Task[object]] = set()
        self._one_settled = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, lambda: self._receive_when_settled(receive), send)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # an application runs in a task

        async def send_and_track(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._unsettled.add(task)
            await send(message)

        self._running.add(task)
        try:
            # The server is ending, so nothing awaits this task's cancellation.
            with contextlib.suppress(asyncio.CancelledError):
                while len(self._unsettled) >= self._max_unsettled:
                    self._one_settled.clear()
                    await self._one_settled.wait()
                await self._app(scope, receive, send_and_track)
        finally:
            self._running.discard(task)
            self._unsettled.discard(task)
            self._one_settled.set()

    async def _receive_when_settled(self, receive: Receive) -> Message:
        message = await receive()
        if message["type"] == "lifespan.shutdown" and self._running:
            await asyncio.wait(self._running, timeout=SETTLE_SECONDS)
        return message
