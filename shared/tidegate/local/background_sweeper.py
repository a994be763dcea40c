"""The sweeper of the local server: it runs once a minute while the server runs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0


class Sweeper(Protocol):
    """The sweeper of one store."""

    async def run(self) -> object:
        """Make one run. Raises `StoreUnavailable`."""
        ...


@asynccontextmanager
async def sweep_in_background(
    sweeper: Sweeper, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncGenerator[None]:
    """Run the sweeper again and again until the context is left."""
    task = asyncio.create_task(_sweep(sweeper, pause))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(sweeper: Sweeper, pause: Callable[[float], Awaitable[object]]) -> None:
    while True:
        await pause(INTERVAL_SECONDS)
        try:
            await sweeper.run()
        except StoreUnavailable as error:
            log.warning("sweeper.failed", extra={"error": error.message})
