"""Work that no cancellation may interrupt."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import TypeVar

SETTLE_SECONDS = 35.0
"""The time limit of the work. Settling that takes longer is cancelled; the log line then has the call's outcome."""

_T = TypeVar("_T")


def start_shielded(work: Coroutine[object, object, _T]) -> asyncio.Task[_T] | None:
    """Start the work and return its task; None if it has ended: from Python 3.12 on, work that never waits has.

    A caller that gets a task must await `end_shielded` with it, whatever happens.
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        task = asyncio.Task(work, loop=loop, eager_start=True)
    else:
        task = loop.create_task(work)
    if not task.done():
        return task
    task.result()
    return None


async def run_shielded(work: Coroutine[object, object, object]) -> None:
    """Await `work` even if the caller is cancelled meanwhile; raise the cancellation afterwards."""
    task = start_shielded(work)
    if task is not None:
        await end_shielded(task)


async def end_shielded(task: asyncio.Task[_T]) -> None:
    """Await the task as `run_shielded` does."""
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
