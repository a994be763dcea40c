"""Work that no cancellation may interrupt."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

SETTLE_SECONDS = 35.0
"""The time limit of the work. Settling that takes longer is cancelled; the log line then has the call's outcome."""


_T = TypeVar("_T")


def start(work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
    """Start the work as a task. From Python 3.12 on it begins at once: work that never waits then needs no turn."""
    loop = asyncio.get_running_loop()
    return asyncio.Task(work, loop=loop, eager_start=True) if sys.version_info >= (3, 12) else loop.create_task(work)


async def run_shielded(work: Coroutine[object, object, None]) -> None:
    """Await `work` even if the caller is cancelled meanwhile; raise the cancellation afterwards."""
    task = start(work)
    if task.done():
        task.result()
        return
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
