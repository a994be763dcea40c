"""Translates the deprecated `functions` into tools, for providers that do not support them.

Source: https://platform.openai.com/docs/api-reference/chat/create (`functions` and `function_call`, deprecated).
`caller_terms.py` translates the replies back.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.lazy import late_pattern

_CALLER_FIELDS = {"tools": "functions", "tool_choice": "function_call", "parallel_tool_calls": None}
"""The top-level fields that `translate_to_tools` writes, and the caller's fields that they come from."""

_SEPARATOR = late_pattern(r"[.\[]")
_TOOL_CALL_PATH = late_pattern(r"messages\[(\d+)\]\.tool_calls\[0\]\.function")


def uses_functions(body: JsonObject) -> bool:
    """True if the body uses `functions` anywhere, also in earlier messages."""
    if body.get("functions") or body.get("function_call"):
        return True
    messages = body.get("messages")
    return isinstance(messages, list) and any(map(_is_legacy, messages))


def expects_function_call(body: JsonObject) -> bool:
    """True if replies must use `function_call`; a caller that sends `tools` expects `tool_calls`."""
    return not body.get("tools") and uses_functions(body)


def caller_path(body: JsonObject, path: str) -> str | None:
    """Return the path in terms of the caller's `body`, None for a field that only `translate_to_tools` wrote."""
    top = _SEPARATOR.split(path, maxsplit=1)[0]
    if top == "messages":
        return _TOOL_CALL_PATH.sub(lambda match: _function_call_path(body, int(match[1])) or match[0], path, count=1)
    if top in body or top not in _CALLER_FIELDS:
        return path
    name = _CALLER_FIELDS[top]
    return None if name not in body else name + path[len(top) :].replace(".function", "", 1)


def _function_call_path(body: JsonObject, index: int) -> str | None:
    match body.get("messages"):
        case list(messages) if _is_legacy(messages[index]):
            return f"messages[{index}].function_call"
        case _:
            return None


class CallerPaths:
    """A context that translates the `param` of an `InvalidRequest` into a path of the caller's `body`."""

    __slots__ = ("_body",)

    def __init__(self, body: JsonObject) -> None:
        self._body = body

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InvalidRequest) and error.param is not None:
            error.param = caller_path(self._body, error.param)


def translate_to_tools(body: JsonObject) -> None:
    """Replace functions by tools at the top level of `body`; messages are copied where they change.

    If the caller sent both, `tools` wins; `functions` stays, to be reported as ignored.
    """
    functions = body.get("functions")
    if isinstance(functions, list) and functions and not body.get("tools"):
        del body["functions"]
        body["tools"] = [{"type": "function", "function": function} for function in functions]
        match body.pop("function_call", None):
            case "none" | "auto" as choice:
                body["tool_choice"] = choice
            case {"name": str(name)}:
                body["tool_choice"] = {"type": "function", "function": {"name": name}}
            case _:
                pass
        body["parallel_tool_calls"] = False  # a turn has one function call
    messages = body.get("messages")
    if isinstance(messages, list):
        body["messages"] = _translate_messages(messages)


def _is_legacy(message: Json) -> bool:
    if not isinstance(message, dict):
        return False
    if "function_call" not in message:
        return message.get("role") == "function"
    match message:
        case {"role": "function"} | {"role": "assistant", "function_call": {"name": _}}:
            return True
        case _:
            return False


def _translate_messages(messages: list[Json]) -> list[Json]:
    """Translate messages. Each call gets an id from its position, and the result that follows refers to it."""
    translated: list[Json] = []
    call_id = ""
    for index, message in enumerate(messages):
        match message:
            case {"role": "assistant", "function_call": {"name": _} as function_call}:
                call_id = f"call_{index}"
                turn: JsonObject = {name: value for name, value in message.items() if name != "function_call"}
                turn["tool_calls"] = [{"id": call_id, "type": "function", "function": function_call}]
                translated.append(turn)
            case {"role": "function"}:
                translated.append({"role": "tool", "tool_call_id": call_id, "content": message.get("content") or ""})
            case _:
                translated.append(message)
    return translated
