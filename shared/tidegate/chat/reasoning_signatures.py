"""Signed reasoning across turns: what a client that drops unknown fields does not send back, we have kept.

Some providers sign their reasoning and want it back, unchanged, with the tool calls that followed. OpenAI's SDKs drop
`reasoning_details` when they replay a message; tool call ids they keep. So the details are kept under the id of the
first tool call of their message.
"""

from collections.abc import Sequence
from typing import cast

from tidegate.chat.completion import Chunk, Completion, Delta
from tidegate.chat.messages import AssistantMessage, Message
from tidegate.domain.operation import Reply, ReplyChunk
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


class ChatReasoningCollector:
    """The signed reasoning of one reply, whole or streamed. Details of a stream come in pieces."""

    __slots__ = ("_details", "_first_id", "_reply_details")

    def __init__(self) -> None:
        self._first_id: str | None = None
        self._details: dict[tuple[str, str], JsonObject] = {}
        self._reply_details: list[Json] | None = None

    def add_reply(self, reply: Reply) -> None:
        """See `ReasoningCollector.add_reply`."""
        choices = cast(Completion, reply)["choices"]
        message = choices[0]["message"] if choices else None
        calls = message.get("tool_calls") if message else None
        self._first_id = calls[0].get("id") if calls else None
        self._reply_details = (message.get("reasoning_details") if message else None) or []

    def add_chunk(self, chunk: ReplyChunk) -> None:
        """See `ReasoningCollector.add_chunk`."""
        for choice in cast(Chunk, chunk)["choices"]:
            if choice["index"] == 0:
                self._add_delta(choice["delta"])

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        """See `ReasoningCollector.signed_reasoning`."""
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
        whole = self._details.setdefault((str(piece.get("type")), str(piece.get("index"))), {})
        for name, value in piece.items():
            before = whole.get(name)
            joined = name in _TEXTS and isinstance(value, str) and isinstance(before, str)
            whole[name] = f"{before}{value}" if joined else value
