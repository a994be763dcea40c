"""Messages as Anthropic's `system` and alternating turns of user and assistant, with tool results first.

Sources: https://platform.claude.com/docs/en/api/messages, …/agents-and-tools/tool-use/handle-tool-calls.
"""

from tidegate.chat.reasoning_order import in_order
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic import parts, reasoning_replay
from tidegate.providers.anthropic.request_builder import AnthropicRequestBuilder
from tidegate.providers.toolnames import CallIds, NameRules, parse_arguments

PLACEHOLDER = "(no content)"
"""Text of a turn without content: Anthropic refuses empty turns."""

_CALL_ID_RULES = NameRules("a-zA-Z0-9_-", max_length=64)


def write(builder: AnthropicRequestBuilder) -> None:
    """Write `messages`, and collect the system's text blocks. Raises `InvalidRequest` for unsupported content."""
    messages = builder.take("messages")
    turns, call_ids = _AnthropicTurns(), CallIds(_CALL_ID_RULES)
    for i, message in enumerate(messages if isinstance(messages, list) else []):
        path = f"messages[{i}]"
        match message:
            case {"role": "system" | "developer"}:
                builder.system.extend(_system_blocks(builder, message, path))
            case {"role": "user"}:
                blocks = parts.content_blocks(builder, message.get("content"), path)
                turns.add("user", parts.with_cache_control(blocks, message))
            case {"role": "assistant"}:
                turns.add("assistant", _assistant_blocks(builder, call_ids, message, i))
            case {"role": "tool"}:
                turns.add("user", [_tool_result(builder, call_ids, message, path)])
            case _:
                raise InvalidRequest("The role must be system, developer, user, assistant or tool.", param=path)
        if isinstance(message.get("name"), str) and message.get("role") != "tool":
            builder.ignored.append(f"{path}.name")
    builder.body["messages"] = turns.to_json()


class _AnthropicTurns:
    """The turns of a conversation. Consecutive messages of one role are joined into one turn."""

    def __init__(self) -> None:
        self._turns: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, blocks: list[JsonObject]) -> None:
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        self._turns[-1][1].extend(blocks)

    def to_json(self) -> list[Json]:
        if not self._turns:
            raise InvalidRequest("Anthropic needs at least one message that is not a system message.", param="messages")
        if self._turns[-1][0] == "assistant" and not _strip_end(self._turns[-1][1]):
            self._turns.pop()
        if not self._turns or self._turns[0][0] == "assistant":
            self._turns.insert(0, ("user", []))
        return [{"role": role, "content": [*_results_first(blocks)]} for role, blocks in self._turns]


def _strip_end(blocks: list[JsonObject]) -> list[JsonObject]:
    """Strip white space from the end of a prefilled answer, in place: Anthropic refuses it there."""
    match blocks:
        case [*_, {"type": "text", "text": str(text)} as last]:
            last["text"] = text.rstrip()
        case _:
            pass
    return blocks


def _results_first(blocks: list[JsonObject]) -> list[JsonObject]:
    if not blocks:
        return [{"type": "text", "text": PLACEHOLDER}]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")  # a stable sort


def _system_blocks(builder: AnthropicRequestBuilder, message: JsonObject, path: str) -> list[JsonObject]:
    blocks = parts.content_blocks(builder, message.get("content"), path)
    for i, block in enumerate(blocks):
        if block["type"] != "text":
            text = f"{builder.model} accepts only text in a system message."
            raise InvalidRequest(text, param=f"{path}.content[{i}]")
    return parts.with_cache_control(blocks, message)


def _assistant_blocks(
    builder: AnthropicRequestBuilder, call_ids: CallIds, message: JsonObject, index: int
) -> list[JsonObject]:
    """Return the blocks of an assistant's message: text, then tool calls, and thinking where it was in the reply."""
    path = f"messages[{index}]"
    content: list[JsonObject] = parts.content_blocks(builder, message.get("content"), path)
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str) and refusal.strip():
        content.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, list) else []
    tool_uses = [[_tool_use(builder, call_ids, call, f"{path}.tool_calls[{j}]")] for j, call in enumerate(calls)]
    thinking = reasoning_replay.thinking_blocks(message, builder.call.signatures.get(index))
    return parts.with_cache_control(in_order(thinking, content, tool_uses), message)


def _tool_use(builder: AnthropicRequestBuilder, call_ids: CallIds, call: Json, path: str) -> JsonObject:
    match call:
        case {"function": {"name": str(name)} as function}:
            block: JsonObject = {
                "type": "tool_use",
                "id": call_ids.for_call(call.get("id")),
                "name": builder.tool_names.provider_name(name),
                "input": parse_arguments(function.get("arguments"), f"{path}.function.arguments"),
            }
            return parts.with_cache_control([block], call)[0]
        case {"type": "custom"}:
            raise InvalidRequest(f"{builder.model} does not support custom tools.", param=path)
        case _:
            raise InvalidRequest("A tool call must have a function with a name.", param=path)


def _tool_result(builder: AnthropicRequestBuilder, call_ids: CallIds, message: JsonObject, path: str) -> JsonObject:
    block: JsonObject = {"type": "tool_result", "tool_use_id": call_ids.for_result(message.get("tool_call_id"))}
    content = parts.content_blocks(builder, message.get("content"), path)
    if content:
        block["content"] = [*content]
    if message.get("is_error") is True:
        block["is_error"] = True
    return parts.with_cache_control([block], message)[0]
