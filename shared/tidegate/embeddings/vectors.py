"""Vectors as lists of numbers, and as OpenAI's base64: the bytes of 32-bit floats, little-endian.

Source: https://github.com/openai/openai-python (resources/embeddings.py, which decodes it so; 2026-11).
"""

import binascii
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence

from tidegate.json import Json

_BYTES = 4
_NUMBERS = {int, float}


def as_encoding(vector: Json, encoding: str) -> Json:
    """Return a provider's vector as the caller wants it, "float" or "base64". Raises `ValueError` if it is neither."""
    match vector:
        case str():
            return vector if encoding == "base64" else [*_numbers(vector)]
        case [*numbers] if numbers and set(map(type, numbers)) <= _NUMBERS:
            return vector if encoding == "float" else _base64(numbers)
        case _:
            raise ValueError("it is not a vector")


def _base64(numbers: Sequence[Json]) -> str:
    try:
        return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    except (struct.error, OverflowError):
        raise ValueError("a number is beyond 32 bits") from None


def _numbers(text: str) -> Sequence[float]:
    try:
        packed = b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("it is not base64") from None
    if not packed or len(packed) % _BYTES:
        raise ValueError("its bytes are not 32-bit floats")
    return struct.unpack(f"<{len(packed) // _BYTES}f", packed)
