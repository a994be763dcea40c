"""Encrypted reasoning as `reasoning_details`, and back as input items, each at its place in the turn.

Sources, read in 2026-11: https://platform.openai.com/docs/guides/reasoning (encrypted reasoning items, stateless),
`reasoning_details` as in https://openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from collections.abc import Mapping

from tidegate.chat.reasoning_order import Place, parse_place, place_fields
from tidegate.json import Json, JsonObject

FORMAT = "openai-responses-v1"
"""The `format` of OpenAI's `reasoning_details`, as in OpenRouter."""

_PLACE = "@"
"""Separates the item's id from its place in the `id` of a detail."""


def encrypted_detail(item: Mapping[str, Json], index: int, place: Place) -> JsonObject:
    """Return the detail that keeps an item's encrypted reasoning; `place` is where it was in the turn."""
    item_id, place_id = item.get("id"), place_fields(place).get("id")
    detail_id = item_id if isinstance(item_id, str) else ""
    if isinstance(place_id, str):
        detail_id = f"{detail_id}{_PLACE}{place_id}"
    detail: JsonObject = {"type": "reasoning.encrypted", "data": item.get("encrypted_content")}
    return {**detail, **({"id": detail_id} if detail_id else {}), "format": FORMAT, "index": index}


def reasoning_items(details: Json) -> list[tuple[Place, JsonObject]]:
    """Return the reasoning items to send back, each with its place. Reasoning of other providers is left out."""
    entries = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
    own = [entry for entry in entries if entry.get("format") == FORMAT]
    summaries: dict[str, list[str]] = {}
    for entry in own:
        match entry:
            case {"type": "reasoning.summary", "summary": str(text)}:
                summaries.setdefault(str(entry.get("index")), []).append(text)
            case _:
                pass
    items: list[tuple[Place, JsonObject]] = []
    for entry in own:
        match entry:
            case {"type": "reasoning.encrypted", "data": str(data)} if data:
                items.append(_item(entry, data, "".join(summaries.get(str(entry.get("index")), ()))))
            case _:
                pass
    return items


def _item(detail: JsonObject, data: str, summary: str) -> tuple[Place, JsonObject]:
    detail_id = detail.get("id")
    item_id, _, place_id = detail_id.partition(_PLACE) if isinstance(detail_id, str) else ("", "", "")
    texts: list[Json] = [{"type": "summary_text", "text": summary}] if summary else []
    item: JsonObject = {"type": "reasoning", **({"id": item_id} if item_id else {}), "summary": texts}
    return parse_place(place_id), {**item, "encrypted_content": data}
