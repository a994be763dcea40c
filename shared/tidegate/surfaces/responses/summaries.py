"""A summary of a conversation as an item: what asks for it, and what only this gateway can read.

The text is in the encrypted content of the item, as the reasoning of other providers is: a later request may go to any
provider, which gets it as a message.

Source: https://platform.openai.com/docs/api-reference/responses/compact, and what Codex 0.171 sends (2026-11).
"""

from tidegate.json import Json, JsonObject
from tidegate.surfaces import sealed_details

SUMMARY_TYPES = ("compaction", "compaction_summary", "context_compaction")
PROMPT = """Write a summary of the conversation so far, for a model that continues it and sees nothing else of it but \
the messages of the user. Name the goal, the decisions and their reasons, what has been done and with which result \
(files, commands, identifiers, figures as they are), what is open, and the next step. Answer with the summary alone."""
_DETAIL = "compaction.summary"
_HEAD = "Summary of the conversation so far:\n\n"


def is_trigger(item: Json) -> bool:
    """True for the item that asks for a summary of all items before it."""
    return isinstance(item, dict) and item.get("type") == "compaction_trigger"


def summary_item(item_id: str, text: str) -> JsonObject:
    """Return the item for a summary that a model has written."""
    sealed = sealed_details.pack([{"type": _DETAIL, "text": _HEAD + text}])
    return {"id": item_id, "type": "compaction", "encrypted_content": sealed}


def own_summary(item: JsonObject) -> str | None:
    """Return the text of a summary of this gateway's; None for other items."""
    if item.get("type") not in SUMMARY_TYPES:
        return None
    match sealed_details.unpack(item.get("encrypted_content")):
        case [{"type": "compaction.summary", "text": str(text)}, *_]:
            return text
        case _:
            return None
