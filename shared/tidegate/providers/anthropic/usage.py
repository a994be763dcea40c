"""Anthropic's token counts in OpenAI's terms.

Sources: https://platform.claude.com/docs/en/api/messages (Usage), …/build-with-claude/prompt-caching,
…/build-with-claude/compaction (what a compaction took is not in the totals).
"""

from tidegate.chat.completion import FinishReason, Usage
from tidegate.json import Json, JsonObject

_TOLD = frozenset(
    {"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"}
    | {"output_tokens_details", "service_tier"}
)
_TIERS = {"standard": "default", "priority": "priority"}


def normalise(raw: JsonObject) -> Usage:
    """Cached and written tokens are part of the prompt; what has no name at OpenAI keeps its own."""
    parts = [raw, *_compactions(raw)]
    read = sum(_count(part, "cache_read_input_tokens") for part in parts)
    written = sum(_count(part, "cache_creation_input_tokens") for part in parts)
    prompt = sum(_count(part, "input_tokens") for part in parts) + read + written
    completion = sum(_count(part, "output_tokens") for part in parts)
    usage: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    if written:
        usage["prompt_tokens_details"] |= _lifetimes(parts)
    match raw.get("output_tokens_details"):
        case {"thinking_tokens": int(thought)}:
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        case _:
            pass
    rest = {name: value for name, value in raw.items() if name not in _TOLD and value is not None}
    return {**usage, **rest}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def tier(raw: Json) -> JsonObject:
    """The service tier as a field of a reply: under OpenAI's name where OpenAI has such a tier."""
    match raw:
        case {"service_tier": str(sold)} if sold:
            known = _TIERS.get(sold)
            return {"provider_service_tier": sold} if known is None else {"service_tier": known}
        case _:
            return {}


def finish(stop_reason: str, *, calls: bool) -> tuple[FinishReason, str | None]:
    """OpenAI's finish reason, and Anthropic's own where it differs.

    A turn that Anthropic paused, or that a full context ended, is not at its end: both are a length.
    """
    reason: FinishReason = "stop"
    match stop_reason:
        case "max_tokens" | "model_context_window_exceeded" | "pause_turn":
            reason = "length"
        case "tool_use" if calls:
            reason = "tool_calls"
        case "refusal":
            reason = "content_filter"
        case _:
            pass
    return reason, None if stop_reason == reason else stop_reason


def _compactions(raw: JsonObject) -> list[JsonObject]:
    iterations = raw.get("iterations")
    listed = iterations if isinstance(iterations, list) else []
    return [one for one in listed if isinstance(one, dict) and one.get("type") == "compaction"]


def _lifetimes(parts: list[JsonObject]) -> JsonObject:
    """Tokens written for five minutes and for an hour: their prices differ."""
    kinds = (
        ("cache_write_5m_tokens", "ephemeral_5m_input_tokens"),
        ("cache_write_1h_tokens", "ephemeral_1h_input_tokens"),
    )
    split = [inner for part in parts if isinstance(inner := part.get("cache_creation"), dict)]
    return {ours: sum(_count(one, theirs) for one in split) for ours, theirs in kinds} if split else {}


def _count(raw: JsonObject, name: str) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
