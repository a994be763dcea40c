"""Translates the token counts of a reply into OpenAI's `usage`.

Source: bodies recorded from each provider up to 2026-07, and https://platform.openai.com/docs/api-reference/chat/object.
"""

from tidegate.chat.completion import Usage
from tidegate.domain.usage import add_counts, parse_count
from tidegate.json import Json, JsonObject

_CACHED_FIELDS = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens")
_PROMPT_FIELDS = ("prompt_tokens", "input_tokens")
_GATEWAY_FIELDS = frozenset({"words_used", "words_details", "estimated"})
_COUNT_FIELDS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"})


def normalise(raw: JsonObject) -> Usage:
    """Return the provider's counts; its prices are moved to `provider_…`, since `cost` is the gateway's.

    A count that is not one is returned as `INVALID_COUNT`.
    """
    prompt = _count(raw, *_PROMPT_FIELDS)
    completion = _count(raw, "completion_tokens", "output_tokens")
    total = _count(raw, "total_tokens")
    prompt_details = _details(raw.get("prompt_tokens_details") or raw.get("input_tokens_details"))
    completion_details = _details(raw.get("completion_tokens_details") or raw.get("output_tokens_details"))
    reasoning = parse_count(completion_details.get("reasoning_tokens"))
    # xAI and Gemini count reasoning beside the completion; OpenAI counts it inside.
    if reasoning > 0 and total == add_counts(prompt, completion, reasoning):
        completion += reasoning
    if not prompt_details.get("cached_tokens"):
        cached = next((count for name in _CACHED_FIELDS if (count := parse_count(raw.get(name))) > 0), None)
        if cached is not None:
            prompt_details["cached_tokens"] = cached
    total = max(total, add_counts(prompt, completion))
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if not any(raw.get(name) is not None for name in _PROMPT_FIELDS):
        usage["estimated"] = True
    if prompt_details:
        usage["prompt_tokens_details"] = prompt_details
    if completion_details:
        usage["completion_tokens_details"] = completion_details
    return _with_other_fields(usage, raw)


def _with_other_fields(usage: Usage, raw: JsonObject) -> Usage:
    other_fields: JsonObject = {}
    for name, value in raw.items():
        if value is None or name in _COUNT_FIELDS or name.endswith("_tokens_details"):
            continue
        other_fields[f"provider_{name}" if "cost" in name or name in _GATEWAY_FIELDS else name] = value
    return {**usage, **other_fields}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _count(raw: JsonObject, *names: str) -> int:
    return parse_count(next((raw[name] for name in names if raw.get(name) is not None), None))


def _details(raw: Json) -> JsonObject:
    return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, dict) else {}
