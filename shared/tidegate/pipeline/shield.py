"""Work that no cancellation may interrupt."""

import asyncio
import sys
from collections.abc import Coroutine

SETTLE_SECONDS = 35.0
"""The time limit of the work. Settling that takes longer is cancelled; the log line then has the call's outcome."""


async def run_shielded(work: Coroutine[object, object, object]) -> None:
    """Await `work` even if the caller is cancelled meanwhile; raise the cancellation afterwards."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):  # work that never waits has then ended
        task = asyncio.Task(work, loop=loop, eager_start=True)
    else:
        task = loop.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=SETTLE_SECONDS)
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
        except asyncio.CancelledError as error:
            cancelled = error
    if not task.cancelled():
        task.result()
    if cancelled is not None:
        raise cancelled
