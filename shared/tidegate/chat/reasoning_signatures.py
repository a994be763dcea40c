"""Signed reasoning across turns, stored here for clients that do not send it back.

Some providers sign their reasoning and want it back, unchanged, with the tool calls that followed. OpenAI's SDKs drop
`reasoning_details` when they replay a message, but keep the ids of tool calls. So the details are stored under the id
of the first tool call of their message.
"""

from collections.abc import Sequence
from typing import cast

from tidegate.chat.completion import Chunk, Completion, Delta
from tidegate.chat.messages import AssistantMessage, Message
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.json import Json, JsonObject

MAX_TURNS = 50
"""Only the newest turns of a long conversation are looked up: one batch read takes a hundred keys at most."""

MAX_ID_CHARACTERS = 256

_TEXTS = ("text", "summary", "data", "signature")


def ids_to_look_up(messages: Sequence[Message]) -> list[str]:
    """Return the tool call ids under which reasoning may be stored, for turns that were sent without it."""
    turns = (message for message in messages if isinstance(message, AssistantMessage) and message.tool_calls)
    found = [turn.tool_calls[0].id for turn in turns if turn.tool_calls and not turn.reasoning_details]
    return [tool_call_id for tool_call_id in found if 0 < len(tool_call_id) <= MAX_ID_CHARACTERS][-MAX_TURNS:]


class ChatReasoningCollector:
    """Chat's `ReasoningCollector`: the details of one reply, whole or streamed, by the id of its first tool call."""

    __slots__ = ("_details", "_first_id", "_reply_details")

    def __init__(self) -> None:
        self._first_id: str | None = None
        self._details: dict[tuple[str, str], JsonObject] = {}
        self._reply_details: list[Json] | None = None

    def add_reply(self, reply: Reply) -> None:
        choices = cast(Completion, reply)["choices"]
        message = choices[0]["message"] if choices else None
        tool_calls = message.get("tool_calls") if message else None
        self._first_id = tool_calls[0].get("id") if tool_calls else None
        self._reply_details = (message.get("reasoning_details") if message else None) or []

    def add_chunk(self, chunk: ReplyChunk) -> None:
        for choice in cast(Chunk, chunk)["choices"]:
            if choice["index"] == 0:
                self._add_delta(choice["delta"])

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        details: list[Json] = list(self._details.values()) if self._reply_details is None else self._reply_details
        return (self._first_id, details) if self._first_id and details else None

    def _add_delta(self, delta: Delta) -> None:
        for call in delta.get("tool_calls") or ():
            if self._first_id is None and call.get("index", 0) == 0:
                self._first_id = call.get("id")
        for piece in delta.get("reasoning_details") or ():
            if isinstance(piece, dict):
                self._merge(piece)

    def _merge(self, piece: JsonObject) -> None:
        detail = self._details.setdefault((str(piece.get("type")), str(piece.get("index"))), {})
        for name, value in piece.items():
            earlier = detail.get(name)
            is_text = name in _TEXTS and isinstance(value, str) and isinstance(earlier, str)
            detail[name] = f"{earlier}{value}" if is_text else value
