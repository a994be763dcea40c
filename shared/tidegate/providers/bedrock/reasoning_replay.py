"""Reasoning, which must come back as it was given: as Converse's blocks, and as OpenRouter's `reasoning_details`.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html and
https://openrouter.ai/docs/use-cases/reasoning-tokens (2026). A blob is base64 in JSON; what Claude redacts is base64
already, which is taken off once, so that the same details serve Anthropic's own API.
"""

import binascii
from base64 import b64decode, b64encode

from tidegate.json import Json, JsonObject
from tidegate.providers.bedrock.request_builder import Draft

CLAUDE = "anthropic-claude-v1"
RAW = "bedrock-redacted-v1"
UNSIGNED = "unknown"
_OURS = (CLAUDE, RAW, None)


def replayed(draft: Draft, message: JsonObject) -> list[JsonObject]:
    """The signed reasoning of an assistant's turn: from the message, or else from what was kept for its tool calls."""
    if not draft.family.replays_reasoning:
        return []
    details = message.get("reasoning_details") or _thinking_blocks(message) or _kept(draft, message)
    return _blocks(details) if isinstance(details, list) else []


def text_details(text: str, signature: str | None, index: int) -> JsonObject:
    detail: JsonObject = {"type": "reasoning.text", "text": text, "format": UNSIGNED, "index": index}
    if signature:
        detail |= {"signature": signature, "format": CLAUDE}
    return detail


def signature_details(signature: str, index: int) -> JsonObject:
    """The signature of a text that came in pieces before it."""
    return {"type": "reasoning.text", "signature": signature, "format": CLAUDE, "index": index}


def redacted_details(blob: str, index: int) -> JsonObject:
    try:
        data, form = b64decode(blob, validate=True).decode("ascii"), CLAUDE
    except (binascii.Error, ValueError):
        data, form = blob, RAW
    return {"type": "reasoning.encrypted", "data": data, "format": form, "index": index}


def _kept(draft: Draft, message: JsonObject) -> Json:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(given)} if given in draft.call.signatures:
                return draft.call.signatures[given]
            case _:
                pass
    return None


def _thinking_blocks(message: JsonObject) -> list[Json]:
    """What LiteLLM's clients send back: Anthropic's own blocks."""
    found: list[Json] = []
    blocks = message.get("thinking_blocks")
    for block in blocks if isinstance(blocks, list) else ():
        match block:
            case {"type": "thinking", "thinking": str(text), "signature": str(signature)}:
                found.append({"type": "reasoning.text", "text": text, "signature": signature})
            case {"type": "redacted_thinking", "data": str(data)}:
                found.append({"type": "reasoning.encrypted", "data": data})
            case _:
                pass
    return found


def _blocks(details: list[Json]) -> list[JsonObject]:
    """Details of one index are pieces of one block, as they came in a stream."""
    made: list[JsonObject] = []
    texts: dict[Json, JsonObject] = {}
    for place, detail in enumerate(details):
        match detail:
            case {"type": "reasoning.text"} if detail.get("format") in (*_OURS, UNSIGNED):
                index = detail.get("index", f"at {place}")
                if index not in texts:
                    texts[index] = {"text": "", "signature": ""}
                    made.append({"reasoningText": texts[index]})
                for name in ("text", "signature"):
                    piece = detail.get(name)
                    texts[index][name] = f"{texts[index][name]}{piece if isinstance(piece, str) else ''}"
            case {"type": "reasoning.encrypted", "data": str(data)} if detail.get("format") in _OURS:
                blob = data if detail.get("format") == RAW else b64encode(data.encode()).decode()
                made.append({"redactedContent": blob})
            case _:
                pass
    return [{"reasoningContent": block} for block in made if _is_signed(block)]


def _is_signed(block: JsonObject) -> bool:
    match block:
        case {"reasoningText": {"signature": ""}}:
            return False
        case _:
            return True
