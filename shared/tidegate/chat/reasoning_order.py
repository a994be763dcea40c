"""The place of a thinking block among the texts and tool calls of its message: interleaved thinking goes back in order.

Anthropic refuses signed thinking in another order than that of its reply. OpenAI's dialect has separate fields for
thinking, text and calls, so that the `id` of a `reasoning_details` entry says what came before its block: clients that
accept only the known fields of such an entry keep it.

Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking (2026): preserving thinking blocks.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tidegate.json import Json, JsonObject

_ID = re.compile(r"after_(\d{1,9})_characters_(\d{1,4})_calls")


class Place(NamedTuple):
    """How many characters of the message's text, and how many of its tool calls, come before a block."""

    characters: int = 0
    calls: int = 0


START = Place()


def place_fields(place: Place) -> JsonObject:
    """Return the `id` for a detail at that place; no field at the start, where nearly all thinking is."""
    return {} if place == START else {"id": f"after_{place.characters}_characters_{place.calls}_calls"}


def parse_place(detail_id: Json) -> Place:
    """Return the place in the `id` of a detail; the start for other ids."""
    match = _ID.fullmatch(detail_id) if isinstance(detail_id, str) else None
    return Place(int(match[1]), int(match[2])) if match else START


def in_order(
    thinking: Sequence[tuple[Place, JsonObject]], content: Sequence[JsonObject], calls: Sequence[Sequence[JsonObject]]
) -> list[JsonObject]:
    """Return all blocks of a message, each thinking block at its place; `calls` are the blocks of each call.

    A block with a `text` counts by its characters, and is divided where thinking was in its middle.
    """
    blocks: list[JsonObject] = []
    texts, groups = list(content), list(calls)
    characters = call_count = 0
    for place, block in thinking:
        while texts and characters < place.characters:
            block_of_text = texts.pop(0)
            text, room = block_of_text.get("text"), place.characters - characters
            if isinstance(text, str) and room < len(text):
                begin, end = _divide(block_of_text, text, room)
                blocks += begin
                texts[:0] = end
                characters = place.characters
            else:
                blocks.append(block_of_text)
                characters += len(text) if isinstance(text, str) else 0
        while groups and call_count < place.calls:
            blocks += groups.pop(0)
            call_count += 1
        blocks.append(block)
    return [*blocks, *texts, *(block for group in groups for block in group)]


def _divide(block: JsonObject, text: str, room: int) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the text block before and after `room` characters, each as a list: providers refuse blank texts.

    The marker of a cached prefix stays at the end.
    """
    before, after = text[:room], text[room:]
    if not before.strip():
        return [], [{**block, "text": after}]
    if not after.strip():
        return [block], []
    unmarked: JsonObject = {name: value for name, value in block.items() if name != "cache_control"}
    return [{**unmarked, "text": before}], [{**block, "text": after}]
