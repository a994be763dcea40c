"""What stands before every route: who asks, and how much they send. A stranger's body is not read."""

import time
from collections import deque

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.api import errors
from tidegate.control.access import authenticate
from tidegate.domain.ids import ulid
from tidegate.errors import RequestTooLarge, TidegateError

MAX_BODY_BYTES = 256 * 1024


class Admission:
    """An ASGI middleware: the admin key behind `request.state.who`, and an id on every reply."""

    def __init__(self, app: ASGIApp, public: frozenset[str]) -> None:
        self._app = app
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = _Named(send)
        try:
            if scope["path"] not in self._public:
                request = Request(scope)
                request.state.who = await authenticate(scope["app"].state.control, request.headers.get("authorization"))
            await self._app(scope, await _read(receive), named)
        except TidegateError as error:
            await response(error)(scope, receive, named)


async def _read(receive: Receive) -> Receive:
    """The same messages, of which the body has been read. Raises `RequestTooLarge`."""
    kept: deque[Message] = deque()
    size, more = 0, True
    while more:
        message = await receive()
        kept.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            raise RequestTooLarge(f"A request of the control plane has {MAX_BODY_BYTES} bytes at most.")

    async def again() -> Message:
        return kept.popleft() if kept else await receive()

    return again


class _Named:
    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(b"x-request-id", ulid(time.time()).encode()), (b"cache-control", b"no-store")]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await self._send(message)


def response(error: TidegateError) -> Response:
    """The failure in our envelope."""
    reply = Response(errors.body(error), status_code=error.status, media_type="application/json")
    for name, value in errors.headers(error):
        reply.headers[name.decode()] = value.decode()
    return reply
