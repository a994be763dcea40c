"""Tools, the tool choice, and the provider's own web search.

Sources: https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat,
https://openrouter.ai/docs/guides/features/server-tools/web-search, https://console.groq.com/docs/browser-search,
https://docs.z.ai/guides/tools/web-search, https://www.alibabacloud.com/help/en/model-studio/web-search (each in 2026).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.openai.parts import without_cache_control
from tidegate.providers.openai.quirks import ModelRule
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder

_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls", "web_search_options"})
_ALTERNATIVES = frozenset({"$ref", "anyOf", "oneOf", "allOf"})


def write(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    """Translate tools, the tool choice and web search in the body. What cannot be honoured is reported as ignored."""
    if _FIELDS.isdisjoint(builder.body):
        return
    match builder.body.get("tools"):
        case []:
            builder.take("tools")
        case list(tool_list):
            builder.body["tools"] = [
                _complete(without_cache_control(builder, tool)) if isinstance(tool, dict) else tool
                for tool in tool_list
            ]
        case _:
            pass
    _write_search(builder, rule)
    if not builder.body.get("tools"):
        builder.take("parallel_tool_calls")  # no effect without tools, and OpenAI refuses it
    _write_choice(builder, rule)


def _complete(tool: JsonObject) -> JsonObject:
    """Return the tool with a type in its schema: OpenAI and others refuse a schema without `type` and `properties`."""
    function = tool.get("function")
    parameters = function.get("parameters") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(parameters, dict):
        return tool
    if "type" in parameters and "properties" in parameters:
        return tool
    missing: JsonObject = {} if _ALTERNATIVES & parameters.keys() else {"properties": {}}
    return {**tool, "function": {**function, "parameters": {"type": "object", **missing, **parameters}}}


def _write_choice(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    choice = builder.body.get("tool_choice")
    if choice is None:
        return
    kind = choice if isinstance(choice, str) else "named"
    accepted = builder.quirks.tool_choices
    if rule.tool_choices_reasoning is not None and builder.reasons(rule):
        accepted &= rule.tool_choices_reasoning
    chosen = _named_tools(builder, choice) if "required" in accepted else []
    if not builder.body.get("tools"):
        del builder.body["tool_choice"]
        if kind not in ("none", "auto"):
            builder.report_ignored("tool_choice")
    elif kind in accepted:
        if kind == "required":
            builder.body["tool_choice"] = builder.quirks.tool_choice_required
    elif chosen:
        builder.body["tools"] = chosen  # the only tool is the one that is required
        builder.body["tool_choice"] = builder.quirks.tool_choice_required
    else:
        del builder.body["tool_choice"]
        if kind == "none":
            builder.take("tools")  # without tools there are no calls, as "none" requests
        elif kind != "auto":
            builder.report_ignored("tool_choice")


def _named_tools(builder: OpenAIRequestBuilder, choice: Json) -> list[Json]:
    """Return the tool that the choice names, in a list."""
    tools = builder.body.get("tools")
    match choice:
        case {"type": "function", "function": {"name": str(name)}} if isinstance(tools, list):
            return [tool for tool in tools if _name(tool) == name]
        case _:
            return []


def _name(tool: Json) -> Json:
    match tool:
        case {"function": {"name": name}}:
            return name
        case _:
            return None


def _write_search(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    """Translate a request for web search, from `web_search_options` or from a tool, into the provider's own form."""
    style = rule.web_search or builder.quirks.web_search
    if style == "as_sent":
        return
    tools = builder.body.get("tools")
    tool_list = tools if isinstance(tools, list) else []
    indexed = [(i, tool) for i, tool in enumerate(tool_list) if isinstance(tool, dict)]
    search_tools = [(i, tool) for i, tool in indexed if tool.get("type") == "web_search"]
    options = builder.body.get("web_search_options")
    sent_paths = [*(["web_search_options"] if options is not None else []), *(f"tools[{i}]" for i, _ in search_tools)]
    if not sent_paths:
        return
    if search_tools:
        other_tools = [tool for tool in tool_list if not (isinstance(tool, dict) and tool.get("type") == "web_search")]
        _set_tools(builder, other_tools)
    if not isinstance(options, dict):
        options = _options(search_tools[0][1]) if search_tools else {}
    if style in ("options", "always"):
        if options or style == "options":
            builder.body["web_search_options"] = options
        return
    builder.take("web_search_options")
    match style:
        case "server_tool":
            tool: JsonObject = {"type": "openrouter:web_search"}
            if options:
                tool["parameters"] = options
            _add_tool(builder, tool)
        case "browser_tool":
            _add_tool(builder, {"type": "browser_search"})
            builder.ignored.extend(f"{sent_paths[0]}.{name}" for name in options)
        case "search_tool":
            _add_tool(builder, {"type": "web_search", "web_search": {"enable": True, "search_result": True}})
            builder.ignored.extend(f"{sent_paths[0]}.{name}" for name in options)
        case "enable_search":
            builder.body["enable_search"] = True
            builder.ignored.extend(f"{sent_paths[0]}.{name}" for name in options)
        case _:
            builder.ignored.extend(sent_paths)


def _options(tool: JsonObject) -> JsonObject:
    """Return the options of a `web_search` tool: its other fields, or those in its `web_search` object."""
    nested = tool.get("web_search")
    if isinstance(nested, dict):
        return nested
    return {name: value for name, value in tool.items() if name != "type" and value is not None}


def _add_tool(builder: OpenAIRequestBuilder, tool: JsonObject) -> None:
    tools = builder.body.get("tools")
    _set_tools(builder, [*(tools if isinstance(tools, list) else []), tool])


def _set_tools(builder: OpenAIRequestBuilder, tools: list[Json]) -> None:
    if tools:
        builder.body["tools"] = tools
    else:
        builder.take("tools")
