"""The process's life: start up, take invocations, as many at once as Lambda sends, and stop on SIGTERM.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html (phases; SIGTERM, then up to two
seconds) and https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-execution-environment.html
(concurrent polls), read 2026-11.
"""

import asyncio
import os
import signal
from collections.abc import Callable

from tidegate.runtime.asgi import App
from tidegate.runtime.connection import Connection
from tidegate.runtime.endpoint import ContainerError, Endpoint, Invocation
from tidegate.runtime.environment import Environment
from tidegate.runtime.failure import log
from tidegate.runtime.invocation import Service, serve
from tidegate.runtime.lifespan import Lifespan

_FIRST_RETRY_SECONDS = 0.05
_LAST_RETRY_SECONDS = 1.0

# Lambda kills two seconds after SIGTERM: these add up to less.
_FINISH_SECONDS = 0.7
_SETTLE_SECONDS = 0.5
_LIFESPAN_SECONDS = 0.3
_EXIT_SECONDS = 1.7


async def start(
    app: App, environment: Environment, on_start: Callable[[], object] = lambda: None
) -> tuple[Lifespan, Service]:
    """Start the application, up to where Lambda may freeze it into a snapshot. Raises `StartupFailed`.

    `on_start` is called when the application has started, before the snapshot.
    """
    lifespan = Lifespan(app)
    await lifespan.start()
    on_start()
    endpoint = Endpoint(environment.api)
    if environment.snap_start:
        await endpoint.restored()
    return lifespan, Service(app, endpoint, lifespan.state, streams=not environment.sam_local)


async def run(lifespan: Lifespan, service: Service, concurrency: int, stop: asyncio.Event) -> None:
    """Serve invocations until `stop` is set, then end within two seconds.

    Raises `ContainerError` when the Runtime API wants this process to exit.
    """
    polls = [Poll(service, stop, alone=concurrency == 1) for _ in range(concurrency)]
    tasks = [asyncio.create_task(poll.run()) for poll in polls]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    for poll, task in zip(polls, tasks, strict=True):
        if poll.is_idle:
            task.cancel()
    await asyncio.wait(tasks, timeout=_FINISH_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_SETTLE_SECONDS)
    try:
        async with asyncio.timeout(_LIFESPAN_SECONDS):
            await lifespan.stop()
    except TimeoutError:
        log("lifespan.shutdown_slow")
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


def stop_on_sigterm() -> asyncio.Event:
    """An event that SIGTERM sets. What does not end by itself after that is ended here, with status 0."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def begin_to_stop() -> None:
        stop.set()
        loop.call_later(_EXIT_SECONDS, os._exit, 0)

    loop.add_signal_handler(signal.SIGTERM, begin_to_stop)
    return stop


class Poll:
    """One of the polls for invocations: a single one, or as many as Lambda allows at once."""

    def __init__(self, service: Service, stop: asyncio.Event, *, alone: bool) -> None:
        self.is_idle = True
        self._service = service
        self._stop = stop
        self._alone = alone

    async def run(self) -> None:
        """Take invocations one after the other until told to stop."""
        connection = self._service.endpoint.connect()
        try:
            while not self._stop.is_set():
                invocation = await self._next(connection)
                self.is_idle = False
                self._announce_trace(invocation)
                await serve(self._service, invocation)
                self.is_idle = True
        finally:
            connection.close()

    async def _next(self, connection: Connection) -> Invocation:
        """Wait for an invocation, however often the Runtime API has to be asked."""
        pause = _FIRST_RETRY_SECONDS
        while True:
            try:
                invocation = await self._service.endpoint.next(connection)
            except OSError as error:
                log("poll.failed", "WARNING", errorType=type(error).__name__)
                connection.close()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_RETRY_SECONDS)
                continue
            except ContainerError:
                log("poll.refused")
                raise
            if invocation is not None:
                return invocation
            await asyncio.sleep(_FIRST_RETRY_SECONDS)

    def _announce_trace(self, invocation: Invocation) -> None:
        """Set the variable AWS's SDKs read. It is the process's, so with several invocations at once it would lie."""
        if not self._alone:
            return
        if invocation.trace_id:
            os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
