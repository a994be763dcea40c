"""The result of a call by the id of its reply, also for clients of OpenRouter and Lunos, and its trace.

Source: https://openrouter.ai/docs/api-reference/generations/get-generation (2026-11), and the npm packages
@openrouter/sdk 1.3 and @lunos/client 1.5.
"""

import re
from collections.abc import Mapping
from functools import partial

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import authenticate, gateway_of, json_reply
from tidegate.chat.assemble import assemble_lines
from tidegate.domain.keys import may_read_trace
from tidegate.domain.trace_view import MAX_READ_AT_ONCE, has_expired, read_line_trace, read_trace
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidRequest, NotFound
from tidegate.gateway import Gateway
from tidegate.json import JsonObject
from tidegate.offload import offload

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_GENERATION_ID = re.compile(rf"(?:chatcmpl-({_ULID})[0-9A-Za-z]{{3}}|gen-[0-9]{{1,12}}-({_ULID})|({_ULID}))")
"""The ids of replies that contain their call's id, and a call's id itself: the `x-request-id` of its reply."""

_NEIGHBOURS = 32
"""More records than have ids that differ in their last character alone."""

_UNKNOWN = (
    *("app_id", "cache_discount", "external_user", "http_referer", "moderation_latency", "user_agent", "router"),
    *("native_tokens_completion_images", "num_fetches", "num_input_audio_prompt", "num_media_completion"),
    *("num_media_prompt", "num_search_results", "preset_id", "provider_responses", "service_tier"),
    *("upstream_id", "upstream_inference_cost", "web_search_engine"),
)
"""Fields that OpenRouter's SDK requires, and that no record has."""


_OWN_FIELDS = (
    *("session_id", "agent_id", "batch_id", "endpoint", "status", "error_code", "attempts", "failed_attempts"),
    *("parent_agent_id", "timeline", "tokens_per_second", "cache", "guardrails", "ignored", "held_usd", "trace_until"),
)
"""Fields of the record that the reply has under their own names. `session_id` is one of OpenRouter's as well."""


class _RequestedCall(Struct, frozen=True):
    """The call that a request names, and who asks. `record` is None for a call of nobody, or a line of a batch."""

    principal: Principal
    workspace: Workspace
    named_id: str
    call_id: str | None
    record: Mapping[str, object] | None

    def not_found(self) -> NotFound:
        message = f"No call of this workspace has the id {self.named_id[:80]!r}, or it has not ended yet."
        return NotFound(message, param="id")


async def show_generation(request: Request) -> Response:
    """Answer OpenRouter's `/generation?id=…`."""
    generation_id = request.query_params.get("id", "")
    return json_reply({"data": _generation_json(generation_id, await _find_record(request, generation_id))})


async def show_named_generation(request: Request) -> Response:
    """Answer `/generations/{id}`, and Lunos's `/v1/chat/generation/{id}`."""
    generation_id = request.path_params["generation_id"]
    return json_reply(_generation_json(generation_id, await _find_record(request, generation_id)))


async def show_trace(request: Request) -> Response:
    """Answer `/generations/{id}/trace`: the content of a call of the caller's own key. Raises `NotFound`."""
    call = await _find_call(request, request.path_params["generation_id"])
    gateway, record, principal = gateway_of(request), call.record, call.principal
    if record is None:
        return json_reply(await _find_line_trace(gateway, call))
    until = str(record.get("trace_until") or "")
    if not until:
        raise NotFound('This call has no trace: send `"observability": true` with a call whose content is to be kept.')
    if has_expired(until, gateway.clock()):
        raise NotFound(f"The trace of this call was kept until {until}.")
    key_id, call_id = str(record.get("key_id") or ""), str(record["id"])
    if not may_read_trace(principal.key_id, principal.traces_since, key_id, call_id):
        raise NotFound("The trace of this call can be read with the key of the call alone.")
    traces = gateway.open_traces()
    stored = None if traces is None else await traces.find(str(record["workspace_id"]), call_id)
    read = partial(read_trace, stored, until, assemble_lines)
    trace = await offload(len(stored or b""), read, MAX_READ_AT_ONCE)
    if trace is None:
        raise NotFound("The trace of this call was not stored, or the key that encrypts it has been destroyed.")
    return json_reply(trace)


async def _find_line_trace(gateway: Gateway, call: _RequestedCall) -> JsonObject:
    """Return the trace of a line of a batch, which has no record of its own. Raises `NotFound`."""
    traces, principal = gateway.open_traces(), call.principal
    if traces is not None and call.call_id is not None:
        stored = await traces.find(call.workspace.id, call.call_id)
        trace = await offload(len(stored or b""), partial(read_line_trace, stored, assemble_lines), MAX_READ_AT_ONCE)
        if trace and may_read_trace(principal.key_id, principal.traces_since, trace.key_id, call.call_id):
            return trace.content
    raise call.not_found()


async def _find_record(request: Request, generation_id: str) -> Mapping[str, object]:
    """Return the record of the call. Raises `NotFound`, also for a call that has not ended."""
    call = await _find_call(request, generation_id)
    if call.record is None:
        raise call.not_found()
    return call.record


async def _find_call(request: Request, named_id: str) -> _RequestedCall:
    principal, workspace = await authenticate(request)
    if not named_id:
        raise InvalidRequest("The id is missing: send the id of a reply.", param="id")
    match = _GENERATION_ID.fullmatch(named_id)
    call_id = next(filter(None, match.groups())) if match is not None else None
    record: Mapping[str, object] | None = None
    if call_id is not None:
        # The bounds are not included.
        usages, bounds = gateway_of(request).open_usages(), (call_id[:-1], f"{call_id}0")
        records = await usages.records(workspace.id, *bounds, _NEIGHBOURS, workspace.shards)
        record = next((each for each in records if each.get("id") == call_id), None)
    return _RequestedCall(principal, workspace, named_id, call_id, record)


def _generation_json(generation_id: str, record: Mapping[str, object]) -> dict[str, object]:
    cost = float(str(record.get("cost_usd") or 0))
    is_answered = record.get("provider") is not None
    return {
        **dict.fromkeys(_UNKNOWN),
        "id": generation_id,
        "request_id": record.get("id"),
        "workspace_id": record.get("workspace_id"),
        "model": f"{record['provider']}/{record['answered_model']}" if is_answered else record.get("model"),
        "provider_name": record.get("provider"),
        "created_at": record.get("time"),
        "api_type": "completions",
        "data_region": "global",
        "origin": "",
        "is_byok": False,
        "streamed": record.get("stream"),
        "cancelled": record.get("status") == "cancelled",
        "finish_reason": record.get("finish_reason"),
        "native_finish_reason": record.get("native_finish_reason") or record.get("finish_reason"),
        "latency": _milliseconds(record.get("first_event_seconds")),
        "generation_time": _milliseconds(record.get("seconds")),
        "tokens_prompt": record.get("input_tokens"),
        "tokens_completion": record.get("output_tokens"),
        "native_tokens_prompt": record.get("input_tokens"),
        "native_tokens_completion": record.get("output_tokens"),
        "native_tokens_cached": record.get("cached_tokens"),
        "native_tokens_reasoning": record.get("reasoning_tokens"),
        "total_cost": cost,
        "usage": cost,
        **{name: record.get(name) for name in _OWN_FIELDS},
    }


def _milliseconds(seconds: object) -> int | None:
    return round(seconds * 1000) if isinstance(seconds, int | float) else None
