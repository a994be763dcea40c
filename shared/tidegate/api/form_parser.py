"""Parses `multipart/form-data` piece by piece, without I/O. The content of a part is given out as it comes.

Source: RFC 7578, RFC 2046 section 5.1. If the library of Starlette's parser is there, each cold start imports it.
"""

import re
from collections import deque
from typing import TypeAlias

from tidegate.errors import InvalidRequest

MAX_PARTS = 20
MAX_HEADER_BYTES = 8 * 1024
MAX_BOUNDARY_BYTES = 70

_LINE_END = b"\r\n"
_OPTION = re.compile(rb';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;" \t]*))', re.S)

Event: TypeAlias = dict[bytes, bytes] | bytearray | None
"""A part is the options of its `content-disposition`, then its content in pieces, and then None."""


class FormParser:
    """Adds what it has read to `events`. `is_complete` after the last boundary; what follows it is ignored.

    parser = FormParser(b"boundary")
    parser.feed(b"--boundary\\r\\ncontent-disposition: …")
    """

    def __init__(self, boundary: bytes) -> None:
        self.events = deque[Event]()
        self.is_complete = False
        self._delimiter = _LINE_END + b"--" + boundary
        self._rest = _LINE_END  # the first delimiter is at the start of the body
        self._parts = 0
        self._state = self._begin

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body. Raises `InvalidRequest`."""
        self._rest += data
        while not self.is_complete and self._state():
            pass

    def _begin(self) -> bool:
        """Expect the first delimiter. False if more data is needed."""
        delimiter = self._delimiter
        if not self._rest.startswith(delimiter[: len(self._rest)]):
            raise InvalidRequest("The body does not begin with the boundary that the header content-type has.")
        return len(self._rest) >= len(delimiter) and self._after_delimiter(len(delimiter))

    def _after_delimiter(self, position: int) -> bool:
        self._rest = self._rest[position:]
        self._state = self._end_delimiter
        return True

    def _end_delimiter(self) -> bool:
        """Expect what follows a delimiter: the end of its line, or the end of the form."""
        if self._rest.startswith(b"--"):
            self.is_complete = True
            self._rest = b""
            return False
        end = self._rest.find(_LINE_END, 0, MAX_HEADER_BYTES)
        if end < 0:
            self._check_waiting()
            return False
        if self._rest[:end].strip(b" \t"):
            raise InvalidRequest("The form has other characters after a boundary.")
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} fields.")
        self._rest = self._rest[end:]
        self._state = self._read_headers
        return True

    def _read_headers(self) -> bool:
        """Expect the headers of a part, and an empty line. `_rest` begins with the line end before them."""
        end = self._rest.find(_LINE_END * 2, 0, MAX_HEADER_BYTES)
        if end < 0:
            self._check_waiting()
            return False
        options: dict[bytes, bytes] = {}
        for line in self._rest[:end].split(_LINE_END):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-disposition":
                options = header_options(value)
        self.events.append(options)
        # The content may be empty: then its delimiter begins with the line end that ends the headers.
        self._rest = self._rest[end + len(_LINE_END) :]
        self._state = self._read_content
        self._skipped = len(_LINE_END)
        return True

    def _read_content(self) -> bool:
        """Give out content up to the next delimiter, or up to where it may begin."""
        end = self._rest.find(self._delimiter)
        if end < 0:
            self._give_out(len(self._rest) - len(self._delimiter) + 1)
            return False
        self._give_out(end)
        self.events.append(None)
        return self._after_delimiter(len(self._delimiter))

    def _give_out(self, length: int) -> None:
        """Remove this many bytes of the rest, and give out those that belong to the content."""
        if length <= 0:
            return
        content = memoryview(self._rest)[min(self._skipped, length) : length]
        self._skipped = max(0, self._skipped - length)
        if content and self.events and isinstance(last := self.events[-1], bytearray):
            last += content
        elif content:
            self.events.append(bytearray(content))
        self._rest = self._rest[length:]

    def _check_waiting(self) -> None:
        if len(self._rest) >= MAX_HEADER_BYTES:
            raise InvalidRequest(f"The headers of a part of the form have more than {MAX_HEADER_BYTES:,} bytes.")


def header_options(value: bytes) -> dict[bytes, bytes]:
    """Return the options of a header's value: `form-data; name="file"` has `name`."""
    return {
        name.lower(): bare if quoted is None else re.sub(rb'\\(["\\])', rb"\1", quoted)
        for name, quoted, bare in (match.groups() for match in _OPTION.finditer(value))
    }
