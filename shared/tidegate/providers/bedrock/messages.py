"""Messages as Converse's `system` and alternating turns of user and assistant, with tool results in user turns.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html,
…/tool-use-inference-call.html (2026), and refusals recorded up to 2026-08.
"""

from tidegate.chat.reasoning_order import in_order
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import reasoning_replay
from tidegate.providers.bedrock.parts import cache_point, content_blocks
from tidegate.providers.bedrock.request_builder import CALL_ID_RULES, BedrockRequestBuilder
from tidegate.providers.toolnames import CallIds, parse_arguments

PLACEHOLDER = "(empty)"
"""Text of a turn without content: Converse refuses blank texts."""

_DOCUMENT_TEXT = "See the attached document."
"""Text beside a document: Converse requires one."""


def write(builder: BedrockRequestBuilder) -> None:
    """Write `messages` and `system`. Raises `InvalidRequest` for unsupported content."""
    messages = builder.take("messages")
    # Converse has no tool choice "none". Without tools it refuses earlier calls, so these become text.
    calls_as_text = builder.remaining.get("tool_choice") == "none"
    turns, call_ids = _ConverseTurns(), CallIds(CALL_ID_RULES)
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            _add_message(builder, turns, message, i, None if calls_as_text else call_ids)
    if not turns.turns:
        raise InvalidRequest("Bedrock needs at least one message that is not a system message.", param="messages")
    # Claude accepts a first turn of the assistant (recorded), other models refuse it.
    if turns.turns[0][0] == "assistant" and not builder.capabilities.is_claude:
        turns.turns.insert(0, ("user", []))
    builder.body["messages"] = [{"role": role, "content": _turn_content(blocks)} for role, blocks in turns.turns]
    if turns.system:
        builder.body["system"] = turns.system
    _check_prefill(builder, len(messages) - 1 if isinstance(messages, list) else 0)


class _ConverseTurns:
    """The turns of a conversation. Consecutive messages of one role are joined into one turn."""

    def __init__(self) -> None:
        self.system: list[Json] = []
        self.turns: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, blocks: list[JsonObject]) -> None:
        if self.turns and self.turns[-1][0] == role:
            self.turns[-1][1].extend(blocks)
        else:
            self.turns.append((role, blocks))


def _add_message(
    builder: BedrockRequestBuilder, turns: _ConverseTurns, message: JsonObject, index: int, call_ids: CallIds | None
) -> None:
    """Add a message; without `call_ids`, its tool calls and results as text."""
    role, path = message.get("role"), f"messages[{index}]"
    if message.get("name") and role not in ("tool", "function"):
        builder.ignored.append(f"{path}.name")
    match role:
        case "system" | "developer":
            turns.system += _text_blocks(content_blocks(builder, message, path), path)
        case "assistant":
            reasoning = reasoning_replay.reasoning_blocks(builder, message, index)
            content = content_blocks(builder, message, path)
            if not reasoning and not content and isinstance(message.get("refusal"), str):
                content.append({"text": message["refusal"]})
            calls = _tool_use_blocks(builder, message, path, call_ids)
            turns.add("assistant", in_order(reasoning, content, calls))
        case "tool":
            turns.add("user", _tool_result_blocks(builder, message, path, call_ids))
        case _:
            turns.add("user", content_blocks(builder, message, path))


def _text_blocks(blocks: list[JsonObject], path: str) -> list[JsonObject]:
    if any(block.keys().isdisjoint(("text", "cachePoint")) for block in blocks):
        raise InvalidRequest("A system message must contain only text.", param=f"{path}.content")
    return _without_blanks(blocks)


def _tool_use_blocks(
    builder: BedrockRequestBuilder, message: JsonObject, path: str, call_ids: CallIds | None
) -> list[list[JsonObject]]:
    """Return the blocks of each call."""
    calls = message.get("tool_calls")
    tool_uses: list[list[JsonObject]] = []
    for j, call in enumerate(calls if isinstance(calls, list) else ()):
        match call:
            case {"id": str(tool_call_id), "function": {"name": str(name), **rest}}:
                arguments_text = rest.get("arguments")
                arguments_text = arguments_text if isinstance(arguments_text, str) else ""
                tool_input: Json = parse_arguments(arguments_text, f"{path}.tool_calls[{j}].function.arguments")
            case {"id": str(tool_call_id), "custom": {"name": str(name), "input": str(arguments_text)}}:
                tool_input = {"input": arguments_text}
            case _:
                raise InvalidRequest("A tool call must have an id and a function.", param=f"{path}.tool_calls[{j}]")
        if call_ids is None:
            tool_uses.append([{"text": f"[I called {name} with {arguments_text or '{}'}]"}])
            continue
        call_id, tool_name = call_ids.for_call(tool_call_id), builder.tool_names.provider_name(name)
        builder.called_tools.append(tool_name)
        tool_use: JsonObject = {"toolUse": {"toolUseId": call_id, "name": tool_name, "input": tool_input}}
        tool_uses.append([tool_use, *cache_point(builder, call, f"{path}.tool_calls[{j}]")])
    return tool_uses


def _tool_result_blocks(
    builder: BedrockRequestBuilder, message: JsonObject, path: str, call_ids: CallIds | None
) -> list[JsonObject]:
    blocks = content_blocks(builder, message, path)
    cache_points = [block for block in blocks if "cachePoint" in block]
    blocks = [block for block in _without_blanks(blocks) if "cachePoint" not in block] or [{"text": PLACEHOLDER}]
    if any("audio" in block for block in blocks):
        raise InvalidRequest("Bedrock does not support audio in a tool's result.", param=f"{path}.content")
    if call_ids is None:
        return [{"text": "[The tool answered:]"}, *blocks, *cache_points[:1]]
    content: list[Json] = [*blocks]
    result: JsonObject = {"toolUseId": call_ids.for_result(message.get("tool_call_id")), "content": content}
    return [{"toolResult": result}, *cache_points[:1]]


def _turn_content(blocks: list[JsonObject]) -> list[Json]:
    nonblank = _without_blanks(blocks)
    if any("document" in block for block in nonblank) and not any("text" in block for block in nonblank):
        nonblank.append({"text": _DOCUMENT_TEXT})
    # Claude requires results first in the turn that answers its calls; the sort is stable.
    if any("toolResult" in block for block in nonblank) and not any("cachePoint" in block for block in nonblank):
        nonblank.sort(key=lambda block: "toolResult" not in block)
    return [*nonblank] or [{"text": PLACEHOLDER}]


def _without_blanks(blocks: list[JsonObject]) -> list[JsonObject]:
    """Return the blocks without blank texts and without cache points that follow no block: Bedrock refuses both."""
    nonblank: list[JsonObject] = []
    for block in blocks:
        text = block.get("text")
        if isinstance(text, str) and not text.strip():
            continue
        if "cachePoint" in block and (not nonblank or "cachePoint" in nonblank[-1]):
            continue
        nonblank.append(block)
    return nonblank


def _check_prefill(builder: BedrockRequestBuilder, last_index: int) -> None:
    """Strip white space from the end of a prefilled answer. Raises `InvalidRequest` if the model refuses prefills."""
    match builder.body["messages"]:
        case [*_, {"role": "assistant", "content": [*_, {"text": str(text)} as block]}]:
            if not builder.capabilities.prefill:
                text = "This model does not continue an assistant message: the last message must be a user's."
                raise InvalidRequest(text, param=f"messages[{last_index}]")
            block["text"] = text.rstrip()
        case _:
            pass
