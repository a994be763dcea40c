"""Anthropic's token counts, service tier and stop reason in OpenAI's terms.

Sources: https://platform.claude.com/docs/en/api/messages (Usage), …/build-with-claude/prompt-caching,
…/build-with-claude/compaction (the totals exclude the tokens of a compaction).
"""

from tidegate.chat.completion import FinishReason, Usage
from tidegate.domain.usage import add_counts, parse_count
from tidegate.json import Json, JsonObject

_TRANSLATED_FIELDS = frozenset(
    {"input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"}
    | {"output_tokens_details", "service_tier"}
)
_PROMPT_FIELDS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_TIER_NAMES = {"standard": "default", "priority": "priority"}


def normalise(raw: JsonObject) -> Usage:
    """Return OpenAI's usage. Cache reads and writes are prompt tokens. Fields unknown to OpenAI keep their names."""
    counts = [raw, *_compactions(raw)]
    cache_read = _sum(counts, "cache_read_input_tokens")
    cache_written = _sum(counts, "cache_creation_input_tokens")
    prompt = _prompt_tokens(raw)
    completion = _sum(counts, "output_tokens")
    usage: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": add_counts(prompt, completion),
        "prompt_tokens_details": {"cached_tokens": cache_read, "cache_write_tokens": cache_written},
    }
    if raw.get("input_tokens") is None:
        usage["estimated"] = True
    if cache_written:
        usage["prompt_tokens_details"] |= _cache_writes_by_ttl(counts)
    match raw.get("output_tokens_details"):
        case {"thinking_tokens": thinking_tokens}:
            usage["completion_tokens_details"] = {"reasoning_tokens": parse_count(thinking_tokens)}
        case _:
            pass
    native_fields = {name: value for name, value in raw.items() if name not in _TRANSLATED_FIELDS and value is not None}
    return {**usage, **native_fields}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def merge(earlier: JsonObject, later: JsonObject) -> JsonObject:
    """Return the usage that two events of one stream report. Counts are totals: the later ones replace the earlier.

    Compatible servers end a stream with zeros, or repeat only some counts of the prompt. The prompt never gets shorter:
    where its counts would fall, the earlier ones are kept. Anthropic's own counts fall by a compaction that it adds.
    """
    merged = {**earlier, **{name: count for name, count in later.items() if count is not None}}
    if 0 <= _prompt_tokens(merged) < _prompt_tokens(earlier):
        merged |= {name: earlier.get(name) for name in _PROMPT_FIELDS}
    merged["output_tokens"] = max(parse_count(usage.get("output_tokens")) for usage in (earlier, merged))
    return merged


def _prompt_tokens(raw: JsonObject) -> int:
    """Return the tokens of the prompt, with those of compactions."""
    counts = [raw, *_compactions(raw)]
    return add_counts(*(_sum(counts, name) for name in _PROMPT_FIELDS))


def service_tier_fields(raw: Json) -> JsonObject:
    """Return the service tier as a reply's field: `service_tier` if OpenAI sells it, else `provider_service_tier`."""
    match raw:
        case {"service_tier": str(native_tier)} if native_tier:
            openai_tier = _TIER_NAMES.get(native_tier)
            return {"provider_service_tier": native_tier} if openai_tier is None else {"service_tier": openai_tier}
        case _:
            return {}


def finish_reason(stop_reason: Json, *, has_calls: bool) -> tuple[FinishReason, str | None]:
    """Return OpenAI's finish reason, and Anthropic's stop reason if it differs, else None.

    A paused turn and a full context window are "length", because the answer is not complete. Whether a complete reply
    stops or calls tools follows from its calls.
    """
    reason: FinishReason = "tool_calls" if has_calls else "stop"
    match stop_reason:
        case "max_tokens" | "model_context_window_exceeded" | "pause_turn":
            reason = "length"
        case "refusal":
            reason = "content_filter"
        case _:
            pass
    return reason, stop_reason if isinstance(stop_reason, str) and stop_reason not in ("", reason) else None


def _compactions(raw: JsonObject) -> list[JsonObject]:
    iterations = raw.get("iterations")
    entries = iterations if isinstance(iterations, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("type") == "compaction"]


def _cache_writes_by_ttl(counts: list[JsonObject]) -> JsonObject:
    """Return the tokens written to the cache for five minutes and for an hour, which have different prices."""
    writes = [write for count in counts if isinstance(write := count.get("cache_creation"), dict)]
    sums = {ttl: _sum(writes, f"ephemeral_{ttl}_input_tokens") for ttl in ("5m", "1h")}
    return {f"cache_write_{ttl}_tokens": tokens for ttl, tokens in sums.items()} if writes else {}


def _sum(counts: list[JsonObject], name: str) -> int:
    return add_counts(*(parse_count(count.get(name)) for count in counts))
