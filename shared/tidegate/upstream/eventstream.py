"""Messages of an AWS event stream from bytes, without I/O. Proved against botocore's decoder in its test.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (2026). A message is a prelude (its length, the length of its
headers, their CRC-32), headers, a payload, and the CRC-32 of all that. Numbers are big-endian.
"""

from struct import Struct
from struct import error as struct_error
from typing import TypeAlias
from zlib import crc32

from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import encode
from tidegate.providers.base import Event

MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024
"""AWS's own limits, which its SDKs hold too."""

HeaderValue: TypeAlias = bool | int | bytes | str

_PRELUDE = Struct(">III")
_WORD = Struct(">I")
_OVERHEAD = _PRELUDE.size + _WORD.size
_NUMBERS = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q"), 8: Struct(">q")}
_BYTES, _STRING, _UUID = 6, 7, 9
_REMEMBERED = 64


class EventStreamDecoder:
    """Bytes in, at any borders; events out as soon as their last byte is there.

    `Event.type` is the `:event-type`; of a message that is a failure, `exception:` and its `:exception-type`, or
    `error:` and its `:error-code`, whose data is then {message}. `broken` says what is wrong behind the last of them.
    """

    broken: ProviderMalformed | None = None

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = _PRELUDE.size
        self._types: dict[bytes, str] = {}

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes.

        Raises `ProviderMalformed` for bytes that are no event stream; where events came before them, it is `broken`.
        """
        self._buffer += data
        events: list[Event] = []
        if len(self._buffer) >= self._needed:
            try:
                self._read(events)
            except ProviderMalformed as error:
                if not events:
                    raise
                self.broken = error
        return events

    def _read(self, events: list[Event]) -> None:
        buffer = self._buffer
        start, end = 0, len(buffer)
        try:
            while end - start >= _PRELUDE.size:
                total, headers = _prelude(buffer, start)
                if end - start < total:
                    self._needed = total
                    break
                events.append(self._event(bytes(buffer[start : start + total]), headers))
                start += total
                self._needed = _PRELUDE.size
        finally:
            del buffer[:start]

    def end(self) -> list[Event]:
        """Nothing is left at the end of a whole stream. Raises `StreamCut` inside a message."""
        if self._buffer:
            raise StreamCut("The provider's stream ended inside a message.")
        return []

    def _event(self, message: bytes, headers: int) -> Event:
        if crc32(memoryview(message)[:-4]) != _WORD.unpack_from(message, len(message) - 4)[0]:
            raise ProviderMalformed("The provider sent a message with a wrong checksum.")
        end = _PRELUDE.size + headers
        raw = message[_PRELUDE.size : end]
        payload = message[end:-4]
        # Nearly all messages of a stream have the same headers, byte for byte.
        known = self._types.get(raw)
        if known is not None:
            return Event(known, payload)
        found = parse_headers(raw)
        if found.get(":message-type") == "error":
            said = {"message": str(found.get(":error-message", ""))}
            return Event(f"error:{found.get(':error-code', '')}", encode(said))
        kind = _type(found)
        if len(self._types) < _REMEMBERED:
            self._types[raw] = kind
        return Event(kind, payload)


def parse_headers(raw: bytes) -> dict[str, HeaderValue]:
    """The headers by their names; times are milliseconds since 1970, UUIDs their 16 bytes.

    Raises `ProviderMalformed` for what is cut, repeated, or of a type that does not exist.
    """
    headers: dict[str, HeaderValue] = {}
    place = 0
    try:
        while place < len(raw):
            size = raw[place]
            name = _cut(raw, place + 1, size).decode()
            kind = raw[place + 1 + size]
            if name in headers:
                raise ProviderMalformed(f"The provider sent a message with two headers {name!r}.")
            headers[name], place = _value(raw, place + 2 + size, kind)
    except (IndexError, struct_error, UnicodeDecodeError):
        raise ProviderMalformed("The provider sent a message with broken headers.") from None
    return headers


def _value(raw: bytes, place: int, kind: int) -> tuple[HeaderValue, int]:
    """The value that begins at `place`, and the place behind it."""
    if kind in (0, 1):
        return kind == 0, place
    number = _NUMBERS.get(kind)
    if number is not None:
        return number.unpack_from(raw, place)[0], place + number.size
    if kind == _UUID:
        return _cut(raw, place, 16), place + 16
    if kind not in (_BYTES, _STRING):
        raise ProviderMalformed(f"The provider sent a message with a header of type {kind}.")
    size = int.from_bytes(_cut(raw, place, 2))
    value = _cut(raw, place + 2, size)
    return (value.decode() if kind == _STRING else value), place + 2 + size


def _cut(raw: bytes, start: int, size: int) -> bytes:
    piece = raw[start : start + size]
    if len(piece) != size:
        raise IndexError(start)
    return piece


def _prelude(buffer: bytes | bytearray, start: int) -> tuple[int, int]:
    """The lengths of the message and of its headers; checked at once, so that a wrong one is never waited for."""
    total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
    if crc32(memoryview(buffer)[start : start + 8]) != checksum:
        raise ProviderMalformed("The provider sent a message whose prelude has a wrong checksum.")
    payload = total - headers - _OVERHEAD
    if headers > MAX_HEADERS_BYTES or payload > MAX_PAYLOAD_BYTES:
        raise ProviderMalformed(f"The provider sent a message of {total} bytes, more than an event stream allows.")
    if payload < 0:
        raise ProviderMalformed("The provider sent a message whose headers are longer than itself.")
    return total, headers


def _type(headers: dict[str, HeaderValue]) -> str:
    if headers.get(":message-type") == "exception":
        return f"exception:{headers.get(':exception-type', '')}"
    return str(headers.get(":event-type", ""))
