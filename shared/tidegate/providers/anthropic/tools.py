"""Tools, the choice among them, and Anthropic's own web search.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, …/strict-tool-use,
…/web-search-tool; https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat (the caller's words for it).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.anthropic.schema import restrict_schema

SEARCH_TOOL = "web_search"
"""The name of Anthropic's own search tool."""

_SEARCH_TYPES = ("web_search", "web_search_preview")
_MAX_USES_BY_CONTEXT_SIZE = {"low": 1, "medium": 5, "high": 10}
"""Searches that stand for OpenAI's `search_context_size`."""

_SEARCH_OPTIONS = ("max_uses", "allowed_domains", "blocked_domains", "cache_control")
_NATIVE_TOOL_FIELDS = ("cache_control", "defer_loading", "allowed_callers", "eager_input_streaming", "input_examples")
"""What Anthropic knows of a tool beyond OpenAI."""

_BETA_BY_TOOL_TYPE = {
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}
_FORCED_CHOICES = ("any", "tool")


def reserved_names(body: JsonObject) -> tuple[str, ...]:
    """The name of Anthropic's search, where the caller wants to search."""
    tools = body.get("tools")
    types = [tool.get("type") for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict)]
    searches = any(str(tool_type).startswith(SEARCH_TOOL) for tool_type in types)
    return (SEARCH_TOOL,) if searches or body.get("web_search_options") is not None else ()


def write(draft: AnthropicRequestBuilder) -> None:
    caller_tools = draft.take("tools")
    tools: list[Json] = []
    for i, tool in enumerate(caller_tools if isinstance(caller_tools, list) else []):
        translated = _translate_tool(draft, tool, f"tools[{i}]")
        if translated is not None:
            tools.append(translated)
    match draft.take("web_search_options"):
        case dict(options) if not any(isinstance(tool, dict) and tool.get("name") == SEARCH_TOOL for tool in tools):
            tools.append(_search_tool(draft, options, "web_search_options"))
        case dict():
            draft.ignored.append("web_search_options")  # the tool among the tools says it already
        case _:
            pass
    choice = _tool_choice(draft, bool(tools))
    if draft.answer_tool is not None and choice.get("type") not in _FORCED_CHOICES:
        # With tools of the caller's, the model may call one of them, or answer: by a call in either case.
        forced: JsonObject = {"type": "any"}
        if not tools or choice.get("type") == "none":
            forced = {"type": "tool", "name": draft.answer_tool["name"], "disable_parallel_tool_use": True}
        choice = {**choice, **forced}
        tools.append(draft.answer_tool)
    if tools:
        draft.body["tools"] = tools
        if choice:
            draft.body["tool_choice"] = choice


def _translate_tool(draft: AnthropicRequestBuilder, tool: Json, path: str) -> JsonObject | None:
    match tool:
        case {"type": "function", "function": dict(function)}:
            return {**_translate_function(draft, function, f"{path}.function"), **_native_fields(tool)}
        case {"type": str(tool_type)} if tool_type in _SEARCH_TYPES:
            nested_options = tool.get("web_search")
            options = (
                nested_options
                if isinstance(nested_options, dict)
                else {k: v for k, v in tool.items() if k not in ("type", "name")}
            )
            return _search_tool(draft, options, path)
        case {"type": "custom", "custom": _}:
            draft.ignored.append(path)
            return None
        case {"type": str(tool_type)}:
            if tool_type in _BETA_BY_TOOL_TYPE:
                draft.betas.append(_BETA_BY_TOOL_TYPE[tool_type])
            return tool  # Anthropic's own
        case _:
            return None


def _translate_function(draft: AnthropicRequestBuilder, function: JsonObject, path: str) -> JsonObject:
    schema = function.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    translated: JsonObject = {"name": draft.tool_names.provider_name(str(function.get("name")))}
    description = function.get("description")
    if isinstance(description, str) and description:
        translated["description"] = description
    translated["input_schema"] = _complete_schema(schema)
    if function.get("strict") is True:
        if draft.capabilities.structured and restrict_schema(schema) == schema:
            translated["strict"] = True
        else:
            draft.report_ignored(f"{path}.strict")
    return {**translated, **_native_fields(function)}


def _native_fields(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if name in _NATIVE_TOOL_FIELDS and value is not None}


def _complete_schema(schema: JsonObject) -> JsonObject:
    """The whole schema, with what Anthropic cannot do without."""
    if not schema:
        return {"type": "object", "properties": {}}
    return schema if schema.get("type") else {"type": "object", **schema}


def _search_tool(draft: AnthropicRequestBuilder, options: JsonObject, path: str) -> JsonObject:
    tool: JsonObject = {"type": "web_search_20250305", "name": SEARCH_TOOL}
    for name, value in options.items():
        match name, value:
            case _, None:
                pass
            case "user_location", {"approximate": dict(location)} | dict(location):
                tool["user_location"] = {**location, "type": "approximate"}
            case "search_context_size", str(size) if size in _MAX_USES_BY_CONTEXT_SIZE:
                tool.setdefault("max_uses", _MAX_USES_BY_CONTEXT_SIZE[size])
            case "filters", dict(filters):
                tool.update({key: value for key, value in filters.items() if key in _SEARCH_OPTIONS})
                draft.ignored.extend(f"{path}.filters.{key}" for key in filters if key not in _SEARCH_OPTIONS)
            case _ if name in _SEARCH_OPTIONS:
                tool[name] = value
            case _:
                draft.ignored.append(f"{path}.{name}")
    return tool


def _tool_choice(draft: AnthropicRequestBuilder, has_tools: bool) -> JsonObject:
    """The choice in Anthropic's words, empty where there is nothing to say."""
    choice: JsonObject = _translate_choice(draft, draft.take("tool_choice"))
    parallel = draft.take("parallel_tool_calls")
    if not has_tools:
        if choice.get("type") in _FORCED_CHOICES:
            draft.report_ignored("tool_choice")
        return {}
    if choice.get("type") in _FORCED_CHOICES and (draft.thinking == "budget" or not draft.capabilities.forced_tools):
        draft.report_ignored("tool_choice")  # Anthropic forces no tool on a model that thinks by a budget, or always
        choice = {"type": "auto"}
    if parallel is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _translate_choice(draft: AnthropicRequestBuilder, choice: Json) -> JsonObject:
    match choice:
        case None:
            return {}
        case "auto" | {"type": "auto"}:
            return {"type": "auto"}
        case "none" | {"type": "none"}:
            return {"type": "none"}
        case "required" | "any" | {"type": "any"}:
            return {"type": "any"}
        case {"function": {"name": str(name)}} | {"name": str(name)}:
            return {"type": "tool", "name": draft.tool_names.provider_name(name)}
        case {"type": "web_search" | "web_search_preview"}:
            return {"type": "tool", "name": SEARCH_TOOL}
        case _:
            draft.ignored.append("tool_choice")
            return {}
