"""A reply that was kept to be given again."""

import zlib
from typing import cast

import msgspec
from msgspec import Struct

from tidegate.domain.operation import Reply
from tidegate.domain.redacted import Redacted
from tidegate.json import decode

MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""Bytes: more than a provider's reply may have, with what the gateway adds."""


class StoredReply(Redacted, Struct, frozen=True):
    """A reply as its caller got it, and who gave it. `at` is when that call began, in UTC seconds.

    `ignored` are the fields that its provider could not honour; what the gateway does not know is of each call its own.
    """

    completion: Reply
    provider: str
    model: str
    at: float
    ignored: tuple[str, ...] = ()


def unpack_reply(packed: bytes) -> StoredReply | None:
    """The reply again, from its compressed JSON; None for what is none, of another version, say."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_UNPACKED_BYTES)
        raw = decode(text) if unpacker.eof else None
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    match raw:
        case {
            "completion": {"object": str()} as completion,
            "provider": str(provider),
            "model": str(model),
            "at": int() | float() as at,
            "ignored": list(ignored),
        }:
            return StoredReply(cast(Reply, completion), provider, model, at, tuple(map(str, ignored)))
        case _:
            return None
