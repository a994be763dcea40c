"""What stands before every route: who asks, and how much they send. A stranger's body is not read."""

import time
from collections import deque

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.source import source_of
from tidegate.control.authorization import authenticate
from tidegate.domain.ids import ulid
from tidegate.errors import InvalidKey, RequestTooLarge, TidegateError
from tidegate.policy.auth.throttle import Failures

MAX_BODY_BYTES = 256 * 1024


class Admission:
    """An ASGI middleware: the admin key behind `request.state.who`, and an id on every reply.

    An address from which too much was guessed waits, also with a good key: none is remembered here.
    """

    def __init__(self, app: ASGIApp, public: frozenset[str], failures: Failures | None = None) -> None:
        self._app = app
        self._public = public
        self._failures = failures or Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = _Named(send)
        try:
            if scope["path"] not in self._public:
                await self._admit(Request(scope))
            await self._app(scope, await _read(receive), named)
        except TidegateError as error:
            await response(error)(scope, receive, named)

    async def _admit(self, request: Request) -> None:
        address = source_of(request.scope).address
        authorization = request.headers.get("authorization")
        await self._failures.slow(address)
        try:
            request.state.who = await authenticate(request.app.state.control, authorization)
        except InvalidKey:
            if authorization is not None:
                self._failures.count(address)
            raise


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
