"""The system and the turns of the Messages API as messages of chat completions.

| block | becomes |
|---|---|
| text, image, document in a user's turn | a part of the user's message |
| tool_result | a message of the role `tool`, before the rest of its turn |
| text in an assistant's turn | the content |
| tool_use | a tool call |
| thinking, redacted_thinking | `reasoning_details`, each with its place among texts and calls |
| results of Anthropic's own tools | a line of text for each source |
| what is not known | its JSON as text, and its path is reported |

Sources, read in 2026-11: https://platform.claude.com/docs/en/api/messages/create and
…/agents-and-tools/tool-use/handle-tool-calls.
"""

from collections.abc import Iterable

from tidegate.json import Json, JsonObject
from tidegate.surfaces.messages import blocks
from tidegate.surfaces.messages.assistant_turn import assistant_message
from tidegate.surfaces.messages.errors import refusal

ATTRIBUTION = "x-anthropic-billing-header:"
"""How the entry of `system` begins by which Claude Code tells Anthropic who pays. To others it would be a prompt that
changes with each session, and defeat their caches."""

_ROLES = ("user", "assistant", "system")
_ROLE_EXPECTED = "Input should be 'user' or 'assistant'"


def translate(system: Json, turns: Json, refusals: dict[str, str]) -> tuple[list[Json], list[str], set[str]]:
    """Return the messages, the paths of blocks that only Anthropic knows, and the ids of all calls.

    Roles that are not known are added to `refusals`, see `Origin`. Raises `InvalidRequest`.
    """
    ignored: list[str] = []
    messages: list[Json] = [*_system_messages(system)]
    call_ids: set[str] = set()
    for index, turn in enumerate(turns if isinstance(turns, list) else []):
        path = f"messages[{index}]"
        role = turn.get("role") if isinstance(turn, dict) else None
        if not isinstance(turn, dict) or not isinstance(role, str):
            raise refusal(f"{path}.role", _ROLE_EXPECTED)
        if role not in _ROLES:
            refusals[f"{path}.role"] = _ROLE_EXPECTED
        content = turn.get("content")
        if not isinstance(content, str | list):
            raise refusal(f"{path}.content", "Field required")
        listed = blocks.listed(content)
        match role:
            case "assistant":
                message = assistant_message(listed, path, ignored)
                call_ids.update(_call_ids(message))
                messages.append(message)
            case "system":
                messages += _system_messages(content)
            case _:
                messages += _user_messages(listed, path, call_ids, ignored)
    return messages, ignored, call_ids


def _system_messages(system: Json) -> list[Json]:
    match system:
        case str(text) if text:
            return [{"role": "system", "content": text}]
        case list(entries):
            parts: list[Json] = [part for part in map(_system_part, entries) if part is not None]
            message: JsonObject = {"role": "system", "content": parts}
            return [message] if parts else []
        case _:
            return []


def _system_part(entry: Json) -> Json:
    match entry:
        case str(text) | {"type": "text", "text": str(text)} if text and not text.startswith(ATTRIBUTION):
            return {**blocks.cache_control(entry), "type": "text", "text": text}
        case _:
            return None


def _user_messages(listed: list[Json], path: str, call_ids: set[str], ignored: list[str]) -> Iterable[Json]:
    """Return the results of tools first, each as a message, and then the rest of the turn."""
    results: list[Json] = []
    parts: list[Json] = []
    for number, block in enumerate(listed):
        block_path = f"{path}.content[{number}]"
        if isinstance(block, dict) and block.get("type") == "tool_result":
            results.append(_tool_message(block, block_path, call_ids, ignored))
        else:
            parts += blocks.user_parts(block, block_path, ignored)
    if parts or not results:
        return [*results, {"role": "user", "content": blocks.as_text(parts)}]
    return results


def _tool_message(block: JsonObject, path: str, call_ids: set[str], ignored: list[str]) -> Json:
    call_id = block.get("tool_use_id")
    if not isinstance(call_id, str) or call_id not in call_ids:
        raise refusal(
            path,
            f"unexpected `tool_use_id` found in `tool_result` blocks: {str(call_id)[:80]}. Each `tool_result` block "
            "must have a corresponding `tool_use` block in the previous message.",
        )
    content = blocks.result_content(block.get("content"), f"{path}.content", ignored)
    if block.get("is_error") is True:
        content = blocks.as_error(content)
    return {**blocks.cache_control(block), "role": "tool", "tool_call_id": call_id, "content": content}


def _call_ids(message: JsonObject) -> Iterable[str]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(call_id)}:
                yield call_id
            case _:
                pass
