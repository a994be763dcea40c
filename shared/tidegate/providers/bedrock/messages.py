"""Messages as Converse wants them: users and assistants in turns, system texts apart, tool results with the user.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html,
…/tool-use-inference-call.html (2026), and refusals recorded up to 2026-08.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock import reasoning_replay
from tidegate.providers.bedrock.parts import cache_point, content_blocks
from tidegate.providers.bedrock.request_builder import CALL_ID_RULES, BedrockRequestBuilder
from tidegate.providers.toolnames import parse_arguments, valid_call_id

PLACEHOLDER = "(empty)"
"""What stands for a turn without content, since Converse refuses blank texts."""

_DOCUMENT_TEXT = "See the attached document."
"""A document must have a text beside it."""


def write(draft: BedrockRequestBuilder) -> None:
    """Write `messages` and `system`. Raises `InvalidRequest` for what cannot be said."""
    messages = draft.take("messages")
    calls_as_text = (
        draft.remaining.get("tool_choice") == "none"
    )  # Converse knows no such choice: without tools, calls are words
    turns = _ConverseTurns()
    for i, message in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(message, dict):
            _add_message(draft, turns, message, f"messages[{i}]", calls_as_text)
    if not turns.turns:
        raise InvalidRequest("There must be a message that is not the system's.", param="messages")
    if (
        turns.turns[0][0] == "assistant" and not draft.capabilities.is_claude
    ):  # Claude may begin (recorded); others refuse to
        turns.turns.insert(0, ("user", []))
    draft.body["messages"] = [
        {"role": role, "content": _turn_content(turn_blocks)} for role, turn_blocks in turns.turns
    ]
    if turns.system:
        draft.body["system"] = turns.system
    _check_prefill(draft, len(messages) - 1 if isinstance(messages, list) else 0)


class _ConverseTurns:
    def __init__(self) -> None:
        self.system: list[Json] = []
        self.turns: list[tuple[str, list[JsonObject]]] = []

    def add(self, role: str, new_blocks: list[JsonObject]) -> None:
        if self.turns and self.turns[-1][0] == role:
            self.turns[-1][1].extend(new_blocks)
        else:
            self.turns.append((role, new_blocks))


def _add_message(
    draft: BedrockRequestBuilder, turns: _ConverseTurns, message: JsonObject, path: str, calls_as_text: bool
) -> None:
    role = message.get("role")
    if message.get("name") and role not in ("tool", "function"):
        draft.ignored.append(f"{path}.name")
    match role:
        case "system" | "developer":
            turns.system += _text_blocks(content_blocks(draft, message, path), path)
        case "assistant":
            assistant_blocks = reasoning_replay.reasoning_blocks(draft, message) + content_blocks(draft, message, path)
            if not assistant_blocks and isinstance(message.get("refusal"), str):
                assistant_blocks.append({"text": message["refusal"]})
            turns.add("assistant", assistant_blocks + _tool_use_blocks(draft, message, path, calls_as_text))
        case "tool":
            turns.add("user", _tool_result_blocks(draft, message, path, calls_as_text))
        case _:
            turns.add("user", content_blocks(draft, message, path))


def _text_blocks(system_blocks: list[JsonObject], path: str) -> list[JsonObject]:
    if any(block.keys().isdisjoint(("text", "cachePoint")) for block in system_blocks):
        raise InvalidRequest("A system message holds nothing but text.", param=f"{path}.content")
    return _without_blanks(system_blocks)


def _tool_use_blocks(
    draft: BedrockRequestBuilder, message: JsonObject, path: str, calls_as_text: bool
) -> list[JsonObject]:
    calls = message.get("tool_calls")
    tool_uses: list[JsonObject] = []
    for j, call in enumerate(calls if isinstance(calls, list) else ()):
        match call:
            case {"id": str(tool_call_id), "function": {"name": str(name), **rest}}:
                arguments_text = rest.get("arguments")
                arguments_text = arguments_text if isinstance(arguments_text, str) else ""
                tool_input: Json = parse_arguments(arguments_text, f"{path}.tool_calls[{j}].function.arguments")
            case {"id": str(tool_call_id), "custom": {"name": str(name), "input": str(arguments_text)}}:
                tool_input = {"input": arguments_text}
            case _:
                raise InvalidRequest("A tool call needs an id and a function.", param=f"{path}.tool_calls[{j}]")
        if calls_as_text:
            tool_uses.append({"text": f"[I called {name} with {arguments_text or '{}'}]"})
            continue
        provider_name = draft.tool_names.provider_name(name)
        draft.called_tools.append(provider_name)
        tool_uses.append(
            {
                "toolUse": {
                    "toolUseId": valid_call_id(tool_call_id, CALL_ID_RULES),
                    "name": provider_name,
                    "input": tool_input,
                }
            }
        )
        tool_uses += cache_point(draft, call, f"{path}.tool_calls[{j}]")
    return tool_uses


def _tool_result_blocks(
    draft: BedrockRequestBuilder, message: JsonObject, path: str, calls_as_text: bool
) -> list[JsonObject]:
    result_blocks = content_blocks(draft, message, path)
    cache_points = [block for block in result_blocks if "cachePoint" in block]
    result_blocks = [block for block in _without_blanks(result_blocks) if "cachePoint" not in block] or [
        {"text": PLACEHOLDER}
    ]
    if any("audio" in block for block in result_blocks):
        raise InvalidRequest("Bedrock takes no audio in a tool's result.", param=f"{path}.content")
    if calls_as_text:
        return [{"text": "[The tool answered:]"}, *result_blocks, *cache_points[:1]]
    content: list[Json] = [*result_blocks]
    result: JsonObject = {"toolUseId": valid_call_id(message.get("tool_call_id"), CALL_ID_RULES), "content": content}
    return [{"toolResult": result}, *cache_points[:1]]


def _turn_content(turn_blocks: list[JsonObject]) -> list[Json]:
    nonblank = _without_blanks(turn_blocks)
    if any("document" in block for block in nonblank) and not any("text" in block for block in nonblank):
        nonblank.append({"text": _DOCUMENT_TEXT})
    # Claude wants results first in the turn that answers its calls; the sort keeps all other order.
    if any("toolResult" in block for block in nonblank) and not any("cachePoint" in block for block in nonblank):
        nonblank.sort(key=lambda block: "toolResult" not in block)
    return [*nonblank] or [{"text": PLACEHOLDER}]


def _without_blanks(all_blocks: list[JsonObject]) -> list[JsonObject]:
    """Blank texts are refused, and so is a cache point behind nothing."""
    nonblank: list[JsonObject] = []
    for block in all_blocks:
        text = block.get("text")
        if isinstance(text, str) and not text.strip():
            continue
        if "cachePoint" in block and (not nonblank or "cachePoint" in nonblank[-1]):
            continue
        nonblank.append(block)
    return nonblank


def _check_prefill(draft: BedrockRequestBuilder, last_index: int) -> None:
    """An assistant's message at the end is one to go on with: models take it without trailing blanks, or not at all."""
    match draft.body["messages"]:
        case [*_, {"role": "assistant", "content": [*_, {"text": str(text)} as block]}]:
            if not draft.capabilities.prefill:
                raise InvalidRequest(
                    "This model goes on with no assistant's message: end with a user's.",
                    param=f"messages[{last_index}]",
                )
            block["text"] = text.rstrip()
        case _:
            pass
