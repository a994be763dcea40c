"""A server as a whole process: the fastest event loop that is installed, and signals that end it.

The first SIGINT (Ctrl-C) or SIGTERM lets running requests end; a second SIGINT ends the process at once.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

from tidegate.garbage_collection import collect_seldom
from tidegate.runtime.asgi import App
from tidegate.server.proxies import TrustedProxies
from tidegate.server.server import Server


def run(app: App, sockets: Sequence[socket.socket], *, proxies: TrustedProxies | None = None) -> None:
    """Serve until a signal comes. Raises `StartupFailed`."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, sockets, proxies))


async def _serve(app: App, sockets: Sequence[socket.socket], proxies: TrustedProxies | None) -> None:
    server = Server(app, proxies=proxies)
    restore = _stop_on_signals(server)
    try:
        await server.serve(sockets, collect_seldom)
    finally:
        restore()


def _stop_on_signals(server: Server) -> Callable[[], None]:
    """Let signals end the server; return a function that undoes it."""
    loop, received = asyncio.get_running_loop(), list[int]()

    def stop(number: int) -> None:
        server.stop(at_once=bool(received) and number == signal.SIGINT)
        received.append(number)

    numbers = signal.SIGINT, signal.SIGTERM
    for number in numbers:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # on Windows, where the next tick of the server looks at signals
            signal.signal(number, lambda received_number, _: loop.call_soon_threadsafe(stop, received_number))

    def restore() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)

    return restore


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    return import_module("uvloop").new_event_loop if find_spec("uvloop") else None
