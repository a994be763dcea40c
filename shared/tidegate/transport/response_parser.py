"""Parses HTTP/1.1 responses from bytes, over httptools (llhttp in strict mode), and refuses what is ambiguous.

llhttp refuses bare line feeds, folded fields, two lengths, and a length beside chunks. This module adds limits for the
head and the fields, a transfer encoding other than `chunked`, and bytes after the end of the response.

Source: https://www.rfc-editor.org/rfc/rfc9112 (2022), sections 6 and 11.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

from tidegate.lazy import late_pattern, load

MAX_HEAD_BYTES = 128 * 1024
"""Bytes in a row that are not content: the head with all informational responses before it, or the trailers."""

MAX_FIELDS = 256

_CODINGS = late_pattern(rb"\n(transfer|content)-encoding:([^\r]*)")
"""The fields of a head in lower case that say how the content is coded."""


class ContentDecoder(Protocol):
    """Undoes a content coding. `content_decoder.ZlibDecoder` implements it."""

    def decode(self, data: bytes) -> bytes:
        """The decoded bytes. Raises `ValueError`."""
        ...

    @property
    def is_finished(self) -> bool:
        """True if nothing is missing."""
        ...


class Response:
    """A response as far as it has arrived. `pieces` are the decoded content that nobody has taken yet.

    `status` is 0 until the head has arrived. `head` is kept as it was sent: few calls ask for its fields.
    """

    __slots__ = ("expects_body", "has_content", "head", "is_complete", "pieces", "size", "status")

    def __init__(self, *, expects_body: bool = True) -> None:
        """`expects_body` is False for the response to a HEAD request."""
        self.expects_body = expects_body
        self.status = self.size = 0
        self.head = b""
        self.pieces: list[bytes] = []
        self.has_content = self.is_complete = False

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields, with their names as they were sent."""
        parts = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [(name, value.strip(b" \t")) for name, _, value in parts]


_Response = TypeVar("_Response", bound=Response)


class _Callbacks(Struct, frozen=True):
    """The callbacks of httptools. Two of them are methods of lists, which take a tenth of the time of a function."""

    on_message_begin: Callable[[], object]
    on_headers_complete: Callable[[], None]
    on_body: Callable[[bytes], object]
    on_message_complete: Callable[[], None]


class _Refused(Exception):
    """Stops llhttp; what it has not parsed yet is not looked at."""


class ResponseParser(Generic[_Response]):
    """Parses the responses of one connection, one after the other, each into the `response` that was begun."""

    __slots__ = (
        *("_arrived", "_content_decoder", "_expected", "_informational_responses", "_parser", "_received"),
        *("_refusal", "_unproductive_bytes", "is_reusable", "response"),
    )

    def __init__(self) -> None:
        self.response: _Response | None = None
        self.is_reusable = False
        """True once a response is complete and the next one can be told from it."""
        self._received = b""
        self._unproductive_bytes = self._informational_responses = 0
        self._content_decoder: ContentDecoder | None = None
        self._refusal: str | None = None
        self._arrived: list[bytes] = []
        self._expected: list[None] = []
        """An item while a message may begin: without one, `pop` raises an error, which stops llhttp."""
        self._parser: HttpResponseParser | None = HttpResponseParser(
            _Callbacks(self._expected.pop, self._end_head, self._arrived.append, self._end_message)
        )

    def begin(self, response: _Response) -> None:
        """Parse what arrives from now on into this response. The last one has left the parser reusable."""
        self.response = response
        self._expected.append(None)

    @property
    def is_unanswered(self) -> bool:
        """True if not one byte of the response has arrived."""
        return not self._received and (self.response is None or not self.response.status)

    def feed(self, response: _Response, data: bytes) -> str | None:
        """Parse what has arrived of the response that was begun. Returns why it is refused, or None."""
        parser, arrived, refusal = self._parser, self._arrived, None
        if parser is None:
            return "the connection has ended"
        has_head = response.status
        try:
            if not has_head:
                self._received += data
                excess = len(self._received) - MAX_HEAD_BYTES
                if excess > 0:
                    parser.feed_data(data[:-excess])
                    if not response.status:
                        return "the head of the response is too large"
                    data = data[-excess:]
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.is_reusable = False  # what follows a complete response is not looked at
            if not response.is_complete:
                refusal = self._refusal or f"the response is not valid HTTP: {error}"
        if self._content_decoder is not None:
            refusal = self._decode(self._content_decoder, response) or refusal
        if arrived:
            self._unproductive_bytes = 0
            response.has_content = True
            for piece in arrived:
                response.size += len(piece)
            response.pieces.extend(arrived)
            arrived.clear()
        elif has_head and not response.is_complete:
            self._unproductive_bytes += len(data)
            if self._unproductive_bytes > MAX_HEAD_BYTES:
                return "the response has no content between too many bytes"
        return refusal

    def end_of_connection(self) -> bool:
        """True if the end of the connection completes the response: it has neither a length nor chunks."""
        response = self.response
        if response is None or not response.status or response.is_complete:
            return response is not None and response.is_complete
        framing = (b"content-length", b"transfer-encoding")
        if any(name.lower() in framing for name, _ in response.fields):
            return False
        if self._content_decoder is not None and not self._content_decoder.is_finished:
            return False
        response.is_complete = True
        return True

    def release(self) -> None:
        """Break the reference cycle of this object and httptools' parser: nothing more is parsed."""
        self._parser = None

    def _end_head(self) -> None:
        parser, response = self._parser, self.response
        if parser is None or response is None:
            raise _Refused
        status = parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                self._refuse(f"the response has the status {status}")
            self._informational_responses += 1
            self._expected.append(None)
            return
        head, self._received = self._received, b""
        if self._informational_responses or head[0] in b"\r\n":
            head = _from_last_status_line(head, self._informational_responses)
            self._informational_responses = 0
        response.head = head = head[: head.find(b"\r\n\r\n")]
        if head.count(b"\n") > MAX_FIELDS:
            self._refuse("the response has too many fields")
        head = head.lower()
        if head.find(b"-encoding:") >= 0:  # `in` takes four times as long
            self._read_codings(head)
        response.status = status
        self._unproductive_bytes = 0
        if not response.expects_body:
            response.is_complete = True
            raise _Refused

    def _end_message(self) -> None:
        parser, response = self._parser, self.response
        if parser is not None and response is not None and response.status:  # not an informational response
            self.is_reusable = parser.should_keep_alive()
            response.is_complete = True

    def _decode(self, decoder: ContentDecoder, response: Response) -> str | None:
        """Decode what has arrived, up to what is not valid. Return why the response is refused."""
        refusal, decoded = None, list[bytes]()
        try:
            for piece in self._arrived:
                response.has_content = True
                decoded.append(decoder.decode(piece))
        except ValueError as error:
            refusal = str(error)
        self._arrived[:] = filter(None, decoded)
        if response.is_complete:
            self._content_decoder = None
            if not decoder.is_finished:
                refusal = refusal or "the compressed content is incomplete"
            response.is_complete = refusal is None
        return refusal

    def _read_codings(self, head: bytes) -> None:
        is_chunked = False
        for kind, value in _CODINGS.findall(head):
            if kind == b"content":
                self._set_content_coding(value.strip())
            elif is_chunked or value.strip() != b"chunked":
                self._refuse("the response has a transfer encoding other than chunked")
            else:
                is_chunked = True

    def _set_content_coding(self, coding: bytes) -> None:
        if coding in (b"", b"identity"):
            return
        if coding not in (b"gzip", b"x-gzip", b"deflate") or self._content_decoder is not None:
            self._refuse("the response has a content coding that was not asked for")
        self._content_decoder = load("tidegate.transport.content_decoder", "ZlibDecoder")()

    def _refuse(self, reason: str) -> None:
        self._refusal = reason
        raise _Refused


def _from_last_status_line(received: bytes, informational_responses: int) -> bytes:
    """The received bytes without informational responses, and without the empty lines before each status line."""
    received = received.lstrip(b"\r\n")
    for _ in range(informational_responses):
        received = received[received.find(b"\r\n\r\n") :].lstrip(b"\r\n")
    return received
