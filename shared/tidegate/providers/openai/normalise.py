"""Pieces shared by complete messages and deltas: finish reasons, reasoning, content lists, citations.

Sources: recorded bodies up to 2026-07; `reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from typing import cast

from tidegate.chat.completion import FinishReason, url_citation
from tidegate.errors import ProviderFailed, ProviderOverloaded
from tidegate.json import Json, JsonObject

EMPTY_VALUES: tuple[Json, ...] = (None, "", [], {})
"""Values that carry no information."""

_OPENAI_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_STOP: FinishReason = "stop"
_NATIVE_REASONS: dict[str, FinishReason] = {
    **{"max_tokens": "length", "max_output_tokens": "length", "max_length": "length"},
    **{"model_length": "length", "model_context_window_exceeded": "length"},
    **{"tool_use": "tool_calls", "tool_call": "tool_calls"},
    **{"safety": "content_filter", "refusal": "content_filter", "sensitive": "content_filter"},
    **{"recitation": "content_filter", "blocklist": "content_filter", "prohibited_content": "content_filter"},
}
_FAILED_REASONS = frozenset({"error", "abort", "network_error", "malformed_function_call"})
_OPENAI_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_OVERLOADED_REASON = "insufficient_system_resource"  # DeepSeek


def finish_reason(native: Json, has_tools: bool, has_function_call: bool = False) -> tuple[FinishReason, str | None]:
    """Return OpenAI's finish reason, and the provider's own if it differs. `has_tools`: the reply calls tools.

    Whether a reply stops or calls tools follows from its calls, not from the provider's word: agents go by it. Raises
    `ProviderFailed` or `ProviderOverloaded` if the reason says that the reply is broken.
    """
    ending: FinishReason = "tool_calls" if has_tools else "function_call" if has_function_call else _STOP
    if not isinstance(native, str) or not native:
        return ending, None
    word = native.lower()
    if word in _FAILED_REASONS:
        raise ProviderFailed(f"The provider failed to complete the reply: {native!r}.", native_code=native)
    if word == _OVERLOADED_REASON:
        raise ProviderOverloaded("The provider ran out of resources for the reply.", native_code=native)
    reason = cast(FinishReason, word) if word in _OPENAI_REASONS else _NATIVE_REASONS.get(word, _STOP)
    if reason in ("stop", "tool_calls", "function_call"):
        reason = ending
    return reason, None if reason == native else native


def move_service_tier(reply: JsonObject) -> None:
    """Move a service tier that is not OpenAI's to `provider_service_tier`, in place: strict clients refuse it."""
    tier = reply.get("service_tier")
    if tier is not None and not (isinstance(tier, str) and tier in _OPENAI_TIERS):
        del reply["service_tier"]
        if tier:
            reply["provider_service_tier"] = tier


def normalise_reasoning(message: JsonObject) -> None:
    """Turn content of any shape into text, and reasoning under any name into the gateway's three fields, in place."""
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        text, thinking = _split(content) if isinstance(content, list) else _split([content])
        message["content"] = text
        if thinking:
            message["reasoning"] = thinking
    reasoning = message.pop("reasoning", None)
    alias = message.pop("reasoning_content", None)
    details = message.pop("reasoning_details", None)
    if not reasoning:
        reasoning = alias
    detail_list: list[Json] = details if isinstance(details, list) else []
    if not reasoning and detail_list:
        reasoning = reasoning_text(detail_list)
    if isinstance(reasoning, str) and reasoning:
        message["reasoning"] = message["reasoning_content"] = reasoning
        detail_list = detail_list or [{"type": "reasoning.text", "text": reasoning, "format": "unknown", "index": 0}]
    if detail_list:
        message["reasoning_details"] = detail_list


def reasoning_text(details: Json) -> str:
    """Return the readable text in OpenRouter's list of reasoning details."""
    match details:
        case list(items):
            return "".join(reasoning_text(detail) for detail in items)
        case {"type": "reasoning.text", "text": str(text)} | {"type": "reasoning.summary", "summary": str(text)}:
            return text
        case _:
            return ""


def _split(parts: list[Json]) -> tuple[str, str]:
    """Split a content list into text and thinking; references to sources (Mistral) hold no text."""
    text: list[str] = []
    thinking: list[str] = []
    for part in parts:
        match part:
            case str(piece) | {"type": "text" | "summary_text" | "output_text", "text": str(piece)}:
                text.append(piece)
            case {"type": "thinking", "thinking": str(piece)}:
                thinking.append(piece)
            case {"type": "thinking", "thinking": list(items)} | {"type": "reasoning", "summary": list(items)}:
                thinking.append(_split(items)[0])
            case {"text": str(piece), **rest} if "type" not in rest:
                text.append(piece)
            case _:
                pass
    return "".join(text), "".join(thinking)


def url_annotations(reply: JsonObject) -> list[Json]:
    """Return Perplexity's and xAI's lists of sources as OpenAI's annotations, without positions in the text."""
    sources = reply.get("search_results")
    titles: dict[str, str] = {}
    if isinstance(sources, list):
        for source in sources:
            match source:
                case {"url": str(url), "title": str(title)}:
                    titles.setdefault(url, title)
                case _:
                    pass
    links = reply.get("citations")
    if isinstance(links, list):
        for link in links:
            if isinstance(link, str):
                titles.setdefault(link, "")
    return [url_citation(url, title) for url, title in titles.items()]
