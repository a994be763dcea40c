"""The result of a call by the id of its reply, for clients of OpenRouter and Lunos.

Source: https://openrouter.ai/docs/api-reference/generations/get-generation (2026-11), and the npm packages
@openrouter/sdk 1.3 and @lunos/client 1.5.
"""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from tidegate.api.account import authenticate, gateway_of, json_reply
from tidegate.errors import InvalidRequest, NotFound

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
    *("timeline", "tokens_per_second", "cache", "guardrails", "ignored", "held_usd"),
)
"""Fields of the record that the reply has under their own names. `session_id` is one of OpenRouter's as well."""


async def show_generation(request: Request) -> Response:
    """Answer OpenRouter's `/generation?id=…`."""
    return json_reply({"data": await _find_generation(request, request.query_params.get("id", ""))})


async def show_lunos_generation(request: Request) -> Response:
    """Answer Lunos's `/v1/chat/generation/{id}`."""
    return json_reply(await _find_generation(request, request.path_params["generation_id"]))


async def _find_generation(request: Request, generation_id: str) -> dict[str, object]:
    """Return the call of the caller's workspace. Raises `NotFound`, also for a call that has not ended."""
    _, workspace = await authenticate(request)
    if not generation_id:
        raise InvalidRequest("The id is missing: send the id of a reply.", param="id")
    match = _GENERATION_ID.fullmatch(generation_id)
    if match is not None:
        call_id = next(filter(None, match.groups()))
        # The bounds are not included.
        usages, bounds = gateway_of(request).open_usages(), (call_id[:-1], f"{call_id}0")
        for record in await usages.records(workspace.id, *bounds, _NEIGHBOURS, workspace.shards):
            if record.get("id") == call_id:
                return _generation_json(generation_id, record)
    raise NotFound(f"No call of this workspace has the id {generation_id[:80]!r}, or it has not ended yet.", param="id")


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
