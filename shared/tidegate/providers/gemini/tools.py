"""Functions, the tool choice, and Google's own tools.

Sources: https://ai.google.dev/gemini-api/docs/function-calling, …/docs/google-search, …/docs/tool-combination
(2026-11): search and functions in one request since Gemini 3, on AI Studio with `includeServerSideToolInvocations`;
…/docs/structured-output: functions and JSON in one request since Gemini 3, an error before ("Function calling with a
response mime type: 'application/json' is unsupported").
"""

from tidegate.chat.fields import FunctionDefinition
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import schema
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder

_SEARCH_TYPES = frozenset({"web_search", "web_search_preview"})
_SEARCH_OPTIONS = ("timeRangeFilter", "excludeDomains", "blockingConfidence")
_GOOGLE_TOOLS = {
    "google_search": "googleSearch",
    "google_search_retrieval": "googleSearchRetrieval",
    "google_maps": "googleMaps",
    "url_context": "urlContext",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
    "file_search": "fileSearch",
    "computer_use": "computerUse",
    "enterprise_web_search": "enterpriseWebSearch",
    "retrieval": "retrieval",
}
ANSWER_TOOL = "respond_in_json"
"""Name of the function whose arguments are the answer, unless the caller has a function of that name."""

_ANSWER_DESCRIPTION = "Give the final answer by calling this function: its arguments are the answer."
_GOOGLE_TOOL_NAMES = {**_GOOGLE_TOOLS, **{native: native for native in _GOOGLE_TOOLS.values()}}


def write(builder: GeminiRequestBuilder) -> None:
    """Write `tools` and `toolConfig`. Raises `InvalidRequest` for tools that the model cannot combine."""
    caller_tools, options = builder.take("tools"), builder.take("web_search_options")
    functions: list[Json] = []
    google_tools: dict[str, JsonObject] = {}
    if isinstance(options, dict):
        _add_search(builder, google_tools, "web_search_options", options)
    for i, tool in enumerate(builder.call.request.fields.tools or ()):
        raw_tool = caller_tools[i] if isinstance(caller_tools, list) else None
        if tool.function is not None and tool.type == "function":
            functions.append(_declare_function(builder, tool.function, f"tools[{i}].function"))
        elif tool.type in _SEARCH_TYPES:
            _add_search(builder, google_tools, f"tools[{i}]", _tool_options(raw_tool, tool.type))
        elif tool.type in _GOOGLE_TOOL_NAMES:
            google_tools.setdefault(_GOOGLE_TOOL_NAMES[tool.type], _tool_options(raw_tool, tool.type))
        else:
            builder.ignored.append(f"tools[{i}]")
    if _uses_legacy_functions(builder):
        builder.take("functions")
        for i, function in enumerate(builder.call.request.fields.functions or ()):
            functions.append(_declare_function(builder, function, f"functions[{i}]"))
    _check_combination(builder, bool(functions), google_tools)
    tools: list[Json] = [{name: settings} for name, settings in google_tools.items()]
    if functions:
        tools.append({"functionDeclarations": functions})
    if tools:
        builder.body["tools"] = tools
    _write_tool_choice(builder, functions)
    _write_strict(builder)
    parallel = builder.take("parallel_tool_calls")
    if functions:
        builder.leave_out("parallel_tool_calls", parallel)


def write_answer_tool(
    builder: GeminiRequestBuilder, answer_schema: JsonObject | None, description: str | None, path: str
) -> bool:
    """Write a function whose arguments are the answer; return False if the model can answer in JSON without it.

    Models before Gemini 3 refuse functions together with JSON output, so the answer is one more function, and a call
    is forced. With tool choice "none" the functions are left out; if a call is forced already, there is no answer.
    """
    match builder.body.get("tools"):
        case [*_, {"functionDeclarations": list(functions)}] if not builder.capabilities.is_gemini_3_plus:
            pass
        case _:
            return False
    match builder.body.get("toolConfig"):
        case {"functionCallingConfig": {"mode": "NONE"}}:
            del builder.body["tools"], builder.body["toolConfig"]
            return False
        case {"functionCallingConfig": {"mode": "ANY"}}:
            return True
        case {"functionCallingConfig": {"allowedFunctionNames": list(allowed_names)}}:
            pass
        case _:
            allowed_names = None
    if not answer_schema:
        builder.ignored.append(path)
        return True
    builder.answer_tool = builder.tool_names.reserve_name(ANSWER_TOOL)
    description = description or _ANSWER_DESCRIPTION
    functions.append(_declaration(builder, builder.answer_tool, description, answer_schema, path))
    calling_config: JsonObject = {"mode": "ANY"}
    if allowed_names is not None:
        calling_config["allowedFunctionNames"] = [*allowed_names, builder.answer_tool]
    builder.set_tool_config(functionCallingConfig=calling_config)
    return True


def _uses_legacy_functions(builder: GeminiRequestBuilder) -> bool:
    """The request has the deprecated `functions`, and no `tools`, which win over them."""
    fields = builder.call.request.fields
    return bool(fields.functions) and not fields.tools


def _declare_function(builder: GeminiRequestBuilder, function: FunctionDefinition, path: str) -> JsonObject:
    if function.strict:
        builder.strict_paths.append(f"{path}.strict")
    parameters: JsonObject = function.parameters or {}  # pyright: ignore[reportAssignmentType]  # an object of JSON
    name = builder.tool_names.provider_name(function.name)
    return _declaration(builder, name, function.description, parameters, f"{path}.parameters")


def _declaration(
    builder: GeminiRequestBuilder, name: str, description: str | None, parameters: JsonObject, path: str
) -> JsonObject:
    declaration: JsonObject = {"name": name}
    if description:
        declaration["description"] = description
    if builder.capabilities.takes_json_schema:
        if parameters:  # which "must describe an object" (https://ai.google.dev/api/caching#FunctionDeclaration)
            declaration["parametersJsonSchema"] = (
                parameters if parameters.get("type") else {**parameters, "type": "object"}
            )
    elif parameters.get("properties"):
        declaration["parameters"] = schema.convert(parameters, path, builder.schema_parts)
    return declaration


def _add_search(builder: GeminiRequestBuilder, tools: dict[str, JsonObject], path: str, options: JsonObject) -> None:
    """Add Google's search with its own options. Other options are reported."""
    search = tools.setdefault("googleSearch", {})
    for name, value in options.items():
        if name in _SEARCH_OPTIONS:
            search[name] = value
        elif value is not None:
            builder.ignored.append(f"{path}.{name}")


def _tool_options(raw_tool: Json, tool_type: str) -> JsonObject:
    """Return the settings of a tool: the object under its own name, or else its other fields."""
    if not isinstance(raw_tool, dict):
        return {}
    for name in (tool_type, _GOOGLE_TOOL_NAMES.get(tool_type, tool_type)):
        nested_options = raw_tool.get(name)
        if isinstance(nested_options, dict):
            return nested_options
    return {name: value for name, value in raw_tool.items() if name not in ("type", tool_type) and value is not None}


def _check_combination(builder: GeminiRequestBuilder, has_functions: bool, google_tools: dict[str, JsonObject]) -> None:
    if not has_functions or not google_tools:
        return
    if not builder.capabilities.is_gemini_3_plus:
        google_tool = next(iter(google_tools))
        raise InvalidRequest(
            f"{builder.capabilities.name} cannot use {google_tool} and functions in one request. Send one of them, "
            "or use Gemini 3 or newer.",
            param="web_search_options" if builder.call.request.fields.web_search_options is not None else "tools",
        )
    if builder.host == "gemini":
        builder.set_tool_config(includeServerSideToolInvocations=True)


def _write_tool_choice(builder: GeminiRequestBuilder, functions: list[Json]) -> None:
    field_name = "function_call" if _uses_legacy_functions(builder) else "tool_choice"
    choice = builder.take(field_name)
    if not functions:
        if choice not in (None, "none", "auto"):
            builder.ignored.append(field_name)
        return
    match choice:
        case None | "auto":
            return
        case "none":
            calling_config: JsonObject = {"mode": "NONE"}
        case "required":
            calling_config = {"mode": "ANY"}
        case {"type": "function", "function": {"name": str(caller_name)}} | {"name": str(caller_name)}:
            calling_config = {"mode": "ANY", "allowedFunctionNames": [builder.tool_names.provider_name(caller_name)]}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            # VALIDATED: text, or a call of an allowed function
            mode = "ANY" if mode == "required" else "VALIDATED"
            calling_config = {"mode": mode, "allowedFunctionNames": _allowed_names(builder, tools)}
        case _:
            builder.ignored.append(field_name)
            return
    builder.set_tool_config(functionCallingConfig=calling_config)


def _write_strict(builder: GeminiRequestBuilder) -> None:
    """Make calls follow their schemas: forced calls always do, other calls in the mode VALIDATED, since Gemini 2.5."""
    match builder.body.get("toolConfig"):
        case {"functionCallingConfig": _}:
            pass
        case _ if builder.strict_paths and builder.capabilities.generation >= (2, 5):
            builder.set_tool_config(functionCallingConfig={"mode": "VALIDATED"})
        case _:
            builder.ignored.extend(builder.strict_paths)


def _allowed_names(builder: GeminiRequestBuilder, tools: list[Json]) -> list[Json]:
    names: list[Json] = []
    for tool in tools:
        match tool:
            case {"function": {"name": str(name)}} | {"name": str(name)}:
                names.append(builder.tool_names.provider_name(name))
            case _:
                pass
    return names
