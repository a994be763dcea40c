"""An ASGI response → the head and the framing of HTTP/1.1. Pure.

Source: RFC 9112, sections 6 and 7.
"""

from collections.abc import Collection, Sequence
from email.utils import formatdate
from http import HTTPStatus

from msgspec import Struct

from tidegate.server.digits import CHUNK_STARTS, DIGITS
from tidegate.server.header_names import FRAMING, LINE_STARTS

_STATUS_LINES = {
    **{code: b"HTTP/1.1 %d " % code for code in range(100, 600)},
    **{status.value: b"HTTP/1.1 %d %b" % (status.value, status.phrase.encode()) for status in HTTPStatus},
}
_BODILESS = frozenset((*range(100, 200), 204, 304))
_LAST_LINES = {True: b"\r\n\r\n", False: b"\r\nconnection: close\r\n\r\n"}
"""The end of a head, by whether its connection is used again."""

LONG_BYTES = 64 * 1024
"""Parts that are longer together are not copied to join them."""


class Framing(Struct, gc=False):
    """How the rest of a reply is written. `left` are the bytes of `content-length` that are still to come."""

    has_body: bool = True
    is_chunked: bool = False
    left: int | None = None
    keeps_alive: bool = True


WHOLE = Framing()
"""The framing of each reply that is written as a whole: nothing more comes."""


def stamp(now: float) -> bytes:
    """Return the headers that every reply of that second has, each behind a line break."""
    return b"\r\ndate: %b\r\nserver: tidegate" % formatdate(now, usegmt=True).encode()


def encode_head(
    status: int,
    headers: Collection[tuple[bytes, bytes]],
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
    try:
        lines = b"".join([LINE_STARTS[name] + value for name, value in headers])
    except KeyError:
        headers = [(name, value) for name, value in headers if _is_sent(framing, name.lower(), value)]
        lines = b"".join([b"\r\n%b: %b" % (name.lower(), value) for name, value in headers])
    count = len(headers)
    if lines.count(b"\n") != count or lines.count(b"\r") != count or 0 in lines:  # the search for a number is quicker
        raise ValueError("A header of the response has a line break or a NUL.")
    body_line = b""
    if framing.left is not None:
        if length not in (None, framing.left):
            raise ValueError("The response's body is not as long as its content-length.")
    elif length is not None:
        framing.left = length
        body_line = b"" if status in _BODILESS else b"\r\ncontent-length: %d" % length
    else:
        body_line = _frame_unknown_length(framing, version)
    return b"".join((_STATUS_LINES[status], stamp, lines, body_line, _LAST_LINES[framing.keeps_alive])), framing


def encode_begin(
    status: int, lines: bytes, stamp: bytes, method: str, version: str, keeps_alive: bool
) -> tuple[bytes, Framing]:
    """Return the head of a reply of unknown length, and how its body is framed, for headers that are lines already."""
    framing = Framing(keeps_alive=keeps_alive, has_body=method != "HEAD" and status not in _BODILESS)
    body_line = _frame_unknown_length(framing, version)
    return b"".join((_STATUS_LINES[status], stamp, lines, body_line, _LAST_LINES[framing.keeps_alive])), framing


def encode_whole(
    status: int, lines: bytes, body: bytes, stamp: bytes, method: str, keeps_alive: bool
) -> Sequence[bytes]:
    """Return a whole reply as it is sent, for headers that are lines already: see `api.reply.HeaderLines`."""
    last_lines = _LAST_LINES[keeps_alive]
    if status in _BODILESS:
        return (b"".join((_STATUS_LINES[status], stamp, lines, last_lines)),)
    length = DIGITS[len(body)]
    if method == "HEAD" or len(body) > LONG_BYTES:
        head = b"".join((_STATUS_LINES[status], stamp, lines, b"\r\ncontent-length: ", length, last_lines))
        return (head,) if method == "HEAD" else (head, body)
    return (b"".join((_STATUS_LINES[status], stamp, lines, b"\r\ncontent-length: ", length, last_lines, body)),)


def encode_body(framing: Framing, body: bytes, *, more: bool) -> list[bytes]:
    """Return the body's bytes as they are sent. Raises `ValueError` if they are not as many as was announced."""
    if not framing.has_body:
        return []
    if framing.is_chunked:
        parts = [] if not body else [CHUNK_STARTS[len(body)], body, b"\r\n"]
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


def _frame_unknown_length(framing: Framing, version: str) -> bytes:
    """Frame a body of unknown length; return the line that says so."""
    if not framing.has_body:
        return b""
    framing.is_chunked = version == "1.1"
    framing.keeps_alive &= framing.is_chunked
    return b"\r\ntransfer-encoding: chunked" if framing.is_chunked else b""


def _is_sent(framing: Framing, name: bytes, value: bytes) -> bool:
    """Note a header that the framing depends on. False for one that the server writes itself."""
    if name not in FRAMING:
        return True
    if name == b"content-length":
        framing.left = int(value)
        return True
    if name == b"connection" and value.lower() == b"close":
        framing.keeps_alive = False
    return False
