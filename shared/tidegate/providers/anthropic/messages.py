"""Messages as Anthropic's turns: system apart, user and assistant in turn, tool results first.

Sources: https://platform.claude.com/docs/en/api/messages, …/agents-and-tools/tool-use/handle-tool-calls.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic import parts, reasoning_replay
from tidegate.providers.anthropic.request_builder import Draft
from tidegate.providers.toolnames import Alphabet, arguments, call_id

PLACEHOLDER = "(no content)"
"""Stands where Anthropic wants a text and the caller has none."""

_IDS = Alphabet("a-zA-Z0-9_-", longest=64)


def write(draft: Draft) -> None:
    """Raises `InvalidRequest` for what cannot be said."""
    messages = draft.take("messages")
    turns = _Turns()
    for i, message in enumerate(messages if isinstance(messages, list) else []):
        path = f"messages[{i}]"
        match message:
            case {"role": "system" | "developer"}:
                draft.system.extend(_system(draft, message, path))
            case {"role": "user"}:
                turns.add("user", parts.with_cache(parts.blocks(draft, message.get("content"), path), message))
            case {"role": "assistant"}:
                turns.add("assistant", _assistant(draft, message, path))
            case {"role": "tool"}:
                turns.add("user", [_result(draft, message, call_id(message.get("tool_call_id"), _IDS), path)])
            case _:
                raise InvalidRequest("A message needs a known role.", param=path)
        if isinstance(message.get("name"), str) and message.get("role") != "tool":
            draft.ignored.append(f"{path}.name")
    draft.body["messages"] = turns.finished()


class _Turns:
    """Turns so far: neighbours of one role are one turn."""

    def __init__(self) -> None:
        self._turns: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, blocks: list[JsonObject]) -> None:
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        self._turns[-1][1].extend(blocks)

    def finished(self) -> list[Json]:
        if not self._turns:
            raise InvalidRequest("Anthropic needs a message of the user beside the system's.", param="messages")
        if self._turns[-1][0] == "assistant" and not _trimmed(self._turns[-1][1]):
            self._turns.pop()
        if not self._turns or self._turns[0][0] == "assistant":
            self._turns.insert(0, ("user", []))
        return [{"role": role, "content": [*_ordered(blocks)]} for role, blocks in self._turns]


def _trimmed(blocks: list[JsonObject]) -> list[JsonObject]:
    """Of the beginning of an answer that is to be continued, no space at its end: Anthropic refuses it."""
    match blocks:
        case [*_, {"type": "text", "text": str(text)} as last]:
            last["text"] = text.rstrip()
        case _:
            pass
    return blocks


def _ordered(blocks: list[JsonObject]) -> list[JsonObject]:
    if not blocks:
        return [{"type": "text", "text": PLACEHOLDER}]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")  # sorting keeps the order otherwise


def _system(draft: Draft, message: JsonObject, path: str) -> list[JsonObject]:
    blocks = parts.blocks(draft, message.get("content"), path)
    for i, block in enumerate(blocks):
        if block["type"] != "text":
            raise InvalidRequest(f"{draft.model} takes only text in a system message.", param=f"{path}.content[{i}]")
    return parts.with_cache(blocks, message)


def _assistant(draft: Draft, message: JsonObject, path: str) -> list[JsonObject]:
    """Thinking, then text, then tool calls."""
    said: list[JsonObject] = parts.blocks(draft, message.get("content"), path)
    refusal = message.get("refusal")
    if not said and isinstance(refusal, str) and refusal.strip():
        said.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls")
    found: list[JsonObject] = [
        _call(draft, call, f"{path}.tool_calls[{j}]") for j, call in enumerate(calls if isinstance(calls, list) else [])
    ]
    thoughts = reasoning_replay.blocks(message, draft.call.signatures)
    return parts.with_cache([*thoughts, *said, *found], message)


def _call(draft: Draft, call: Json, path: str) -> JsonObject:
    match call:
        case {"function": {"name": str(name)} as function}:
            block: JsonObject = {
                "type": "tool_use",
                "id": call_id(call.get("id"), _IDS),
                "name": draft.names.spell(name),
                "input": arguments(function.get("arguments"), f"{path}.function.arguments"),
            }
            return parts.with_cache([block], call)[0]
        case {"type": "custom"}:
            raise InvalidRequest(f"{draft.model} knows no custom tools.", param=path)
        case _:
            raise InvalidRequest("A tool call needs a function with a name.", param=path)


def _result(draft: Draft, message: JsonObject, call_id: str, path: str) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
    content = parts.blocks(draft, message.get("content"), path)
    if content:
        block["content"] = [*content]
    if message.get("is_error") is True:
        block["is_error"] = True
    return parts.with_cache([block], message)[0]
