"""An application behind our own server, in a thread of the test's process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.server.server import Server, serving


@contextmanager
def served_in_thread(app: Any, listener: socket.socket) -> Iterator[str]:
    """Serve until the context is left; yields the URL. The application has started by then."""
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with serving(Server(app), listener):
            started.set()
            await stop.wait()

    host, port = listener.getsockname()[:2]
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(20), "the application has not started"
        yield f"http://{host}:{port}"
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)
