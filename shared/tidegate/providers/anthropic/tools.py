"""Tools, the tool choice, and Anthropic's own web search.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, …/strict-tool-use,
…/web-search-tool; https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat (OpenAI's options for it).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.anthropic.schema import restrict_schema

SEARCH_TOOL = "web_search"
"""Name of Anthropic's own search tool."""

_SEARCH_TYPES = ("web_search", "web_search_preview")
_MAX_USES_BY_CONTEXT_SIZE = {"low": 1, "medium": 5, "high": 10}
"""Maximum number of searches for each of OpenAI's `search_context_size` values."""

_SEARCH_OPTIONS = ("max_uses", "allowed_domains", "blocked_domains", "cache_control")
_NATIVE_TOOL_FIELDS = ("cache_control", "defer_loading", "allowed_callers", "eager_input_streaming", "input_examples")
"""Fields of a tool that Anthropic accepts and OpenAI does not."""

_BETA_BY_TOOL_TYPE = {
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}
_FORCED_CHOICES = ("any", "tool")


def reserved_names(body: JsonObject) -> tuple[str, ...]:
    """Return the names that the caller's tools cannot have: that of Anthropic's search, if the request uses it."""
    tools = body.get("tools")
    types = [tool.get("type") for tool in (tools if isinstance(tools, list) else ()) if isinstance(tool, dict)]
    searches = any(str(tool_type).startswith(SEARCH_TOOL) for tool_type in types)
    return (SEARCH_TOOL,) if searches or body.get("web_search_options") is not None else ()


def write(builder: AnthropicRequestBuilder) -> None:
    """Write `tools` and `tool_choice`, after the answer tool and `thinking`."""
    caller_tools = builder.take("tools")
    tools: list[Json] = []
    for i, tool in enumerate(caller_tools if isinstance(caller_tools, list) else []):
        translated = _translate_tool(builder, tool, f"tools[{i}]")
        if translated is not None:
            tools.append(translated)
    match builder.take("web_search_options"):
        case dict(options) if not any(isinstance(tool, dict) and tool.get("name") == SEARCH_TOOL for tool in tools):
            tools.append(_search_tool(builder, options, "web_search_options"))
        case dict():
            builder.ignored.append("web_search_options")  # `tools` already has a search tool
        case _:
            pass
    choice = _tool_choice(builder, bool(tools))
    if builder.answer_definition is not None and choice.get("type") not in _FORCED_CHOICES:
        # With tools of the caller's, the model calls one of them or the answer tool.
        forced: JsonObject = {"type": "any"}
        if not tools or choice.get("type") == "none":
            forced = {"type": "tool", "name": builder.answer_tool, "disable_parallel_tool_use": True}
        choice = {**choice, **forced}
        tools.append(builder.answer_definition)
    if tools:
        builder.body["tools"] = tools
        if choice:
            builder.body["tool_choice"] = choice


def _translate_tool(builder: AnthropicRequestBuilder, tool: Json, path: str) -> JsonObject | None:
    match tool:
        case {"type": "function", "function": dict(function)}:
            return {**_translate_function(builder, function, f"{path}.function"), **_native_fields(tool)}
        case {"type": str(tool_type)} if tool_type in _SEARCH_TYPES:
            nested = tool.get("web_search")
            flat = {name: value for name, value in tool.items() if name not in ("type", "name")}
            return _search_tool(builder, nested if isinstance(nested, dict) else flat, path)
        case {"type": "custom", "custom": _}:
            builder.ignored.append(path)
            return None
        case {"type": str(tool_type)}:
            if tool_type in _BETA_BY_TOOL_TYPE:
                builder.betas.append(_BETA_BY_TOOL_TYPE[tool_type])
            return tool  # Anthropic's own
        case _:
            return None


def _translate_function(builder: AnthropicRequestBuilder, function: JsonObject, path: str) -> JsonObject:
    schema = function.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    translated: JsonObject = {"name": builder.tool_names.provider_name(str(function.get("name")))}
    description = function.get("description")
    if isinstance(description, str) and description:
        translated["description"] = description
    translated["input_schema"] = _complete_schema(schema)
    if function.get("strict") is True:
        if builder.capabilities.structured_output and _can_be_strict(builder, schema):
            translated["strict"] = True
        else:
            builder.report_ignored(f"{path}.strict")
    return {**translated, **_native_fields(function)}


def _can_be_strict(builder: AnthropicRequestBuilder, schema: JsonObject) -> bool:
    return restrict_schema(schema) == schema and builder.schemas.admit_tool(schema)


def _native_fields(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if name in _NATIVE_TOOL_FIELDS and value is not None}


def _complete_schema(schema: JsonObject) -> JsonObject:
    """Return the schema with the fields that Anthropic requires."""
    if not schema:
        return {"type": "object", "properties": {}}
    return schema if schema.get("type") else {"type": "object", **schema}


def _search_tool(builder: AnthropicRequestBuilder, options: JsonObject, path: str) -> JsonObject:
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
                builder.ignored.extend(f"{path}.filters.{key}" for key in filters if key not in _SEARCH_OPTIONS)
            case _ if name in _SEARCH_OPTIONS:
                tool[name] = value
            case _:
                builder.ignored.append(f"{path}.{name}")
    return tool


def _tool_choice(builder: AnthropicRequestBuilder, has_tools: bool) -> JsonObject:
    """Return Anthropic's `tool_choice`, empty for the default."""
    choice: JsonObject = _translate_choice(builder, builder.take("tool_choice"))
    parallel = builder.take("parallel_tool_calls")
    if not has_tools:
        if choice.get("type") in _FORCED_CHOICES:
            builder.report_ignored("tool_choice")
        return {}
    # Anthropic refuses to force a tool on a model that thinks with a budget, or always.
    can_force = builder.capabilities.can_force_tools and builder.thinking != "budget"
    if choice.get("type") in _FORCED_CHOICES and not can_force:
        builder.report_ignored("tool_choice")
        choice = {"type": "auto"}
    if parallel is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _translate_choice(builder: AnthropicRequestBuilder, choice: Json) -> JsonObject:
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
            return {"type": "tool", "name": builder.tool_names.provider_name(name)}
        case {"type": "web_search" | "web_search_preview"}:
            return {"type": "tool", "name": SEARCH_TOOL}
        case _:
            builder.ignored.append("tool_choice")
            return {}
