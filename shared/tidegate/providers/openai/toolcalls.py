"""Normalises tool calls in replies: an id each, arguments as text; in deltas an ordinal as index, the name once.

Shapes recorded: no `index` (Mistral), arguments null or missing (OpenRouter), name and id repeated in each delta
(OpenRouter), no `type` (Mistral), an empty `custom` beside the function (Snowflake).
"""

from hashlib import sha256

from tidegate.chat.completion import ToolCall
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject, encode

_NO_ID = ("", "null")


def parse_tool_calls(raw: Json) -> list[ToolCall]:
    """Return the tool calls of a complete message; an empty list if it has none."""
    if not raw:
        return []
    if not isinstance(raw, list):
        raise ProviderMalformed("The provider's tool calls are not a list.")
    return [_parse_tool_call(call, ordinal) for ordinal, call in enumerate(raw)]


def _parse_tool_call(raw: Json, ordinal: int) -> ToolCall:
    match raw:
        case {"type": "custom", "custom": dict(custom)}:
            return {"id": _id(raw, ordinal, str(custom.get("name"))), "type": "custom", "custom": custom}
        case {"function": {"name": str(name), **rest}} if name:
            function: JsonObject = {"name": name, "arguments": arguments_text(rest.get("arguments")) or "{}"}
            call = {**raw, "id": _id(raw, ordinal, name), "type": "function", "function": function}
            call.pop("index", None)
            call.pop("custom", None)
            return call  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
        case _:
            raise ProviderMalformed("The provider called a tool without a name.")


def arguments_text(raw: Json) -> str:
    """Return the arguments, or a fragment of them, as JSON text."""
    if isinstance(raw, str):
        return raw
    return "" if raw is None else encode(raw).decode()


def _id(call: JsonObject, ordinal: int, name: str) -> str:
    call_id = call.get("id")
    return call_id if isinstance(call_id, str) and call_id not in _NO_ID else generated_id(ordinal, name)


def generated_id(ordinal: int, name: str) -> str:
    """Return an id for a call that came without one: a hash of its position and name, since providers are pure."""
    return f"call_{sha256(f'{ordinal}:{name}'.encode()).hexdigest()[:24]}"


class ToolCallStream:
    """The tool calls of one streamed choice."""

    __slots__ = ("_by_index", "_has_arguments", "_ids")

    def __init__(self) -> None:
        self._by_index: dict[int, int] = {}
        self._ids: list[str] = []
        self._has_arguments: list[bool] = []  # by ordinal: True once arguments came

    def __bool__(self) -> bool:
        return bool(self._ids)

    def deltas(self, raw: Json) -> list[ToolCall]:
        """Return the deltas to pass on for a delta's `tool_calls`. Raises `ProviderMalformed`."""
        if not isinstance(raw, list):
            raise ProviderMalformed("The provider's tool calls are not a list.")
        return [delta for call in raw if (delta := self._delta(call))]

    def pending(self) -> list[ToolCall]:
        """Return the last deltas: an empty object for each call that came without arguments."""
        return [
            {"index": ordinal, "function": {"arguments": "{}"}}
            for ordinal, has_arguments in enumerate(self._has_arguments)
            if not has_arguments
        ]

    def _delta(self, raw: Json) -> ToolCall | None:
        if not isinstance(raw, dict):
            raise ProviderMalformed("The provider's tool call is not an object.")
        if raw.get("type") == "custom" and isinstance(raw.get("custom"), dict):
            return self._custom_delta(raw)
        function = raw.get("function")
        if not isinstance(function, dict):
            function = {}
        name, call_id = function.get("name"), raw.get("id")
        name = name if isinstance(name, str) else ""
        call_id = call_id if isinstance(call_id, str) and call_id not in _NO_ID else ""
        text = arguments_text(function.get("arguments"))
        ordinal = self._ordinal(raw.get("index"), call_id, name)
        if ordinal is None:
            return self._start_call(raw, call_id, name, text)
        if not text:
            return None
        self._has_arguments[ordinal] = True
        return {"index": ordinal, "function": {"arguments": text}}

    def _ordinal(self, index: Json, call_id: str, name: str) -> int | None:
        """Return the ordinal of the call that a delta continues, None for a new call."""
        ordinal = self._by_index.get(index) if isinstance(index, int) else None
        if ordinal is None and not isinstance(index, int) and self._ids:
            if call_id in self._ids:
                return self._ids.index(call_id)
            ordinal = None if call_id or name else len(self._ids) - 1
        if ordinal is not None and name and call_id and call_id != self._ids[ordinal]:
            return None  # some servers give every parallel call the index 0
        return ordinal

    def _start_call(self, raw: JsonObject, call_id: str, name: str, text: str) -> ToolCall:
        if not name:
            raise ProviderMalformed("The provider called a tool without a name.")
        ordinal = self._register_call(raw.get("index"), call_id or generated_id(len(self._ids), name), bool(text))
        fields = {key: value for key, value in raw.items() if value is not None and key not in ("custom", "index")}
        return {  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
            "index": ordinal,
            **fields,
            "id": self._ids[ordinal],
            "type": "function",
            "function": {"name": name, "arguments": text},
        }

    def _custom_delta(self, raw: JsonObject) -> ToolCall:
        call_id = raw.get("id")
        call_id = call_id if isinstance(call_id, str) else ""
        ordinal = self._ordinal(raw.get("index"), call_id, "custom")
        if ordinal is not None:
            return {**raw, "index": ordinal}  # pyright: ignore[reportReturnType]  # OpenAI's own shape
        ordinal = self._register_call(raw.get("index"), call_id or generated_id(len(self._ids), "custom"), True)
        return {**raw, "index": ordinal, "id": self._ids[ordinal]}  # pyright: ignore[reportReturnType]  # as above

    def _register_call(self, index: Json, call_id: str, has_arguments: bool) -> int:
        ordinal = len(self._ids)
        self._ids.append(call_id)
        self._has_arguments.append(has_arguments)
        self._by_index[index if isinstance(index, int) else -1 - ordinal] = ordinal
        return ordinal
