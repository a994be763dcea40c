"""Whether the client is still there while its call waits for the provider's first word."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
from starlette.types import Receive

Unwatch: TypeAlias = Callable[[], object]


@asynccontextmanager
async def while_present(receive: Receive) -> AsyncGenerator[Unwatch]:
    """Cancel the block when the client leaves, until what is yielded is called. The request has been read before.

    The block ends quietly then: there is nobody to answer.
    """
    with anyio.CancelScope() as scope:
        watching = asyncio.ensure_future(_watch(receive, scope))
        try:
            yield watching.cancel
        finally:
            watching.cancel()


async def _watch(receive: Receive, block: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    block.cancel()
