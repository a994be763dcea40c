"""Types of parsed JSON, and the only JSON codec of the data plane."""

from typing import TypeAlias

import msgspec

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
JsonObject: TypeAlias = dict[str, Json]

_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


def decode(data: bytes | str) -> Json:
    """The value in `data`. Raises `msgspec.DecodeError` unless it is one JSON value in UTF-8."""
    return _decoder.decode(data)


def decode_or_none(data: bytes | str) -> Json:
    """The value in `data`; None if it is not JSON."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def encode(value: object) -> bytes:
    """`value` as compact JSON in UTF-8. A `Decimal` becomes a string with all its digits: round money first."""
    return _encoder.encode(value)


def encode_canonical(value: Json) -> bytes:
    """`value` as JSON with sorted keys: equal values have equal bytes."""
    return _canonical.encode(value)
