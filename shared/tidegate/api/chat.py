"""`POST …/chat/completions`: from bytes to a call, and from its answer to JSON or a stream."""

import logging
import time
from collections.abc import AsyncIterator

from msgspec import Struct
from starlette.types import Message, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.disconnect import cancel_on_disconnect
from tidegate.api.reply import RawHeaders, header, latin1, send_json
from tidegate.api.source import source_of
from tidegate.api.stream import EventStream, error_end
from tidegate.domain.call import Call, Surface
from tidegate.domain.ids import ulid
from tidegate.domain.server_options import ServerOptions
from tidegate.errors import RequestTooLarge, TidegateError, UnsupportedMediaType
from tidegate.gateway import Answer, Gateway
from tidegate.json import encode
from tidegate.policy.metering.reservation import Headroom

log = logging.getLogger(__name__)

LAMBDA_MARGIN_SECONDS = 3.0
"""Kept of an invocation's time: for the error event, and for metering the call before the process is killed."""


class ReplyProgress:
    """How far a reply has come: whether it `began`, and whether it `ended`."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False
        self.ended = False

    async def send(self, message: Message) -> None:
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)
        self.began = True

    async def fail(self, error: TidegateError, call: Call | None) -> bool:
        """Tell the client: as a reply where none has begun, else as the last event of a stream. False: it cannot be."""
        if not self.began:
            await _refuse(self._send, error, call)
        elif call is not None and call.request.stream and not self.ended:
            await self.send(error_end(error))
        else:
            return False
        return True


class ChatCompletions(Struct, frozen=True):
    """The endpoint of one surface, as an ASGI application."""

    surface: Surface
    options: ServerOptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        gateway: Gateway = scope["state"]["gateway"]
        call: Call | None = None
        reply = ReplyProgress(send)
        try:
            call = await self._read_call(gateway, scope, receive)
            if call.request.fields.dry_run:
                await _dry_run(gateway, call, reply.send)
            elif call.request.stream:
                await self._stream(gateway, call, started, receive, reply.send)
            else:
                await self._whole(gateway, call, started, receive, reply.send)
        except TidegateError as error:
            if not await reply.fail(error, call):
                raise
        except Exception:
            log.exception("call.crashed", extra={"call_id": call.id if call else None})
            if not await reply.fail(errors.internal_error(), call):
                raise

    async def _read_call(self, gateway: Gateway, scope: Scope, receive: Receive) -> Call:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await _read_body(receive, headers, self.options.max_body_bytes)
        lambda_deadline = scope.get("extensions", {}).get("tidegate.lambda", {}).get("deadline")
        return await gateway.admit(
            self.surface,
            header(headers, b"authorization"),
            header(headers, b"x-workspace-id"),
            body,
            source=source_of(scope),
            app_id=header(headers, b"x-app-id"),
            request_deadline=header(headers, b"x-request-deadline"),
            session_id=header(headers, b"x-session-id"),
            idempotency_key=headers[b"idempotency-key"].decode("latin-1") if b"idempotency-key" in headers else None,
            deadline=None if lambda_deadline is None else lambda_deadline - LAMBDA_MARGIN_SECONDS,
        )

    async def _whole(self, gateway: Gateway, call: Call, started: float, receive: Receive, send: Send) -> None:
        async with cancel_on_disconnect(receive) as client, gateway.answer(call) as answer:
            client.stop_watching()
            headers = _early_headers(call) + _answer_headers(answer, started)
            await send_json(client.cancelling(send), 200, encode(answer.completion), headers)

    async def _stream(self, gateway: Gateway, call: Call, started: float, receive: Receive, send: Send) -> None:
        stream = EventStream(receive, send, _early_headers(call), self.options.keep_alive_seconds)
        async with stream.keep_alive(), gateway.answer(call) as answer:
            # A stream was asked for, and what is no stream has failed.
            assert answer.batches is not None  # noqa: S101
            await stream.run(_answer_headers(answer, started), answer.batches)


def _early_headers(call: Call) -> RawHeaders:
    """What the head says of every call, however early it is sent."""
    return [(b"x-request-id", call.id.encode())]


def _answer_headers(answer: Answer, started: float) -> RawHeaders:
    """What the head says once there is an answer."""
    overhead = time.perf_counter() - started - answer.upstream_seconds
    headers: RawHeaders = [
        (b"x-tidegate-provider", answer.deployment.provider.encode()),
        (b"x-tidegate-model", latin1(answer.deployment.model_id)),
        *errors.attempt_headers(answer.attempts, answer.failed_attempts),
        (b"x-tidegate-overhead-ms", b"%.2f" % (overhead * 1000)),
    ]
    if answer.deployment.label is not None:
        headers.append((b"x-tidegate-deployment", latin1(answer.deployment.label)))
    if answer.ignored:
        headers.append((b"x-tidegate-ignored-params", latin1(",".join(answer.ignored))))
    headers += [(name.encode(), latin1(value)) for name, value in answer.headers]
    return headers + _limit_headers(answer.headroom)


async def _dry_run(gateway: Gateway, call: Call, send: Send) -> None:
    """Say what would become of the call: as JSON, also where a stream is asked for."""
    report = await gateway.dry_run(call)
    await send_json(send, 200, encode(report), [(b"x-request-id", call.id.encode())])


def _limit_headers(headroom: Headroom) -> RawHeaders:
    """What is left of the rates, and how long the answer may be where that was less than asked for."""
    headers: RawHeaders = [
        pair for unit, rate in headroom.rates.items() for pair in errors.rate_limit_headers(unit, rate)
    ]
    if headroom.max_tokens is not None:
        headers.append((b"x-tidegate-max-tokens", b"%d" % headroom.max_tokens))
    return headers


async def _read_body(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """The request's body. Raises `UnsupportedMediaType` and `RequestTooLarge`: where the head tells, before reading."""
    media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise UnsupportedMediaType("The body must be JSON: send the header content-type: application/json.")
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(receive):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {limit} bytes.")


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("The client left before its request was complete.")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


class ClientGone(TidegateError):
    """Nobody is left to tell: the reply is written all the same, and discarded by the server."""

    status = 400
    code = "client_disconnected"


async def _refuse(send: Send, error: TidegateError, call: Call | None) -> None:
    request_id = call.id if call else ulid(time.time())
    headers = [(b"x-request-id", request_id.encode()), *errors.headers(error)]
    await send_json(send, error.status, errors.body(error), headers)
