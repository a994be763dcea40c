"""Work that no cancellation may interrupt."""

import asyncio
from collections.abc import Coroutine

import anyio

SETTLE_SECONDS = 35.0
"""A settling that takes longer is given up, and its figures are logged: the store itself has failed before."""


async def run_shielded(work: Coroutine[object, object, None]) -> None:
    """Await `work` however often the caller is cancelled meanwhile; the cancellation is raised afterwards.

    Both kinds are held off: anyio's scopes (a client that hangs up) and asyncio's own (a server that shuts down).
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
