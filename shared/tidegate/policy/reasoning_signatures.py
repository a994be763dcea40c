"""Signed reasoning across turns: what a client that drops unknown fields does not send back, we have kept.

Some providers sign their reasoning and want it back, unchanged, with the tool calls that followed. OpenAI's SDKs drop
`reasoning_details` when they replay a message; tool call ids they keep. So the details are kept under the id of the
first tool call of their message.
"""

from collections.abc import Sequence

from tidegate.chat.completion import Completion, Delta
from tidegate.chat.messages import AssistantMessage, Message
from tidegate.json import Json, JsonObject

MAX_TURNS = 50
"""Of a long conversation, the newest turns are looked up: one read holds no more than a hundred."""

MAX_ID_CHARACTERS = 256

_TEXTS = ("text", "summary", "data", "signature")


def ids_to_look_up(messages: Sequence[Message]) -> list[str]:
    """The ids under which the reasoning of earlier turns may be kept, for turns that came without it."""
    turns = (message for message in messages if isinstance(message, AssistantMessage) and message.tool_calls)
    found = [turn.tool_calls[0].id for turn in turns if turn.tool_calls and not turn.reasoning_details]
    return [tool_call_id for tool_call_id in found if 0 < len(tool_call_id) <= MAX_ID_CHARACTERS][-MAX_TURNS:]


def reasoning_to_store(completion: Completion) -> tuple[str, list[Json]] | None:
    """The id and the details to keep, None where no reasoning led to a tool call."""
    message = completion["choices"][0]["message"] if completion["choices"] else None
    if message is None:
        return None
    calls = message.get("tool_calls")
    return _entry_to_store(calls[0].get("id") if calls else None, message.get("reasoning_details") or [])


class ReasoningCollector:
    """The same of a stream, whose details come in pieces."""

    def __init__(self) -> None:
        self._first_id: str | None = None
        self._details: dict[tuple[str, str], JsonObject] = {}

    def add(self, delta: Delta) -> None:
        for call in delta.get("tool_calls") or ():
            if self._first_id is None and call.get("index", 0) == 0:
                self._first_id = call.get("id")
        for piece in delta.get("reasoning_details") or ():
            if isinstance(piece, dict):
                self._merge(piece)

    def to_store(self) -> tuple[str, list[Json]] | None:
        return _entry_to_store(self._first_id, list(self._details.values()))

    def _merge(self, piece: JsonObject) -> None:
        whole = self._details.setdefault((str(piece.get("type")), str(piece.get("index"))), {})
        for name, value in piece.items():
            before = whole.get(name)
            joined = name in _TEXTS and isinstance(value, str) and isinstance(before, str)
            whole[name] = f"{before}{value}" if joined else value


def _entry_to_store(tool_call_id: str | None, details: list[Json]) -> tuple[str, list[Json]] | None:
    return (tool_call_id, details) if tool_call_id and details else None
