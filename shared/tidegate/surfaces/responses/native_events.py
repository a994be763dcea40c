"""The events of a provider that speaks this dialect: byte by byte as it sent them, but for the response's id.

The id is the gateway's, since a later request may name it, and so is what the response says of state: the provider
keeps nothing.
"""

from collections.abc import Iterable

from tidegate.domain.operation import Request
from tidegate.json import Json, JsonObject, decode_or_none, encode
from tidegate.surfaces.responses.response import notes_of

_NO_TYPE = "message"
"""The type of an event that was sent without one."""

_WITH_RESPONSE = frozenset(
    f"response.{state}"
    for state in ("queued", "created", "in_progress", "completed", "incomplete", "failed", "cancelled")
)
_ITEM_DONE = "response.output_item.done"
_TEXT, _TEXT_HEAD = "response.output_text.delta", b"event: response.output_text.delta\ndata: "


class NativeEvents:
    """Passes on the events of one stream. `begun` and `latest` are its first and its last one, as they went out."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._keeps = request.origin is not None and request.origin.conversation is not None
        self._response: JsonObject | None = None
        self._items: list[str] = []
        self.begun: str | None = None
        self.latest = ""

    def pass_on(self, events: Iterable[tuple[str, str]], response_id: object, out: list[bytes]) -> None:
        """Append the bytes of the events, each a type and data, to `out`."""
        for kind, data in events:
            if kind == _TEXT and self.begun:  # the common case
                self.latest = data
                out += (_TEXT_HEAD, data.encode(), b"\n\n")
            else:
                out.append(self._event(kind, data, response_id))

    def _event(self, kind: str, data: str, response_id: object) -> bytes:
        known = _type_of(data) if kind == _NO_TYPE else kind
        if known in _WITH_RESPONSE:
            data = self._with_own_id(data, str(response_id))
        elif known == _ITEM_DONE and self._keeps:
            self._items.append(data)
        self.begun = self.begun or data
        self.latest = data
        if kind == _NO_TYPE:
            return b"data: %b\n\n" % data.encode()
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data.encode())

    def response(self) -> JsonObject | None:
        """Return the response as far as it has come, None before its beginning."""
        if self._response is None or self._response.get("status") in ("completed", "incomplete"):
            return self._response
        events = [decode_or_none(data) for data in self._items]
        items = [event.get("item") for event in events if isinstance(event, dict)]
        reason: JsonObject = {"status": "incomplete", "incomplete_details": {"reason": "interrupted"}}
        return {**self._response, **reason, "output": items}

    def _with_own_id(self, data: str, response_id: str) -> str:
        event = decode_or_none(data)
        response = event.get("response") if isinstance(event, dict) else None
        if not isinstance(event, dict) or not isinstance(response, dict):
            return data
        self._response = own_response(response, self._request, response_id)
        return encode({**event, "response": self._response}).decode()


def own_response(response: JsonObject, request: Request, response_id: str) -> JsonObject:
    """Return a provider's response with the gateway's id, and with what the gateway knows of state."""
    to_store = request.origin.conversation if request.origin is not None else None
    state = notes_of(request).state
    conversation: Json = {"id": state.conversation_id} if state.conversation_id else None
    own: JsonObject = {
        "store": to_store is not None and to_store.is_on,
        "previous_response_id": state.previous_response_id,
        "conversation": conversation,
    }
    return {**response, "id": response_id, **{name: value for name, value in own.items() if name in response}}


def _type_of(data: str) -> str:
    event = decode_or_none(data) if '"response"' in data or _ITEM_DONE in data else None
    return str(event.get("type")) if isinstance(event, dict) else ""
