"""Token counts of a reply, in OpenAI's terms.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (2026-11), and 700 recorded counts: the total is the
sum of prompt, tool use, candidates and thoughts, and the prompt includes what was cached.
"""

from collections.abc import Set

from tidegate.chat.completion import Usage
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import capabilities


def normalise(raw: JsonObject, searches: int = 0) -> Usage:
    """What was counted; what is missing is 0."""
    tool_use = _token_count(raw, "toolUsePromptTokenCount")
    prompt = _token_count(raw, "promptTokenCount") + tool_use
    thoughts = _token_count(raw, "thoughtsTokenCount")
    completion = _token_count(raw, "candidatesTokenCount") + thoughts
    prompt_details: JsonObject = {
        "cached_tokens": _token_count(raw, "cachedContentTokenCount"),
        **_tokens_by_modality(raw.get("promptTokensDetails")),
    }
    if cached_details := _tokens_by_modality(raw.get("cacheTokensDetails")):
        prompt_details["cached_tokens_details"] = cached_details  # what OpenAI's realtime API calls it
    if tool_use:
        prompt_details["tool_use_tokens"] = tool_use
    parsed: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(_token_count(raw, "totalTokenCount"), prompt + completion),
        "prompt_tokens_details": prompt_details,
        "completion_tokens_details": {
            "reasoning_tokens": thoughts,
            **_tokens_by_modality(raw.get("candidatesTokensDetails")),
        },
    }
    if searches:
        parsed["server_tool_use"] = {"web_search_requests": searches}
    return parsed


def billed_searches(raw: JsonObject, queries: Set[str], model_version: Json) -> int:
    """The web searches that Google charges for: each query since Gemini 3, the grounded prompt before.

    Source: https://ai.google.dev/gemini-api/docs/google-search#pricing (2026-09): equal queries count once, and empty
    ones not at all. `billedToolCalls`, where it is sent, is Google's own count.
    """
    count = _billed_tool_calls(raw.get("billedToolCalls")) or len(queries)
    is_billed_per_prompt = (
        isinstance(model_version, str) and not capabilities.capabilities_of(model_version).is_gemini_3_or_newer
    )
    return min(count, 1) if is_billed_per_prompt else count


def service_tier(raw: JsonObject) -> str | None:
    """The service tier in OpenAI's words, None where the reply does not say, or says one that OpenAI does not sell."""
    match raw.get("serviceTier"):
        case "flex" | "priority" as google_tier:
            return google_tier
        case "standard":
            return "default"
        case _:
            return None


def _token_count(raw: JsonObject, name: str) -> int:
    match raw.get(name):
        case bool():
            return 0
        case int(count) if count > 0:
            return count
        case _:
            return 0


def _billed_tool_calls(calls: Json) -> int:
    total = 0
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"tool": str(tool), "successfulToolCallCount": int(count)} if tool.upper().startswith("GOOGLE_SEARCH"):
                total += count
            case _:
                pass
    return total


def _tokens_by_modality(details: Json) -> JsonObject:
    """Tokens by what they stood for; plain text is the rest, and is not listed."""
    tokens: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"modality": str(modality), "tokenCount": int(count)} if modality != "TEXT":
                name = f"{modality.lower()}_tokens"
                tokens[name] = tokens.get(name, 0) + count
            case _:
                pass
    return dict(tokens)
