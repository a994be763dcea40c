"""Token counts and billed searches in OpenAI's terms of chat completions.

Source: https://platform.openai.com/docs/api-reference/responses/object (`usage`, `tool_usage`, 2026-11).
"""

from tidegate.chat.completion import Usage
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import usage


def normalise(response: JsonObject, searches: int) -> Usage | None:
    """Return the usage of a response, None if it has none. `searches` were counted in its output.

    The count in `tool_usage` is the billable one: it leaves out the opening of pages.
    """
    raw = response.get("usage")
    if not isinstance(raw, dict) or not raw:
        return None
    counts = usage.normalise(raw)
    searches = _billable_searches(response.get("tool_usage"), searches)
    if searches:
        counts["server_tool_use"] = {"web_search_requests": searches}
    return counts


def is_search(item: JsonObject) -> bool:
    """True for a search of the web that is billed: pages that are opened or searched through are free.

    Source: https://platform.openai.com/docs/guides/tools-web-search (output and citations, 2026-11).
    """
    match item.get("action"):
        case {"type": str(action)} if action != "search":
            return False
        case _:
            return item.get("status") != "failed"


def _billable_searches(tool_usage: Json, counted: int) -> int:
    match tool_usage:
        case {"web_search": {"num_requests": int(requests)}} if requests >= 0:
            return requests
        case _:
            return counted
