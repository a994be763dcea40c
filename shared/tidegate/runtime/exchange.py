"""One invocation as the application sees it: `receive` and `send`.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html (spec_version 2.4: `send` raises `OSError` once the client
has gone).
"""

from collections.abc import Callable, Iterable
from typing import cast

from tidegate.runtime.asgi import Headers, Message
from tidegate.runtime.delivery import Delivery
from tidegate.runtime.failure import HEADERS_TOO_LARGE, Failure, log
from tidegate.runtime.response import Head, PreludeTooLarge


class Exchange:
    """The application's `receive` and `send`; also its `tidegate.client`: see `api.disconnect.ClientConnection`."""

    def __init__(self, body: bytes, delivery: Delivery, *, method: str, request_id: str) -> None:
        self._body: bytes | None = body
        self._delivery = delivery
        self._method = method
        self._request_id = request_id
        self._head: Head | None = None
        self._begun = False
        self._ended = False
        self._failed = False
        self._unsent = b""

    @property
    def is_over(self) -> bool:
        """Nothing that the application still sends can reach the client."""
        return self._ended or self._delivery.over.is_set()

    def watch(self, callback: Callable[[], object]) -> None:
        """Call `callback` once if the client goes before its response is complete; at once if it has gone already."""
        if self._ended:
            return
        if self._delivery.over.is_set():
            callback()
        else:
            self._delivery.over.callback = callback

    def unwatch(self) -> None:
        """Call nothing when the client goes."""
        self._delivery.over.callback = None

    def take_body(self) -> bytes | None:
        """Take the whole request, if it was not received; None after that."""
        body, self._body = self._body, None
        return body

    async def receive(self) -> Message:
        """The whole request once; after that, `http.disconnect` when the response is over."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._delivery.over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take one message of the response.

        The response starts with its first body message, so that an application that fails before still gets a 500.
        """
        if self._failed or (self._delivery.over.is_set() and not self._ended):
            raise OSError("nobody takes the response any more")
        match message:
            case {"type": "http.response.start", "status": int(status)} if self._head is None:
                # ASGI messages are untyped mappings.
                headers = cast("Iterable[tuple[bytes, bytes]]", message.get("headers", ()))
                self._head = Head(status, [(bytes(name), bytes(value)) for name, value in headers])
            case {"type": "http.response.body"} if self._head is not None and not self._ended:
                body = cast("bytes", message.get("body", b""))
                await self._send_body(self._head, body, more=bool(message.get("more_body", False)))
            case {"type": kind}:
                raise RuntimeError(f"the application sent {kind!r} out of turn")
            case _:
                raise RuntimeError("the application sent a message without a type")

    def write(self, data: bytes) -> bool:
        """Take more of the body, unless nobody takes it any more. After False, the next message must be awaited."""
        if self.is_over or self._method == "HEAD":
            return True
        if not self._begun:  # to begin takes a connection
            self._unsent += data
            return False
        return self._delivery.write_at_once(data)

    def write_reply(self, status: int, body: bytes, lines: bytes) -> bool:
        """Return False: a response waits for its connection to Lambda."""
        return False

    def begin_reply(self, status: int, lines: bytes) -> bool:
        """Return False: a response waits for its connection to Lambda."""
        return False

    async def send_reply(self, status: int, body: bytes, headers: Headers) -> None:
        """Take a whole response, as `send` takes it in two messages. Its length is left to API Gateway."""
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def fail(self, failure: Failure) -> None:
        """Answer with the failure where nothing has left yet, else end the response with it."""
        if self.is_over:
            return
        self._ended = self._failed = True
        self.unwatch()
        if not self._begun:
            await self._deliver_whole(failure)
            return
        if self._head is not None and self._head.is_event_stream:
            await self._delivery.write(failure.event)
        await self._delivery.end(failure)

    async def _send_body(self, head: Head, body: bytes, *, more: bool) -> None:
        if not self._begun:
            await self._begin(head)
            body, self._unsent = self._unsent + body, b""
        if (body or more) and self._method != "HEAD" and not head.forbids_body:
            await self._delivery.write(bytes(body))  # waits for a slow client even without a body
        if not more:
            self._ended = True
            self.unwatch()
            await self._delivery.end()

    async def _begin(self, head: Head) -> None:
        try:
            await self._delivery.start(head)
        except PreludeTooLarge as error:
            log("response.headers_too_large", requestId=self._request_id, reason=str(error))
            self._ended = self._failed = True
            await self._deliver_whole(HEADERS_TOO_LARGE)
            # For the application this is a client that has gone: it stops the work and meters it.
            raise OSError("the response was replaced because its headers are too large") from error
        self._begun = True

    async def _deliver_whole(self, failure: Failure) -> None:
        self._begun = True
        await self._delivery.start(failure.head)
        if self._method != "HEAD":
            await self._delivery.write(failure.body)
        await self._delivery.end()
