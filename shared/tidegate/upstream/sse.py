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

    def __init__(self) -> None:
        self._rest: bytes = b""
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
        buffer = self._rest + data
        if self._first:
            if b"\xef\xbb\xbf".startswith(buffer):  # a byte order mark, or the beginning of one
                self._rest = buffer
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        end = max(buffer.rfind(b"\n"), buffer.rfind(b"\r")) + 1
        self._rest = buffer[end:]
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise ProviderMalformed(f"The provider sent an event of more than {MAX_EVENT_BYTES} bytes.")
        self._skip_line_feed = end == len(buffer) and buffer.endswith(b"\r")
        return self._lines(buffer[:end].splitlines())

    def end(self) -> list[Event]:
        """What is left at the end of the stream: some providers leave out the last blank line."""
        lines = [self._rest, b""] if self._rest else [b""]
        self._rest = b""
        return self._lines(lines)

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
