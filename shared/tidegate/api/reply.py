"""Replies as ASGI messages, without the cost of a framework's response object."""

from collections.abc import Iterable
from typing import TypeAlias

from starlette.types import Send

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send one whole reply."""
    start: RawHeaders = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def latin1(text: str) -> bytes:
    """Encode a header's value; characters outside printable ASCII are replaced, so that no value breaks the head."""
    return text.encode("ascii", "replace").translate(_PRINTABLE)


def header(headers: dict[bytes, bytes], name: bytes) -> str | None:
    """Return the value of a request's header; None if it is absent or blank."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1").strip() or None
