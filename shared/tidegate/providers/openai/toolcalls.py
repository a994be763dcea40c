"""Normalises tool calls in replies: an id each, arguments as text; in deltas an ordinal as index, the name once.

A call without a name cannot be made: it is left out.
Shapes recorded: no `index` (Mistral), arguments null or missing (OpenRouter), name and id repeated in each delta
(OpenRouter), no `type` (Mistral), an empty `custom` beside the function (Snowflake).
"""

from tidegate.chat.completion import ToolCall
from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.providers.toolnames import minted_call_id

_NO_ID = ("", "null")
_OF_CALL = frozenset({"index", "custom", "id", "type", "function", "name", "arguments"})


def parse_tool_calls(raw: Json) -> list[ToolCall]:
    """Return the tool calls of a complete message, without those that have no name; an empty list if it has none."""
    calls = (_parse_tool_call(call, ordinal) for ordinal, call in enumerate(_objects(raw)))
    return [call for call in calls if call is not None]


def _objects(raw: Json) -> list[JsonObject]:
    """Return the objects in a list, or the one object that stands in its place."""
    items: list[Json] = raw if isinstance(raw, list) else [raw]
    return [item for item in items if isinstance(item, dict)]


def _parse_tool_call(raw: JsonObject, ordinal: int) -> ToolCall | None:
    if raw.get("type") == "custom" and isinstance(custom := raw.get("custom"), dict):
        return {"id": _id(raw, ordinal, str(custom.get("name"))), "type": "custom", "custom": custom}
    function = raw.get("function")
    if not isinstance(function, dict):
        function = raw  # name and arguments beside the id, without an object around them
    name = function.get("name")
    if not isinstance(name, str) or not name:
        return None
    call = {key: value for key, value in raw.items() if key not in _OF_CALL}
    arguments = arguments_text(function.get("arguments")) or "{}"
    call |= {
        "id": _id(raw, ordinal, name),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return call  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict


def arguments_text(raw: Json) -> str:
    """Return the arguments, or a fragment of them, as JSON text."""
    if isinstance(raw, str):
        return raw
    return "" if raw is None else encode(raw).decode()


def _id(call: JsonObject, ordinal: int, name: str) -> str:
    call_id = call.get("id")
    return call_id if isinstance(call_id, str) and call_id not in _NO_ID else minted_call_id(ordinal, name)


class _StreamedCall:
    """A tool call whose deltas are merged. `ordinal` is its position among the calls that were passed on.

    A call is passed on once its name is known; before, its arguments and other fields are held back.
    """

    __slots__ = ("arguments", "call_id", "fields", "name", "ordinal")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id  # the provider's own; "" if it sent none
        self.name = ""
        self.ordinal = -1
        self.arguments: list[str] = []
        self.fields: JsonObject = {}

    def is_whole(self) -> bool:
        """True if the arguments so far are complete JSON."""
        text = "".join(self.arguments)
        return text.rstrip().endswith("}") and isinstance(decode_or_none(text), dict)


class ToolCallStream:
    """The tool calls of one streamed choice. Deltas are merged by their index before they are judged."""

    __slots__ = ("_by_index", "_calls", "_started")

    def __init__(self) -> None:
        self._by_index: dict[int, _StreamedCall] = {}
        self._calls: list[_StreamedCall] = []
        self._started: list[tuple[_StreamedCall, str]] = []  # with the id that the caller got

    def __bool__(self) -> bool:
        return bool(self._started)

    @property
    def has_nameless(self) -> bool:
        """True if a call began, and its name has not come."""
        return len(self._calls) > len(self._started)

    def deltas(self, raw: Json) -> list[ToolCall]:
        """Return the deltas to pass on for a delta's `tool_calls`."""
        return [delta for call in _objects(raw) if (delta := self._delta(call))]

    def pending(self) -> list[ToolCall]:
        """Return the last deltas: an empty object for each call that came without arguments."""
        return [
            {"index": call.ordinal, "function": {"arguments": "{}"}} for call, _ in self._started if not call.arguments
        ]

    def _delta(self, raw: JsonObject) -> ToolCall | None:
        call_id = raw.get("id")
        call_id = call_id if isinstance(call_id, str) and call_id not in _NO_ID else ""
        function, custom = raw.get("function"), raw.get("custom")
        if isinstance(custom, dict) and (raw.get("type") == "custom" or (custom and not function)):
            return self._custom_delta(raw, custom, call_id)
        if not isinstance(function, dict):
            function = raw
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        text = arguments_text(function.get("arguments"))
        call = self._find(raw.get("index"), call_id, name, text) or self._register(raw.get("index"), call_id)
        if text:
            call.arguments.append(text)
        if call.name:
            return {"index": call.ordinal, "function": {"arguments": text}} if text else None
        call.call_id = call.call_id or call_id
        call.fields |= {key: value for key, value in raw.items() if value is not None and key not in _OF_CALL}
        return self._start(call, name) if name else None

    def _find(self, index: Json, call_id: str, name: str, text: str) -> _StreamedCall | None:
        """Return the call that a delta continues, None for a new call."""
        if (position := _position(index)) is not None:
            call = self._by_index.get(position)
        elif call_id and (same := [call for call in self._calls if call.call_id == call_id]):
            return same[0]
        else:
            last = self._calls[-1] if self._calls else None
            call = None if last is None or call_id or (name and last.name) else last
        if call is None or not call.name:
            return call
        has_other_id = bool(call_id and call.call_id and call_id != call.call_id)
        if name and has_other_id:
            return None  # some servers give every parallel call the index 0
        if (has_other_id or (name and not call_id)) and text.lstrip().startswith("{") and call.is_whole():
            return None  # others send no ids, or the name later
        return call

    def _start(self, call: _StreamedCall, name: str) -> ToolCall:
        call.name, call.ordinal = name, len(self._started)
        sent_id = call.call_id or minted_call_id(call.ordinal, name)
        self._started.append((call, sent_id))
        return {  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
            "index": call.ordinal,
            **call.fields,
            "id": sent_id,
            "type": "function",
            "function": {"name": name, "arguments": "".join(call.arguments)},
        }

    def _custom_delta(self, raw: JsonObject, custom: JsonObject, call_id: str) -> ToolCall:
        text = custom.get("input")
        call = self._find(raw.get("index"), call_id, "custom", "")
        if call is not None:
            return {**raw, "index": call.ordinal}  # pyright: ignore[reportReturnType]  # OpenAI's own shape
        call = self._register(raw.get("index"), call_id)
        call.arguments.append(text if isinstance(text, str) else "")
        start = self._start(call, "custom")
        return {**raw, "index": call.ordinal, "id": start.get("id", "")}  # pyright: ignore[reportReturnType]  # as above

    def _register(self, index: Json, call_id: str) -> _StreamedCall:
        call = _StreamedCall(call_id)
        self._calls.append(call)
        position = _position(index)
        if position is not None:
            self._by_index[position] = call
        return call


def _position(index: Json) -> int | None:
    """Return a delta's `index`, None if it has none; some servers send it as text."""
    if isinstance(index, str) and index.isascii() and index.isdecimal():
        return int(index)
    return index if isinstance(index, int) else None
