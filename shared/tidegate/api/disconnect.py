"""Whether the client is still there: while its call waits for the provider's first word, and when it is answered."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
from msgspec import Struct
from starlette.types import Message, Receive, Send


class Disconnect(Struct, frozen=True):
    """`unwatch` ends the watching: the reply begins, and whoever sends it sees for itself whether the client leaves."""

    stop_watching: Callable[[], object]
    _block: anyio.CancelScope

    def cancelling(self, send: Send) -> Send:
        """`send`, which cancels the block where the server says, by `OSError`, that the client has gone."""

        async def sent(message: Message) -> None:
            try:
                await send(message)
            except OSError:
                self._block.cancel()
                await anyio.sleep_forever()

        return sent


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncGenerator[Disconnect]:
    """Cancel the block when the client leaves, until `unwatch` is called. The request has been read before.

    The block ends quietly then: there is nobody to answer.
    """
    with anyio.CancelScope() as scope:
        watching = asyncio.ensure_future(_watch(receive, scope))
        try:
            yield Disconnect(watching.cancel, scope)
        finally:
            watching.cancel()


async def _watch(receive: Receive, block: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    block.cancel()
