"""Replies as ASGI messages, without a framework's response object: the path of a call pays for what it uses."""

from collections.abc import Iterable
from typing import TypeAlias

from starlette.types import Send

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """One whole reply."""
    start: RawHeaders = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def latin1(text: str) -> bytes:
    """A header's value: what is not printable Latin-1 is replaced, so that no value can break the head."""
    return text.encode("ascii", "replace").translate(_PRINTABLE)


def header(headers: dict[bytes, bytes], name: bytes) -> str | None:
    """A request header's value, None when it is absent or blank."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1").strip() or None
