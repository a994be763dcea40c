"""Parses one HTTP/1.1 response from bytes, over httptools (llhttp in strict mode), and refuses what is ambiguous.

llhttp refuses bare line feeds, folded fields, two lengths, and a length beside chunks. This module adds limits for the
head and the fields, a transfer encoding other than `chunked`, and bytes after the end of the response.

Source: https://www.rfc-editor.org/rfc/rfc9112 (2022), sections 6 and 11.
"""

from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

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


class _Refused(Exception):
    """Stops llhttp; what it has not parsed yet is not looked at."""


_ENDED = HttpResponseParser(object())
"""In place of the parser of a response that has ended."""


class ResponseParser:
    """Parses the response to one request. `pieces` are the decoded content that nobody has taken yet.

    httptools calls the methods `on_…`. The head is kept as it was sent: few calls ask for its fields.
    """

    __slots__ = (
        "_content_decoder",
        "_expects_body",
        "_head",
        "_informational_responses",
        "_parser",
        "_refusal",
        "_unproductive_bytes",
        "has_content",
        "has_head",
        "is_complete",
        "is_reusable",
        "pieces",
        "size",
        "status",
    )

    def __init__(self, *, expects_body: bool = True) -> None:
        """`expects_body` is False for the response to a HEAD request."""
        self._expects_body = expects_body
        self.status = 0
        self.pieces: list[bytes] = []
        self.size = 0
        self.has_head = self.has_content = self.is_complete = self.is_reusable = False
        self._head = b""
        self._informational_responses = 0
        self._content_decoder: ContentDecoder | None = None
        self._refusal: str | None = None
        self._unproductive_bytes = 0
        self._parser = HttpResponseParser(self)

    def restart(self) -> None:
        """Forget everything, for another response to the same request."""
        ResponseParser.__init__(self, expects_body=self._expects_body)

    @property
    def is_unanswered(self) -> bool:
        """True if not one byte has arrived."""
        return not self.has_head and self._unproductive_bytes == 0

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields, with their names as they were sent."""
        parts = [line.partition(b":") for line in self._head.split(b"\r\n")[1:]]
        return [(name, value.strip(b" \t")) for name, _, value in parts]

    def feed(self, data: bytes) -> str | None:
        """Parse what has arrived. Returns why the response is refused, or None."""
        parser = self._parser
        if parser is _ENDED:
            return "the response has ended"
        self._unproductive_bytes += len(data)
        try:
            if not self.has_head:
                self._head += data
                excess = self._unproductive_bytes - MAX_HEAD_BYTES
                if excess > 0:
                    parser.feed_data(data[:-excess])
                    if not self.has_head:
                        return "the head of the response is too large"
                    data = data[-excess:]
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.is_complete:
                return self._refusal or f"the response is not valid HTTP: {error}"
            self.is_reusable = False  # what follows a complete response is not looked at
        if self.is_complete:
            self._parser = _ENDED
        elif self._unproductive_bytes > MAX_HEAD_BYTES:
            return "the response has no content between too many bytes"
        return None

    def end_of_connection(self) -> bool:
        """True if the end of the connection completes the response: it has neither a length nor chunks."""
        if not self.has_head or self.is_complete:
            return self.is_complete
        framing = (b"content-length", b"transfer-encoding")
        if any(name.lower() in framing for name, _ in self.fields):
            return False
        if self._content_decoder is not None and not self._content_decoder.is_finished:
            return False
        self.is_complete = True
        self.release()
        return True

    def release(self) -> None:
        """Break the reference cycle of this object and httptools' parser."""
        self._parser = _ENDED

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise _Refused

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            self._refuse(f"the response has the status {status}")
        if status < 200:
            self._informational_responses += 1
            return
        head = self._head
        if self._informational_responses or head[:1] in (b"\r", b"\n"):
            head = _from_last_status_line(head, self._informational_responses)
        self._head = head = head[: head.find(b"\r\n\r\n")]
        if head.count(b"\n") > MAX_FIELDS:
            self._refuse("the response has too many fields")
        head = head.lower()
        if b"-encoding:" in head:
            self._read_codings(head)
        self.status = status
        self.has_head = True
        self._unproductive_bytes = 0
        if not self._expects_body:
            self.is_complete = True
            raise _Refused

    def on_body(self, data: bytes) -> None:
        self._unproductive_bytes = 0
        self.has_content = True
        if self._content_decoder is not None:
            try:
                data = self._content_decoder.decode(data)
            except ValueError as error:
                self._refuse(str(error))
            if not data:
                return
        self.pieces.append(data)
        self.size += len(data)

    def on_message_complete(self) -> None:
        if not self.has_head:  # an informational response
            return
        self.is_reusable = self._parser.should_keep_alive()
        if self._content_decoder is not None and not self._content_decoder.is_finished:
            self._refuse("the compressed content is incomplete")
        self.is_complete = True

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
