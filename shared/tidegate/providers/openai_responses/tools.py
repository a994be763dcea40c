"""Tools of chat completions as those of the Responses API, the tool choice, and web search.

Sources, read in 2026-11: https://platform.openai.com/docs/api-reference/responses/create,
https://platform.openai.com/docs/guides/tools-web-search. A function is strict by default, unlike in chat completions.
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder

SEARCH_PREFIX = "web_search"

_SEARCH_TYPES = (
    *("web_search", "web_search_2025_08_26"),
    *("web_search_preview", "web_search_preview_2025_03_11"),
)
_SEARCH_OPTIONS = frozenset({"search_context_size", "filters", "external_web_access", "search_content_types"})


def write(builder: OpenAIRequestBuilder, body: JsonObject, can_search: bool) -> None:
    """Write the tools and the tool choice to `body`. What cannot be honoured is reported as ignored."""
    caller_tools = builder.take("tools")
    tools: list[Json] = []
    searches = False
    for i, tool in enumerate(caller_tools if isinstance(caller_tools, list) else ()):
        match tool:
            case {"type": str(tool_type)} if tool_type.startswith(SEARCH_PREFIX):
                if searches or not can_search:
                    builder.report_ignored(f"tools[{i}]")
                    continue
                searches = True
                tools.append(_search_tool(builder, tool, tool_type, f"tools[{i}]"))
            case _:
                tools.append(_translate_tool(tool))
    options = builder.take("web_search_options")
    if isinstance(options, dict):
        if searches or not can_search:  # one search tool is enough
            builder.ignored.append("web_search_options")
        else:
            tools.append(_search_tool(builder, options, "web_search", "web_search_options"))
    choice = builder.take("tool_choice")
    if tools:
        body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = _translate_choice(choice)
    elif choice not in (None, "auto", "none"):
        builder.report_ignored("tool_choice")


def _translate_tool(tool: Json) -> Json:
    match tool:
        case {"type": "function", "function": dict(function)}:
            schema: Json = function.get("parameters") or {"type": "object", "properties": {}}
            return {"type": "function", **function, "parameters": schema, "strict": function.get("strict") is True}
        case {"type": "custom", "custom": dict(custom)}:
            return {"type": "custom", **custom, **_custom_format(custom.get("format"))}
        case _:
            return tool  # OpenAI's own


def _custom_format(custom_format: Json) -> JsonObject:
    match custom_format:
        case {"type": "grammar", "grammar": dict(grammar)}:
            return {"format": {"type": "grammar", **grammar}}
        case _:
            return {}


def _search_tool(builder: OpenAIRequestBuilder, caller_tool: JsonObject, tool_type: str, path: str) -> JsonObject:
    """Return the search tool. Its options are beside its type, or in an object `web_search`."""
    nested = caller_tool.get("web_search")
    options = nested if isinstance(nested, dict) else caller_tool
    tool: JsonObject = {"type": tool_type if tool_type in _SEARCH_TYPES else "web_search"}
    for name, value in options.items():
        match name, value:
            case ("type" | "name", _) | (_, None):
                pass
            case "user_location", {"approximate": dict(location)} | dict(location):
                tool["user_location"] = {"type": "approximate", **location}
            case _ if name in _SEARCH_OPTIONS:
                tool[name] = value
            case _:
                builder.ignored.append(f"{path}.{name}")
    return tool


def _translate_choice(choice: Json) -> Json:
    match choice:
        case {"type": "allowed_tools", "allowed_tools": dict(allowed)}:
            allowed_tools = allowed.get("tools")
            tools = [_reference(tool) for tool in allowed_tools] if isinstance(allowed_tools, list) else []
            return {"type": "allowed_tools", "mode": allowed.get("mode") or "auto", "tools": tools}
        case _:
            return _reference(choice)


def _reference(value: Json) -> Json:
    """Return what refers to one tool: its type and its name."""
    match value:
        case {"type": "function", "function": {"name": name}} | {"type": "custom", "custom": {"name": name}}:
            return {"type": value["type"], "name": name}
        case _:
            return value
