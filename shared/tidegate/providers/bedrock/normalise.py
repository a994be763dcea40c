"""Pieces of a reply in OpenAI's dialect, for completions and chunks: finish reasons, usage, service tiers, citations.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseResponse.html,
…/API_runtime_TokenUsage.html, …/API_runtime_Citation.html (2026), and recorded replies.
"""

from tidegate.chat.completion import FinishReason, Usage, url_citation
from tidegate.domain.usage import add_counts, parse_count
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock.capabilities import SEARCH_TOOL
from tidegate.providers.toolnames import minted_call_id

_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "pause_turn": "length",
}
_OPENAI_TIERS = frozenset({"default", "flex", "priority"})


def call_id(native_id: Json, ordinal: int, name: str) -> str:
    """Return the id of a tool call; one from its position and name if the server sent none."""
    return native_id if isinstance(native_id, str) and native_id else minted_call_id(ordinal, name)


def finish_reason(stop_reason: Json, has_calls: bool) -> FinishReason:
    """Return OpenAI's finish reason. Raises `ProviderMalformed` if Converse's stop reason says the reply is broken."""
    if not isinstance(stop_reason, str):
        return "tool_calls" if has_calls else "stop"
    if stop_reason.startswith("malformed_"):
        raise ProviderMalformed(f"The model returned a malformed reply: {stop_reason!r}.", native_code=stop_reason)
    finish_reason = _FINISH_REASONS.get(stop_reason, "stop")
    if finish_reason in ("stop", "tool_calls"):  # calls of tools that Bedrock runs itself do not count
        return "tool_calls" if has_calls else "stop"
    return finish_reason


def normalise_usage(raw: JsonObject, searches: int = 0) -> Usage:
    """Return OpenAI's usage. Converse counts cache reads and writes beside the input, OpenAI within the prompt."""
    cache_read, cache_written = _count(raw, "cacheReadInputTokens"), _count(raw, "cacheWriteInputTokens")
    prompt, completion = add_counts(_count(raw, "inputTokens"), cache_read, cache_written), _count(raw, "outputTokens")
    total = add_counts(prompt, completion)
    parsed: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if raw.get("inputTokens") is None:
        parsed["estimated"] = True
    details: dict[str, Json] = {}
    if "cacheReadInputTokens" in raw or "cacheWriteInputTokens" in raw:
        details = {"cached_tokens": cache_read, "cache_write_tokens": cache_written}
    cache_details = raw.get("cacheDetails")
    for entry in cache_details if isinstance(cache_details, list) else ():
        match entry:
            case {"ttl": "1h", "inputTokens": count}:
                details["cache_write_1h_tokens"] = parse_count(count)
            case _:
                pass
    if details:
        parsed["prompt_tokens_details"] = details
    if searches:
        search_field: JsonObject = {"server_tool_use": {"web_search_requests": searches}}
        return {**parsed, **search_field}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
    return parsed


def is_web_search(tool_use: JsonObject) -> bool:
    """The server tool that Bedrock ran is its web search."""
    return tool_use.get("name") == SEARCH_TOOL


def service_tier_fields(raw: Json) -> JsonObject:
    """Return the service tier as a reply's field: `service_tier` if OpenAI sells it, else `provider_service_tier`."""
    match raw:
        case {"type": str(native_tier)}:
            return {"service_tier" if native_tier in _OPENAI_TIERS else "provider_service_tier": native_tier}
        case _:
            return {}


def annotation(raw: Json, start: int, end: int) -> JsonObject | None:
    """Return the annotation for a source of the text from `start` to `end`: a web page, or the request's document."""
    match raw:
        case {"location": {"web": {"url": str(url), **web}}}:
            return url_citation(url, str(raw.get("title") or web.get("domain") or ""), start, end)
        case {"source": str(url)} if url.startswith(("https://", "http://")):
            return url_citation(url, str(raw.get("title") or ""), start, end)
        case {"location": dict(location)}:
            source_content = raw.get("sourceContent")
            texts: list[Json] = [
                {"type": "text", "text": piece["text"]}
                for piece in (source_content if isinstance(source_content, list) else ())
                if isinstance(piece, dict) and "text" in piece
            ]
            return {"type": "file", "file": {"name": raw.get("title"), "content": texts, "location": location}}
        case _:
            return None


def image_part(raw: JsonObject) -> JsonObject | None:
    """Return an image that the model generated, as a data URI."""
    match raw:
        case {"format": str(image_format), "source": {"bytes": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:image/{image_format};base64,{data}"}}
        case _:
            return None


def _count(raw: JsonObject, name: str) -> int:
    return parse_count(raw.get(name))
