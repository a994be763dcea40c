"""Pieces of a reply in OpenAI's dialect, for completions and chunks: thinking, tool calls, refusals.

Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking;
`reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from tidegate.chat.reasoning_order import START, Place, place_fields
from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.providers.anthropic.reasoning_replay import FORMAT
from tidegate.providers.toolnames import minted_call_id


def reasoning_text_detail(index: int, text: str, signature: str | None = None, place: Place = START) -> JsonObject:
    """Return a `reasoning_details` entry for readable thinking; with its signature it can be sent back."""
    detail: JsonObject = {"type": "reasoning.text", "text": text, "format": FORMAT, "index": index}
    detail |= place_fields(place)
    if signature:
        detail["signature"] = signature
    return detail


def encrypted_detail(index: int, data: str, place: Place = START) -> JsonObject:
    """Return a `reasoning_details` entry for redacted thinking, which only Anthropic can read."""
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index, **place_fields(place)}


def arguments_json(tool_input: Json) -> str:
    """Return a tool's input as JSON text, "{}" if it is empty."""
    if isinstance(tool_input, str) and isinstance(decode_or_none(tool_input), dict):
        return tool_input
    return encode(tool_input).decode() if isinstance(tool_input, dict) and tool_input else "{}"


def call_id(native_id: Json, ordinal: int, name: str) -> str:
    """Return the id of a tool call; one from its position and name if the server sent none."""
    return native_id if isinstance(native_id, str) and native_id else minted_call_id(ordinal, name)


def content_blocks(content: Json) -> list[JsonObject]:
    """Return the content blocks of a whole message, whose content may be text alone."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return [{"type": "text", **block} if "text" in block else block for block in blocks]


def refusal_text(stop_details: Json) -> str | None:
    """Return Anthropic's explanation of a refusal, None if there is none."""
    match stop_details:
        case {"explanation": str(explanation)} if explanation:
            return explanation
        case _:
            return None
