"""An ASGI response → the head and the framing of HTTP/1.1. Pure.

Source: RFC 9112, sections 6 and 7.
"""

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from msgspec import Struct

from tidegate.server.header_names import LOWER_NAMES

_STATUS_LINES = {
    **{code: b"HTTP/1.1 %d \r\n" % code for code in range(100, 600)},
    **{status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus},
}
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_BODILESS = frozenset((*range(100, 200), 204, 304))
LONG_BYTES = 64 * 1024
"""Parts that are longer together are not copied to join them."""


class Framing(Struct, gc=False):
    """How the rest of a reply is written. `left` are the bytes of `content-length` that are still to come."""

    has_body: bool = True
    is_chunked: bool = False
    left: int | None = None
    keeps_alive: bool = True


def stamp(now: float) -> bytes:
    """Return the headers that every reply of that second has."""
    return b"date: %b\r\nserver: tidegate\r\n" % formatdate(now, usegmt=True).encode()


def encode_head(
    status: int,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    stamp: bytes,
    method: str,
    version: str,
    keeps_alive: bool,
    length: int | None = None,
) -> tuple[bytes, Framing]:
    """Return the head, and how the body is framed. Raises `ValueError` for headers that would break the framing.

    `length` is that of a body which is sent as a whole; the head gets its `content-length`. A body of unknown length is
    sent in chunks, to clients of HTTP/1.0 until the connection is closed.
    """
    framing = Framing(keeps_alive=keeps_alive, has_body=method != "HEAD" and status not in _BODILESS)
    fields = [(LOWER_NAMES[name], value) for name, value in headers]
    if not _FRAMING.isdisjoint(dict(fields)):
        fields = [(name, value) for name, value in fields if name not in _FRAMING or _is_sent(framing, name, value)]
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    count = len(fields)
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines:
        raise ValueError("A header of the response has a line break or a NUL.")
    body_line = b""
    if framing.left is None and length is not None:
        framing.left = length
        body_line = b"" if status in _BODILESS else b"content-length: %d\r\n" % length
    elif framing.left is None and framing.has_body:
        framing.is_chunked = version == "1.1"
        framing.keeps_alive &= framing.is_chunked
        body_line = b"transfer-encoding: chunked\r\n" if framing.is_chunked else b""
    end = b"\r\n" if framing.keeps_alive else b"connection: close\r\n\r\n"
    return b"%b%b%b%b%b" % (_STATUS_LINES[status], stamp, lines, body_line, end), framing


def encode_body(framing: Framing, body: bytes, *, more: bool) -> list[bytes]:
    """Return the body's bytes as they are sent. Raises `ValueError` if they are not as many as was announced."""
    if not framing.has_body:
        return []
    if framing.is_chunked:
        parts = [] if not body else [b"%x\r\n" % len(body), body, b"\r\n"]
        return parts if more else [*parts, b"0\r\n\r\n"]
    if framing.left is not None:
        framing.left -= len(body)
        if framing.left < 0 or (framing.left and not more):
            raise ValueError("The response's body is not as long as its content-length.")
    return [body] if body else []


def join(parts: list[bytes]) -> list[bytes]:
    """Return the parts as one write, unless they are long."""
    if len(parts) <= 1 or sum(map(len, parts)) > LONG_BYTES:
        return parts
    return [b"".join(parts)]


def _is_sent(framing: Framing, name: bytes, value: bytes) -> bool:
    """Note a header that the framing depends on. False for one that the server writes itself."""
    if name == b"content-length":
        framing.left = int(value)
        return True
    if name == b"connection" and value.lower() == b"close":
        framing.keeps_alive = False
    return False
