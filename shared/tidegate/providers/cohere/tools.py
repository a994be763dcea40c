"""Tools, and the choice among them, in Cohere's words.

Sources: https://docs.cohere.com/reference/chat (`tools`, `strict_tools`, `tool_choice`) and
https://docs.cohere.com/docs/structured-outputs (strict tools need a required parameter; `response_format` is not
supported when tools are provided), read in 2026-11.
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

ANSWER_TOOL = "respond_in_json"
_ABOUT = "Give the final answer by calling this tool: its arguments are the answer."
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}


def write(draft: CohereRequestBuilder) -> None:
    tools = draft.take("tools")
    found: dict[str, JsonObject] = {}
    strict: list[str] = []
    for i, tool in enumerate(tools if isinstance(tools, list) else []):
        match tool:
            case {"type": "function", "function": {"name": str(name), **rest}}:
                found[name] = _function(draft, name, rest)
                if rest.get("strict"):
                    strict.append(f"tools[{i}].function.strict")
            case _:
                draft.report_ignored(f"tools[{i}]")
    parallel = draft.take("parallel_tool_calls")
    if parallel is False and found:
        draft.report_ignored("parallel_tool_calls")
    chosen = _choose(draft, draft.take("tool_choice"), found)
    if chosen:
        draft.body["tools"] = [{"type": "function", "function": function} for function in chosen]
        _write_strict(draft, strict, list(chosen))


def answer_in_json(draft: CohereRequestBuilder, schema: Json, about: Json, path: str) -> bool:
    """Whether the tools take care of an answer in JSON, which Cohere does not combine with them.

    An answer to a schema is then one more tool, one of which must be called. Where none may be called they are left
    out; where one must be called there is no answer.
    """
    tools = draft.body.get("tools")
    if not isinstance(tools, list):
        return False
    match draft.body.get("tool_choice"):
        case "NONE":
            for name in ("tools", "tool_choice", "strict_tools"):
                draft.body.pop(name, None)
            return False
        case "REQUIRED":
            return True
        case _:
            pass
    if not isinstance(schema, dict) or not schema:
        draft.report_ignored(path)
        return True
    draft.answer_tool = draft.tool_names.reserve_name(ANSWER_TOOL)
    function: JsonObject = {"name": draft.answer_tool, "description": about or _ABOUT, "parameters": schema}
    draft.body["tools"] = [*tools, {"type": "function", "function": function}]
    draft.body["tool_choice"] = "REQUIRED"
    if not _has_required(schema) and draft.body.pop("strict_tools", None):
        for i, tool in enumerate(draft.call.request.fields.tools or ()):
            if tool.function is not None and tool.function.strict:
                draft.report_ignored(f"tools[{i}].function.strict")
    return True


def _function(draft: CohereRequestBuilder, name: str, rest: JsonObject) -> JsonObject:
    function: JsonObject = {"name": draft.tool_names.provider_name(name)}
    if rest.get("description"):
        function["description"] = rest["description"]
    function["parameters"] = rest.get("parameters") or _NO_PARAMETERS
    return function


def _choose(draft: CohereRequestBuilder, choice: Json, found: dict[str, JsonObject]) -> list[JsonObject]:
    """The tools to send. One that must be called is the only one to choose from."""
    functions = list(found.values())
    match choice:
        case None | "auto":
            pass
        case "none":
            if functions:
                draft.body["tool_choice"] = "NONE"
        case "required" if functions:
            draft.body["tool_choice"] = "REQUIRED"
        case {"type": "function", "function": {"name": str(name)}} if name in found:
            draft.body["tool_choice"] = "REQUIRED"
            return [found[name]]
        case _:
            draft.report_ignored("tool_choice")
    return functions


def _write_strict(draft: CohereRequestBuilder, strict: list[str], functions: list[JsonObject]) -> None:
    """Cohere is strict with all tools or with none. The caller's own `strict_tools` is sent as it is."""
    if not strict or "strict_tools" in draft.remaining:
        return
    if len(strict) >= len(functions) and all(_has_required(function["parameters"]) for function in functions):
        draft.body["strict_tools"] = True
    else:
        for path in strict:
            draft.report_ignored(path)


def _has_required(parameters: Json) -> bool:
    match parameters:
        case {"required": [_, *_]}:
            return True
        case _:
            return False
