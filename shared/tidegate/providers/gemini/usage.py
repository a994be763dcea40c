"""Google's token counts, billed searches and service tier in OpenAI's terms.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (2026-11), and 700 recorded counts: the total is the
sum of prompt, tool use, candidates and thoughts, and the prompt includes cached tokens.
"""

from collections.abc import Set

from tidegate.chat.completion import Usage
from tidegate.domain.usage import add_counts, parse_count
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini.capabilities import capabilities_of


def normalise(raw: JsonObject, searches: int = 0) -> Usage:
    """Return OpenAI's usage. Missing counts are 0."""
    tool_use = _token_count(raw, "toolUsePromptTokenCount")
    prompt = add_counts(_token_count(raw, "promptTokenCount"), tool_use)
    thoughts = _token_count(raw, "thoughtsTokenCount")
    completion = add_counts(_token_count(raw, "candidatesTokenCount"), thoughts)
    prompt_details: JsonObject = {
        "cached_tokens": _token_count(raw, "cachedContentTokenCount"),
        **_tokens_by_modality(raw.get("promptTokensDetails")),
    }
    if cached_details := _tokens_by_modality(raw.get("cacheTokensDetails")):
        prompt_details["cached_tokens_details"] = cached_details  # the name in OpenAI's realtime API
    if tool_use:
        prompt_details["tool_use_tokens"] = tool_use
    completion_details = _tokens_by_modality(raw.get("candidatesTokensDetails"))
    parsed: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(_token_count(raw, "totalTokenCount"), add_counts(prompt, completion)),
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {"reasoning_tokens": thoughts, **completion_details},
    }
    if raw.get("promptTokenCount") is None:
        parsed["estimated"] = True
    if searches:
        parsed["server_tool_use"] = {"web_search_requests": searches}
    return parsed


def billed_searches(raw: JsonObject, queries: Set[str], model_version: Json) -> int:
    """Return the number of web searches that Google charges: each query since Gemini 3, one per prompt before.

    Source: https://ai.google.dev/gemini-api/docs/google-search#pricing (2026-09): equal queries count once, empty
    queries do not count. `billedToolCalls`, if Google sent it, is its own count.
    """
    count = _billed_tool_calls(raw.get("billedToolCalls")) or len(queries)
    is_billed_per_prompt = isinstance(model_version, str) and not capabilities_of(model_version).is_gemini_3_plus
    return min(count, 1) if is_billed_per_prompt else count


def service_tier(raw: JsonObject) -> str | None:
    """Return OpenAI's name of the service tier, None if the reply has none or OpenAI does not sell it."""
    match raw.get("serviceTier"):
        case "flex" | "priority" as google_tier:
            return google_tier
        case "standard":
            return "default"
        case _:
            return None


def _token_count(raw: JsonObject, name: str) -> int:
    return parse_count(raw.get(name))


def _billed_tool_calls(calls: Json) -> int:
    total = 0
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"tool": str(tool), "successfulToolCallCount": count} if tool.upper().startswith("GOOGLE_SEARCH"):
                total += max(0, parse_count(count))
            case _:
                pass
    return total


def _tokens_by_modality(details: Json) -> JsonObject:
    """Return token counts such as `audio_tokens` by modality. Text is not listed: it is the remainder."""
    tokens: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"modality": str(modality), "tokenCount": count} if modality != "TEXT":
                name = f"{modality.lower()}_tokens"
                tokens[name] = add_counts(tokens.get(name, 0), parse_count(count))
            case _:
                pass
    return dict(tokens)
