"""Cancels a call when its client leaves: while the call waits for the provider, and while its reply is sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
from msgspec import Struct
from starlette.types import Message, Receive, Send


class Disconnect(Struct, frozen=True):
    """Watches one client. When the reply begins, call `stop_watching`, and send with `cancelling(send)`."""

    stop_watching: Callable[[], object]
    _block: anyio.CancelScope

    def cancelling(self, send: Send) -> Send:
        """Return `send`, which cancels the block when the server raises `OSError` because the client has left."""

        async def send_or_cancel(message: Message) -> None:
            try:
                await send(message)
            except OSError:
                self._block.cancel()
                await anyio.sleep_forever()

        return send_or_cancel


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncGenerator[Disconnect]:
    """Cancel the block when the client leaves, until `stop_watching` is called. Read the request's body before.

    A cancelled block ends without an error.
    """
    with anyio.CancelScope() as block:
        watching = asyncio.ensure_future(_watch(receive, block))
        try:
            yield Disconnect(watching.cancel, block)
        finally:
            watching.cancel()


async def _watch(receive: Receive, block: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    block.cancel()
