"""The life of a server: the application's start, connections, a tick that looks at all deadlines, graceful shutdown."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from tidegate.runtime.asgi import App
from tidegate.runtime.lifespan import Lifespan, StartupFailed
from tidegate.server.connection import Connection
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import LOOPBACK, TrustedProxies
from tidegate.server.response import stamp
from tidegate.server.state import ServerState

log = logging.getLogger(__name__)

BACKLOG = 2048
"""Connections that the system accepts before the server does."""

MAX_UNSENT_BYTES = 128 * 1024
"""Bytes of a connection that the system takes before the client has room for them. It would take 4 MB, for clients that
read nothing, too.
"""

GRACE_SECONDS = 3.0
"""How long running requests may continue once the server is asked to stop."""

CANCEL_SECONDS = 20.0
"""How long the application may take to end requests that are cancelled then: every call is settled before the process
ends, however slow the embedded table is.
"""


class Server:
    """Serves an application on listening sockets, which it closes, in the running event loop."""

    def __init__(
        self,
        app: App,
        *,
        limits: ConnectionLimits | None = None,
        proxies: TrustedProxies | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.state = ServerState(app, limits or ConnectionLimits(), proxies or TrustedProxies.parse(LOOPBACK))
        self._grace_seconds = grace_seconds
        self._stopping, self._forced = asyncio.Event(), asyncio.Event()

    def stop(self, *, at_once: bool = False) -> None:
        """End `serve`. `at_once`: without waiting for running requests and for the application."""
        self._stopping.set()
        if at_once:
            self._forced.set()

    async def serve(self, sockets: Sequence[socket.socket], on_start: Callable[[], object] = lambda: None) -> None:
        """Serve until `stop`. `on_start` is called when the application has started, before the first request.

        Raises `StartupFailed`.
        """
        loop, lifespan = asyncio.get_running_loop(), Lifespan(self.state.app)
        try:
            await lifespan.start()
        except StartupFailed:
            for each in sockets:
                each.close()
            raise
        self.state.lifespan = lifespan.state
        on_start()
        self._tick(loop)
        for each in sockets:
            _limit_unsent(each)
        listeners = [
            await loop.create_server(lambda: Connection(self.state), sock=each, backlog=BACKLOG) for each in sockets
        ]
        try:
            await self._stopping.wait()
        finally:
            for listener in listeners:
                listener.close()
            await self._end_exchanges()
            self._timer.cancel()
        if not self._forced.is_set():
            await lifespan.stop()

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at all deadlines, again and again: the one timer of the server."""
        self._timer = loop.call_later(self.state.limits.tick_seconds, self._tick, loop)
        self.state.stamp = stamp(time.time())
        now = loop.time()
        for connection in tuple(self.state.connections):
            connection.look_at_deadlines(now)
        self.state.close_oldest()

    async def _end_exchanges(self) -> None:
        """Close waiting connections at once, and the others once their replies are complete; cancel what is slow."""
        self.state.is_stopping = True
        for connection in tuple(self.state.connections):
            connection.end_soon()
        await self._wait_for_exchanges(self._grace_seconds)
        tasks = self._running_tasks()
        if tasks and not self._forced.is_set():
            log.warning("requests.cancelled", extra={"requests": len(tasks)})
            for task in tasks:
                task.cancel()
            await self._wait_for_exchanges(CANCEL_SECONDS)
        for connection in tuple(self.state.connections):
            connection.close()

    async def _wait_for_exchanges(self, seconds: float) -> None:
        tasks = self._running_tasks()
        if tasks and not self._forced.is_set():
            forced = asyncio.ensure_future(self._forced.wait())
            ended = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait((forced, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            forced.cancel()
            ended.cancel()

    def _running_tasks(self) -> list[asyncio.Task[None]]:
        return [each.task for each in self.state.exchanges if each.task is not None and not each.task.done()]


def _limit_unsent(listener: socket.socket) -> None:
    """Limit what the system buffers for each connection of the listener, which inherits the option."""
    option: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)


@asynccontextmanager
async def serving(server: Server, listener: socket.socket) -> AsyncGenerator[tuple[str, int]]:
    """Serve while the context lasts, in the running event loop; yields host and port. Raises `StartupFailed`."""
    started = asyncio.Event()
    address = listener.getsockname()[:2]
    task = asyncio.create_task(server.serve([listener], started.set))
    starting = asyncio.create_task(started.wait())
    await asyncio.wait((task, starting), return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    if task.done():
        task.result()
    try:
        yield address
    finally:
        server.stop()
        await task
