"""Decodes AWS event streams, without I/O. Tested against botocore's decoder.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (2026). A message is a prelude (its length, the length of its
headers, the CRC-32 of both), headers, a payload, and the CRC-32 of everything before. Numbers are big-endian.
"""

from struct import Struct
from struct import error as struct_error
from typing import TypeAlias
from zlib import crc32

from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import encode
from tidegate.providers.base import StreamEvent

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
"""The limits of AWS and of its SDKs."""

HeaderValue: TypeAlias = bool | int | bytes | str

_PRELUDE = Struct(">III")
_WORD = Struct(">I")
_OVERHEAD = _PRELUDE.size + _WORD.size
_NUMBERS = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q"), 8: Struct(">q")}
_BYTES, _STRING, _UUID = 6, 7, 9
_MAX_CACHED_TYPES = 64


class EventStreamDecoder:
    """Takes bytes, cut anywhere, and gives each event as soon as its last byte has arrived.

    `StreamEvent.type` is the `:event-type`. For an exception it is `exception:` plus the `:exception-type`; for an
    error `error:` plus the `:error-code`, with the data {message}. `broken` is the error behind the last events.
    """

    broken: ProviderMalformed | None = None

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed_bytes = _PRELUDE.size
        self._types_by_headers: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data` completes.

        Raises `ProviderMalformed` for invalid bytes; if events precede them, returns those and sets `broken` instead.
        """
        if not self._buffer and len(data) > _PRELUDE.size:
            total_bytes, headers_bytes = _read_prelude(data, 0)
            if total_bytes == len(data):  # most servers send one message in each piece
                return [self._parse_message(data, headers_bytes)]
        self._buffer += data
        events: list[StreamEvent] = []
        if len(self._buffer) >= self._needed_bytes:
            try:
                self._read_messages(events)
            except ProviderMalformed as error:
                if not events:
                    raise
                self.broken = error
        return events

    def _read_messages(self, events: list[StreamEvent]) -> None:
        buffer = self._buffer
        start, end = 0, len(buffer)
        try:
            while end - start >= _PRELUDE.size:
                total_bytes, headers_bytes = _read_prelude(buffer, start)
                if end - start < total_bytes:
                    self._needed_bytes = total_bytes
                    break
                events.append(self._parse_message(bytes(buffer[start : start + total_bytes]), headers_bytes))
                start += total_bytes
                self._needed_bytes = _PRELUDE.size
        finally:
            del buffer[:start]

    def end(self) -> list[StreamEvent]:
        """End the stream; no events are left. Raises `StreamCut` inside a message."""
        if self._buffer:
            raise StreamCut("The provider's stream ended inside a message.")
        return []

    def _parse_message(self, message: bytes, headers_bytes: int) -> StreamEvent:
        if crc32(memoryview(message)[:-4]) != _WORD.unpack_from(message, len(message) - 4)[0]:
            raise ProviderMalformed("The provider sent a message with a wrong checksum.")
        end = _PRELUDE.size + headers_bytes
        raw = message[_PRELUDE.size : end]
        payload = message[end:-4]
        # Nearly all messages of a stream have identical headers.
        cached_type = self._types_by_headers.get(raw)
        if cached_type is not None:
            return StreamEvent(cached_type, payload)
        headers = parse_headers(raw)
        if headers.get(":message-type") == "error":
            error_body = {"message": str(headers.get(":error-message", ""))}
            return StreamEvent(f"error:{headers.get(':error-code', '')}", encode(error_body))
        event_type = _event_type(headers)
        if len(self._types_by_headers) < _MAX_CACHED_TYPES:
            self._types_by_headers[raw] = event_type
        return StreamEvent(event_type, payload)


def parse_headers(raw: bytes) -> dict[str, HeaderValue]:
    """The headers by name. A timestamp is given in milliseconds since 1970, a UUID as its 16 bytes.

    Raises `ProviderMalformed` for an incomplete header, a repeated name, and an unknown type.
    """
    headers: dict[str, HeaderValue] = {}
    offset = 0
    try:
        while offset < len(raw):
            size = raw[offset]
            name = _slice(raw, offset + 1, size).decode()
            value_type = raw[offset + 1 + size]
            if name in headers:
                raise ProviderMalformed(f"The provider sent a message with two headers {name!r}.")
            headers[name], offset = _read_value(raw, offset + 2 + size, value_type)
    except (IndexError, struct_error, UnicodeDecodeError):
        raise ProviderMalformed("The provider sent a message with invalid headers.") from None
    return headers


def _read_value(raw: bytes, offset: int, value_type: int) -> tuple[HeaderValue, int]:
    """The value at `offset`, and the offset behind it."""
    if value_type in (0, 1):
        return value_type == 0, offset
    number = _NUMBERS.get(value_type)
    if number is not None:
        return number.unpack_from(raw, offset)[0], offset + number.size
    if value_type == _UUID:
        return _slice(raw, offset, 16), offset + 16
    if value_type not in (_BYTES, _STRING):
        raise ProviderMalformed(f"The provider sent a message with a header of the unknown type {value_type}.")
    size = int.from_bytes(_slice(raw, offset, 2))
    value = _slice(raw, offset + 2, size)
    return (value.decode() if value_type == _STRING else value), offset + 2 + size


def _slice(raw: bytes, start: int, size: int) -> bytes:
    piece = raw[start : start + size]
    if len(piece) != size:
        raise IndexError(start)
    return piece


def _read_prelude(buffer: bytes | bytearray, start: int) -> tuple[int, int]:
    """The lengths of the message and of its headers, checked at once: a wrong length would be waited for."""
    total_bytes, headers_bytes, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(memoryview(buffer)[start : start + 8]) != checksum:
        raise ProviderMalformed("The provider sent a message whose prelude has a wrong checksum.")
    payload_bytes = total_bytes - headers_bytes - _OVERHEAD
    if headers_bytes > MAX_HEADERS_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise ProviderMalformed(f"The provider sent a message of {total_bytes} bytes, which is over AWS's limit.")
    if payload_bytes < 0:
        raise ProviderMalformed("The provider sent a message whose headers are longer than the message.")
    return total_bytes, headers_bytes


def _event_type(headers: dict[str, HeaderValue]) -> str:
    if headers.get(":message-type") == "exception":
        return f"exception:{headers.get(':exception-type', '')}"
    return str(headers.get(":event-type", ""))
