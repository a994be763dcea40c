"""Pieces that a whole message and a delta have in common: finish reasons, reasoning, contents, citations.

Sources: recorded bodies up to 2026-07; `reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from typing import cast

from tidegate.chat.completion import FinishReason
from tidegate.errors import ProviderFailed, ProviderMalformed, ProviderOverloaded
from tidegate.json import Json, JsonObject

EMPTY_VALUES: tuple[Json, ...] = (None, "", [], {})
"""Values that say nothing."""

_KNOWN = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_STOP: FinishReason = "stop"
_NATIVE: dict[str, FinishReason] = {
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
}
_FAILED = frozenset({"error", "abort", "network_error", "malformed_function_call"})
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_OVERLOADED = "insufficient_system_resource"  # DeepSeek


def finish_reason(native: Json, has_tools: bool) -> tuple[FinishReason, str | None]:
    """OpenAI's finish reason, and the provider's own where it differs; a missing one follows from the message.

    Raises `ProviderFailed` where the reason says that the reply is broken.
    """
    if not isinstance(native, str) or not native:
        return ("tool_calls" if has_tools else _STOP), None
    if native in _KNOWN:
        return cast(FinishReason, native), None
    word = native.lower()
    if word in _FAILED:
        raise ProviderFailed(f"The provider gave up on the reply: {native!r}.", native_code=native)
    if word == _OVERLOADED:
        raise ProviderOverloaded("The provider ran out of resources for the reply.", native_code=native)
    if word in _KNOWN:
        return cast(FinishReason, word), native
    return _NATIVE.get(word, "tool_calls" if has_tools and word not in ("eos", "end_turn") else _STOP), native


def move_service_tier(reply: JsonObject) -> None:
    """Move a service tier that OpenAI does not sell to a name of its own, in place: strict clients refuse it."""
    sold = reply.get("service_tier")
    if sold is not None and sold not in _TIERS:
        del reply["service_tier"]
        if sold:
            reply["provider_service_tier"] = sold


def normalise_reasoning(message: JsonObject) -> None:
    """Turn a content list into text, and what a provider calls its reasoning into our three names, in place."""
    content = message.get("content")
    if isinstance(content, list):
        text, thinking = _split(content)
        message["content"] = text
        if thinking:
            message["reasoning"] = thinking
    reasoning = message.pop("reasoning", None)
    alias = message.pop("reasoning_content", None)
    details = message.pop("reasoning_details", None)
    if not reasoning:
        reasoning = alias
    kept: list[Json] = details if isinstance(details, list) else []
    if not reasoning and kept:
        reasoning = reasoning_text(kept)
    if isinstance(reasoning, str) and reasoning:
        message["reasoning"] = message["reasoning_content"] = reasoning
        kept = kept or [{"type": "reasoning.text", "text": reasoning, "format": "unknown", "index": 0}]
    if kept:
        message["reasoning_details"] = kept


def reasoning_text(details: Json) -> str:
    """What of OpenRouter's list of details a person can read."""
    match details:
        case list(each):
            return "".join(reasoning_text(detail) for detail in each)
        case {"type": "reasoning.text", "text": str(text)} | {"type": "reasoning.summary", "summary": str(text)}:
            return text
        case _:
            return ""


def _split(parts: list[Json]) -> tuple[str, str]:
    """Text and thinking of a content list; references to sources (Mistral) have no text of their own."""
    text: list[str] = []
    thinking: list[str] = []
    for part in parts:
        match part:
            case {"type": "text" | "summary_text", "text": str(words)}:
                text.append(words)
            case {"type": "thinking", "thinking": str(words)}:
                thinking.append(words)
            case {"type": "thinking", "thinking": list(inner)} | {"type": "reasoning", "summary": list(inner)}:
                thinking.append(_split(inner)[0])
            case {"type": str()}:
                pass
            case _:
                raise ProviderMalformed("The provider's content list holds something that is no part.")
    return "".join(text), "".join(thinking)


def url_annotations(reply: JsonObject) -> list[Json]:
    """Perplexity's and xAI's lists of sources as OpenAI's annotations; they name no place in the text."""
    sources = reply.get("search_results")
    found: dict[str, str] = {}
    if isinstance(sources, list):
        for source in sources:
            match source:
                case {"url": str(url), "title": str(title)}:
                    found.setdefault(url, title)
                case _:
                    pass
    links = reply.get("citations")
    if isinstance(links, list):
        for link in links:
            if isinstance(link, str):
                found.setdefault(link, "")
    return [
        {"type": "url_citation", "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": 0}}
        for url, title in found.items()
    ]
