"""The reply to a client, and what cancels a call when it leaves: while a provider is asked, or the reply is sent."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from starlette.types import Message, Receive, Scope, Send

from tidegate.api.reply import JSON_LINE, JSON_TYPE, HeaderLines, RawHeaders, header_pairs, send_json

CLIENT_EXTENSION = "tidegate.client"
"""The ASGI extension in which our own servers give the connection of a request: a `ClientConnection`."""


class ClientConnection(Protocol):
    """The connection to one client. A server of others has none: then a task of its own waits for the disconnect."""

    def watch(self, callback: Callable[[], None]) -> None:
        """Call `callback()` once when the client has left; at once if it already has."""
        ...

    def unwatch(self) -> None: ...

    def take_body(self) -> bytes | None:
        """Take what is left of the request's body, if all of it has come. None: `receive` it."""
        ...

    def write_reply(self, status: int, body: bytes, lines: HeaderLines) -> bool:
        """Write a whole reply. The server says how long it is. Return False if it must wait: `send_reply` then."""
        ...

    async def send_reply(self, status: int, body: bytes, headers: RawHeaders) -> None:
        """Send a whole reply in one step. The server says how long it is."""
        ...

    def begin_reply(self, status: int, lines: HeaderLines) -> bool:
        """Begin a reply of unknown length. Return False if the server must wait: `send` the start then."""
        ...

    def write(self, data: bytes) -> bool:
        """Write more of a reply that has begun. Return False if the client is slow: `send` the next message then.

        What is written after the client has left is dropped.
        """
        ...


def client_of(scope: Scope) -> ClientConnection | None:
    """Return the connection of a request; None behind a server of others."""
    try:
        return scope["extensions"][CLIENT_EXTENSION]
    except KeyError:
        return None


class ClientReply:
    """The reply to one request, which records whether it has begun and ended.

    As a context, it cancels its block when the client leaves; the block then ends without an error. Read the request's
    body before. When the reply begins in a block, `write_reply`; or else call `stop`, and use `send_reply` or `send`.
    """

    __slots__ = (
        *("_has_left", "_is_cancelled", "_is_watching", "_receive", "_send", "_task", "_waiting_task"),
        *("client", "has_begun", "has_ended"),
    )

    def __init__(self, receive: Receive, send: Send, client: ClientConnection | None) -> None:
        self._receive, self._send, self.client = receive, send, client
        self.has_begun = self.has_ended = False
        self._is_watching = self._has_left = self._is_cancelled = False
        self._task: asyncio.Task[object] | None = None
        """The task of the block, while it runs."""
        self._waiting_task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._is_watching, self._task = True, asyncio.current_task()
        client = self.client
        if client is not None:
            client.watch(self.leave)
        else:
            self._waiting_task = asyncio.ensure_future(self._wait_for_disconnect())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._is_watching:
            self.stop()
        task, self._task = self._task, None
        if not self._has_left:
            return False
        is_own = not self._is_cancelled or task is None or task.uncancel() == 0
        return is_own and kind is not None and issubclass(kind, asyncio.CancelledError)

    def stop(self) -> None:
        """End the watch: `send` tells from now on whether the client is still there."""
        self._is_watching = False
        client = self.client
        if client is not None:
            client.unwatch()
        elif self._waiting_task is not None:
            self._waiting_task.cancel()

    def leave(self) -> None:
        """Cancel the block, because the client has left."""
        self._has_left = True
        if not self._is_cancelled and self._task is not None:
            self._is_cancelled = True
            self._task.cancel()

    @property
    def write(self) -> Callable[[bytes], bool] | None:
        """See `ClientConnection.write`. None behind a server of others."""
        client = self.client
        return None if client is None else client.write

    async def send(self, message: Message) -> None:
        """Send a message. If the server raises `OSError` because the client has left, the block is cancelled."""
        self.has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        try:
            await self._send(message)
        except OSError:
            self._cancel_block()
            raise
        self.has_begun = True

    async def begin(self, status: int, lines: HeaderLines) -> None:
        """Begin a reply in parts, which `send` and `write` go on with."""
        if self.client is not None and self.client.begin_reply(status, lines):
            self.has_begun = True
        else:
            await self.send({"type": "http.response.start", "status": status, "headers": header_pairs(lines)})

    def write_reply(self, status: int, body: bytes, lines: HeaderLines) -> bool:
        """End the watch, and write a whole reply in JSON.

        Return False if the server must wait, or is not ours: `send_reply` then.
        """
        if self.client is None or not self.client.write_reply(status, body, JSON_LINE + lines):
            self.stop()
            return False
        self.has_begun = self.has_ended = True
        self._is_watching = False  # nobody is called back after a reply
        return True

    async def send_reply(self, status: int, body: bytes, headers: RawHeaders) -> None:
        """Send a whole reply in JSON, in one step if the server is ours. An `OSError` is one of `send`."""
        if self.client is None:
            await send_json(self.send, status, body, headers)
            return
        try:
            await self.client.send_reply(status, body, [JSON_TYPE, *headers])
        except OSError:
            self._cancel_block()
            raise
        self.has_begun = self.has_ended = True

    def _cancel_block(self) -> None:
        """Cancel the block, if it runs, because the client has left. Raises `CancelledError` then."""
        if self._task is None:
            return
        self._has_left = True
        if asyncio.current_task() is not self._task:
            self.leave()
        raise asyncio.CancelledError from None

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.leave()
