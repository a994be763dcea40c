"""Thinking that a client sends back, as the unmodified blocks that Anthropic signed, with their place in their turn.

Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking#preserving-thinking-blocks;
`reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens; `thinking_blocks` are LiteLLM's.
"""

from tidegate.chat.reasoning_order import START, Place, parse_place
from tidegate.json import Json, JsonObject

FORMAT = "anthropic-claude-v1"


PlacedBlock = tuple[Place, JsonObject]


def thinking_blocks(message: JsonObject, stored_details: Json) -> list[PlacedBlock]:
    """Return the thinking of an assistant's message, or else the stored one, each block with its place."""
    return (
        _from_details(message.get("reasoning_details"))
        or [(START, block) for block in _from_thinking_blocks(message.get("thinking_blocks"))]
        or [(START, block) for block in _from_extra_fields(message)]
        or _from_details(stored_details)
    )


def _from_details(details: Json) -> list[PlacedBlock]:
    """Read `reasoning_details`. Clients may send them in the pieces of a stream: a signature ends its block."""
    blocks: list[PlacedBlock] = []
    entries = (entry for entry in details if isinstance(entry, dict)) if isinstance(details, list) else ()
    texts: list[str] = []
    current_index: Json = None
    place = START
    for detail in entries:
        if detail.get("format", FORMAT) not in (FORMAT, None):
            continue
        match detail:
            case {"type": "reasoning.encrypted", "data": str(data)} if data:
                blocks.append((parse_place(detail.get("id")), {"type": "redacted_thinking", "data": data}))
            case {"type": "reasoning.text"}:
                if detail.get("index") != current_index:
                    texts, current_index, place = [], detail.get("index"), START
                place = parse_place(detail.get("id")) if detail.get("id") else place
                text, signature = detail.get("text"), detail.get("signature")
                texts.append(text if isinstance(text, str) else "")
                if isinstance(signature, str) and signature:
                    thinking: JsonObject = {"type": "thinking", "thinking": "".join(texts), "signature": signature}
                    blocks.append((place, thinking))
                    texts = []
            case _:
                pass
    return blocks


def _from_thinking_blocks(thinking_blocks: Json) -> list[JsonObject]:
    blocks: list[JsonObject] = []
    for block in thinking_blocks if isinstance(thinking_blocks, list) else ():
        match block:
            case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
                blocks.append({"type": "thinking", "thinking": text, "signature": signature})
            case {"type": "redacted_thinking", "data": str(data)} if data:
                blocks.append({"type": "redacted_thinking", "data": data})
            case _:
                pass
    return blocks


def _from_extra_fields(message: JsonObject) -> list[JsonObject]:
    """Read thinking blocks from the fields in which LiteLLM and any-llm keep them."""
    for name in ("provider_specific_fields", "extra_content"):
        match message.get(name):
            case {"thinking_blocks": thinking_blocks} | {"anthropic": {"thinking_blocks": thinking_blocks}}:
                return _from_thinking_blocks(thinking_blocks)
            case _:
                pass
    return []
