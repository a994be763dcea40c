"""The sweeper of the local server, which runs once a minute, and the roller of call records, every five seconds."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from tidegate.errors import StoreUnavailable
from tidegate.local.background_task import in_background

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 60.0

ROLL_INTERVAL_SECONDS = 5.0
"""How old an overview on one machine may be. Without new calls, a run reads one item for each workspace."""


class Sweeper(Protocol):
    """The sweeper, or the roller, of one store."""

    async def run(self) -> object:
        """Make one run. Raises `StoreUnavailable`."""
        ...


@asynccontextmanager
async def sweep_in_background(
    sweeper: Sweeper,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    interval_seconds: float = INTERVAL_SECONDS,
    *,
    is_on: bool = True,
) -> AsyncGenerator[None]:
    """Run the sweeper again and again until the context is left, unless another process does so."""
    if not is_on:
        yield
        return
    async with in_background(_sweep(sweeper, pause, interval_seconds)):
        yield


def roll_in_background(rollup: Sweeper, *, is_on: bool = True) -> AbstractAsyncContextManager[None]:
    """Run the roller again and again until the context is left, unless another process does so."""
    return sweep_in_background(rollup, interval_seconds=ROLL_INTERVAL_SECONDS, is_on=is_on)


async def _sweep(sweeper: Sweeper, pause: Callable[[float], Awaitable[object]], interval_seconds: float) -> None:
    while True:
        await pause(interval_seconds)
        try:
            await sweeper.run()
        except StoreUnavailable as error:
            log.warning("sweeper.failed", extra={"error": error.message})
