"""Messages as Anthropic's turns: system apart, user and assistant in turn, tool results first.

Sources: https://platform.claude.com/docs/en/api/messages, …/agents-and-tools/tool-use/handle-tool-calls.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic import parts, reasoning_replay
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.toolnames import NameRules, parse_arguments, valid_call_id

PLACEHOLDER = "(no content)"
"""Stands where Anthropic wants a text and the caller has none."""

_CALL_ID_RULES = NameRules("a-zA-Z0-9_-", max_length=64)


def write(draft: AnthropicRequestBuilder) -> None:
    """Raises `InvalidRequest` for what cannot be said."""
    messages = draft.take("messages")
    turns = _AnthropicTurns()
    for i, message in enumerate(messages if isinstance(messages, list) else []):
        path = f"messages[{i}]"
        match message:
            case {"role": "system" | "developer"}:
                draft.system.extend(_system_blocks(draft, message, path))
            case {"role": "user"}:
                turns.add(
                    "user", parts.with_cache_control(parts.content_blocks(draft, message.get("content"), path), message)
                )
            case {"role": "assistant"}:
                turns.add("assistant", _assistant_blocks(draft, message, path))
            case {"role": "tool"}:
                turns.add(
                    "user",
                    [_tool_result(draft, message, valid_call_id(message.get("tool_call_id"), _CALL_ID_RULES), path)],
                )
            case _:
                raise InvalidRequest("A message needs a known role.", param=path)
        if isinstance(message.get("name"), str) and message.get("role") != "tool":
            draft.ignored.append(f"{path}.name")
    draft.body["messages"] = turns.to_json()


class _AnthropicTurns:
    """Turns so far: neighbours of one role are one turn."""

    def __init__(self) -> None:
        self._turns: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, blocks: list[JsonObject]) -> None:
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        self._turns[-1][1].extend(blocks)

    def to_json(self) -> list[Json]:
        if not self._turns:
            raise InvalidRequest("Anthropic needs a message of the user beside the system's.", param="messages")
        if self._turns[-1][0] == "assistant" and not _strip_end(self._turns[-1][1]):
            self._turns.pop()
        if not self._turns or self._turns[0][0] == "assistant":
            self._turns.insert(0, ("user", []))
        return [{"role": role, "content": [*_results_first(blocks)]} for role, blocks in self._turns]


def _strip_end(blocks: list[JsonObject]) -> list[JsonObject]:
    """Of the beginning of an answer that is to be continued, no space at its end: Anthropic refuses it."""
    match blocks:
        case [*_, {"type": "text", "text": str(text)} as last]:
            last["text"] = text.rstrip()
        case _:
            pass
    return blocks


def _results_first(blocks: list[JsonObject]) -> list[JsonObject]:
    if not blocks:
        return [{"type": "text", "text": PLACEHOLDER}]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")  # sorting keeps the order otherwise


def _system_blocks(draft: AnthropicRequestBuilder, message: JsonObject, path: str) -> list[JsonObject]:
    blocks = parts.content_blocks(draft, message.get("content"), path)
    for i, block in enumerate(blocks):
        if block["type"] != "text":
            raise InvalidRequest(f"{draft.model} takes only text in a system message.", param=f"{path}.content[{i}]")
    return parts.with_cache_control(blocks, message)


def _assistant_blocks(draft: AnthropicRequestBuilder, message: JsonObject, path: str) -> list[JsonObject]:
    """Thinking, then text, then tool calls."""
    content: list[JsonObject] = parts.content_blocks(draft, message.get("content"), path)
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str) and refusal.strip():
        content.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls")
    tool_uses: list[JsonObject] = [
        _tool_use(draft, call, f"{path}.tool_calls[{j}]")
        for j, call in enumerate(calls if isinstance(calls, list) else [])
    ]
    thinking = reasoning_replay.thinking_blocks(message, draft.call.signatures)
    return parts.with_cache_control([*thinking, *content, *tool_uses], message)


def _tool_use(draft: AnthropicRequestBuilder, call: Json, path: str) -> JsonObject:
    match call:
        case {"function": {"name": str(name)} as function}:
            block: JsonObject = {
                "type": "tool_use",
                "id": valid_call_id(call.get("id"), _CALL_ID_RULES),
                "name": draft.tool_names.provider_name(name),
                "input": parse_arguments(function.get("arguments"), f"{path}.function.arguments"),
            }
            return parts.with_cache_control([block], call)[0]
        case {"type": "custom"}:
            raise InvalidRequest(f"{draft.model} knows no custom tools.", param=path)
        case _:
            raise InvalidRequest("A tool call needs a function with a name.", param=path)


def _tool_result(draft: AnthropicRequestBuilder, message: JsonObject, call_id: str, path: str) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": call_id}
    content = parts.content_blocks(draft, message.get("content"), path)
    if content:
        block["content"] = [*content]
    if message.get("is_error") is True:
        block["is_error"] = True
    return parts.with_cache_control([block], message)[0]
