"""Token counts of a reply, in OpenAI's terms.

Source: https://ai.google.dev/api/generate-content#UsageMetadata (2026-11), and 700 recorded counts: the total is the
sum of prompt, tool use, candidates and thoughts, and the prompt includes what was cached.
"""

from tidegate.chat.completion import Usage
from tidegate.chat.json import Json, JsonObject


def read(raw: JsonObject) -> Usage:
    """What was counted; what is missing is 0."""
    used = _count(raw, "toolUsePromptTokenCount")
    prompt = _count(raw, "promptTokenCount") + used
    thoughts = _count(raw, "thoughtsTokenCount")
    completion = _count(raw, "candidatesTokenCount") + thoughts
    read: JsonObject = {
        "cached_tokens": _count(raw, "cachedContentTokenCount"),
        **_kinds(raw.get("promptTokensDetails")),
    }
    if used:
        read["tool_use_tokens"] = used
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(_count(raw, "totalTokenCount"), prompt + completion),
        "prompt_tokens_details": read,
        "completion_tokens_details": {"reasoning_tokens": thoughts, **_kinds(raw.get("candidatesTokensDetails"))},
    }


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
