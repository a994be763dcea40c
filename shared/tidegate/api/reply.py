"""Replies as ASGI messages, without the cost of a framework's response object."""

from collections.abc import Iterable
from typing import TypeAlias

from starlette.types import Send

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

HeaderLines: TypeAlias = bytes
"""Headers as they are written: for each a line break, its name in lower case, a colon and a blank, and its value.

Nobody looks for more line breaks in them: they are made of constants, numbers, our own ids and what `latin1` returns.
None of them says how long a reply is, or how its connection goes on.
"""

MAX_HEADER_LIST_BYTES = 2_048
"""A reply has up to three lists. All its headers must fit into the 10,240 bytes of API Gateway, and 16 KB of Node."""

JSON_TYPE = (b"content-type", b"application/json")
JSON_LINE: HeaderLines = b"\r\ncontent-type: application/json"

_MAX_ITEM_BYTES = 300  # a model's name has up to 256
_COUNT_BYTES = len("and 1000000 more")
_PRINTABLE = bytes(byte if 32 <= byte <= 126 else ord("?") for byte in range(256))


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send one whole reply."""
    start: RawHeaders = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


def latin1(text: str) -> bytes:
    """Encode a header's value; characters outside printable ASCII are replaced, so that no value breaks the head."""
    return text.encode("ascii", "replace").translate(_PRINTABLE)


def header_list(items: Iterable[str], separator: str) -> bytes:
    """Encode a list as a header's value of at most `MAX_HEADER_LIST_BYTES`; what does not fit is counted at its end.

    A caller or a provider may make it long: a group chat has 900 messages with a `name`.
    """
    texts = [text if len(text) <= _MAX_ITEM_BYTES else f"{text[: _MAX_ITEM_BYTES - 3]}..." for text in items]
    value = latin1(separator.join(texts))
    if len(value) <= MAX_HEADER_LIST_BYTES:
        return value
    shown, size = 0, _COUNT_BYTES
    while size + len(texts[shown]) + len(separator) <= MAX_HEADER_LIST_BYTES:
        size += len(texts[shown]) + len(separator)
        shown += 1
    return latin1(separator.join([*texts[:shown], f"and {len(texts) - shown} more"]))


def header_pairs(lines: HeaderLines) -> RawHeaders:
    """Return headers as ASGI has them."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n")[1:])
    return [(name, value) for name, _, value in pairs]


def header(headers: dict[bytes, bytes], name: bytes) -> str | None:
    """Return the value of a request's header; None if it is absent or blank."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1").strip() or None
