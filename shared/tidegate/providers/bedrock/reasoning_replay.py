"""Reasoning between Converse's blocks and OpenRouter's `reasoning_details`: models require it back unmodified.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html and
https://openrouter.ai/docs/use-cases/reasoning-tokens (2026). A blob is base64 in JSON; Claude's redacted thinking is
base64 already, so it is decoded once, and Anthropic's own API accepts the details too.
"""

import binascii
from base64 import b64decode, b64encode

from tidegate.chat.reasoning_order import START, Place, parse_place, place_fields
from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock.request_builder import BedrockRequestBuilder

CLAUDE_FORMAT = "anthropic-claude-v1"
RAW_FORMAT = "bedrock-redacted-v1"
UNSIGNED_FORMAT = "unknown"
_REPLAYED_FORMATS = (CLAUDE_FORMAT, RAW_FORMAT, None)


PlacedBlock = tuple[Place, JsonObject]


def reasoning_blocks(builder: BedrockRequestBuilder, message: JsonObject, index: int) -> list[PlacedBlock]:
    """Return the signed reasoning of the message at `index`, or else the stored one, each block with its place."""
    if not builder.capabilities.replays_reasoning:
        return []
    stored_details = builder.call.signatures.get(index)
    details = message.get("reasoning_details") or _thinking_blocks(message) or stored_details
    return _converse_blocks(details) if isinstance(details, list) else []


def reasoning_text_detail(text: str, signature: str | None, index: int, place: Place = START) -> JsonObject:
    detail: JsonObject = {"type": "reasoning.text", "text": text, "format": UNSIGNED_FORMAT, "index": index}
    detail |= place_fields(place)
    if signature:
        detail |= {"signature": signature, "format": CLAUDE_FORMAT}
    return detail


def signature_detail(signature: str, index: int, place: Place = START) -> JsonObject:
    """Return the detail for the signature of a streamed text, which comes after the text."""
    detail: JsonObject = {"type": "reasoning.text", "signature": signature, "format": CLAUDE_FORMAT, "index": index}
    return detail | place_fields(place)


def encrypted_detail(blob: str, index: int, place: Place = START) -> JsonObject:
    try:
        data, detail_format = b64decode(blob, validate=True).decode("ascii"), CLAUDE_FORMAT
    except (binascii.Error, ValueError):
        data, detail_format = blob, RAW_FORMAT
    detail: JsonObject = {"type": "reasoning.encrypted", "data": data, "format": detail_format, "index": index}
    return detail | place_fields(place)


def _thinking_blocks(message: JsonObject) -> list[Json]:
    """Read Anthropic's thinking blocks, which LiteLLM's clients send back."""
    details: list[Json] = []
    blocks = message.get("thinking_blocks")
    for block in blocks if isinstance(blocks, list) else ():
        match block:
            case {"type": "thinking", "thinking": str(text), "signature": str(signature)}:
                details.append({"type": "reasoning.text", "text": text, "signature": signature})
            case {"type": "redacted_thinking", "data": str(data)}:
                details.append({"type": "reasoning.encrypted", "data": data})
            case _:
                pass
    return details


def _converse_blocks(details: list[Json]) -> list[PlacedBlock]:
    """Return signed blocks for the details. Details with the same index are pieces of one block."""
    contents: list[PlacedBlock] = []
    texts: dict[Json, JsonObject] = {}
    for position, detail in enumerate(details):
        match detail:
            case {"type": "reasoning.text"} if detail.get("format") in (*_REPLAYED_FORMATS, UNSIGNED_FORMAT):
                index = detail.get("index", f"at {position}")
                if index not in texts:
                    texts[index] = {"text": "", "signature": ""}
                    contents.append((parse_place(detail.get("id")), {"reasoningText": texts[index]}))
                for name in ("text", "signature"):
                    piece = detail.get(name)
                    texts[index][name] = f"{texts[index][name]}{piece if isinstance(piece, str) else ''}"
            case {"type": "reasoning.encrypted", "data": str(data)} if detail.get("format") in _REPLAYED_FORMATS:
                blob = data if detail.get("format") == RAW_FORMAT else b64encode(data.encode()).decode()
                contents.append((parse_place(detail.get("id")), {"redactedContent": blob}))
            case _:
                pass
    return [(place, {"reasoningContent": block}) for place, block in contents if _is_signed(block)]


def _is_signed(block: JsonObject) -> bool:
    match block:
        case {"reasoningText": {"signature": ""}}:
            return False
        case _:
            return True
