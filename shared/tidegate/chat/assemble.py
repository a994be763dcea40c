"""The chunks of a stream merged into one completion; `replay.py` does the reverse.

Source: https://platform.openai.com/docs/api-reference/chat-streaming. Unknown fields are merged as in
https://github.com/openai/openai-python (accumulate_delta): texts and lists are concatenated, objects are merged, and
the last one of any other values wins.
"""

from typing import TypeAlias, cast

import msgspec

from tidegate.chat.completion import Chunk, ChunkChoice, Completion, Usage
from tidegate.domain.operation import ReplyChunk
from tidegate.domain.origin import NATIVE
from tidegate.json import Json, JsonObject, decode

_NON_REPLY_FIELDS = frozenset({"object", "choices", "usage", NATIVE})
_CHOICE_FIELDS = frozenset({"index", "delta", "finish_reason", "logprobs"})
_NOT_CHUNKS = (msgspec.DecodeError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""Errors of decoding and assembling values that are not chunks."""

_UNSPLIT_FIELDS = frozenset({"id", "type", "role", "index", "format", "name", "expires_at"})
"""Text fields that a stream never sends in pieces."""


class CompletionAssembler:
    """Merges chunks into a completion. The chunks themselves are never changed."""

    __slots__ = ("_choices", "_reply", "_usage")

    def __init__(self) -> None:
        self._reply: JsonObject = {}
        self._choices: dict[int, _ChoiceAssembler] = {}
        self._usage: Usage | None = None

    def add(self, chunk: ReplyChunk) -> None:
        """Merge the next chunk; call it in the order of the stream."""
        chat_chunk = cast(Chunk, chunk)
        self._usage = chat_chunk.get("usage") or self._usage
        reply = self._reply
        for name, value in cast(JsonObject, chunk).items():
            if name not in _NON_REPLY_FIELDS and (value is not None or name not in reply):
                reply[name] = value
        for choice in chat_chunk["choices"]:
            assembler = self._choices.get(choice["index"])
            if assembler is None:
                assembler = self._choices[choice["index"]] = _ChoiceAssembler()
            elif assembler.add_text(choice):
                continue
            assembler.add(choice)

    @property
    def is_complete(self) -> bool:
        """True once every choice has a finish reason."""
        return bool(self._choices) and all(choice.has_ended for choice in self._choices.values())

    def reply(self) -> Completion:
        """The completion so far. A choice that has not ended has the finish reason null."""
        choices: list[Json] = [choice.completion_choice(index) for index, choice in sorted(self._choices.items())]
        completion: JsonObject = {"system_fingerprint": None, **self._reply}
        completion |= {"object": "chat.completion", "choices": choices}
        if self._usage is not None:
            completion["usage"] = cast(JsonObject, self._usage)
        return cast(Completion, completion)


def assemble_lines(lines: bytes) -> JsonObject | None:
    """Return the completion of chunks in JSON arrays in lines, or in events; None if they cannot be assembled."""
    assembler = CompletionAssembler()
    try:
        for line in filter(None, lines.splitlines()):
            if line.startswith(b"data: "):
                assembler.add(cast(ReplyChunk, decode(line[6:])))
                continue
            for chunk in cast(list[ReplyChunk], decode(line)):
                assembler.add(chunk)
    except _NOT_CHUNKS:  # what a provider has sent must not make the rest of its trace unreadable
        return None
    return cast(JsonObject, assembler.reply())


class _ChoiceAssembler:
    __slots__ = ("_calls", "_details", "_fields", "_logprobs", "_message", "has_ended")

    def __init__(self) -> None:
        self.has_ended = False
        self._fields: JsonObject = {}
        self._message: _Partial = None
        self._calls: dict[int, _Partial] = {}
        self._details: list[tuple[tuple[str, str], _Partial]] = []
        self._logprobs: _Partial = None

    def add_text(self, choice: ChunkChoice) -> bool:
        """Add a choice that has nothing but more text, as most have; False for others, which `add` takes."""
        content = choice["delta"].get("content")
        if len(choice["delta"]) != 1 or choice["finish_reason"] is not None or not content:
            return False
        if len(choice) > 3 and (len(choice) > 4 or choice.get("logprobs", 0) is not None):
            return False
        message = self._message
        partial = message.get("content") if isinstance(message, dict) else None
        if not isinstance(partial, _TextPieces):
            return False
        partial.pieces.append(content)
        return True

    def add(self, choice: ChunkChoice) -> None:
        raw = cast(JsonObject, choice)
        if len(raw) > 3:
            self._fields |= {name: value for name, value in raw.items() if name not in _CHOICE_FIELDS}
            self._logprobs = _merge(self._logprobs, raw.get("logprobs"))
        if choice["finish_reason"] is not None:
            self.has_ended = True
            self._fields["finish_reason"] = choice["finish_reason"]
        delta_fields: JsonObject = {}
        for name, value in cast(JsonObject, choice["delta"]).items():
            match name, value:
                case "tool_calls", list(calls):
                    self._add_tool_calls(calls)
                case "reasoning_details", list(details):
                    self._add_reasoning_details(details)
                case _:
                    delta_fields[name] = value
        self._message = _merge(self._message, delta_fields)

    def _add_tool_calls(self, calls: list[Json]) -> None:
        for call in calls:
            if isinstance(call, dict):
                index = call.get("index")
                position = index if isinstance(index, int) else len(self._calls)
                piece = {name: value for name, value in call.items() if name != "index"}
                self._calls[position] = _merge(self._calls.get(position), piece)

    def _add_reasoning_details(self, details: list[Json]) -> None:
        """Pieces of one detail share its type and index; a detail without an index is complete."""
        for piece in details:
            index = piece.get("index") if isinstance(piece, dict) else None
            detail_key = (str(piece.get("type")), str(index)) if isinstance(piece, dict) else ("", "")
            at = next((at for at, (key, _) in enumerate(self._details) if key == detail_key), None)
            if index is None or at is None:
                self._details.append((detail_key, _merge(None, piece)))
            else:
                self._details[at] = detail_key, _merge(self._details[at][1], piece)

    def completion_choice(self, index: int) -> JsonObject:
        """The choice of a completion. An empty content beside tool calls becomes null."""
        merged = _finished(self._message)
        message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(merged, dict):
            message |= merged
        calls: list[Json] = [_finished(call) for _, call in sorted(self._calls.items(), key=_index)]
        if calls or "function_call" in message:
            message["content"] = message["content"] or None
        if calls:
            message["tool_calls"] = calls
        if self._details:
            message["reasoning_details"] = [_finished(detail) for _, detail in self._details]
        message["refusal"] = message["refusal"] or None
        logprobs = _finished(self._logprobs)
        return {"index": index, "message": message, "finish_reason": None, "logprobs": logprobs, **self._fields}


class _TextPieces:
    """A text in pieces, which are joined once, at the end."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


_Partial: TypeAlias = "_TextPieces | list[Json] | dict[str, _Partial] | bool | int | float | None"
"""A value that later pieces may extend. It shares no mutable part with the chunks."""


def _merge(partial: _Partial, piece: Json, name: str = "") -> _Partial:
    """`partial` with `piece` appended, in place; `piece` itself stays unchanged, and null changes nothing."""
    match partial, piece:
        case _, None:
            return partial
        case _TextPieces(), str() if name not in _UNSPLIT_FIELDS:
            partial.pieces.append(piece)
            return partial
        case list(), list():
            partial.extend(piece)
            return partial
        case _, str():
            return _TextPieces(piece)
        case _, list():
            return piece.copy()
        case _, dict():
            merged = partial if isinstance(partial, dict) else {}
            for field, value in piece.items():
                merged[field] = _merge(merged.get(field), value, field)
            return merged
        case _:
            return piece


def _finished(partial: _Partial) -> Json:
    match partial:
        case _TextPieces():
            return "".join(partial.pieces)
        case dict():
            return {name: _finished(value) for name, value in partial.items()}
        case _:
            return partial


def _index(pair: tuple[int, _Partial]) -> int:
    return pair[0]
