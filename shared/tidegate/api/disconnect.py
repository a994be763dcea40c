"""Cancels a call when its client leaves: while the call waits for the provider, and while its reply is sent."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Protocol, Self

from msgspec import Struct, field
from starlette.types import Message, Receive, Scope

from tidegate.api.reply import HeaderLines, RawHeaders

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


class WatchedReply(Protocol):
    """The reply to a request, and the connection of its client."""

    client: ClientConnection | None

    async def send(self, message: Message) -> None: ...

    def write_reply(self, status: int, body: bytes, lines: HeaderLines) -> bool: ...

    async def send_reply(self, status: int, body: bytes, headers: RawHeaders) -> None: ...


class ClientWatch(Struct, eq=False):
    """Cancels the block of one request when its client leaves. Read the request's body before.

    A cancelled block ends without an error. When the reply begins, `write_reply`; or else call `stop`, and use
    `send_reply` or `send`.
    """

    _receive: Receive
    _reply: WatchedReply
    _task: "asyncio.Task[object] | None" = field(default_factory=asyncio.current_task)
    _is_watching: bool = False
    _has_left: bool = False
    _is_cancelled: bool = False
    _waiting_task: "asyncio.Task[None] | None" = None

    def __enter__(self) -> Self:
        self._is_watching = True
        client = self._reply.client
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
        if not self._has_left:
            return False
        is_own = not self._is_cancelled or self._task is None or self._task.uncancel() == 0
        return is_own and kind is not None and issubclass(kind, asyncio.CancelledError)

    def stop(self) -> None:
        """End the watch: `send` tells from now on whether the client is still there."""
        self._is_watching = False
        client = self._reply.client
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
        client = self._reply.client
        return None if client is None else client.write

    async def send(self, message: Message) -> None:
        """Send a message. If the server raises `OSError` because the client has left, the block is cancelled."""
        try:
            await self._reply.send(message)
        except OSError:
            self._cancel_sender()

    def write_reply(self, status: int, body: bytes, lines: HeaderLines) -> bool:
        """End the watch, and write a whole reply.

        Return False if the server must wait, or is not ours: `send_reply` then.
        """
        if self._reply.write_reply(status, body, lines):
            self._is_watching = False  # nobody is called back after a reply
            return True
        self.stop()
        return False

    async def send_reply(self, status: int, body: bytes, headers: RawHeaders) -> None:
        """Send a whole reply. If the server raises `OSError` because the client has left, the block is cancelled."""
        try:
            await self._reply.send_reply(status, body, headers)
        except OSError:
            self._cancel_sender()

    def _cancel_sender(self) -> NoReturn:
        self._has_left = True
        if asyncio.current_task() is not self._task:
            self.leave()
        raise asyncio.CancelledError from None

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.leave()
