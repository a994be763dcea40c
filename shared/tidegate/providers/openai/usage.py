"""Translates the token counts of a reply into OpenAI's `usage`.

Source: bodies recorded from each provider up to 2026-07, and https://platform.openai.com/docs/api-reference/chat/object.
"""

from tidegate.chat.completion import Usage
from tidegate.domain.usage import add_counts, parse_count
from tidegate.json import Json, JsonObject
from tidegate.providers.openai.plain import PlainUsage, plain_usage

_CACHED_FIELDS = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cache_read_input_tokens")
_GATEWAY_FIELDS = frozenset({"words_used", "words_details", "estimated"})
_COUNT_FIELDS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"})
_OPENAI_FIELDS = _COUNT_FIELDS | {"prompt_tokens_details", "completion_tokens_details"}


def normalise(raw: JsonObject) -> Usage:
    """Return the provider's counts; its prices are moved to `provider_…`, since `cost` is the gateway's.

    A count that is not one is returned as `INVALID_COUNT`.
    """
    plain = plain_usage(raw)
    return _normalise_any(raw) if plain is None else normalise_plain(plain)


def normalise_plain(plain: PlainUsage) -> Usage:
    """Return the counts of a plain usage; see `normalise`."""
    prompt, completion, total = plain.prompt_tokens, plain.completion_tokens, plain.total_tokens
    prompt_details, completion_details = plain.prompt_tokens_details, plain.completion_tokens_details
    if completion_details and "reasoning_tokens" in completion_details:
        reasoning = completion_details["reasoning_tokens"]
        if total == prompt + completion + reasoning:  # counted beside the completion
            completion += reasoning
    if total < prompt + completion:
        total = prompt + completion
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if prompt_details:
        # Counts are JSON.
        usage["prompt_tokens_details"] = prompt_details  # pyright: ignore[reportGeneralTypeIssues]
    if completion_details:
        # As above.
        usage["completion_tokens_details"] = completion_details  # pyright: ignore[reportGeneralTypeIssues]
    return usage


def _normalise_any(raw: JsonObject) -> Usage:
    """Return the counts of any usage; see `normalise`."""
    raw_prompt = _either(raw, "prompt_tokens", "input_tokens")
    prompt = parse_count(raw_prompt)
    completion = parse_count(_either(raw, "completion_tokens", "output_tokens"))
    total = parse_count(raw.get("total_tokens"))
    prompt_details = _details(raw.get("prompt_tokens_details") or raw.get("input_tokens_details"))
    completion_details = _details(raw.get("completion_tokens_details") or raw.get("output_tokens_details"))
    reasoning = parse_count(completion_details.get("reasoning_tokens"))
    # xAI and Gemini count reasoning beside the completion; OpenAI counts it inside.
    if reasoning > 0 and total == add_counts(prompt, completion, reasoning):
        completion += reasoning
    if not prompt_details.get("cached_tokens"):
        for name in _CACHED_FIELDS:
            if name in raw and (cached := parse_count(raw[name])) > 0:
                prompt_details["cached_tokens"] = cached
                break
    total = max(total, add_counts(prompt, completion))
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if raw_prompt is None:
        usage["estimated"] = True
    if prompt_details:
        usage["prompt_tokens_details"] = prompt_details
    if completion_details:
        usage["completion_tokens_details"] = completion_details
    return usage if _OPENAI_FIELDS.issuperset(raw) else _with_other_fields(usage, raw)


def _either(raw: JsonObject, name: str, other: str) -> Json:
    value = raw.get(name)
    return raw.get(other) if value is None else value


def _with_other_fields(usage: Usage, raw: JsonObject) -> Usage:
    other_fields: JsonObject = {}
    for name, value in raw.items():
        if value is None or name in _COUNT_FIELDS or name.endswith("_tokens_details"):
            continue
        other_fields[f"provider_{name}" if "cost" in name or name in _GATEWAY_FIELDS else name] = value
    return {**usage, **other_fields}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def _details(raw: Json) -> JsonObject:
    return {name: value for name, value in raw.items() if value is not None} if isinstance(raw, dict) else {}
