"""Token counts and the reason for the end, in the terms of the Messages API.

Source: https://platform.claude.com/docs/en/api/messages (Usage, stop_reason), 2026-11.
"""

from collections.abc import Mapping
from typing import cast

from tidegate.domain.usage import parse_count
from tidegate.json import Json, JsonObject
from tidegate.surfaces.messages.notes import Notes

_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_TIERS: dict[object, Json] = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
"""The tiers that the Messages API knows; it has no word for others."""

_NO_SERVER_TOOLS: JsonObject = {"web_search_requests": 0, "web_fetch_requests": 0}
_OWN_REASONS = frozenset({"stop_sequence", "pause_turn", "model_context_window_exceeded", "refusal"})
"""Reasons that Anthropic's models name themselves; chat completions have no word for them."""


def stop_fields(finish_reason: object, native: object, notes: Notes) -> JsonObject:
    """Return why a message ended; `native` is the provider's own word, if it differs."""
    reason = str(native) if native in _OWN_REASONS else _REASONS.get(str(finish_reason), "end_turn")
    sequence = notes.stop_sequence if reason == "stop_sequence" else None
    return {"stop_reason": reason, "stop_sequence": sequence}


def message_usage(usage: Mapping[str, object] | None, service_tier: object = None) -> JsonObject:
    """Return the usage of a message. Its input tokens are those that were neither read from a cache nor written."""
    counts = usage or {}
    prompt = _object(counts.get("prompt_tokens_details"))
    total = parse_count(cast(Json, counts.get("prompt_tokens")))
    read = min(parse_count(prompt.get("cached_tokens")), total)
    written = min(parse_count(prompt.get("cache_write_tokens")), total - read)
    hour = parse_count(prompt.get("cache_write_1h_tokens"))
    message: JsonObject = {
        "input_tokens": total - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": max(0, written - hour),
            "ephemeral_1h_input_tokens": min(hour, written),
        },
        "output_tokens": parse_count(cast(Json, counts.get("completion_tokens"))),
    }
    thinking = parse_count(_object(counts.get("completion_tokens_details")).get("reasoning_tokens"))
    if thinking:
        message["output_tokens_details"] = {"thinking_tokens": thinking}
    searches = counts.get("server_tool_use")
    if isinstance(searches, dict):
        message["server_tool_use"] = {**_NO_SERVER_TOOLS, **cast(JsonObject, searches)}
    if service_tier in _TIERS:
        message["service_tier"] = _TIERS[service_tier]
    return message


def first_usage(input_tokens: int) -> JsonObject:
    """Return the usage at the start of a stream: an estimate, which the end of the stream corrects."""
    return {**message_usage({"prompt_tokens": input_tokens}), "output_tokens": 1}


def _object(value: object) -> JsonObject:
    return cast(JsonObject, value) if isinstance(value, dict) else {}
