"""Server-sent events from bytes, without I/O.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from tidegate.errors import ProviderMalformed
from tidegate.providers.base import Event

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""A whole image in base64 fits; an upstream that never ends a line does not fill the memory."""


class SseDecoder:
    """Bytes in, at any borders; events out as soon as their blank line is there.

    Comments, `id` and `retry` are skipped. Text that is not UTF-8 is replaced, as the specification says.
    """

    broken = None
    """Unlike another framing, this one has no bytes that could be wrong."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
        self._type = ""
        self._size = 0
        self._first = True
        self._skip_line_feed = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises `ProviderMalformed` when one grows over the limit."""
        if not data:
            return []
        if self._skip_line_feed:
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        if not self._first and b"\n" not in data and b"\r" not in data:
            # Of a long line the pieces are put together once: an image in base64 may come in thousands.
            self._hold(data)
            return []
        buffer = data
        if self._rest:
            buffer = b"".join((*self._rest, data))
            self._rest, self._held = [], 0
        if self._first:
            if b"\xef\xbb\xbf".startswith(buffer):  # a byte order mark, or the beginning of one
                self._hold(buffer)
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        end = max(buffer.rfind(b"\n"), buffer.rfind(b"\r")) + 1
        if self._size or end < len(buffer):
            self._hold(buffer[end:])
        self._skip_line_feed = end == len(buffer) and buffer.endswith(b"\r")
        return self._lines(buffer[:end].splitlines())

    def end(self) -> list[Event]:
        """What is left at the end of the stream: some providers leave out the last blank line."""
        rest = b"".join(self._rest)
        self._rest, self._held = [], 0
        return self._lines([rest, b""] if rest else [b""])

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._rest.append(rest)
            self._held += len(rest)
        if self._size + self._held > MAX_EVENT_BYTES:
            raise ProviderMalformed(f"The provider sent an event of more than {MAX_EVENT_BYTES} bytes.")

    def _lines(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
                self._size += len(value)
            elif not line:
                if self._data:
                    text = b"\n".join(self._data).decode("utf-8", "replace")
                    events.append(Event(self._type or "message", text))
                    self._data = []
                    self._size = 0
                self._type = ""
            elif line.startswith(b"event:"):
                self._type = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif line == b"data":
                self._data.append(b"")
        return events
