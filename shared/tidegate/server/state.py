"""State that the connections of one server share."""

import asyncio
from typing import Protocol

from tidegate.runtime.asgi import App
from tidegate.server.limits import ConnectionLimits
from tidegate.server.proxies import TrustedProxies


class ServedConnection(Protocol):
    """`connection.Connection`, as the server sees it."""

    def look_at_deadlines(self, now: float) -> None:
        """End what has taken too long at `now`, a time of the event loop."""
        ...

    def end_soon(self) -> None:
        """Close the connection, or close it once the running request has its reply."""
        ...

    def close(self) -> None:
        """Close the connection once all that was written is sent."""
        ...


class RunningExchange(Protocol):
    """`exchange.Exchange`, as the server sees it."""

    task: "asyncio.Task[None] | None"


class ServerState:
    """The application, the limits, all connections, and the requests that the application has not ended yet."""

    def __init__(self, app: App, limits: ConnectionLimits, proxies: TrustedProxies) -> None:
        self.app = app
        self.limits = limits
        self.seconds = limits.seconds_by_phase()
        self.proxies = proxies
        self.lifespan: dict[str, object] = {}
        """State that the application's start leaves for each request."""
        self.stamp = b""
        """The headers that all replies of a second have."""
        self.is_stopping = False
        self.connections: set[ServedConnection] = set()
        self.exchanges: set[RunningExchange] = set()
        self.unsettled = 0
        """Requests that are answered, but not ended by the application."""
        self.one_settled: asyncio.Event | None = None
        """Wakes `wait_for_settlement`, while it waits."""
        self.waiting: dict[ServedConnection, None] = {}
        """Connections without a request, in the order in which they began to wait."""

    async def wait_for_settlement(self) -> None:
        """Wait while too many requests are answered and not ended."""
        while self.unsettled >= self.limits.max_unsettled:
            self.one_settled = self.one_settled or asyncio.Event()
            await self.one_settled.wait()

    def close_oldest(self) -> None:
        """Close the connections that have waited the longest for a request, if too many wait."""
        while len(self.waiting) > self.limits.max_waiting:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            oldest.close()
