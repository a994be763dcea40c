"""Work that no cancellation may interrupt."""

import asyncio
from collections.abc import Coroutine

import anyio

SETTLE_SECONDS = 35.0
"""Time limit of the work: settling that takes longer is cancelled, and its values are in the log."""


async def run_shielded(work: Coroutine[object, object, None]) -> None:
    """Await `work` even if the caller is cancelled meanwhile; the cancellation is raised afterwards.

    Both kinds are deferred: anyio's scopes (a client that hangs up) and asyncio's own (a server that shuts down).
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
