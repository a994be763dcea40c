"""How a response travels to the client: streamed as it is made, or whole where nothing can stream.

Source: https://docs.aws.amazon.com/lambda/latest/dg/response-streaming.html; cargo-lambda 1.9 acknowledges a streamed
response at its beginning, Lambda at its end, and both are right by RFC 9112, section 9.5.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tidegate.runtime.connection import Connection, ConnectionLost, Reply
from tidegate.runtime.endpoint import REPLY_SECONDS, Endpoint, Invocation
from tidegate.runtime.event import Payload
from tidegate.runtime.failure import Failure
from tidegate.runtime.response import DELIMITER, Head, prelude, proxy_response


class Ending(asyncio.Event):
    """Set when nothing more can reach the client: the response is complete, or nobody takes it.

    `callback` is called once after that, by the event loop.
    """

    callback: Callable[[], object] | None = None

    def set(self) -> None:
        if not self.is_set():
            super().set()
            asyncio.get_running_loop().call_soon(self._call_back)

    def _call_back(self) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class Delivery(Protocol):
    """One response on its way. Every call raises `OSError` once nobody takes the response any more."""

    over: Ending

    async def start(self, head: Head) -> None:
        """Raises `PreludeTooLarge` with nothing sent yet."""
        ...

    async def write(self, body: bytes) -> None: ...

    def write_at_once(self, body: bytes) -> bool:
        """Write more, unless nobody takes it. Return False if the other side is slow: then await the next `write`."""
        ...

    async def end(self, failure: Failure | None = None) -> None:
        """Finish, saying why when the response is not complete."""
        ...

    def close(self) -> None:
        """Let go of whatever the response held, ended or not."""
        ...


class Streamed:
    """The chunked response of InvokeWithResponseStream, on a connection of its own."""

    def __init__(self, endpoint: Endpoint, invocation: Invocation, payload: Payload) -> None:
        self.over = Ending()
        self._endpoint, self._invocation = endpoint, invocation
        self._payload: Payload = payload
        self._connection: Connection = endpoint.connect()
        self._acknowledged = asyncio.Event()
        self._reply: Reply | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, head: Head) -> None:
        encoded = prelude(head, self._payload)
        try:
            await self._connection.open()
        except OSError:
            self.over.set()
            raise
        self._watch = asyncio.create_task(self._watch_peer())
        self._endpoint.begin_stream(self._connection, self._invocation)
        # Two chunks: cargo-lambda takes the first for the prelude and the second for the delimiter.
        self._connection.write_chunk(encoded)
        self._connection.write_chunk(DELIMITER)

    async def write(self, body: bytes) -> None:
        if self.over.is_set():
            raise ConnectionLost("the Runtime API does not take the response any more")
        try:
            self._connection.write_chunk(body)
            await self._connection.drain()
        except OSError:
            self.over.set()
            raise

    def write_at_once(self, body: bytes) -> bool:
        if self.over.is_set():
            return True
        try:
            self._connection.write_chunk(body)
            return not self._connection.is_slow
        except OSError:
            self.over.set()
            return True

    async def end(self, failure: Failure | None = None) -> None:
        if not self.over.is_set():
            self._connection.write_last_chunk(failure.trailers if failure else ())
            async with asyncio.timeout(REPLY_SECONDS):
                await self._acknowledged.wait()
            self.over.set()
        if self._reply is None or not 200 <= self._reply.status < 300:
            status = self._reply.status if self._reply else "nothing"
            raise ConnectionLost(f"the Runtime API answered {status} to a response")

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._connection.close()

    async def _watch_peer(self) -> None:
        """Learn of a refusal or a closed connection while the application is still thinking."""
        try:
            self._reply = await self._connection.reply()
            if 200 <= self._reply.status < 300:
                self._acknowledged.set()
                await self._connection.closed_by_peer()
        except OSError:
            # What it means is said by `over`, which every later call looks at.
            pass
        finally:
            self._acknowledged.set()
            self.over.set()


class Whole:
    """The ordinary proxy response, for `sam local`: everything at the end, in one call."""

    def __init__(self, endpoint: Endpoint, invocation: Invocation, payload: Payload) -> None:
        self.over = Ending()
        self._endpoint, self._invocation = endpoint, invocation
        self._payload: Payload = payload
        self._head = Head(500, [])
        self._body = bytearray()

    async def start(self, head: Head) -> None:
        self._head = head

    async def write(self, body: bytes) -> None:
        self._body += body

    def write_at_once(self, body: bytes) -> bool:
        self._body += body
        return True

    async def end(self, failure: Failure | None = None) -> None:
        # Nothing has left yet, so a failure can still be a proper answer.
        head, body = (failure.head, failure.body) if failure else (self._head, bytes(self._body))
        await self._endpoint.respond(self._invocation, proxy_response(head, body, self._payload))
        self.over.set()

    def close(self) -> None:
        self._body.clear()
