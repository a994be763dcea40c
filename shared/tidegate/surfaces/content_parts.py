"""Content of chat messages that the dialects of agents share: a single text, and the media of results of tools.

Few providers take images and documents in the result of a tool, so they go into a message of the user after it.
"""

from tidegate.json import Json, JsonObject

MEDIA = ("image_url", "document", "file", "input_audio")
"""The types of parts that are not texts."""


def as_content(parts: list[Json]) -> Json:
    """Return the text of the only part, if it is a plain text; the parts otherwise."""
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case _:
            return parts


def without_media(parts: list[Json], call_id: Json) -> tuple[list[Json], list[Json]]:
    """Return the texts of a tool's result with a note about its media, and the media with a label; none if it has none.

    `call_id` is that of the tool's call.
    """
    texts: list[Json] = []
    media: list[Json] = []
    for part in parts:
        (media if isinstance(part, dict) and part.get("type") in MEDIA else texts).append(part)
    if not media:
        return parts, []
    note: JsonObject = {"type": "text", "text": f"[{len(media)} attached below]"}
    label: JsonObject = {"type": "text", "text": f"From the result of the tool call {call_id}:"}
    return [*texts, note], [label, *media]
