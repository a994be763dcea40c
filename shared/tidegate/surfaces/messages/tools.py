"""Tools and the tool choice of the Messages API in terms of chat completions.

A tool with a schema becomes a function. Anthropic's own types (`bash_20250124`, `web_search_20250305`) stay as they
are.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (2026-11).
"""

from tidegate.json import Json, JsonObject
from tidegate.surfaces.messages.errors import refusal

_FUNCTION_FIELDS = ("name", "description", "strict")
_CLIENT_TYPES = ("custom", None)


def translate(tool: Json) -> Json:
    """Return the tool for a chat request; unknown types and malformed tools stay as they are."""
    if not isinstance(tool, dict) or tool.get("type") not in _CLIENT_TYPES or "name" not in tool:
        return tool
    function: JsonObject = {name: tool[name] for name in _FUNCTION_FIELDS if tool.get(name) is not None}
    schema = tool.get("input_schema")
    function["parameters"] = schema if isinstance(schema, dict) else {"type": "object", "properties": {}}
    rest = {
        name: value
        for name, value in tool.items()
        if name not in (*_FUNCTION_FIELDS, "type", "input_schema") and value is not None
    }
    return {**rest, "type": "function", "function": function}


def choice_fields(choice: JsonObject, tools: Json) -> JsonObject:
    """Return the fields of a chat request for a tool choice. Raises `InvalidRequest`."""
    fields: JsonObject = {}
    match choice:
        case {"type": "auto" | "none" as kind}:
            fields["tool_choice"] = kind
        case {"type": "any"}:
            fields["tool_choice"] = "required"
        case {"type": "tool", "name": str(name)}:
            fields["tool_choice"] = _named_choice(name, tools)
        case _:
            raise refusal("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'; a tool has a `name`")
    if choice.get("disable_parallel_tool_use") is True:
        fields["parallel_tool_calls"] = False
    return fields


def _named_choice(name: str, tools: Json) -> Json:
    """Return the choice of a tool by its name. Anthropic's own tools are chosen by their type."""
    for tool in tools if isinstance(tools, list) else ():
        match tool:
            case {"type": str(kind), "name": str(tool_name)} if tool_name == name and kind not in _CLIENT_TYPES:
                return {"type": "web_search"} if kind.startswith("web_search") else "required"
            case _:
                pass
    return {"type": "function", "function": {"name": name}}
