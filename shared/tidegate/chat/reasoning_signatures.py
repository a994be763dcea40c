"""Signed reasoning across turns, stored here for clients that do not send it back.

Some providers sign their reasoning and want it back, unchanged, with the tool calls that followed. OpenAI's SDKs drop
`reasoning_details` when they replay a message. So the details are stored under a digest of the conversation up to and
including that message. Ids of tool calls do not identify a turn: some providers number them anew in each conversation.

The digest leaves out what clients change when they replay messages: white space around texts, the form of arguments,
and the boundaries between messages of an assistant. A client that changes more loses its stored reasoning.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import cast

from tidegate.chat.completion import Completion, Delta, ToolCall
from tidegate.chat.messages import (
    AssistantMessage,
    AssistantToolCall,
    Content,
    FunctionMessage,
    Message,
    RefusalPart,
    TextPart,
    ToolMessage,
)
from tidegate.domain.operation import Reply
from tidegate.json import Json, JsonObject, decode_bounded_or_none, encode_canonical

MAX_TURNS = 50
"""Only the newest turns of a long conversation are looked up: one batch read takes a hundred keys at most."""

_TEXTS = ("text", "summary", "data", "signature")

_EXACT_INTEGERS = 2**53
"""Below it, a float has each integer."""


def turns_to_look_up(messages: Sequence[Message]) -> dict[int, str]:
    """Return the digests of turns with tool calls that were sent without their reasoning, by their first message."""
    if not any(map(_lacks_reasoning, messages)):
        return {}
    digest = _ConversationDigest()
    found: dict[int, str] = {}
    index = 0
    for _, messages_of_turn in groupby(messages, lambda message: isinstance(message, AssistantMessage)):
        turn = list(messages_of_turn)
        for message in turn:
            digest.add_message(message)
        if any(map(_lacks_reasoning, turn)) and not any(map(_has_reasoning, turn)):
            found[index] = digest.hex()
        index += len(turn)
    return dict(list(found.items())[-MAX_TURNS:])


def _lacks_reasoning(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and bool(message.tool_calls) and not message.reasoning_details


def _has_reasoning(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and bool(message.reasoning_details)


class _ConversationDigest:
    """The digest of a conversation so far. Each text goes in with its length, so that no two can be confused."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = sha256()

    def hex(self) -> str:
        return self._hash.hexdigest()

    def add_message(self, message: Message) -> None:
        match message:
            case AssistantMessage():
                self.add_content("assistant", message.content)
                self.add_content("assistant", message.refusal)
                for call in message.tool_calls or ():
                    self._add_call(call)
                if message.function_call is not None:
                    self._add("call", "", message.function_call.name, _arguments(message.function_call.arguments))
            case ToolMessage():
                self._add("tool", message.tool_call_id)
                self.add_content("result", message.content)
            case FunctionMessage():
                self._add("function", message.name)
                self.add_content("result", message.content)
            case _:
                self._add(type(message).__name__, message.name or "")
                self.add_content("text", message.content)

    def add_content(self, kind: str, content: Content | None) -> None:
        """Add a text, or parts; adjacent texts count as one."""
        text = ""
        for part in [content] if isinstance(content, str) else content or ():
            match part:
                case str():
                    text += part
                case TextPart():
                    text += part.text
                case RefusalPart():
                    text += part.refusal
                case _:
                    self._add_text(kind, text)
                    text = ""
                    self._add("part", repr(part))
        self._add_text(kind, text)

    def add_reply_call(self, call: ToolCall) -> None:
        function, custom = call.get("function"), call.get("custom")
        if function is not None:
            self._add("call", call.get("id", ""), function.get("name", ""), _arguments(function.get("arguments", "")))
        elif custom is not None:
            self._add_custom(call.get("id", ""), custom)

    def _add_call(self, call: AssistantToolCall) -> None:
        if call.function is not None:
            self._add("call", call.id, call.function.name, _arguments(call.function.arguments))
        elif call.custom is not None:
            self._add_custom(call.id, call.custom)

    def _add_custom(self, call_id: str, custom: Mapping[str, object]) -> None:
        self._add("custom", call_id, str(custom.get("name")), str(custom.get("input")).strip())

    def _add_text(self, kind: str, text: str) -> None:
        stripped = text.strip()
        if stripped:
            self._add(kind, stripped)

    def _add(self, *texts: str) -> None:
        for text in texts:
            raw = text.encode("utf-8", "surrogatepass")
            self._hash.update(b"%d:" % len(raw))
            self._hash.update(raw)


def _arguments(text: str) -> str:
    """Return the arguments in one form for all JSON texts with the same value."""
    stripped = text.strip()
    value = decode_bounded_or_none(stripped.encode("utf-8", "surrogatepass")) if stripped else {}
    return stripped if value is None else encode_canonical(_normalise(value)).decode()


def _normalise(value: Json) -> Json:
    """Return the value with whole numbers as integers: JavaScript writes 1.0 as 1."""
    match value:
        case float() if value.is_integer() and abs(value) < _EXACT_INTEGERS:
            return int(value)
        case list():
            return [_normalise(item) for item in value]
        case dict():
            return {name: _normalise(item) for name, item in value.items()}
        case _:
            return value


class ChatReasoningCollector:
    """Chat's `ReasoningCollector`: the details of one reply, whole or streamed, and the text and calls beside them.

    `messages` are the conversation that the reply continues.
    """

    __slots__ = ("_calls", "_details", "_details_by_index", "_messages", "texts")

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self.texts: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._details: list[Json] = []
        self._details_by_index: dict[tuple[str, str], JsonObject] = {}

    def add_reply(self, reply: Reply) -> None:
        choices = cast(Completion, reply)["choices"]
        if choices:
            message = choices[0]["message"]
            self.texts = [message.get("content") or ""]
            self._calls = dict(enumerate(message.get("tool_calls") or ()))
            self._details = message.get("reasoning_details") or []

    def add_delta(self, delta: Mapping[str, object]) -> None:
        # The deltas of the operation have its type.
        chat_delta: Delta = delta  # pyright: ignore[reportAssignmentType]
        text = chat_delta.get("content")
        if text:
            self.texts.append(text)
        for piece in chat_delta.get("tool_calls") or ():
            self._add_call(piece)
        for piece in chat_delta.get("reasoning_details") or ():
            if isinstance(piece, dict):
                self._add_detail(piece)

    def signed_reasoning(self) -> tuple[str, list[Json]] | None:
        details = self._details or list[Json](self._details_by_index.values())
        if not details or not self._calls:
            return None
        digest = _ConversationDigest()
        for message in self._messages:
            digest.add_message(message)
        digest.add_content("assistant", "".join(self.texts))
        for _, call in sorted(self._calls.items(), key=lambda pair: pair[0]):
            digest.add_reply_call(call)
        return digest.hex(), details

    def _add_call(self, piece: ToolCall) -> None:
        index = piece.get("index", 0)
        call = self._calls.get(index)
        if call is None:
            self._calls[index] = {**piece, "function": {**piece["function"]}} if "function" in piece else {**piece}
            return
        function, fragment = call.get("function"), piece.get("function", {}).get("arguments")
        if function is not None and fragment:
            function["arguments"] = function.get("arguments", "") + fragment
        custom, custom_piece = call.get("custom"), piece.get("custom")
        if custom is not None and custom_piece:
            call["custom"] = {**custom, "input": f"{custom.get('input') or ''}{custom_piece.get('input') or ''}"}

    def _add_detail(self, piece: JsonObject) -> None:
        detail = self._details_by_index.setdefault((str(piece.get("type")), str(piece.get("index"))), {})
        for name, value in piece.items():
            earlier = detail.get(name)
            is_text = name in _TEXTS and isinstance(value, str) and isinstance(earlier, str)
            detail[name] = f"{earlier}{value}" if is_text else value
