"""Tools, the choice among them, and answers to a JSON schema.

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
"""How the names of the tools begin that Bedrock runs itself."""


def write(draft: BedrockRequestBuilder) -> None:
    """Write `toolConfig` and `outputConfig`; the turns and the thinking are there already."""
    caller_tools, choice, parallel = draft.take("tools"), draft.take("tool_choice"), draft.take("parallel_tool_calls")
    tools: list[Json] = []
    for i, tool in enumerate(caller_tools if isinstance(caller_tools, list) else ()):
        if isinstance(tool, dict):
            tools += _translate_tool(draft, tool, f"tools[{i}]")
    _add_search(draft, draft.take("web_search_options"), "web_search_options", tools)
    if choice == "none":
        tools = []
    tool_choice: JsonObject | None = _tool_choice(draft, choice, tools)
    answer_tool = _write_response_format(draft, tools)
    if answer_tool is not None:
        tool_choice = _CHOICE_ANY if tools else {"tool": {"name": draft.answer_tool}}
        tools.append(answer_tool)
    if parallel is False and tools:
        if draft.capabilities.is_claude:
            draft.model_fields["tool_choice"] = {"disable_parallel_tool_use": True}
            tool_choice = tool_choice or _CHOICE_AUTO
        else:
            draft.report_ignored("parallel_tool_calls")
    if not tools:  # turns with calls are refused without a tool, so they get the ones that they name
        tools = [{"toolSpec": _tool_spec(name, "", _NO_PARAMETERS)} for name in dict.fromkeys(draft.called_tools)]
    if tools:
        config: JsonObject = {"tools": tools}
        if tool_choice:
            config["toolChoice"] = tool_choice
        draft.body["toolConfig"] = config


def _translate_tool(draft: BedrockRequestBuilder, tool: JsonObject, path: str) -> list[Json]:
    match tool:
        case {"type": "function", "function": {"name": str(name), **function_fields}}:
            schema, description = function_fields.get("parameters"), function_fields.get("description")
            spec = _tool_spec(
                draft.tool_names.provider_name(name),
                description if isinstance(description, str) else "",
                {"type": "object", **schema} if isinstance(schema, dict) and schema else _NO_PARAMETERS,
            )
            if function_fields.get("strict"):
                if draft.capabilities.structured:
                    spec["strict"] = True
                else:
                    draft.report_ignored(f"{path}.function.strict")
            return [{"toolSpec": spec}, *cache_point(draft, tool, path)]
        case {"type": "web_search", **options}:
            search_tools: list[Json] = []
            nested_options = options.get("web_search")
            _add_search(draft, nested_options if isinstance(nested_options, dict) else options, path, search_tools)
            return search_tools
        case {"type": str(tool_type)} if tool_type.startswith(_SYSTEM_TOOL_PREFIX):
            return [{"systemTool": {"name": tool_type}}]
        case _:
            raise InvalidRequest(f"Bedrock has no tools of type {tool.get('type')!r}.", param=f"{path}.type")


def _tool_spec(name: str, description: str, schema: JsonObject) -> JsonObject:
    spec: JsonObject = {"name": name, "inputSchema": {"json": schema}}
    if description.strip():
        spec["description"] = description
    return spec


def _add_search(draft: BedrockRequestBuilder, options: Json, path: str, tools: list[Json]) -> None:
    if not isinstance(options, dict):
        return
    if draft.capabilities.search is None:
        draft.report_ignored(path)
        return
    search: JsonObject = {"systemTool": {"name": draft.capabilities.search}}
    if search not in tools:
        tools.append(search)
    for name, value in options.items():
        if value is not None:
            draft.report_ignored(f"{path}.{name}")


def _tool_choice(draft: BedrockRequestBuilder, choice: Json, tools: list[Json]) -> JsonObject | None:
    """How a call is forced, None where the model decides. What cannot be forced is reported."""
    if choice in (None, "auto", "none"):
        return None
    forced_choices = () if draft.thinking_enabled or not tools else draft.capabilities.tool_choices
    match choice:
        case "required" if "any" in forced_choices:
            return _CHOICE_ANY
        case {"function": {"name": str(name)}}:
            provider_name = draft.tool_names.provider_name(name)
            chosen_tools = [tool for tool in tools if _tool_name(tool) == provider_name]
            if "tool" in forced_choices:
                return {"tool": {"name": provider_name}}
            if "any" in forced_choices and chosen_tools:
                tools[:] = chosen_tools
                return _CHOICE_ANY
        case _:
            pass
    draft.report_ignored("tool_choice")
    return None


def _tool_name(tool: Json) -> Json:
    match tool:
        case {"toolSpec": {"name": name}}:
            return name
        case _:
            return None


def _write_response_format(draft: BedrockRequestBuilder, tools: list[Json]) -> JsonObject | None:
    """Ask for an answer to a schema: by `outputConfig`, or else by a tool, which is given back, whose input it is."""
    match draft.take("response_format"), draft.take("structured_outputs"):
        case None | {"type": "text"}, None | bool():
            return None
        case {"type": "json_schema", "json_schema": {"name": str(name), **schema_fields}}, _:
            path = "response_format"
        case None, {"json": dict(schema), **other_fields}:
            name, schema_fields, path = "response", {"schema": schema}, "structured_outputs"
            draft.ignored.extend(f"structured_outputs.{field_name}" for field_name in other_fields)
        case None, _:
            draft.report_ignored("structured_outputs")
            return None
        case _:
            draft.report_ignored("response_format")
            return None
    raw_schema, description = schema_fields.get("schema"), schema_fields.get("description")
    schema: JsonObject = raw_schema if isinstance(raw_schema, dict) and raw_schema else {"type": "object"}
    description = description if isinstance(description, str) else ""
    if draft.capabilities.structured:
        draft.body["outputConfig"] = {
            "textFormat": _text_format(draft, TOOL_NAME_RULES.sanitise(name), description, schema, path)
        }
        return None
    if draft.thinking_enabled or ("any" if tools else "tool") not in draft.capabilities.tool_choices:
        draft.report_ignored(path)
        return None
    tool_name = draft.answer_tool = draft.tool_names.reserve_name(name)
    return {"toolSpec": _tool_spec(tool_name, description or "Give the answer.", {"type": "object", **schema})}


def _text_format(
    draft: BedrockRequestBuilder, name: str, description: str, schema: JsonObject, path: str
) -> JsonObject:
    restricted, is_weaker = restrict_schema(schema)
    if is_weaker:
        draft.report_ignored(f"{path}.json_schema.schema" if path == "response_format" else f"{path}.json")
    json_schema: JsonObject = {"schema": encode(restricted).decode(), "name": name}
    if description.strip():
        json_schema["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": json_schema}}
