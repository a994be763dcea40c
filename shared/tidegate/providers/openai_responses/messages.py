"""Messages of chat completions as input items: texts, calls and their results, reasoning at its place.

Source: https://platform.openai.com/docs/api-reference/responses/create (`input`, 2026-11).
"""

from tidegate.chat.reasoning_order import in_order
from tidegate.json import Json, JsonObject
from tidegate.providers.openai_responses.parts import joined_text, translate_content
from tidegate.providers.openai_responses.reasoning_replay import reasoning_items
from tidegate.providers.toolnames import CallIds, NameRules

_CALL_IDS = NameRules("a-zA-Z0-9_-", max_length=64)


def input_items(messages: list[Json], replays_reasoning: bool) -> list[Json]:
    """Return the input items. Raises `InvalidRequest` for a content part that is not supported."""
    call_ids = CallIds(_CALL_IDS)
    custom_calls: set[str] = set()
    items: list[Json] = []
    for i, message in enumerate(messages):
        match message:
            case {"role": "assistant"}:
                calls = [_call(call, call_ids, custom_calls) for call in _list(message.get("tool_calls"))]
                items += _assistant_items(message, calls, replays_reasoning)
            case {"role": "tool", "tool_call_id": call_id}:
                items.append(_result(message, call_ids.for_result(call_id), custom_calls, f"messages[{i}]"))
            case {"role": str(role)}:
                items.append({"role": role, "content": translate_content(message.get("content"), f"messages[{i}]")})
            case _:
                pass
    return items


def _assistant_items(message: JsonObject, calls: list[JsonObject], replays_reasoning: bool) -> list[Json]:
    refusal = message.get("refusal")
    text = joined_text(message.get("content")) + (refusal if isinstance(refusal, str) else "")
    if not text and not calls:
        return []
    thinking = reasoning_items(message.get("reasoning_details")) if replays_reasoning else []
    blocks = in_order(thinking, [{"text": text}] if text else [], [[call] for call in calls])
    return [{"role": "assistant", "content": block["text"]} if "text" in block else block for block in blocks]


def _call(call: Json, call_ids: CallIds, custom_calls: set[str]) -> JsonObject:
    match call:
        case {"custom": {"name": str(name)} as custom}:
            call_id = call_ids.for_call(call.get("id"))
            custom_calls.add(call_id)
            text = custom.get("input")
            return {
                "type": "custom_tool_call",
                "call_id": call_id,
                "name": name,
                "input": text if isinstance(text, str) else "",
            }
        case {"function": dict(function)}:
            call_id = call_ids.for_call(call.get("id"))
            name, arguments = function.get("name"), function.get("arguments")
            return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        case _:
            return {"type": "function_call", "call_id": call_ids.for_call(None), "name": "", "arguments": "{}"}


def _result(message: JsonObject, call_id: str, custom_calls: set[str], path: str) -> JsonObject:
    output = translate_content(message.get("content"), path)
    match output:
        case [{"type": "input_text", "text": str(text)}]:
            output = text
        case _:
            pass
    item_type = "custom_tool_call_output" if call_id in custom_calls else "function_call_output"
    return {"type": item_type, "call_id": call_id, "output": output}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
