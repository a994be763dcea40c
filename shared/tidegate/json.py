"""JSON as Python sees it, and the one codec of the data plane."""

from typing import TypeAlias

import msgspec

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
JsonObject: TypeAlias = dict[str, Json]

_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


def decode(data: bytes | str) -> Json:
    """The value in `data`. Raises `msgspec.DecodeError` for anything that is not one JSON value in UTF-8."""
    return _decoder.decode(data)


def encode(value: object) -> bytes:
    """`value` as compact UTF-8 JSON; `Decimal` becomes a string, so round money before."""
    return _encoder.encode(value)


def encode_canonical(value: Json) -> bytes:
    """The same for equal values, whatever the order of their fields."""
    return _canonical.encode(value)
