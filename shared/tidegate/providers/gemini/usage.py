"""Token counts of a reply, in OpenAI's terms.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (2026-11), and 700 recorded counts: the total is the
sum of prompt, tool use, candidates and thoughts, and the prompt includes what was cached.
"""

from collections.abc import Set

from tidegate.chat.completion import Usage
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import capabilities


def read(raw: JsonObject, searches: int = 0) -> Usage:
    """What was counted; what is missing is 0."""
    used = _count(raw, "toolUsePromptTokenCount")
    prompt = _count(raw, "promptTokenCount") + used
    thoughts = _count(raw, "thoughtsTokenCount")
    completion = _count(raw, "candidatesTokenCount") + thoughts
    read: JsonObject = {
        "cached_tokens": _count(raw, "cachedContentTokenCount"),
        **_kinds(raw.get("promptTokensDetails")),
    }
    if of_cached := _kinds(raw.get("cacheTokensDetails")):
        read["cached_tokens_details"] = of_cached  # what OpenAI's realtime API calls it
    if used:
        read["tool_use_tokens"] = used
    counted: Usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(_count(raw, "totalTokenCount"), prompt + completion),
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": thoughts, **_kinds(raw.get("candidatesTokensDetails"))},
    }
    if searches:
        counted["server_tool_use"] = {"web_search_requests": searches}
    return counted


def searches(raw: JsonObject, queries: Set[str], version: Json) -> int:
    """The web searches that Google charges for: each query since Gemini 3, the grounded prompt before.

    Source: https://ai.google.dev/gemini-api/docs/google-search#pricing (2026-09): equal queries count once, and empty
    ones not at all. `billedToolCalls`, where it is sent, is Google's own count.
    """
    found = _billed(raw.get("billedToolCalls")) or len(queries)
    is_by_prompt = isinstance(version, str) and not capabilities.read(version).since_3
    return min(found, 1) if is_by_prompt else found


def tier(raw: JsonObject) -> str | None:
    """The service tier in OpenAI's words, None where the reply does not say, or says one that OpenAI does not sell."""
    match raw.get("serviceTier"):
        case "flex" | "priority" as sold:
            return sold
        case "standard":
            return "default"
        case _:
            return None


def _count(raw: JsonObject, name: str) -> int:
    match raw.get(name):
        case bool():
            return 0
        case int(count) if count > 0:
            return count
        case _:
            return 0


def _billed(calls: Json) -> int:
    found = 0
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"tool": str(tool), "successfulToolCallCount": int(count)} if tool.upper().startswith("GOOGLE_SEARCH"):
                found += count
            case _:
                pass
    return found


def _kinds(details: Json) -> JsonObject:
    """Tokens by what they stood for; plain text is the rest, and is not listed."""
    found: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"modality": str(kind), "tokenCount": int(count)} if kind != "TEXT":
                name = f"{kind.lower()}_tokens"
                found[name] = found.get(name, 0) + count
            case _:
                pass
    return dict(found)
