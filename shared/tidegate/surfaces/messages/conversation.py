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
from tidegate.surfaces.content_parts import as_content
from tidegate.surfaces.messages import blocks
from tidegate.surfaces.messages.assistant_turn import assistant_message
from tidegate.surfaces.messages.errors import refusal

ATTRIBUTION = "x-anthropic-billing-header:"
"""How the entry of `system` begins by which Claude Code tells Anthropic who pays. To others it would be a prompt that
changes with each session, and defeat their caches."""

_ROLES = ("user", "assistant", "system")
_ROLE_EXPECTED = "Input should be 'user' or 'assistant'"
_UNEXPECTED = (
    "unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding "
    "`tool_use` block in the previous message."
)
_MISSING = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a "
    "corresponding `tool_result` block in the next message"
)
_MULTIPLE = "each tool_use must have a single result. Found multiple `tool_result` blocks with id: %s"


def translate(system: Json, turns: Json, refusals: dict[str, str]) -> tuple[list[Json], list[str], set[str]]:
    """Return the messages, the paths of blocks that only Anthropic knows, and the ids of all calls.

    Roles that are not known, and calls without their result, are added to `refusals`, see `Origin`. Raises
    `InvalidRequest`.
    """
    ignored: list[str] = []
    messages: list[Json] = [*_system_messages(system)]
    calls = _Calls(refusals)
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
                messages.append(message)
                calls.add(message, path, len(messages))
            case "system":
                messages += _system_messages(content)
            case _:
                results, rest = _user_messages(listed, path, calls, ignored)
                messages[calls.end : calls.end] = results
                messages += rest
                calls.end += len(results)
    calls.check_results()
    return messages, ignored, calls.ids


class _Calls:
    """The calls of tools in a conversation, each of which must have one result before the next turn of the assistant.

    `end` is where the results of the last turn's calls end: they follow their calls at once, as every provider wants.
    `is_answered` is true once a user's turn has followed.
    """

    def __init__(self, refusals: dict[str, str]) -> None:
        self.ids: set[str] = set()
        self.end = 0
        self._open: dict[str, str] = {}
        self._refusals = refusals
        self.is_answered = False

    def add(self, message: JsonObject, path: str, end: int) -> None:
        """Add the calls of an assistant's turn, whose message ends at that place."""
        self.check_results()
        self.end, self.is_answered = end, False
        for call_id in _call_ids(message):
            self.ids.add(call_id)
            self._open[call_id] = path

    def take_result(self, call_id: Json, path: str) -> str:
        """Return the id of a result's call. Raises `InvalidRequest` if there is no such call."""
        if not isinstance(call_id, str) or call_id not in self.ids:
            raise refusal(path, _UNEXPECTED % str(call_id)[:80])
        if self._open.pop(call_id, None) is None:
            self._refusals.setdefault(path, _MULTIPLE % call_id[:80])
        return call_id

    def check_results(self) -> None:
        """Refuse calls without a result where a user has answered. A conversation may end with calls."""
        if self.is_answered:
            for call_id, path in self._open.items():
                self._refusals.setdefault(path, _MISSING % call_id[:80])
            self._open.clear()


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


def _user_messages(listed: list[Json], path: str, calls: _Calls, ignored: list[str]) -> tuple[list[Json], list[Json]]:
    """Return the results of tools, each as a message, and the message for the rest of the turn."""
    results: list[Json] = []
    parts: list[Json] = []
    for number, block in enumerate(listed):
        block_path = f"{path}.content[{number}]"
        if isinstance(block, dict) and block.get("type") == "tool_result":
            results.append(_tool_message(block, block_path, calls, ignored))
        else:
            parts += blocks.user_parts(block, block_path, ignored)
    calls.is_answered = True
    rest: list[Json] = [{"role": "user", "content": as_content(parts)}] if parts or not results else []
    return results, rest


def _tool_message(block: JsonObject, path: str, calls: _Calls, ignored: list[str]) -> Json:
    call_id = calls.take_result(block.get("tool_use_id"), path)
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
