"""Pieces that a whole reply and a stream have in common: finish reasons, token counts, sources.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseResponse.html,
…/API_runtime_TokenUsage.html, …/API_runtime_Citation.html (2026), and recorded replies.
"""

from tidegate.chat.completion import FinishReason, Usage
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock.capabilities import SEARCH

_FINISHES: dict[str, FinishReason] = {
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
_TIERS = frozenset({"default", "flex", "priority"})


def finish(native: Json, has_calls: bool) -> FinishReason:
    """OpenAI's finish reason. Raises `ProviderMalformed` where Converse's says that the reply is broken."""
    if not isinstance(native, str):
        raise ProviderMalformed("bedrock ended its reply without a reason.")
    if native.startswith("malformed_"):
        raise ProviderMalformed(f"The model's reply could not be read: {native}.", native_code=native)
    reason = _FINISHES.get(native, "stop")
    if reason in ("stop", "tool_calls"):  # tools that Bedrock runs itself are no calls of the caller's
        return "tool_calls" if has_calls else "stop"
    return reason


def usage(raw: Json, searches: int = 0) -> Usage:
    """The counts. Converse counts what the cache gave and took beside the input, OpenAI within it."""
    if not isinstance(raw, dict):
        raise ProviderMalformed("bedrock's usage is not an object.")
    read, written = _count(raw, "cacheReadInputTokens"), _count(raw, "cacheWriteInputTokens")
    prompt, completion = _count(raw, "inputTokens") + read + written, _count(raw, "outputTokens")
    counted: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    details: dict[str, Json] = {}
    if "cacheReadInputTokens" in raw or "cacheWriteInputTokens" in raw:
        details = {"cached_tokens": read, "cache_write_tokens": written}
    kept = raw.get("cacheDetails")
    for entry in kept if isinstance(kept, list) else ():
        match entry:
            case {"ttl": "1h", "inputTokens": int(count)}:
                details["cache_write_1h_tokens"] = count
            case _:
                pass
    if details:
        counted["prompt_tokens_details"] = details
    if searches:
        found: JsonObject = {"server_tool_use": {"web_search_requests": searches}}
        return {**counted, **found}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
    return counted


def is_search(use: JsonObject) -> bool:
    """Whether a tool that Bedrock runs itself searches the web."""
    return use.get("name") == SEARCH


def tier(raw: Json) -> JsonObject:
    """The service tier under OpenAI's name, or under one of its own where OpenAI does not sell it."""
    match raw:
        case {"type": str(kind)}:
            return {"service_tier" if kind in _TIERS else "provider_service_tier": kind}
        case _:
            return {}


def annotation(raw: Json, start: int, end: int) -> JsonObject | None:
    """A source of the text between two places: a page of the web, or a document of the request."""
    match raw:
        case {"location": {"web": {"url": str(url), **web}}}:
            return _page(url, str(raw.get("title") or web.get("domain") or ""), start, end)
        case {"source": str(url)} if url.startswith(("https://", "http://")):
            return _page(url, str(raw.get("title") or ""), start, end)
        case {"location": dict(location)}:
            quoted = raw.get("sourceContent")
            texts: list[Json] = [
                {"type": "text", "text": piece["text"]}
                for piece in (quoted if isinstance(quoted, list) else ())
                if isinstance(piece, dict) and "text" in piece
            ]
            return {"type": "file", "file": {"name": raw.get("title"), "content": texts, "location": location}}
        case _:
            return None


def _page(url: str, title: str, start: int, end: int) -> JsonObject:
    cited: JsonObject = {"url": url, "title": title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": cited}


def image(raw: JsonObject) -> JsonObject | None:
    """An image that the model made, as a data URI."""
    match raw:
        case {"format": str(form), "source": {"bytes": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}
        case _:
            return None


def _count(raw: JsonObject, name: str) -> int:
    value = raw.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProviderMalformed(f"bedrock's usage has a {name} that is not a count.")
    return value
