"""Tools, the tool choice, and answers that follow a JSON schema.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html,
…/API_runtime_ToolChoice.html, …/userguide/structured-output.html, and for system tools
https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-tools.html
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.bedrock.parts import cache_point
from tidegate.providers.bedrock.request_builder import TOOL_NAME_RULES, BedrockRequestBuilder
from tidegate.providers.bedrock.schemas import restrict_schema

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_CHOICE_ANY: JsonObject = {"any": {}}
_CHOICE_AUTO: JsonObject = {"auto": {}}
_SYSTEM_TOOL_PREFIX = "nova_"
"""Prefix of the names of tools that Bedrock runs itself."""


def write(builder: BedrockRequestBuilder) -> None:
    """Write `toolConfig` and `outputConfig`. The messages and the thinking must be written before."""
    listed, choice, parallel = map(builder.take, ("tools", "tool_choice", "parallel_tool_calls"))
    tools: list[Json] = []
    for i, tool in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(tool, dict):
            tools += _translate_tool(builder, tool, f"tools[{i}]")
    _add_search(builder, builder.take("web_search_options"), "web_search_options", tools)
    if choice == "none":
        tools = []
    tool_choice: JsonObject | None = _tool_choice(builder, choice, tools)
    answer_tool = _write_response_format(builder, tools)
    if answer_tool is not None:
        tool_choice = _CHOICE_ANY if tools else {"tool": {"name": builder.answer_tool}}
        tools.append(answer_tool)
    if parallel is False and tools:
        if builder.capabilities.is_claude:
            builder.model_fields["tool_choice"] = {"disable_parallel_tool_use": True}
            tool_choice = tool_choice or _CHOICE_AUTO
        else:
            builder.report_ignored("parallel_tool_calls")
    if not tools:  # Converse refuses turns with calls if there are no tools
        tools = [{"toolSpec": _tool_spec(name, "", _NO_PARAMETERS)} for name in dict.fromkeys(builder.called_tools)]
    if tools:
        config: JsonObject = {"tools": tools}
        if tool_choice:
            config["toolChoice"] = tool_choice
        builder.body["toolConfig"] = config


def _translate_tool(builder: BedrockRequestBuilder, tool: JsonObject, path: str) -> list[Json]:
    match tool:
        case {"type": "function", "function": {"name": str(name), **function_fields}}:
            schema, description = function_fields.get("parameters"), function_fields.get("description")
            spec = _tool_spec(
                builder.tool_names.provider_name(name),
                description if isinstance(description, str) else "",
                {"type": "object", **schema} if isinstance(schema, dict) and schema else _NO_PARAMETERS,
            )
            if function_fields.get("strict"):
                if builder.capabilities.structured_output and _can_be_strict(builder, schema):
                    spec["strict"] = True
                else:
                    builder.report_ignored(f"{path}.function.strict")
            return [{"toolSpec": spec}, *cache_point(builder, tool, path)]
        case {"type": "web_search", **options}:
            search_tools: list[Json] = []
            nested = options.get("web_search")
            _add_search(builder, nested if isinstance(nested, dict) else options, path, search_tools)
            return search_tools
        case {"type": str(tool_type)} if tool_type.startswith(_SYSTEM_TOOL_PREFIX):
            return [{"systemTool": {"name": tool_type}}]
        case _:
            raise InvalidRequest(f"Bedrock does not support tools of type {tool.get('type')!r}.", param=f"{path}.type")


def _can_be_strict(builder: BedrockRequestBuilder, schema: Json) -> bool:
    """True if Bedrock accepts the schema as it is: it refuses open objects and constraints on numbers and lists."""
    return isinstance(schema, dict) and restrict_schema(schema)[0] == schema and builder.schemas.admit_tool(schema)


def _tool_spec(name: str, description: str, schema: JsonObject) -> JsonObject:
    spec: JsonObject = {"name": name, "inputSchema": {"json": schema}}
    if description.strip():
        spec["description"] = description
    return spec


def _add_search(builder: BedrockRequestBuilder, options: Json, path: str, tools: list[Json]) -> None:
    if not isinstance(options, dict):
        return
    if builder.capabilities.search_tool is None:
        builder.report_ignored(path)
        return
    search: JsonObject = {"systemTool": {"name": builder.capabilities.search_tool}}
    if search not in tools:
        tools.append(search)
    for name, value in options.items():
        if value is not None:
            builder.report_ignored(f"{path}.{name}")


def _tool_choice(builder: BedrockRequestBuilder, choice: Json, tools: list[Json]) -> JsonObject | None:
    """Return Converse's `toolChoice`, None if the model decides. An unsupported choice is reported."""
    if choice in (None, "auto", "none"):
        return None
    forced_choices = () if builder.thinking_enabled or not tools else builder.capabilities.tool_choices
    match choice:
        case "required" if "any" in forced_choices:
            return _CHOICE_ANY
        case {"function": {"name": str(name)}}:
            provider_name = builder.tool_names.provider_name(name)
            chosen_tools = [tool for tool in tools if _tool_name(tool) == provider_name]
            if "tool" in forced_choices:
                return {"tool": {"name": provider_name}}
            if "any" in forced_choices and chosen_tools:
                tools[:] = chosen_tools
                return _CHOICE_ANY
        case _:
            pass
    builder.report_ignored("tool_choice")
    return None


def _tool_name(tool: Json) -> Json:
    match tool:
        case {"toolSpec": {"name": name}}:
            return name
        case _:
            return None


def _write_response_format(builder: BedrockRequestBuilder, tools: list[Json]) -> JsonObject | None:
    """Write `outputConfig` if the model enforces schemas; else return the answer tool, whose input is the answer."""
    match builder.take("response_format"), builder.take("structured_outputs"):
        case None | {"type": "text"}, None | bool():
            return None
        case {"type": "json_schema", "json_schema": {"name": str(name), **schema_fields}}, _:
            path = "response_format"
        case None, {"json": dict(schema), **other_fields}:
            name, schema_fields, path = "response", {"schema": schema}, "structured_outputs"
            builder.ignored.extend(f"structured_outputs.{field_name}" for field_name in other_fields)
        case None, _:
            builder.report_ignored("structured_outputs")
            return None
        case _:
            builder.report_ignored("response_format")
            return None
    raw_schema, description = schema_fields.get("schema"), schema_fields.get("description")
    schema: JsonObject = raw_schema if isinstance(raw_schema, dict) and raw_schema else {"type": "object"}
    description = description if isinstance(description, str) else ""
    if builder.capabilities.structured_output and builder.schemas.admit_schema(restrict_schema(schema)[0]):
        text_format = _text_format(builder, TOOL_NAME_RULES.sanitise(name), description, schema, path)
        builder.body["outputConfig"] = {"textFormat": text_format}
        return None
    if builder.thinking_enabled or ("any" if tools else "tool") not in builder.capabilities.tool_choices:
        builder.report_ignored(path)
        return None
    tool_name = builder.answer_tool = builder.tool_names.reserve_name(name)
    return {"toolSpec": _tool_spec(tool_name, description or "Give the answer.", {"type": "object", **schema})}


def _text_format(
    builder: BedrockRequestBuilder, name: str, description: str, schema: JsonObject, path: str
) -> JsonObject:
    restricted, is_weaker = restrict_schema(schema)
    if is_weaker:
        builder.report_ignored(f"{path}.json_schema.schema" if path == "response_format" else f"{path}.json")
    json_schema: JsonObject = {"schema": encode(restricted).decode(), "name": name}
    if description.strip():
        json_schema["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": json_schema}}
