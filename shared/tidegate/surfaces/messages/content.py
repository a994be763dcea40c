"""Thinking and the input of tools as content blocks.

`thinking_blocks` of Anthropic's own go out with their signatures, so that Anthropic takes them back. Reasoning of other
providers gets a signature of ours, which holds it.
"""

from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces.messages import signatures
from tidegate.surfaces.messages.assistant_turn import ANTHROPIC


def anthropic_blocks(details: list[Json]) -> list[JsonObject] | None:
    """Return the thinking blocks in details of Anthropic's format; None if another provider has made one of them."""
    blocks: list[JsonObject] = []
    for detail in details:
        match detail:
            case {"type": "reasoning.text", "format": "anthropic-claude-v1", "signature": str(signature)}:
                blocks.append({"type": "thinking", "thinking": str(detail.get("text") or ""), "signature": signature})
            case {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": str(data)}:
                blocks.append({"type": "redacted_thinking", "data": data})
            case _:
                return None
    return blocks


def own_thinking(text: str, details: list[Json]) -> JsonObject | None:
    """Return the block for another provider's reasoning; None if there is none. Without a text, it is redacted."""
    if not text and not details:
        return None
    signature = signatures.pack(details or [{"type": "reasoning.text", "text": text}])
    if not text:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text, "signature": signature}


def tool_input(arguments: object) -> Json:
    """Return the input of a tool: an object, as the Messages API requires. Malformed arguments are kept as a text."""
    parsed = decode_or_none(arguments) if isinstance(arguments, str) and arguments.strip() else {}
    return parsed if isinstance(parsed, dict) else {"arguments": str(arguments)}


def is_anthropic(detail: Json) -> bool:
    """True for a detail of Anthropic's own thinking."""
    return isinstance(detail, dict) and detail.get("format") == ANTHROPIC
