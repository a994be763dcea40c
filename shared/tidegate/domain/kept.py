"""A reply that was kept to be given again, and the claim to be the one who makes it."""

import zlib
from dataclasses import dataclass, field
from typing import cast

import msgspec

from tidegate.chat.completion import Completion
from tidegate.chat.json import decode, encode
from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused

IN_FLIGHT_SECONDS = 2
"""After which a caller may ask again what became of a call that is still running."""

MAX_UNPACKED = 128 * 1024 * 1024
"""Bytes: more than a provider's reply may have, with what the gateway adds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply as its caller got it, and who gave it. `at` is when that call began, in UTC seconds."""

    completion: Completion = field(repr=False)
    provider: str
    model: str
    at: float
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A call that wants to be the only one with its idempotency key.

    `key` and `asked` are digests: of the idempotency key, and of what is asked for with it. `owner` is the call's id;
    a claim ends by itself at `ends_at` (UTC seconds), when its process must be dead.
    """

    workspace_id: str
    key: str
    asked: str
    owner: str
    ends_at: float


def pack(kept: Kept) -> bytes:
    """The reply as compressed JSON."""
    return zlib.compress(encode(kept))


def unpack(packed: bytes) -> Kept | None:
    """The reply again; None for what is none, of another version, say."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_UNPACKED)
        raw = decode(text) if unpacker.eof else None
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None
    match raw:
        case {
            "completion": {"object": "chat.completion", "choices": [_, *_]} as completion,
            "provider": str(provider),
            "model": str(model),
            "at": int() | float() as at,
            "ignored": list(ignored),
        }:
            return Kept(cast(Completion, completion), provider, model, at, tuple(map(str, ignored)))
        case _:
            return None


def in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "A call with this idempotency key is still running; ask again in a moment.",
        param="idempotency-key",
        retry_after_seconds=IN_FLIGHT_SECONDS,
    )


def reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        "This idempotency key was used with another body within the last 24 hours; choose a new one.",
        param="idempotency-key",
    )
