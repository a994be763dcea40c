"""The admin API's middleware: it authenticates the request before it reads the body, and limits the body's size."""

import time
from collections import deque

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.console.viewer import find_caller
from tidegate.api.source import source_of
from tidegate.control.authorization import authenticate_admin
from tidegate.domain.ids import ulid
from tidegate.domain.keys import hash_secret
from tidegate.domain.managed_resources import AdminKey
from tidegate.errors import InvalidKey, RequestTooLarge, TidegateError
from tidegate.policy.auth.throttle import GuessThrottle

MAX_BODY_BYTES = 256 * 1024


class AdminMiddleware:
    """ASGI middleware: sets `request.state.actor` to the admin key, and adds a request id to every response.

    Paths of the dashboard also admit callers, whose rights are in `actor` then; `request.state.is_caller` is true.

    After many wrong keys of an address, further wrong ones get `TooManyFailures`; a valid key always passes.
    """

    def __init__(self, app: ASGIApp, public: frozenset[str], throttle: GuessThrottle | None = None) -> None:
        self._app = app
        self._public = public
        self._throttle = throttle or GuessThrottle()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send_with_headers = _SendWithHeaders(send)
        try:
            if scope["path"] not in self._public:
                await self._admit(Request(scope))
            await self._app(scope, await _read_body(receive), send_with_headers)
        except TidegateError as error:
            await error_response(error)(scope, receive, send_with_headers)

    async def _admit(self, request: Request) -> None:
        caller = await find_caller(request)
        request.state.is_caller = caller is not None
        request.state.actor = caller or await self._authenticate_admin(request)

    async def _authenticate_admin(self, request: Request) -> AdminKey:
        authorization = request.headers.get("authorization")
        header_hash = hash_secret(authorization or "")
        try:
            self._throttle.check_known_wrong(header_hash)
            return await authenticate_admin(request.app.state.control, authorization)
        except InvalidKey as error:
            if authorization is None:
                raise
            raise self._throttle.refusal(source_of(request.scope).address, header_hash, error) from None


async def _read_body(receive: Receive) -> Receive:
    """Read the whole body, and return a `receive` that replays it. Raises `RequestTooLarge`."""
    messages: deque[Message] = deque()
    size, expects_more = 0, True
    while expects_more:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        expects_more = message["type"] == "http.request" and message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            raise RequestTooLarge(f"A request body of the admin API may have at most {MAX_BODY_BYTES} bytes.")

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return replay


class _SendWithHeaders:
    """Adds a request id and `cache-control: no-store` to the response."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            extra_headers = [(b"x-request-id", ulid(time.time()).encode()), (b"cache-control", b"no-store")]
            message = {**message, "headers": [*message.get("headers", ()), *extra_headers]}
        await self._send(message)


def error_response(error: TidegateError) -> Response:
    """Return the error as a response, with the error body that all endpoints use."""
    http_response = Response(errors.body(error), status_code=error.status, media_type="application/json")
    for name, value in errors.headers(error):
        http_response.headers[name.decode()] = value.decode()
    return http_response
