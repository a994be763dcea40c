"""Makes a translated request one that every provider takes."""

from tidegate.chat.fields import TOOL_FIELDS
from tidegate.json import Json, JsonObject

_SEARCH_OPTIONS = ("allowed_domains", "blocked_domains", "search_context_size", "user_location")


def portable_body(body: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """Return the body for providers that do not know OpenAI's terms, and the paths of what was left out."""
    tools = body.get("tools")
    if not isinstance(tools, list):
        return body, ()
    kept: list[Json] = []
    ignored: list[str] = []
    for tool in tools:
        translated = _translate(tool)
        if translated is None:
            ignored.append("tools.web_search")
        else:
            kept.append(translated)
    portable: JsonObject = {name: value for name, value in body.items() if kept or name not in TOOL_FIELDS}
    match portable.get("tool_choice"):
        case {"type": "web_search"} if ignored:
            del portable["tool_choice"]
        case _:
            pass
    return {**portable, "tools": kept} if kept else portable, tuple(ignored)


def _translate(tool: Json) -> Json:
    """Return a search with the options of other providers; None for one that may not use the live web, as theirs do."""
    match tool:
        case {"type": "web_search", "external_web_access": False}:
            return None
        case {"type": "web_search"}:
            filters = tool.get("filters")
            options = tool | (filters if isinstance(filters, dict) else {})
            return {"type": "web_search", **{name: options[name] for name in _SEARCH_OPTIONS if name in options}}
        case _:
            return tool
