"""Thinking and the input of tools as content blocks.

Anthropic's own thinking goes out with its signatures, so that Anthropic takes it back. Reasoning of other providers
gets a signature of ours, which holds it.
"""

from tidegate.chat.reasoning_order import Place, parse_place
from tidegate.json import Json, JsonObject, decode_or_none
from tidegate.surfaces import sealed_details
from tidegate.surfaces.messages.assistant_turn import ANTHROPIC
from tidegate.surfaces.messages.notes import Notes


def anthropic_blocks(details: list[Json]) -> list[tuple[Place, JsonObject]] | None:
    """Return the thinking blocks in details of Anthropic's format, each with its place.

    None if another provider has made one of them, or one has no signature: then they need a signature of ours.
    """
    blocks: list[tuple[Place, JsonObject]] = []
    for detail in details:
        match detail:
            case {"type": "reasoning.text", "format": "anthropic-claude-v1", "signature": str(signature)}:
                text = str(detail.get("text") or "")
                block: JsonObject = {"type": "thinking", "thinking": text, "signature": signature}
            case {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "data": str(data)}:
                block = {"type": "redacted_thinking", "data": data}
            case _:
                return None
        blocks.append((parse_place(detail.get("id")), block))
    return blocks


def own_thinking(text: str, details: list[Json], notes: Notes) -> JsonObject | None:
    """Return the block for another provider's reasoning; None without any, or for a caller that did not ask.

    Without a text, it is redacted.
    """
    if notes.thinking == "none" or not (text or details):
        return None
    signature = sealed_details.pack(details or [{"type": "reasoning.text", "text": text}])
    if not text:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": text if notes.thinking == "shown" else "", "signature": signature}


def tool_input(arguments: object) -> Json:
    """Return the input of a tool: an object, as the Messages API requires. Malformed arguments are kept as a text."""
    parsed = decode_or_none(arguments) if isinstance(arguments, str) and arguments.strip() else {}
    return parsed if isinstance(parsed, dict) else {"arguments": str(arguments)}


def is_anthropic(detail: Json) -> bool:
    """True for a detail of Anthropic's own thinking."""
    return isinstance(detail, dict) and detail.get("format") == ANTHROPIC
