"""Translates tools and the tool choice for Cohere.

Sources: https://docs.cohere.com/reference/chat (`tools`, `strict_tools`, `tool_choice`) and
https://docs.cohere.com/docs/structured-outputs (strict tools need a required parameter; `response_format` is not
supported when tools are provided), read in 2026-11.
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

ANSWER_TOOL = "respond_in_json"
_ANSWER_DESCRIPTION = "Give the final answer by calling this tool: its arguments are the answer."
_MAX_STRICT_FIELDS = 200
"""Source: https://docs.cohere.com/docs/tool-use-parameter-types (2026-11): over all tools of a call."""

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


def write(builder: CohereRequestBuilder) -> None:
    """Write the tools and the tool choice. What Cohere cannot honour is reported as ignored."""
    tools = builder.take("tools")
    functions: dict[str, JsonObject] = {}
    strict_paths: list[str] = []
    for i, tool in enumerate(tools if isinstance(tools, list) else []):
        match tool:
            case {"type": "function", "function": {"name": str(name), **fields}}:
                functions[name] = _function(builder, name, fields)
                if fields.get("strict"):
                    strict_paths.append(f"tools[{i}].function.strict")
            case _:
                builder.report_ignored(f"tools[{i}]")
    parallel = builder.take("parallel_tool_calls")
    if parallel is False and functions:
        builder.report_ignored("parallel_tool_calls")
    sent_functions = _choose(builder, builder.take("tool_choice"), functions)
    if sent_functions:
        builder.body["tools"] = [{"type": "function", "function": function} for function in sent_functions]
        _write_strict(builder, strict_paths, list(sent_functions))


def answer_in_json(builder: CohereRequestBuilder, schema: Json, description: Json, path: str) -> bool:
    """Add a tool whose arguments are the JSON answer. Returns False if `response_format` must be used.

    Cohere does not combine `response_format` with tools. With the choice "none", the tools are removed instead; if a
    tool must be called, there is no answer to format.
    """
    tools = builder.body.get("tools")
    if not isinstance(tools, list):
        return False
    match builder.body.get("tool_choice"):
        case "NONE":
            for name in ("tools", "tool_choice", "strict_tools"):
                builder.body.pop(name, None)
            return False
        case "REQUIRED":
            return True
        case _:
            pass
    if not isinstance(schema, dict) or not schema:
        builder.report_ignored(path)
        return True
    name = builder.answer_tool = builder.tool_names.reserve_name(ANSWER_TOOL)
    function: JsonObject = {"name": name, "description": description or _ANSWER_DESCRIPTION, "parameters": schema}
    builder.body["tools"] = [*tools, {"type": "function", "function": function}]
    builder.body["tool_choice"] = "REQUIRED"
    if not _has_required(schema) and builder.body.pop("strict_tools", None):
        for i, tool in enumerate(builder.call.request.fields.tools or ()):
            if tool.function is not None and tool.function.strict:
                builder.report_ignored(f"tools[{i}].function.strict")
    return True


def _function(builder: CohereRequestBuilder, name: str, fields: JsonObject) -> JsonObject:
    function: JsonObject = {"name": builder.tool_names.provider_name(name)}
    if fields.get("description"):
        function["description"] = fields["description"]
    parameters = fields.get("parameters") or _NO_PARAMETERS
    if isinstance(parameters, dict) and not parameters.get("type"):
        parameters = {"type": "object", **parameters}
    function["parameters"] = parameters
    return function


def _choose(builder: CohereRequestBuilder, choice: Json, functions: dict[str, JsonObject]) -> list[JsonObject]:
    """Write the tool choice and return the tools to send: a tool that must be called is sent alone."""
    function_list = list(functions.values())
    match choice:
        case None | "auto":
            pass
        case "none":
            if function_list:
                builder.body["tool_choice"] = "NONE"
        case "required" if function_list:
            builder.body["tool_choice"] = "REQUIRED"
        case {"type": "function", "function": {"name": str(name)}} if name in functions:
            builder.body["tool_choice"] = "REQUIRED"
            return [functions[name]]
        case _:
            builder.report_ignored("tool_choice")
    return function_list


def _write_strict(builder: CohereRequestBuilder, strict_paths: list[str], functions: list[JsonObject]) -> None:
    """Write `strict_tools`, which holds for all tools or for none. The caller's own value is passed on unchanged."""
    if not strict_paths or "strict_tools" in builder.remaining:
        return
    parameters = [function["parameters"] for function in functions]
    fields = sum(map(_count_fields, parameters))
    if len(strict_paths) >= len(functions) and all(map(_has_required, parameters)) and fields <= _MAX_STRICT_FIELDS:
        builder.body["strict_tools"] = True
    else:
        for path in strict_paths:
            builder.report_ignored(path)


def _count_fields(schema: Json) -> int:
    """Return how many properties the schema has, with those of schemas within it."""
    match schema:
        case dict():
            properties = schema.get("properties")
            own = len(properties) if isinstance(properties, dict) else 0
            return own + sum(map(_count_fields, schema.values()))
        case list(items):
            return sum(map(_count_fields, items))
        case _:
            return 0


def _has_required(parameters: Json) -> bool:
    match parameters:
        case {"required": [_, *_]}:
            return True
        case _:
            return False
