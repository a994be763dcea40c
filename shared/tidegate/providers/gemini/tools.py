"""Functions, the choice among them, and Google's own tools.

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
_ANSWER_DESCRIPTION = "Give the final answer by calling this function: its arguments are the answer."
_GOOGLE_TOOL_NAMES = {**_GOOGLE_TOOLS, **{native: native for native in _GOOGLE_TOOLS.values()}}


def write(draft: GeminiRequestBuilder) -> None:
    caller_tools, options = draft.take("tools"), draft.take("web_search_options")
    functions: list[Json] = []
    google_tools: dict[str, JsonObject] = {}
    if isinstance(options, dict):
        _add_search(draft, google_tools, "web_search_options", options)
    for i, tool in enumerate(draft.call.request.fields.tools or ()):
        raw_tool = caller_tools[i] if isinstance(caller_tools, list) else None
        if tool.function is not None and tool.type == "function":
            functions.append(_declare_function(draft, tool.function, f"tools[{i}].function"))
        elif tool.type in _SEARCH_TYPES:
            _add_search(draft, google_tools, f"tools[{i}]", _tool_options(raw_tool, tool.type))
        elif tool.type in _GOOGLE_TOOL_NAMES:
            google_tools.setdefault(_GOOGLE_TOOL_NAMES[tool.type], _tool_options(raw_tool, tool.type))
        else:
            draft.ignored.append(f"tools[{i}]")
    if _uses_legacy_functions(draft):
        draft.take("functions")
        for i, function in enumerate(draft.call.request.fields.functions or ()):
            functions.append(_declare_function(draft, function, f"functions[{i}]"))
    _check_combination(draft, bool(functions), google_tools)
    tools: list[Json] = [{name: settings} for name, settings in google_tools.items()]
    if functions:
        tools.append({"functionDeclarations": functions})
    if tools:
        draft.body["tools"] = tools
    _write_tool_choice(draft, functions)
    _write_strict(draft)
    parallel = draft.take("parallel_tool_calls")
    if functions:
        draft.leave_out("parallel_tool_calls", parallel)


def write_answer_tool(
    draft: GeminiRequestBuilder, answer_schema: JsonObject | None, description: str | None, path: str
) -> bool:
    """Whether the functions take care of an answer in JSON: before Gemini 3, the two are refused together.

    An answer to a schema is then one more function, one of which must be called. Where none may be called they are
    left out; where one must be called there is no answer.
    """
    match draft.body.get("tools"):
        case [*_, {"functionDeclarations": list(functions)}] if not draft.capabilities.is_gemini_3_or_newer:
            pass
        case _:
            return False
    match draft.body.get("toolConfig"):
        case {"functionCallingConfig": {"mode": "NONE"}}:
            del draft.body["tools"], draft.body["toolConfig"]
            return False
        case {"functionCallingConfig": {"mode": "ANY"}}:
            return True
        case {"functionCallingConfig": {"allowedFunctionNames": list(allowed_names)}}:
            pass
        case _:
            allowed_names = None
    if not answer_schema:
        draft.ignored.append(path)
        return True
    draft.answer_tool = draft.tool_names.reserve_name(ANSWER_TOOL)
    functions.append(_declaration(draft, draft.answer_tool, description or _ANSWER_DESCRIPTION, answer_schema, path))
    calling_config: JsonObject = {"mode": "ANY"}
    if allowed_names is not None:
        calling_config["allowedFunctionNames"] = [*allowed_names, draft.answer_tool]
    draft.set_tool_config(functionCallingConfig=calling_config)
    return True


def _uses_legacy_functions(draft: GeminiRequestBuilder) -> bool:
    """Beside tools, functions are left out."""
    fields = draft.call.request.fields
    return bool(fields.functions) and not fields.tools


def _declare_function(draft: GeminiRequestBuilder, function: FunctionDefinition, path: str) -> JsonObject:
    if function.strict:
        draft.strict_paths.append(f"{path}.strict")
    parameters: JsonObject = function.parameters or {}  # pyright: ignore[reportAssignmentType]  # an object of JSON
    name = draft.tool_names.provider_name(function.name)
    return _declaration(draft, name, function.description, parameters, f"{path}.parameters")


def _declaration(
    draft: GeminiRequestBuilder, name: str, description: str | None, parameters: JsonObject, path: str
) -> JsonObject:
    declaration: JsonObject = {"name": name}
    if description:
        declaration["description"] = description
    if draft.capabilities.takes_json_schema:
        if parameters:
            declaration["parametersJsonSchema"] = parameters
    elif parameters.get("properties"):
        declaration["parameters"] = schema.convert(parameters, path)
    return declaration


def _add_search(
    draft: GeminiRequestBuilder, google_tools: dict[str, JsonObject], path: str, options: JsonObject
) -> None:
    """One wish to search, with those of its options that only Google's search has."""
    supported = {
        name: options[name] for name in ("timeRangeFilter", "excludeDomains", "blockingConfidence") if name in options
    }
    draft.ignored.extend(
        f"{path}.{name}" for name, value in options.items() if name not in supported and value is not None
    )
    google_tools.setdefault("googleSearch", {}).update(supported)


def _tool_options(raw_tool: Json, tool_type: str) -> JsonObject:
    """The settings of a tool: those under its own name, or else its other fields."""
    if not isinstance(raw_tool, dict):
        return {}
    for name in (tool_type, _GOOGLE_TOOL_NAMES.get(tool_type, tool_type)):
        nested_options = raw_tool.get(name)
        if isinstance(nested_options, dict):
            return nested_options
    return {name: value for name, value in raw_tool.items() if name not in ("type", tool_type) and value is not None}


def _check_combination(draft: GeminiRequestBuilder, has_functions: bool, google_tools: dict[str, JsonObject]) -> None:
    if not has_functions or not google_tools:
        return
    if not draft.capabilities.is_gemini_3_or_newer:
        google_tool = next(iter(google_tools))
        raise InvalidRequest(
            f"{draft.capabilities.name} cannot use {google_tool} and functions in one request: send one of them, or "
            "use a model since Gemini 3.",
            param="web_search_options" if draft.call.request.fields.web_search_options is not None else "tools",
        )
    if draft.host == "gemini":
        draft.set_tool_config(includeServerSideToolInvocations=True)


def _write_tool_choice(draft: GeminiRequestBuilder, functions: list[Json]) -> None:
    field_name = "function_call" if _uses_legacy_functions(draft) else "tool_choice"
    choice = draft.take(field_name)
    if not functions:
        if choice not in (None, "none", "auto"):
            draft.ignored.append(field_name)
        return
    match choice:
        case None | "auto":
            return
        case "none":
            calling_config: JsonObject = {"mode": "NONE"}
        case "required":
            calling_config = {"mode": "ANY"}
        case {"type": "function", "function": {"name": str(caller_name)}} | {"name": str(caller_name)}:
            calling_config = {"mode": "ANY", "allowedFunctionNames": [draft.tool_names.provider_name(caller_name)]}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            # VALIDATED: a text, or a call of one of these
            calling_config = {
                "mode": "ANY" if mode == "required" else "VALIDATED",
                "allowedFunctionNames": _allowed_names(draft, tools),
            }
        case _:
            draft.ignored.append(field_name)
            return
    draft.set_tool_config(functionCallingConfig=calling_config)


def _write_strict(draft: GeminiRequestBuilder) -> None:
    """Calls that must come hold to their schemas; those that may come do in the mode VALIDATED, since Gemini 2.5."""
    match draft.body.get("toolConfig"):
        case {"functionCallingConfig": _}:
            pass
        case _ if draft.strict_paths and draft.capabilities.generation >= (2, 5):
            draft.set_tool_config(functionCallingConfig={"mode": "VALIDATED"})
        case _:
            draft.ignored.extend(draft.strict_paths)


def _allowed_names(draft: GeminiRequestBuilder, tools: list[Json]) -> list[Json]:
    names: list[Json] = []
    for tool in tools:
        match tool:
            case {"function": {"name": str(name)}} | {"name": str(name)}:
                names.append(draft.tool_names.provider_name(name))
            case _:
                pass
    return names
