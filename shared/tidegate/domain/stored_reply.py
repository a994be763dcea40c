"""A stored reply, which the cache or an idempotency key returns again."""

import zlib
from collections.abc import Callable

import msgspec
from msgspec import Struct

from tidegate.domain.operation import Reply
from tidegate.domain.redacted import Redacted
from tidegate.json import encode

MAX_PLAIN_BYTES = 900
"""Replies up to this size are not compressed. DynamoDB counts an item of up to 1 KB as one write unit."""

MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""More than a provider's reply and the gateway's additions can have together."""


class StoredReply(Redacted, Struct, frozen=True):
    """A completion as its caller got it, and who answered. `at` is the start of the call (UTC seconds).

    `ignored` are the request's fields that the provider does not support. Fields that the gateway itself ignores are
    not among them: each call reports its own.
    """

    completion: Reply
    provider: str
    model: str
    at: float
    ignored: tuple[str, ...] = ()

    @property
    def model_id(self) -> str:
        return f"{self.provider}/{self.model}"


_decode = msgspec.json.Decoder(StoredReply).decode


def pack_reply(stored: StoredReply) -> bytes:
    """The reply as JSON, compressed if it is long: a short one takes less time than room."""
    text = encode(stored)
    return text if len(text) <= MAX_PLAIN_BYTES else zlib.compress(text)


def unpack_reply(packed: bytes, is_reply: Callable[[Reply], bool]) -> StoredReply | None:
    """The reply that `pack_reply` packed; None if it is invalid: written by another version, or not `is_reply`."""
    try:
        stored = _decode(packed if packed.startswith(b"{") else _decompress(packed))
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return stored if is_reply(stored.completion) else None


def _decompress(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, MAX_UNPACKED_BYTES)
    return text if unpacker.eof else b""
