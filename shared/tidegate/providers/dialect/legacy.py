"""`functions` in terms of tools, for providers that never knew them.

Source: https://platform.openai.com/docs/api-reference/chat/create (`functions` and `function_call`, deprecated).
The reply is turned back by `restore.py`.
"""

from tidegate.chat.json import Json, JsonObject


def uses_functions(body: JsonObject) -> bool:
    """Whether the caller speaks of functions anywhere, also in the turns so far."""
    if body.get("functions") or body.get("function_call"):
        return True
    messages = body.get("messages")
    return isinstance(messages, list) and any(_is_legacy(message) for message in messages)


def translate(body: JsonObject) -> None:
    """Replace functions by tools at the top level of `body`; messages are copied where they change."""
    functions, choice = body.pop("functions", None), body.pop("function_call", None)
    if isinstance(functions, list) and functions and "tools" not in body:
        body["tools"] = [{"type": "function", "function": function} for function in functions]
        match choice:
            case "none" | "auto":
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
