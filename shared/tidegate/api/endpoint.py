"""The endpoint of an operation: a request → a call, and its answer → one reply or a stream.

`ENDPOINTS` in `api/app.py` lists them: a surface and an operation for each path.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct
from msgspec.structs import replace
from starlette.types import Receive, Scope, Send

from tidegate.api import errors
from tidegate.api.disconnect import ClientConnection, ClientReply, client_of
from tidegate.api.head import answer_lines, early_headers, early_lines, trace_headers
from tidegate.api.reply import header, header_pairs
from tidegate.api.request_body import is_json, read_json_body, too_large
from tidegate.api.source import source_of
from tidegate.domain.call import Call
from tidegate.domain.ids import ulid
from tidegate.domain.operation import Operation
from tidegate.domain.origin import NeedsState
from tidegate.domain.redacted import Redacted
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.surface import Surface
from tidegate.errors import TidegateError
from tidegate.gateway import NO_HEADERS, CallHeaders, Gateway
from tidegate.json import encode
from tidegate.lazy import load
from tidegate.offload import LONG_BYTES, offload
from tidegate.policy.auth.authenticator import CallerKey, caller_key

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


class RequestHead(Redacted, Struct, frozen=True):
    """The headers of a request, and all that they say. Requests of one connection with equal headers share it.

    `caller_key` is None for a caller that `Gateway.authenticate` must look at. `is_json`: the body may be read.
    """

    headers: dict[bytes, bytes]
    call_headers: CallHeaders
    caller_key: CallerKey | None
    is_json: bool


class OperationEndpoint(Struct, frozen=True):
    """One operation for the clients of one surface, as an ASGI application. `path` names it in records.

    `only_counts`: it answers with the tokens of the prompt.
    """

    surface: Surface
    operation: Operation
    options: ServerOptions
    path: str
    only_counts: bool = False

    def read_head(self, scope: Scope, headers: dict[bytes, bytes]) -> RequestHead:
        """Return what the headers of a request say; it holds for all requests with equal headers."""
        call_headers = NO_HEADERS if _CALL_HEADERS.isdisjoint(headers) else _call_headers(scope, headers)
        workspace_id = headers[b"x-workspace-id"].decode("latin-1") if b"x-workspace-id" in headers else None
        # A bearer token in `authorization` is the credential of every surface: see `Surface.credential`.
        key = caller_key(headers.get(b"authorization", b""), workspace_id)
        if call_headers.request_deadline is not None or (workspace_id is None and self.surface.requires_workspace):
            key = None
        return RequestHead(headers, call_headers, key, is_json(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send, head: RequestHead | None = None) -> None:
        """Answer a request. `head` is what `read_head` returns for it, for a caller that has it already."""
        started = time.perf_counter()
        gateway: Gateway = scope["state"]["gateway"]
        call: Call | None = None
        reply = ClientReply(receive, send, client_of(scope))
        try:
            head = head or self.read_head(scope, dict(scope["headers"]))
            call = await self._read_call(gateway, scope, receive, reply.client, head)
            del scope, head  # an open stream keeps nothing that it does not need
            if self.only_counts:
                await _count_tokens(gateway, call, reply)
            elif call.request.options.dry_run:
                await _dry_run(gateway, call, reply)
            elif call.request.stream:
                await self._stream(gateway, call, started, reply)
            else:
                await self._reply(gateway, call, started, reply)
        except TidegateError as error:
            if not await self._fail(reply, error, call):
                raise
        # The edge of the API: a fault of ours is answered as an error, too.
        except Exception:
            log.exception("call.crashed", extra={"call_id": call.id if call else None})
            if not await self._fail(reply, errors.internal_error(), call):
                raise

    async def _read_call(
        self,
        gateway: Gateway,
        scope: Scope,
        receive: Receive,
        client: ClientConnection | None,
        head: RequestHead,
    ) -> Call:
        """Return the request's call. The key is checked before the body is read: a stranger's body costs nothing."""
        started_at = authenticated_at = gateway.clock()
        headers, call_headers, max_bytes = head.headers, head.call_headers, self.options.max_body_bytes
        if "extensions" in scope and "tidegate.lambda" in scope["extensions"]:
            call_headers = _in_invocation(call_headers, scope["extensions"]["tidegate.lambda"].get("deadline"))
        caller = None if head.caller_key is None else gateway.authenticator.cached_caller(head.caller_key)
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
        body = client.take_body() if head.is_json and client is not None else None
        if body is None:
            body = await read_json_body(receive, headers, max_bytes)
        elif len(body) > max_bytes:
            raise too_large(max_bytes)
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

    async def _reply(self, gateway: Gateway, call: Call, started: float, client: ClientReply) -> None:
        with client:
            async with gateway.answer(call) as answer:
                # The call does not stream, so its answer is a whole reply.
                assert answer.reply is not None  # noqa: S101
                lines = early_lines(call) + answer_lines(answer, started)
                body = self.surface.reply(answer.reply, call.request)
                if call.request.origin is not None:
                    client.stop()
                    keep_conversation = _conversation_keeper(gateway, call)
                    if keep_conversation is not None:
                        await keep_conversation()
                if not client.write_reply(200, body, lines):
                    await client.send_reply(200, body, header_pairs(lines))

    async def _stream(self, gateway: Gateway, call: Call, started: float, client: ClientReply) -> None:
        surface_stream, keeper = self.surface.open_stream(call.request), _conversation_keeper(gateway, call)
        seconds = self.options.keep_alive_seconds
        with load(_STREAM, "EventStream")(surface_stream, client, early_lines(call), seconds, keeper) as stream:
            async with gateway.answer(call) as answer:
                # The call streams, so its answer has batches.
                assert answer.batches is not None  # noqa: S101
                await stream.run(answer_lines(answer, started), answer.batches)

    async def _fail(self, reply: ClientReply, error: TidegateError, call: Call | None) -> bool:
        """Send the error as the reply, or as the last event of a stream. Return False if it is too late for either."""
        if not reply.has_begun:
            await self._refuse(reply, error, call)
        elif call is not None and call.request.stream and not reply.has_ended:
            await reply.send(load(_STREAM, "error_end")(self.surface.open_stream(call.request), error))
        else:
            return False
        return True

    async def _refuse(self, reply: ClientReply, error: TidegateError, call: Call | None) -> None:
        error.request_id = call.id if call else ulid(time.time())
        names, request_id = self.surface.request_id_headers, error.request_id.encode()
        headers = early_headers(call) if call else [(name, request_id) for name in names]
        status, body = self.surface.status(error), self.surface.error(error)
        await reply.send_reply(status, body, headers + errors.headers(error))


def _conversation_keeper(gateway: Gateway, call: Call) -> Callable[[], Awaitable[None]] | None:
    """Return what stores the reply in its conversation; None for a call that has none."""
    conversation = None if call.request.origin is None else call.request.origin.conversation
    if conversation is None or conversation.conversation_id is None:
        return None
    return partial(load("tidegate.pipeline.kept_responses", "keep_response"), gateway, call, conversation)


async def _dry_run(gateway: Gateway, call: Call, reply: ClientReply) -> None:
    """Send the dry run's report as JSON, even if the request asks for a stream."""
    report = await gateway.dry_run(call)
    await reply.send_reply(200, encode(report), early_headers(call))


async def _count_tokens(gateway: Gateway, call: Call, reply: ClientReply) -> None:
    origin = call.request.origin
    kind = {} if origin is None or origin.dialect != "responses" else {"object": "response.input_tokens"}
    body = encode({**kind, "input_tokens": await gateway.count_tokens(call)})
    await reply.send_reply(200, body, early_headers(call))


def _first_header(headers: dict[bytes, bytes], names: tuple[bytes, ...]) -> str | None:
    return next((value for name in names if name in headers and (value := header(headers, name))), None)


def _call_headers(scope: Scope, headers: dict[bytes, bytes]) -> CallHeaders:
    traceparent, tracestate = trace_headers(scope["headers"]) if b"traceparent" in headers else (None, None)
    return CallHeaders(
        app_id=header(headers, b"x-app-id"),
        session_id=_first_header(headers, _SESSION_HEADERS),
        agent_id=_first_header(headers, _AGENT_HEADERS),
        parent_agent_id=_first_header(headers, _PARENT_HEADERS),
        idempotency_key=headers[b"idempotency-key"].decode("latin-1") if b"idempotency-key" in headers else None,
        request_deadline=header(headers, b"x-request-deadline"),
        traceparent=traceparent,
        tracestate=tracestate,
    )


def _in_invocation(headers: CallHeaders, lambda_deadline: float | None) -> CallHeaders:
    """Return the headers with the deadline of the Lambda invocation that the request came with."""
    return headers if lambda_deadline is None else replace(headers, deadline=lambda_deadline - LAMBDA_MARGIN_SECONDS)
