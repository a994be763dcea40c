"""A stream as the one completion that it amounts to; `replay.py` is the way back.

Source: https://platform.openai.com/docs/api-reference/chat-streaming; how pieces of fields that nobody knows are joined
is what https://github.com/openai/openai-python does (accumulate_delta): texts follow each other, lists too, objects are
merged, and of anything else the last one counts.
"""

from typing import TypeAlias, cast

from tidegate.chat.completion import Chunk, ChunkChoice, Completion, Usage
from tidegate.json import Json, JsonObject

_NOT_OF_REPLY = frozenset({"object", "choices", "usage"})
_OF_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_ONCE = frozenset({"id", "type", "role", "index", "format", "name", "expires_at"})
"""Texts that do not come in pieces."""


class Assembly:
    """The completion that the chunks so far amount to. It shares nothing with them that is changed."""

    __slots__ = ("_choices", "_reply", "_usage")

    def __init__(self) -> None:
        self._reply: JsonObject = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None

    def add(self, chunk: Chunk) -> None:
        """Hear one more chunk, in the order in which they came."""
        self._usage = chunk.get("usage") or self._usage
        for name, value in cast(JsonObject, chunk).items():
            if name not in _NOT_OF_REPLY and (value is not None or name not in self._reply):
                self._reply[name] = value
        for choice in chunk["choices"]:
            self._choices.setdefault(choice["index"], _Choice()).add(choice)

    @property
    def is_whole(self) -> bool:
        """Whether every choice has come to its end."""
        return bool(self._choices) and all(choice.has_ended for choice in self._choices.values())

    def completion(self) -> Completion:
        """What it amounts to. A choice that has not ended has the finish reason null."""
        choices: list[Json] = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        made: JsonObject = {"system_fingerprint": None, **self._reply, "object": "chat.completion", "choices": choices}
        if self._usage is not None:
            made["usage"] = cast(JsonObject, self._usage)
        return cast(Completion, made)


class _Choice:
    __slots__ = ("_calls", "_details", "_fields", "_logprobs", "_message", "has_ended")

    def __init__(self) -> None:
        self.has_ended = False
        self._fields: JsonObject = {}
        self._message: _Grown = None
        self._calls: dict[int, _Grown] = {}
        self._details: list[tuple[tuple[str, str], _Grown]] = []
        self._logprobs: _Grown = None

    def add(self, choice: ChunkChoice) -> None:
        raw = cast(JsonObject, choice)
        if len(raw) > 3:
            self._fields |= {name: value for name, value in raw.items() if name not in _OF_CHOICE}
            self._logprobs = _grow(self._logprobs, raw.get("logprobs"))
        if choice["finish_reason"] is not None:
            self.has_ended = True
            self._fields["finish_reason"] = choice["finish_reason"]
        rest: JsonObject = {}
        for name, value in cast(JsonObject, choice["delta"]).items():
            match name, value:
                case "tool_calls", list(calls):
                    self._hear_calls(calls)
                case "reasoning_details", list(details):
                    self._hear_details(details)
                case _:
                    rest[name] = value
        self._message = _grow(self._message, rest)

    def _hear_calls(self, calls: list[Json]) -> None:
        for call in calls:
            if isinstance(call, dict):
                index = call.get("index")
                place = index if isinstance(index, int) else len(self._calls)
                piece = {name: value for name, value in call.items() if name != "index"}
                self._calls[place] = _grow(self._calls.get(place), piece)

    def _hear_details(self, details: list[Json]) -> None:
        """Pieces of one detail have its type and its index; what has no index is whole."""
        for piece in details:
            index = piece.get("index") if isinstance(piece, dict) else None
            known = (str(piece.get("type")), str(index)) if isinstance(piece, dict) else ("", "")
            at = next((at for at, (one, _) in enumerate(self._details) if one == known), None)
            if index is None or at is None:
                self._details.append((known, _grow(None, piece)))
            else:
                self._details[at] = known, _grow(self._details[at][1], piece)

    def whole(self, index: int) -> JsonObject:
        """The choice of a completion. Beside calls, a text without a letter is none."""
        said = _settled(self._message)
        message: JsonObject = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(said, dict):
            message |= said
        calls: list[Json] = [_settled(call) for _, call in sorted(self._calls.items(), key=_first)]
        if calls or "function_call" in message:
            message["content"] = message["content"] or None
        if calls:
            message["tool_calls"] = calls
        if self._details:
            message["reasoning_details"] = [_settled(detail) for _, detail in self._details]
        message["refusal"] = message["refusal"] or None
        logprobs = _settled(self._logprobs)
        return {"index": index, "message": message, "finish_reason": None, "logprobs": logprobs, **self._fields}


class _Text:
    """A text in pieces, which are put together once."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


_Grown: TypeAlias = "_Text | list[Json] | dict[str, _Grown] | bool | int | float | None"
"""A value that may yet grow. It is ours alone."""


def _grow(whole: _Grown, piece: Json, name: str = "") -> _Grown:
    """`whole` with `piece` behind it, changed in place; the piece is left as it is. Null says nothing."""
    match whole, piece:
        case _, None:
            return whole
        case _Text(), str() if name not in _ONCE:
            whole.pieces.append(piece)
            return whole
        case list(), list():
            whole.extend(piece)
            return whole
        case _, str():
            return _Text(piece)
        case _, list():
            return piece.copy()
        case _, dict():
            grown = whole if isinstance(whole, dict) else {}
            for field, value in piece.items():
                grown[field] = _grow(grown.get(field), value, field)
            return grown
        case _:
            return piece


def _settled(grown: _Grown) -> Json:
    match grown:
        case _Text():
            return "".join(grown.pieces)
        case dict():
            return {name: _settled(value) for name, value in grown.items()}
        case _:
            return grown


def _first(pair: tuple[int, _Grown]) -> int:
    return pair[0]
