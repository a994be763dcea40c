"""The endpoint of an operation: a request → a call, and its answer → one reply or a stream.

`ENDPOINTS` in `api/app.py` lists them: a surface and an operation for each path.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct
from starlette.types import Message, Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.disconnect import ClientConnection, ClientWatch, client_of
from tidegate.api.head import answer_headers, answer_lines, early_headers, early_lines, trace_headers
from tidegate.api.reply import JSON_LINE, JSON_TYPE, HeaderLines, RawHeaders, header, header_pairs, send_json
from tidegate.api.request_body import read_json_body, take_json_body
from tidegate.api.source import source_of
from tidegate.domain.call import Call
from tidegate.domain.ids import ulid
from tidegate.domain.operation import Operation
from tidegate.domain.origin import NeedsState
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.surface import Surface
from tidegate.errors import TidegateError
from tidegate.gateway import NO_HEADERS, CallHeaders, Gateway
from tidegate.json import encode
from tidegate.lazy import load
from tidegate.offload import LONG_BYTES, offload

log = logging.getLogger(__name__)

_STREAM = "tidegate.api.stream"

DEPLOYMENT = "deployment"
"""The parameter of a path that has the model, as Azure's paths do."""

_SESSION_HEADERS = (b"x-session-id", b"x-claude-code-session-id", b"session-id", b"session_id", b"thread-id")
_AGENT_HEADERS = (b"x-claude-code-agent-id", b"x-openai-subagent")
_PARENT_HEADERS = (b"x-claude-code-parent-agent-id",)
"""The headers of ours, of Claude Code and of Codex that name a session, an agent in it, and the agent above that."""

_CALL_HEADERS = frozenset(
    (*_SESSION_HEADERS, *_AGENT_HEADERS, b"x-app-id", b"idempotency-key", b"x-request-deadline", b"traceparent")
)
"""The headers that `CallHeaders` has."""

LAMBDA_MARGIN_SECONDS = 3.0
"""The time of a Lambda invocation that is kept for the error event and for settling the call."""


class ReplyProgress:
    """Sends one reply, and records whether it has begun and ended."""

    def __init__(self, surface: Surface, scope: Scope, send: Send) -> None:
        self._surface = surface
        self._send = send
        self.client = client_of(scope)
        self.has_begun = False
        self.has_ended = False

    async def send(self, message: Message) -> None:
        self.has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)
        self.has_begun = True

    def write_reply(self, status: int, body: bytes, lines: HeaderLines) -> bool:
        """Write a whole reply in JSON. Return False if the server must wait, or is not ours."""
        if self.client is None or not self.client.write_reply(status, body, JSON_LINE + lines):
            return False
        self.has_begun = self.has_ended = True
        return True

    async def send_reply(self, status: int, body: bytes, headers: RawHeaders) -> None:
        """Send a whole reply in JSON: in one step if the server is ours."""
        if self.client is None:
            await send_json(self.send, status, body, headers)
            return
        await self.client.send_reply(status, body, [JSON_TYPE, *headers])
        self.has_begun = self.has_ended = True

    async def fail(self, error: TidegateError, call: Call | None) -> bool:
        """Send the error as the reply, or as the last event of a stream. Return False if it is too late for either."""
        if not self.has_begun:
            await self._refuse(error, call)
        elif call is not None and call.request.stream and not self.has_ended:
            await self.send(load(_STREAM, "error_end")(self._surface.open_stream(call.request), error))
        else:
            return False
        return True

    async def _refuse(self, error: TidegateError, call: Call | None) -> None:
        error.request_id = call.id if call else ulid(time.time())
        names, request_id = self._surface.request_id_headers, error.request_id.encode()
        headers = early_headers(call) if call else [(name, request_id) for name in names]
        status, body = self._surface.status(error), self._surface.error(error)
        await self.send_reply(status, body, headers + errors.headers(error))


class OperationEndpoint(Struct, frozen=True):
    """One operation for the clients of one surface, as an ASGI application. `path` names it in records.

    `only_counts`: it answers with the tokens of the prompt.
    """

    surface: Surface
    operation: Operation
    options: ServerOptions
    path: str
    only_counts: bool = False

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes] | None = None
    ) -> None:
        """Answer a request. `headers` are those of its scope, for a caller who has them as a dictionary."""
        started = time.perf_counter()
        gateway: Gateway = scope["state"]["gateway"]
        call: Call | None = None
        progress = ReplyProgress(self.surface, scope, send)
        try:
            call = await self._read_call(gateway, scope, receive, progress.client, headers or dict(scope["headers"]))
            del scope, headers  # an open stream keeps nothing that it does not need
            if self.only_counts:
                await _count_tokens(gateway, call, progress)
            elif call.request.options.dry_run:
                await _dry_run(gateway, call, progress)
            elif call.request.stream:
                await self._stream(gateway, call, started, ClientWatch(receive, progress))
            else:
                await self._reply(gateway, call, started, ClientWatch(receive, progress))
        except TidegateError as error:
            if not await progress.fail(error, call):
                raise
        except Exception:
            log.exception("call.crashed", extra={"call_id": call.id if call else None})
            if not await progress.fail(errors.internal_error(), call):
                raise

    async def _read_call(
        self,
        gateway: Gateway,
        scope: Scope,
        receive: Receive,
        client: ClientConnection | None,
        headers: dict[bytes, bytes],
    ) -> Call:
        """Return the request's call. The key is checked before the body is read: a stranger's body costs nothing."""
        started_at, call_headers = gateway.clock(), _call_headers(scope, headers)
        caller, authenticated_at = gateway.cached_caller(self.surface, headers, call_headers), started_at
        if caller is None:
            caller = await gateway.authenticate(
                self.surface,
                self.surface.credential(headers),
                header(headers, b"x-workspace-id"),
                source=source_of(scope),
                headers=call_headers,
            )
            authenticated_at = gateway.clock()
        principal, workspace = caller
        body = None if client is None else take_json_body(client, headers, self.options.max_body_bytes)
        if body is None:
            body = await read_json_body(receive, headers, self.options.max_body_bytes)
        if "path_params" in scope and DEPLOYMENT in scope["path_params"]:
            body = load("tidegate.api.azure_path", "with_deployment")(body, scope["path_params"][DEPLOYMENT])
        try:
            if len(body) <= LONG_BYTES:
                request = self.surface.parse(self.operation, body, headers)
            else:
                request = await offload(len(body), partial(self.surface.parse, self.operation, body, headers))
        except NeedsState as needs:
            with_kept_items = load("tidegate.pipeline.kept_responses", "with_kept_items")
            request = await with_kept_items(gateway, workspace, needs, len(body))
        return gateway.new_call(
            principal,
            workspace,
            self.surface,
            self.operation,
            request,
            started_at=started_at,
            authenticated_at=authenticated_at,
            endpoint=self.path,
            headers=call_headers,
            body=body,
        )

    async def _reply(self, gateway: Gateway, call: Call, started: float, client: ClientWatch) -> None:
        with client:
            async with gateway.answer(call) as answer:
                client.stop()
                # The call does not stream, so its answer is a whole reply.
                assert answer.reply is not None  # noqa: S101
                lines = early_lines(call) + answer_lines(answer, started)
                body = self.surface.reply(answer.reply, call.request)
                if call.request.origin is not None:
                    keep_conversation = _conversation_keeper(gateway, call)
                    if keep_conversation is not None:
                        await keep_conversation()
                if not client.write_reply(200, body, lines):
                    await client.send_reply(200, body, header_pairs(lines))

    async def _stream(self, gateway: Gateway, call: Call, started: float, client: ClientWatch) -> None:
        surface_stream, keeper = self.surface.open_stream(call.request), _conversation_keeper(gateway, call)
        seconds = self.options.keep_alive_seconds
        with load(_STREAM, "EventStream")(surface_stream, client, early_headers(call), seconds, keeper) as stream:
            async with gateway.answer(call) as answer:
                # The call streams, so its answer has batches.
                assert answer.batches is not None  # noqa: S101
                await stream.run(answer_headers(answer, started), answer.batches)


def _conversation_keeper(gateway: Gateway, call: Call) -> Callable[[], Awaitable[None]] | None:
    """Return what stores the reply in its conversation; None for a call that has none."""
    conversation = None if call.request.origin is None else call.request.origin.conversation
    if conversation is None or conversation.conversation_id is None:
        return None
    return partial(load("tidegate.pipeline.kept_responses", "keep_response"), gateway, call, conversation)


async def _dry_run(gateway: Gateway, call: Call, progress: ReplyProgress) -> None:
    """Send the dry run's report as JSON, even if the request asks for a stream."""
    report = await gateway.dry_run(call)
    await progress.send_reply(200, encode(report), early_headers(call))


async def _count_tokens(gateway: Gateway, call: Call, progress: ReplyProgress) -> None:
    origin = call.request.origin
    kind = {} if origin is None or origin.dialect != "responses" else {"object": "response.input_tokens"}
    body = encode({**kind, "input_tokens": await gateway.count_tokens(call)})
    await progress.send_reply(200, body, early_headers(call))


def _first_header(headers: dict[bytes, bytes], names: tuple[bytes, ...]) -> str | None:
    return next((value for name in names if name in headers and (value := header(headers, name))), None)


def _call_headers(scope: Scope, headers: dict[bytes, bytes]) -> CallHeaders:
    deadline: float | None = None
    if "extensions" in scope and "tidegate.lambda" in scope["extensions"]:
        lambda_deadline = scope["extensions"]["tidegate.lambda"].get("deadline")
        deadline = None if lambda_deadline is None else lambda_deadline - LAMBDA_MARGIN_SECONDS
    if _CALL_HEADERS.isdisjoint(headers):
        return NO_HEADERS if deadline is None else CallHeaders(deadline=deadline)
    traceparent, tracestate = trace_headers(scope["headers"]) if b"traceparent" in headers else (None, None)
    return CallHeaders(
        app_id=header(headers, b"x-app-id"),
        session_id=_first_header(headers, _SESSION_HEADERS),
        agent_id=_first_header(headers, _AGENT_HEADERS),
        parent_agent_id=_first_header(headers, _PARENT_HEADERS),
        idempotency_key=headers[b"idempotency-key"].decode("latin-1") if b"idempotency-key" in headers else None,
        request_deadline=header(headers, b"x-request-deadline"),
        deadline=deadline,
        traceparent=traceparent,
        tracestate=tracestate,
    )
