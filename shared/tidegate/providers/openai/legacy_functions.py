"""`functions` in terms of tools, for providers that never knew them.

Source: https://platform.openai.com/docs/api-reference/chat/create (`functions` and `function_call`, deprecated).
The reply is turned back by `restore.py`.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

_WRITTEN = {"tools": "functions", "tool_choice": "function_call", "parallel_tool_calls": None}
"""What `translate` writes at the top level, and what the caller wrote there instead."""

_TOP = re.compile(r"[.\[]")
_CALL = re.compile(r"messages\[(\d+)\]\.tool_calls\[0\]\.function")


def uses_functions(body: JsonObject) -> bool:
    """Whether the caller speaks of functions anywhere, also in the turns so far."""
    if body.get("functions") or body.get("function_call"):
        return True
    messages = body.get("messages")
    return isinstance(messages, list) and any(_is_legacy(message) for message in messages)


def expects_function_call(body: JsonObject) -> bool:
    """Whether the caller knows calls in replies as `function_call`: who sends `tools` knows theirs."""
    return not body.get("tools") and uses_functions(body)


def caller_path(body: JsonObject, path: str) -> str | None:
    """The path by the names of the caller's `body`, None for what only `translate` wrote."""
    top = _TOP.split(path, maxsplit=1)[0]
    if top == "messages":
        return _CALL.sub(lambda found: _called(body, int(found[1])) or found[0], path, count=1)
    if top in body or top not in _WRITTEN:
        return path
    name = _WRITTEN[top]
    return None if name not in body else name + path[len(top) :].replace(".function", "", 1)


def _called(body: JsonObject, place: int) -> str | None:
    match body.get("messages"):
        case list(messages) if _is_legacy(messages[place]):
            return f"messages[{place}].function_call"
        case _:
            return None


@contextmanager
def with_caller_paths(body: JsonObject) -> Generator[None]:
    """Errors that pass through name what they refuse by the names of the caller's `body`."""
    try:
        yield
    except InvalidRequest as error:
        error.param = None if error.param is None else caller_path(body, error.param)
        raise


def translate_to_tools(body: JsonObject) -> None:
    """Replace functions by tools at the top level of `body`; messages are copied where they change.

    Beside tools they stay: who speaks of both means tools, and is told that functions were left out.
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
        body["messages"] = _turns(messages)


def _is_legacy(message: Json) -> bool:
    match message:
        case {"role": "function"} | {"role": "assistant", "function_call": {"name": _}}:
            return True
        case _:
            return False


def _turns(messages: list[Json]) -> list[Json]:
    """Each call gets an id by its place, and the result that follows carries the same."""
    turns: list[Json] = []
    last = ""
    for place, message in enumerate(messages):
        match message:
            case {"role": "assistant", "function_call": {"name": _} as called}:
                last = f"call_{place}"
                turn: JsonObject = {name: value for name, value in message.items() if name != "function_call"}
                turn["tool_calls"] = [{"id": last, "type": "function", "function": called}]
                turns.append(turn)
            case {"role": "function"}:
                turns.append({"role": "tool", "tool_call_id": last, "content": message.get("content") or ""})
            case _:
                turns.append(message)
    return turns
