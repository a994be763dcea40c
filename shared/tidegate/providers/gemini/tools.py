"""Functions, the choice among them, and Google's own tools.

Sources: https://ai.google.dev/gemini-api/docs/function-calling, …/docs/google-search, …/docs/tool-combination
(2026-11): search and functions in one request since Gemini 3, on AI Studio with `includeServerSideToolInvocations`;
…/docs/structured-output: functions and JSON in one request since Gemini 3, an error before ("Function calling with a
response mime type: 'application/json' is unsupported").
"""

from tidegate.chat.request import FunctionDefinition
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini import schema
from tidegate.providers.gemini.request_builder import Draft

_SEARCH = frozenset({"web_search", "web_search_preview"})
_OWN = {
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
ANSWER = "respond_in_json"
_ABOUT = "Give the final answer by calling this function: its arguments are the answer."
_GOOGLES = {**_OWN, **{native: native for native in _OWN.values()}}


def write(draft: Draft) -> None:
    listed, options = draft.take("tools"), draft.take("web_search_options")
    functions: list[Json] = []
    own: dict[str, JsonObject] = {}
    if isinstance(options, dict):
        _search(draft, own, "web_search_options", options)
    for i, tool in enumerate(draft.call.request.fields.tools or ()):
        raw = listed[i] if isinstance(listed, list) else None
        if tool.function is not None and tool.type == "function":
            functions.append(_declaration(draft, tool.function, f"tools[{i}].function"))
        elif tool.type in _SEARCH:
            _search(draft, own, f"tools[{i}]", _options(raw, tool.type))
        elif tool.type in _GOOGLES:
            own.setdefault(_GOOGLES[tool.type], _options(raw, tool.type))
        else:
            draft.ignored.append(f"tools[{i}]")
    if _knows_functions_only(draft):
        draft.take("functions")
        for i, function in enumerate(draft.call.request.fields.functions or ()):
            functions.append(_declaration(draft, function, f"functions[{i}]"))
    _check_mix(draft, bool(functions), own)
    tools: list[Json] = [{name: settings} for name, settings in own.items()]
    if functions:
        tools.append({"functionDeclarations": functions})
    if tools:
        draft.body["tools"] = tools
    _write_choice(draft, functions)
    _hold_to_schemas(draft)
    parallel = draft.take("parallel_tool_calls")
    if functions:
        draft.leave_out("parallel_tool_calls", parallel)


def answer_in_json(draft: Draft, wanted: JsonObject | None, about: str | None, path: str) -> bool:
    """Whether the functions take care of an answer in JSON: before Gemini 3, the two are refused together.

    An answer to a schema is then one more function, one of which must be called. Where none may be called they are
    left out; where one must be called there is no answer.
    """
    match draft.body.get("tools"):
        case [*_, {"functionDeclarations": list(functions)}] if not draft.model.since_3:
            pass
        case _:
            return False
    match draft.body.get("toolConfig"):
        case {"functionCallingConfig": {"mode": "NONE"}}:
            del draft.body["tools"], draft.body["toolConfig"]
            return False
        case {"functionCallingConfig": {"mode": "ANY"}}:
            return True
        case {"functionCallingConfig": {"allowedFunctionNames": list(allowed)}}:
            pass
        case _:
            allowed = None
    if not wanted:
        draft.ignored.append(path)
        return True
    draft.answer_tool = draft.names.free(ANSWER)
    functions.append(_declared(draft, draft.answer_tool, about or _ABOUT, wanted, path))
    calling: JsonObject = {"mode": "ANY"}
    if allowed is not None:
        calling["allowedFunctionNames"] = [*allowed, draft.answer_tool]
    draft.set_tool_config(functionCallingConfig=calling)
    return True


def _knows_functions_only(draft: Draft) -> bool:
    """Beside tools, functions are left out."""
    fields = draft.call.request.fields
    return bool(fields.functions) and not fields.tools


def _declaration(draft: Draft, function: FunctionDefinition, path: str) -> JsonObject:
    if function.strict:
        draft.strict.append(f"{path}.strict")
    parameters: JsonObject = function.parameters or {}  # pyright: ignore[reportAssignmentType]  # an object of JSON
    name = draft.names.spell(function.name)
    return _declared(draft, name, function.description, parameters, f"{path}.parameters")


def _declared(draft: Draft, name: str, about: str | None, parameters: JsonObject, path: str) -> JsonObject:
    declared: JsonObject = {"name": name}
    if about:
        declared["description"] = about
    if draft.model.json_schema:
        if parameters:
            declared["parametersJsonSchema"] = parameters
    elif parameters.get("properties"):
        declared["parameters"] = schema.convert(parameters, path)
    return declared


def _search(draft: Draft, own: dict[str, JsonObject], path: str, options: JsonObject) -> None:
    """One wish to search, with those of its options that only Google's search has."""
    kept = {
        name: options[name] for name in ("timeRangeFilter", "excludeDomains", "blockingConfidence") if name in options
    }
    draft.ignored.extend(f"{path}.{name}" for name, value in options.items() if name not in kept and value is not None)
    own.setdefault("googleSearch", {}).update(kept)


def _options(raw: Json, kind: str) -> JsonObject:
    """The settings of a tool: those under its own name, or else its other fields."""
    if not isinstance(raw, dict):
        return {}
    for name in (kind, _GOOGLES.get(kind, kind)):
        inner = raw.get(name)
        if isinstance(inner, dict):
            return inner
    return {name: value for name, value in raw.items() if name not in ("type", kind) and value is not None}


def _check_mix(draft: Draft, has_functions: bool, own: dict[str, JsonObject]) -> None:
    if not has_functions or not own:
        return
    if not draft.model.since_3:
        found = next(iter(own))
        raise InvalidRequest(
            f"{draft.model.name} cannot use {found} and functions in one request: send one of them, or "
            "use a model since Gemini 3.",
            param="web_search_options" if draft.call.request.fields.web_search_options is not None else "tools",
        )
    if draft.host == "gemini":
        draft.set_tool_config(includeServerSideToolInvocations=True)


def _write_choice(draft: Draft, functions: list[Json]) -> None:
    name = "function_call" if _knows_functions_only(draft) else "tool_choice"
    choice = draft.take(name)
    if not functions:
        if choice not in (None, "none", "auto"):
            draft.ignored.append(name)
        return
    match choice:
        case None | "auto":
            return
        case "none":
            calling: JsonObject = {"mode": "NONE"}
        case "required":
            calling = {"mode": "ANY"}
        case {"type": "function", "function": {"name": str(chosen)}} | {"name": str(chosen)}:
            calling = {"mode": "ANY", "allowedFunctionNames": [draft.names.spell(chosen)]}
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}:
            # VALIDATED: a text, or a call of one of these
            calling = {
                "mode": "ANY" if mode == "required" else "VALIDATED",
                "allowedFunctionNames": _allowed(draft, tools),
            }
        case _:
            draft.ignored.append(name)
            return
    draft.set_tool_config(functionCallingConfig=calling)


def _hold_to_schemas(draft: Draft) -> None:
    """Calls that must come hold to their schemas; those that may come do in the mode VALIDATED, since Gemini 2.5."""
    match draft.body.get("toolConfig"):
        case {"functionCallingConfig": _}:
            pass
        case _ if draft.strict and draft.model.generation >= (2, 5):
            draft.set_tool_config(functionCallingConfig={"mode": "VALIDATED"})
        case _:
            draft.ignored.extend(draft.strict)


def _allowed(draft: Draft, tools: list[Json]) -> list[Json]:
    found: list[Json] = []
    for tool in tools:
        match tool:
            case {"function": {"name": str(name)}} | {"name": str(name)}:
                found.append(draft.names.spell(name))
            case _:
                pass
    return found
