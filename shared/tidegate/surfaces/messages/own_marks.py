"""A body for Anthropic without the marks that the gateway has put into replies of other providers.

Anthropic refuses signatures that are not its own, indexes of search results that it did not encrypt, and ids of calls
with other characters than its own.

Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking (2026-11); the alphabet of ids is in its
error: "String should match pattern '^[a-zA-Z0-9_-]+$'".
"""

import re

from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details

CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_OTHER = re.compile(r"[^a-zA-Z0-9_-]")


def without_own_marks(raw: JsonObject) -> JsonObject:
    """Return the body without thinking and citations of the gateway's, and with valid ids of calls."""
    turns = raw.get("messages")
    cleaned: list[Json] = []
    for turn in turns if isinstance(turns, list) else []:
        match turn:
            case {"role": "assistant", "content": list(listed)}:
                rest = [_cleaned(block) for block in listed if not _is_own_thinking(block)]
                cleaned.append({**turn, "content": rest or [{"type": "text", "text": "(no content)"}]})
            case {"content": list(listed)}:
                cleaned.append({**turn, "content": [_with_valid_id(block, "tool_use_id") for block in listed]})
            case _:
                cleaned.append(turn)
    return {**raw, "messages": cleaned}


def _is_own_thinking(block: Json) -> bool:
    return isinstance(block, dict) and any(sealed_details.is_ours(block.get(name)) for name in ("signature", "data"))


def _cleaned(block: Json) -> Json:
    match block:
        case {"type": "text", "citations": list(citations)}:
            rest = {name: value for name, value in block.items() if name != "citations"}
            kept = [each for each in citations if not _is_own_citation(each)]
            return {**rest, "citations": kept} if kept else rest
        case {"type": "tool_use"}:
            return _with_valid_id(block, "id")
        case _:
            return block


def _is_own_citation(citation: Json) -> bool:
    return isinstance(citation, dict) and sealed_details.is_ours(citation.get("encrypted_index"))


def _with_valid_id(block: Json, name: str) -> Json:
    call_id = block.get(name) if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(call_id, str) or CALL_ID.fullmatch(call_id):
        return block
    return {**block, name: _OTHER.sub("_", call_id)}
