"""Tools, the choice among them, and answers to a JSON schema.

Sources, read in 2026-11: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html,
…/API_runtime_ToolChoice.html, …/userguide/structured-output.html, and for system tools
https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-tools.html
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.bedrock.parts import cache_point
from tidegate.providers.bedrock.request_builder import NAMES, Draft
from tidegate.providers.bedrock.schemas import tamed

_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_ANY: JsonObject = {"any": {}}
_AUTO: JsonObject = {"auto": {}}
_SYSTEM_TOOL = "nova_"
"""How the names of the tools begin that Bedrock runs itself."""


def write(draft: Draft) -> None:
    """Write `toolConfig` and `outputConfig`; the turns and the thinking are there already."""
    listed, choice, parallel = draft.take("tools"), draft.take("tool_choice"), draft.take("parallel_tool_calls")
    tools: list[Json] = []
    for i, tool in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(tool, dict):
            tools += _tool(draft, tool, f"tools[{i}]")
    _add_search(draft, draft.take("web_search_options"), "web_search_options", tools)
    if choice == "none":
        tools = []
    forced: JsonObject | None = _choice(draft, choice, tools)
    answer = _structure(draft, tools)
    if answer is not None:
        forced = _ANY if tools else {"tool": {"name": draft.answer_tool}}
        tools.append(answer)
    if parallel is False and tools:
        if draft.family.claude:
            draft.extra["tool_choice"] = {"disable_parallel_tool_use": True}
            forced = forced or _AUTO
        else:
            draft.report("parallel_tool_calls")
    if not tools:  # turns with calls are refused without a tool, so they get the ones that they name
        tools = [{"toolSpec": _spec(name, "", _NO_PARAMETERS)} for name in dict.fromkeys(draft.used_tools)]
    if tools:
        config: JsonObject = {"tools": tools}
        if forced:
            config["toolChoice"] = forced
        draft.body["toolConfig"] = config


def _tool(draft: Draft, tool: JsonObject, path: str) -> list[Json]:
    match tool:
        case {"type": "function", "function": {"name": str(name), **rest}}:
            schema, description = rest.get("parameters"), rest.get("description")
            spec = _spec(
                draft.names.spell(name),
                description if isinstance(description, str) else "",
                {"type": "object", **schema} if isinstance(schema, dict) and schema else _NO_PARAMETERS,
            )
            if rest.get("strict"):
                if draft.family.structured:
                    spec["strict"] = True
                else:
                    draft.report(f"{path}.function.strict")
            return [{"toolSpec": spec}, *cache_point(draft, tool, path)]
        case {"type": "web_search", **options}:
            found: list[Json] = []
            inner = options.get("web_search")
            _add_search(draft, inner if isinstance(inner, dict) else options, path, found)
            return found
        case {"type": str(kind)} if kind.startswith(_SYSTEM_TOOL):
            return [{"systemTool": {"name": kind}}]
        case _:
            raise InvalidRequest(f"Bedrock has no tools of type {tool.get('type')!r}.", param=f"{path}.type")


def _spec(name: str, description: str, schema: JsonObject) -> JsonObject:
    spec: JsonObject = {"name": name, "inputSchema": {"json": schema}}
    if description.strip():
        spec["description"] = description
    return spec


def _add_search(draft: Draft, options: Json, path: str, tools: list[Json]) -> None:
    if not isinstance(options, dict):
        return
    if draft.family.search is None:
        draft.report(path)
        return
    search: JsonObject = {"systemTool": {"name": draft.family.search}}
    if search not in tools:
        tools.append(search)
    for name, value in options.items():
        if value is not None:
            draft.report(f"{path}.{name}")


def _choice(draft: Draft, choice: Json, tools: list[Json]) -> JsonObject | None:
    """How a call is forced, None where the model decides. What cannot be forced is reported."""
    if choice in (None, "auto", "none"):
        return None
    ways = () if draft.thinks or not tools else draft.family.tool_choices
    match choice:
        case "required" if "any" in ways:
            return _ANY
        case {"function": {"name": str(name)}}:
            spelt = draft.names.spell(name)
            only = [tool for tool in tools if _name(tool) == spelt]
            if "tool" in ways:
                return {"tool": {"name": spelt}}
            if "any" in ways and only:
                tools[:] = only
                return _ANY
        case _:
            pass
    draft.report("tool_choice")
    return None


def _name(tool: Json) -> Json:
    match tool:
        case {"toolSpec": {"name": name}}:
            return name
        case _:
            return None


def _structure(draft: Draft, tools: list[Json]) -> JsonObject | None:
    """Ask for an answer to a schema: by `outputConfig`, or else by a tool, which is given back, whose input it is."""
    match draft.take("response_format"), draft.take("structured_outputs"):
        case None | {"type": "text"}, None | bool():
            return None
        case {"type": "json_schema", "json_schema": {"name": str(name), **rest}}, _:
            path = "response_format"
        case None, {"json": dict(schema), **others}:
            name, rest, path = "response", {"schema": schema}, "structured_outputs"
            draft.ignored.extend(f"structured_outputs.{other}" for other in others)
        case None, _:
            draft.report("structured_outputs")
            return None
        case _:
            draft.report("response_format")
            return None
    given, description = rest.get("schema"), rest.get("description")
    schema: JsonObject = given if isinstance(given, dict) and given else {"type": "object"}
    description = description if isinstance(description, str) else ""
    if draft.family.structured:
        draft.body["outputConfig"] = {"textFormat": _format(draft, NAMES.fit(name), description, schema, path)}
        return None
    if draft.thinks or ("any" if tools else "tool") not in draft.family.tool_choices:
        draft.report(path)
        return None
    answer = draft.answer_tool = draft.names.free(name)
    return {"toolSpec": _spec(answer, description or "Give the answer.", {"type": "object", **schema})}


def _format(draft: Draft, name: str, description: str, schema: JsonObject, path: str) -> JsonObject:
    held, is_less = tamed(schema)
    if is_less:
        draft.report(f"{path}.json_schema.schema" if path == "response_format" else f"{path}.json")
    wanted: JsonObject = {"schema": encode(held).decode(), "name": name}
    if description.strip():
        wanted["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": wanted}}
