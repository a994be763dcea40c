"""Tools, the choice among them, and the provider's own web search.

Sources: https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat,
https://openrouter.ai/docs/guides/features/server-tools/web-search, https://console.groq.com/docs/browser-search,
https://docs.z.ai/guides/tools/web-search, https://www.alibabacloud.com/help/en/model-studio/web-search (each in 2026).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.openai.parts import without_cache_control
from tidegate.providers.openai.quirks import ModelRule
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder


def write(draft: OpenAIRequestBuilder, rule: ModelRule) -> None:
    match draft.body.get("tools"):
        case []:
            draft.take("tools")
        case list(listed):
            draft.body["tools"] = [
                without_cache_control(draft, tool) if isinstance(tool, dict) else tool for tool in listed
            ]
        case _:
            pass
    _write_search(draft, rule)
    if not draft.body.get("tools"):
        draft.take("parallel_tool_calls")  # asks for nothing, and OpenAI refuses it
    choice = draft.body.get("tool_choice")
    if choice is None:
        return
    kind = choice if isinstance(choice, str) else "named"
    if not draft.body.get("tools"):
        del draft.body["tool_choice"]
        if kind not in ("none", "auto"):
            draft.report_ignored("tool_choice")
    elif kind not in draft.quirks.tool_choices:
        del draft.body["tool_choice"]
        if kind == "none":
            draft.take("tools")  # no tools, no calls: what "none" asks for
        elif kind != "auto":
            draft.report_ignored("tool_choice")
    elif kind == "required":
        draft.body["tool_choice"] = draft.quirks.tool_choice_required


def _write_search(draft: OpenAIRequestBuilder, rule: ModelRule) -> None:
    """One wish to search, whether it came as `web_search_options` or as a tool, in the provider's own words."""
    way = rule.web_search or draft.quirks.web_search
    if way == "as_sent":
        return
    tools = draft.body.get("tools")
    listed = tools if isinstance(tools, list) else []
    found = [(i, tool) for i, tool in enumerate(listed) if isinstance(tool, dict) and tool.get("type") == "web_search"]
    options = draft.body.get("web_search_options")
    wished = [*(["web_search_options"] if options is not None else []), *(f"tools[{i}]" for i, _ in found)]
    if not wished:
        return
    if found:
        rest = [tool for tool in listed if not (isinstance(tool, dict) and tool.get("type") == "web_search")]
        _set_tools(draft, rest)
    if not isinstance(options, dict):
        options = _options(found[0][1]) if found else {}
    if way in ("options", "always"):
        if options or way == "options":
            draft.body["web_search_options"] = options
        return
    draft.take("web_search_options")
    match way:
        case "server_tool":
            tool: JsonObject = {"type": "openrouter:web_search"}
            if options:
                tool["parameters"] = options
            _add_tool(draft, tool)
        case "browser_tool":
            _add_tool(draft, {"type": "browser_search"})
            draft.ignored.extend(f"{wished[0]}.{name}" for name in options)
        case "search_tool":
            _add_tool(draft, {"type": "web_search", "web_search": {"enable": True, "search_result": True}})
            draft.ignored.extend(f"{wished[0]}.{name}" for name in options)
        case "enable_search":
            draft.body["enable_search"] = True
            draft.ignored.extend(f"{wished[0]}.{name}" for name in options)
        case _:
            draft.ignored.extend(wished)


def _options(tool: JsonObject) -> JsonObject:
    """The options of a `web_search` tool: its other fields, or those under its own name."""
    inner = tool.get("web_search")
    if isinstance(inner, dict):
        return inner
    return {name: value for name, value in tool.items() if name != "type" and value is not None}


def _add_tool(draft: OpenAIRequestBuilder, tool: JsonObject) -> None:
    tools = draft.body.get("tools")
    _set_tools(draft, [*(tools if isinstance(tools, list) else []), tool])


def _set_tools(draft: OpenAIRequestBuilder, tools: list[Json]) -> None:
    if tools:
        draft.body["tools"] = tools
    else:
        draft.take("tools")
