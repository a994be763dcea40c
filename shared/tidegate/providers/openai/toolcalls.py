"""Tool calls of a reply: an id each, arguments as text, and in deltas an ordinal as index and the name once.

Shapes recorded: no `index` (Mistral), arguments null or left out (OpenRouter), name and id repeated in each delta
(OpenRouter), no `type` (Mistral), an empty `custom` beside the function (Snowflake).
"""

from hashlib import sha256

from tidegate.chat.completion import ToolCall
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject, encode

_NO_ID = ("", "null")


def parse_tool_calls(raw: Json) -> list[ToolCall]:
    """The calls of a whole message, empty where it has none."""
    if not raw:
        return []
    if not isinstance(raw, list):
        raise ProviderMalformed("The provider's tool calls are not a list.")
    return [_whole(call, ordinal) for ordinal, call in enumerate(raw)]


def _whole(raw: Json, ordinal: int) -> ToolCall:
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
    """The arguments, or a part of them, as the text that OpenAI's dialect wants."""
    if isinstance(raw, str):
        return raw
    return "" if raw is None else encode(raw).decode()


def _id(call: JsonObject, ordinal: int, name: str) -> str:
    given = call.get("id")
    return given if isinstance(given, str) and given not in _NO_ID else generated_id(ordinal, name)


def generated_id(ordinal: int, name: str) -> str:
    """An id for a call that came without one: the same for the same place and name, since providers are pure."""
    return f"call_{sha256(f'{ordinal}:{name}'.encode()).hexdigest()[:24]}"


class ToolCallStream:
    """The calls of one streamed choice, as their deltas come."""

    __slots__ = ("_by_index", "_ids", "_seen")

    def __init__(self) -> None:
        self._by_index: dict[int, int] = {}
        self._ids: list[str] = []
        self._seen: list[bool] = []  # whether any arguments came

    def __bool__(self) -> bool:
        return bool(self._ids)

    def deltas(self, raw: Json) -> list[ToolCall]:
        if not isinstance(raw, list):
            raise ProviderMalformed("The provider's tool calls are not a list.")
        return [delta for call in raw if (delta := self._delta(call))]

    def pending(self) -> list[ToolCall]:
        """The deltas that are still owed: a call without arguments has an empty object of them."""
        return [
            {"index": ordinal, "function": {"arguments": "{}"}} for ordinal, seen in enumerate(self._seen) if not seen
        ]

    def _delta(self, raw: Json) -> ToolCall | None:
        if not isinstance(raw, dict):
            raise ProviderMalformed("The provider's tool call is not an object.")
        if raw.get("type") == "custom" and isinstance(raw.get("custom"), dict):
            return self._custom(raw)
        function = raw.get("function")
        if not isinstance(function, dict):
            function = {}
        name, given = function.get("name"), raw.get("id")
        name = name if isinstance(name, str) else ""
        given = given if isinstance(given, str) and given not in _NO_ID else ""
        words = arguments_text(function.get("arguments"))
        ordinal = self._ordinal(raw.get("index"), given, name)
        if ordinal is None:
            return self._first(raw, given, name, words)
        if not words:
            return None
        self._seen[ordinal] = True
        return {"index": ordinal, "function": {"arguments": words}}

    def _ordinal(self, index: Json, given: str, name: str) -> int | None:
        """The call that a delta continues, None for a new one."""
        ordinal = self._by_index.get(index) if isinstance(index, int) else None
        if ordinal is None and not isinstance(index, int) and self._ids:
            if given in self._ids:
                return self._ids.index(given)
            ordinal = None if given or name else len(self._ids) - 1
        if ordinal is not None and name and given and given != self._ids[ordinal]:
            return None  # some servers give every parallel call the index 0
        return ordinal

    def _first(self, raw: JsonObject, given: str, name: str, words: str) -> ToolCall:
        if not name:
            raise ProviderMalformed("The provider called a tool without a name.")
        ordinal = self._add(raw.get("index"), given or generated_id(len(self._ids), name), bool(words))
        kept = {key: value for key, value in raw.items() if value is not None and key not in ("custom", "index")}
        return {  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
            "index": ordinal,
            **kept,
            "id": self._ids[ordinal],
            "type": "function",
            "function": {"name": name, "arguments": words},
        }

    def _custom(self, raw: JsonObject) -> ToolCall:
        given = raw.get("id")
        given = given if isinstance(given, str) else ""
        ordinal = self._ordinal(raw.get("index"), given, "custom")
        if ordinal is not None:
            return {**raw, "index": ordinal}  # pyright: ignore[reportReturnType]  # OpenAI's own shape
        ordinal = self._add(raw.get("index"), given or generated_id(len(self._ids), "custom"), True)
        return {**raw, "index": ordinal, "id": self._ids[ordinal]}  # pyright: ignore[reportReturnType]  # as above

    def _add(self, index: Json, call_id: str, has_arguments: bool) -> int:
        ordinal = len(self._ids)
        self._ids.append(call_id)
        self._seen.append(has_arguments)
        self._by_index[index if isinstance(index, int) else -1 - ordinal] = ordinal
        return ordinal
