"""The sweeper of the local server: it runs once a minute while the server runs."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TypeVar

from tidegate.aws.sweeper import Sweeper
from tidegate.errors import StoreUnavailable

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0

_T = TypeVar("_T")


@asynccontextmanager
async def with_sweeper(
    context: AbstractAsyncContextManager[_T],
    sweeper_context: AbstractAsyncContextManager[Sweeper],
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[_T]:
    """Enter `context`, and run a sweeper until it is left."""
    async with context as value, sweeper_context as sweeper:
        task = asyncio.create_task(_sweep(sweeper, pause))
        try:
            yield value
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
