"""Work that goes on in the background while a context is open."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def in_background(work: Coroutine[object, object, object]) -> AsyncGenerator[None]:
    """Run `work` until the context is left, which cancels it and waits for its end. Raises its exception then."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
