"""Work that no cancellation may interrupt."""

import asyncio
from collections.abc import Coroutine

import anyio

SETTLE_SECONDS = 35.0
"""The time limit of the work. Settling that takes longer is cancelled; the log line then has the call's outcome."""


async def run_shielded(work: Coroutine[object, object, None]) -> None:
    """Await `work` even if the caller is cancelled meanwhile; raise the cancellation afterwards.

    Defers the cancellation of an anyio scope (the client hung up) and of the asyncio task (the server shuts down).
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
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
