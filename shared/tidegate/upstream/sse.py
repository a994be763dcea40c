"""Decodes server-sent events, without I/O.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from tidegate.errors import ProviderMalformed
from tidegate.providers.base import StreamEvent

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Large enough for an image in base64; it bounds the memory for an upstream that never ends a line."""

_LINE_FEED, _RETURN = b"\n\r"
"""As numbers: to search bytes for bytes with `in` takes 20 times as long."""


class SseDecoder:
    """Takes bytes, cut anywhere, and gives each event as soon as its blank line has arrived.

    Comments, `id` and `retry` are skipped. Invalid UTF-8 is replaced, as the specification says.
    """

    __slots__ = (
        *("_data_bytes", "_data_lines", "_event_type", "_head", "_is_at_start", "_is_between_events"),
        *("_partial_line", "_partial_line_bytes", "_skip_line_feed", "_tail", "_type"),
    )

    broken = None
    """As in `EventStreamDecoder`; always None, because no bytes are invalid server-sent events."""

    def __init__(self) -> None:
        self._partial_line: list[bytes] = []
        self._partial_line_bytes = 0
        self._data_lines: list[bytes] = []
        self._event_type = ""
        self._data_bytes = 0
        self._is_at_start = True
        self._skip_line_feed = False
        self._is_between_events = False
        self._head, self._tail, self._type = b"data: ", b"\n\n", "message"
        """The bytes before and after the data of the last event that was a piece by itself, and its type: most events
        of a stream are like the one before.
        """

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data` completes. Raises `ProviderMalformed` for one of more than `MAX_EVENT_BYTES`."""
        if not data:
            return []
        if self._is_between_events:
            head, tail = self._head, self._tail
            if data.startswith(head) and data.endswith(tail):
                value = data[len(head) : -len(tail)]
                if _LINE_FEED not in value and _RETURN not in value:
                    return [StreamEvent(self._type, value.decode("utf-8", "replace"))]
            events = self._whole_events(data)
            if events is not None:
                return events
        events = self._feed_any(data)
        is_within_event = self._partial_line or self._data_lines or self._event_type
        self._is_between_events = not (is_within_event or self._is_at_start or self._skip_line_feed)
        return events

    def _whole_events(self, data: bytes) -> list[StreamEvent] | None:
        """Return the events in `data`; None unless each is whole, and has nothing but a type and one line of data.

        Most servers send nothing else, one event in each piece.
        """
        line_end = b"\n"
        if _RETURN in data:
            line_end = b"\r\n"
            data = data.replace(line_end, b"\n")
            if _RETURN in data:
                return None
        lines = data.split(b"\n")
        if lines[-1] or lines[-2]:
            return None
        events: list[StreamEvent] = []
        event_type, value = "message", None
        for line in lines[:-1]:
            if line[:6] == b"data: " and value is None:
                value = line[6:]
            elif not line:
                if value is not None:
                    events.append(StreamEvent(event_type, value.decode("utf-8", "replace")))
                event_type, value = "message", None
            elif line[:7] == b"event: ":
                event_type = line[7:].decode("utf-8", "replace") or "message"
            else:
                return None
        if len(events) == 1 and len(lines) <= 4:
            self._head, self._tail, self._type = b"data: ", line_end * 2, "message"
            if lines[0][:7] == b"event: ":
                self._head, self._type = b"%b%bdata: " % (lines[0], line_end), events[0].type
        return events

    def _feed_any(self, data: bytes) -> list[StreamEvent]:
        if self._skip_line_feed:
            data = data.removeprefix(b"\n")
            self._skip_line_feed = False
        if not self._is_at_start and _LINE_FEED not in data and _RETURN not in data:
            # A long line is joined only once: an image in base64 may arrive in thousands of pieces.
            self._extend_partial_line(data)
            return []
        buffer = data
        if self._partial_line:
            buffer = b"".join((*self._partial_line, data))
            self._partial_line, self._partial_line_bytes = [], 0
        if self._is_at_start:
            if b"\xef\xbb\xbf".startswith(buffer):  # a byte order mark, or its first bytes
                self._extend_partial_line(buffer)
                return []
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
            self._is_at_start = False
        end = max(buffer.rfind(b"\n"), buffer.rfind(b"\r")) + 1
        if self._data_bytes or end < len(buffer):
            self._extend_partial_line(buffer[end:])
        self._skip_line_feed = end == len(buffer) and buffer.endswith(b"\r")
        return self._parse_lines(buffer[:end].splitlines())

    def end(self) -> list[StreamEvent]:
        """The events left at the end of the stream: some providers omit the last blank line."""
        last_line = b"".join(self._partial_line)
        self._partial_line, self._partial_line_bytes = [], 0
        return self._parse_lines([last_line, b""] if last_line else [b""])

    def _extend_partial_line(self, piece: bytes) -> None:
        if piece:
            self._partial_line.append(piece)
            self._partial_line_bytes += len(piece)
        if self._data_bytes + self._partial_line_bytes > MAX_EVENT_BYTES:
            raise ProviderMalformed(f"The provider sent an event of more than {MAX_EVENT_BYTES} bytes.")

    def _parse_lines(self, lines: list[bytes]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data_lines.append(value)
                self._data_bytes += len(value)
            elif not line:
                if self._data_lines:
                    text = b"\n".join(self._data_lines).decode("utf-8", "replace")
                    events.append(StreamEvent(self._event_type or "message", text))
                    self._data_lines = []
                    self._data_bytes = 0
                self._event_type = ""
            elif line.startswith(b"event:"):
                self._event_type = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif line == b"data":
                self._data_lines.append(b"")
        return events
