"""The server-sent events of one response, each with the next sequence number."""

from tidegate.json import Json, JsonObject, encode


class EventLog:
    """Encodes events. `take` returns the bytes of those that were written since the last call."""

    def __init__(self, number: int = 0) -> None:
        """`number` is that of the next event."""
        self._written: list[bytes] = []
        self._number = number

    def write(self, kind: str, **fields: Json) -> None:
        """Write one event."""
        data = encode({"type": kind, "sequence_number": self._number, **fields})
        self._written.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
        self._number += 1

    def write_delta(self, head: bytes, delta: str) -> None:
        """Write one of many events that differ in their delta alone; `head` is from `delta_head`."""
        self._written.append(b'%b%b,"sequence_number":%d}\n\n' % (head, encode(delta), self._number))
        self._number += 1

    def take(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)


def delta_head(kind: str, fields: JsonObject) -> bytes:
    """Return the bytes of an event up to its delta."""
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), encode({"type": kind, **fields})[:-1])
